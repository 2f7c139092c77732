//! Two of the same host live the same life, one with a stream and one without: what they tell, write and keep is the same.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use watchkeep_desk::Millis;
use watchkeep_protocol::layout::{Block, Flag, Instance, Metric, Template};
use watchkeep_protocol::{Layout, Report, Row};
use watchkeep_rules::load;
use watchkeep_rules::promql::series::Samples;
use watchkeep_rules::selector::Selector;

use super::{HostMetrics, Judged, MetricGroups, RuleHealth};
use crate::samples::{HeldLayout, HostSeries, Templates};

const START: i64 = 1_800_000_000_000;
const STEP: i64 = 15_000;

const RULES: &str = r#"groups:
  - name: disks
    rules:
      - {record: 'disk:free', expr: 'free / size'}
      - {alert: Low, expr: 'free / size < 0.1'}
      - {alert: LowLong, expr: 'free / size < 0.3 and on (device) predict_linear(free[10m], 3600) < 0', for: 30s}
      - {alert: LowRecorded, expr: 'disk:free < 0.2'}
      - {alert: Slow, expr: 'rate(work_total{mode="wait"}[1m]) / rate(work_total{mode="busy"}[1m]) > 2'}
      - {alert: Waits, expr: 'sum by (instance) (rate(work_total[2m])) > 9', for: 20s, keep_firing_for: 1m}
      - {alert: Beside, expr: 'free < 20 and max_over_time(free[2m:15s]) > 60'}
      - alert: Asks
        expr: increase(work_total[5m]) > 100
        annotations: {also: '{{ range query "free" }}{{ .Value }} {{ end }}'}
  - name: load
    rules:
      - {alert: Loaded, expr: 'load > 95 or changes(load[2m]) > 7'}
      - {alert: Ended, expr: 'absent_over_time(load[1m])'}
      - {alert: Mean, expr: 'avg_over_time(load[3m]) > 60 unless on (instance) zone == 1'}
  - name: earlier
    query_offset: 30s
    rules: [{alert: LoadedThen, expr: 'load > 95'}]
"#;
/// What a reload brings instead.
const OTHERS: &str = r#"groups:
  - name: load
    rules:
      - {alert: Loaded, expr: 'load > 90'}
      - {record: 'size', expr: 'load * 2'}
      - {alert: Low, expr: 'free / size < 0.1'}
"#;

fn groups(text: &str, streaming: bool) -> MetricGroups {
    let book =
        load::load(&[(PathBuf::from("rules.yaml"), text.to_owned())]).unwrap_or_else(|faults| panic!("{faults}"));
    let mut groups = MetricGroups::new(&book, &Arc::default()).expect("the test's own rules");
    if !streaming {
        groups.streaming = Arc::default();
    }
    groups
}

/// Numbers that look random and follow from the seed (Knuth's MMIX generator).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn template(collector: &str, label: &[&str], metrics: &[(&str, &str)]) -> Template {
    let metric = |(name, mode): &(&str, &str)| Metric {
        name: (*name).to_owned(),
        labels: BTreeMap::from([("mode".to_owned(), (*mode).to_owned())]),
        ..Metric::default()
    };
    let instance_labels = label.iter().map(|label| (*label).to_owned()).collect();
    Template { collector: collector.to_owned(), metrics: metrics.iter().map(metric).collect(), instance_labels }
}

fn layout(devices: &[&str], zone: bool) -> Arc<Layout> {
    let metrics = [("free", ""), ("size", ""), ("work_total", "wait"), ("work_total", "busy"), ("unread", "")];
    let instance = |device: &&str| Instance { values: vec![(*device).to_owned()] };
    let disks =
        Block { template: template("disk", &["device"], &metrics), instances: devices.iter().map(instance).collect() };
    let of_host = [("load", ""), ("zone", "")];
    let of_host = template("host", &[], &of_host[..if zone { 2 } else { 1 }]);
    let host = Block { template: of_host, instances: vec![Instance { values: Vec::new() }] };
    Arc::new(Layout::whole(vec![host, disks]))
}

