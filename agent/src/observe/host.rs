//! What happens to the host as a whole: that it started anew, that the kernel killed for want of memory, and by [`Changes`]
//! what changed since the last look.
//!
//! The first two are told from what the kernel counts and the agent remembers, so that what happened while the agent was away is told
//! once it is back. Format: `STATE/host.json`, `{"boot": "<boot id>", "stopped": false, "oom_kills": 0}`, replaced as a
//! whole, and only once what it follows from is durable.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use watchkeep_protocol::Event;

use super::changes::{Changes, Clocks};
use super::memory::write_whole;
use super::oom::Kills;
use super::run::{hand_over, now_ms};
use super::{Sighting, utc};
use crate::root::Root;

/// Between looks.
const EVERY: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    boot: String,
    /// The agent was told to stop, as it is when a host is shut down.
    stopped: bool,
    /// The kernel's count of kills since that boot, as far as they were told.
    oom_kills: u64,
}

/// Watches the host until nobody takes what it sees.
pub struct HostWatch {
    root: Root,
    path: PathBuf,
    boot: String,
    remembered: Option<Remembered>,
    kills: Kills,
    changes: Changes,
    out: mpsc::Sender<Sighting>,
}

impl HostWatch {
    /// `state` is the agent's own directory. A file that is not there or is damaged says nothing of an earlier boot.
    pub fn new(root: &Root, state: &Path, out: mpsc::Sender<Sighting>) -> Self {
        let path = state.join("host.json");
        let remembered = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let kills = Kills::new(root);
        let changes = Changes::new(root);
        Self { root: root.clone(), path, boot: root.boot_id(), remembered, kills, changes, out }
    }

