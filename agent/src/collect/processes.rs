//! How many processes and threads there are and what they do, from `/proc/<pid>/stat`.
//!
//! A look at every process costs more than all other collectors together, so it is taken once in [`SLOW_READINGS`], and said
//! again in between.
//! [Source: proc_pid_stat(5); names as in node_exporter's collector `processes`]

use std::collections::BTreeMap;
use std::path::PathBuf;

use watchkeep_protocol::MetricKind::Gauge;

use super::CollectError;
use super::families::{Families, Family, Sparse};
use super::sysfs::Attribute;
use crate::root::Root;

const SLOW_READINGS: u32 = 20;
/// Processes that are looked at; the kernel's own bound is four million.
const PROCESSES_MAX: usize = 100_000;

const fn gauge(name: &'static str, help: &'static str) -> Family<'static> {
    Family { name, kind: Gauge, help }
}
const PIDS: Family<'_> = gauge("node_processes_pids", "Number of PIDs");
const THREADS: Family<'_> = gauge("node_processes_threads", "Allocated threads in system");
const STATE: Family<'_> = gauge("node_processes_state", "Number of processes in each state.");
/// File below `/proc/sys/kernel`, and its family.
const LIMITS: [(&str, Family<'_>); 2] = [
    ("pid_max", gauge("node_processes_max_processes", "Number of max PIDs limit")),
    ("threads-max", gauge("node_processes_max_threads", "Limit of threads in the system")),
];

pub struct Processes {
    proc: PathBuf,
    limits: PathBuf,
    /// In the order of [`LIMITS`].
    allowed: [Option<f64>; LIMITS.len()],
    seen: Counts,
    readings: u32,
}

#[derive(Debug, Default, PartialEq)]
struct Counts {
    processes: u32,
    threads: f64,
    /// By the kernel's letter.
    states: BTreeMap<char, u32>,
}

impl Processes {
    pub fn new(root: &Root) -> Self {
        let (proc, limits) = (root.join("proc"), root.join("proc/sys/kernel"));
        Self { proc, limits, allowed: Default::default(), seen: Counts::default(), readings: 0 }
    }

    fn look(&self) -> Result<Counts, CollectError> {
        let entries =
            std::fs::read_dir(&self.proc).map_err(|source| CollectError::Read { path: self.proc.clone(), source })?;
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut counts = Counts::default();
        for name in names.filter(|name| name.parse::<u32>().is_ok()).take(PROCESSES_MAX) {
            // One that has ended meanwhile is none.
            let Some(line) = Attribute::once(&self.proc.join(name), "stat") else { continue };
            let Some((state, threads)) = of_stat(line.text()) else { continue };
            counts.processes += 1;
            counts.threads += threads;
            *counts.states.entry(state).or_default() += 1;
        }
        Ok(counts)
    }
}

/// The state's letter and the number of threads; the name before them may hold spaces and parentheses itself.
fn of_stat(text: &str) -> Option<(char, f64)> {
    let mut words = text[text.rfind(')')? + 1..].split_ascii_whitespace();
    let state = words.next()?.chars().next()?;
    // Column 20 of proc_pid_stat(5); the state is column 3.
    Some((state, words.nth(16)?.parse().ok()?))
}

impl Sparse for Processes {
    fn name(&self) -> &'static str {
        "processes"
    }

    fn read(&mut self, families: &mut Families<'_>) -> Result<(), CollectError> {
        if self.readings.is_multiple_of(SLOW_READINGS) {
            self.seen = self.look()?;
            self.allowed = LIMITS.map(|(file, _)| Attribute::once(&self.limits, file)?.number());
        }
        self.readings = self.readings.wrapping_add(1);
        for ((_, family), limit) in LIMITS.into_iter().zip(self.allowed) {
            if let Some(limit) = limit {
                families.set(family, &[], limit);
            }
        }
        families.set(PIDS, &[], f64::from(self.seen.processes));
        families.set(THREADS, &[], self.seen.threads);
        for (state, count) in &self.seen.states {
            let mut letter = [0; 4];
            families.set(STATE, &[("state", state.encode_utf8(&mut letter))], f64::from(*count));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{SparseStage, TempFiles};

    #[test]
    fn processes_are_counted_by_state_and_odd_names_do_no_harm() {
        let files = TempFiles::new();
        let stat = |pid: u32, name: &str, state: char, threads: u32| {
            let text = format!("{pid} ({name}) {state} 1 1 1 0 -1 4194560 1 0 3 0 2 5 0 0 20 0 {threads} 0 12 11 9\n");
            files.write(&format!("proc/{pid}/stat"), &text);
        };
        stat(1, "systemd", 'S', 1);
        stat(20, "a) R 1 (b", 'D', 7);
        stat(21, "worker", 'S', 2);
        files.write("proc/22/stat", "22 (torn) S 1");
        files.write("proc/self/stat", "x");
        files.write("proc/sys/kernel/pid_max", "32768\n");
        let mut stage = SparseStage::of(Processes::new(&files.root()));
        let lines = [
            "node_processes_max_processes 32768",
            "node_processes_pids 3",
            "node_processes_state{state=\"D\"} 1",
            "node_processes_state{state=\"S\"} 2",
            "node_processes_threads 10",
        ];
        assert_eq!(stage.read().lines(), lines);
        stat(30, "new", 'R', 1);
        let pids: Vec<_> = (0..SLOW_READINGS).map(|_| stage.read().value("node_processes_pids", &[])).collect();
        assert_eq!((pids[0], pids[SLOW_READINGS as usize - 1]), (Some(3.0), Some(4.0)));
    }
}
