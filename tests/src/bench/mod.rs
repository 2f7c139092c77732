//! Measurements, side by side in one run; `make bench` prints them. Not tests: they say how much, not whether.
//!
//! A row is a file: what it measures, how, and the figures that it gives. Adding one touches that file and [`ROWS`].
//!
//! Those that compare say how they stand: the ratio, at which it may ship and what is aimed at, and how far it is from the
//! [floor](floors), the least that the same work can cost.
//!
//! - [`alerts`]: new alerts through Alertmanager's API, into incidents here, into memory there.
//! - [`fleet`]: a whole controller under many agents at a steady rate: lag, CPU, memory, bytes on disk.
//! - [`latency`]: from a sample's arrival to the incident on the disk, while many come in.
//! - [`memory`]: what a series takes with its last samples.
//! - [`node_exporter`]: the agent beside Debian's node_exporter: series, values, CPU and memory.
//! - [`remote_write`]: the same stream of remote write into the controller and into Debian's [`peers`].
//! - [`rules`]: sixty usual rules judged with each report, streaming and by the plain evaluator, and by Prometheus.
//! - [`shard`]: the way of a report from its bytes to the judged rules, in one thread with nothing around it.
//! - [`whole`]: resident memory of a controller with hosts and rules, of Prometheus and Alertmanager with the same.
//! - [`wire`]: a whole controller as fast as its agents report, with rules.

pub mod alerts;
pub mod beside;
mod cpu;
pub mod fleet;
mod floors;
pub mod generated;
pub mod latency;
pub mod memory;
pub mod node_exporter;
pub mod peers;
pub mod remote_write;
pub mod rules;
pub mod shard;
pub mod whole;
pub mod wire;
mod write;

use anyhow::Result;

/// How large the measurements are; small by default. `--hosts 1000` is what the figures of ARCHITECTURE.md are of.
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
pub const ROWS: [Row; 10] = [
    wire::ROW,
    remote_write::ROW,
    memory::ROW,
    rules::ROW,
    latency::ROW,
    alerts::ROW,
    whole::ROW,
    shard::ROW,
    fleet::ROW,
    node_exporter::ROW,
];

/// One number of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub what: String,
    pub value: f64,
    pub unit: &'static str,
    pub target: Option<Target>,
}

impl Figure {
    pub fn new(what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { what: what.into(), value, unit, target: None }
    }

    /// The same, which is to be so much.
    pub fn against(self, target: Target) -> Self {
        Self { target: Some(target), ..self }
    }
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = if self.value == self.value.round() || self.value.abs() >= 1_000.0 { 0 } else { 3 };
        write!(f, "{:<52} {:>14.digits$} {}", self.what, self.value, self.unit)?;
        self.target.map_or(Ok(()), |target| {
            let word = if target.is_met(self.value) { "met" } else { "missed" };
            write!(f, "   ship at {:.3}: {word}; aim {:.3}", target.ship_at, target.aim)
        })
    }
}

/// What a figure has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    pub ship_at: f64,
    pub aim: f64,
    more_is_better: bool,
}

impl Target {
    pub const fn at_least(ship_at: f64, aim: f64) -> Self {
        Self { ship_at, aim, more_is_better: true }
    }

    pub const fn at_most(ship_at: f64, aim: f64) -> Self {
        Self { ship_at, aim, more_is_better: false }
    }

    /// Whether what has this value may ship.
    pub fn is_met(self, value: f64) -> bool {
        if self.more_is_better { value >= self.ship_at } else { value <= self.ship_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_says_whether_it_may_ship() {
        let said = |value, target| Figure::new("ratio", value, "×").against(target).to_string();
        assert!(said(20.0, Target::at_least(20.0, 170.0)).ends_with("ship at 20.000: met; aim 170.000"));
        assert!(said(19.9, Target::at_least(20.0, 170.0)).contains(": missed;"));
        assert!(said(0.2, Target::at_most(0.2, 0.04)).contains(": met;"));
        assert!(said(f64::NAN, Target::at_most(0.2, 0.04)).contains(": missed;"), "what is no number meets nothing");
    }
}
