//! Functions over native histograms: what one tells, and windows that have some.

use std::sync::Arc;

use super::super::grouping::nameless;
use super::super::node::{Evaluator, relabelled};
use super::super::steps::{Steps, Vectors};
use super::super::windows::Windows;
use super::super::{EvalError, Sample, native};
use super::rates::{self, Kind, Sampled};
use super::seconds;
use crate::promql::ast::{Expr, Span};
use crate::promql::histogram::{Histogram, Incompatible, ResetHint};
use crate::promql::labels::{Labels, NAME};
use crate::promql::series::{HistogramPoint, Point, Series};
use crate::quote::quoted;

/// `histogram_count` and its like: a number of each histogram; floats are passed over.
pub(super) fn told(
    evaluator: &mut Evaluator<'_>,
    span: Span,
    arg: &Expr,
    steps: Steps,
    tell: impl Fn(&Histogram) -> f64,
) -> Result<Vectors, EvalError> {
    let mut vectors = evaluator.vectors(arg, steps)?;
    vectors.iter_mut().for_each(|vector| vector.retain(|sample| sample.histogram.is_some()));
    relabelled(span, vectors, |sample| {
        let value = sample.histogram.as_deref().map_or(f64::NAN, &tell);
        Sample::new(nameless(&sample.labels), value)
    })
}

/// What a function made of a window.
#[derive(Debug)]
pub(super) enum Made {
    Nothing,
    Number(f64),
    Histogram(Histogram),
}

impl Made {
    pub fn sample(self, labels: &Labels) -> Option<Sample> {
        match self {
            Self::Nothing => None,
            Self::Number(value) => Some(Sample::new(labels.clone(), value)),
            Self::Histogram(histogram) => {
                Some(Sample { labels: labels.clone(), value: 0.0, histogram: Some(Arc::new(histogram)) })
            }
        }
    }
}

/// A window that has histograms, and what is said of it.
struct Held<'a> {
    floats: &'a [Point],
    histograms: &'a [HistogramPoint],
    from: i64,
    to: i64,
    warnings: Vec<String>,
    infos: Vec<String>,
    /// ` for metric name "…"` or ` …`, as messages end.
    metric: String,
}

/// What the function makes of a window with histograms; none where floats alone decide.
pub(super) fn of_window(
    evaluator: &mut Evaluator<'_>,
    function: &str,
    span: Span,
    windows: &Windows,
    series: &Series,
    step: i64,
) -> Result<Option<Made>, EvalError> {
    let (histograms, from, to) = windows.histograms(series, step);
    if histograms.is_empty() {
        return Ok(None);
    }
    evaluator.spend(histograms.iter().map(|held| held.histogram.weight()).sum(), span)?;
    let floats = windows.window(series, step).map_or(&[][..], |window| window.points);
    let metric = quoted(series.labels.get(NAME).unwrap_or_default());
    let mut held = Held { floats, histograms, from, to, warnings: Vec::new(), infos: Vec::new(), metric };
    let made = held.by(function);
    held.warnings.into_iter().for_each(|message| evaluator.warnings.add(span, message));
    held.infos.into_iter().for_each(|message| evaluator.infos.add(span, message));
    Ok(made)
}

