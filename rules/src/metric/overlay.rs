//! Samples with what was written since laid over them.

use std::collections::BTreeMap;

use super::Written;
use crate::promql::labels::Labels;
use crate::promql::series::{Point, Samples, Series};
use crate::selector::{Compiled, Selector};

/// What rules write at an instant, seen by the rules after them before anybody stores it.
pub struct Overlay<'a> {
    base: &'a dyn Samples,
    written: BTreeMap<Labels, Vec<Point>>,
}

impl<'a> Overlay<'a> {
    pub fn new(base: &'a dyn Samples) -> Self {
        Self { base, written: BTreeMap::new() }
    }

    /// A point that is newer than those of its series below, or takes the place of the newest.
    pub fn write(&mut self, written: &Written) {
        let points = self.written.entry(written.labels.clone()).or_default();
        points.retain(|point| point.at < written.at);
        points.push(Point { at: written.at, value: written.value });
    }
}

impl Samples for Overlay<'_> {
    fn select(&self, matchers: &Selector, after: i64, until: i64) -> Result<Vec<Series>, String> {
        let mut found = self.base.select(matchers, after, until)?;
        let within = |point: &&Point| point.at > after && point.at <= until;
        let mut candidates =
            self.written.iter().filter(|(_, points)| points.iter().any(|point| within(&point))).peekable();
        if candidates.peek().is_none() {
            return Ok(found);
        }
        let compiled = Compiled::new(matchers).map_err(|error| error.to_string())?;
        for (labels, points) in candidates.filter(|(labels, _)| compiled.matches_by(|name| labels.get(name))) {
            let points: Vec<Point> = points.iter().filter(within).copied().collect();
            match found.iter_mut().find(|series| series.labels == *labels) {
                Some(series) => {
                    series.points.retain(|point| point.at < points[0].at);
                    series.points.extend(points);
                }
                None => found.push(Series::new(labels.clone(), points)),
            }
        }
        Ok(found)
    }
}
