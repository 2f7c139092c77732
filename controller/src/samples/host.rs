//! One host's series.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use watchkeep_protocol::Report;
use watchkeep_protocol::layout::Metric;
use watchkeep_rules::promql::labels::{Labels, NAME};
use watchkeep_rules::promql::series::{Point, STALE, Samples, Series};
use watchkeep_rules::selector::{MatchOp, Selector};
use watchkeep_rules::stream;

use super::columns::{Columns, LiveRow, Placed};
use super::derived::Derived;
use super::file::{Index, StoredHost};
use super::layouts::HeldLayout;
use super::seal::{Covered, Part, Sealing};
use super::template::{Indexed, Templates};
use super::told::Told;

/// The label `job` of what agents report.
const JOB: &str = "node";

/// A series that was not written for so long is seen no more, ms: the lookback, and more than any rule file may set it to.
const SEEN_FOR: i64 = 3_600_000;

/// Everything held in memory of one host's series. Times are UTC milliseconds, as the controller corrected them.
#[derive(Debug)]
pub struct HostSeries {
    /// `instance`, `job` and the labels of the host's enrolment: for series that have none of that name themselves.
    base: Labels,
    /// Of the series `up`.
    up: Labels,
    layout: Option<Arc<HeldLayout>>,
    /// Which of `columns` each block of the layout has.
    places: Vec<usize>,
    columns: Vec<Columns>,
    derived: Derived,
    newest_at: Option<i64>,
    reached: Reached,
    /// What is told on, where anybody wants it.
    told: Option<Vec<Told>>,
}

/// How far a host's columns are, for who follows them row by row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Rises with every change but a newer row: another layout, other labels, a late row, what came from files or is forgotten.
    pub revision: u64,
    /// Reports that were the newest when they were taken.
    pub reports: u64,
}

impl Reached {
    /// Whether the newest report is all that changed since `before`.
    pub fn follows(self, before: Self) -> bool {
        self == Self { reports: before.reports + 1, ..before }
    }
}

/// Series that several threads look at: what rules across hosts record.
pub type SharedSeries = Arc<Mutex<HostSeries>>;

/// What became of a report's values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// It is the newest of the host, so that what depends on its values may be judged at its instant.
    pub newest: bool,
    /// Values beside the head, since newer ones were in already.
    pub late: usize,
    /// Values of instants that were in already: passed over.
    pub again: usize,
    /// Values taken, late ones included.
    pub values: usize,
}

/// What samples take up in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// About.
    pub bytes: u64,
    /// Series that hosts report now, or that rules wrote of them.
    pub series: u64,
}

impl std::iter::Sum for Held {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self { bytes: sum.bytes + one.bytes, series: sum.series + one.series })
    }
}

impl Default for HostSeries {
    fn default() -> Self {
        Self::new("", &BTreeMap::new())
    }
}

impl HostSeries {
    /// An empty host, named `instance` in its series; `labels` are those of its enrolment.
    pub fn new(instance: &str, labels: &BTreeMap<String, String>) -> Self {
        let base = base(instance, labels);
        Self {
            up: base.with(NAME, "up"),
            base,
            layout: None,
            places: Vec::new(),
            columns: Vec::new(),
            derived: Derived::default(),
            newest_at: None,
            reached: Reached::default(),
            told: None,
        }
    }

    /// `instance`, `job` and the labels of the host's enrolment.
    pub fn base(&self) -> &Labels {
        &self.base
    }

    /// Takes other labels of the host up, for what is asked from now on: a series' past goes with them.
    pub fn relabel(&mut self, instance: &str, labels: &BTreeMap<String, String>) {
        let base = base(instance, labels);
        if base != self.base {
            self.up = base.with(NAME, "up");
            self.base = base;
            self.columns.iter_mut().for_each(Columns::relabel);
            self.reached.revision += 1;
        }
    }

    /// The instant of the newest report.
    pub fn newest_at(&self) -> Option<i64> {
        self.newest_at
    }

