//! Aggregations of one series over time: `avg_over_time` and its like.

use super::super::node::Evaluator;
use super::super::steps::{Steps, Vectors};
use super::super::windows::Window;
use super::super::{EvalError, sums};
use super::{OfWindow, over_windows};
use crate::promql::ast::{Expr, Span};

pub(super) fn named(name: &str) -> Option<OfWindow> {
    Some(match name {
        "avg_over_time" => |window| Some(sums::mean(values(window))),
        "sum_over_time" => |window| Some(sums::sum(values(window))),
        "count_over_time" => |window| Some(window.points.len() as f64),
        "min_over_time" => {
            |window| values(window).reduce(|least, value| if value < least || least.is_nan() { value } else { least })
        }
        "max_over_time" => {
            |window| values(window).reduce(|most, value| if value > most || most.is_nan() { value } else { most })
        }
        "stdvar_over_time" => |window| Some(sums::variance_over_time(values(window))),
        "stddev_over_time" => |window| Some(sums::variance_over_time(values(window)).sqrt()),
        "first_over_time" => |window| values(window).next(),
        "last_over_time" => |window| values(window).last(),
        "present_over_time" => |_| Some(1.0),
        _ => return None,
    })
}

fn values<'a>(window: &Window<'a>) -> impl Iterator<Item = f64> + use<'a> {
    window.points.iter().map(|point| point.value)
}

pub(super) fn quantiles(
    evaluator: &mut Evaluator<'_>,
    span: Span,
    phi: &Expr,
    range: &Expr,
    steps: Steps,
) -> Result<Vectors, EvalError> {
    let phis = evaluator.scalars(phi, steps)?;
    let quantile = |step: usize, window: &Window<'_>| Some(sums::quantile(phis[step], values(window).collect()));
    let vectors = over_windows(evaluator, span, "quantile_over_time", range, steps, quantile)?;
    // Where there is nothing to look at, nothing is wrong with φ.
    let asked = phis.iter().zip(&vectors).filter(|(_, vector)| !vector.is_empty());
    for warning in asked.filter_map(|(phi, _)| sums::quantile_warning(*phi)) {
        evaluator.warnings.add(phi.span, warning);
    }
    Ok(vectors)
}
