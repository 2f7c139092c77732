//! What is asked of columns: their labels, the newest row, and points.

use std::cell::OnceCell;
use std::sync::Arc;

use watchkeep_protocol::layout::Instance;
use watchkeep_rules::promql::labels::{Labels, Pair};
use watchkeep_rules::promql::series::{Point, STALE};

use super::window::Window;
use super::{Columns, SlotLabels};
use crate::samples::is_gap;
use crate::samples::template::Indexed;

impl Columns {
    /// The newest values of the metric's live columns that were read in the newest row.
    pub fn newest<'a>(&'a self, metric: &'a str, base: &'a Labels) -> impl Iterator<Item = (Labels, Point)> + 'a {
        let metrics = self.indexed.metrics();
        let row = self.newest_row();
        let columns = if row.is_some() { self.indexed.columns(Some(metric)) } else { Vec::new() };
        columns.into_iter().flat_map(move |column| {
            self.live.iter().enumerate().filter_map(move |(row_place, slot)| {
                let place = self.head.places.as_ref().map_or(row_place, |places| places[row_place] as usize);
                let (at, values) = row?;
                let value = *values.get(place * metrics + column as usize)?;
                let read = !is_gap(value) && value.to_bits() != STALE;
                read.then(|| (self.labels(*slot, column, base), Point { at, value }))
            })
        })
    }

    /// Labels of the layout's columns whose metric is `wanted`, none of the others; in the order of the newest row.
    pub fn live_labels<'a>(
        &'a self,
        base: &'a Labels,
        wanted: &'a dyn Fn(&str) -> bool,
    ) -> impl Iterator<Item = Option<Labels>> + 'a {
        self.live.iter().flat_map(move |slot| {
            let metrics = (0..).zip(&self.indexed.template.metrics);
            metrics.map(move |(column, metric)| wanted(&metric.name).then(|| self.labels(*slot, column, base)))
        })
    }

    /// The layout's columns in the row of `at`, if that is the newest row.
    pub fn live_row(&self, at: i64) -> Option<LiveRow<'_>> {
        let (_, values) = self.newest_row().filter(|(newest, _)| *newest == at)?;
        Some(LiveRow { values, places: self.head.places.as_deref(), metrics: self.indexed.metrics() })
    }

    /// Every column whose metric is `name` (or any) and whose labels `takes`, with its points in `(after, until]`, in any order
    /// of time.
    pub fn select(
        &self,
        name: Option<&str>,
        base: &Labels,
        takes: &mut dyn FnMut(&Labels) -> bool,
        (after, until): (i64, i64),
        found: &mut Vec<(Labels, Vec<Point>)>,
    ) {
        let columns = self.indexed.columns(name);
        if columns.is_empty() {
            return;
        }
        let window = Window::of(self, after, until);
        for slot in self.slots.keys() {
            for column in &columns {
                let labels = self.labels(*slot, *column, base);
                if takes(&labels) {
                    let points = window.points(*slot, *column as usize);
                    if !points.is_empty() {
                        found.push((labels, points));
                    }
                }
            }
        }
    }

    fn labels(&self, slot: u32, column: u32, base: &Labels) -> Labels {
        let held = &self.slots[&slot];
        let made = held.labels.get_or_init(|| SlotLabels::new(&self.indexed, &held.instance));
        let of_instance = || made.own.iter().cloned();
        made.by_metric[column as usize].get_or_init(|| labels_of(&self.indexed, of_instance(), column, base)).clone()
    }

    /// Forgets the labels that were made: those of the host are others now.
    pub fn relabel(&mut self) {
        for slot in self.slots.values_mut() {
            slot.labels = OnceCell::new();
        }
    }
}

impl SlotLabels {
    fn new(indexed: &Indexed, instance: &Instance) -> Self {
        Self {
            own: instance_labels(indexed, instance).collect(),
            by_metric: indexed.template.metrics.iter().map(|_| OnceCell::new()).collect(),
        }
    }
}

/// The template's labels, the instance's, the host's; of two of one name the series' own stands. Their texts are shared with
/// what gave them.
pub fn labels_of(indexed: &Indexed, of_instance: impl Iterator<Item = Pair>, column: u32, base: &Labels) -> Labels {
    let (name, own) = indexed.labels(column);
    Labels::layered(base.pairs().chain(own.iter().cloned()).chain(of_instance).chain([name.clone()]))
}

/// An instance's own labels.
pub fn instance_labels(indexed: &Indexed, instance: &Instance) -> impl Iterator<Item = Pair> {
    indexed.instance_labels().iter().cloned().zip(instance.values.iter().map(|value| Arc::from(value.as_str())))
}

/// The newest row, as the layout has its columns.
#[derive(Clone, Copy, Debug)]
pub struct LiveRow<'a> {
    values: &'a [f64],
    /// Of each instance; none: as they stand in the layout.
    places: Option<&'a [u32]>,
    metrics: usize,
}

impl LiveRow<'_> {
    /// The value of this column of the layout; none where nothing was read.
    pub fn value(&self, column: usize) -> Option<f64> {
        let place = match self.places {
            None => column,
            Some(places) => places[column / self.metrics] as usize * self.metrics + column % self.metrics,
        };
        Some(self.values[place]).filter(|value| !is_gap(*value))
    }
}
