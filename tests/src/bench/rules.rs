//! Sixty usual rules over many hosts: what judging a report costs as it streams, what it costs the plain evaluator alone, and
//! what evaluating the same rules over the same values costs Prometheus.
//!
//! Here one thread, nothing around it: rows are in their columns already when the clock begins to run. Both ways live the same
//! life. There what [`super::beside`] counts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use watchkeep::detect::Rules;
use watchkeep::detect::metrics::{HostMetrics, Judged, MetricGroups, RuleHealth};
use watchkeep::generation::Generation;
use watchkeep::samples::{HeldLayout, HostSeries, Templates};
use watchkeep_desk::Millis;
use watchkeep_protocol::Report;

use super::cpu::CpuClock;
use super::generated::Generated;
use super::{Figure, Row, Size, Target, beside, floors};

pub const ROW: Row = Row {
    name: "rules",
    what: "60 usual rules judged with each report, as it streams and by the plain evaluator, and by Prometheus",
    run,
};

/// Rules as users of node_exporter have them.
pub const USUAL: &str = include_str!("usual-rules.yaml");
const BEGAN: i64 = 1_800_000_000_000;

fn run(size: &Size) -> Result<Vec<Figure>> {
    let generation = Generation::check(BTreeMap::from([usual()])).context("check the usual rules")?;
    let streaming = Rules::new(&generation).metrics;
    let plain = MetricGroups { streaming: Arc::default(), ..streaming.clone() };
    let rules: usize = streaming.hosts.iter().map(|group| group.rules.len()).sum();
    let mut figures = vec![Figure::new("rules of single hosts", rules as f64, "")];
    let of_plain = Side::live("plain", size, &plain, &mut figures)?;
    let of_streaming = Side::live("streaming", size, &streaming, &mut figures)?;
    ensure!(of_plain.told == of_streaming.told, "{} changes told, streaming {}", of_plain.told, of_streaming.told);
    let ratio = of_plain.report.as_secs_f64() / of_streaming.report.as_secs_f64();
    let Judged { streamed, plain } = of_streaming.judged;
    let theirs = beside::costs(size)?;
    let ours = of_streaming.report.as_secs_f64() * size.hosts as f64;
    let floor = floors::THRESHOLDS_OF_1000_HOSTS.as_secs_f64() * size.hosts as f64 / 1_000.0;
    figures.extend([
        Figure::new("prometheus, a round of all hosts", theirs.round * 1e3, "CPU ms"),
        Figure::new("a round, of prometheus's", ours / theirs.round, "×")
            .against(Target::at_most(1.0 / 50.0, 1.0 / 340.0)),
        Figure::new("a round, over the floor", ours / floor, "×"),
        Figure::new("plain over streaming", ratio, "times"),
        Figure::new("streaming, bytes more a host", of_streaming.bytes - of_plain.bytes, "bytes"),
        Figure::new("evaluations that the stream decided", streamed as f64 / (streamed + plain) as f64 * 100.0, "%"),
        Figure::new("alerts told by both", of_plain.told as f64, ""),
    ]);
    Ok(figures)
}

/// The file of the rules, as the configuration directory has it.
pub fn usual() -> (String, String) {
    ("rules/usual.yaml".to_owned(), USUAL.to_owned())
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
    metrics: HostMetrics,
    series: HostSeries,
    generated: Generated,
    layout: Arc<HeldLayout>,
}

impl Fleet {
    fn new(size: &Size, groups: &MetricGroups) -> Self {
        let mut templates = Templates::default();
        let host = |generated| Host::new(generated, groups, &mut templates);
        let hosts = Generated::fleet(size, BEGAN).into_iter().map(host).collect();
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
            let agent = &host.generated.agent;
            let (changes, _) = host.metrics.report(agent, &mut host.series, at, at, &mut self.health);
            self.told += changes.len();
        }
        clock.spent()
    }
}

impl Host {
    fn new(generated: Generated, groups: &MetricGroups, templates: &mut Templates) -> Self {
        Self {
            metrics: HostMetrics::restore(groups, Default::default()),
            series: HostSeries::new(&generated.agent, &BTreeMap::new()),
            layout: Arc::new(HeldLayout::new(&generated.layout(), templates)),
            generated,
        }
    }

    fn take(&mut self, at_ms: i64, seconds: f64) {
        self.generated.advance(seconds);
        let report = Report { at_ms, rows: self.generated.rows(), ..Report::default() };
        self.series.take(&report, &self.layout, at_ms);
    }
}

/// Bytes that this process has in memory: proc(5), `statm`, in pages of 4 KiB.
///
/// # Errors
/// The file cannot be read.
pub fn resident() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").context("read /proc/self/statm")?;
    let pages: u64 = text.split(' ').nth(1).context("/proc/self/statm has two numbers")?.parse()?;
    Ok(pages * 4_096)
}
