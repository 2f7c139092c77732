//! The instants at which an expression is evaluated.

use std::collections::BTreeMap;

use super::Sample;
use crate::promql::labels::Labels;
use crate::promql::series::{HistogramPoint, Point, Series};

/// One vector for each step.
pub(super) type Vectors = Vec<Vec<Sample>>;

/// `start`, `start + step`, … up to and with `end`; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Steps {
    pub start: i64,
    pub end: i64,
    step: i64,
}

impl Steps {
    pub fn one(at: i64) -> Self {
        Self { start: at, end: at, step: 1 }
    }

    /// None where there is no step in it.
    pub fn new(start: i64, end: i64, step: i64) -> Option<Self> {
        (step > 0 && start <= end).then_some(Self { start, end, step })
    }

    pub fn count(self) -> usize {
        let after_first = self.end.abs_diff(self.start) / self.step.unsigned_abs();
        usize::try_from(after_first.saturating_add(1)).unwrap_or(usize::MAX)
    }

    /// Between two of them, ms; 0 where there is but one.
    pub fn interval(self) -> i64 {
        if self.count() > 1 { self.step } else { 0 }
    }

    pub fn iter(self) -> impl Iterator<Item = i64> {
        // The last one would overflow if `end` is near the end of time.
        std::iter::successors(Some(self.start), move |at| at.checked_add(self.step).filter(|next| *next <= self.end))
    }

    /// The same elements by series, in the order of their labels.
    pub fn series(self, vectors: Vectors) -> Vec<Series> {
        let mut found: BTreeMap<Labels, (Vec<Point>, Vec<HistogramPoint>)> = BTreeMap::new();
        for (at, vector) in self.iter().zip(vectors) {
            for Sample { labels, value, histogram } in vector {
                let series = found.entry(labels).or_default();
                match histogram {
                    None => series.0.push(Point { at, value }),
                    Some(histogram) => series.1.push(HistogramPoint { at, histogram }),
                }
            }
        }
        found.into_iter().map(|(labels, (points, histograms))| Series { labels, points, histograms }).collect()
    }
}