    /// Takes a report, read at `at`, whose rows fit `layout` ([`HeldLayout::check`]).
    pub fn take(&mut self, report: &Report, layout: &Arc<HeldLayout>, at: i64) -> Taken {
        let mut taken = Taken { newest: self.newest_at.is_none_or(|newest| at > newest), ..Taken::default() };
        let current = self.layout.as_ref().is_some_and(|known| Arc::ptr_eq(known, layout) || known.id == layout.id);
        let changed = taken.newest && !current;
        if changed {
            self.stand_at(layout);
        }
        for row in &report.rows {
            let Some(block) = layout.blocks.get(row.block as usize) else { continue };
            let columns = match self.places.get(row.block as usize) {
                Some(place) if current || changed => &mut self.columns[*place],
                _ => self.past(&block.indexed),
            };
            let follows = (current || changed) && columns.newest_at().is_none_or(|newest| at > newest);
            // Nothing of the host is newer than its newest report; else a late row may be of this very instant.
            let placed = if follows && (taken.newest || !columns.holds(at)) {
                columns.push(at, &row.values, &row.flags);
                Placed::Newest
            } else {
                columns.put_late(at, &block.instances, &row.values, &row.flags)
            };
            let values = row.values.len();
            taken.late += if placed == Placed::Late { values } else { 0 };
            taken.again += if placed == Placed::Again { values } else { 0 };
            taken.values += if placed == Placed::Again { 0 } else { values };
        }
        if changed {
            self.columns.iter_mut().for_each(|columns| columns.settle(at));
        }
        if taken.newest {
            self.newest_at = Some(at);
            self.reached.reports += 1;
        }
        let beside = if taken.newest { taken.late + taken.again } else { taken.values };
        self.reached.revision += u64::from(changed || beside > 0);
        taken
    }

    /// Makes `layout` the one that newest reports have: columns go on where template and instance are the same.
    fn stand_at(&mut self, layout: &Arc<HeldLayout>) {
        let mut free: Vec<usize> = (0..self.columns.len()).collect();
        self.places.clear();
        for block in &layout.blocks {
            let known = free.iter().position(|place| self.columns[*place].is_of(&block.indexed));
            let place = known.map(|at| free.remove(at)).unwrap_or_else(|| {
                self.columns.push(Columns::new(Arc::clone(&block.indexed)));
                self.columns.len() - 1
            });
            self.columns[place].stand_at(&block.instances);
            self.places.push(place);
        }
        for place in free {
            self.columns[place].stand_at(&[]);
        }
        self.layout = Some(Arc::clone(layout));
    }

    /// The columns of a block of a layout that is not the newest report's.
    fn past(&mut self, indexed: &Arc<Indexed>) -> &mut Columns {
        let known = self.columns.iter().position(|columns| columns.is_of(indexed));
        let place = known.unwrap_or_else(|| {
            self.columns.push(Columns::new(Arc::clone(indexed)));
            self.columns.len() - 1
        });
        &mut self.columns[place]
    }

    /// Writes a sample of a series that rules derive, under exactly these labels. Of two at one instant the first stands.
    pub fn write(&mut self, labels: &Labels, at: i64, value: f64) {
        if self.derived.write(labels, at, value) {
            self.tell_written(labels, at, value);
        }
    }

    /// Writes whether the host was heard of: 1, or 0.
    pub fn write_up(&mut self, at: i64, value: f64) {
        let up = self.up.clone();
        self.write(&up, at, value);
    }

    /// Whether what is taken and written from now on is told on ([`HostSeries::take_told`]).
    pub fn follow(&mut self, follows: bool) {
        if self.told.is_some() != follows {
            self.told = follows.then(Vec::new);
        }
    }

