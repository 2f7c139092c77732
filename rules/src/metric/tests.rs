//! Rules step by step over samples in memory.

use std::sync::Arc;

use super::*;
use crate::events::What;
use crate::load::load;
use crate::model::RuleBook;
use crate::promql::labels::NAME;
use crate::promql::memory::Memory;
use crate::promql::series::Point;

const MINUTE: i64 = 60_000;

fn book(rules: &str) -> RuleBook {
    let text = format!("groups:\n  - name: g\n    rules:\n{rules}");
    load(&[("r.yaml".into(), text)]).unwrap_or_else(|faults| panic!("{faults}"))
}

fn rules(text: &str) -> Arc<MetricRules> {
    let rules = Rule::of_group(&book(text), "r.yaml", "g");
    Arc::new(MetricRules::new(rules).expect("rules that were loaded"))
}

/// An engine over samples a minute apart, which writes what it is told to.
struct Course {
    engine: MetricEngine,
    memory: Memory,
    now: i64,
}

impl Course {
    fn new(text: &str, settings: Settings) -> Self {
        Self { engine: MetricEngine::new(rules(text), settings), memory: Memory::default(), now: 0 }
    }

    /// Appends one point a series at the next minute and evaluates; NaN is no point.
    fn minute(&mut self, points: &[(&[(&str, &str)], f64)]) -> Output {
        self.now += MINUTE;
        for (labels, value) in points {
            let labels = Labels::new(labels.iter().copied());
            self.memory.append(&labels, Point { at: self.now, value: *value }).expect("in order");
        }
        let output = self.engine.eval(self.now, &self.memory);
        for written in &output.series {
            self.memory.append(&written.labels, Point { at: written.at, value: written.value }).expect("in order");
        }
        output
    }

    fn states(&self) -> Vec<(String, bool)> {
        self.engine.state().alerts().map(|(rule, alert)| (rule.to_owned(), alert.is_firing())).collect()
    }
}

fn shown(output: &Output) -> Vec<(What, &str)> {
    output.transitions.iter().map(|transition| (transition.what, transition.reason.as_str())).collect()
}

fn written(output: &Output) -> Vec<String> {
    let value = |written: &Written| {
        if written.value.to_bits() == crate::promql::series::STALE {
            "stale".to_owned()
        } else {
            written.value.to_string()
        }
    };
    output.series.iter().map(|written| format!("{} {}", shown_series(&written.labels), value(written))).collect()
}

fn shown_series(labels: &Labels) -> String {
    let others = labels.iter().filter(|(name, _)| *name != NAME).map(|(name, value)| format!("{name}={value}"));
    format!("{}{{{}}}", labels.get(NAME).unwrap_or(""), others.collect::<Vec<_>>().join(","))
}

const WEB: &[(&str, &str)] = &[(NAME, "load"), ("instance", "web-1")];
const DB: &[(&str, &str)] = &[(NAME, "load"), ("instance", "db-1")];

#[test]
fn an_alert_is_pending_fires_and_resolves() {
    let mut course = Course::new(
        "      - {alert: Busy, expr: load > 2, for: 2m, labels: {severity: warning}, annotations: {summary: 'load {{ $value }} on {{ $labels.instance }}'}}",
        Settings::default(),
    );
    assert_eq!(shown(&course.minute(&[(WEB, 1.0)])), []);
    assert!(course.engine.state().is_empty());
    let pending = course.minute(&[(WEB, 3.0)]);
    assert_eq!(shown(&pending), []);
    assert_eq!(
        written(&pending),
        [
            "ALERTS{alertname=Busy,alertstate=pending,instance=web-1,severity=warning} 1",
            "ALERTS_FOR_STATE{alertname=Busy,instance=web-1,severity=warning} 120",
        ]
    );
    course.minute(&[(WEB, 4.0)]);
    let fired = course.minute(&[(WEB, 5.5)]);
    assert_eq!(shown(&fired), [(What::Firing, "load > 2 has held for 2m")]);
    let transition = &fired.transitions[0];
    assert_eq!(transition.annotations["summary"], "load 5.5 on web-1");
    assert_eq!(transition.labels["alertname"], "Busy");
    let evidence = &transition.evidence[0];
    assert_eq!((&evidence["value"], &evidence["threshold"]["value"]), (&5.5.into(), &2.0.into()));
    assert_eq!((&evidence["since"], &evidence["labels"]["__name__"]), (&(2 * MINUTE).into(), &"load".into()));
    assert_eq!(
        written(&fired),
        [
            "ALERTS{alertname=Busy,alertstate=firing,instance=web-1,severity=warning} 1",
            "ALERTS_FOR_STATE{alertname=Busy,instance=web-1,severity=warning} 120",
            "ALERTS{alertname=Busy,alertstate=pending,instance=web-1,severity=warning} stale",
        ]
    );
    let resolved = course.minute(&[(WEB, 1.0)]);
    assert_eq!(shown(&resolved), [(What::Resolved, "its condition is false")]);
    assert_eq!(written(&resolved).len(), 2, "both series end: {:?}", written(&resolved));
    assert!(written(&resolved).iter().all(|line| line.ends_with("stale")));
    assert_eq!(written(&course.minute(&[(WEB, 1.0)])), [""; 0], "an end is written once");
}

