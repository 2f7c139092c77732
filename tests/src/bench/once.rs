//! What of a host there is once: load, clock, reboots and the like, which rules of hosts ask for.

use std::collections::BTreeMap;

use watchkeep_protocol::layout::{Instance, Template};
use watchkeep_protocol::{Block, Metric, MetricKind};

use super::rules::BEGAN;

/// Name, first value, and how much it rises a second.
pub const SYSTEM: [(&str, f64, f64); 22] = [
    ("node_load1", 0.7, 0.0),
    ("node_load5", 0.8, 0.0),
    ("node_load15", 0.9, 0.0),
    ("node_boot_time_seconds", BEGAN as f64 / 1_000.0 - 4e6, 0.0),
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

/// The values of now.
pub struct System(pub Vec<f64>);

impl System {
    pub fn new() -> Self {
        Self(SYSTEM.iter().map(|(_, first, _)| *first).collect())
    }

    pub fn advance(&mut self, seconds: f64) {
        self.0.iter_mut().zip(SYSTEM).for_each(|(value, (_, _, a_second))| *value += a_second * seconds);
    }

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
}
