//! A broker that is not ours: any of MQTT 5 with TLS, whoever owns it.
//!
//! The controller is one of its clients, by a certificate of its own CA ([`CONTROLLER_NAME`]), and agents are others. What
//! the embedded broker vouches for (who published, whose connection ended) nobody vouches for here, so each session agrees
//! on a key first and every message both ways is sealed under it: [`watchkeep_protocol::agreement`]. Behind that stands the
//! same gate, so that shards do not know the difference.
//!
//! - [`keys`]: the sessions and their keys; a step function over what comes.
//! - [`client`]: the connection to the broker, made anew with growing pauses.
//!
//! Whoever owns the broker can delay and drop; what is dropped comes again, as on any bad line.
//!
//! [`CONTROLLER_NAME`]: crate::access::ca::CONTROLLER_NAME

mod client;
mod keys;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};

pub use client::{Address, ForeignBroker, ForeignConfig, ForeignError, ForeignHandle, ForeignLine};

/// What is counted of a foreign broker since the start.
#[derive(Debug, Default)]
pub struct Counters {
    agreed: AtomicU64,
    refused: AtomicU64,
    taken: AtomicU64,
    full: AtomicU64,
    stray: AtomicU64,
    forged: AtomicU64,
    replayed: AtomicU64,
    unknown: AtomicU64,
    down_dropped: AtomicU64,
}

/// A reading of [`Counters`], all totals since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForeignCounts {
    /// Keys that were agreed on.
    pub agreed: u64,
    /// Agreements that were refused: no good proof, or a certificate that is not in force.
    pub refused: u64,
    /// Messages handed over.
    pub taken: u64,
    /// Messages dropped because the controller's queue was full.
    pub full: u64,
    /// Messages under topics that are none, or in names that nobody is enrolled under.
    pub stray: u64,
    /// Messages whose MAC is not that of their session.
    pub forged: u64,
    /// Messages whose counter came before.
    pub replayed: u64,
    /// Messages of sessions without a key.
    pub unknown: u64,
    /// Messages to agents without a key, or that the broker did not take.
    pub down_dropped: u64,
}

impl Counters {
    /// All of them, each as it stands.
    pub fn read(&self) -> ForeignCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ForeignCounts {
            agreed: read(&self.agreed),
            refused: read(&self.refused),
            taken: read(&self.taken),
            full: read(&self.full),
            stray: read(&self.stray),
            forged: read(&self.forged),
            replayed: read(&self.replayed),
            unknown: read(&self.unknown),
            down_dropped: read(&self.down_dropped),
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