#[test]
fn a_gap_resets_what_is_pending_and_keep_firing_for_holds_what_fires() {
    let mut course =
        Course::new("      - {alert: Busy, expr: load > 2, for: 1m, keep_firing_for: 2m}", Settings::default());
    course.minute(&[(WEB, 3.0)]);
    course.minute(&[(WEB, 1.0)]);
    assert!(course.engine.state().is_empty(), "a false evaluation forgets what was pending");
    course.minute(&[(WEB, 3.0)]);
    assert_eq!(shown(&course.minute(&[(WEB, 3.0)])).len(), 1);
    for _ in 0..2 {
        assert_eq!(shown(&course.minute(&[(WEB, 1.0)])), []);
        assert_eq!(course.states(), [("Busy".to_owned(), true)]);
    }
    assert_eq!(shown(&course.minute(&[(WEB, 1.0)])).len(), 1);
}

#[test]
fn later_rules_see_what_earlier_ones_record_at_once() {
    let mut course = Course::new(
        "      - {record: 'job:load:sum', expr: sum(load), labels: {job: node}}\n      - {alert: Busy, expr: 'job:load:sum > 5'}\n      - {alert: Any, expr: 'ALERTS{alertname=\"Busy\"}', labels: {alertstate: ''}}",
        Settings::default(),
    );
    let output = course.minute(&[(WEB, 3.0), (DB, 4.0)]);
    assert_eq!(written(&output)[0], "job:load:sum{job=node} 7");
    let fired: Vec<&str> = output.transitions.iter().map(|transition| transition.rule.as_str()).collect();
    assert_eq!(fired, ["Busy", "Any"]);
    assert_eq!(output.transitions[1].labels["alertname"], "Any", "the rule's name overrides the label of the result");
}

#[test]
fn labels_are_rendered_from_the_result_and_a_changed_one_is_another_alert() {
    let mut course = Course::new(
        "      - {alert: Busy, expr: load > 2, for: 1m, labels: {instance: 'host {{ $labels.instance }}', level: '{{ if gt $value 10.0 }}high{{ else }}low{{ end }}'}, annotations: {a: '{{ $labels.instance }} {{ $labels.__name__ }}'}}",
        Settings::default(),
    );
    course.minute(&[(WEB, 3.0)]);
    let fired = course.minute(&[(WEB, 3.0)]);
    assert_eq!(fired.transitions[0].labels["instance"], "host web-1");
    assert_eq!(fired.transitions[0].annotations["a"], "web-1 load");
    let other = course.minute(&[(WEB, 30.0)]);
    assert_eq!(shown(&other), [(What::Resolved, "its condition is false")]);
    assert_eq!(course.states(), [("Busy".to_owned(), false)], "the alert of the other level begins anew");
}

#[test]
fn a_rule_that_fails_changes_nothing_and_the_others_go_on() {
    let mut course = Course::new(
        "      - {alert: Same, expr: load > 2, labels: {instance: all}}\n      - {record: 'load:same', expr: load, labels: {instance: all}}\n      - {record: 'load:range', expr: 'load[5m]'}\n      - {alert: Busy, expr: load > 2}",
        Settings::default(),
    );
    let output = course.minute(&[(WEB, 3.0), (DB, 1.0)]);
    assert_eq!(output.transitions.len(), 2, "one result each: {:?}", shown(&output));
    let output = course.minute(&[(WEB, 3.0), (DB, 4.0)]);
    let errors: Vec<String> = output.errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors[0].contains("rule 'Same': two results have the same labels"), "{errors:?}");
    assert!(errors[1].contains("rule 'load:same'") && errors[2].contains("a range vector"), "{errors:?}");
    assert_eq!(output.transitions.len(), 1, "the second of Busy: {:?}", shown(&output));
    assert_eq!(course.states().len(), 3, "the alert of the rule that failed stays");
}

