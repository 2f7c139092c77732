//! The plain evaluator decides: whatever is compiled gives the same elements with the same bits, at every step.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::load::load;
use crate::metric::{MetricEngine, MetricRules, Rule, Settings};
use crate::promql::eval::{self, Value};
use crate::promql::labels::NAME;
use crate::selector::Selector;

const STEP: i64 = 15_000;
const LOOKBACK: i64 = 5 * 60_000;

/// Points in any order of coming.
#[derive(Debug, Default)]
struct Store(BTreeMap<Labels, BTreeMap<i64, f64>>);

impl Samples for Store {
    fn select(
        &self,
        matchers: &Selector,
        after: i64,
        until: i64,
    ) -> Result<Vec<crate::promql::series::Series>, String> {
        let taken = self.0.iter().filter(|(labels, _)| matchers.matches_by(|label| labels.get(label)));
        let series = taken.map(|(labels, points)| crate::promql::series::Series {
            histograms: Vec::new(),
            labels: labels.clone(),
            points: points.range(after + 1..=until).map(|(at, value)| Point { at: *at, value: *value }).collect(),
        });
        Ok(series.filter(|series| !series.points.is_empty()).collect())
    }
}

/// Numbers that look random and follow from the seed (Knuth's MMIX generator).
#[derive(Clone, Debug)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn series(name: &str, pairs: &[(&str, &str)]) -> Labels {
    let own = [(NAME, name), ("instance", "h")];
    Labels::new(own.into_iter().chain(pairs.iter().copied()))
}

/// The columns of a host with these devices.
fn columns(devices: &[&str]) -> Vec<Labels> {
    let mut found = vec![series("info", &[("kind", "k")])];
    for device in devices {
        found.extend(["g", "size"].map(|name| series(name, &[("device", device)])));
        found.extend(["x", "y"].map(|mode| series("c_total", &[("device", device), ("mode", mode)])));
    }
    found
}

fn rules(exprs: &[String]) -> MetricRules {
    let rule = |(place, expr): (usize, &String)| format!("      - {{alert: A{place}, expr: '{expr}'}}\n");
    loaded(&exprs.iter().enumerate().map(rule).collect::<String>())
}

fn loaded(rules: &str) -> MetricRules {
    let text = format!("groups:\n  - name: g\n    rules:\n{rules}");
    let book = load(&[("g.yaml".into(), text.clone())]).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
    MetricRules::new(Rule::of_group(&book, "g.yaml", "g")).expect("they were checked")
}

/// A host's life: rows, gaps, ends, falls, devices that come and go, late rows, restarts.
struct Life<'a> {
    dice: Dice,
    store: Store,
    rules: &'a MetricRules,
    devices: Vec<&'static str>,
    columns: Vec<Labels>,
    stream: Stream,
    at: i64,
    /// Vectors compared, and with something in them.
    compared: (usize, usize),
}

impl<'a> Life<'a> {
    fn new(rules: &'a MetricRules, seed: u64) -> Self {
        let columns = columns(&["a", "b"]);
        let store = Store::default();
        let stream = fresh(rules, &columns, &store, 0);
        let devices = vec!["a", "b"];
        Self { dice: Dice(seed), store, rules, devices, columns, stream, at: 0, compared: (0, 0) }
    }

    fn restart(&mut self) {
        self.stream = fresh(self.rules, &self.columns, &self.store, self.at);
    }

    fn value(&mut self, column: &Labels) -> Option<f64> {
        let before =
            self.store.0.get(column).and_then(|points| points.last_key_value()).map_or(0.0, |(_, value)| *value);
        match (self.dice.roll(40), column.get(NAME)) {
            (0 | 1, _) => None,
            (2, _) => Some(f64::from_bits(crate::promql::series::STALE)),
            (3, _) => Some(f64::NAN),
            (4, Some("g")) => Some(f64::INFINITY),
            (5, _) => Some(0.0),
            (_, Some("c_total")) if before.is_finite() => Some(before + self.dice.roll(50) as f64 / 7.0),
            _ => Some(self.dice.roll(900) as f64 / 30.0 - 10.0),
        }
    }

