//! `clamp`, `clamp_min`, `clamp_max` and `round`.

use super::super::grouping::nameless;
use super::super::node::{Evaluator, unique};
use super::super::numbers::{larger, smaller};
use super::super::steps::{Steps, Vectors};
use super::super::{EvalError, Sample};
use crate::promql::ast::{Expr, Span};

/// Gives nothing at steps where the lower bound is above the upper one; a NaN bound makes NaN.
pub(super) fn clamp(
    evaluator: &mut Evaluator<'_>,
    span: Span,
    arg: &Expr,
    least: Option<&Expr>,
    most: Option<&Expr>,
    steps: Steps,
) -> Result<Vectors, EvalError> {
    let mut bounds = |bound: Option<&Expr>, none: f64| match bound {
        Some(bound) => evaluator.scalars(bound, steps),
        None => Ok(vec![none; steps.count()]),
    };
    let least = bounds(least, f64::NEG_INFINITY)?;
    let most = bounds(most, f64::INFINITY)?;
    by_step(evaluator, span, arg, steps, |step, value| {
        let (least, most) = (least[step], most[step]);
        let empty = most < least;
        (!empty).then(|| larger(least, smaller(most, value)))
    })
}

/// To the nearest multiple; halves go up, so -2.5 becomes -2.
pub(super) fn round(
    evaluator: &mut Evaluator<'_>,
    span: Span,
    arg: &Expr,
    nearest: Option<&Expr>,
    steps: Steps,
) -> Result<Vectors, EvalError> {
    let nearest = match nearest {
        Some(nearest) => evaluator.scalars(nearest, steps)?,
        None => vec![1.0; steps.count()],
    };
    by_step(evaluator, span, arg, steps, |step, value| {
        // Multiplying by the inverse loses fewer digits than dividing: 0.1 is no binary fraction, 10 is.
        let inverse = 1.0 / nearest[step];
        Some((value * inverse + 0.5).floor() / inverse)
    })
}

fn by_step(
    evaluator: &mut Evaluator<'_>,
    span: Span,
    arg: &Expr,
    steps: Steps,
    function: impl Fn(usize, f64) -> Option<f64>,
) -> Result<Vectors, EvalError> {
    let vectors = evaluator.vectors(arg, steps)?;
    let made: Vectors = vectors
        .iter()
        .enumerate()
        .map(|(step, vector)| {
            let made = vector.iter().filter_map(|sample| {
                let value = function(step, sample.value).filter(|_| sample.histogram.is_none());
                value.map(|value| Sample::new(nameless(&sample.labels), value))
            });
            made.collect()
        })
        .collect();
    for (made, vector) in made.iter().zip(&vectors) {
        unique(
            span,
            made.iter().map(|sample| &sample.labels).zip(vector.iter().map(|sample| &sample.labels)).collect(),
        )?;
    }
    Ok(made)
}