#[test]
fn a_limit_is_kept() {
    let limited = Settings { limit: 1, ..Settings::default() };
    let mut course =
        Course::new("      - {alert: Busy, expr: load > 2}\n      - {record: 'load:copy', expr: load}", limited);
    assert_eq!(course.minute(&[(WEB, 3.0)]).errors, []);
    let output = course.minute(&[(WEB, 3.0), (DB, 3.0)]);
    assert_eq!(output.errors.len(), 2, "{:?}", output.errors);
    assert!(output.errors.iter().all(|error| error.message.contains("exceed the group's limit of 1")));
    let over = "2 alerts exceed the group's limit of 1";
    assert_eq!(
        shown(&output),
        [(What::Resolved, over)],
        "who heard of the first hears that it is over, of the second nobody"
    );
    assert_eq!(course.states(), [], "as in Prometheus none is left");
    let stale = f64::from_bits(crate::promql::series::STALE);
    assert_eq!(shown(&course.minute(&[(WEB, 3.0), (DB, stale)])).len(), 1, "it fires anew");
}

#[test]
fn what_is_missing_is_held_and_what_ended_resolves() {
    let text = "      - {alert: Busy, expr: load > 2}";
    let held = Settings { hold_missing: true, ..Settings::default() };
    let mut course = Course::new(text, held);
    assert_eq!(shown(&course.minute(&[(WEB, 3.0)])).len(), 1);
    let mut seen = Vec::new();
    for _ in 0..8 {
        let output = course.minute(&[]);
        seen.extend(output.transitions.into_iter().map(|transition| transition.what));
    }
    assert_eq!(seen, [What::Stale], "said once");
    let back = course.minute(&[(WEB, 4.0)]);
    assert_eq!(shown(&back), [(What::FiringAgain, "samples are back, and load > 2 holds still")]);
    let ended = course.minute(&[(WEB, f64::from_bits(crate::promql::series::STALE))]);
    assert_eq!(ended.transitions[0].what, What::Resolved);
    assert!(ended.transitions[0].reason.ends_with("has ended"), "{:?}", shown(&ended));

    let mut as_prometheus = Course::new(text, Settings::default());
    as_prometheus.minute(&[(WEB, 3.0)]);
    let seen: Vec<What> =
        (0..8).flat_map(|_| as_prometheus.minute(&[]).transitions).map(|transition| transition.what).collect();
    assert_eq!(seen, [What::Resolved]);
}

#[test]
fn what_is_recorded_of_missing_samples_has_not_ended() {
    let text = "      - {record: 'load:double', expr: load * 2, labels: {level: host}}\n      - {alert: Busy, expr: 'load:double > 4'}";
    let held = Settings { hold_missing: true, ..Settings::default() };
    let mut course = Course::new(text, held);
    assert_eq!(shown(&course.minute(&[(WEB, 3.0)])).len(), 1);
    let mut seen = Vec::new();
    for _ in 0..12 {
        let output = course.minute(&[]);
        let ended = |line: &&String| line.starts_with("load:double") && line.ends_with("stale");
        assert_eq!(written(&output).iter().filter(ended).count(), 0, "{:?}", written(&output));
        seen.extend(output.transitions.into_iter().map(|transition| transition.what));
    }
    assert_eq!(seen, [What::Stale]);
    let ended = course.minute(&[(WEB, f64::from_bits(crate::promql::series::STALE))]);
    assert_eq!(ended.transitions[0].what, What::Resolved, "{:?}", shown(&ended));
    assert!(written(&ended).contains(&"load:double{instance=web-1,level=host} stale".to_owned()));
}

