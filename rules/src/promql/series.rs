//! Where samples come from: what the evaluator asks of whoever keeps them.

use std::sync::Arc;

use super::histogram::Histogram;
use super::labels::Labels;
use crate::selector::Selector;

/// One sample. A stale marker is a value with the bits of [`STALE`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// UTC milliseconds.
    pub at: i64,
    pub value: f64,
}

/// The bits of the NaN that says "this series ended here" (Prometheus's `value.StaleNaN`).
pub const STALE: u64 = 0x7ff0_0000_0000_0002;

impl Point {
    pub fn is_stale(self) -> bool {
        self.value.to_bits() == STALE
    }

    pub fn stale(at: i64) -> Self {
        Self { at, value: f64::from_bits(STALE) }
    }
}

/// One sample that is a native histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramPoint {
    /// UTC milliseconds.
    pub at: i64,
    pub histogram: Arc<Histogram>,
}

/// One series with the points that were asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// `__name__` included.
    pub labels: Labels,
    /// In rising order of time, each time once, stale markers included.
    pub points: Vec<Point>,
    /// In rising order of time, at other times than `points`. Of most series there are none.
    pub histograms: Vec<HistogramPoint>,
}

impl Series {
    /// A series of floats.
    pub fn new(labels: Labels, points: Vec<Point>) -> Self {
        Self { labels, points, histograms: Vec::new() }
    }
}

/// A store of samples. `Err` is a sentence for whoever asked.
pub trait Samples {
    /// Every series that all matchers take and that has a point in `(after, until]`, with those points.
    ///
    /// Series come in any order, each label set once.
    ///
    /// # Errors
    /// The samples cannot be read.
    fn select(&self, matchers: &Selector, after: i64, until: i64) -> Result<Vec<Series>, String>;
}
