//! The evaluator, page by page of Prometheus's documentation: tables of expression and result.

mod aggregations;
mod annotations;
mod bounds;
mod experimental;
mod functions;
mod histograms;
mod names;
mod native;
mod operators;
mod rates;
mod selectors;
mod subqueries;

use crate::promql::ast::{Expr, ExprKind};
use crate::promql::eval::{EvalError, Evaluated, Sample, Settings, Value, instant, range};
use crate::promql::labels::Labels;
use crate::promql::memory::Memory;
use crate::promql::series::{Point, STALE};
use crate::promql::{Asked, Features, parse, parse_with};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;

/// Series as text: `up{host="a"} 1 2 _ stale`, one point a minute from 0 on, `_` for none.
fn samples(lines: &[&str]) -> Memory {
    let mut memory = Memory::default();
    for line in lines {
        let name_end = line.find('}').map_or_else(|| line.find(' ').unwrap_or(line.len()), |brace| brace + 1);
        let (series, values) = line.split_at(name_end);
        let labels = labels(series);
        for (place, written) in values.split_whitespace().enumerate() {
            let value = match written {
                "_" => continue,
                "stale" => f64::from_bits(STALE),
                written => written.parse().unwrap_or_else(|error| panic!("{line}: {written}: {error}")),
            };
            let at = i64::try_from(place).expect("a short series") * MINUTE;
            memory.append(&labels, Point { at, value }).expect("rising times");
        }
    }
    memory
}

fn labels(series: &str) -> Labels {
    let expr = parse(series).unwrap_or_else(|faults| panic!("{series}: {faults:?}"));
    let ExprKind::Vector(selector) = expr.kind else { panic!("{series} is no selector") };
    Labels::new(selector.matchers.matchers.into_iter().map(|matcher| (matcher.label, matcher.value)))
}

/// All features on: that they are needed is the parser's to say.
fn read(text: &str, asked: Asked) -> Expr {
    let features = Features { functions: true, durations: true };
    parse_with(text, features, asked).unwrap_or_else(|faults| panic!("{text}: {faults:?}"))
}

fn evaluated(memory: &Memory, text: &str, at: i64) -> Result<Evaluated, EvalError> {
    let expr = read(text, Asked::default());
    instant(&expr, memory, at, &Settings::default())
}

fn shown(value: Value) -> String {
    let vector = |samples: Vec<Sample>| {
        let shown = samples.iter().map(|sample| match &sample.histogram {
            None => format!("{} {}", sample.labels, sample.value),
            Some(histogram) => format!("{} {}", sample.labels, histogram.notation()),
        });
        let shown: Vec<String> = shown.collect();
        shown.join("; ")
    };
    match value {
        Value::Scalar(value) => value.to_string(),
        Value::String(text) => text,
        Value::Vector(samples) => vector(samples),
        Value::Matrix(series) => {
            let shown = series.iter().map(|series| {
                let points = series.points.iter().map(|point| format!("{}@{}", point.value, point.at / SECOND));
                format!("{} {}", series.labels, points.collect::<Vec<_>>().join(" "))
            });
            shown.collect::<Vec<_>>().join("; ")
        }
    }
}

/// The result as text: elements of a vector by `; `, points of a matrix as `value@second`.
fn result(memory: &Memory, text: &str, at: i64) -> String {
    match evaluated(memory, text, at) {
        Ok(found) => shown(found.value),
        Err(error) => format!("error: {error}"),
    }
}

/// Each expression at `at` gives its result.
fn check(memory: &Memory, at: i64, table: &[(&str, &str)]) {
    for (text, expected) in table {
        assert_eq!(result(memory, text, at), *expected, "{text}");
    }
}

/// Each expression is refused with a sentence that has this part, at this part of the expression.
fn check_refused(memory: &Memory, at: i64, table: &[(&str, &str, &str)]) {
    for (text, part, place) in table {
        let error = match evaluated(memory, text, at) {
            Ok(found) => panic!("{text} gave {}", shown(found.value)),
            Err(error) => error,
        };
        assert!(error.message.contains(part), "{text}: {error}");
        assert_eq!(&text[error.span.from..error.span.to], *place, "{text}: {error}");
    }
}

fn ranged(memory: &Memory, text: &str, start: i64, end: i64, step: i64) -> Result<Evaluated, EvalError> {
    let expr = read(text, Asked { step, range: end.saturating_sub(start) });
    range(&expr, memory, start, end, step, &Settings::default())
}

/// Each expression over `start..=end` gives its matrix.
fn check_range(memory: &Memory, steps: (i64, i64, i64), table: &[(&str, &str)]) {
    for (text, expected) in table {
        let found = match ranged(memory, text, steps.0, steps.1, steps.2) {
            Ok(found) => shown(found.value),
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(found, *expected, "{text}");
    }
}
