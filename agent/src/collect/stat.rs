//! What the kernel counts since it booted, from `/proc/stat`.

use watchkeep_protocol::MetricKind::{Counter, Gauge};

use super::numbers::{Column, Numbers, lines};
use crate::root::Root;

const COLUMNS: [(&str, &str, watchkeep_protocol::MetricKind, &str); 6] = [
    ("intr", "node_intr_total", Counter, "Total number of interrupts serviced."),
    ("ctxt", "node_context_switches_total", Counter, "Total number of context switches."),
    ("btime", "node_boot_time_seconds", Gauge, "Node boot time, in unixtime."),
    ("processes", "node_forks_total", Counter, "Total number of forks."),
    ("procs_running", "node_procs_running", Gauge, "Number of processes in runnable state."),
    ("procs_blocked", "node_procs_blocked", Gauge, "Number of processes blocked waiting for I/O to complete."),
];

pub fn collector(root: &Root) -> Numbers {
    let column = |(field, metric, kind, help): (&'static str, &str, _, &str)| Column {
        part: "",
        field,
        metric: metric.to_owned(),
        kind,
        help: help.to_owned(),
        unit: 1.0,
    };
    Numbers::new("stat", root, &["proc/stat"], lines, COLUMNS.map(column).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{Stage, fixture_root};

    #[test]
    fn the_kernel_s_counts_have_node_exporter_s_names() {
        let reading = Stage::of(collector(&fixture_root("debian12"))).read();
        for (name, value) in [
            ("node_intr_total", 812_345.0),
            ("node_context_switches_total", 3_123_456.0),
            ("node_boot_time_seconds", 1_795_000_000.0),
            ("node_forks_total", 40_121.0),
            ("node_procs_running", 2.0),
            ("node_procs_blocked", 0.0),
        ] {
            assert_eq!(reading.value(name, &[]), Some(value), "{name}");
        }
    }
}