/// One of the two.
struct Host {
    streaming: bool,
    metrics: HostMetrics,
    series: HostSeries,
    templates: Templates,
    health: RuleHealth,
}

impl Host {
    fn new(streaming: bool) -> Self {
        Self {
            streaming,
            metrics: HostMetrics::restore(&groups(RULES, streaming), Default::default()),
            series: HostSeries::new("web-1", &BTreeMap::new()),
            templates: Templates::default(),
            health: RuleHealth::default(),
        }
    }

    /// Does it, and says what followed.
    fn step(&mut self, step: &Step) -> String {
        match step {
            Step::Report { at, now, layout, rows } => {
                let report = Report { rows: rows.clone(), ..Report::default() };
                let layout = Arc::new(HeldLayout::new(layout, &mut self.templates));
                let taken = self.series.take(&report, &layout, *at);
                if !taken.newest {
                    return String::new();
                }
                let (at, now) = (Millis(*at), Millis(*now));
                format!("{:?}", self.metrics.report("web-1", &mut self.series, at, now, &mut self.health))
            }
            Step::Silent { now } => {
                let held = self.metrics.lost("web-1", "its agent ended", true, Millis(*now));
                let ticked = self.metrics.tick("web-1", &mut self.series, true, Millis(*now), &mut self.health);
                format!("{held:?} {ticked:?}")
            }
            Step::Stopped { now } => {
                self.series.end(*now);
                format!("{:?}", self.metrics.lost("web-1", "its agent was stopped", false, Millis(*now)))
            }
            Step::Restart => {
                let kept = serde_json::to_string(&self.metrics.kept()).expect("plain data");
                let kept = serde_json::from_str(&kept).expect("it reads back");
                self.metrics = HostMetrics::restore(&groups(RULES, self.streaming), kept);
                String::new()
            }
            Step::Reload { now, rules } => {
                let groups = groups(rules, self.streaming);
                format!("{:?}", self.metrics.reload("web-1", &groups, &mut self.series, Millis(*now), &mut self.health))
            }
            Step::Relabel { zone } => {
                self.series.relabel("web-1", &BTreeMap::from([("zone".to_owned(), zone.to_string())]));
                String::new()
            }
            Step::Cut => {
                self.series.cut();
                String::new()
            }
        }
    }

    /// Every point of every series, and what is kept, with NaN equal to itself.
    fn all(&self) -> String {
        let series = self.series.select(&Selector::default(), i64::MIN, i64::MAX).expect("memory can be read");
        let bits = |value: f64| value.to_bits();
        let series: Vec<_> = series
            .iter()
            .map(|series| {
                let points: Vec<_> = series.points.iter().map(|point| (point.at, bits(point.value))).collect();
                format!("{} {points:?}\n", series.labels)
            })
            .collect();
        format!("{}{:?}", series.concat(), self.metrics.kept())
    }
}

#[derive(Debug)]
enum Step {
    Report { at: i64, now: i64, layout: Arc<Layout>, rows: Vec<Row> },
    Silent { now: i64 },
    Stopped { now: i64 },
    Restart,
    Reload { now: i64, rules: &'static str },
    Relabel { zone: u64 },
    Cut,
}

/// What happens to the host.
struct Life {
    dice: Dice,
    devices: Vec<&'static str>,
    zone: bool,
    at: i64,
    counters: f64,
}

impl Life {
    fn new(seed: u64) -> Self {
        Self { dice: Dice(seed), devices: vec!["a", "b"], zone: true, at: START, counters: 0.0 }
    }

