//! Processes by name, those that use most: CPU, memory, bytes read and written. Names are process-exporter's.
//!
//! A name's CPU and bytes are what its processes used since the agent first saw them, those that have ended included: it
//! never falls. The names told are the first by CPU since the look before, and the first by memory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use watchkeep_protocol::MetricKind::{Counter, Gauge};

use super::{Look, Said};
use crate::root::Root;

/// Processes that are looked at, and names that are remembered.
const PROCESSES: usize = 20_000;
const NAMES: usize = 2_000;

pub struct Processes {
    proc: PathBuf,
    top: usize,
    /// By process and the tick at which it started: what was counted of it.
    seen: BTreeMap<(u32, u64), Used>,
    groups: BTreeMap<String, Group>,
}

/// Counts of one process since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Used {
    user_ticks: f64,
    system_ticks: f64,
    /// Of other users' processes not to be known.
    read_bytes: f64,
    write_bytes: f64,
}

/// All processes of one name.
#[derive(Clone, Debug, Default)]
struct Group {
    used: Used,
    /// Since the look before, ticks.
    recent: f64,
    count: f64,
    threads: f64,
    resident_pages: f64,
}

struct Process {
    name: String,
    started: u64,
    threads: f64,
    resident_pages: f64,
    used: Used,
}

impl Processes {
    pub fn new(root: &Root, top: usize) -> Self {
        Self { proc: root.join("proc"), top, seen: BTreeMap::new(), groups: BTreeMap::new() }
    }

    fn read(&self, pid: u32) -> Option<Process> {
        let folder = self.proc.join(pid.to_string());
        let mut process = process_of(&String::from_utf8_lossy(&std::fs::read(folder.join("stat")).ok()?))?;
        for line in std::fs::read_to_string(folder.join("io")).unwrap_or_default().lines() {
            match line.split_once(": ") {
                Some(("read_bytes", bytes)) => process.used.read_bytes = bytes.parse().unwrap_or_default(),
                Some(("write_bytes", bytes)) => process.used.write_bytes = bytes.parse().unwrap_or_default(),
                _ => {}
            }
        }
        Some(process)
    }

    fn count(&mut self) -> Result<(), String> {
        let entries =
            std::fs::read_dir(&self.proc).map_err(|error| format!("list \"{}\": {error}", self.proc.display()))?;
        let pids: Vec<u32> =
            entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).take(PROCESSES).collect();
        for group in self.groups.values_mut() {
            *group = Group { used: group.used, ..Group::default() };
        }
        let mut seen = BTreeMap::new();
        for pid in pids {
            let Some(process) = self.read(pid) else { continue };
            if self.groups.len() >= NAMES && !self.groups.contains_key(&process.name) {
                continue;
            }
            let key = (pid, process.started);
            // What it used before the agent saw it is the past's; but not of one that came between two looks.
            let is_new_to_us = self.seen.is_empty();
            let before =
                self.seen.get(&key).copied().unwrap_or(if is_new_to_us { process.used } else { Used::default() });
            let group = self.groups.entry(process.name.clone()).or_default();
            group.add(&process, before);
            seen.insert(key, process.used);
        }
        self.seen = seen;
        // A name without a process goes once nobody asks for it; its counts begin anew should it come back.
        if self.groups.len() >= NAMES {
            self.groups.retain(|_, group| group.count > 0.0);
        }
        Ok(())
    }

    /// The names that are told: the first by CPU and the first by memory.
    fn told(&self) -> BTreeSet<&String> {
        let mut running: Vec<(&String, &Group)> = self.groups.iter().filter(|(_, group)| group.count > 0.0).collect();
        let mut told = BTreeSet::new();
        running.sort_by(|a, b| b.1.recent.total_cmp(&a.1.recent).then(a.0.cmp(b.0)));
        told.extend(running.iter().take(self.top).map(|(name, _)| *name));
        running.sort_by(|a, b| b.1.resident_pages.total_cmp(&a.1.resident_pages).then(a.0.cmp(b.0)));
        told.extend(running.iter().take(self.top).map(|(name, _)| *name));
        told
    }
}

impl Group {
    fn add(&mut self, process: &Process, before: Used) {
        let more = |now: f64, before: f64| (now - before).max(0.0);
        let user = more(process.used.user_ticks, before.user_ticks);
        let system = more(process.used.system_ticks, before.system_ticks);
        self.used.user_ticks += user;
        self.used.system_ticks += system;
        self.used.read_bytes += more(process.used.read_bytes, before.read_bytes);
        self.used.write_bytes += more(process.used.write_bytes, before.write_bytes);
        self.recent += user + system;
        self.count += 1.0;
        self.threads += process.threads;
        self.resident_pages += process.resident_pages;
    }
}

