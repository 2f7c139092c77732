//! Series that rules write: recorded ones, `up`, `ALERTS`. One table for a host, since rules are evaluated together: a row an
//! instant, a column a series, gaps where a series was not written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watchkeep_rules::promql::labels::{Labels, NAME};
use watchkeep_rules::promql::series::{Point, STALE};

use super::chunk::{Chunk, Rows, StoredChunk};
use super::columns::ROWS;
use super::progress::Progress;
use super::{gap, is_gap};

/// See the module.
#[derive(Debug, Default)]
pub struct Derived {
    /// By metric name, then labels, the series' number.
    names: BTreeMap<String, BTreeMap<Labels, u32>>,
    next: u32,
    /// Series at each place of the head's rows.
    order: Vec<u32>,
    places: BTreeMap<u32, usize>,
    times: Vec<i64>,
    values: Vec<f64>,
    /// What was written for instants that the head has no row of: by time and series.
    late: BTreeMap<(i64, u32), f64>,
    chunks: Vec<Arc<Chunk>>,
    progress: Progress,
}

impl Derived {
    /// Writes one sample; of two at one instant the first stands. Whether it is this one.
    pub fn write(&mut self, labels: &Labels, at: i64, value: f64) -> bool {
        let series = self.series(labels);
        let place = self.place(series);
        let row = match self.times.last() {
            Some(last) if *last == at => Some(self.times.len() - 1),
            Some(last) if *last > at => self.times.binary_search(&at).ok(),
            None if self.newest_packed() >= Some(at) => None,
            _ => {
                self.times.push(at);
                self.values.resize(self.times.len() * self.order.len(), gap());
                Some(self.times.len() - 1)
            }
        };
        let is_first = match row {
            Some(row) => {
                let cell = &mut self.values[row * self.order.len() + place];
                let is_free = is_gap(*cell);
                if is_free {
                    *cell = value;
                }
                is_free
            }
            None => {
                let before = self.late.len();
                self.late.entry((at, series)).or_insert(value);
                self.late.len() > before
            }
        };
        if self.times.len() > ROWS {
            self.cut();
        }
        is_first
    }

