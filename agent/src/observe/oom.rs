//! Processes that the kernel killed for want of memory: how many, and as far as it can be known, which.
//!
//! `/proc/vmstat` counts them for everybody to read. Which it was stands in the kernel's log (`/dev/kmsg`), which only root
//! may read; else the control group whose own count has grown names the unit. Both are looked at only when the count has
//! grown.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use watchkeep_protocol::Event;

use crate::root::Root;

/// Events of one look; a host that kills more has told enough.
const EVENTS_MAX: usize = 16;
/// Records of the kernel's log read at one look.
const RECORDS_MAX: usize = 20_000;
/// The kernel's longest record.
const RECORD_BYTES: usize = 8 << 10;
/// Folders of control groups looked into.
const CGROUPS_MAX: usize = 20_000;
const CGROUP_ROOT: &str = "sys/fs/cgroup";

pub struct Kills {
    root: Root,
    /// The kernel's log, at what was not read yet; none where it may not be read.
    log: Option<File>,
    /// Unit → its count of kills.
    by_unit: BTreeMap<String, u64>,
}

/// One kill, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Kill {
    /// The process's name.
    victim: String,
    unit: String,
}

impl Kills {
    pub fn new(root: &Root) -> Self {
        let mut kills = Self { root: root.clone(), log: open_log(&root.join("dev/kmsg")), by_unit: BTreeMap::new() };
        kills.by_unit = kills.count_by_unit();
        kills
    }

    /// Kills since the boot; `None` where this kernel does not count them (before 4.13).
    pub fn count(&self) -> Option<u64> {
        let text = self.root.text("proc/vmstat");
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
    }

    /// Events `oom_kill` for so many kills since the last call: each by its victim, or by unit, or one for all of them.
    pub fn events(&mut self, count: u64) -> Vec<Event> {
        let now = self.count_by_unit();
        let grown = |(unit, count): (&String, &u64)| *count > self.by_unit.get(unit).copied().unwrap_or(0);
        let units: Vec<Kill> = now
            .iter()
            .filter(|entry| grown(*entry))
            .map(|(unit, _)| Kill { unit: unit.clone(), ..Kill::default() })
            .collect();
        self.by_unit = now;
        let logged = self.logged();
        let kills = [logged, units, vec![Kill::default()]].into_iter().find(|kills| !kills.is_empty());
        kills.unwrap_or_default().iter().take(EVENTS_MAX).map(|kill| kill.event(count)).collect()
    }

    /// What the kernel's log says since it was last read.
    fn logged(&mut self) -> Vec<Kill> {
        let Some(log) = &mut self.log else { return Vec::new() };
        let (mut kills, mut record) = (Vec::new(), vec![0; RECORD_BYTES]);
        for _ in 0..RECORDS_MAX {
            match log.read(&mut record) {
                Ok(0) => break,
                Ok(bytes) => kills.extend(kill_of(&String::from_utf8_lossy(&record[..bytes]))),
                // Records were overwritten before they were read: the next one follows.
                Err(fault) if fault.kind() == ErrorKind::BrokenPipe => {}
                Err(_) => break,
            }
        }
        kills
    }

    fn count_by_unit(&self) -> BTreeMap<String, u64> {
        let (mut counts, mut looked_at) = (BTreeMap::new(), 0);
        let mut ahead: Vec<PathBuf> = vec![self.root.join(CGROUP_ROOT)];
        while let Some(folder) = ahead.pop() {
            looked_at += 1;
            if looked_at > CGROUPS_MAX {
                break;
            }
            if let Some(unit) = folder.file_name().and_then(|name| name.to_str()).filter(|name| is_unit(name)) {
                let text = std::fs::read_to_string(folder.join("memory.events")).unwrap_or_default();
                let count = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok());
                *counts.entry(unit.to_owned()).or_default() += count.unwrap_or(0);
                continue;
            }
            let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            ahead.extend(entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path()));
        }
        counts
    }
}

impl Kill {
    fn event(&self, count: u64) -> Event {
        let labels = [("kind", "oom_kill"), ("victim", &self.victim), ("unit", &self.unit)];
        let said = labels.into_iter().filter(|(_, value)| !value.is_empty());
        let labels = said.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let who = match (self.victim.as_str(), self.unit.as_str()) {
            ("", "") if count > 1 => format!("{count} processes"),
            ("", "") => "a process".to_owned(),
            ("", unit) => format!("a process of {unit}"),
            (victim, "") => victim.to_owned(),
            (victim, unit) => format!("{victim} of {unit}"),
        };
        Event { labels, text: format!("the kernel killed {who} for want of memory") }
    }
}

fn is_unit(name: &str) -> bool {
    name.ends_with(".service") || name.ends_with(".scope")
}

/// The log, with what is in it already left out; reading it never waits.
fn open_log(path: &Path) -> Option<File> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let mut log = File::options().read(true).custom_flags(nonblocking).open(path).ok()?;
    log.seek(SeekFrom::End(0)).ok()?;
    Some(log)
}

/// `oom-kill:constraint=…,task_memcg=/system.slice/app.service,task=app,pid=612,uid=0` of a record.
fn kill_of(record: &str) -> Option<Kill> {
    let line = record.lines().next()?.split_once(";oom-kill:")?.1;
    let field = |name: &str| line.split(',').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let unit = field("task_memcg").into_iter().flat_map(|path| path.split('/')).find(|part| is_unit(part));
    Some(Kill { victim: field("task")?.to_owned(), unit: unit.unwrap_or_default().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::testing::TempFiles;

    fn labels(event: &Event) -> (String, String) {
        let label = |name: &str| event.labels.get(name).cloned().unwrap_or_default();
        (label("victim"), label("unit"))
    }

    #[test]
    fn the_kernel_s_log_names_victim_and_unit() {
        let record = "3,1042,98213,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,\
            oom_memcg=/system.slice/app.service,task_memcg=/system.slice/app.service/worker,task=ruby,pid=612,uid=33\n \
            SUBSYSTEM=x\n";
        let kill = kill_of(record).expect("is a kill");
        assert_eq!((kill.victim.as_str(), kill.unit.as_str()), ("ruby", "app.service"));
        let global = "3,1,1,-;oom-kill:constraint=CONSTRAINT_NONE,global_oom,task_memcg=/,task=java,pid=1,uid=0\n";
        assert_eq!(kill_of(global), Some(Kill { victim: "java".to_owned(), unit: String::new() }));
        for other in ["6,1,1,-;eth0: link up\n", "", "6,1,1,-;said oom-kill: nothing\n"] {
            assert_eq!(kill_of(other), None, "{other}");
        }
    }

    #[test]
    fn without_the_log_the_unit_whose_count_grew_is_named() {
        let files = TempFiles::new();
        let events = |unit: &str, count: u64| {
            let path = format!("sys/fs/cgroup/system.slice/{unit}/memory.events");
            files.write(&path, &format!("low 0\nhigh 0\nmax 9\noom 2\noom_kill {count}\noom_group_kill 0\n"));
        };
        events("app.service", 1);
        events("db.service", 0);
        let mut kills = Kills::new(&files.root());
        events("app.service", 2);
        let told = kills.events(1);
        assert_eq!(told.iter().map(labels).collect::<Vec<_>>(), [(String::new(), "app.service".to_owned())]);
        assert_eq!(told[0].text, "the kernel killed a process of app.service for want of memory");
        let unknown = kills.events(3);
        assert_eq!(unknown.len(), 1, "no unit's count grew");
        assert_eq!(unknown[0].text, "the kernel killed 3 processes for want of memory");
    }
}
