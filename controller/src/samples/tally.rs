//! Counting what became of samples.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Receipt, Taken};

/// What became of samples, a step or a start long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub taken: u64,
    /// Taken beside the head, since newer ones were in already.
    pub late: u64,
    /// Passed over: of an instant that was in already.
    pub again: u64,
    /// Read more than a minute in the future, by the agent's own clock.
    pub refused: u64,
}

impl Tally {
    pub fn add(&mut self, taken: &Taken) {
        self.taken += taken.values as u64;
        self.late += taken.late as u64;
        self.again += taken.again as u64;
    }
}

/// What all workers count since the start, for whoever scrapes.
#[derive(Debug, Default)]
pub struct SampleCounts {
    taken: AtomicU64,
    late: AtomicU64,
    again: AtomicU64,
    refused: AtomicU64,
    files: AtomicU64,
    file_bytes: AtomicU64,
    failed: AtomicU64,
    handing_over_us: AtomicU64,
    writing_us: AtomicU64,
    /// By worker: the shares of bytes in memory.
    bytes: [AtomicU64; 8],
}

/// What [`SampleCounts`] had counted at an instant.
#[derive(Clone, Copy, Debug, Default)]
pub struct SampleReadings {
    pub tally: Tally,
    pub bytes: u64,
    pub files: u64,
    pub file_bytes: u64,
    pub failed: u64,
    /// The longest that a worker stood still for a block file, and the longest that writing one took; microseconds.
    pub handing_over_us: u64,
    pub writing_us: u64,
}

impl SampleCounts {
    pub fn add(&self, tally: Tally) {
        let all = [(&self.taken, tally.taken), (&self.late, tally.late), (&self.again, tally.again)];
        for (count, more) in all.into_iter().chain([(&self.refused, tally.refused)]) {
            count.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// A worker handed over, for which it took that long, and holds so many bytes now.
    pub fn handed_over(&self, worker: usize, took_us: u64, bytes: u64) {
        self.handing_over_us.fetch_max(took_us, Ordering::Relaxed);
        self.bytes[worker % self.bytes.len()].store(bytes, Ordering::Relaxed);
    }

    pub fn receipt(&self, receipt: &Receipt) {
        match receipt {
            Receipt::Sealed { took, bytes, .. } => {
                self.files.fetch_add(1, Ordering::Relaxed);
                self.file_bytes.fetch_add(*bytes as u64, Ordering::Relaxed);
                self.writing_us.fetch_max(took.as_micros() as u64, Ordering::Relaxed);
            }
            Receipt::Failed { .. } => {
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub fn read(&self) -> SampleReadings {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        SampleReadings {
            tally: Tally {
                taken: of(&self.taken),
                late: of(&self.late),
                again: of(&self.again),
                refused: of(&self.refused),
            },
            bytes: self.bytes.iter().map(of).sum(),
            files: of(&self.files),
            file_bytes: of(&self.file_bytes),
            failed: of(&self.failed),
            handing_over_us: of(&self.handing_over_us),
            writing_us: of(&self.writing_us),
        }
    }
}
