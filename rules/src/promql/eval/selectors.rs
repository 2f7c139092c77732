//! Instant vector selectors: the newest point of each series, unless it is too old or says that the series ended.
//!
//! A point exactly as old as the lookback is too old. A stale marker ends its series at once; other NaNs are values.

use super::node::Evaluator;
use super::steps::{Steps, Vectors};
use super::{EvalError, Sample};
use crate::promql::ast::{At, Span, VectorSelector, When};
use crate::promql::series::{Point, Series};
use crate::selector::Selector;

/// `offset` and `@`: where a selector looks at a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    offset: i64,
    at: Option<i64>,
}

impl Place {
    pub fn at(self, step: i64) -> i64 {
        self.at.unwrap_or(step).saturating_sub(self.offset)
    }
}

impl Evaluator<'_> {
    pub fn place(&self, when: When) -> Place {
        let at = when.at.map(|at| match at {
            At::Time(at) => at,
            At::Start => self.asked.start,
            At::End => self.asked.end,
        });
        Place { offset: when.offset, at }
    }

    /// The series with their points in `(after, until]`, by labels.
    pub fn select(
        &mut self,
        span: Span,
        matchers: &Selector,
        after: i64,
        until: i64,
    ) -> Result<Vec<Series>, EvalError> {
        let found = self.samples.select(matchers, after, until);
        let mut series = found.map_err(|message| EvalError::new(span, format!("read {matchers}: {message}")))?;
        let held = |series: &Series| series.histograms.iter().map(|held| held.histogram.weight()).sum::<usize>();
        self.spend(series.iter().map(|series| series.points.len() + held(series) + 1).sum(), span)?;
        if !series.is_sorted_by(|one, next| one.labels < next.labels) {
            series.sort_by(|one, other| one.labels.cmp(&other.labels));
        }
        Ok(series)
    }

    /// The newest point of each series, as `value_of` reads it.
    pub fn newest(
        &mut self,
        span: Span,
        selector: &VectorSelector,
        steps: Steps,
        value_of: impl Fn(Point) -> f64,
    ) -> Result<Vectors, EvalError> {
        let lookback = self.settings.lookback;
        let place = self.place(selector.when);
        let (first, last) = (place.at(steps.start), place.at(steps.end));
        let series = self.select(span, &selector.matchers, first.saturating_sub(lookback), last)?;
        self.spend(series.len().saturating_mul(steps.count()), span)?;
        let mut vectors: Vectors = vec![Vec::new(); steps.count()];
        for series @ Series { labels, points, histograms } in &series {
            if !histograms.is_empty() {
                newest_of_both(series, steps.iter().map(|step| place.at(step)), lookback, &value_of, &mut vectors);
                continue;
            }
            for (step, vector) in steps.iter().zip(&mut vectors) {
                if let Some(point) = newest_at(points, place.at(step), lookback) {
                    vector.push(Sample::new(labels.clone(), value_of(point)));
                }
            }
        }
        Ok(vectors)
    }
}

/// Of a series that has histograms: at each instant the newest of these and of its floats.
fn newest_of_both(
    series: &Series,
    instants: impl Iterator<Item = i64>,
    lookback: i64,
    value_of: &impl Fn(Point) -> f64,
    vectors: &mut Vectors,
) {
    for (at, vector) in instants.zip(vectors) {
        let held = series.histograms[..series.histograms.partition_point(|held| held.at <= at)].last();
        let float = series.points[..series.points.partition_point(|point| point.at <= at)].last();
        let held = held.filter(|held| float.is_none_or(|float| float.at < held.at));
        match held {
            Some(held) if held.at > at.saturating_sub(lookback) => vector.push(Sample {
                labels: series.labels.clone(),
                value: value_of(Point { at: held.at, value: 0.0 }),
                histogram: Some(std::sync::Arc::clone(&held.histogram)),
            }),
            Some(_) => {}
            None => {
                let found = newest_at(&series.points, at, lookback);
                vector.extend(found.map(|point| Sample::new(series.labels.clone(), value_of(point))));
            }
        }
    }
}

fn newest_at(points: &[Point], at: i64, lookback: i64) -> Option<Point> {
    let end = points.partition_point(|point| point.at <= at);
    let point = *points[..end].last()?;
    (point.at > at.saturating_sub(lookback) && !point.is_stale()).then_some(point)
}
