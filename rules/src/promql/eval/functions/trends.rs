//! `deriv` and `predict_linear`: a straight line through the points by least squares.

use super::super::sums::Sum;
use super::super::windows::Window;
use super::OfWindow;
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