    fn step(&mut self) {
        self.at += if self.dice.roll(20) == 0 { 11 * STEP } else { STEP + self.dice.roll(3) as i64 - 1 };
        if self.dice.roll(15) == 0 {
            self.change_devices();
            return;
        }
        if self.dice.roll(15) == 0 {
            self.late();
        }
        if self.dice.roll(25) == 0 {
            self.restart();
        }
        // The first block is not due each time.
        let first = if self.dice.roll(4) == 0 { 1 } else { 0 };
        let row: Vec<Option<f64>> = self.columns.clone()[first..].iter().map(|column| self.value(column)).collect();
        self.keep(first, self.at, &row);
        let (of_host, of_devices) = row.split_at(1 - first);
        if first == 0 {
            self.stream.row(0, self.at, |column| of_host[column]);
        }
        self.stream.row(1, self.at, |column| of_devices[column]);
    }

    fn keep(&mut self, first: usize, at: i64, row: &[Option<f64>]) {
        for (column, value) in self.columns[first..].iter().zip(row) {
            if let Some(value) = value {
                self.store.0.entry(column.clone()).or_default().entry(at).or_insert(*value);
            }
        }
    }

    fn change_devices(&mut self) {
        let device = ["a", "b", "c"][self.dice.roll(3) as usize];
        match self.devices.iter().position(|known| *known == device) {
            Some(place) => {
                self.devices.remove(place);
            }
            None => self.devices.push(device),
        }
        let gone = std::mem::replace(&mut self.columns, columns(&self.devices));
        for column in gone.iter().filter(|column| !self.columns.contains(column)) {
            let ended = f64::from_bits(crate::promql::series::STALE);
            self.store.0.entry(column.clone()).or_default().insert(self.at, ended);
        }
        self.restart();
    }

    fn late(&mut self) {
        let at = self.at - STEP - self.dice.roll(60_000) as i64;
        let row: Vec<Option<f64>> = self.columns.clone().iter().map(|column| self.value(column)).collect();
        self.keep(0, at, &row);
        self.restart();
    }

    /// Everything compiled against the plain evaluator.
    fn compare(&mut self) -> Result<(), TestCaseError> {
        let settings = eval::Settings { subquery_step: STEP, ..eval::Settings::default() };
        for (place, (rule, expr)) in self.rules.rules().enumerate() {
            let plain = eval::instant(expr, &self.store, self.at, &settings);
            let verdict = self.stream.verdict(place, self.at);
            let labels = &self.stream.labels[place];
            let found = self.stream.evaluated(place, self.at, |values| {
                let both = labels.iter().zip(values);
                both.filter_map(|(labels, value)| Some((labels.clone(), (*value)?.to_bits()))).collect()
            });
            let Some(found): Option<Vec<(Labels, u64)>> = found else {
                prop_assert_eq!(verdict, Verdict::Unknown);
                continue;
            };
            let Ok(Value::Vector(plain)) = plain.map(|plain| plain.value) else {
                prop_assert!(false, "{} fails at {} and was compiled", rule.expr(), self.at);
                continue;
            };
            let plain: Vec<(Labels, u64)> =
                plain.into_iter().map(|sample| (sample.labels, sample.value.to_bits())).collect();
            prop_assert_eq!(verdict == Verdict::Quiet, plain.is_empty(), "{}", rule.expr());
            self.compared = (self.compared.0 + 1, self.compared.1 + usize::from(!plain.is_empty()));
            prop_assert_eq!(found, plain, "{} at {}", rule.expr(), self.at);
        }
        Ok(())
    }
}

fn fresh(rules: &MetricRules, columns: &[Labels], store: &Store, at: i64) -> Stream {
    let mut blocks: Vec<Vec<Option<Labels>>> = vec![columns.iter().cloned().map(Some).collect()];
    let devices = blocks[0].split_off(1);
    blocks.push(devices);
    let derived = Derived::of(&RuleBook::default());
    Stream::new(rules.asked(), &blocks, store, &derived, &Shapes::default(), (LOOKBACK, at))
        .expect("the store can be read")
}

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(words)
}

