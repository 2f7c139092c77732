//! `histogram_quantile` and `histogram_fraction` over classic buckets: counters labelled `le`, each counting what is at
//! most that.

use std::collections::BTreeMap;

use super::super::grouping::{is_metadata, nameless};
use super::super::node::{Evaluator, same_labelset, text};
use super::super::steps::{Steps, Vectors};
use super::super::sums::quantile_warning;
use super::super::{EvalError, Sample};
use crate::promql::ast::{Expr, Span};
use crate::promql::histogram::Histogram;
use crate::promql::labels::{Labels, NAME};
use crate::quote::quoted;

const BOUND: &str = "le";

/// Neighbouring counts that differ by less, relatively, are taken as equal: sums of rates leave such remainders.
const SMALL_DELTA: f64 = 1e-12;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Bucket {
    /// `le`
    upper: f64,
    /// How many are at most that.
    count: f64,
}

pub(super) fn quantile(
    evaluator: &mut Evaluator<'_>,
    phi: &Expr,
    arg: &Expr,
    steps: Steps,
) -> Result<Vectors, EvalError> {
    let phis = evaluator.scalars(phi, steps)?;
    for warning in phis.iter().filter_map(|phi| quantile_warning(*phi)) {
        evaluator.warnings.add(phi.span, warning);
    }
    let mut forced = false;
    let of_buckets = |step: usize, buckets| {
        let (value, was_forced) = bucket_quantile(phis[step], buckets);
        forced |= was_forced;
        value
    };
    let of_native = |step: usize, histogram: &Histogram| histogram.quantile(phis[step]);
    let vectors = of_histograms(evaluator, arg, steps, of_buckets, of_native)?;
    if forced {
        let remark = "input to histogram_quantile needed to be fixed for monotonicity \
                      (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
        evaluator.infos.add(arg.span, remark);
    }
    Ok(vectors)
}

/// `histogram_quantiles`: each φ for each histogram, told apart by the label.
pub(super) fn quantiles(
    evaluator: &mut Evaluator<'_>,
    span: Span,
    arg: &Expr,
    label: &Expr,
    phis: &[Expr],
    steps: Steps,
) -> Result<Vectors, EvalError> {
    let label = text(label)?;
    let mut all: Vectors = vec![Vec::new(); steps.count()];
    for phi in phis {
        let values = evaluator.scalars(phi, steps)?;
        for (place, vector) in quantile(evaluator, phi, arg, steps)?.into_iter().enumerate() {
            let written = open_metrics(values[place]);
            let labelled = vector.into_iter();
            all[place].extend(labelled.map(|sample| Sample { labels: sample.labels.with(label, &written), ..sample }));
        }
    }
    super::super::node::unique_each(span, &all)?;
    Ok(all)
}

/// A number as OpenMetrics writes it: always with a point or an exponent.
fn open_metrics(value: f64) -> String {
    let written = crate::number::shortest(value);
    if value.is_finite() && !written.contains(['.', 'e']) { format!("{written}.0") } else { written }
}

pub(super) fn fraction(
    evaluator: &mut Evaluator<'_>,
    lower: &Expr,
    upper: &Expr,
    arg: &Expr,
    steps: Steps,
) -> Result<Vectors, EvalError> {
    let lower = evaluator.scalars(lower, steps)?;
    let upper = evaluator.scalars(upper, steps)?;
    let of_buckets = |step: usize, buckets| bucket_fraction(lower[step], upper[step], buckets);
    let of_native = |step: usize, histogram: &Histogram| histogram.fraction(lower[step], upper[step]);
    of_histograms(evaluator, arg, steps, of_buckets, of_native)
}

/// One element for each histogram: the buckets that differ in `le` alone. `reduce` gets at least one, by bound.
fn of_histograms(
    evaluator: &mut Evaluator<'_>,
    arg: &Expr,
    steps: Steps,
    mut reduce: impl FnMut(usize, Vec<Bucket>) -> f64,
    of_native: impl Fn(usize, &Histogram) -> f64,
) -> Result<Vectors, EvalError> {
    let vectors = evaluator.vectors(arg, steps)?;
    let mut found = Vec::with_capacity(vectors.len());
    for (step, vector) in vectors.iter().enumerate() {
        let mut histograms: BTreeMap<Labels, Vec<Bucket>> = BTreeMap::new();
        let mut natives: BTreeMap<Labels, f64> = BTreeMap::new();
        for sample in vector {
            if let Some(histogram) = &sample.histogram {
                let labels = nameless(&sample.labels);
                let value = of_native(step, histogram);
                if natives.insert(labels, value).is_some() {
                    return Err(same_labelset(arg.span, &nameless(&sample.labels)));
                }
                continue;
            }
            let Some(upper) = bound(evaluator, arg.span, &sample.labels) else { continue };
            let labels = sample.labels.filtered(|name| name != BOUND && !is_metadata(name));
            histograms.entry(labels).or_default().push(Bucket { upper, count: sample.value });
        }
        let both: Vec<Labels> = natives.keys().filter(|labels| histograms.contains_key(labels)).cloned().collect();
        for labels in both {
            // Which of the two is meant nobody can say.
            natives.remove(&labels);
            histograms.remove(&labels);
            evaluator.warnings.add(arg.span, "vector contains a mix of classic and native histograms");
        }
        for (labels, buckets) in histograms {
            natives.insert(labels, reduce(step, merged(buckets)));
        }
        found.push(natives.into_iter().map(|(labels, value)| Sample::new(labels, value)).collect());
    }
    Ok(found)
}

