//! What is taken and what rules write, told on to who passes samples on.
//!
//! A host notes it while it steps, its shard collects it, and a worker hands it over through a [`Tap`]. Nobody waits: where too
//! much is waiting, what comes is dropped and counted.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use watchkeep_protocol::Report;
use watchkeep_protocol::layout::Instance;
use watchkeep_rules::promql::labels::{Labels, NAME};
use watchkeep_rules::promql::series::{Point, STALE};

use super::layouts::{HeldBlock, HeldLayout};
use super::template::Indexed;
use super::{columns, is_gap};

/// Values that wait at most, of all workers together: some 16 MB.
const VALUES_MAX: usize = 2_000_000;

/// Something of one host's samples.
#[derive(Debug)]
pub enum Told {
    /// A report that was taken, read at `at` by the controller's clock.
    Report { base: Labels, layout: Arc<HeldLayout>, report: Report, at: i64, newest: bool },
    /// A sample that a rule wrote, `up` among them.
    Written { labels: Labels, at: i64, value: f64 },
    /// Samples that others wrote, of each series in order.
    Series(Vec<(Labels, Vec<Point>)>),
    /// The agent said that it ends, and all that it reports with it.
    Ended { at: i64 },
}

/// What one host tells, in order.
#[derive(Debug)]
pub struct Handed {
    /// The agent, [`super::FLEET`], or [`super::foreign::FOREIGN`].
    pub agent: String,
    pub told: Vec<Told>,
}

impl Handed {
    /// Samples in it, about.
    fn values(&self) -> usize {
        let of = |told: &Told| match told {
            Told::Report { report, .. } => report.rows.iter().map(|row| row.values.len()).sum(),
            Told::Series(series) => series.iter().map(|(_, points)| points.len()).sum(),
            Told::Written { .. } | Told::Ended { .. } => 1,
        };
        self.told.iter().map(of).sum()
    }
}

/// Where it is handed over; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Tap(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    is_open: AtomicBool,
    waiting: Mutex<Waiting>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    handed: Vec<Handed>,
    values: usize,
    dropped: u64,
    is_over: bool,
}

impl Tap {
    /// Whether anybody wants it.
    pub fn is_open(&self) -> bool {
        self.0.is_open.load(Ordering::Relaxed)
    }

    pub fn open(&self, is_open: bool) {
        self.0.is_open.store(is_open, Ordering::Relaxed);
    }

    /// Hands over; does not wait.
    pub fn hand_over(&self, handed: Vec<Handed>) {
        if handed.is_empty() || !self.is_open() {
            return;
        }
        let values: usize = handed.iter().map(Handed::values).sum();
        let mut waiting = self.locked();
        if waiting.values + values > VALUES_MAX {
            waiting.dropped += values as u64;
        } else {
            waiting.values += values;
            waiting.handed.extend(handed);
        }
        drop(waiting);
        self.0.bell.notify_one();
    }

    /// Values that found no room since the start.
    pub fn dropped(&self) -> u64 {
        self.locked().dropped
    }

    /// Waits for something, at most so long; then as long again for more, up to `enough` values. None once it is over and
    /// nothing is left.
    pub fn gather(&self, patience: Duration, enough: usize) -> Option<Vec<Handed>> {
        let mut waiting = self.until(self.locked(), patience, |waiting| !waiting.handed.is_empty());
        if !waiting.handed.is_empty() {
            waiting = self.until(waiting, patience, |waiting| waiting.values >= enough);
        }
        waiting.values = 0;
        let handed = std::mem::take(&mut waiting.handed);
        (!waiting.is_over || !handed.is_empty()).then_some(handed)
    }

