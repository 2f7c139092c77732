//! Counting what became of samples.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::{Histogram, HistogramOpts};
use serde::Serialize;

use super::{Held, Receipt, Taken};

/// Upper bounds of the lag's buckets, seconds: from what nobody notices to what an agent brings after an outage.
const LAGS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0];
/// Upper bounds of the buckets for how long alerts take to be durable, seconds: about a disk's answer, where it should be, and far off.
const DURABLE: [f64; 18] = [
    0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 1.0, 5.0, 30.0,
];

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
    /// Reports that were lost on the way and asked for again, each time counted …
    pub asked: u64,
    /// … and reports that never came, though they were.
    pub given_up: u64,
    /// Reports that were not taken since too much is in no block file; agents hold them and send them again.
    pub held_back: u64,
}

impl Tally {
    pub fn add(&mut self, taken: &Taken) {
        self.taken += taken.values as u64;
        self.late += taken.late as u64;
        self.again += taken.again as u64;
    }
}

/// What could not be put into a block file when that was last tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unsealed {
    /// Why not.
    pub error: String,
    /// Bytes of it in memory.
    pub bytes: u64,
    /// It is so much that reports are not taken.
    pub holds_back: bool,
}

/// What all workers count since the start, for whoever scrapes.
#[derive(Debug)]
pub struct SampleCounts {
    /// From a report's reading on its host, by the corrected clock, to its being taken.
    lag: Histogram,
    /// From a message's arrival to the commit of the alerts that follow from it.
    durable: Histogram,
    taken: AtomicU64,
    late: AtomicU64,
    again: AtomicU64,
    refused: AtomicU64,
    asked: AtomicU64,
    given_up: AtomicU64,
    held_back: AtomicU64,
    files: AtomicU64,
    file_bytes: AtomicU64,
    file_samples: AtomicU64,
    failed: AtomicU64,
    handing_over_us: AtomicU64,
    writing_us: AtomicU64,
    /// By worker, while its last file could not be written.
    unsealed: Mutex<BTreeMap<usize, Unsealed>>,
    /// By worker: the shares of what is in memory.
    bytes: [AtomicU64; 8],
    series: [AtomicU64; 8],
}

impl Default for SampleCounts {
    fn default() -> Self {
        let named = HistogramOpts::new(
            "watchkeep_samples_lag_seconds",
            "From the reading of samples on their host to their being taken, report by report.",
        );
        let lag = Histogram::with_opts(named.buckets(LAGS.to_vec())).expect("a metric name and rising bounds");
        let named = HistogramOpts::new(
            "watchkeep_alerts_durable_seconds",
            "From the arrival of samples or an event to the commit of the alerts that follow, with their incidents.",
        );
        let durable = Histogram::with_opts(named.buckets(DURABLE.to_vec())).expect("a metric name and rising bounds");
        let (bytes, series) = (Default::default(), Default::default());
        let [taken, late, again, refused, asked, given_up, held_back] = Default::default();
        let [files, file_bytes, file_samples, failed, handing_over_us, writing_us] = Default::default();
        Self {
            lag,
            durable,
            taken,
            late,
            again,
            refused,
            asked,
            given_up,
            held_back,
            files,
            file_bytes,
            file_samples,
            failed,
            handing_over_us,
            writing_us,
            unsealed: Mutex::default(),
            bytes,
            series,
        }
    }
}

/// What [`SampleCounts`] had counted at an instant.
#[derive(Clone, Copy, Debug, Default)]
pub struct SampleReadings {
    pub tally: Tally,
    pub bytes: u64,
    pub series: u64,
    pub files: u64,
    pub file_bytes: u64,
    /// Samples in those files, gaps counted.
    pub file_samples: u64,
    pub failed: u64,
    /// Bytes in memory that could not be put into one.
    pub unsealed_bytes: u64,
    /// The longest that a worker stood still for a block file, and the longest that writing one took; microseconds.
    pub handing_over_us: u64,
    pub writing_us: u64,
}

impl SampleCounts {
    pub fn add(&self, tally: Tally) {
        let all = [(&self.taken, tally.taken), (&self.late, tally.late), (&self.again, tally.again)];
        let missing = [(&self.refused, tally.refused), (&self.asked, tally.asked), (&self.given_up, tally.given_up)];
        for (count, more) in all.into_iter().chain(missing).chain([(&self.held_back, tally.held_back)]) {
            count.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// The histograms, to be registered with what is scraped.
    pub fn histograms(&self) -> [Histogram; 2] {
        [self.lag.clone(), self.durable.clone()]
    }

    /// Alerts are durable so long after what they follow from came.
    pub fn durable(&self, after: Duration) {
        self.durable.observe(after.as_secs_f64());
    }

    /// Reports were taken so long after they were read, ms.
    pub fn lagged(&self, lags_ms: &[i64]) {
        lags_ms.iter().for_each(|lag| self.lag.observe((*lag).max(0) as f64 / 1_000.0));
    }

    /// A worker holds so much now.
    pub fn holds(&self, worker: usize, held: Held) {
        self.bytes[worker % self.bytes.len()].store(held.bytes, Ordering::Relaxed);
        self.series[worker % self.series.len()].store(held.series, Ordering::Relaxed);
    }

    /// A worker stood still for so long to hand over.
    pub fn handed_over(&self, took_us: u64) {
        self.handing_over_us.fetch_max(took_us, Ordering::Relaxed);
    }

    /// A worker's file is written, or could not be: then `unsealed` are the bytes in memory that are in none, and whether
    /// they are so many that reports are not taken.
    pub fn receipt(&self, worker: usize, receipt: &Receipt, (unsealed, holds_back): (usize, bool)) {
        let mut stuck = self.unsealed.lock().unwrap_or_else(PoisonError::into_inner);
        match receipt {
            Receipt::Sealed { took, bytes, samples, .. } => {
                stuck.remove(&worker);
                self.files.fetch_add(1, Ordering::Relaxed);
                self.file_bytes.fetch_add(*bytes as u64, Ordering::Relaxed);
                self.file_samples.fetch_add(*samples, Ordering::Relaxed);
                self.writing_us.fetch_max(took.as_micros() as u64, Ordering::Relaxed);
            }
            Receipt::Failed { error } => {
                stuck.insert(worker, Unsealed { error: error.clone(), bytes: unsealed as u64, holds_back });
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// What of all workers could not be put into block files; `None` where everything could.
    pub fn unsealed(&self) -> Option<Unsealed> {
        let stuck = self.unsealed.lock().unwrap_or_else(PoisonError::into_inner);
        stuck.values().cloned().reduce(|all, one| Unsealed {
            bytes: all.bytes + one.bytes,
            holds_back: all.holds_back || one.holds_back,
            ..all
        })
    }

    pub fn read(&self) -> SampleReadings {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        SampleReadings {
            tally: Tally {
                taken: of(&self.taken),
                late: of(&self.late),
                again: of(&self.again),
                refused: of(&self.refused),
                asked: of(&self.asked),
                given_up: of(&self.given_up),
                held_back: of(&self.held_back),
            },
            bytes: self.bytes.iter().map(of).sum(),
            series: self.series.iter().map(of).sum(),
            files: of(&self.files),
            file_bytes: of(&self.file_bytes),
            file_samples: of(&self.file_samples),
            failed: of(&self.failed),
            unsealed_bytes: self.unsealed().map_or(0, |unsealed| unsealed.bytes),
            handing_over_us: of(&self.handing_over_us),
            writing_us: of(&self.writing_us),
        }
    }
}
