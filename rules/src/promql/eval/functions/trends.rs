//! `deriv` and `predict_linear`: a straight line through the points by least squares.

use super::super::EvalError;
use super::super::node::Evaluator;
use super::super::steps::{Steps, Vectors};
use super::super::sums::Sum;
use super::super::windows::Window;
use super::{OfWindow, over_windows};
use crate::promql::ast::{Expr, Span};
use crate::promql::series::Point;

pub(super) fn named(name: &str) -> Option<OfWindow> {
    match name {
        // From the first point on, so that x stays small beside its differences.
        "deriv" => Some(|window| Some(line(window.points, window.points[0].at)?.slope)),
        _ => None,
    }
}

/// The value so many seconds after the instant of evaluation (whatever `offset` and `@` say).
pub(super) fn predict(window: &Window<'_>, ahead_seconds: f64) -> Option<f64> {
    let line = line(window.points, window.at)?;
    Some(line.slope * ahead_seconds + line.intercept)
}

/// `double_exponential_smoothing`: level and trend, each a mixture of what was and what the next value says.
pub(super) fn smoothed(
    evaluator: &mut Evaluator<'_>,
    span: Span,
    range: &Expr,
    smoothing: &Expr,
    trend: &Expr,
    steps: Steps,
) -> Result<Vectors, EvalError> {
    let factors = [("smoothing", smoothing), ("trend", trend)].map(|(what, expr)| {
        let found = evaluator.scalars(expr, steps)?;
        // Not a number passes, as in Prometheus, and makes every value one.
        match found.iter().find(|factor| **factor <= 0.0 || **factor >= 1.0) {
            None => Ok(found),
            Some(factor) => {
                let wrong = format!("invalid {what} factor. Expected: 0 < factor < 1, got: {factor}");
                Err(EvalError::new(expr.span, wrong))
            }
        }
    });
    let [smoothing, trend] = factors;
    let (smoothing, trend) = (smoothing?, trend?);
    let smooth = |step: usize, window: &Window<'_>| level(window.points, smoothing[step], trend[step]);
    over_windows(evaluator, span, "double_exponential_smoothing", range, steps, smooth)
}

fn level(points: &[Point], smoothing: f64, trend_factor: f64) -> Option<f64> {
    let [first, second, ..] = points else { return None };
    let (mut before, mut level) = (0.0, first.value);
    let mut trend = second.value - first.value;
    for (place, point) in points.iter().enumerate().skip(1) {
        if place > 1 {
            trend = trend_factor * (level - before) + (1.0 - trend_factor) * trend;
        }
        let next = smoothing * point.value + (1.0 - smoothing) * (level + trend);
        (before, level) = (level, next);
    }
    Some(level)
}

#[derive(Debug)]
struct Line {
    /// Per second.
    slope: f64,
    /// At the instant from which seconds are counted.
    intercept: f64,
}

/// None for fewer than two points.
fn line(points: &[Point], from: i64) -> Option<Line> {
    let [first, _, ..] = points else { return None };
    if points[1..].iter().all(|point| point.value == first.value) {
        // Exactly level, where the formula would leave a remainder.
        let (slope, intercept) = if first.value.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first.value) };
        return Some(Line { slope, intercept });
    }
    let (mut x_sum, mut y_sum, mut xy_sum, mut xx_sum) =
        (Sum::default(), Sum::default(), Sum::default(), Sum::default());
    for point in points {
        let x = point.at.saturating_sub(from) as f64 / 1000.0;
        x_sum.add(x);
        y_sum.add(point.value);
        xy_sum.add(x * point.value);
        xx_sum.add(x * x);
    }
    let count = points.len() as f64;
    let (x_sum, y_sum) = (x_sum.total(), y_sum.total());
    let covariance = xy_sum.total() - x_sum * y_sum / count;
    let variance = xx_sum.total() - x_sum * x_sum / count;
    let slope = covariance / variance;
    Some(Line { slope, intercept: y_sum / count - slope * x_sum / count })
}
