//! The packs' rules and sixty usual ones over many hosts: what judging a report costs as it streams, and what it costs the
//! plain evaluator alone.
//!
//! One thread, nothing around it: rows are in their columns already when the clock begins to run. Both live the same life.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use watchkeep::detect::Rules;
use watchkeep::detect::metrics::{HostMetrics, Judged, MetricGroups, RuleHealth};
use watchkeep::generation::Generation;
use watchkeep::samples::{HeldLayout, HostSeries, Templates};
use watchkeep_desk::Millis;
use watchkeep_protocol::layout::Row as Values;
use watchkeep_protocol::{Layout, Report};

use super::cpu::CpuClock;
use super::once::{SYSTEM, System};
use super::{Figure, Row, Size};
use crate::chance::Chance;
use crate::fleet::estate::Estate;
use crate::fleet::shape::Shape;

pub const ROW: Row = Row {
    name: "rules",
    what: "rules of linux-host and systemd and 60 usual ones, judged with each report as it streams and by the plain evaluator",
    run,
};

const SETTINGS: &str = "packs:\n  - use: linux-host\n  - use: systemd\n";
const USUAL: &str = include_str!("usual-rules.yaml");
pub const BEGAN: i64 = 1_800_000_000_000;

fn run(size: &Size) -> Result<Vec<Figure>> {
    let files = [("watchkeep.yaml", SETTINGS), ("rules/usual.yaml", USUAL)];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let generation = Generation::check(BTreeMap::from(files)).context("check the packs and the usual rules")?;
    let streaming = Rules::new(&generation).metrics;
    let plain = MetricGroups { streaming: Arc::default(), ..streaming.clone() };
    let rules: usize = streaming.hosts.iter().map(|group| group.rules.len()).sum();
    let mut figures = vec![Figure::new("rules of single hosts", rules as f64, "")];
    let of_plain = Side::live("plain", size, &plain, &mut figures)?;
    let of_streaming = Side::live("streaming", size, &streaming, &mut figures)?;
    ensure!(of_plain.told == of_streaming.told, "{} changes told, streaming {}", of_plain.told, of_streaming.told);
    let ratio = of_plain.report.as_secs_f64() / of_streaming.report.as_secs_f64();
    let Judged { streamed, plain } = of_streaming.judged;
    figures.extend([
        Figure::new("plain over streaming", ratio, "times"),
        Figure::new("streaming, bytes more a host", of_streaming.bytes - of_plain.bytes, "bytes"),
        Figure::new("evaluations that the stream decided", streamed as f64 / (streamed + plain) as f64 * 100.0, "%"),
        Figure::new("alerts told by both", of_plain.told as f64, ""),
    ]);
    Ok(figures)
}

/// What one way of judging came to.
struct Side {
    /// CPU time a report, once windows are full.
    report: Duration,
    /// Of resident memory, a host.
    bytes: f64,
    judged: Judged,
    told: usize,
    /// Kept, so that the memory of one side is not used again by the other.
    _hosts: Fleet,
}

impl Side {
    fn live(way: &str, size: &Size, groups: &MetricGroups, figures: &mut Vec<Figure>) -> Result<Self> {
        let before = resident()?;
        let mut fleet = Fleet::new(size, groups);
        let mut spent = Vec::new();
        for _ in 0..size.reports {
            spent.push(fleet.round());
        }
        let bytes = resident()?.saturating_sub(before) as f64 / size.hosts as f64;
        let mut later = spent.split_off(spent.len() / 2);
        later.sort();
        let round = later.get(later.len() / 2).copied().context("no round was measured: ask for more --reports")?;
        let report = round / u32::try_from(size.hosts)?;
        figures.push(Figure::new(format!("{way}, a report judged"), report.as_secs_f64() * 1e6, "CPU µs"));
        figures.push(Figure::new(format!("{way}, a round of all hosts"), round.as_secs_f64() * 1e3, "CPU ms"));
        let most = spent.iter().max().copied().unwrap_or_default() / u32::try_from(size.hosts)?;
        figures.push(Figure::new(
            format!("{way}, of the first reports the dearest"),
            most.as_secs_f64() * 1e6,
            "CPU µs",
        ));
        figures.push(Figure::new(format!("{way}, resident memory of samples and rules"), bytes, "bytes a host"));
        Ok(Self { report, bytes, judged: fleet.health.take_judged(), told: fleet.told, _hosts: fleet })
    }
}

struct Fleet {
    hosts: Vec<Host>,
    health: RuleHealth,
    at: i64,
    interval: i64,
    told: usize,
}

struct Host {
    agent: String,
    metrics: HostMetrics,
    series: HostSeries,
    shape: Shape,
    layout: Arc<HeldLayout>,
    system: System,
}

impl Fleet {
    fn new(size: &Size, groups: &MetricGroups) -> Self {
        let mut templates = Templates::default();
        let hosts = (0..size.hosts).map(|index| Host::new(index, size.series, groups, &mut templates)).collect();
        let interval = (size.interval * 1_000.0) as i64;
        Self { hosts, health: RuleHealth::default(), at: BEGAN, interval, told: 0 }
    }

    /// Every host reports once; what judging takes.
    fn round(&mut self) -> Duration {
        self.at += self.interval;
        for host in &mut self.hosts {
            host.take(self.at, self.interval as f64 / 1_000.0);
        }
        let (clock, at) = (CpuClock::start(), Millis(self.at));
        for host in &mut self.hosts {
            let (changes, _) = host.metrics.report(&host.agent, &mut host.series, at, at, &mut self.health);
            self.told += changes.len();
        }
        clock.spent()
    }
}

impl Host {
    fn new(index: usize, series: usize, groups: &MetricGroups, templates: &mut Templates) -> Self {
        let agent = format!("sim-{}", index + 1);
        let estate = Estate::new(&agent, index, Shape::units_of(series.saturating_sub(SYSTEM.len())));
        let shape = Shape::new(estate.units(), Chance::of(index as u64 + 1));
        let layout = Layout::whole(shape.blocks().iter().cloned().chain([System::block()]).collect());
        Self {
            metrics: HostMetrics::restore(groups, Default::default()),
            series: HostSeries::new(&agent, &BTreeMap::new()),
            agent,
            shape,
            layout: Arc::new(HeldLayout::new(&layout, templates)),
            system: System::new(),
        }
    }

    fn take(&mut self, at_ms: i64, seconds: f64) {
        self.shape.advance(seconds);
        self.system.advance(seconds);
        let mut rows = self.shape.rows();
        rows.push(Values { block: rows.len() as u32, values: self.system.0.clone(), flags: Vec::new() });
        let report = Report { at_ms, rows, ..Report::default() };
        self.series.take(&report, &self.layout, at_ms);
    }
}

/// Bytes that this process has in memory: proc(5), `statm`, in pages of 4 KiB.
fn resident() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").context("read /proc/self/statm")?;
    let pages: u64 = text.split(' ').nth(1).context("/proc/self/statm has two numbers")?.parse()?;
    Ok(pages * 4_096)
}