    /// Names of the series' metrics.
    pub fn metric_names(&self) -> impl Iterator<Item = String> + '_ {
        self.names.keys().cloned()
    }

    /// Ends at `at` every series that has not ended and was written after `after`; which those are.
    pub fn end(&mut self, after: i64, at: i64) -> Vec<Labels> {
        let mut found = Vec::new();
        self.select(None, &mut |_| true, (after, at), &mut found);
        let goes_on =
            |points: &[Point]| points.iter().max_by_key(|point| point.at).is_some_and(|point| !point.is_stale());
        found.retain(|(_, points)| goes_on(points));
        let ended: Vec<Labels> = found.into_iter().map(|(labels, _)| labels).collect();
        ended.into_iter().filter(|labels| self.write(labels, at, f64::from_bits(STALE))).collect()
    }

    /// The newest instant that anything was written for.
    pub fn newest_at(&self) -> Option<i64> {
        let late = self.late.last_key_value().map(|((at, _), _)| *at);
        self.times.last().copied().max(late).max(self.newest_packed())
    }

    fn newest_packed(&self) -> Option<i64> {
        self.chunks.iter().map(|chunk| chunk.until).max()
    }

    fn series(&mut self, labels: &Labels) -> u32 {
        let name = labels.get(NAME).unwrap_or_default();
        if let Some(known) = self.names.get(name).and_then(|all| all.get(labels)) {
            return *known;
        }
        self.next += 1;
        self.names.entry(name.to_owned()).or_default().insert(labels.clone(), self.next);
        self.next
    }

    /// The place of a series in the head's rows, which get a column for it where they have none.
    fn place(&mut self, series: u32) -> usize {
        let old = self.order.len();
        let place = *self.places.entry(series).or_insert(old);
        if place == old {
            self.order.push(series);
            let mut wider = Vec::with_capacity(self.times.len() * (old + 1));
            for row in 0..self.times.len() {
                wider.extend_from_slice(&self.values[row * old..(row + 1) * old]);
                wider.push(gap());
            }
            self.values = wider;
        }
        place
    }

    /// Packs what is open into chunks.
    pub fn cut(&mut self) {
        let late = std::mem::take(&mut self.late);
        let mut times: Vec<i64> = late.keys().map(|(at, _)| *at).collect();
        times.dedup();
        let slots: BTreeSet<u32> = late.keys().map(|(_, series)| *series).collect();
        let slots: Vec<u32> = slots.into_iter().collect();
        let cells = times.iter().flat_map(|at| slots.iter().map(|series| (*at, *series)));
        let values: Vec<f64> = cells.map(|cell| late.get(&cell).copied().unwrap_or_else(gap)).collect();
        let late = Chunk::pack(&Rows { slots: &slots, metrics: 1, times: &times, values: &values });
        let rows = Rows { slots: &self.order, metrics: 1, times: &self.times, values: &self.values };
        let chunks = late.into_iter().chain(Chunk::pack(&rows));
        self.chunks.extend(chunks.map(Arc::new));
        self.order.clear();
        self.places.clear();
        self.times.clear();
        self.values.clear();
    }

    /// Packs what is open and gives what is in no file yet, each with its series.
    pub fn hand_over(&mut self) -> Vec<(Vec<Labels>, Arc<Chunk>)> {
        self.cut();
        let labels: BTreeMap<u32, &Labels> =
            self.names.values().flatten().map(|(labels, series)| (*series, labels)).collect();
        let with_labels = |chunk: &Arc<Chunk>| {
            let of = |series: &u32| labels.get(series).copied().cloned().unwrap_or_default();
            (chunk.slots.iter().map(of).collect(), Arc::clone(chunk))
        };
        self.progress.hand_over(&self.chunks).iter().map(with_labels).collect()
    }

    /// What was handed over is in a file.
    pub fn sealed(&mut self) {
        self.progress.sealed();
    }

    /// Bytes that were handed over and are in no file.
    pub fn unsealed(&self) -> usize {
        self.progress.unsealed(&self.chunks)
    }

    /// Takes a chunk that a file held, of these series.
    ///
    /// # Errors
    /// What does not fit together.
    pub fn restore(&mut self, series: &[Labels], stored: StoredChunk) -> Result<(), String> {
        let slots: Vec<u32> = series.iter().map(|labels| self.series(labels)).collect();
        self.chunks.push(Arc::new(Chunk::restore(stored, &slots, 1)?));
        self.progress.restored(&self.chunks);
        Ok(())
    }

    /// Drops sealed chunks that end before `before`, and the series that nothing is held of; whether there was any.
    pub fn forget(&mut self, before: i64) -> bool {
        let any = self.progress.forget(&mut self.chunks, before);
        if any {
            let mut held: BTreeSet<u32> = self.chunks.iter().flat_map(|chunk| chunk.slots.iter().copied()).collect();
            held.extend(&self.order);
            held.extend(self.late.keys().map(|(_, series)| *series));
            self.names.values_mut().for_each(|all| all.retain(|_, series| held.contains(series)));
            self.names.retain(|_, all| !all.is_empty());
        }
        any
    }

    /// As [`super::columns::Columns::select`].
    pub fn select(
        &self,
        name: Option<&str>,
        takes: &mut dyn FnMut(&Labels) -> bool,
        (after, until): (i64, i64),
        found: &mut Vec<(Labels, Vec<Point>)>,
    ) {
        let of_name = |wanted: &str| self.names.get(wanted).into_iter().collect::<Vec<_>>();
        let all = name.map_or_else(|| self.names.values().collect(), of_name);
        let taken: Vec<(&Labels, u32)> = all
            .into_iter()
            .flatten()
            .filter(|(labels, _)| takes(labels))
            .map(|(labels, series)| (labels, *series))
            .collect();
        if taken.is_empty() {
            return;
        }
        let overlaps = |chunk: &&Arc<Chunk>| chunk.from <= until && chunk.until > after;
        let chunks: Vec<(&Chunk, Vec<i64>)> =
            self.chunks.iter().filter(overlaps).map(|chunk| (chunk.as_ref(), chunk.times())).collect();
        let within = |at: &i64| *at > after && *at <= until;
        for (labels, series) in taken {
            let packed = chunks.iter().flat_map(|(chunk, times)| chunk.points(times, series, 0));
            let late = self.late.iter().filter(|((_, of), _)| *of == series).map(|((at, _), value)| (*at, *value));
            let head = self.places.get(&series).into_iter().flat_map(|place| {
                let column = self.values.iter().skip(*place).step_by(self.order.len());
                self.times.iter().copied().zip(column.copied()).filter(|(_, value)| !is_gap(*value))
            });
            let all = packed.chain(late).chain(head).filter(|(at, _)| within(at));
            let points: Vec<Point> = all.map(|(at, value)| Point { at, value }).collect();
            if !points.is_empty() {
                found.push((labels.clone(), points));
            }
        }
    }

    /// Series that something is held of.
    pub fn count(&self) -> usize {
        self.names.values().map(BTreeMap::len).sum()
    }

    /// Bytes in memory, about.
    pub fn bytes(&self) -> usize {
        let text =
            |labels: &Labels| labels.iter().map(|(name, value)| name.len() + value.len() + 48).sum::<usize>() + 64;
        let names: usize = self.names.values().flat_map(BTreeMap::keys).map(text).sum();
        let chunks: usize = self.chunks.iter().map(|chunk| chunk.bytes()).sum();
        names + chunks + 8 * (self.values.capacity() + self.times.capacity()) + 64 * self.late.len()
    }
}