impl Held<'_> {
    fn by(&mut self, function: &str) -> Option<Made> {
        let first_is_float = self.floats.first().is_some_and(|float| float.at < self.histograms[0].at);
        let last_histogram = &self.histograms[self.histograms.len() - 1];
        let last_is_float = self.floats.last().is_some_and(|float| float.at > last_histogram.at);
        let number = |value: f64| Some(Made::Number(value));
        match function {
            "rate" => Some(self.pure(|held| held.stretched(Kind::Counter, true))),
            "increase" => Some(self.pure(|held| held.stretched(Kind::Counter, false))),
            "delta" => Some(self.pure(|held| held.stretched(Kind::Gauge, false))),
            "irate" => Some(self.instant(Kind::Counter)),
            "idelta" => Some(self.instant(Kind::Gauge)),
            "sum_over_time" => Some(self.pure(|held| held.total(false))),
            "avg_over_time" => Some(self.pure(|held| held.total(true))),
            "count_over_time" => number((self.floats.len() + self.histograms.len()) as f64),
            "present_over_time" => number(1.0),
            "resets" => number(self.count(|before, after| match (before, after) {
                (Ok(before), Ok(after)) => after < before,
                (Err(before), Err(after)) => after.is_reset_after(before),
                _ => true,
            })),
            "changes" => number(self.count(|before, after| match (before, after) {
                (Ok(before), Ok(after)) => before != after && !(before.is_nan() && after.is_nan()),
                (Err(before), Err(after)) => !before.counts_alike(after),
                _ => true,
            })),
            "last_over_time" if !last_is_float => Some(Made::Histogram(Histogram::clone(&last_histogram.histogram))),
            "first_over_time" if !first_is_float => {
                Some(Made::Histogram(Histogram::clone(&self.histograms[0].histogram)))
            }
            "ts_of_last_over_time" if !last_is_float => number(seconds(last_histogram.at)),
            "ts_of_first_over_time" if !first_is_float => number(seconds(self.histograms[0].at)),
            "last_over_time" | "first_over_time" | "ts_of_last_over_time" | "ts_of_first_over_time" => None,
            // The others take floats alone.
            _ if self.floats.is_empty() => Some(Made::Nothing),
            _ => {
                let metric = &self.metric;
                self.infos.push(format!(
                    "ignored histograms in a range containing both floats and histograms for metric name {metric}"
                ));
                None
            }
        }
    }

    /// For functions that make nothing of a mixture.
    fn pure(&mut self, make: impl FnOnce(&mut Self) -> Option<Histogram>) -> Made {
        if !self.floats.is_empty() {
            self.mixed();
            return Made::Nothing;
        }
        make(self).map_or(Made::Nothing, Made::Histogram)
    }

    fn mixed(&mut self) {
        self.warnings.push(format!("encountered a mix of histograms and floats for metric name {}", self.metric));
    }

    fn both_kinds(&mut self, _: Incompatible) {
        let metric = &self.metric;
        self.warnings.push(format!(
            "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {metric}"
        ));
    }

    /// Whether the histograms are counters or gauges as the function expects it; it is asked all the same.
    fn check_kind<'h>(&mut self, kind: Kind, mut histograms: impl Iterator<Item = &'h HistogramPoint>) {
        let is_gauge = |held: &HistogramPoint| held.histogram.hint == ResetHint::Gauge;
        let (wrong, word) = match kind {
            Kind::Counter => (histograms.any(is_gauge), "counter"),
            Kind::Gauge => (histograms.any(|held| !is_gauge(held)), "gauge"),
        };
        if wrong {
            self.warnings.push(format!("this native histogram metric is not a {word}: {}", self.metric));
        }
    }

    fn stretched(&mut self, kind: Kind, per_second: bool) -> Option<Histogram> {
        let [first, .., last] = self.histograms else { return None };
        match kind {
            Kind::Counter => self.check_kind(kind, self.histograms.iter()),
            Kind::Gauge => self.check_kind(kind, [first, last].into_iter()),
        }
        let mut change = self.change(kind).map_err(|wrong| self.both_kinds(wrong)).ok()?;
        let sampled = Sampled {
            first: Point { at: first.at, value: first.histogram.count },
            last: Point { at: last.at, value: last.histogram.count },
            count: self.histograms.len(),
            change: change.count,
        };
        change.scale(rates::factor(&sampled, self.from, self.to, kind, per_second));
        change.hint = ResetHint::Gauge;
        Some(change)
    }

    /// From the first to the last, resets made up for.
    fn change(&self, kind: Kind) -> Result<Histogram, Incompatible> {
        let all: Vec<&Histogram> = self.histograms.iter().map(|held| &*held.histogram).collect();
        // What was counted before a reset is no part of what came after; of the first nothing else is known.
        let begins_anew = kind == Kind::Counter && all[1].is_reset_after(all[0]);
        let counted = if begins_anew { &all[1..] } else { &all[..] };
        if counted.iter().any(|held| held.is_custom() != counted[0].is_custom()) {
            return Err(Incompatible);
        }
        let mut change = counted[counted.len() - 1].clone();
        if kind == Kind::Counter {
            let coarsest = counted.iter().map(|held| held.schema).min().unwrap_or(change.schema);
            if !change.is_custom() {
                change.coarsen(coarsest);
            }
            for pair in counted.windows(2).filter(|pair| pair[1].is_reset_after(pair[0])) {
                change.add(pair[0])?;
            }
        }
        if !begins_anew {
            change.subtract(all[0])?;
        }
        Ok(change)
    }

    /// From the last two samples alone.
    fn instant(&mut self, kind: Kind) -> Made {
        let newest_float = self.floats.last().map(|float| float.at);
        let [.., before, last] = self.histograms else {
            match newest_float {
                None => return Made::Nothing,
                Some(_) => {
                    self.mixed();
                    return Made::Nothing;
                }
            }
        };
        if newest_float.is_some_and(|at| at > before.at) {
            self.mixed();
            return Made::Nothing;
        }
        self.check_kind(kind, [before, last].into_iter());
        let mut change = Histogram::clone(&last.histogram);
        let goes_on = kind == Kind::Gauge || !last.histogram.is_reset_after(&before.histogram);
        if goes_on && let Err(wrong) = change.subtract(&before.histogram) {
            self.both_kinds(wrong);
            return Made::Nothing;
        }
        if kind == Kind::Counter {
            change.divide(rates::seconds_between(before.at, last.at));
        }
        change.hint = ResetHint::Gauge;
        Made::Histogram(change)
    }

    fn total(&mut self, mean: bool) -> Option<Histogram> {
        let all: Vec<&Histogram> = self.histograms.iter().map(|held| &*held.histogram).collect();
        let (mut total, met) = native::sum(&all).map_err(|wrong| self.both_kinds(wrong)).ok()?;
        if met.hints_collide {
            self.warnings.push("conflicting counter resets during histogram aggregation".to_owned());
        }
        if met.bounds_differ {
            self.infos.push("mismatched custom buckets were reconciled during aggregation".to_owned());
        }
        if mean {
            total.divide(all.len() as f64);
        }
        Some(total)
    }

    /// Neighbours in time, floats as `Ok` and histograms as `Err`, of which so many are such.
    fn count(&self, is_one: impl Fn(Result<f64, &Histogram>, Result<f64, &Histogram>) -> bool) -> f64 {
        let floats = self.floats.iter().map(|float| (float.at, Ok(float.value)));
        let histograms = self.histograms.iter().map(|held| (held.at, Err(&*held.histogram)));
        let mut all: Vec<(i64, Result<f64, &Histogram>)> = floats.chain(histograms).collect();
        all.sort_by_key(|(at, _)| *at);
        all.windows(2).filter(|pair| is_one(pair[0].1, pair[1].1)).count() as f64
    }
}
