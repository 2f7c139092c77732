//! What every process that Prometheus scrapes tells of itself, under the names of its client libraries.

use std::fs;

use prometheus::{Counter, Gauge, IntGauge, Registry};

/// Clock ticks a second in /proc/PID/stat (`getconf CLK_TCK`, 100 on every Linux that Rust runs on).
const TICKS: f64 = 100.0;

/// Readings of /proc/self, taken when somebody scrapes.
#[derive(Clone)]
pub struct Process {
    cpu: Counter,
    resident: IntGauge,
    threads: IntGauge,
    open_files: IntGauge,
    started: Gauge,
}

impl Process {
    pub fn registered(registry: &Registry) -> Self {
        let int = |name, help| IntGauge::new(name, help).expect("a metric name");
        let process = Self {
            cpu: Counter::new("process_cpu_seconds_total", "User and system CPU time.").expect("a metric name"),
            resident: int("process_resident_memory_bytes", "Resident memory."),
            threads: int("process_threads", "Threads."),
            open_files: int("process_open_fds", "Open file descriptors."),
            started: Gauge::new("process_start_time_seconds", "Start of the process, Unix time.")
                .expect("a metric name"),
        };
        let all: [Box<dyn prometheus::core::Collector>; 5] = [
            Box::new(process.cpu.clone()),
            Box::new(process.resident.clone()),
            Box::new(process.threads.clone()),
            Box::new(process.open_files.clone()),
            Box::new(process.started.clone()),
        ];
        all.into_iter().for_each(|metric| registry.register(metric).expect("each has a name of its own"));
        process
    }

    /// Where /proc cannot be read, what was read last stays.
    pub fn refresh(&self) {
        if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(Stat::read) {
            self.cpu.inc_by((stat.cpu_seconds - self.cpu.get()).max(0.0));
            self.threads.set(stat.threads);
            if let Some(booted) = booted() {
                self.started.set(booted + stat.started_after_boot);
            }
        }
        if let Some(bytes) = fs::read_to_string("/proc/self/status").ok().as_deref().and_then(resident_bytes) {
            self.resident.set(bytes);
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            // The folder itself is open while it is read.
            self.open_files.set(files.count().saturating_sub(1) as i64);
        }
    }
}

/// When the system booted, Unix seconds: `btime` of /proc/stat.
fn booted() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// `VmRSS` of /proc/PID/status, given by the kernel in KiB.
fn resident_bytes(status: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse::<i64>().ok()?.checked_mul(1_024)
}

/// Fields of /proc/PID/stat, proc(5).
#[derive(Debug, PartialEq)]
struct Stat {
    cpu_seconds: f64,
    threads: i64,
    started_after_boot: f64,
}

impl Stat {
    fn read(text: &str) -> Option<Self> {
        // The name may hold anything; behind its last bracket the third field begins.
        let fields: Vec<&str> = text.rsplit(')').next()?.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<i64>().ok();
        Some(Self {
            cpu_seconds: (number(14)? + number(15)?) as f64 / TICKS,
            threads: number(20)?,
            started_after_boot: number(22)? as f64 / TICKS,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_is_read_whatever_the_program_is_called() {
        let line =
            "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 1250 50 0 0 20 0 12 0 4200 123456 300 18446744073709551615";
        let stat = Stat::read(line).expect("it is whole");
        let expected = Stat { cpu_seconds: 13.0, threads: 12, started_after_boot: 42.0 };
        assert_eq!(stat, expected);
        assert_eq!(Stat::read("7 (cut) S 1 7"), None);
        assert_eq!(resident_bytes("VmHWM:\t  90 kB\nVmRSS:\t      80 kB\n"), Some(81_920));
    }

    #[test]
    fn this_process_is_resident_and_started_in_the_past() {
        let registry = Registry::new();
        let process = Process::registered(&registry);
        process.refresh();
        assert!(process.resident.get() > 1 << 20, "{} bytes", process.resident.get());
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64();
        let age = now - process.started.get();
        assert!((-2.0..86_400.0).contains(&age), "it started {age} s ago");
        assert!(process.threads.get() >= 1 && process.open_files.get() >= 3);
    }
}