    /// What was taken and written since this was last asked.
    pub fn take_told(&mut self) -> Vec<Told> {
        self.told.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// A report that was taken, at `at`; `newest` as [`HostSeries::take`] said.
    pub fn tell_report(&mut self, report: Report, layout: &Arc<HeldLayout>, at: i64, newest: bool) {
        let (base, layout) = (&self.base, || Arc::clone(layout));
        if let Some(told) = &mut self.told {
            told.push(Told::Report { base: base.clone(), layout: layout(), report, at, newest });
        }
    }

    fn tell_written(&mut self, labels: &Labels, at: i64, value: f64) {
        if let Some(told) = &mut self.told {
            told.push(Told::Written { labels: labels.clone(), at, value });
        }
    }

    /// Ends every series of the host, since its agent said that it ends: as Prometheus does with a target that goes. `up` ends
    /// at the same instant, by which these markers are told from those of what the agent says is gone.
    pub fn end(&mut self, now: i64) {
        let at = self.newest_at.map_or(now, |newest| now.max(newest.saturating_add(1)));
        self.columns.iter_mut().for_each(|columns| columns.end(at));
        let ended = self.derived.end(at.saturating_sub(SEEN_FOR), at);
        self.told.iter_mut().for_each(|told| told.push(Told::Ended { at }));
        ended.iter().for_each(|labels| self.tell_written(labels, at, f64::from_bits(STALE)));
        self.write_up(at, f64::from_bits(STALE));
        self.reached.revision += 1;
    }

    /// As [`HostSeries::end`], unless it has ended since its newest report, or nothing is held of it.
    pub fn end_once(&mut self, at: i64) {
        let newest = self.newest_at.max(self.derived.newest_at());
        if newest.is_some_and(|newest| self.stops().iter().all(|stop| *stop < newest)) {
            self.end(at);
        }
    }

    /// The instants at which the host's `up` ended.
    fn stops(&self) -> Vec<i64> {
        let mut found = Vec::new();
        self.derived.select(Some("up"), &mut |labels| *labels == self.up, (i64::MIN, i64::MAX), &mut found);
        let points = found.into_iter().flat_map(|(_, points)| points);
        points.filter(|point| point.is_stale()).map(|point| point.at).collect()
    }

    /// The newest value of each series of one metric, where the newest row of its block has one: with labels as rules see
    /// them and the instant at which it was read.
    pub fn newest<'a>(&'a self, metric: &'a str) -> impl Iterator<Item = (Labels, Point)> + 'a {
        self.places.iter().flat_map(move |place| self.columns[*place].newest(metric, &self.base))
    }

    /// How far the columns are.
    pub fn reached(&self) -> Reached {
        self.reached
    }

    /// Of each block of the layout the labels of its columns whose metric is `wanted`, none of the others.
    pub fn live_labels<'a>(
        &'a self,
        wanted: &'a dyn Fn(&str) -> bool,
    ) -> impl Iterator<Item = Vec<Option<Labels>>> + 'a {
        self.places.iter().map(move |place| self.columns[*place].live_labels(&self.base, wanted).collect())
    }

    /// The newest report's rows, each with its block's number in the layout.
    pub fn live_rows(&self) -> impl Iterator<Item = (usize, LiveRow<'_>)> + '_ {
        let blocks = self.places.iter().enumerate();
        blocks.filter_map(|(block, place)| Some((block, self.columns[*place].live_row(self.newest_at?)?)))
    }

    /// Names of all metrics that it has series of, in order.
    pub(super) fn metric_names(&self) -> BTreeSet<String> {
        let columns = self.columns.iter().flat_map(|columns| columns.indexed.template.metrics.iter());
        columns.map(|metric| metric.name.clone()).chain(self.derived.metric_names()).collect()
    }

    /// The newest instant that rules wrote for.
    pub fn newest_written(&self) -> Option<i64> {
        self.derived.newest_at()
    }

    /// Packs what is open. Until the next report the newest values stay at hand all the same.
    pub fn cut(&mut self) {
        self.columns.iter_mut().for_each(Columns::cut);
        self.derived.cut();
    }

    /// Packs what is open, and puts what is in no file yet into `file`. `covered` is whose it is, and how far it goes in the
    /// agent's spool. [`HostSeries::sealed`] follows once the file is durable.
    pub fn hand_over(&mut self, covered: Covered, file: &mut Sealing) {
        let own = |name: &str| name == "instance" || name == "job";
        let labels = self.base.to_map().into_iter().filter(|(name, _)| !own(name)).collect();
        let mut part = Part { covered, labels, chunks: Vec::new(), derived: Vec::new() };
        for columns in &mut self.columns {
            let indexed = Arc::clone(&columns.indexed);
            for (instances, chunk) in columns.hand_over() {
                let shape = file.writer.shape(&indexed.template, &instances);
                part.chunks.push((shape, chunk));
            }
        }
        part.derived = self.derived.hand_over();
        file.parts.push(part);
    }

    /// What was handed over is in a file.
    pub fn sealed(&mut self) {
        self.columns.iter_mut().for_each(Columns::sealed);
        self.derived.sealed();
    }

    /// Bytes that were handed over and are in no file.
    pub fn unsealed(&self) -> usize {
        self.columns.iter().map(Columns::unsealed).sum::<usize>() + self.derived.unsealed()
    }

    /// Takes a host's part of a file back, as far as it reaches beyond `after`; the oldest file first.
    ///
    /// # Errors
    /// What does not fit together; the rest of the part is passed over.
    pub fn restore(
        &mut self,
        index: &Index,
        part: StoredHost,
        after: i64,
        templates: &mut Templates,
    ) -> Result<(), String> {
        self.reached.revision += 1;
        for chunk in part.chunks.into_iter().filter(|chunk| chunk.until() > after) {
            let shape = index.shape(chunk.shape).ok_or("a chunk whose shape is not in the index")?;
            self.past(&templates.shared(&shape.template)).restore(&shape.instances, chunk)?;
        }
        for derived in part.derived.into_iter().filter(|derived| derived.chunk.until() > after) {
            let series: Vec<Labels> = derived.series.iter().map(labels_of_stored).collect();
            self.derived.restore(&series, derived.chunk)?;
        }
        Ok(())
    }

    /// After the last part was restored: goes on from there.
    pub fn go_on(&mut self) {
        let stops = self.stops();
        self.columns.iter_mut().for_each(|columns| columns.go_on(&stops));
        self.newest_at = self.columns.iter().filter_map(Columns::newest_at).max();
    }

    /// Drops what is sealed and ends before `before`.
    pub fn forget(&mut self, before: i64) {
        let mut any = self.derived.forget(before);
        for columns in &mut self.columns {
            any |= columns.forget(before);
        }
        // Of a host that lags, what rules still look back at.
        let in_sight = self.newest_at.is_some_and(|newest| newest.saturating_sub(stream::RANGE_MAX) < before);
        self.reached.revision += u64::from(any && in_sight);
        let (columns, mut kept) = (std::mem::take(&mut self.columns), Vec::new());
        for (place, columns) in columns.into_iter().enumerate() {
            if self.places.contains(&place) || !columns.is_empty() {
                kept.push(self.columns.len());
                self.columns.push(columns);
            } else {
                kept.push(usize::MAX);
            }
        }
        self.places.iter_mut().for_each(|place| *place = kept[*place]);
    }

    /// What it takes up.
    pub fn held(&self) -> Held {
        let columns = self.columns.iter().map(|columns| (columns.bytes(), columns.series()));
        let (bytes, series) = columns.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        Held {
            bytes: (bytes + self.derived.bytes() + size_of::<Self>()) as u64,
            series: (series + self.derived.count()) as u64,
        }
    }
}

