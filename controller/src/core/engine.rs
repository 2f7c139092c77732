//! The threads around shards and desk.
//!
//! One worker a share of the 256 shards, one thread for the desk. Every queue is bounded: into a worker (full: the message is
//! dropped and counted, and the missing ack slows the agent) and into the desk (full: the worker keeps what it proposes, takes
//! samples on, and leaves matters unread until there is room: agents bring them again; see [`waiting`]). The desk commits
//! whatever waits, up to [`GROUP`], as soon as the disk is free.
//!
//! After a failed commit the desk opens a new [`Committer`] from the store and begins a new life: workers are handed the
//! hosts as the store kept them, and what they proposed in the life before is dropped, unacknowledged. An input that makes
//! commits fail again and again is found and set aside ([`super::aside`]).

mod desk;
mod inlet;
mod news;
mod waiting;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use tokio::sync::{Notify, watch};
use watchkeep_desk::Millis;

use self::desk::DeskThread;
pub use self::inlet::Inlet;
use self::news::Slot;
use self::waiting::Waiting;
use self::worker::{ToWorker, Worker};
use super::across::Across;
use super::aside::Caution;
use super::committer::{Committed, CoreError, Opened};
use super::handle::{Handle, Work};
use super::outlet::Downlinks;
use super::rule_board::RuleBoard;
use crate::ingest::{Proposal, Shard};
use crate::samples::coarse::Coarse;
use crate::samples::foreign::Keeper;
use crate::samples::{Ask, KEEP_MS, Reader, SampleCounts, Sealer, Settings, SharedSeries};

/// Messages that wait for one worker.
const WORKER_QUEUE: usize = 4_096;
/// Questions that wait for one worker.
const ASKS_QUEUE: usize = 256;
/// Work that waits for the desk.
const DESK_QUEUE: usize = 1_024;
/// Inputs and messages that are committed at once, about. Larger groups are slower on SQLite: 512 gave 4,760 facts a second
/// where 64 gave 12,568 (`examples/ledger_throughput.rs`).
pub const GROUP: usize = 64;

/// What the engine needs from outside.
pub struct Surroundings {
    /// Opens the store and reads everything back; called at the start and after a failed commit.
    pub open: Box<dyn FnMut() -> Result<Opened, CoreError> + Send>,
    pub downlinks: Arc<Downlinks>,
    /// The wall clock, UTC milliseconds.
    pub now: fn() -> Millis,
    /// Called on the desk's thread after each commit, before anybody is answered; must not wait.
    pub committed: Box<dyn FnMut(&Committed) + Send>,
    /// Where samples are kept.
    pub samples: Settings,
}

/// Running shards and desk.
pub struct Engine {
    workers: Vec<SyncSender<ToWorker>>,
    desk: SyncSender<Work>,
    handle: Handle,
    dropped: Arc<AtomicU64>,
    deaf: Arc<AtomicBool>,
    aside: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
    ended: Arc<Notify>,
    reader: Reader,
    coarse: Coarse,
    sample_counts: Arc<SampleCounts>,
    rules: Arc<RuleBoard>,
    /// Dropped to stop the threads beside workers and desk.
    beside: [SyncSender<()>; 2],
}

