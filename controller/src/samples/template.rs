//! Templates, each held once for the whole shard, with its metrics by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchkeep_protocol::layout::{Metric, Template};
use watchkeep_rules::promql::labels::{NAME, Pair};

/// A template and where in it each metric's columns are.
#[derive(Debug)]
pub struct Indexed {
    pub template: Template,
    by_name: BTreeMap<String, Vec<u32>>,
    /// Of each metric its name's label and its own, in texts that the series of all hosts share.
    labels: Vec<(Pair, Box<[Pair]>)>,
    instance_labels: Vec<Arc<str>>,
}

impl Indexed {
    pub fn new(template: Template) -> Self {
        let mut by_name: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for (place, metric) in (0..).zip(&template.metrics) {
            by_name.entry(metric.name.clone()).or_default().push(place);
        }
        let named = |metric: &Metric| (Arc::from(NAME), Arc::from(metric.name.as_str()));
        let own = |metric: &Metric| {
            metric.labels.iter().map(|(name, value)| (Arc::from(name.as_str()), Arc::from(value.as_str()))).collect()
        };
        let labels = template.metrics.iter().map(|metric| (named(metric), own(metric))).collect();
        let instance_labels = template.instance_labels.iter().map(|name| Arc::from(name.as_str())).collect();
        Self { template, by_name, labels, instance_labels }
    }

    /// The name of a column's metric and its labels, as labels.
    pub fn labels(&self, column: u32) -> (&Pair, &[Pair]) {
        let (name, own) = &self.labels[column as usize];
        (name, own)
    }

    /// The names of the labels that tell instances apart.
    pub fn instance_labels(&self) -> &[Arc<str>] {
        &self.instance_labels
    }

    /// Bytes in memory, about.
    fn bytes(&self) -> usize {
        let text = |text: &String| size_of::<String>() + text.len();
        let metric = |metric: &Metric| {
            let labels = metric.labels.iter().map(|(name, value)| text(name) + text(value));
            // The labels are there twice: as the layout says them, and as series have them.
            size_of::<Metric>() + metric.help.len() + 2 * (text(&metric.name) + labels.sum::<usize>())
        };
        let by_name = self.by_name.iter().map(|(name, places)| text(name) + size_of_val(places) + 4 * places.len());
        size_of::<Self>() + self.template.metrics.iter().map(metric).sum::<usize>() + by_name.sum::<usize>()
    }

    pub fn metrics(&self) -> usize {
        self.template.metrics.len()
    }

    /// The columns of the metric `name`; of all metrics where none is named.
    pub fn columns(&self, name: Option<&str>) -> Vec<u32> {
        match name {
            Some(name) => self.by_name.get(name).cloned().unwrap_or_default(),
            None => (0..).take(self.metrics()).collect(),
        }
    }
}

/// The templates that hosts of one shard stand at.
#[derive(Debug, Default)]
pub struct Templates(Vec<Arc<Indexed>>);

/// Templates kept before those that no host stands at are looked for.
const MANY: usize = 256;

impl Templates {
    /// The shared one that equals `template`.
    pub fn shared(&mut self, template: &Template) -> Arc<Indexed> {
        if let Some(known) = self.0.iter().find(|known| known.template == *template) {
            return Arc::clone(known);
        }
        if self.0.len() >= MANY {
            self.0.retain(|known| Arc::strong_count(known) > 1);
        }
        let new = Arc::new(Indexed::new(template.clone()));
        self.0.push(Arc::clone(&new));
        new
    }

    /// The metrics of all of them; one of two templates comes twice.
    pub fn metrics(&self) -> impl Iterator<Item = &Metric> {
        self.0.iter().flat_map(|known| &known.template.metrics)
    }

    /// Bytes in memory, about.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|indexed| indexed.bytes()).sum()
    }
}
