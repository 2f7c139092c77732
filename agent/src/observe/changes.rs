//! What changed on the host between two looks: its clock, its links, its accounts, who may become root.
//!
//! Told from small files that anybody may read and that are opened only where their stamp is another. The first look is
//! told nothing of: what changed while the agent was away shows in the inventory, not here.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;

use rustix::time::{ClockId, clock_gettime};
use watchkeep_protocol::Event;

use crate::root::Root;

/// Events of one look; a change of more than that is told as far as that.
const EVENTS_MAX: usize = 32;
/// Time servers slew a clock by 500 ppm at most, 2.5 ms between two looks; a second was set.
const JUMP_MS: i64 = 1_000;
const LINKS: &str = "sys/class/net";
/// Files of `name:…` lines, and what a name there is.
const ACCOUNTS: [(&str, &str); 2] = [("etc/passwd", "user"), ("etc/group", "group")];
/// The folder's own stamp tells of files that come and go; what is in them only root may see.
const SUDOERS: [&str; 2] = ["etc/sudoers", "etc/sudoers.d"];

/// What tells one version of a file from another: inode, bytes, when it was written.
type Stamp = Option<(u64, u64, i64, i64)>;

/// The two clocks, read together, milliseconds: the one that can be set, and the one that counts on even in sleep.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    pub wall_ms: i64,
    pub since_boot_ms: i64,
}

impl Clocks {
    pub fn now() -> Self {
        let read = |clock| {
            let now = clock_gettime(clock);
            now.tv_sec * 1_000 + now.tv_nsec / 1_000_000
        };
        Self { wall_ms: read(ClockId::Realtime), since_boot_ms: read(ClockId::Boottime) }
    }

    /// When the host booted by the wall's clock: moves when that one is set.
    fn booted_ms(self) -> i64 {
        self.wall_ms - self.since_boot_ms
    }
}

/// The host as the last look found it.
pub struct Changes {
    root: Root,
    booted_ms: Option<i64>,
    /// Interface → whether it is up; those with hardware below them.
    links: BTreeMap<String, bool>,
    accounts: [Accounts; 2],
    sudoers: Option<[Stamp; 2]>,
}

/// One file of accounts: each name with a hash of its line.
#[derive(Default)]
struct Accounts {
    stamp: Option<Stamp>,
    lines: BTreeMap<Box<str>, u64>,
}

impl Changes {
    pub fn new(root: &Root) -> Self {
        let (links, accounts) = (BTreeMap::new(), Default::default());
        Self { root: root.clone(), booted_ms: None, links, accounts, sudoers: None }
    }

    /// What is another than at the last look.
    pub fn look(&mut self, clocks: Clocks) -> Vec<Event> {
        let mut events: Vec<Event> = self.clock(clocks).into_iter().collect();
        events.extend(self.links());
        for ((path, what), known) in ACCOUNTS.into_iter().zip(&mut self.accounts) {
            known.look(&self.root, path, what, &mut events);
        }
        events.extend(self.sudoers());
        events.truncate(EVENTS_MAX);
        events
    }

    fn clock(&mut self, clocks: Clocks) -> Option<Event> {
        let now = clocks.booted_ms();
        let moved_ms = now - self.booted_ms.replace(now)?;
        let direction = if moved_ms > 0 { "forward" } else { "backward" };
        let seconds = moved_ms.unsigned_abs() as f64 / 1e3;
        let text = format!("the clock was set {direction} by {seconds:.1} s");
        (moved_ms.abs() >= JUMP_MS).then(|| event("clock_jumped", &[("direction", direction)], text))
    }

    fn links(&mut self) -> Vec<Event> {
        let names = std::fs::read_dir(self.root.join(LINKS)).into_iter().flatten().flatten();
        let mut now = BTreeMap::new();
        for name in names.filter_map(|entry| entry.file_name().into_string().ok()) {
            // Ends of containers' links come and go by the hundred, and are nobody's.
            let below = self.root.join(LINKS).join(&name);
            if !below.join("device").exists() && !below.join("bonding").exists() {
                continue;
            }
            match self.root.line(&format!("{LINKS}/{name}/operstate")).as_deref() {
                Some("up") => now.insert(name, true),
                Some("down" | "lowerlayerdown") => now.insert(name, false),
                _ => None,
            };
        }
        let told = now.iter().filter(|(name, is_up)| self.links.get(*name).is_some_and(|was_up| was_up != *is_up));
        let told = told.map(|(name, is_up)| {
            let (kind, word) = if *is_up { ("link_up", "up") } else { ("link_down", "down") };
            event(kind, &[("device", name)], format!("the link of {name} is {word}"))
        });
        let events = told.collect();
        self.links = now;
        events
    }

    fn sudoers(&mut self) -> Option<Event> {
        let now = SUDOERS.map(|path| stamp(&self.root, path));
        let before = self.sudoers.replace(now)?;
        let place = (0..now.len()).find(|place| now[*place] != before[*place])?;
        let path = format!("/{}", SUDOERS[place]);
        let text = format!("{path} changed: who may become root may be others now");
        Some(event("sudoers_changed", &[("path", &path)], text))
    }
}

