//! What is measured, the same for everybody: the hosts that `watchkeep-fleetsim` simulates, without a link.
//!
//! Agents' reports carry it as rows of a layout; to the peers it is written as a Prometheus would that scraped the same hosts:
//! with `instance` and `job`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use watchkeep_protocol::Layout;
use watchkeep_protocol::layout::Row;

use super::Size;
use super::write::{Label, Sample, TimeSeries, WriteRequest};
use crate::chance::Chance;
use crate::fleet::estate::Estate;
use crate::fleet::shape::Shape;

/// How long hosts have been up when they begin to report, seconds.
const UP: f64 = 4e6;

/// One host and its values of now.
pub struct Generated {
    pub agent: String,
    shape: Shape,
    /// Of each series in the order of the rows.
    labels: Vec<Vec<Label>>,
}

impl Generated {
    /// All hosts of this size, which begin at that instant, ms.
    pub fn fleet(size: &Size, began: i64) -> Vec<Self> {
        (0..size.hosts).map(|index| Self::new(index, size.series, began)).collect()
    }

    /// The host of this number, from 0.
    pub fn new(index: usize, series: usize, began: i64) -> Self {
        let agent = format!("sim-{}", index + 1);
        let estate = Estate::new(&agent, index, Shape::units_of(series));
        let shape = Shape::new(estate.units(), began as f64 / 1_000.0 - UP, Chance::of(index as u64 + 1));
        Self { agent, shape, labels: Vec::new() }
    }

    pub fn layout(&self) -> Layout {
        Layout::whole(self.shape.blocks().to_vec())
    }

    pub fn series(&self) -> usize {
        self.shape.series()
    }

    /// Names of its metrics, each once.
    pub fn names(&self) -> BTreeSet<String> {
        let metrics = self.shape.blocks().iter().flat_map(|block| &block.template.metrics);
        metrics.map(|metric| metric.name.clone()).collect()
    }

    /// So many seconds pass.
    pub fn advance(&mut self, seconds: f64) {
        self.shape.advance(seconds);
    }

    pub fn rows(&self) -> Vec<Row> {
        self.shape.rows()
    }

    /// Its values as remote write, read at that instant, ms.
    pub fn written(&mut self, timestamp: i64) -> Vec<TimeSeries> {
        if self.labels.is_empty() {
            self.labels = labels(&self.agent, &self.shape);
        }
        let values = self.shape.rows().into_iter().flat_map(|row| row.values);
        let both = self.labels.iter().zip(values);
        both.map(|(labels, value)| TimeSeries { labels: labels.clone(), samples: vec![Sample { value, timestamp }] })
            .collect()
    }
}

/// Labels of each series, in the order of names that remote write asks for.
fn labels(agent: &str, shape: &Shape) -> Vec<Vec<Label>> {
    let mut all = Vec::with_capacity(shape.series());
    for block in shape.blocks() {
        for instance in &block.instances {
            for metric in &block.template.metrics {
                let mut pairs: BTreeMap<&str, &str> =
                    BTreeMap::from([("__name__", metric.name.as_str()), ("instance", agent), ("job", "node")]);
                pairs.extend(metric.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
                let own = block.template.instance_labels.iter().zip(&instance.values);
                pairs.extend(own.map(|(name, value)| (name.as_str(), value.as_str())));
                let label = |(name, value): (&str, &str)| Label { name: name.to_owned(), value: value.to_owned() };
                all.push(pairs.into_iter().map(label).collect());
            }
        }
    }
    all
}

/// One report of every host as requests, packed.
///
/// # Errors
/// A request is too large to be packed.
pub fn requests(hosts: &mut [Generated], timestamp: i64) -> Result<Vec<Vec<u8>>> {
    let timeseries: Vec<TimeSeries> = hosts.iter_mut().flat_map(|host| host.written(timestamp)).collect();
    let requests = timeseries.chunks(super::write::BATCH);
    requests.map(|timeseries| WriteRequest { timeseries: timeseries.to_vec() }.packed()).collect()
}