const SELECTORS: &[&str] = &[
    "g",
    "size",
    "c_total",
    "info",
    "none",
    "g{device=\"a\"}",
    "g{device!=\"a\"}",
    "c_total{mode=~\"x|z\"}",
    "{__name__=\"c_total\",mode=\"y\"}",
];
const OVER_RANGES: &[&str] = &[
    "rate",
    "increase",
    "delta",
    "irate",
    "idelta",
    "resets",
    "changes",
    "deriv",
    "avg_over_time",
    "sum_over_time",
    "count_over_time",
    "min_over_time",
    "max_over_time",
    "last_over_time",
    "stddev_over_time",
    "present_over_time",
];
const OPERATORS: &[&str] = &["+", "-", "*", "/", "%", ">", "<", ">=", "<=", "==", "!=", "> bool", "== bool", "<= bool"];
const MATCHINGS: &[&str] = &[
    "",
    "on (device)",
    "on (instance, device)",
    "ignoring (mode)",
    "on (instance) group_left ()",
    "ignoring (mode) group_left (kind)",
    "on (device) group_right ()",
    "on (instance) group_right (mode)",
];
const SET_MATCHINGS: &[&str] = &["", "on (device)", "on (instance)", "ignoring (mode)", "ignoring (kind, device)"];
const AGGREGATIONS: &[&str] = &["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"];
const GROUPINGS: &[&str] = &["by (instance)", "by (instance, device)", "without (device)", "without (mode, kind)"];
/// Not compiled, and sure not to fail.
const ASIDE: &[&str] = &[
    "max_over_time(g[1m:15s]) > 4",
    "g offset 1m > 0",
    "avg_over_time(g[2h]) > 1",
    "sum by (device) (rate(c_total[1m] offset 15s))",
];

