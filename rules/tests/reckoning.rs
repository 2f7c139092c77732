//! What we reckon from random series, Prometheus's own promtool reckons too.
//!
//! Debian's promtool is of Prometheus 2: windows there are closed at their left edge, so no sample lies on an edge here, and
//! sums differ in their last bit, so values are compared after rounding to a power of two.

#[path = "reckoning/grown.rs"]
mod grown;

use std::fmt::Write;
use std::process::Command;

use watchkeep_rules::promql::eval::{Settings, Value, instant};
use watchkeep_rules::promql::labels::{Labels, NAME};
use watchkeep_rules::promql::memory::Memory;
use watchkeep_rules::promql::parse;
use watchkeep_rules::promql::series::Point;

const STEP: i64 = 15_000;
const POINTS: i64 = 60;
const ROUNDS: u64 = 12;
/// Grown expressions a round.
const EXPRESSIONS: usize = 100;

/// Of counters `c_total`, gauges `g` and buckets `h_bucket`; `{}` is a range.
const OVER_RANGES: [&str; 18] = [
    "rate(c_total[{}])",
    "increase(c_total[{}])",
    "irate(c_total[{}])",
    "resets(c_total[{}])",
    "changes(g[{}])",
    "delta(g[{}])",
    "idelta(g[{}])",
    "deriv(g[{}])",
    "predict_linear(g[{}], 600)",
    "avg_over_time(g[{}])",
    "sum_over_time(g[{}])",
    "min_over_time(g[{}]) + max_over_time(g[{}])",
    "stddev_over_time(g[{}])",
    "quantile_over_time(0.7, g[{}])",
    "count_over_time(c_total[{}]) - on (host) last_over_time(g[{}])",
    "sum by (zone) (rate(c_total[{}] offset 1m))",
    "histogram_quantile(0.9, sum by (le) (rate(h_bucket[{}])))",
    "histogram_quantile(0.33, rate(h_bucket[{}]))",
];

const AT_INSTANTS: [&str; 10] = [
    "avg by (zone) (g)",
    "stddev without (host) (g)",
    "quantile(0.4, g)",
    "topk(2, g) - 1",
    "g % 7",
    "g > 20 or c_total",
    "g * on (host) group_left (zone) c_total",
    "(g > bool 30) ^ 2",
    "clamp(g, 10, 40) unless on (host) (c_total > 200)",
    "count_values by (zone) (\"v\", round(g, 16))",
];

/// Numbers that look random and are the same in every run (Knuth's MMIX generator).
struct Dice(u64);