impl Accounts {
    fn look(&mut self, root: &Root, path: &str, what: &str, events: &mut Vec<Event>) {
        let now = stamp(root, path);
        if self.stamp == Some(now) {
            return;
        }
        let text = root.text(path);
        // While it is replaced it may be away or empty: no account went.
        if text.is_empty() && !self.lines.is_empty() {
            return;
        }
        let is_first = self.stamp.replace(now).is_none();
        let lines = text.lines().filter_map(|line| Some((line.split_once(':')?.0.into(), hash(line))));
        let lines: BTreeMap<Box<str>, u64> = lines.collect();
        let before = std::mem::replace(&mut self.lines, lines);
        if is_first {
            return;
        }
        let mut tell = |name: &str, how: &str| {
            let text = format!("{what} {name} was {how}");
            events.push(event(&format!("{what}_{how}"), &[(what, name)], text));
        };
        for (name, line) in &self.lines {
            match before.get(name) {
                None => tell(name, "added"),
                Some(known) if known != line => tell(name, "changed"),
                Some(_) => {}
            }
        }
        before.keys().filter(|name| !self.lines.contains_key(*name)).for_each(|name| tell(name, "removed"));
    }
}

fn hash(line: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    line.hash(&mut hasher);
    hasher.finish()
}

fn stamp(root: &Root, path: &str) -> Stamp {
    let found = std::fs::metadata(root.join(path)).ok()?;
    Some((found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
}

fn event(kind: &str, labels: &[(&str, &str)], text: String) -> Event {
    let labels = [("kind", kind)].into_iter().chain(labels.iter().copied());
    Event { labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(), text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::testing::TempFiles;

    const STEADY: Clocks = Clocks { wall_ms: 1_795_464_900_000, since_boot_ms: 60_000 };

    /// What a look tells, by kind and the other label.
    fn told(changes: &mut Changes, clocks: Clocks) -> Vec<String> {
        let event = |event: Event| event.labels.into_values().collect::<Vec<_>>();
        let mut words: Vec<Vec<String>> = changes.look(clocks).into_iter().map(event).collect();
        words.iter_mut().for_each(|words| words.sort());
        words.into_iter().map(|words| words.join(" ")).collect()
    }

    #[test]
    fn accounts_that_come_change_and_go_are_told_once() {
        let files = TempFiles::new();
        files.write("etc/passwd", "root:x:0:0::/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/sh\n");
        files.write("etc/group", "sudo:x:27:\n");
        let mut changes = Changes::new(&files.root());
        assert!(told(&mut changes, STEADY).is_empty(), "the first look is no news");
        files.write("etc/passwd", "root:x:0:0::/root:/bin/zsh\nmallory:x:0:0::/root:/bin/bash\n");
        files.write("etc/group", "sudo:x:27:mallory\n");
        let wanted = ["mallory user_added", "root user_changed", "ann user_removed", "group_changed sudo"];
        assert_eq!(told(&mut changes, STEADY), wanted);
        assert!(told(&mut changes, STEADY).is_empty());
    }

    #[test]
    fn a_file_that_is_being_replaced_loses_nobody() {
        let files = TempFiles::new();
        files.write("etc/passwd", "root:x:0:0::/root:/bin/bash\n");
        let mut changes = Changes::new(&files.root());
        told(&mut changes, STEADY);
        files.write("etc/passwd", "");
        assert!(told(&mut changes, STEADY).is_empty());
        files.write("etc/passwd", "root:x:0:0::/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/sh\n");
        assert_eq!(told(&mut changes, STEADY), ["ann user_added"]);
    }

    #[test]
    fn sudoers_that_change_or_come_are_told() {
        let files = TempFiles::new();
        files.write("etc/sudoers", "root ALL=(ALL) ALL\n");
        let mut changes = Changes::new(&files.root());
        told(&mut changes, STEADY);
        files.write("etc/sudoers", "root ALL=(ALL) ALL\nmallory ALL=(ALL) ALL\n");
        assert_eq!(told(&mut changes, STEADY), ["/etc/sudoers sudoers_changed"]);
        files.write("etc/sudoers.d/ann", "ann ALL=(ALL) ALL\n");
        assert_eq!(told(&mut changes, STEADY), ["/etc/sudoers.d sudoers_changed"]);
        assert!(told(&mut changes, STEADY).is_empty());
    }

    #[test]
    fn a_link_of_hardware_goes_down_and_comes_up_and_a_container_s_is_not_told() {
        let files = TempFiles::new();
        let set = |name: &str, state: &str| files.write(&format!("sys/class/net/{name}/operstate"), state);
        files.write("sys/class/net/eth0/device/vendor", "0x1af4\n");
        set("eth0", "up\n");
        set("veth1", "up\n");
        let mut changes = Changes::new(&files.root());
        assert!(told(&mut changes, STEADY).is_empty());
        set("eth0", "down\n");
        set("veth1", "down\n");
        assert_eq!(told(&mut changes, STEADY), ["eth0 link_down"]);
        assert!(told(&mut changes, STEADY).is_empty());
        set("eth0", "up\n");
        assert_eq!(told(&mut changes, STEADY), ["eth0 link_up"]);
    }

    #[test]
    fn a_clock_that_is_set_is_told_and_time_that_passes_or_is_slewed_is_not() {
        let mut changes = Changes::new(&TempFiles::new().root());
        let after = |wall_ms: i64, since_boot_ms: i64| Clocks {
            wall_ms: STEADY.wall_ms + wall_ms,
            since_boot_ms: STEADY.since_boot_ms + since_boot_ms,
        };
        assert!(told(&mut changes, STEADY).is_empty());
        assert!(told(&mut changes, after(5_003, 5_000)).is_empty());
        assert_eq!(told(&mut changes, after(3_610_003, 10_000)), ["clock_jumped forward"]);
        assert!(told(&mut changes, after(3_615_003, 15_000)).is_empty());
        assert_eq!(told(&mut changes, after(20_000, 20_000)), ["backward clock_jumped"]);
    }

    #[test]
    fn this_host_s_clocks_agree_with_its_boot() {
        let (first, then) = (Clocks::now(), Clocks::now());
        assert!((first.booted_ms() - then.booted_ms()).abs() < JUMP_MS);
        assert!(first.since_boot_ms > 0);
    }
}
