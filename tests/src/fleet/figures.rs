//! What is counted of a fleet.

use std::sync::atomic::{AtomicU64, Ordering};

/// Totals over all hosts since the start, but for what says otherwise.
#[derive(Debug, Default)]
pub struct Figures {
    /// Hosts whose hello was answered on the connection that stands; now.
    pub up: AtomicU64,
    /// Messages handed to the connection.
    pub sent: AtomicU64,
    /// Reports that were made …
    pub made: AtomicU64,
    /// … that were handed to the connection, again and again …
    pub reports_sent: AtomicU64,
    /// … and that the controller said it took.
    pub taken: AtomicU64,
    /// Matters that were made, and that were acknowledged.
    pub matters: AtomicU64,
    pub matters_acked: AtomicU64,
    /// From a report's making to its being taken: milliseconds, together and the longest since it was last read.
    pub lag_total_ms: AtomicU64,
    pub lag_longest_ms: AtomicU64,
    /// Connections that ended.
    pub lost: AtomicU64,
}

/// A reading of [`Figures`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    pub up: u64,
    pub sent: u64,
    pub made: u64,
    /// Reports that were sent more than once.
    pub again: u64,
    pub taken: u64,
    pub matters: u64,
    pub matters_acked: u64,
    pub lag_mean_ms: u64,
    pub lag_longest_ms: u64,
    pub lost: u64,
}

impl Figures {
    /// Adds to a total.
    pub fn add(total: &AtomicU64, count: u64) {
        total.fetch_add(count, Ordering::Relaxed);
    }

    /// All of them; the longest lag begins anew.
    pub fn read(&self) -> Reading {
        let of = |total: &AtomicU64| total.load(Ordering::Relaxed);
        let (made, taken) = (of(&self.made), of(&self.taken));
        Reading {
            up: of(&self.up),
            sent: of(&self.sent),
            made,
            again: of(&self.reports_sent).saturating_sub(made),
            taken,
            matters: of(&self.matters),
            matters_acked: of(&self.matters_acked),
            lag_mean_ms: of(&self.lag_total_ms) / taken.max(1),
            lag_longest_ms: self.lag_longest_ms.swap(0, Ordering::Relaxed),
            lost: of(&self.lost),
        }
    }
}

impl std::fmt::Display for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} up, {} sent; reports {} made, {} taken, {} again; matters {} made, {} acked; lag {} ms mean, {} ms \
             longest; {} connections lost",
            self.up,
            self.sent,
            self.made,
            self.taken,
            self.again,
            self.matters,
            self.matters_acked,
            self.lag_mean_ms,
            self.lag_longest_ms,
            self.lost
        )
    }
}
