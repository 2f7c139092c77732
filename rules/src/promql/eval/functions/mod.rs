//! Functions, a file for each family of the documentation.

mod absence;
mod clamps;
mod dates;
mod histograms;
mod info;
mod labels;
mod math;
mod native;
mod over_time;
mod rates;
mod trends;

use super::grouping::nameless;
use super::node::{Evaluator, relabelled, unique};
use super::ranked::Order;
use super::steps::{Steps, Vectors};
use super::windows::Window;
use super::{EvalError, Sample};
use crate::promql::ast::{Expr, ExprKind, Span};
use crate::promql::histogram::Histogram;
use crate::promql::labels::Labels;

/// What a function makes of one window: none where it has too few points.
pub(crate) type OfWindow = fn(&Window<'_>) -> Option<f64>;

pub(crate) use rates::{Kind, Sampled, stretch};

/// The function of this name, if it takes nothing but the vector, and each number by itself.
pub(crate) fn of_number(name: &str) -> Option<fn(f64) -> f64> {
    math::named(name)
}

/// The function of this name, if it takes nothing but a range vector, and each series by itself.
pub(crate) fn of_window(name: &str) -> Option<OfWindow> {
    rates::named(name).or_else(|| over_time::named(name)).or_else(|| trends::named(name))
}

/// `predict_linear` of a window that has a point.
pub(crate) fn predict(window: &Window<'_>, ahead_seconds: f64) -> Option<f64> {
    trends::predict(window, ahead_seconds)
}

/// Calls a function that gives a scalar.
pub(super) fn scalars(
    evaluator: &mut Evaluator<'_>,
    span: Span,
    name: &str,
    args: &[Expr],
    steps: Steps,
) -> Result<Vec<f64>, EvalError> {
    match (name, args) {
        ("time", []) => Ok(steps.iter().map(seconds).collect()),
        ("start", []) => Ok(vec![seconds(evaluator.asked.start); steps.count()]),
        ("end", []) => Ok(vec![seconds(evaluator.asked.end); steps.count()]),
        ("range", []) => Ok(vec![seconds(evaluator.asked.end.saturating_sub(evaluator.asked.start)); steps.count()]),
        ("step", []) => Ok(vec![seconds(evaluator.asked.interval()); steps.count()]),
        ("pi", []) => Ok(vec![std::f64::consts::PI; steps.count()]),
        ("scalar", [arg]) => {
            let vectors = evaluator.vectors(arg, steps)?;
            let only = vectors.iter().map(|vector| match vector.as_slice() {
                [sample] if sample.histogram.is_none() => sample.value,
                _ => f64::NAN,
            });
            Ok(only.collect())
        }
        _ => Err(unknown(span, name)),
    }
}

/// Calls a function that gives an instant vector.
pub(super) fn vectors(
    evaluator: &mut Evaluator<'_>,
    span: Span,
    name: &str,
    args: &[Expr],
    steps: Steps,
) -> Result<Vectors, EvalError> {
    if let Some(function) = math::named(name) {
        let vectors = evaluator.vectors(argument(span, args, 0)?, steps)?;
        return mapped(span, vectors, function);
    }
    if let Some(part) = dates::named(name) {
        return dates::parts(evaluator, span, part, args, steps);
    }
    if let Some(function) = of_window(name) {
        return over_windows(evaluator, span, name, argument(span, args, 0)?, steps, |_, window| function(window));
    }
    match (name, args) {
        ("predict_linear", [range, ahead]) => {
            let ahead = evaluator.scalars(ahead, steps)?;
            let predict = |step: usize, window: &Window<'_>| trends::predict(window, ahead[step]);
            over_windows(evaluator, span, name, range, steps, predict)
        }
        ("quantile_over_time", [phi, range]) => over_time::quantiles(evaluator, span, phi, range, steps),
        ("absent", [arg]) => absence::absent(evaluator, arg, steps),
        ("absent_over_time", [arg]) => absence::absent_over_time(evaluator, arg, steps),
        ("clamp", [arg, least, most]) => clamps::clamp(evaluator, span, arg, Some(least), Some(most), steps),
        ("clamp_min", [arg, least]) => clamps::clamp(evaluator, span, arg, Some(least), None, steps),
        ("clamp_max", [arg, most]) => clamps::clamp(evaluator, span, arg, None, Some(most), steps),
        ("round", [arg]) => clamps::round(evaluator, span, arg, None, steps),
        ("round", [arg, nearest]) => clamps::round(evaluator, span, arg, Some(nearest), steps),
        ("histogram_quantile", [phi, arg]) => histograms::quantile(evaluator, phi, arg, steps),
        ("histogram_fraction", [lower, upper, arg]) => histograms::fraction(evaluator, lower, upper, arg, steps),
        ("histogram_avg", [arg]) => native::told(evaluator, span, arg, steps, |held| held.sum / held.count),
        ("histogram_count", [arg]) => native::told(evaluator, span, arg, steps, |held| held.count),
        ("histogram_sum", [arg]) => native::told(evaluator, span, arg, steps, |held| held.sum),
        ("histogram_stddev", [arg]) => native::told(evaluator, span, arg, steps, |held| held.variance().sqrt()),
        ("histogram_stdvar", [arg]) => native::told(evaluator, span, arg, steps, Histogram::variance),
        ("histogram_quantiles", [arg, label, phis @ ..]) => {
            histograms::quantiles(evaluator, span, arg, label, phis, steps)
        }
        ("double_exponential_smoothing", [range, smoothing, trend]) => {
            trends::smoothed(evaluator, span, range, smoothing, trend, steps)
        }
        ("info", [arg, selector @ ..]) => info::info(evaluator, span, arg, selector.first(), steps),
        ("sort_by_label", [arg, names @ ..]) => labels::sorted(evaluator, arg, names, steps, false),
        ("sort_by_label_desc", [arg, names @ ..]) => labels::sorted(evaluator, arg, names, steps, true),
        ("label_replace", [arg, texts @ ..]) => labels::replace(evaluator, span, arg, texts, steps),
        ("label_join", [arg, texts @ ..]) => labels::join(evaluator, span, arg, texts, steps),
        ("sort", [arg]) => sorted(evaluator, span, arg, steps, Order::Rising),
        ("sort_desc", [arg]) => sorted(evaluator, span, arg, steps, Order::Falling),
        ("timestamp", [arg]) => timestamp(evaluator, span, arg, steps),
        ("vector", [arg]) => {
            let values = evaluator.scalars(arg, steps)?.into_iter();
            Ok(values.map(|value| vec![Sample::new(Labels::default(), value)]).collect())
        }
        _ => Err(unknown(span, name)),
    }
}

fn argument(span: Span, args: &[Expr], place: usize) -> Result<&Expr, EvalError> {
    args.get(place).ok_or_else(|| EvalError::new(span, "an argument is missing"))
}

/// The parser knows no such function, or takes other arguments.
fn unknown(span: Span, name: &str) -> EvalError {
    EvalError::new(span, format!("there is no function '{name}' with these arguments"))
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// Each value by `function`; the name goes.
fn mapped(span: Span, mut vectors: Vectors, function: impl Fn(f64) -> f64) -> Result<Vectors, EvalError> {
    super::native::drop_all(&mut vectors);
    let make = |sample: &Sample| Sample::new(nameless(&sample.labels), function(sample.value));
    relabelled(span, vectors, make)
}

/// Each window of each series by `function`, which also gets the step's number. The name goes, except from those
/// functions that act as an offset does.
pub(super) fn over_windows(
    evaluator: &mut Evaluator<'_>,
    span: Span,
    name: &str,
    range: &Expr,
    steps: Steps,
    function: impl Fn(usize, &Window<'_>) -> Option<f64>,
) -> Result<Vectors, EvalError> {
    let windows = evaluator.windows(range, steps)?;
    let keeps_name = matches!(name, "last_over_time" | "first_over_time");
    let mut vectors: Vectors = vec![Vec::new(); steps.count()];
    let mut made = Vec::with_capacity(windows.series.len());
    evaluator.spend(windows.series.len().saturating_mul(steps.count()), span)?;
    for series in &windows.series {
        let labels = if keeps_name { series.labels.clone() } else { nameless(&series.labels) };
        let mut any = false;
        for (place, step) in steps.iter().enumerate() {
            if !series.histograms.is_empty()
                && let Some(made) = native::of_window(evaluator, name, range.span, &windows, series, step)?
            {
                any |= !matches!(made, native::Made::Nothing);
                vectors[place].extend(made.sample(&labels));
                continue;
            }
            let Some(window) = windows.window(series, step) else { continue };
            evaluator.spend(window.points.len(), range.span)?;
            let value = function(place, &window);
            any |= value.is_some();
            vectors[place].extend(value.map(|value| Sample::new(labels.clone(), value)));
        }
        if any {
            rates::remark(evaluator, name, range.span, &series.labels);
            made.push((labels, &series.labels));
        }
    }
    unique(span, made.iter().map(|(labels, source)| (labels, *source)).collect())?;
    Ok(vectors)
}

/// Over a range the order shows nowhere.
fn sorted(
    evaluator: &mut Evaluator<'_>,
    span: Span,
    arg: &Expr,
    steps: Steps,
    order: Order,
) -> Result<Vectors, EvalError> {
    if evaluator.asked.count() > 1 {
        let warning = "sort is ineffective for range queries since results are always ordered by labels";
        evaluator.warnings.add(span, warning);
    }
    let mut vectors = evaluator.vectors(arg, steps)?;
    super::native::drop_all(&mut vectors);
    for vector in &mut vectors {
        vector.sort_by(|one, other| order.compare(one.value, other.value));
    }
    Ok(vectors)
}

/// When each value was taken: of a plain selector the point's own time, of anything else the step's.
fn timestamp(evaluator: &mut Evaluator<'_>, span: Span, arg: &Expr, steps: Steps) -> Result<Vectors, EvalError> {
    let mut inner = arg;
    while let ExprKind::Paren(within) = &inner.kind {
        inner = within;
    }
    if let ExprKind::Vector(selector) = &inner.kind {
        let mut vectors = evaluator.newest(inner.span, selector, steps, |point| seconds(point.at))?;
        vectors.iter_mut().flatten().for_each(|sample| sample.histogram = None);
        return mapped(span, vectors, |at| at);
    }
    let mut vectors = evaluator.vectors(inner, steps)?;
    for (at, vector) in steps.iter().zip(&mut vectors) {
        vector.iter_mut().for_each(|sample| (sample.value, sample.histogram) = (seconds(at), None));
    }
    mapped(span, vectors, |at| at)
}
