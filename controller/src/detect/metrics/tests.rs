//! Rules over samples on one host, report by report.

use std::collections::BTreeMap;
use std::path::PathBuf;

use watchkeep_desk::Millis;
use watchkeep_desk::input::{AlertChange, AlertState};
use watchkeep_rules::load;
use watchkeep_rules::model::RuleBook;
use watchkeep_rules::promql::labels::{Labels, NAME};
use watchkeep_rules::promql::series::Point;

use super::{FleetMetrics, HostMetrics, KeptFleet, MetricGroups, RuleHealth};
use crate::samples::HostSeries;

const START: i64 = 1_800_000_000_000;
const SECOND: i64 = 1_000;

const RULES: &str = "groups:
  - name: load
    rules:
      - record: load:doubled
        expr: load * 2
      - alert: Busy
        expr: load:doubled > 10
        for: 30s
        labels: {severity: warning}
      - alert: HostGone
        expr: up == 0
        for: 30s
      - alert: ManyBusy
        expr: count(load > 5) >= 2
";

fn book(text: &str) -> RuleBook {
    load::load(&[(PathBuf::from("rules.yaml"), text.to_owned())]).unwrap_or_else(|faults| panic!("{faults}"))
}

fn groups(text: &str) -> MetricGroups {
    MetricGroups::new(&book(text), &std::sync::Arc::default()).expect("the test's own rules")
}

/// One host with its series, fed with one metric.
struct Bench {
    metrics: HostMetrics,
    series: HostSeries,
    health: RuleHealth,
}

impl Bench {
    fn new(rules: &str) -> Self {
        let metrics = HostMetrics::restore(&groups(rules), Default::default());
        Self { metrics, series: HostSeries::new("web-1", &BTreeMap::new()), health: RuleHealth::default() }
    }

    /// A report read at `at` seconds, which comes at `now` seconds.
    fn report(&mut self, at: i64, now: i64, load: f64) -> Vec<String> {
        let labels = self.series.base().with(NAME, "load");
        self.series.write(&labels, START + at * SECOND, load);
        let (at, now) = (Millis(START + at * SECOND), Millis(START + now * SECOND));
        let (changes, _) = self.metrics.report("web-1", &mut self.series, at, now, &mut self.health);
        changes.iter().map(said).collect()
    }

    /// One value after the other, every 15 s from `from`, each in time.
    fn reports(&mut self, from: i64, loads: &[f64]) -> Vec<String> {
        let each = (from..).step_by(15).zip(loads);
        each.flat_map(|(at, load)| self.report(at, at, *load)).collect()
    }

    fn reload(&mut self, now: i64, rules: &str) -> Vec<String> {
        let now = Millis(START + now * SECOND);
        let changes = self.metrics.reload("web-1", &groups(rules), &mut self.series, now, &mut self.health);
        changes.iter().map(said).collect()
    }

    fn tick(&mut self, now: i64, is_silent: bool) -> Vec<String> {
        let now = Millis(START + now * SECOND);
        let (changes, _) = self.metrics.tick("web-1", &mut self.series, is_silent, now, &mut self.health);
        changes.iter().map(said).collect()
    }
}

/// `Busy firing at 30`, in seconds since the start.
fn said(change: &AlertChange) -> String {
    let at = (change.happened_at.0 - START) / SECOND;
    match change.state {
        AlertState::Past { until } => format!("{} past {at} to {}", change.rule, (until.0 - START) / SECOND),
        state => {
            format!("{} {} at {at}", change.rule, serde_json::to_string(&state).expect("a word").trim_matches('"'))
        }
    }
}

