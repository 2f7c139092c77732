//! Foreign series in memory: each with a head of its own, cut into packed chunks.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use watchkeep_rules::promql::labels::{Labels, NAME};
use watchkeep_rules::promql::series::{Point, Series};
use watchkeep_rules::selector::MatchOp;

use super::super::chunk::{Chunk, Rows, StoredChunk};
use super::super::progress::Progress;
use super::super::reader::Question;

/// Points of a head, after which it is cut, as Prometheus does.
const HEAD: usize = 120;

/// Why a sample is not taken. In all three cases Prometheus refuses, too, unless it was told to take what comes out of order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Older than the series' newest.
    OutOfOrder,
    /// Another value for the instant of the series' newest.
    Duplicate,
    /// Of a series that is not there yet, while there are as many as may be.
    TooManySeries,
}

/// See the module.
#[derive(Debug)]
pub struct Table {
    numbers: HashMap<Labels, u32>,
    series: BTreeMap<u32, Stored>,
    /// Numbers by metric name.
    names: BTreeMap<String, Vec<u32>>,
    next: u32,
    series_max: usize,
}

#[derive(Debug)]
struct Stored {
    labels: Labels,
    times: Vec<i64>,
    values: Vec<f64>,
    chunks: Vec<Arc<Chunk>>,
    progress: Progress,
    newest: Point,
}

impl Stored {
    fn cut(&mut self) {
        let rows = Rows { slots: &[0], metrics: 1, times: &self.times, values: &self.values };
        self.chunks.extend(Chunk::pack(&rows).map(Arc::new));
        (self.times, self.values) = (Vec::new(), Vec::new());
    }

    fn points(&self, after: i64, until: i64) -> Vec<Point> {
        let overlapping = self.chunks.iter().filter(|chunk| chunk.from <= until && chunk.until > after);
        let packed = overlapping.flat_map(|chunk| {
            let times = chunk.times();
            chunk.points(&times, 0, 0).collect::<Vec<_>>()
        });
        let head = self.times.iter().copied().zip(self.values.iter().copied());
        let within = |(at, _): &(i64, f64)| *at > after && *at <= until;
        packed.chain(head).filter(within).map(|(at, value)| Point { at, value }).collect()
    }

    fn has_points(&self, after: i64, until: i64) -> bool {
        let inside = |from: i64, to: i64| from > after && to <= until;
        let surely = self.chunks.iter().any(|chunk| inside(chunk.from, chunk.from) || inside(chunk.until, chunk.until));
        surely || self.times.iter().any(|at| inside(*at, *at)) || !self.points(after, until).is_empty()
    }

    fn bytes(&self) -> usize {
        let text: usize = self.labels.iter().map(|(name, value)| name.len() + value.len() + 48).sum();
        let chunks: usize = self.chunks.iter().map(|chunk| chunk.bytes()).sum();
        size_of::<Self>() + text + chunks + 8 * (self.times.capacity() + self.values.capacity())
    }
}

impl Table {
    /// An empty table of at most `series_max` series.
    pub fn new(series_max: usize) -> Self {
        Self { numbers: HashMap::new(), series: BTreeMap::new(), names: BTreeMap::new(), next: 0, series_max }
    }

    /// Takes one sample: later than all of its series, or its newest once more.
    ///
    /// # Errors
    /// What stands against it.
    pub fn write(&mut self, labels: &Labels, point: Point) -> Result<(), Refusal> {
        let Some(number) = self.numbers.get(labels).copied() else {
            return self.begin(labels, point);
        };
        let series = self.series.get_mut(&number).expect("each number has its series");
        if point.at < series.newest.at {
            return Err(Refusal::OutOfOrder);
        }
        if point.at == series.newest.at {
            let is_same = point.value.to_bits() == series.newest.value.to_bits();
            return if is_same { Ok(()) } else { Err(Refusal::Duplicate) };
        }
        series.times.push(point.at);
        series.values.push(point.value);
        series.newest = point;
        if series.times.len() >= HEAD {
            series.cut();
        }
        Ok(())
    }