impl Dice {
    /// Below `end`.
    fn roll(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

struct Round {
    memory: Memory,
    /// `input_series` of promtool's.
    written: String,
}

impl Round {
    /// Counters begin at `least`; those that begin at 0 begin anew at times.
    fn new(dice: &mut Dice, least: u64) -> Self {
        let mut round = Self { memory: Memory::default(), written: String::new() };
        for host in 0..4_u64 {
            let labels = |name: &str| {
                [(NAME, name.to_owned()), ("host", host.to_string()), ("zone", (host % 2).to_string())].to_vec()
            };
            let mut count = least + dice.roll(100);
            round.series(labels("c_total"), dice, |dice| {
                count = if least == 0 && dice.roll(25) == 0 { dice.roll(5) } else { count + dice.roll(9) };
                count
            });
            round.series(labels("g"), dice, |dice| dice.roll(50) + 1);
            let mut buckets = [1, 2, 4, 6];
            let mut all = Vec::new();
            for _ in 0..POINTS {
                let least = dice.roll(4) as usize;
                buckets[least..].iter_mut().for_each(|count| *count += 1);
                all.push(buckets);
            }
            for (place, bound) in ["0.1", "0.5", "2", "+Inf"].into_iter().enumerate() {
                let mut at = 0;
                let labels = [labels("h_bucket"), vec![("le", bound.to_owned())]].concat();
                round.series(labels, &mut Dice(1), |_| {
                    at += 1;
                    all[at - 1][place]
                });
            }
        }
        round
    }

    /// One value a step, some of them left out.
    fn series(&mut self, labels: Vec<(&str, String)>, dice: &mut Dice, mut next: impl FnMut(&mut Dice) -> u64) {
        let labels = Labels::new(labels);
        let mut values = Vec::new();
        for place in 0..POINTS {
            let value = next(dice);
            if dice.roll(12) == 0 {
                values.push("_".to_owned());
                continue;
            }
            self.memory.append(&labels, Point { at: place * STEP, value: value as f64 }).expect("rising times");
            values.push(value.to_string());
        }
        writeln!(self.written, "      - {{series: '{labels}', values: '{}'}}", values.join(" "))
            .expect("a string takes all");
    }

    /// A case of `promql_expr_test` that expects what we reckon; its number of samples, or none where it is an error.
    fn case(&self, expr: &str, at: i64, out: &mut String) -> Option<usize> {
        // NaN equals nothing, so it is left out, and what differs in the last bit is rounded.
        let text = format!("round({expr}, 0.0009765625) >= -Inf");
        let parsed = parse(&text).unwrap_or_else(|faults| panic!("{text}: {faults:?}"));
        let found = instant(&parsed, &self.memory, at, &Settings::default()).ok()?;
        let Value::Vector(samples) = found.value else { panic!("{text} is no vector") };
        writeln!(out, "      - expr: '{text}'\n        eval_time: {}s\n        exp_samples:", at / 1000)
            .expect("a string takes all");
        for sample in &samples {
            let value = if sample.value == f64::INFINITY { ".inf".to_owned() } else { sample.value.to_string() };
            let value = value.replace("-inf", "-.inf");
            writeln!(out, "          - {{labels: '{}', value: {value}}}", sample.labels).expect("a string takes all");
        }
        Some(samples.len())
    }

    fn header(&self, file: &mut String) {
        writeln!(file, "  - interval: 15s\n    input_series:\n{}    promql_expr_test:", self.written)
            .expect("a string takes all");
    }
}

/// Some instant within the samples, seven seconds behind one, so that none lies on an edge.
fn instant_of(dice: &mut Dice) -> i64 {
    (20 + dice.roll(35) as i64) * STEP + 7_000
}

#[test]
fn promtool_reckons_what_we_reckon() {
    let mut dice = Dice(7);
    let mut file = "evaluation_interval: 1s\ntests:\n".to_owned();
    let mut samples = 0;
    for _ in 0..ROUNDS {
        let round = Round::new(&mut dice, 0);
        round.header(&mut file);
        for (place, expr) in OVER_RANGES.iter().chain(&AT_INSTANTS).enumerate() {
            let range = ["40s", "2m", "5m", "8m"][dice.roll(4) as usize];
            let at = instant_of(&mut dice) + 1_000 * (place as i64 % 2);
            samples += round.case(&expr.replace("{}", range), at, &mut file).expect("none of these is an error");
        }
    }
    assert!(samples > 600, "only {samples} samples were compared");
    judge(&file);
}

/// Another seed by `WATCHKEEP_SEED`, more rounds by `WATCHKEEP_ROUNDS`.
#[test]
fn promtool_reckons_what_we_reckon_of_grown_expressions() {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse().expect("a number"));
    let mut dice = Dice(number("WATCHKEEP_SEED").unwrap_or(11));
    let mut file = "evaluation_interval: 1s\ntests:\n".to_owned();
    let (mut samples, mut compared) = (0, 0);
    for _ in 0..number("WATCHKEEP_ROUNDS").unwrap_or(4) {
        let round = Round::new(&mut dice, 10_000);
        round.header(&mut file);
        for _ in 0..EXPRESSIONS {
            let expr = grown::vector(&mut dice);
            let found = round.case(&expr, instant_of(&mut dice), &mut file);
            compared += usize::from(found.is_some());
            samples += found.unwrap_or(0);
        }
        // promtool knows samples up to the last instant that is asked for.
        round.case("g", POINTS * STEP + 7_000, &mut file).expect("a selector is no error");
    }
    assert!(compared > 200 && samples > 300, "only {compared} expressions with {samples} samples were compared");
    judge(&file);
}

/// Has promtool find every expectation of the file met.
fn judge(file: &str) {
    let folder = tempfile::tempdir().expect("a folder for the file");
    let path = folder.path().join("reckoning.yaml");
    std::fs::write(&path, file).expect("a writable folder");
    let output = Command::new("promtool").args(["test", "rules"]).arg(&path).output().unwrap_or_else(|error| {
        panic!("promtool cannot be run ({error}); install Debian's package 'prometheus', as tests/debian-packages says")
    });
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let shown: Vec<&str> = said.lines().take(60).collect();
    assert!(output.status.success(), "{}", shown.join("\n"));
}