#[test]
fn a_rule_is_judged_at_the_instant_of_each_report() {
    let mut bench = Bench::new(RULES);
    assert_eq!(bench.reports(0, &[9.0, 9.0, 9.0, 9.0, 1.0, 9.0]), ["Busy firing at 30", "Busy resolved at 60"]);
    let recorded = bench.series.base().with(NAME, "load:doubled");
    let found = watchkeep_rules::promql::series::Samples::select(
        &bench.series,
        &watchkeep_rules::selector::Selector::parse("{__name__=\"load:doubled\"}").expect("a selector"),
        START - 1,
        START + 60 * SECOND,
    );
    let found = found.expect("they can be read");
    assert_eq!(found[0].labels, recorded);
    assert_eq!(found[0].points.last(), Some(&Point { at: START + 60 * SECOND, value: 2.0 }));
}

#[test]
fn what_fired_and_cleared_late_is_of_the_past_and_what_still_fires_is_told_with_its_own_time() {
    let mut bench = Bench::new(RULES);
    bench.report(0, 0, 1.0);
    let late = |bench: &mut Bench, at, load| bench.report(at, 600, load);
    for at in [15, 30, 45] {
        assert!(late(&mut bench, at, 9.0).is_empty(), "at {at}");
    }
    assert_eq!(late(&mut bench, 60, 1.0), ["Busy past 45 to 60"]);
    for at in [75, 90, 105] {
        assert!(late(&mut bench, at, 9.0).is_empty(), "at {at}");
    }
    assert_eq!(bench.report(590, 600, 9.0), ["Busy firing at 105"], "told once reports are fresh");
    assert_eq!(bench.report(605, 605, 1.0), ["Busy resolved at 605"]);
}

#[test]
fn a_host_that_always_lags_is_heard_after_two_minutes() {
    let mut bench = Bench::new(RULES);
    let lagging = |bench: &mut Bench, at: i64| bench.report(at, at + 60, 9.0);
    assert!([0, 15, 30].into_iter().all(|at| lagging(&mut bench, at).is_empty()));
    assert!(bench.tick(200, false).is_empty());
    assert_eq!(bench.tick(211, false), ["Busy firing at 30"]);
}

#[test]
fn a_silent_host_holds_what_fires_and_is_down_by_its_own_rule() {
    let mut bench = Bench::new(RULES);
    bench.reports(0, &[9.0, 9.0, 9.0]);
    let held: Vec<String> =
        bench.metrics.lost("web-1", "its agent ended", true, Millis(START + 60 * SECOND)).iter().map(said).collect();
    assert_eq!(held, ["Busy stale at 60"]);
    let mut told = Vec::new();
    for now in (60..=180).step_by(5) {
        told.extend(bench.tick(now, true));
    }
    assert_eq!(told, ["HostGone firing at 90"]);
    assert_eq!(bench.report(195, 195, 9.0), ["Busy firing at 195", "HostGone resolved at 195"]);
    assert_eq!(bench.report(210, 210, 1.0), ["Busy resolved at 210"]);
}

#[test]
fn what_comes_again_after_a_restart_is_judged_once_and_goes_on() {
    let mut bench = Bench::new(RULES);
    bench.reports(0, &[9.0, 9.0]);
    let kept = serde_json::to_string(&bench.metrics.kept()).expect("plain data");
    let kept = serde_json::from_str(&kept).expect("it reads back");
    bench.metrics = HostMetrics::restore(&groups(RULES), kept);
    assert_eq!(bench.reports(0, &[1.0, 1.0, 9.0, 1.0]), ["Busy firing at 30", "Busy resolved at 45"]);
}

#[test]
fn a_reload_keeps_what_it_knows_and_resolves_what_is_gone() {
    let mut bench = Bench::new(RULES);
    bench.reports(0, &[9.0, 9.0, 9.0]);
    assert!(bench.reload(40, &RULES.replace("for: 30s", "for: 1m")).is_empty());
    assert_eq!(bench.reload(40, "groups: []\n"), ["Busy resolved at 40"]);
}