impl Look for Processes {
    fn look(&mut self) -> Result<Vec<Said>, String> {
        self.count()?;
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let page = rustix::param::page_size() as f64;
        let mut found = Vec::new();
        for name in self.told() {
            let group = &self.groups[name];
            let cpu = "CPU time of the processes of a name.";
            let mut say = |metric, kind, help, label: Option<(&str, &str)>, value: f64| {
                let own = [("groupname", name.as_str())].into_iter().chain(label);
                let labels = own.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                found.push(Said { name: metric, labels, kind, help, value });
            };
            let (user, system) = (group.used.user_ticks / ticks, group.used.system_ticks / ticks);
            say("namedprocess_namegroup_cpu_seconds_total", Counter, cpu, Some(("mode", "user")), user);
            say("namedprocess_namegroup_cpu_seconds_total", Counter, cpu, Some(("mode", "system")), system);
            let (memory, resident) = ("Memory of the processes of a name.", group.resident_pages * page);
            say("namedprocess_namegroup_memory_bytes", Gauge, memory, Some(("memtype", "resident")), resident);
            say("namedprocess_namegroup_num_procs", Gauge, "Processes of a name.", None, group.count);
            say(
                "namedprocess_namegroup_num_threads",
                Gauge,
                "Threads of the processes of a name.",
                None,
                group.threads,
            );
            let (read, written) = (group.used.read_bytes, group.used.write_bytes);
            say("namedprocess_namegroup_read_bytes_total", Counter, "Bytes that they read from disks.", None, read);
            say("namedprocess_namegroup_write_bytes_total", Counter, "Bytes that they wrote to disks.", None, written);
        }
        Ok(found)
    }
}

/// Reads `/proc/PID/stat`, see proc(5); the name is in parentheses and may hold spaces and parentheses itself.
fn process_of(stat: &str) -> Option<Process> {
    let (begin, end) = (stat.find('(')?, stat.rfind(')')?);
    let name = stat.get(begin + 1..end)?.to_owned();
    let words: Vec<&str> = stat.get(end + 1..)?.split_ascii_whitespace().collect();
    // The first word here is column 3; utime is 14, stime 15, threads 20, start 22, resident pages 24.
    let column = |place: usize| words.get(place - 3)?.parse::<f64>().ok();
    let used = Used { user_ticks: column(14)?, system_ticks: column(15)?, ..Used::default() };
    let started = words.get(19)?.parse().ok()?;
    Some(Process { name, started, threads: column(20)?, resident_pages: column(24)?, used })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::testing::TempFiles;

    fn stat(files: &TempFiles, pid: u32, name: &str, started: u64, (user, system, pages): (u64, u64, u64)) {
        let text =
            format!("{pid} ({name}) S 1 1 1 0 -1 0 0 0 0 0 {user} {system} 0 0 20 0 2 0 {started} 0 {pages} 0\n");
        files.write(&format!("proc/{pid}/stat"), &text);
    }

    fn gone(files: &TempFiles, pid: u32) {
        std::fs::remove_dir_all(files.root().join(format!("proc/{pid}"))).expect("is removed");
    }

    /// CPU seconds, processes and pages by name.
    fn look(processes: &mut Processes) -> BTreeMap<String, (f64, f64, f64)> {
        let mut found: BTreeMap<String, (f64, f64, f64)> = BTreeMap::new();
        let (ticks, page) = (rustix::param::clock_ticks_per_second() as f64, rustix::param::page_size() as f64);
        for said in processes.look().expect("is read") {
            let of_name = found.entry(said.labels[0].1.clone()).or_default();
            match said.name {
                "namedprocess_namegroup_cpu_seconds_total" => of_name.0 += said.value * ticks,
                "namedprocess_namegroup_num_procs" => of_name.1 = said.value,
                "namedprocess_namegroup_memory_bytes" => of_name.2 = said.value / page,
                _ => {}
            }
        }
        found
    }

    #[test]
    fn a_name_s_counts_never_fall_whatever_its_processes_do() {
        let files = TempFiles::new();
        stat(&files, 10, "nginx", 100, (50, 50, 30));
        stat(&files, 11, "nginx", 101, (10, 0, 20));
        let mut processes = Processes::new(&files.root(), 5);
        assert_eq!(look(&mut processes)["nginx"], (0.0, 2.0, 50.0), "what was used before is the past's");
        stat(&files, 10, "nginx", 100, (60, 55, 30));
        assert_eq!(look(&mut processes)["nginx"], (15.0, 2.0, 50.0));
        gone(&files, 10);
        stat(&files, 11, "nginx", 101, (11, 0, 20));
        assert_eq!(look(&mut processes)["nginx"], (16.0, 1.0, 20.0));
        // The number is used again by another process, which came between two looks.
        stat(&files, 10, "nginx", 999, (3, 0, 5));
        assert_eq!(look(&mut processes)["nginx"], (19.0, 2.0, 25.0));
    }

    #[test]
    fn the_first_by_cpu_and_the_first_by_memory_are_told() {
        let files = TempFiles::new();
        stat(&files, 1, "idle", 1, (0, 0, 1));
        stat(&files, 2, "busy (odd) name", 2, (0, 0, 2));
        stat(&files, 3, "large", 3, (0, 0, 900));
        let mut processes = Processes::new(&files.root(), 1);
        look(&mut processes);
        stat(&files, 2, "busy (odd) name", 2, (70, 0, 2));
        let told: Vec<String> = look(&mut processes).into_keys().collect();
        assert_eq!(told, ["busy (odd) name", "large"]);
    }

    #[test]
    fn this_machine_s_processes_are_read() {
        let mut processes = Processes::new(&Root::default(), 200);
        let found = look(&mut processes);
        assert!(found.values().any(|(_, count, pages)| *count >= 1.0 && *pages > 0.0), "{found:?}");
    }
}
