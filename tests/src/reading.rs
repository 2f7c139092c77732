//! The controller's own metrics at an instant, as whoever operates it reads them at `/metrics`.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::Controller;

/// From the reading of samples to their being taken.
const LAG: &str = "watchkeep_samples_lag_seconds";

/// What it said, by series as written there.
#[derive(Clone)]
pub struct Reading(BTreeMap<String, f64>);

impl Reading {
    /// Asks the controller.
    pub fn take(controller: &Controller) -> Result<Self> {
        let text = controller.metrics()?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Ok(Self(
            lines
                .filter_map(|line| line.rsplit_once(' '))
                .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
                .collect(),
        ))
    }

    /// The value of a series by its name, with its labels as written there. Errors: there is none.
    pub fn of(&self, series: &str) -> Result<f64> {
        self.0.get(series).copied().with_context(|| format!("the controller has no metric {series}"))
    }

    /// CPU seconds of the controller since it started.
    pub fn cpu(&self) -> Result<f64> {
        self.of("process_cpu_seconds_total")
    }

    /// Between a report's making and its taking since `first`, on the average, seconds.
    pub fn lag_mean(&self, first: &Self) -> Result<f64> {
        let sum = "watchkeep_samples_lag_seconds_sum";
        Ok((self.of(sum)? - first.of(sum)?) / self.count(LAG, first)?.max(1.0))
    }

    /// The bound of the first bucket that this share of the reports since `first` lies below, seconds.
    pub fn lag_below(&self, first: &Self, share: f64) -> Result<f64> {
        self.below(LAG, first, share)
    }

    /// What a histogram has observed since `first`.
    pub fn count(&self, histogram: &str, first: &Self) -> Result<f64> {
        let count = format!("{histogram}_count");
        Ok(self.of(&count)? - first.of(&count)?)
    }

    /// The bound of a histogram's first bucket that this share of what it observed since `first` lies below.
    pub fn below(&self, histogram: &str, first: &Self, share: f64) -> Result<f64> {
        let all = self.count(histogram, first)?.max(1.0);
        let prefix = format!("{histogram}_bucket{{le=\"");
        let mut buckets = Vec::new();
        for (series, count) in &self.0 {
            let bound = series.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix("\"}"));
            if let Some(bound) = bound.and_then(|bound| bound.replace("+Inf", "inf").parse::<f64>().ok()) {
                buckets.push((bound, count - first.0.get(series).copied().unwrap_or(0.0)));
            }
        }
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let bucket = buckets.iter().find(|(_, count)| *count >= all * share);
        bucket.map(|(bound, _)| *bound).with_context(|| format!("{histogram} has buckets"))
    }
}