impl Engine {
    /// Opens the store and starts the threads.
    ///
    /// # Errors
    /// The store or the input log cannot be read.
    pub fn start(mut surroundings: Surroundings) -> Result<Self, CoreError> {
        let Opened { committer, kept, .. } = (surroundings.open)()?;
        let (desk, work) = sync_channel(DESK_QUEUE);
        let (told, head) = watch::channel(committer.head());
        let mut threads = Vec::new();
        let ended = Arc::new(Notify::new());
        let (deaf, dropped) = (Arc::new(AtomicBool::new(false)), Arc::<AtomicU64>::default());
        let (careful, aside) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (mut workers, mut slots) = (Vec::new(), Vec::new());
        let (samples, now) = (surroundings.samples.clone(), surroundings.now);
        let (sample_counts, rules) = (Arc::new(SampleCounts::default()), Arc::new(RuleBoard::default()));
        let (mut queues, mut questions) = (Vec::new(), Vec::new());
        for _ in 0..workers_wanted() {
            let ((sender, queue), (asking, asks)) = (sync_channel(WORKER_QUEUE), sync_channel(ASKS_QUEUE));
            workers.push(sender);
            questions.push(asking);
            queues.push((queue, asks));
        }
        let recorded = SharedSeries::default();
        let reader = reader_of(&workers, questions, &recorded, &samples, now);
        for (number, (queue, asks)) in queues.into_iter().enumerate() {
            let slot = Arc::new(Slot::default());
            slots.push(Arc::clone(&slot));
            let worker = Worker {
                shard: Shard::restore(Arc::default(), BTreeMap::new(), (surroundings.now)()),
                life: 0,
                slot,
                downlinks: Arc::clone(&surroundings.downlinks),
                now,
                number,
                sealer: Sealer::start(samples.clone(), (number, workers_wanted()), now().0),
                sample_counts: Arc::clone(&sample_counts),
                tap: samples.tap.clone(),
                rules: Arc::clone(&rules),
                waiting: Waiting::new(desk.clone()),
                dropped: Arc::clone(&dropped),
                counted: None,
                deaf: Arc::clone(&deaf),
                careful: Arc::clone(&careful),
                asks,
                reader: reader.clone(),
            };
            threads.push(spawn(&format!("shard-{number}"), &ended, move || worker.live(&queue)));
        }
        let keeper = Keeper { foreign: Arc::clone(&samples.foreign), blocks: samples.folder.clone(), now };
        let (fleet, coarse) = (Arc::default(), samples.coarse.clone());
        let across = Across {
            news: Arc::clone(&fleet),
            reader: reader.clone(),
            recorded,
            samples,
            counts: Arc::clone(&sample_counts),
            number: workers.len(),
            board: Arc::clone(&rules),
            desk: desk.clone(),
            now,
        };
        let (until_dropped, stopped) = sync_channel(1);
        threads.push(spawn("across", &ended, move || across.run(&stopped)));
        let (until_ended, end) = sync_channel(1);
        threads.push(spawn("foreign", &ended, move || keeper.run(&end)));
        let mut desk_thread = DeskThread {
            committer: None,
            slots,
            fleet,
            surroundings,
            life: 0,
            told,
            sample_counts: Arc::clone(&sample_counts),
            caution: Caution::default(),
            careful,
            aside: Arc::clone(&aside),
            renew_at: now(),
        };
        desk_thread.restore(&committer, kept);
        desk_thread.committer = Some(committer);
        threads.push(spawn("desk", &ended, move || desk_thread.run(&work)));
        let handle = Handle::new(desk.clone(), head);
        let beside = [until_dropped, until_ended];
        Ok(Self {
            workers,
            desk,
            handle,
            dropped,
            deaf,
            aside,
            threads,
            ended,
            reader,
            coarse,
            sample_counts,
            rules,
            beside,
        })
    }

    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub fn inlet(&self) -> Inlet {
        Inlet { workers: self.workers.clone(), dropped: Arc::clone(&self.dropped), deaf: Arc::clone(&self.deaf) }
    }

    /// Inputs that were set aside since the start, as a counter to be read from elsewhere.
    pub fn aside(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.aside)
    }

    /// Samples of all hosts, for whoever asks.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Samples of all hosts in few points, for charts.
    pub fn coarse(&self) -> Coarse {
        self.coarse.clone()
    }

    pub fn sample_counts(&self) -> Arc<SampleCounts> {
        Arc::clone(&self.sample_counts)
    }

    /// Which rules fail.
    pub fn rules(&self) -> Arc<RuleBoard> {
        Arc::clone(&self.rules)
    }

    /// Rings when one of the threads has ended, whether by a panic, a take-over or a store that stays away: the rest is of no
    /// use then.
    pub fn ended(&self) -> Arc<Notify> {
        Arc::clone(&self.ended)
    }

    /// Commits what waits and ends the threads.
    pub fn stop(self) {
        // First of all, or it would ask workers that have ended.
        drop(self.beside);
        for worker in &self.workers {
            let _ended = worker.send(ToWorker::Stop);
        }
        let _ended = self.desk.send(Work::Stop);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the core ended with a panic");
            }
        }
    }
}

fn reader_of(
    workers: &[SyncSender<ToWorker>],
    questions: Vec<SyncSender<Ask>>,
    recorded: &SharedSeries,
    samples: &Settings,
    now: fn() -> Millis,
) -> Reader {
    let (count, workers) = (workers.len(), workers.to_vec());
    let asking = move |worker: usize, ask: Ask| {
        let is_taken = questions[worker].try_send(ask).is_ok();
        // A worker whose queue is full is at work, and looks for questions after it.
        let _full = workers[worker].try_send(ToWorker::Asked);
        is_taken
    };
    let (folder, foreign) = (samples.folder.clone(), Arc::clone(&samples.foreign));
    Reader::new(count, Arc::new(asking), Arc::clone(recorded), folder, foreign, move || now().0 - KEEP_MS)
}

fn workers_wanted() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).clamp(1, 8)
}

fn spawn(name: &str, ended: &Arc<Notify>, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let bell = Ring(Arc::clone(ended));
    let work = move || {
        let _rings_at_the_end = bell;
        work();
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(work).expect("the system can start a thread")
}

/// Rings when it is dropped, however its thread ends.
struct Ring(Arc<Notify>);

impl Drop for Ring {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

fn send_down(downlinks: &Downlinks, proposal: Proposal) {
    for down in proposal.down {
        downlinks.send(&proposal.agent, down);
    }
}

/// An error with its causes, for one line of the log.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests;
