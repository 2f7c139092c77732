//! Time lost to waiting for processor, memory and disks (PSI), from `/proc/pressure/*`, microseconds there.

use watchkeep_protocol::MetricKind::Counter;

use super::numbers::{Column, Numbers};
use crate::root::Root;

const MICROSECOND: f64 = 1e-6;
/// In the order of [`FILES`].
const PARTS: [&str; 3] = ["cpu", "io", "memory"];
const FILES: [&str; 3] = ["proc/pressure/cpu", "proc/pressure/io", "proc/pressure/memory"];

/// Part, line of the file (`some` waits, `full` stalls), metric, help. A processor never stalls as a whole.
const COLUMNS: [(&str, &str, &str, &str); 5] = [
    (
        "cpu",
        "some",
        "node_pressure_cpu_waiting_seconds_total",
        "Total time in seconds that processes have waited for CPU time",
    ),
    (
        "io",
        "some",
        "node_pressure_io_waiting_seconds_total",
        "Total time in seconds that processes have waited due to IO congestion",
    ),
    (
        "io",
        "full",
        "node_pressure_io_stalled_seconds_total",
        "Total time in seconds no process could make progress due to IO congestion",
    ),
    (
        "memory",
        "some",
        "node_pressure_memory_waiting_seconds_total",
        "Total time in seconds that processes have waited for memory",
    ),
    (
        "memory",
        "full",
        "node_pressure_memory_stalled_seconds_total",
        "Total time in seconds no process could make progress due to memory congestion",
    ),
];

pub fn collector(root: &Root) -> Numbers {
    let column = |(part, field, metric, help): (&'static str, &'static str, &str, &str)| Column {
        part,
        field,
        metric: metric.to_owned(),
        kind: Counter,
        help: help.to_owned(),
        unit: MICROSECOND,
    };
    Numbers::new("pressure", root, &FILES, parse, COLUMNS.map(column).into())
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=1234`
fn parse(file: usize, text: &str, found: &mut dyn FnMut(&str, &str, f64)) {
    for line in text.lines() {
        let total = line.split_once("total=").and_then(|(_, word)| word.trim().parse().ok());
        if let (Some((field, _)), Some(total)) = (line.split_once(' '), total) {
            found(PARTS[file], field, total);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{Stage, TempFiles, fixture_root};

    #[test]
    fn waiting_and_stalling_are_seconds() {
        let reading = Stage::of(collector(&fixture_root("debian12"))).read();
        let of = |name: &str| reading.value(&format!("node_pressure_{name}_seconds_total"), &[]);
        assert_eq!([of("cpu_waiting"), of("io_waiting"), of("io_stalled")], [Some(12.5), Some(3.0), Some(2.25)]);
        assert_eq!([of("memory_waiting"), of("memory_stalled")], [Some(0.5), Some(0.25)]);
    }

    #[test]
    fn a_kernel_without_it_is_calmly_told() {
        let fault = Stage::of(collector(&TempFiles::new().root())).fault();
        assert!(fault.starts_with("this kernel has no"), "{fault}");
    }
}
