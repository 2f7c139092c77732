//! The children of `up`: each is started again where it ends by itself, after a pause, and not for ever.
//!
//! A kernel that kills the agent for want of memory must not take the controller along, which would be the one to tell of it.

use std::collections::VecDeque;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// How long a child may take to end before it is killed.
const END_WITHIN: Duration = Duration::from_secs(5);
/// How often a child may end by itself within [`COUNTED`] and still be started again.
const ENDS_MAX: usize = 6;
const COUNTED: Duration = Duration::from_secs(600);
/// The pause after the first end; it doubles with each further one.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_LONGEST: Duration = Duration::from_secs(30);

/// When a child ended by itself, as far back as that counts.
#[derive(Debug, Default)]
struct Ends(VecDeque<Instant>);

impl Ends {
    /// The pause before it is started again; none where it ended too often.
    fn pause_after(&mut self, ended: Instant) -> Option<Duration> {
        self.0.retain(|before| ended.duration_since(*before) < COUNTED);
        self.0.push_back(ended);
        let times = self.0.len();
        (times <= ENDS_MAX).then(|| PAUSE.saturating_mul(1 << (times - 1)).min(PAUSE_LONGEST))
    }
}

/// A child that runs, and the command that starts it again.
pub struct Kept {
    name: &'static str,
    command: Command,
    child: Child,
}

impl Kept {
    /// Starts `command`, whose process ends with this one.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(name: &'static str, mut command: Command) -> anyhow::Result<Self> {
        // In a group of its own: Ctrl-C reaches us alone, and we end it in order.
        command.stdin(Stdio::null()).process_group(0).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("start {name}"))?;
        Ok(Self { name, command, child })
    }

    /// Keeps it running until `stop` turns true, and ends it then. What ends too often stays down, and the log says so.
    pub async fn keep(mut self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            () = self.start_again() => return,
            () = stopped(&mut stop) => {}
        }
        end(&mut self.child, self.name).await;
    }

    /// Starts it again whenever it ends; comes back once it ended too often.
    async fn start_again(&mut self) {
        let mut ends = Ends::default();
        loop {
            let ended = self.child.wait().await;
            let how = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
            let Some(pause) = ends.pause_after(Instant::now()) else {
                return tracing::error!(
                    name = self.name,
                    how,
                    "ended {} times within {} min and stays down; mend what its log complains of and start \"up\" again",
                    ENDS_MAX + 1,
                    COUNTED.as_secs() / 60
                );
            };
            tracing::warn!(name = self.name, how, "ended by itself and is started again in {} s", pause.as_secs());
            tokio::time::sleep(pause).await;
            match self.command.spawn() {
                Ok(child) => self.child = child,
                // Waiting for the one that ended says so again at once, and counts as one more end.
                Err(error) => tracing::error!(name = self.name, %error, "cannot be started again"),
            }
        }
    }
}

/// Comes back when `stop` turns true, or when nobody is left to say so.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Asks a child to end, and kills it where it does not.
async fn end(child: &mut Child, name: &str) {
    let Some(id) = child.id() else { return };
    // The standard library has no signal but kill; the program of that name is on every Debian host.
    let asked = Command::new("kill").arg(id.to_string()).status().await;
    if asked.is_ok_and(|asked| asked.success()) && tokio::time::timeout(END_WITHIN, child.wait()).await.is_ok() {
        return;
    }
    tracing::warn!(name, "did not end in time and is killed");
    if let Err(error) = child.kill().await {
        tracing::error!(name, %error, "cannot be killed");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn pauses_grow_and_what_ends_too_often_stays_down() {
        let (mut ends, begin) = (Ends::default(), Instant::now());
        let pauses: Vec<_> =
            (0..7).map(|second| ends.pause_after(begin + Duration::from_secs(second)).map(|p| p.as_secs())).collect();
        assert_eq!(pauses, [Some(1), Some(2), Some(4), Some(8), Some(16), Some(30), None]);
    }

    #[test]
    fn what_ended_long_ago_does_not_count() {
        let (mut ends, begin) = (Ends::default(), Instant::now());
        for day in 0..20 {
            assert_eq!(ends.pause_after(begin + COUNTED * day), Some(PAUSE), "day {day}");
        }
    }

    fn lines(file: &Path) -> usize {
        std::fs::read_to_string(file).map_or(0, |text| text.lines().count())
    }

    #[tokio::test]
    async fn a_child_that_ends_is_started_again_until_all_is_stopped() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("starts");
        let mut command = Command::new("sh");
        // The first two end by themselves, the third stays.
        let script = r#"echo x >> "$0"; [ $(wc -l < "$0") -lt 3 ] && exit 3; exec sleep 600"#;
        command.args(["-c", script]).arg(&file);
        let (stop, stopping) = watch::channel(false);
        let kept = tokio::spawn(Kept::start("a test", command).expect("sh is there").keep(stopping));
        for _ in 0..300 {
            if lines(&file) >= 3 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(lines(&file), 3, "it was started three times within 30 s");
        stop.send(true).expect("it is listened to");
        tokio::time::timeout(Duration::from_secs(20), kept)
            .await
            .expect("it ends in time")
            .expect("and without a panic");
        assert_eq!(lines(&file), 3);
    }
}
