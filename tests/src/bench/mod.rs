//! Measurements, side by side in one run; `make bench` prints them. Not tests: they say how much, not whether.
//!
//! A row is a file: what it measures, how, and the figures that it gives. Adding one touches that file and [`ROWS`].
//!
//! - [`fleet`]: a whole controller under many agents at a steady rate: lag, CPU, memory, bytes on disk.
//! - [`node_exporter`]: the agent beside Debian's node_exporter: series, values, CPU and memory.
//! - [`remote_write`]: the same stream of remote write into the controller and into Debian's [`peers`].
//! - [`rules`]: the packs' rules and sixty usual ones judged with each report, streaming and by the plain evaluator alone.
//! - [`shard`]: the way of a report from its bytes to the judged rules, in one thread with nothing around it.

mod cpu;
pub mod fleet;
pub mod node_exporter;
mod once;
pub mod peers;
pub mod remote_write;
pub mod rules;
pub mod shard;

use anyhow::Result;

/// How large the measurements are; small by default, so that all of them take two minutes.
#[derive(Clone, Debug, clap::Args)]
pub struct Size {
    /// Hosts
    #[arg(long, default_value_t = 100)]
    pub hosts: usize,
    /// Series of each host, about
    #[arg(long, default_value_t = 300)]
    pub series: usize,
    /// Seconds between reports of one host
    #[arg(long, default_value_t = 15.0)]
    pub interval: f64,
    /// How long a steady rate is watched
    #[arg(long, default_value_t = 1)]
    pub minutes: u32,
    /// Reports of each host, where no time passes
    #[arg(long, default_value_t = 40)]
    pub reports: usize,
}

/// One measurement.
pub struct Row {
    pub name: &'static str,
    /// What is measured, in a sentence.
    pub what: &'static str,
    pub run: fn(&Size) -> Result<Vec<Figure>>,
}

/// All of them, in the order in which they run.
pub const ROWS: [Row; 5] = [rules::ROW, shard::ROW, remote_write::ROW, fleet::ROW, node_exporter::ROW];

/// One number of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub what: String,
    pub value: f64,
    pub unit: &'static str,
}

impl Figure {
    pub fn new(what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { what: what.into(), value, unit }
    }
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = if self.value == self.value.round() || self.value.abs() >= 1_000.0 { 0 } else { 3 };
        write!(f, "{:<52} {:>14.digits$} {}", self.what, self.value, self.unit)
    }
}
