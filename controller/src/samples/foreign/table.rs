//! Foreign series in memory: each with a head of its own, cut into packed chunks.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher as _, Hash as _, Hasher as _};
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use slab::Slab;
use watchkeep_rules::promql::labels::{Labels, NAME};
use watchkeep_rules::promql::series::{Point, Series};
use watchkeep_rules::selector::MatchOp;

use super::super::chunk::{Chunk, Rows, StoredChunk};
use super::super::progress::Progress;
use super::super::reader::Question;
use super::wire::Pair;

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
    /// Numbers of series, by their labels.
    numbers: HashTable<u32>,
    /// Seeded by chance: whoever writes cannot choose what falls together.
    hashing: DefaultHashBuilder,
    series: Slab<Stored>,
    /// Numbers by metric name.
    names: BTreeMap<Arc<str>, Vec<u32>>,
    /// Names and values of labels, which series share.
    texts: HashSet<Arc<str>>,
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
        Self {
            numbers: HashTable::new(),
            hashing: DefaultHashBuilder::default(),
            series: Slab::new(),
            names: BTreeMap::new(),
            texts: HashSet::new(),
            series_max,
        }
    }

    /// The number of the series with just these labels, in the order of their names. None: there is none, or they are written
    /// in another way.
    pub fn find(&self, pairs: &[Pair<'_>]) -> Option<u32> {
        let is_it = |number: &u32| self.series[*number as usize].labels.iter().eq(pairs.iter().copied());
        self.numbers.find(hash(&self.hashing, pairs.iter().copied()), is_it).copied()
    }

    /// The number of a series, which begins now where it is not there.
    ///
    /// # Errors
    /// There are as many as may be.
    pub fn find_or_begin(&mut self, labels: &Labels) -> Result<u32, Refusal> {
        let hash = hash(&self.hashing, labels.iter());
        match self.known(labels, hash) {
            Some(number) => Ok(number),
            None if self.series.len() >= self.series_max => Err(Refusal::TooManySeries),
            None => Ok(self.add(labels, hash)),
        }
    }

    fn known(&self, labels: &Labels, hash: u64) -> Option<u32> {
        self.numbers.find(hash, |number| self.series[*number as usize].labels == *labels).copied()
    }

    fn add(&mut self, labels: &Labels, hash_now: u64) -> u32 {
        let texts = &mut self.texts;
        let labels = labels.sharing(|text| {
            texts.get(text).cloned().unwrap_or_else(|| {
                let text: Arc<str> = text.into();
                texts.insert(Arc::clone(&text));
                text
            })
        });
        let newest = Point { at: i64::MIN, value: f64::NAN };
        let (times, values, chunks, progress) = (Vec::new(), Vec::new(), Vec::new(), Progress::default());
        let name = labels.get(NAME).and_then(|name| self.texts.get(name)).cloned().unwrap_or_default();
        let number = self.series.insert(Stored { labels, times, values, chunks, progress, newest });
        let number = u32::try_from(number).expect("series are at most a million");
        let (series, hashing) = (&self.series, &self.hashing);
        let again = |number: &u32| hash(hashing, series[*number as usize].labels.iter());
        self.numbers.insert_unique(hash_now, number, again);
        self.names.entry(name).or_default().push(number);
        number
    }

    /// Takes one sample of the series of this number: later than all that it has, or its newest once more.
    ///
    /// # Errors
    /// What stands against it.
    pub fn write(&mut self, number: u32, point: Point) -> Result<(), Refusal> {
        let series = &mut self.series[number as usize];
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

    /// What it has of a question.
    ///
    /// # Errors
    /// There is more than the question wants.
    pub fn answer(&self, question: &Question) -> Result<Vec<Series>, String> {
        let mut named = question.matchers.matchers.iter();
        let named = named.find(|matcher| matcher.label == NAME && matcher.op == MatchOp::Equal);
        let candidates: Vec<&Stored> = match named {
            Some(name) => {
                let numbers = self.names.get(name.value.as_str()).into_iter().flatten();
                numbers.map(|number| &self.series[*number as usize]).collect()
            }
            None => self.series.iter().map(|(_, series)| series).collect(),
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
            found.push(Series::new(series.labels.clone(), of_series));
            question.fits(found.len(), points)?;
        }
        Ok(found)
    }

    /// Packs what is open and gives what is in no file yet, each with its series.
    pub fn hand_over(&mut self) -> Vec<(Vec<Labels>, Arc<Chunk>)> {
        let mut given = Vec::new();
        for (_, series) in &mut self.series {
            series.cut();
            let chunks = series.progress.hand_over(&series.chunks);
            given.extend(chunks.iter().map(|chunk| (vec![series.labels.clone()], Arc::clone(chunk))));
        }
        given
    }

    /// What was handed over is in a file.
    pub fn sealed(&mut self) {
        self.series.iter_mut().for_each(|(_, series)| series.progress.sealed());
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
        let hash = hash(&self.hashing, labels.iter());
        // What was taken once stays, however many there are.
        let number = self.known(labels, hash).unwrap_or_else(|| self.add(labels, hash));
        let series = &mut self.series[number as usize];
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
                gone.push(number as u32);
            }
        }
        for number in &gone {
            self.remove(*number);
        }
        if !gone.is_empty() {
            self.texts.retain(|text| Arc::strong_count(text) > 1);
        }
    }

    fn remove(&mut self, number: u32) {
        let hash = hash(&self.hashing, self.series[number as usize].labels.iter());
        if let Ok(entry) = self.numbers.find_entry(hash, |other| *other == number) {
            entry.remove();
        }
        let series = self.series.remove(number as usize);
        let name = series.labels.get(NAME).unwrap_or_default();
        if let Some(numbers) = self.names.get_mut(name) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                self.names.remove(name);
            }
        }
    }

    /// Series in memory.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Bytes in memory, about.
    pub fn bytes(&self) -> usize {
        self.series.iter().map(|(_, series)| series.bytes()).sum()
    }
}

fn hash<'a>(hashing: &DefaultHashBuilder, pairs: impl Iterator<Item = Pair<'a>>) -> u64 {
    let mut hasher = hashing.build_hasher();
    pairs.for_each(|pair| pair.hash(&mut hasher));
    hasher.finish()
}