fn bound(evaluator: &mut Evaluator<'_>, span: Span, labels: &Labels) -> Option<f64> {
    let written = labels.get(BOUND).unwrap_or("");
    let bound = written.parse().ok();
    if bound.is_none() {
        let metric = labels.get(NAME).unwrap_or("");
        let of = if metric.is_empty() { String::new() } else { format!(" for metric name {}", quoted(metric)) };
        let written = quoted(written);
        let warning = format!("bucket label \"{BOUND}\" is missing or has a malformed value of {written}{of}");
        evaluator.warnings.add(span, warning);
    }
    bound
}

/// By bound; those with the same one (`0.5` and `0.50`) are added.
fn merged(mut buckets: Vec<Bucket>) -> Vec<Bucket> {
    buckets.sort_by(|one, other| one.upper.total_cmp(&other.upper));
    let mut merged: Vec<Bucket> = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        match merged.last_mut() {
            Some(last) if last.upper == bucket.upper => last.count += bucket.count,
            _ => merged.push(bucket),
        }
    }
    merged
}

/// Counts never fall with the bound; whether one had to be lifted for that.
fn monotonic(buckets: &mut [Bucket]) -> bool {
    let mut forced = false;
    let mut before = buckets.first().map_or(0.0, |bucket| bucket.count);
    for bucket in buckets.iter_mut().skip(1) {
        if bucket.count == before {
            continue;
        }
        if almost_equal(before, bucket.count) {
            bucket.count = before;
        } else if bucket.count < before {
            bucket.count = before;
            forced = true;
        } else {
            before = bucket.count;
        }
    }
    forced
}

fn almost_equal(one: f64, other: f64) -> bool {
    let sum = one.abs() + other.abs();
    let delta = (one - other).abs();
    if one == 0.0 || other == 0.0 || sum < f64::MIN_POSITIVE {
        return delta < SMALL_DELTA * f64::MIN_POSITIVE;
    }
    delta / sum.min(f64::MAX) < SMALL_DELTA
}

/// The value below which the part φ lies, linear within a bucket; and whether counts had to be lifted.
fn bucket_quantile(phi: f64, mut buckets: Vec<Bucket>) -> (f64, bool) {
    if phi.is_nan() || !(0.0..=1.0).contains(&phi) {
        let outside = if phi < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
        return (if phi.is_nan() { phi } else { outside }, false);
    }
    let Some(top) = buckets.last().filter(|top| top.upper == f64::INFINITY).copied() else { return (f64::NAN, false) };
    let forced = monotonic(&mut buckets);
    let all = buckets.last().map_or(top.count, |top| top.count);
    let [.., below_top, _] = buckets.as_slice() else { return (f64::NAN, false) };
    // A count that is NaN gives NaN below, not here.
    if all == 0.0 {
        return (f64::NAN, false);
    }
    let rank = phi * all;
    let last = buckets.len() - 1;
    let place = search(last, |place| buckets[place].count >= rank);
    if place == last {
        return (below_top.upper, forced);
    }
    let bucket = buckets[place];
    if place == 0 && bucket.upper <= 0.0 {
        return (bucket.upper, forced);
    }
    let lower = match place {
        0 => Bucket { upper: 0.0, count: 0.0 },
        place => buckets[place - 1],
    };
    let within = (rank - lower.count) / (bucket.count - lower.count);
    (lower.upper + (bucket.upper - lower.upper) * within, forced)
}

/// The first place below `end` for which `holds`, by halving; `end` where there is none. Halving matters: with NaN among
/// the counts the order is no order, and the answer depends on which are looked at.
fn search(end: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, end);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// The part that lies between the bounds, linear within a bucket.
fn bucket_fraction(lower: f64, upper: f64, buckets: Vec<Bucket>) -> f64 {
    let Some(top) = buckets.last().filter(|top| top.upper == f64::INFINITY) else { return f64::NAN };
    let all = top.count;
    if all == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_of(upper, &buckets, all) - rank_of(lower, &buckets, all)) / all
}

/// How many are at most `value`. Nothing is known of where in an endless bucket its samples lie: below the lowest bound
/// all are counted as at it, above the highest none before infinity.
fn rank_of(value: f64, buckets: &[Bucket], all: f64) -> f64 {
    let mut before = Bucket { upper: f64::NEG_INFINITY, count: 0.0 };
    for bucket in buckets {
        if before.upper >= value {
            return before.count.min(all);
        }
        if bucket.upper > value {
            let part = (value - before.upper) / (bucket.upper - before.upper);
            return (before.count + (bucket.count - before.count) * part).min(all);
        }
        before = *bucket;
    }
    all
}
