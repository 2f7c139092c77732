//! The plain evaluator: what an expression means, with the semantics of Prometheus 3.
//!
//! It is the oracle: whatever else evaluates expressions must give what it gives. Each file stands beside a page of
//! Prometheus's documentation ("Querying: basics, operators, functions"): [`selectors`](self) and staleness, [`windows`](self)
//! (range vectors and subqueries), operators and matching, aggregations, functions by family.
//!
//! An expression is evaluated over steps: an instant is one step, a range many, and so are the inner steps of a subquery.
//! Every part gives one vector a step. Series are taken in the order of their labels, so the same samples always give the
//! same bits. The metric's name goes as soon as a function or operator changes what the value means, as in Prometheus
//! without `promql-delayed-name-removal`.
//!
//! Native histograms stand beside floats: a sample or a point is the one or the other. What floats alone do passes them by
//! at the cost of one look.

mod aggregate;
mod binary;
mod functions;
mod grouping;
mod matching;
mod native;
mod node;
mod notes;
mod numbers;
pub(crate) mod parts;
mod ranked;
mod selectors;
mod steps;
mod sums;
mod windows;

use super::ast::{Expr, Span, ValueType};
use std::sync::Arc;

use super::histogram::Histogram;
use super::labels::Labels;
use super::series::{Samples, Series};
use node::Evaluator;
use steps::Steps;

/// What one evaluation may assume and use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How far back a vector selector looks for a series' newest point, ms.
    pub lookback: i64,
    /// The step of a subquery that names none, ms: the global evaluation interval.
    pub subquery_step: i64,
    /// Points that one evaluation may look at or make, all its parts and steps together; beyond them it fails.
    /// It bounds time and memory: a point takes 16 bytes and a few nanoseconds.
    pub points_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { lookback: 5 * 60_000, subquery_step: 60_000, points_max: 20_000_000 }
    }
}

/// Steps that a range may have, as in Prometheus's API.
pub const STEPS_MAX: usize = 11_000;

/// What an expression gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Scalar(f64),
    String(String),
    /// At an instant: in the order of their labels, but as sorted by `sort`, `sort_desc`, `topk` and `bottomk`.
    Vector(Vec<Sample>),
    /// Over a range, or at an instant for a range vector.
    Matrix(Vec<Series>),
}

/// One element of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub labels: Labels,
    /// 0 where the element is a histogram.
    pub value: f64,
    /// A native histogram, instead of the number.
    pub histogram: Option<Arc<Histogram>>,
}

impl Sample {
    /// An element that is a number.
    pub fn new(labels: Labels, value: f64) -> Self {
        Self { labels, value, histogram: None }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Evaluated {
    pub value: Value,
    /// What is probably wrong with the result, each once.
    pub warnings: Vec<Note>,
    /// What might be wrong with the expression, each once.
    pub infos: Vec<Note>,
}

/// A remark about a part of the expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub span: Span,
    pub message: String,
}

/// Why an expression has no value, and which part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EvalError {
    pub span: Span,
    pub message: String,
}

impl EvalError {
    fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into() }
    }
}

/// Evaluates at one instant, UTC milliseconds.
///
/// # Errors
/// Samples cannot be read, series cannot be matched, two results have the same labels, or a bound is reached.
pub fn instant(expr: &Expr, samples: &dyn Samples, at: i64, settings: &Settings) -> Result<Evaluated, EvalError> {
    let steps = Steps::one(at);
    let mut evaluator = Evaluator::new(samples, settings, steps);
    let value = match expr.value_type() {
        ValueType::Scalar => Value::Scalar(evaluator.scalars(expr, steps)?[0]),
        ValueType::String => Value::String(node::text(expr)?.to_owned()),
        ValueType::Vector => Value::Vector(evaluator.vectors(expr, steps)?.remove(0)),
        ValueType::Matrix => Value::Matrix(evaluator.windows(expr, steps)?.at_instant(at)),
    };
    Ok(evaluator.finish(value))
}

/// Evaluates at `start`, `start + step`, … up to and with `end`, UTC milliseconds; gives a matrix.
///
/// # Errors
/// As [`instant`]; a string or range vector has no range; more than [`STEPS_MAX`] steps.
pub fn range(
    expr: &Expr,
    samples: &dyn Samples,
    start: i64,
    end: i64,
    step: i64,
    settings: &Settings,
) -> Result<Evaluated, EvalError> {
    let steps = Steps::new(start, end, step).ok_or_else(|| {
        EvalError::new(expr.span, format!("a range from {start} to {end} in steps of {step} ms has no steps"))
    })?;
    if steps.count() > STEPS_MAX {
        let wrong = format!("the range has {} steps, at most {STEPS_MAX} are taken; take a longer step", steps.count());
        return Err(EvalError::new(expr.span, wrong));
    }
    let mut evaluator = Evaluator::new(samples, settings, steps);
    let series = match expr.value_type() {
        ValueType::Scalar => {
            let values = evaluator.scalars(expr, steps)?;
            steps.series(values.into_iter().map(|value| vec![Sample::new(Labels::default(), value)]).collect())
        }
        ValueType::Vector => steps.series(evaluator.vectors(expr, steps)?),
        ValueType::String | ValueType::Matrix => {
            let wrong = "only a scalar or an instant vector can be evaluated over a range";
            return Err(EvalError::new(expr.span, wrong));
        }
    };
    Ok(evaluator.finish(Value::Matrix(series)))
}

#[cfg(test)]
mod tests;