    fn begin(&mut self, labels: &Labels, point: Point) -> Result<(), Refusal> {
        if self.series.len() >= self.series_max {
            return Err(Refusal::TooManySeries);
        }
        let series = self.add(labels, point);
        series.times.push(point.at);
        series.values.push(point.value);
        Ok(())
    }

    fn add(&mut self, labels: &Labels, newest: Point) -> &mut Stored {
        self.next += 1;
        self.numbers.insert(labels.clone(), self.next);
        self.names.entry(labels.get(NAME).unwrap_or_default().to_owned()).or_default().push(self.next);
        let (times, values, chunks, progress) = (Vec::new(), Vec::new(), Vec::new(), Progress::default());
        let stored = Stored { labels: labels.clone(), times, values, chunks, progress, newest };
        self.series.entry(self.next).or_insert(stored)
    }

    /// What it has of a question.
    ///
    /// # Errors
    /// There is more than the question wants.
    pub fn answer(&self, question: &Question) -> Result<Vec<Series>, String> {
        let mut named = question.matchers.matchers.iter();
        let named = named.find(|matcher| matcher.label == NAME && matcher.op == MatchOp::Equal);
        let candidates: Vec<&Stored> = match named {
            Some(name) => {
                self.names.get(&name.value).into_iter().flatten().map(|number| &self.series[number]).collect()
            }
            None => self.series.values().collect(),
        };
        let (after, until) = (question.after, question.until);
        let (mut found, mut points) = (Vec::new(), 0);
        for series in
            candidates.into_iter().filter(|series| question.matchers.matches_by(|label| series.labels.get(label)))
        {
            let of_series = if question.labels_only { Vec::new() } else { series.points(after, until) };
            if question.labels_only && !series.has_points(after, until) || !question.labels_only && of_series.is_empty()
            {
                continue;
            }
            points += of_series.len();
            found.push(Series { labels: series.labels.clone(), points: of_series });
            question.fits(found.len(), points)?;
        }
        Ok(found)
    }

    /// Packs what is open and gives what is in no file yet, each with its series.
    pub fn hand_over(&mut self) -> Vec<(Vec<Labels>, Arc<Chunk>)> {
        let mut given = Vec::new();
        for series in self.series.values_mut() {
            series.cut();
            let chunks = series.progress.hand_over(&series.chunks);
            given.extend(chunks.iter().map(|chunk| (vec![series.labels.clone()], Arc::clone(chunk))));
        }
        given
    }

    /// What was handed over is in a file.
    pub fn sealed(&mut self) {
        self.series.values_mut().for_each(|series| series.progress.sealed());
    }

    /// Takes a chunk that a file held, of this series; the oldest file first.
    ///
    /// # Errors
    /// What does not fit together.
    pub fn restore(&mut self, labels: &Labels, chunk: StoredChunk) -> Result<(), String> {
        let chunk = Chunk::restore(chunk, &[0], 1)?;
        let times = chunk.times();
        let Some((at, value)) = chunk.points(&times, 0, 0).last() else { return Ok(()) };
        let newest = Point { at, value };
        let number = match self.numbers.get(labels).copied() {
            Some(number) => number,
            None => {
                self.add(labels, newest);
                self.next
            }
        };
        let series = self.series.get_mut(&number).expect("each number has its series");
        series.newest = newest;
        series.chunks.push(Arc::new(chunk));
        series.progress.restored(&series.chunks);
        Ok(())
    }

    /// Drops sealed chunks that end before `before`, and the series that nothing is left of.
    pub fn forget(&mut self, before: i64) {
        let mut gone = Vec::new();
        for (number, series) in &mut self.series {
            series.progress.forget(&mut series.chunks, before);
            if series.chunks.is_empty() && series.times.is_empty() {
                gone.push(*number);
            }
        }
        for number in gone {
            let Some(series) = self.series.remove(&number) else { continue };
            self.numbers.remove(&series.labels);
            let name = series.labels.get(NAME).unwrap_or_default();
            if let Some(numbers) = self.names.get_mut(name) {
                numbers.retain(|other| *other != number);
                if numbers.is_empty() {
                    self.names.remove(name);
                }
            }
        }
    }

    /// Series in memory.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Bytes in memory, about.
    pub fn bytes(&self) -> usize {
        self.series.values().map(Stored::bytes).sum()
    }
}
