//! `rate`, `increase`, `delta`, `irate`, `idelta`, `resets`, `changes`.
//!
//! Samples seldom lie on the edges of a window, so what they show is stretched to it: up to the edge where the nearest
//! sample is within 1.1 times the mean spacing, else by half a spacing. A counter is never stretched below zero.

use super::super::node::Evaluator;
use super::super::windows::Window;
use super::OfWindow;
use crate::promql::ast::Span;
use crate::promql::labels::{Labels, NAME};
use crate::promql::series::Point;
use crate::quote::quoted;

pub(super) fn named(name: &str) -> Option<OfWindow> {
    Some(match name {
        "rate" => |window| stretched(window, Kind::Counter, true),
        "increase" => |window| stretched(window, Kind::Counter, false),
        "delta" => |window| stretched(window, Kind::Gauge, false),
        "irate" => |window| instant(window, Kind::Counter),
        "idelta" => |window| instant(window, Kind::Gauge),
        "resets" => |window| Some(count(window.points, |before, after| after < before)),
        "changes" => {
            |window| Some(count(window.points, |before, after| before != after && !(before.is_nan() && after.is_nan())))
        }
        _ => return None,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A fall means that it began anew from zero.
    Counter,
    Gauge,
}

/// Gaps to the edges that are smaller than so many mean spacings are bridged.
const BRIDGED_SPACINGS: f64 = 1.1;

fn stretched(window: &Window<'_>, kind: Kind, per_second: bool) -> Option<f64> {
    let [first, .., last] = window.points else { return None };
    let mut change = last.value - first.value;
    if kind == Kind::Counter {
        for pair in window.points.windows(2) {
            if pair[1].value < pair[0].value {
                change += pair[0].value;
            }
        }
    }
    let sampled = Sampled { first: *first, last: *last, count: window.points.len(), change };
    Some(stretch(&sampled, window.from, window.to, kind, per_second))
}

/// What at least two points of a window show.
pub(crate) struct Sampled {
    pub first: Point,
    pub last: Point,
    pub count: usize,
    /// From the first to the last, falls made up for.
    pub change: f64,
}

/// Seconds and numbers are multiplied in Prometheus's order, so that results are equal to the last bit.
pub(crate) fn stretch(found: &Sampled, from: i64, to: i64, kind: Kind, per_second: bool) -> f64 {
    found.change * factor(found, from, to, kind, per_second)
}

/// What the change is multiplied by.
#[inline]
pub(super) fn factor(found: &Sampled, from: i64, to: i64, kind: Kind, per_second: bool) -> f64 {
    let Sampled { first, last, count, change } = *found;
    let sampled = seconds_between(first.at, last.at);
    let spacing = sampled / (count - 1) as f64;
    let bridged = |gap: f64| if gap >= spacing * BRIDGED_SPACINGS { spacing / 2.0 } else { gap };
    let mut before = bridged(seconds_between(from, first.at));
    if kind == Kind::Counter && change > 0.0 && first.value >= 0.0 {
        let since_zero = sampled * (first.value / change);
        if since_zero < before {
            before = since_zero;
        }
    }
    let after = bridged(seconds_between(last.at, to));
    let mut factor = (sampled + before + after) / sampled;
    if per_second {
        factor /= seconds_between(from, to);
    }
    factor
}

/// From the last two points alone.
fn instant(window: &Window<'_>, kind: Kind) -> Option<f64> {
    let [.., before, last] = window.points else { return None };
    let fell = last.value < before.value;
    let change = if kind == Kind::Counter && fell { last.value } else { last.value - before.value };
    Some(if kind == Kind::Counter { change / seconds_between(before.at, last.at) } else { change })
}

pub(super) fn seconds_between(from: i64, to: i64) -> f64 {
    to.saturating_sub(from) as f64 / 1000.0
}

fn count(points: &[Point], is_one: impl Fn(f64, f64) -> bool) -> f64 {
    points.windows(2).filter(|pair| is_one(pair[0].value, pair[1].value)).count() as f64
}

/// Says where `rate` or `increase` is asked of what is no counter by its name.
pub(super) fn remark(evaluator: &mut Evaluator<'_>, function: &str, span: Span, labels: &Labels) {
    if !matches!(function, "rate" | "increase") {
        return;
    }
    let Some(name) = labels.get(NAME) else { return };
    if !["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| name.ends_with(suffix)) {
        let remark =
            format!("metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {}", quoted(name));
        evaluator.infos.add(span, remark);
    }
}