    fn until<'a>(
        &'a self,
        waiting: MutexGuard<'a, Waiting>,
        patience: Duration,
        is_done: impl Fn(&Waiting) -> bool,
    ) -> MutexGuard<'a, Waiting> {
        let goes_on = |waiting: &mut Waiting| !waiting.is_over && !is_done(waiting);
        self.0.bell.wait_timeout_while(waiting, patience, goes_on).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Nothing more comes.
    pub fn end(&self) {
        self.locked().is_over = true;
        self.0.bell.notify_all();
    }

    fn locked(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names and values of a series' labels, by name, none empty.
pub type Pairs<'a> = [(&'a str, &'a str)];

impl HeldLayout {
    /// Goes through the values of a report that fits, gaps left out: `base` are the host's labels.
    pub fn each_value(&self, report: &Report, base: &Labels, mut each: impl FnMut(&Pairs<'_>, f64)) {
        let mut pairs = Vec::new();
        for row in &report.rows {
            let Some(block) = self.blocks.get(row.block as usize) else { continue };
            let metrics = block.indexed.metrics();
            for (cell, value) in
                columns::flagged(&row.values, &row.flags).enumerate().filter(|(_, value)| !is_gap(*value))
            {
                let Some(instance) = block.instances.get(cell / metrics) else { continue };
                labels_into(&mut pairs, &block.indexed, instance, cell % metrics, base);
                each(&pairs, value);
            }
        }
    }

    /// Goes through the series that are here and not in `next`; all of them where there is none.
    pub fn each_gone(&self, next: Option<&Self>, base: &Labels, mut each: impl FnMut(&Pairs<'_>)) {
        let mut pairs = Vec::new();
        for block in &self.blocks {
            let after = next.into_iter().flat_map(|next| next.blocks.iter().filter(|after| after.is_like(block)));
            let after: Vec<&HeldBlock> = after.collect();
            if after.iter().any(|after| Arc::ptr_eq(&after.instances, &block.instances)) {
                continue;
            }
            let stay: BTreeSet<&[String]> = after
                .iter()
                .flat_map(|after| after.instances.iter())
                .map(|instance| instance.values.as_slice())
                .collect();
            for instance in block.instances.iter().filter(|instance| !stay.contains(instance.values.as_slice())) {
                for column in 0..block.indexed.metrics() {
                    labels_into(&mut pairs, &block.indexed, instance, column, base);
                    each(&pairs);
                }
            }
        }
    }
}

impl HeldBlock {
    fn is_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.indexed, &other.indexed) || self.indexed.template == other.indexed.template
    }
}

/// What says that a series ended.
pub fn stale() -> f64 {
    f64::from_bits(STALE)
}

/// The labels of `columns::labels_of`, without a copy of their texts.
fn labels_into<'a>(
    pairs: &mut Vec<(&'a str, &'a str)>,
    indexed: &'a Indexed,
    instance: &'a Instance,
    column: usize,
    base: &'a Labels,
) {
    let metric = &indexed.template.metrics[column];
    pairs.clear();
    pairs.push((NAME, &metric.name));
    let of_instance = indexed.template.instance_labels.iter().zip(&instance.values);
    pairs.extend(of_instance.map(|(name, value)| (name.as_str(), value.as_str())));
    pairs.extend(metric.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    pairs.extend(base.iter());
    // Stable: of two of one name the first stays, which is the series' own.
    pairs.sort_by_key(|(name, _)| *name);
    pairs.dedup_by_key(|(name, _)| *name);
    pairs.retain(|(_, value)| !value.is_empty());
}

#[cfg(test)]
mod tests {
    use watchkeep_protocol::layout::{Block, Layout, Metric, Row, Template};

    use super::*;
    use crate::samples::Templates;

    fn layout(devices: &[&str]) -> HeldLayout {
        let metric = |name: &str, labels: &[(&str, &str)]| Metric {
            name: name.to_owned(),
            labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..Metric::default()
        };
        let template = Template {
            collector: "disk".to_owned(),
            metrics: vec![metric("free_bytes", &[]), metric("io_total", &[("direction", "read"), ("site", "own")])],
            instance_labels: vec!["device".to_owned()],
        };
        let instances = devices.iter().map(|device| Instance { values: vec![(*device).to_owned()] }).collect();
        HeldLayout::new(&Layout::whole(vec![Block { template, instances }]), &mut Templates::default())
    }

    fn shown(pairs: &Pairs<'_>) -> String {
        Labels::new(pairs.iter().copied()).to_string()
    }

    #[test]
    fn each_value_comes_under_the_labels_that_questions_see() {
        let (layout, base) = (layout(&["sda", ""]), Labels::new([("instance", "web-1"), ("site", "fra1")]));
        let row = Row { block: 0, values: vec![1.0, 2.0, 3.0, 4.0], flags: vec![0, 0, 1, 2] };
        let report = Report { rows: vec![row], ..Report::default() };
        let mut found = Vec::new();
        layout.each_value(&report, &base, |pairs, value| found.push((shown(pairs), value.to_bits())));
        let expected = [
            ("free_bytes{device=\"sda\", instance=\"web-1\", site=\"fra1\"}".to_owned(), 1.0_f64.to_bits()),
            (
                "io_total{device=\"sda\", direction=\"read\", instance=\"web-1\", site=\"own\"}".to_owned(),
                2.0_f64.to_bits(),
            ),
            ("io_total{direction=\"read\", instance=\"web-1\", site=\"own\"}".to_owned(), STALE),
        ];
        assert_eq!(found, expected);
        let block = &layout.blocks[0];
        let of_instance = || columns::instance_labels(&block.indexed, &block.instances[0]);
        let of_column = |column| columns::labels_of(&block.indexed, of_instance(), column, &base).to_string();
        assert_eq!([of_column(0), of_column(1)], [expected[0].0.clone(), expected[1].0.clone()]);
    }

    #[test]
    fn what_the_next_layout_has_not_is_gone() {
        let base = Labels::new([("instance", "web-1")]);
        let gone = |next: Option<&HeldLayout>| {
            let mut found = Vec::new();
            layout(&["sda", "sdb"]).each_gone(next, &base, |pairs| found.push(shown(pairs)));
            found
        };
        assert_eq!(gone(Some(&layout(&["sdb", "sda", "sdc"]))), Vec::<String>::new());
        let one = gone(Some(&layout(&["sdb"])));
        assert_eq!((one.len(), one[0].as_str()), (2, "free_bytes{device=\"sda\", instance=\"web-1\"}"));
        assert_eq!(gone(None).len(), 4);
    }

    #[test]
    fn what_finds_no_room_is_counted_and_nobody_waits() {
        let tap = Tap::default();
        let batch = |values: usize| {
            let row = Row { block: 0, values: vec![0.0; values], flags: Vec::new() };
            let report = Report { rows: vec![row], ..Report::default() };
            let told =
                Told::Report { base: Labels::default(), layout: Arc::new(layout(&[])), report, at: 1, newest: true };
            vec![Handed { agent: "web-1".to_owned(), told: vec![told] }]
        };
        tap.hand_over(batch(5));
        assert_eq!(tap.gather(Duration::ZERO, 1).map(|handed| handed.len()), Some(0), "nobody wants it");
        tap.open(true);
        tap.hand_over(batch(VALUES_MAX));
        tap.hand_over(batch(7));
        assert_eq!(tap.dropped(), 7);
        assert_eq!(tap.gather(Duration::from_secs(60), 1).map(|handed| handed.len()), Some(1));
        tap.hand_over(batch(7));
        tap.end();
        assert_eq!(tap.gather(Duration::from_secs(60), 100).map(|handed| handed.len()), Some(1), "what is left");
        assert!(tap.gather(Duration::from_secs(60), 100).is_none());
    }
}