    /// Runs until the receiver of sightings is dropped.
    pub async fn run(mut self) {
        if self.boot.is_empty() {
            return tracing::info!("the kernel gives no id of its boot: what happens to the host is not told");
        }
        loop {
            if self.look().await.is_none() {
                return;
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Tells what is news and remembers it; `None` where nobody listens any more.
    async fn look(&mut self) -> Option<()> {
        let before = self.remembered.clone();
        let same_boot = before.as_ref().filter(|before| before.boot == self.boot);
        let oom_kills = self.kills.count();
        let mut events = Vec::new();
        if let Some(before) = before.as_ref().filter(|before| before.boot != self.boot) {
            events.push(rebooted(before.stopped, boot_time(&self.root)));
        }
        // On the very first start, what was before is nobody's news.
        let told = match (&before, same_boot) {
            (_, Some(same)) => same.oom_kills,
            (Some(_), None) => 0,
            (None, None) => oom_kills.unwrap_or(0),
        };
        let killed = oom_kills.unwrap_or(told).saturating_sub(told);
        if killed > 0 {
            events.extend(self.kills.events(killed));
        }
        events.extend(self.changes.look(Clocks::now()));
        for event in events {
            tracing::info!("{}", event.text);
            hand_over(&self.out, now_ms(), &event).await.ok()?;
        }
        let now =
            Remembered { boot: self.boot.clone(), stopped: false, oom_kills: oom_kills.unwrap_or(told).max(told) };
        if self.remembered.as_ref() != Some(&now) {
            keep(&self.path, &now);
            self.remembered = Some(now);
        }
        Some(())
    }
}

/// The agent was told to stop: a boot after this follows from an orderly end, as far as it can tell.
pub fn stopped(state: &Path, boot: &str) {
    let path = state.join("host.json");
    let read = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Remembered>(&bytes).ok());
    // One that still speaks of an earlier boot stays: its end is not told yet.
    if let Some(remembered) = read.filter(|remembered| remembered.boot == boot) {
        keep(&path, &Remembered { stopped: true, ..remembered });
    }
}

fn keep(path: &Path, remembered: &Remembered) {
    let written = serde_json::to_vec(remembered).map_err(std::io::Error::other);
    if let Err(fault) = written.and_then(|bytes| write_whole(path, &bytes)) {
        tracing::warn!(path = %path.display(), %fault, "this boot is not remembered; it is told again after a restart");
    }
}

/// The event `host_rebooted`: `clean` says whether the agent was told to stop before.
fn rebooted(clean: bool, booted_at: Option<i64>) -> Event {
    let booted_at = booted_at.map(utc).unwrap_or_default();
    let how = if clean { "after an orderly stop" } else { "without having been shut down" };
    let at = if booted_at.is_empty() { String::new() } else { format!(" at {booted_at}") };
    let labels =
        [("kind", "host_rebooted"), ("clean", if clean { "true" } else { "false" }), ("booted_at", &booted_at)];
    let said = labels.into_iter().filter(|(_, value)| !value.is_empty());
    let labels = said.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Event { labels, text: format!("the host started anew{at}, {how}") }
}

/// Unix seconds.
fn boot_time(root: &Root) -> Option<i64> {
    root.text("proc/stat").lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::testing::TempFiles;

    /// A host of one boot, whose kernel has killed so many.
    fn host(files: &TempFiles, boot: &str, kills: u64) {
        files.write("proc/sys/kernel/random/boot_id", &format!("{boot}\n"));
        files.write("proc/stat", "cpu 1\nbtime 1795464900\n");
        files.write("proc/vmstat", &format!("pgfault 1\noom_kill {kills}\n"));
    }

    /// One start of the agent and one look; says the events' labels.
    async fn start(files: &TempFiles, state: &Path) -> Vec<String> {
        let (out, mut seen) = mpsc::channel(8);
        let mut watch = HostWatch::new(&files.root(), state, out);
        let keeping = tokio::spawn(async move {
            let mut told = Vec::new();
            while let Some(sighting) = seen.recv().await {
                let labels = sighting.event.labels.values().cloned().collect::<Vec<_>>();
                told.push(labels.join(" "));
                let _ = sighting.kept.send(());
            }
            told
        });
        watch.look().await.expect("somebody listens");
        watch.look().await.expect("somebody listens");
        drop(watch);
        keeping.await.expect("keeps")
    }

    #[tokio::test]
    async fn a_reboot_is_told_once_and_says_whether_it_was_orderly() {
        let (files, state) = (TempFiles::new(), tempfile::tempdir().expect("a temporary directory"));
        host(&files, "boot-1", 3);
        assert!(start(&files, state.path()).await.is_empty(), "the first start is no news");
        assert!(start(&files, state.path()).await.is_empty());
        host(&files, "boot-2", 0);
        assert_eq!(start(&files, state.path()).await, ["2026-11-23T20:15:00Z false host_rebooted"]);
        stopped(state.path(), "boot-2");
        host(&files, "boot-3", 0);
        assert_eq!(start(&files, state.path()).await, ["2026-11-23T20:15:00Z true host_rebooted"]);
        assert!(start(&files, state.path()).await.is_empty());
    }

    #[tokio::test]
    async fn a_kill_is_told_once_even_if_the_agent_was_away() {
        let (files, state) = (TempFiles::new(), tempfile::tempdir().expect("a temporary directory"));
        host(&files, "boot-1", 3);
        assert!(start(&files, state.path()).await.is_empty(), "what was before the first start is nobody's news");
        host(&files, "boot-1", 4);
        assert_eq!(start(&files, state.path()).await, ["oom_kill"]);
        assert!(start(&files, state.path()).await.is_empty());
        host(&files, "boot-2", 1);
        assert_eq!(start(&files, state.path()).await, ["2026-11-23T20:15:00Z false host_rebooted", "oom_kill"]);
    }

    #[tokio::test]
    async fn what_was_not_kept_is_told_again() {
        let (files, state) = (TempFiles::new(), tempfile::tempdir().expect("a temporary directory"));
        host(&files, "boot-1", 0);
        start(&files, state.path()).await;
        host(&files, "boot-2", 0);
        let (out, mut seen) = mpsc::channel(8);
        let mut watch = HostWatch::new(&files.root(), state.path(), out);
        let looking = tokio::spawn(async move { watch.look().await });
        let sighting = seen.recv().await.expect("is told");
        stopped(state.path(), "boot-2");
        drop((sighting, seen));
        assert_eq!(looking.await.expect("runs"), None);
        assert_eq!(start(&files, state.path()).await, ["2026-11-23T20:15:00Z false host_rebooted"]);
    }
}
