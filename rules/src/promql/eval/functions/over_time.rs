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
        "mad_over_time" => |window| Some(median_deviation(values(window).collect())),
        "ts_of_first_over_time" => |window| window.points.first().map(|point| super::seconds(point.at)),
        "ts_of_last_over_time" => |window| window.points.last().map(|point| super::seconds(point.at)),
        // Of equal ones the last.
        "ts_of_max_over_time" => |window| newest_by(window, |value, most| value >= most),
        "ts_of_min_over_time" => |window| newest_by(window, |value, least| value <= least),
        "present_over_time" => |_| Some(1.0),
        _ => return None,
    })
}

fn values<'a>(window: &Window<'a>) -> impl Iterator<Item = f64> + use<'a> {
    window.points.iter().map(|point| point.value)
}

/// The median of how far the values are from their median.
fn median_deviation(values: Vec<f64>) -> f64 {
    let median = sums::quantile(0.5, values.clone());
    sums::quantile(0.5, values.iter().map(|value| (value - median).abs()).collect())
}

/// When the value was taken that goes before all others; NaN goes behind.
fn newest_by(window: &Window<'_>, goes_before: impl Fn(f64, f64) -> bool) -> Option<f64> {
    let newest = window.points.iter().copied().reduce(|found, point| {
        if goes_before(point.value, found.value) || found.value.is_nan() { point } else { found }
    });
    newest.map(|point| super::seconds(point.at))
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