fn expression() -> impl Strategy<Value = String> {
    let ranged = (one_of(OVER_RANGES), one_of(SELECTORS), one_of(&["20s", "1m", "5m"]))
        .prop_map(|(function, selector, range)| format!("{function}({selector}[{range}])"));
    let ahead = (one_of(SELECTORS), one_of(&["1m", "5m"]), one_of(&["600", "time() - 20", "-(3 ^ 2)"]))
        .prop_map(|(selector, range, ahead)| format!("predict_linear({selector}[{range}], {ahead})"));
    let read_at = one_of(SELECTORS).prop_map(|selector| format!("timestamp({selector})"));
    let leaf = prop_oneof![6 => one_of(SELECTORS).prop_map(str::to_owned), 6 => ranged, 2 => ahead, 1 => read_at];
    leaf.prop_recursive(4, 12, 2, |inner| {
        let (a, b) = (inner.clone(), inner.clone());
        prop_oneof![
            (a.clone(), one_of(OPERATORS), one_of(&["0", "3", "-0.5", "time()"]))
                .prop_map(|(a, op, n)| format!("({a}) {op} {n}")),
            (one_of(&["1", "7", "NaN"]), one_of(OPERATORS), a.clone()).prop_map(|(n, op, a)| format!("{n} {op} ({a})")),
            (a.clone(), one_of(OPERATORS), one_of(MATCHINGS), b.clone())
                .prop_map(|(a, op, matching, b)| format!("({a}) {op} {matching} ({b})")),
            (a.clone(), one_of(&["and", "or", "unless"]), one_of(SET_MATCHINGS), b)
                .prop_map(|(a, op, matching, b)| format!("({a}) {op} {matching} ({b})")),
            (one_of(AGGREGATIONS), one_of(GROUPINGS), a.clone())
                .prop_map(|(op, grouping, a)| format!("{op} {grouping} ({a})")),
            (a.clone(), one_of(&["and", "unless"]), one_of(ASIDE))
                .prop_map(|(a, op, aside)| format!("({a}) {op} ({aside})")),
            (one_of(&["-", "abs", "ceil", "sgn"]), a).prop_map(|(function, a)| format!("{function}({a})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn what_is_compiled_gives_what_the_plain_evaluator_gives(
        exprs in prop::collection::vec(expression(), 1..8),
        seed in any::<u64>(),
    ) {
        let rules = rules(&exprs);
        let mut life = Life::new(&rules, seed);
        for _ in 0..60 {
            life.step();
            life.compare()?;
        }
    }
}

/// Usual rules of a host, all of them compiled.
const USUAL: &[&str] = &[
    "size - g < 3",
    "g / size > 0.9 and size > 1",
    "100 * (1 - g / size) > 95 unless on (device) g < 0",
    "1 - avg by (instance) (rate(c_total{mode=\"x\"}[1m])) < 0.4",
    "sum by (instance) (rate(c_total[1m])) / on (instance) info > 9",
    "c_total * on (instance) group_left (kind) info > 100",
    "increase(c_total[5m]) > 20",
    "max_over_time(g[5m]) - min_over_time(g[5m]) > 15",
    "changes(g[5m]) > 18 or resets(c_total[5m]) > 2",
    "g < 1 and predict_linear(g[1h], 3600) < 0",
    "time() - size < 600",
    "time() - timestamp(g) > 20",
    "deriv(g[5m]) > 0.1",
    "g < 1 and predict_linear(g[6h], 3600) < 0",
];

#[test]
fn usual_rules_are_compiled_and_judged() {
    let exprs: Vec<String> = USUAL.iter().map(|expr| (*expr).to_owned()).collect();
    let rules = rules(&exprs);
    let mut life = Life::new(&rules, 7);
    for (place, expr) in exprs.iter().enumerate() {
        assert_eq!(life.stream.refused(place), None, "{expr}");
    }
    for _ in 0..400 {
        life.step();
        life.compare().expect("the two agree");
    }
    let (compared, speaking) = life.compared;
    assert!(compared > 4_000 && speaking > compared / 10, "{compared} compared, {speaking} of them not empty");
}

#[test]
fn what_is_not_compiled_says_why() {
    let table = [
        ("rate(g[2h]) > 1", "ranges longer than 1h"),
        ("g offset 1m > 1", "'offset' and '@'"),
        ("topk by (instance) (2, g) > 1", "'topk'"),
        ("max_over_time(g[5m:15s]) > 1", "subqueries"),
        ("{device=\"a\"} > 1", "names no metric"),
        ("up == 0", "written by rules"),
        ("g * on (instance) size", "match the same"),
        ("label_replace(g, \"a\", \"\", \"\", \"\") > 1", "label_replace()"),
    ];
    let rules = rules(&table.map(|(expr, _)| expr.to_owned()));
    let stream = fresh(&rules, &columns(&["a", "b"]), &Store::default(), 0);
    for (place, (expr, part)) in table.iter().enumerate() {
        let why = stream.refused(place).unwrap_or_else(|| panic!("{expr} is compiled"));
        assert!(why.contains(part), "{expr}: {why}");
    }
}

/// Alerts, their states and all that is written are the same whether or not a stream is asked first. Every second rule
/// records.
#[test]
fn an_engine_with_a_stream_does_what_one_without_does() {
    let rule = |(place, expr): (usize, &&str)| match place % 2 {
        0 => format!("      - {{alert: A{place}, expr: '{expr}'}}\n"),
        _ => format!("      - {{record: 'r:{place}', expr: '{expr}', labels: {{kind: r, mode: ''}}}}\n"),
    };
    let rules = std::sync::Arc::new(loaded(&USUAL.iter().enumerate().map(rule).collect::<String>()));
    let mut plain = MetricEngine::new(rules.clone(), Settings::default());
    let mut streaming = plain.clone();
    let mut life = Life::new(&rules, 11);
    let (mut transitions, mut spared) = (0, 0);
    for _ in 0..300 {
        life.step();
        let expected = plain.eval(life.at, &life.store);
        transitions += expected.transitions.len();
        let (output, quiet) = streaming.eval_streaming(life.at, &life.store, &life.stream, 0);
        assert_eq!(shown(&output), shown(&expected));
        spared += quiet;
        assert_eq!(streaming.state(), plain.state());
    }
    assert!(transitions > 50 && spared > 500, "{transitions} transitions, {spared} evaluations spared");
}

/// NaN equals itself here.
fn shown(output: &crate::metric::Output) -> String {
    format!("{output:?}")
}

/// Hosts whose series differ by a label of the host alone have one plan between them, and one more where instances do.
#[test]
fn hosts_alike_share_their_plans() {
    let rules = rules(&USUAL.iter().map(|expr| (*expr).to_owned()).collect::<Vec<_>>());
    let (derived, shapes) = (Derived::of(&RuleBook::default()), Shapes::default());
    let stream = |instance: &str, devices: &[&str]| {
        let named = columns(devices).iter().map(|labels| Some(labels.with("instance", instance))).collect();
        let store = Store::default();
        Stream::new(rules.asked(), &[named], &store, &derived, &shapes, (LOOKBACK, 0)).expect("the store can be read")
    };
    let alike = [stream("web-1", &["a", "b"]), stream("web-2", &["a", "b"]), stream("db", &["m", "n"])];
    assert!(alike.iter().all(|stream| std::sync::Arc::ptr_eq(&stream.plans, &alike[0].plans)));
    let other = stream("web-3", &["a", "b", "c"]);
    assert_eq!(shapes.len(), 2);
    drop((alike, other));
    assert_eq!(shapes.len(), 0);
}