    fn step(&mut self) -> Step {
        match self.dice.roll(60) {
            0 => Step::Restart,
            1 => Step::Reload { now: self.at, rules: if self.dice.roll(2) == 0 { OTHERS } else { RULES } },
            2 => Step::Relabel { zone: self.dice.roll(2) },
            3 => Step::Silent { now: self.at + 10 * STEP },
            4 => Step::Cut,
            10 => Step::Stopped { now: self.at + 1 },
            5 => {
                let late = STEP + self.dice.roll(90_000) as i64;
                self.report(self.at - late)
            }
            6 => self.report(self.at),
            7 => {
                self.zone = !self.zone;
                self.report(self.at - 7_000)
            }
            8 | 9 => {
                let device = ["a", "b", "c"][self.dice.roll(3) as usize];
                match self.devices.iter().position(|known| *known == device) {
                    Some(place) => drop(self.devices.remove(place)),
                    None => self.devices.push(device),
                }
                self.next()
            }
            _ => self.next(),
        }
    }

    fn next(&mut self) -> Step {
        self.at += if self.dice.roll(25) == 0 { 11 * STEP } else { STEP + self.dice.roll(3) as i64 - 1 };
        self.report(self.at)
    }

    fn report(&mut self, at: i64) -> Step {
        let layout = layout(&self.devices, self.zone);
        let mut rows = Vec::new();
        for (place, block) in (0..).zip(&layout.blocks) {
            if self.dice.roll(8) > 0 {
                let values = block.instances.iter().flat_map(|_| &block.template.metrics);
                let values: Vec<f64> = values.map(|metric| self.value(&metric.name)).collect();
                let flags = match self.dice.roll(6) {
                    0 => values.iter().map(|_| self.flag()).collect(),
                    _ => Vec::new(),
                };
                rows.push(Row { block: place, values, flags });
            }
        }
        // Half a minute late at times: alerts wait.
        let now = self.at + if self.dice.roll(10) == 0 { 40_000 } else { 0 };
        Step::Report { at, now, layout, rows }
    }

    fn flag(&mut self) -> u8 {
        match self.dice.roll(8) {
            0 => Flag::Failed as u8,
            1 => Flag::Ended as u8,
            _ => 0,
        }
    }

    fn value(&mut self, metric: &str) -> f64 {
        match (metric, self.dice.roll(30)) {
            (_, 0) => f64::NAN,
            ("size", _) => 100.0,
            ("work_total", 1) => 0.0,
            ("work_total", _) => {
                self.counters += self.dice.roll(90) as f64 / 7.0;
                self.counters
            }
            ("zone", of) => (of % 2) as f64,
            _ => self.dice.roll(1_000) as f64 / 10.0,
        }
    }
}

/// Lives a life of both; how they were judged, and how many changes there were.
fn live(seed: u64, steps: usize) -> Result<(Judged, usize), TestCaseError> {
    let (mut streaming, mut plain) = (Host::new(true), Host::new(false));
    let mut life = Life::new(seed);
    let mut told = 0;
    for count in 0..steps {
        let step = life.step();
        let (of_streaming, of_plain) = (streaming.step(&step), plain.step(&step));
        told += of_plain.matches("AlertChange").count();
        prop_assert_eq!(of_streaming, of_plain, "told after step {}, {:?}", count, step);
        if count % 20 == 19 {
            prop_assert_eq!(streaming.all(), plain.all(), "written or kept after step {}, {:?}", count, step);
        }
    }
    prop_assert_eq!(plain.health.take_judged().streamed, 0);
    Ok((streaming.health.take_judged(), told))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(16) })]

    #[test]
    fn a_host_that_is_streamed_tells_writes_and_keeps_what_one_that_is_not_does(seed in any::<u64>()) {
        live(seed, 80)?;
    }
}

#[test]
fn a_long_life_is_mostly_streamed() {
    let (judged, told) = live(11, 300).expect("the two agree");
    assert!(told > 80, "{told} changes");
    assert!(judged.streamed > judged.plain / 2, "{judged:?}");
}