#[test]
fn a_reload_keeps_unchanged_rules_and_ends_the_others() {
    let mut course = Course::new(
        "      - {alert: Busy, expr: load > 2, for: 2m}\n      - {alert: Old, expr: load > 1}\n      - {record: 'load:old', expr: load}",
        Settings::default(),
    );
    course.minute(&[(WEB, 3.0)]);
    let kept = rules("      - {alert: Busy, expr: load > 2.5, for: 1m}");
    let output = course.engine.reload(kept, Settings::default(), course.now);
    assert_eq!(shown(&output), [(What::Resolved, "the rule was removed")]);
    let ended = written(&output);
    assert_eq!(ended.len(), 3, "{ended:?}");
    assert!(ended.iter().all(|line| line.ends_with("stale")), "{ended:?}");
    let next = course.minute(&[(WEB, 3.0)]);
    assert_eq!(shown(&next), [(What::Firing, "load > 2.5 has held for 1m")], "its pending time went on");
}

#[test]
fn a_kept_state_goes_on_where_it_was() {
    let text = "      - {alert: Odd, expr: load * NaN, for: 1m}\n      - {record: 'load:copy', expr: load}";
    let mut course = Course::new(text, Settings::default());
    course.minute(&[(WEB, 3.0)]);
    let kept = serde_json::to_string(course.engine.state()).expect("plain data");
    let state: MetricState = serde_json::from_str(&kept).expect("what was just written");
    assert_eq!(serde_json::to_string(&state).expect("plain data"), kept);
    course.engine = MetricEngine::restore(rules(text), Settings::default(), state);
    let fired = course.minute(&[]);
    assert_eq!(fired.transitions.len(), 1, "a NaN fires");
    assert_eq!(fired.transitions[0].evidence[0]["value"], "NaN");
}

#[test]
fn rules_may_look_back() {
    let back = Settings { query_offset: MINUTE, ..Settings::default() };
    let mut course = Course::new("      - {record: 'load:copy', expr: load}", back);
    course.minute(&[(WEB, 3.0)]);
    let output = course.minute(&[(WEB, 4.0)]);
    assert_eq!(written(&output), ["load:copy{instance=web-1} 3"]);
    assert_eq!(output.series[0].at, MINUTE);
}

#[test]
fn scopes_follow_what_is_recorded() {
    let rules = rules(
        "      - {alert: Late, expr: 'all:load > 1'}\n      - {record: 'all:load', expr: 'x:load * 2'}\n      - {record: 'x:load', expr: sum(load)}\n      - {alert: Busy, expr: load > 2}\n      - {alert: Named, expr: load > 2, labels: {instance: x}}",
    );
    let hosts: Vec<bool> = rules.scopes().into_iter().map(|scope| scope == Scope::Host).collect();
    assert_eq!(hosts, [false, false, false, true, false]);
}

#[test]
fn who_reads_the_alerts_across_hosts_looks_across_hosts() {
    let rules = rules(
        "      - {alert: Many, expr: sum(load) > 9}\n      - {alert: Busy, expr: load > 2}\n      - {alert: Any, expr: 'ALERTS{alertstate=\"firing\"} > 0'}\n      - {alert: OfMany, expr: 'ALERTS{alertname=\"Many\"} > 0'}\n      - {alert: OfBusy, expr: 'ALERTS{alertname=\"Busy\"} > 0'}\n      - {record: 'all:load', expr: sum(load)}\n      - {alert: Named, expr: '{__name__=~\"all:.*\"} > 1'}",
    );
    let hosts: Vec<bool> = rules.scopes().into_iter().map(|scope| scope == Scope::Host).collect();
    assert_eq!(hosts, [false, true, false, false, true, false, false]);
}

mod always {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const RULES: &str = "      - {record: 'load:max', expr: max by (instance) (load)}\n      - {alert: Busy, expr: 'load:max > 2', for: 2m, keep_firing_for: 1m, labels: {level: '{{ if gt $value 8.0 }}high{{ else }}low{{ end }}'}}\n      - {alert: Over, expr: 'count(ALERTS{alertstate=\"firing\"}) > 1'}";

    /// Each host's next value; none is no sample, a negative one the end of the series.
    fn minutes() -> impl Strategy<Value = Vec<[Option<i8>; 2]>> {
        let value = prop_oneof![1 => Just(None), 1 => Just(Some(-1)), 6 => (0..12i8).prop_map(Some)];
        prop::collection::vec([value.clone(), value], 1..40)
    }

