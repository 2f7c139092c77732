//! Down-sampling: what is older, once more in few points a series, for charts over weeks.
//!
//! A point stands for a *bucket*: all samples of a series in `(end - resolution, end]`, as their smallest, largest, sum,
//! count and last. There are two resolutions, 5 minutes and an hour, each in a folder of its own beside the block files, with
//! a term of its own. A coarse block is [`build`]t of all block files that were sealed within [`STRETCH_MS`], from the files
//! alone: a process that dies, or a disk that is full, leaves none or a whole one, and the next round makes it. It names the
//! files that it was made of; those are not [`read`] beside it.
//!
//! Nobody is answered from here who did not ask for it: answers of expressions are exact unless `max_source_resolution` says
//! otherwise.

mod build;
mod read;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

pub use read::{Coarsely, aggregated};

use super::Folder;
use super::folder::Folder as Blocks;

/// How much is in one coarse block, by the instant at which its files were sealed.
pub const STRETCH_MS: i64 = 6 * 3_600_000;

/// How far apart coarse points are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resolution {
    FiveMinutes,
    Hour,
}

impl Resolution {
    pub const ALL: [Self; 2] = [Self::FiveMinutes, Self::Hour];

    pub fn ms(self) -> i64 {
        match self {
            Self::FiveMinutes => 300_000,
            Self::Hour => 3_600_000,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
        }
    }

    /// Where the bucket of an instant ends.
    pub fn end_of(self, at: i64) -> i64 {
        (at.saturating_sub(1).div_euclid(self.ms()) + 1).saturating_mul(self.ms())
    }
}

/// What a bucket is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    Average,
    Min,
    Max,
    Sum,
    Last,
}

impl Aggregate {
    pub const ALL: [Self; 5] = [Self::Average, Self::Min, Self::Max, Self::Sum, Self::Last];

    pub fn word(self) -> &'static str {
        match self {
            Self::Average => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Sum => "sum",
            Self::Last => "last",
        }
    }
}

/// Some samples of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    pub min: f64,
    pub max: f64,
    pub sum: f64,
    pub count: f64,
    /// The newest of them, and when it was.
    pub last: f64,
    pub last_at: i64,
}

/// Columns that a bucket has in a block.
const COLUMNS: usize = 6;

impl Bucket {
    pub fn of(at: i64, value: f64) -> Self {
        Self { min: value, max: value, sum: value, count: 1.0, last: value, last_at: at }
    }

    /// Takes others of the same series in. A NaN is neither the smallest nor the largest.
    pub fn merge(&mut self, other: Self) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum += other.sum;
        self.count += other.count;
        if other.last_at >= self.last_at {
            (self.last, self.last_at) = (other.last, other.last_at);
        }
    }

    pub fn value(self, aggregate: Aggregate) -> f64 {
        match aggregate {
            Aggregate::Average => self.sum / self.count,
            Aggregate::Min => self.min,
            Aggregate::Max => self.max,
            Aggregate::Sum => self.sum,
            Aggregate::Last => self.last,
        }
    }

    /// As it is kept; the last sample's instant as how long before the bucket's end it was.
    fn columns(self, end: i64) -> [f64; COLUMNS] {
        let age = end.saturating_sub(self.last_at) as f64;
        [self.min, self.max, self.sum, self.count, self.last, age]
    }

    fn restored([min, max, sum, count, last, age]: [f64; COLUMNS], end: i64) -> Self {
        Self { min, max, sum, count, last, last_at: end.saturating_sub(age as i64) }
    }
}

/// Where coarse blocks lie, how long they are kept, and what became of them. Clones share it.
#[derive(Clone, Debug)]
pub struct Coarse(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folders: [Blocks; 2],
    terms_ms: [AtomicI64; 2],
    built: AtomicU64,
    bytes: AtomicU64,
    failed: AtomicU64,
}

/// What became of coarse blocks since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoarseCounts {
    pub built: u64,
    /// Of those that were built.
    pub bytes: u64,
    /// That could not be made; each is tried again.
    pub failed: u64,
}

impl Coarse {
    /// Opens the folders, beside that of the block files: `samples-5m` and `samples-1h`. What was left half written is removed.
    ///
    /// # Errors
    /// They cannot be made or read.
    pub fn open(blocks: &Path) -> io::Result<Self> {
        let name = blocks.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let open = |resolution: Resolution| {
            let folder = Folder::open(&blocks.with_file_name(format!("{name}-{}", resolution.word())))?;
            folder.tidy().map(|()| folder)
        };
        let folders = [open(Resolution::FiveMinutes)?, open(Resolution::Hour)?];
        let terms_ms = [AtomicI64::new(i64::MAX), AtomicI64::new(i64::MAX)];
        let (built, bytes, failed) = Default::default();
        Ok(Self(Arc::new(Shared { folders, terms_ms, built, bytes, failed })))
    }

    pub fn folder(&self, resolution: Resolution) -> &Blocks {
        &self.0.folders[resolution as usize]
    }

    /// How long blocks are kept from now on, ms.
    pub fn keep(&self, resolution: Resolution, term_ms: i64) {
        self.0.terms_ms[resolution as usize].store(term_ms, Ordering::Relaxed);
    }

    fn term_ms(&self, resolution: Resolution) -> i64 {
        self.0.terms_ms[resolution as usize].load(Ordering::Relaxed)
    }

    pub fn counts(&self) -> CoarseCounts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CoarseCounts { built: of(&self.0.built), bytes: of(&self.0.bytes), failed: of(&self.0.failed) }
    }
}

#[cfg(test)]
mod tests;
