//! Samples kept in memory, for rule tests and tests of rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::histogram::Histogram;
use super::labels::{Labels, NAME};
use super::series::{HistogramPoint, Point, Samples, Series};
use crate::selector::{Compiled, MatchOp, Selector};

/// Every point that was appended, by metric name and label set.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    by_name: BTreeMap<String, BTreeMap<Labels, Vec<Point>>>,
    histograms: BTreeMap<Labels, Vec<HistogramPoint>>,
}

impl Memory {
    /// Adds a point to the series of these labels. Points of one series come in rising order of time; one at the time of
    /// the last takes its place.
    ///
    /// # Errors
    /// The point is older than the series' last.
    pub fn append(&mut self, labels: &Labels, point: Point) -> Result<(), String> {
        let series = self.by_name.entry(labels.get(NAME).unwrap_or("").to_owned()).or_default();
        let points = match series.get_mut(labels) {
            Some(points) => points,
            None => series.entry(labels.clone()).or_default(),
        };
        match points.last_mut() {
            Some(last) if last.at > point.at => {
                Err(format!("append to {labels}: a point at {} ms comes after one at {} ms", point.at, last.at))
            }
            Some(last) if last.at == point.at => {
                *last = point;
                Ok(())
            }
            _ => {
                points.push(point);
                Ok(())
            }
        }
    }

    /// Adds a native histogram to the series of these labels, later than all that the series has.
    ///
    /// # Errors
    /// The series has one as late or later.
    pub fn append_histogram(&mut self, labels: &Labels, at: i64, histogram: Arc<Histogram>) -> Result<(), String> {
        let of_series = self.histograms.entry(labels.clone()).or_default();
        if let Some(last) = of_series.last().filter(|last| last.at >= at) {
            return Err(format!("append to {labels}: a histogram at {at} ms comes after one at {} ms", last.at));
        }
        of_series.push(HistogramPoint { at, histogram });
        Ok(())
    }

    /// The newest point of a series.
    pub fn last(&self, labels: &Labels) -> Option<Point> {
        self.by_name.get(labels.get(NAME).unwrap_or(""))?.get(labels)?.last().copied()
    }

    /// All series with all their points, by name and labels.
    pub fn series(&self) -> impl Iterator<Item = (&Labels, &[Point])> {
        self.by_name.values().flatten().map(|(labels, points)| (labels, points.as_slice()))
    }

    /// Takes away what is older than `at`, and series that have no points then.
    pub fn forget_before(&mut self, at: i64) {
        for series in self.by_name.values_mut() {
            series.retain(|_, points| {
                points.drain(..points.partition_point(|point| point.at < at));
                !points.is_empty()
            });
        }
        self.by_name.retain(|_, series| !series.is_empty());
        self.histograms.retain(|_, held| {
            held.drain(..held.partition_point(|held| held.at < at));
            !held.is_empty()
        });
    }
}

impl Samples for Memory {
    fn select(&self, matchers: &Selector, after: i64, until: i64) -> Result<Vec<Series>, String> {
        let compiled = Compiled::new(matchers).map_err(|error| error.to_string())?;
        let name = matchers.matchers.iter().find(|matcher| matcher.label == NAME && matcher.op == MatchOp::Equal);
        let candidates: Vec<_> = match name {
            Some(name) => self.by_name.get(&name.value).into_iter().flatten().collect(),
            None => self.by_name.values().flatten().collect(),
        };
        let taken = candidates.into_iter().filter_map(|(labels, points)| {
            let start = points.partition_point(|point| point.at <= after);
            let end = points.partition_point(|point| point.at <= until);
            if start >= end || !compiled.matches_by(|label| labels.get(label)) {
                return None;
            }
            Some(Series::new(labels.clone(), points[start..end].to_vec()))
        });
        let mut taken: Vec<Series> = taken.collect();
        for (labels, held) in
            self.histograms.iter().filter(|(labels, _)| compiled.matches_by(|label| labels.get(label)))
        {
            let start = held.partition_point(|held| held.at <= after);
            let end = held.partition_point(|held| held.at <= until);
            if start >= end {
                continue;
            }
            let histograms = held[start..end].to_vec();
            match taken.iter_mut().find(|series| series.labels == *labels) {
                Some(series) => series.histograms = histograms,
                None => taken.push(Series { labels: labels.clone(), points: Vec::new(), histograms }),
            }
        }
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selector::Matcher;

    fn labels(name: &str, host: &str) -> Labels {
        Labels::new([(NAME, name), ("host", host)])
    }

    fn memory() -> Memory {
        let mut memory = Memory::default();
        for (name, host) in [("up", "a"), ("up", "b"), ("load", "a")] {
            for at in [10, 20, 30] {
                memory.append(&labels(name, host), Point { at, value: at as f64 }).expect("in order");
            }
        }
        memory
    }

    fn selected(memory: &Memory, matchers: &[(&str, MatchOp, &str)], after: i64, until: i64) -> Vec<(String, usize)> {
        let matchers = matchers.iter().map(|(label, op, value)| Matcher {
            label: (*label).to_owned(),
            op: *op,
            value: (*value).to_owned(),
        });
        let series = memory.select(&Selector { matchers: matchers.collect() }, after, until).expect("a selector");
        series.into_iter().map(|series| (series.labels.to_string(), series.points.len())).collect()
    }

    #[test]
    fn a_selection_is_left_open_and_leaves_out_series_without_points() {
        let mut memory = memory();
        memory.append(&labels("up", "b"), Point::stale(40)).expect("in order");
        let up = [(NAME, MatchOp::Equal, "up")];
        let all = |a, b| vec![("up{host=\"a\"}".to_owned(), a), ("up{host=\"b\"}".to_owned(), b)];
        assert_eq!(selected(&memory, &up, 10, 30), all(2, 2));
        assert_eq!(selected(&memory, &up, 9, 29), all(2, 2));
        assert_eq!(selected(&memory, &up, 30, 40), [("up{host=\"b\"}".to_owned(), 1)]);
        assert_eq!(selected(&memory, &up, 40, 90), []);
        assert_eq!(selected(&memory, &up, 30, 10), []);
        let by_pattern = [("host", MatchOp::Matches, "b|c"), (NAME, MatchOp::NotEqual, "load")];
        assert_eq!(selected(&memory, &by_pattern, 0, 10), [("up{host=\"b\"}".to_owned(), 1)]);
    }

    #[test]
    fn points_of_a_series_come_in_order() {
        let mut memory = memory();
        let up = labels("up", "a");
        memory.append(&up, Point { at: 30, value: 7.0 }).expect("the last point again");
        let error = memory.append(&up, Point { at: 29, value: 7.0 }).expect_err("older than the last");
        assert!(error.contains("up{host=\"a\"}") && error.contains("29"), "{error}");
        let points = memory.series().find(|(labels, _)| **labels == up).map(|(_, points)| points.to_vec());
        assert_eq!(points.and_then(|points| points.last().copied()), Some(Point { at: 30, value: 7.0 }));
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let mut memory = memory();
        memory.append(&labels("load", "b"), Point { at: 5, value: 0.0 }).expect("in order");
        memory.forget_before(20);
        assert_eq!(memory.series().map(|(_, points)| points.len()).collect::<Vec<_>>(), [2, 2, 2]);
    }
}