    fn labels(output: &Output, of: What) -> Vec<std::collections::BTreeMap<String, String>> {
        output.transitions.iter().filter(|t| t.what == of).map(|t| t.labels.clone()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn alerts_open_and_close_in_turn_and_a_restart_changes_nothing(minutes in minutes(), hold_missing: bool) {
            let settings = Settings { hold_missing, ..Settings::default() };
            let mut course = Course::new(RULES, settings);
            let mut open = BTreeSet::new();
            for values in minutes {
                let kept = serde_json::to_string(course.engine.state()).expect("plain data");
                let state = serde_json::from_str(&kept).expect("what was just written");
                let mut again = MetricEngine::restore(rules(RULES), settings, state);
                let point = |value: i8| if value < 0 { f64::from_bits(crate::promql::series::STALE) } else { f64::from(value) };
                let points: Vec<_> = [WEB, DB].into_iter().zip(values).filter_map(|(of, value)| Some((of, point(value?)))).collect();
                let before = course.memory.clone();
                let output = course.minute(&points);
                let mut fed = before;
                for (of, value) in &points {
                    fed.append(&Labels::new(of.iter().copied()), Point { at: course.now, value: *value }).expect("in order");
                }
                prop_assert_eq!(format!("{:?}", again.eval(course.now, &fed)), format!("{output:?}"));
                prop_assert_eq!(&output.errors, &[]);
                for labels in labels(&output, What::Resolved) {
                    prop_assert!(open.remove(&labels), "resolved, and not open: {:?}", labels);
                }
                for labels in labels(&output, What::Firing) {
                    prop_assert!(open.insert(labels.clone()), "fires a second time: {:?}", labels);
                }
                let firing: BTreeSet<_> = course.engine.state().alerts().filter(|(_, alert)| alert.is_firing()).map(|(_, alert)| alert.labels.clone()).collect();
                prop_assert_eq!(&firing, &open);
                let distinct: BTreeSet<&Labels> = output.series.iter().map(|written| &written.labels).collect();
                prop_assert_eq!(distinct.len(), output.series.len(), "a series is written once: {:?}", written(&output));
            }
        }
    }
}

#[test]
fn annotations_that_ask_for_samples_can_be_added_later_and_stay() {
    let text = "      - alert: Hot
        expr: temperature > 5
        labels: {room: '{{ $labels.room }}'}
        annotations: {own: '{{ $value }}', all: '{{ query \"sum(temperature)\" | first | value }}'}
      - alert: Labeled
        expr: temperature > 50
        labels: {all: '{{ query \"sum(temperature)\" | first | value }}'}
";
    let later = Settings { asks_later: true, ..Settings::default() };
    let mut course = Course::new(text, later);
    let point = |value: f64| course_point(value);
    let (labels, value) = point(7.0);
    let output = course.minute(&[(&labels, value)]);
    let [fired] = output.transitions.as_slice() else { panic!("one fires: {output:?}") };
    assert_eq!(fired.annotations, BTreeMap::from([("own".to_owned(), "7".to_owned())]));

    let mut all = Memory::default();
    for (host, value) in [("a", 7.0), ("b", 4.5)] {
        let labels = Labels::new([(NAME, "temperature"), ("instance", host)]);
        all.append(&labels, Point { at: MINUTE, value }).expect("in order");
    }
    let concluded = Concluded::of_evidence("Hot", &fired.labels, &fired.evidence).expect("it says so");
    let answered = rules(text).answered(&concluded, &all, &eval::Settings::default());
    assert_eq!(answered, BTreeMap::from([("all".to_owned(), "11.5".to_owned())]));
    course.engine.annotate("Hot", &fired.labels, &answered);
    let (labels, value) = point(8.0);
    course.minute(&[(&labels, value)]);
    let alert = course.engine.state().alerts().next().expect("it fires").1;
    assert_eq!((alert.annotations["own"].as_str(), alert.annotations["all"].as_str()), ("8", "11.5"));

    let other = Concluded { expr: Some("temperature > 6"), ..concluded };
    assert_eq!(rules(text).answered(&other, &all, &eval::Settings::default()), BTreeMap::new(), "another rule's");
    let scopes = rules(text).scopes();
    assert_eq!(scopes[0], Scope::Host);
    assert!(matches!(&scopes[1], Scope::Fleet(across) if across.why.contains("label 'all'")), "{:?}", scopes[1]);
}

fn course_point(value: f64) -> ([(&'static str, &'static str); 3], f64) {
    ([(NAME, "temperature"), ("instance", "a"), ("room", "attic")], value)
}
