//! Range vectors: `metric[5m]` and subqueries. A window is left-open: `(t - range, t]`.

use super::EvalError;
use super::node::Evaluator;
use super::selectors::Place;
use super::steps::Steps;
use crate::promql::ast::{Expr, ExprKind, Span, When};
use crate::promql::series::{HistogramPoint, Point, Series};

/// Series with all the points that their windows need, by labels. No stale markers.
pub(super) struct Windows {
    pub series: Vec<Series>,
    range: i64,
    place: Place,
}

/// The points of one series in one window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    /// At least one, in rising order of time.
    pub points: &'a [Point],
    /// The window is `(from, to]`.
    pub from: i64,
    pub to: i64,
    /// The instant of evaluation, from which `offset` and `@` led to `to`.
    pub at: i64,
}

impl Windows {
    /// The window of the series at a step; none where no point is in it.
    pub fn window<'a>(&self, series: &'a Series, step: i64) -> Option<Window<'a>> {
        let to = self.place.at(step);
        let from = to.saturating_sub(self.range);
        let start = series.points.partition_point(|point| point.at <= from);
        let end = series.points.partition_point(|point| point.at <= to);
        let points = &series.points[start..end.max(start)];
        (!points.is_empty()).then_some(Window { points, from, to, at: step })
    }

    /// The histograms of the series in its window at a step, and that window's bounds.
    pub fn histograms<'a>(&self, series: &'a Series, step: i64) -> (&'a [HistogramPoint], i64, i64) {
        let to = self.place.at(step);
        let from = to.saturating_sub(self.range);
        let start = series.histograms.partition_point(|held| held.at <= from);
        let end = series.histograms.partition_point(|held| held.at <= to);
        (&series.histograms[start..end.max(start)], from, to)
    }

    /// The range vector itself, where it is what was asked for.
    pub fn at_instant(self, at: i64) -> Vec<Series> {
        let windowed = self.series.iter().filter_map(|series| {
            let points = self.window(series, at).map(|window| window.points.to_vec()).unwrap_or_default();
            let histograms = self.histograms(series, at).0.to_vec();
            let is_empty = points.is_empty() && histograms.is_empty();
            (!is_empty).then(|| Series { labels: series.labels.clone(), points, histograms })
        });
        windowed.collect()
    }
}

impl Evaluator<'_> {
    pub fn windows(&mut self, expr: &Expr, steps: Steps) -> Result<Windows, EvalError> {
        match &expr.kind {
            ExprKind::Paren(inner) => self.windows(inner, steps),
            ExprKind::Matrix { selector, range } => {
                let place = self.place(selector.when);
                let (first, last) = (place.at(steps.start), place.at(steps.end));
                let mut series = self.select(expr.span, &selector.matchers, first.saturating_sub(*range), last)?;
                for series in &mut series {
                    series.points.retain(|point| !point.is_stale());
                }
                Ok(Windows { series, range: *range, place })
            }
            ExprKind::Subquery { expr: inner, range, step, when } => {
                self.subquery(expr.span, inner, *range, *step, *when, steps)
            }
            _ => Err(EvalError::new(expr.span, "a range vector is expected here")),
        }
    }

    /// Inner steps are multiples of the inner step since 1970, whatever the outer ones are.
    fn subquery(
        &mut self,
        span: Span,
        inner: &Expr,
        range: i64,
        step: Option<i64>,
        when: When,
        steps: Steps,
    ) -> Result<Windows, EvalError> {
        let place = self.place(when);
        let step = step.unwrap_or(self.settings.subquery_step).max(1);
        let after = place.at(steps.start).saturating_sub(range);
        let first = after.div_euclid(step).saturating_add(1).saturating_mul(step);
        let series = match Steps::new(first, place.at(steps.end), step) {
            None => Vec::new(),
            Some(inner_steps) => {
                let vectors = self.vectors(inner, inner_steps)?;
                self.spend(vectors.iter().map(Vec::len).sum(), span)?;
                inner_steps.series(vectors)
            }
        };
        Ok(Windows { series, range, place })
    }
}