#[test]
fn rules_across_hosts_are_judged_at_multiples_of_their_interval() {
    let mut fleet = FleetMetrics::restore(&groups(RULES).fleet, KeptFleet::default());
    let mut samples = watchkeep_rules::promql::memory::Memory::default();
    for host in ["web-1", "web-2"] {
        let labels = Labels::new([(NAME, "load"), ("instance", host)]);
        samples.append(&labels, Point { at: START, value: 9.0 }).expect("in order");
    }
    let mut told = Vec::new();
    for now in [START + 1, START + 7 * SECOND, START + 16 * SECOND, START + 400 * SECOND] {
        told.extend(
            fleet.step(&samples, Millis(now), &mut |_| {}, &mut RuleHealth::default()).changes.iter().map(said),
        );
    }
    assert_eq!(told, ["ManyBusy firing at 0", "ManyBusy resolved at 390"]);
}

#[test]
fn rules_are_parted_by_what_they_need_and_know_how_far_they_look() {
    let parted = groups(RULES);
    let names = |groups: &[std::sync::Arc<super::RuleGroup>]| -> Vec<String> {
        groups.iter().flat_map(|group| group.rules.rules().map(|(rule, _)| rule.name().to_owned())).collect()
    };
    assert_eq!(names(&parted.hosts), ["load:doubled", "Busy"]);
    assert_eq!(names(&parted.presence), ["HostGone"]);
    assert_eq!(names(&parted.fleet), ["ManyBusy"]);
    let far = "groups:
  - name: far
    rules:
      - {alert: Far, expr: 'max_over_time(rate(x[5m])[1h:1m] offset 10m) > 1'}
      - {alert: Farther, expr: 'sum(rate(x[30d])) > 1'}
";
    assert_eq!(groups(far).reach_of_hosts(), (60 + 10 + 5 + 5) * 60 * SECOND, "no host keeps a month for the fleet");
    assert_eq!(groups(far).reach_across(), (30 * 24 * 60 + 5) * 60 * SECOND);
}

#[test]
fn what_fires_of_a_group_that_is_gone_after_a_restart_is_resolved() {
    let mut bench = Bench::new(RULES);
    bench.reports(0, &[9.0, 9.0, 9.0]);
    let others = "groups:\n  - name: other\n    rules: [{alert: Other, expr: load > 100}]\n";
    bench.metrics = HostMetrics::restore(&groups(others), bench.metrics.kept());
    assert_eq!(bench.reload(60, others), ["Busy resolved at 60"]);
}

#[test]
fn a_rule_that_fails_is_named_until_it_works_again() {
    // The two disks have the same labels once `device` is taken away: then the rule cannot be evaluated.
    let rules = "groups:
  - name: disk
    rules:
      - {record: 'disk:reads', expr: 'label_replace(reads, \"device\", \"\", \"\", \"\")'}
      - {alert: Fine, expr: reads > 100}
";
    let mut bench = Bench::new(rules);
    let mut failing = |at: i64, devices: &[&str]| -> Option<(Vec<String>, u64)> {
        for device in devices {
            let labels = bench.series.base().with(NAME, "reads").with("device", device);
            bench.series.write(&labels, START + at * SECOND, 1.0);
        }
        bench.report(at, at, 1.0);
        let health = bench.health.take_if_changed()?;
        let in_words =
            |rule: &super::FailingRule| format!("{} of {} for {}: {}", rule.rule, rule.group, rule.hosts, rule.message);
        Some((health.failing().map(in_words).collect(), health.failures().values().sum()))
    };
    assert_eq!(failing(0, &["sda"]), None);
    let (rules, failures) = failing(15, &["sda", "sdb"]).expect("it fails");
    assert!(rules[0].starts_with("disk:reads of rules.yaml;disk for 1: "), "{rules:?}");
    assert!(rules[0].contains("same labels"), "{rules:?}");
    assert_eq!((rules.len(), failures), (1, 1));
    assert_eq!(failing(30, &["sda", "sdb"]), Some((rules, 1)), "it is the same failure, counted again");
    assert_eq!(failing(400, &["sda"]), Some((Vec::new(), 0)), "sdb is not looked back at any more");
    assert_eq!(failing(415, &["sda"]), None);
}
