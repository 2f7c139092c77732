//! The way in: messages of agents to the worker whose host it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Instant;

use tokio::sync::oneshot;
use watchkeep_protocol::topic::shard_of;

use super::worker::ToWorker;
use crate::ingest::Incoming;
use crate::samples::foreign::otlp_logs::Logged;

/// A cheap way for the broker's gate to hand messages over.
#[derive(Clone)]
pub struct Inlet {
    pub(super) workers: Vec<SyncSender<ToWorker>>,
    pub(super) dropped: Arc<AtomicU64>,
    /// Whether no broker is heard, so that nobody's silence counts.
    pub(super) deaf: Arc<AtomicBool>,
}

impl Inlet {
    /// Whether the broker can be heard.
    pub fn hears(&self, hears: bool) {
        self.deaf.store(!hears, Ordering::Release);
    }

    /// Messages that were dropped for want of room since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Hands over events that others saw on an agent's host, or ([`OUTSIDE`](crate::detect::OUTSIDE)) on another; what is
    /// returned is answered once they are durable, and ends without an answer where they could not be taken.
    pub fn log(&self, agent: &str, events: Vec<Logged>) -> oneshot::Receiver<()> {
        let (answer, answered) = oneshot::channel();
        self.hand_over(agent, Incoming::Logged { agent: agent.to_owned(), events, answer });
        answered
    }

    /// Hands over without waiting; false: the worker's queue is full, and it was dropped and counted.
    pub fn hand_over(&self, agent: &str, incoming: Incoming) -> bool {
        let worker = shard_of(agent) as usize % self.workers.len();
        match self.workers[worker].try_send(ToWorker::Incoming(incoming, Instant::now())) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
    }
}
