//! `promql_expr_test`: what an expression gives at a time, after everything of the test has happened.

use std::sync::Arc;

use super::course::Course;
use super::file::{list, read_text};
use super::report::Failure;
use super::series;
use crate::duration;
use crate::load::Checker;
use crate::promql::ast::Expr;
use crate::promql::eval::{self, Sample, Settings, Value};
use crate::promql::histogram::{Histogram, ResetHint};
use crate::promql::labels::Labels;
use crate::promql::{self};
use crate::yaml::Node;

pub(super) struct ExprTest {
    /// Line of the file.
    pub line: usize,
    pub at: i64,
    pub text: String,
    pub expr: Expr,
    pub samples: Vec<Sample>,
}

pub(super) fn read(check: &mut Checker<'_>, node: &Node) -> Option<ExprTest> {
    check.within("promql_expr_test", |check| {
        let fields = check.fields(node, "promql_expr_test", &["expr", "eval_time", "exp_samples"]);
        let text = fields.required(check, "expr", "promql_expr_test").and_then(|node| {
            let text = check.name(node)?;
            Some((node, text))
        });
        let at = fields.get("eval_time").map_or(Some(0), |node| check.duration(node));
        let samples = list(check, &fields, "exp_samples").iter().filter_map(|node| sample(check, node)).collect();
        let (node_of_text, text) = text?;
        let expr = match promql::parse(&text) {
            Ok(expr) => expr,
            Err(faults) => {
                check.syntax_faults(node_of_text, faults);
                return None;
            }
        };
        let (line, _) = check.source.place(node.start);
        Some(ExprTest { line, at: at?, text, expr, samples })
    })
}

fn sample(check: &mut Checker<'_>, node: &Node) -> Option<Sample> {
    let fields = check.fields(node, "an expected sample", &["labels", "value", "histogram"]);
    let histogram = fields.get("histogram").and_then(|node| histogram(check, node));
    // No labels may be written in many ways: left out, as an empty text, as `{}`, which is an empty mapping to YAML.
    let labels = match fields.get("labels") {
        None => Some(Labels::default()),
        Some(node) if node.scalar().is_some_and(|text| text.trim().is_empty()) => Some(Labels::default()),
        Some(node) => match &node.kind {
            crate::yaml::Kind::Map(entries) if entries.is_empty() => Some(Labels::default()),
            _ => read_text(check, node, series::labels),
        },
    };
    let value = fields.get("value").map_or(Some(0.0), |node| number(check, node));
    Some(Sample { labels: labels?, value: value?, histogram })
}

/// None where it is empty: a number is expected.
fn histogram(check: &mut Checker<'_>, node: &Node) -> Option<Arc<Histogram>> {
    let text = check.text(node)?;
    if text.trim().is_empty() {
        return None;
    }
    let inner = text.trim().strip_prefix("{{").and_then(|text| text.strip_suffix("}}"));
    let read = inner.ok_or_else(|| "a histogram stands in {{ and }}".to_owned()).and_then(Histogram::parse);
    match read {
        Ok(histogram) => Some(Arc::new(histogram)),
        Err(message) => {
            check.fault(node, message);
            None
        }
    }
}

/// A number as YAML writes it, or as PromQL does.
fn number(check: &mut Checker<'_>, node: &Node) -> Option<f64> {
    let text = check.text(node)?;
    let plain = text.trim().replace('_', "");
    let unsigned = plain.trim_start_matches(['+', '-']).to_ascii_lowercase();
    let value = match unsigned.as_str() {
        ".inf" | "inf" => Some(if plain.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }),
        ".nan" | "nan" => Some(f64::NAN),
        hex if hex.starts_with("0x") => {
            let value = u64::from_str_radix(&hex[2..], 16).ok().map(|value| value as f64);
            value.map(|value| if plain.starts_with('-') { -value } else { value })
        }
        // As in YAML 1.1, which promtool reads.
        octal
            if octal.len() > 1 && octal.starts_with('0') && octal.bytes().all(|byte| (b'0'..=b'7').contains(&byte)) =>
        {
            let value = u64::from_str_radix(octal, 8).ok().map(|value| value as f64);
            value.map(|value| if plain.starts_with('-') { -value } else { value })
        }
        _ => plain.parse().ok(),
    };
    if value.is_none() {
        check.fault(node, format!("\"{text}\" is no number"));
    }
    value
}

/// None where it gives what is expected.
/// `start` is that of the test.
pub(super) fn judged(
    test: &ExprTest,
    start: i64,
    course: &Course<'_>,
    settings: &Settings,
    fuzzy: bool,
) -> Option<Failure> {
    let what = format!("promql_expr_test at {}, {}", duration::format(test.at - start), test.text.trim());
    let failure = |expected, found| Some(Failure { line: test.line, what, expected, found });
    let evaluated = match eval::instant(&test.expr, course.memory(), test.at, settings) {
        Ok(evaluated) => evaluated,
        Err(error) => return failure(test.samples.iter().map(shown).collect(), vec![error.to_string()]),
    };
    let found = match evaluated.value {
        Value::Vector(samples) => samples,
        Value::Scalar(value) => vec![Sample::new(Labels::default(), value)],
        Value::String(_) | Value::Matrix(_) => {
            let found = format!("{}, which is neither a vector nor a scalar", test.expr.value_type());
            return failure(test.samples.iter().map(shown).collect(), vec![found]);
        }
    };
    let (missing, more) = differing(&test.samples, found, fuzzy);
    if missing.is_empty() && more.is_empty() { None } else { failure(missing, more) }
}

/// What is on one side only, in the order of labels.
fn differing(expected: &[Sample], found: Vec<Sample>, fuzzy: bool) -> (Vec<String>, Vec<String>) {
    let mut more = found;
    let mut missing: Vec<&Sample> = Vec::new();
    for sample in expected {
        let same = |found: &Sample| {
            found.labels == sample.labels
                && match (&found.histogram, &sample.histogram) {
                    (None, None) => equal(found.value, sample.value, fuzzy),
                    (Some(found), Some(expected)) => alike(found, expected),
                    _ => false,
                }
        };
        match more.iter().position(same) {
            Some(place) => {
                more.remove(place);
            }
            None => missing.push(sample),
        }
    }
    missing.sort_by(|one, other| one.labels.cmp(&other.labels));
    more.sort_by(|one, other| one.labels.cmp(&other.labels));
    (missing.into_iter().map(shown).collect(), more.iter().map(shown).collect())
}

/// As promtool compares: NaN equals nothing. Fuzzy: the neighbouring number equals too.
fn equal(one: f64, other: f64, fuzzy: bool) -> bool {
    one == other || (fuzzy && (one.next_up() == other || one.next_down() == other))
}

/// What a hint says counts where one is expected: of stored samples promtool's store adds some.
fn alike(found: &Histogram, expected: &Histogram) -> bool {
    let hints = [found.hint, expected.hint];
    found.counts_alike(expected) && (hints[0] == hints[1] || hints.contains(&ResetHint::Unknown))
}

fn shown(sample: &Sample) -> String {
    match &sample.histogram {
        None => format!("{} {}", sample.labels, sample.value),
        Some(histogram) => format!("{} {}", sample.labels, histogram.notation()),
    }
}