fn base(instance: &str, labels: &BTreeMap<String, String>) -> Labels {
    let own = [("instance".to_owned(), instance.to_owned()), ("job".to_owned(), JOB.to_owned())];
    Labels::new(labels.iter().map(|(name, value)| (name.clone(), value.clone())).chain(own))
}

pub(super) fn labels_of_stored(metric: &Metric) -> Labels {
    let name = [(NAME.to_owned(), metric.name.clone())];
    Labels::new(metric.labels.iter().map(|(name, value)| (name.clone(), value.clone())).chain(name))
}

impl Samples for HostSeries {
    fn select(&self, matchers: &Selector, after: i64, until: i64) -> Result<Vec<Series>, String> {
        let mut named =
            matchers.matchers.iter().filter(|matcher| matcher.label == NAME && matcher.op == MatchOp::Equal);
        let name = named.next().map(|matcher| matcher.value.as_str());
        let mut takes = |labels: &Labels| matchers.matches_by(|label| labels.get(label));
        let mut found = Vec::new();
        for columns in &self.columns {
            columns.select(name, &self.base, &mut takes, (after, until), &mut found);
        }
        self.derived.select(name, &mut takes, (after, until), &mut found);
        Ok(merged(found))
    }
}

/// Each label set once, its points in order of time, of two at one instant the first.
pub(super) fn merged(mut found: Vec<(Labels, Vec<Point>)>) -> Vec<Series> {
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut series: Vec<Series> = Vec::with_capacity(found.len());
    for (labels, points) in found {
        match series.last_mut() {
            Some(last) if last.labels == labels => last.points.extend(points),
            _ => series.push(Series::new(labels, points)),
        }
    }
    for series in &mut series {
        if !series.points.is_sorted_by(|a, b| a.at < b.at) {
            series.points.sort_by_key(|point| point.at);
            series.points.dedup_by_key(|point| point.at);
        }
    }
    series
}
