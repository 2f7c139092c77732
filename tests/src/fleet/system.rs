//! What of a host there is once: load, clock, reboots and the like, which rules of hosts ask for.

use std::collections::BTreeMap;

use watchkeep_protocol::layout::{Instance, Template};
use watchkeep_protocol::{Block, Metric, MetricKind};

/// Its value is the instant that the host is said to have booted at, seconds since 1970.
const BOOTED: &str = "node_boot_time_seconds";

/// Name, first value, and how much it rises a second.
pub const SYSTEM: [(&str, f64, f64); 22] = [
    ("node_load1", 0.7, 0.0),
    ("node_load5", 0.8, 0.0),
    ("node_load15", 0.9, 0.0),
    (BOOTED, 0.0, 0.0),
    ("node_timex_offset_seconds", 0.0001, 0.0),
    ("node_timex_sync_status", 1.0, 0.0),
    ("node_timex_maxerror_seconds", 0.2, 0.0),
    ("node_filefd_allocated", 4_096.0, 0.0),
    ("node_filefd_maximum", 1e6, 0.0),
    ("node_vmstat_oom_kill", 0.0, 0.0),
    ("node_vmstat_pgmajfault", 9_000.0, 2.0),
    ("node_context_switches_total", 4e6, 900.0),
    ("node_forks_total", 7_000.0, 4.0),
    ("node_procs_blocked", 0.0, 0.0),
    ("node_procs_running", 2.0, 0.0),
    ("node_nf_conntrack_entries", 300.0, 0.0),
    ("node_nf_conntrack_entries_limit", 65_536.0, 0.0),
    ("node_netstat_Tcp_RetransSegs", 100.0, 0.1),
    ("node_netstat_Tcp_OutSegs", 1e6, 300.0),
    ("node_edac_uncorrectable_errors_total", 0.0, 0.0),
    ("node_entropy_available_bits", 256.0, 0.0),
    ("node_sockstat_TCP_inuse", 40.0, 0.0),
];

/// Its block.
pub fn block() -> Block {
    let metric = |(name, _, a_second): (&str, f64, f64)| Metric {
        name: name.to_owned(),
        labels: BTreeMap::new(),
        kind: if a_second > 0.0 { MetricKind::Counter } else { MetricKind::Gauge } as i32,
        help: String::new(),
    };
    let metrics = SYSTEM.into_iter().map(metric).collect();
    let template = Template { collector: "system".to_owned(), metrics, instance_labels: Vec::new() };
    Block { template, instances: vec![Instance { values: Vec::new() }] }
}

/// What it begins with on a host that booted then, seconds since 1970.
pub fn first_values(booted: f64) -> Vec<f64> {
    SYSTEM.iter().map(|(name, first, _)| if *name == BOOTED { booted } else { *first }).collect()
}

/// So many seconds later.
pub fn advance(values: &mut [f64], seconds: f64) {
    values.iter_mut().zip(SYSTEM).for_each(|(value, (_, _, a_second))| *value += a_second * seconds);
}
