//! Sealing: what a worker's hosts took goes into one block file, written beside the worker's own thread.
//!
//! The worker packs (milliseconds) and hands over; a thread of its own encodes, writes and syncs, so that a slow disk holds
//! up no report. What was handed over counts as sealed once the receipt is back; where writing failed, the next file has it
//! again. Past [`Settings::unsealed_max`] a worker takes no reports until a file is written: agents hold them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use watchkeep_protocol::layout::Metric;
use watchkeep_rules::promql::labels::{Labels, NAME};

use super::chunk::Chunk;
use super::coarse::Coarse;
use super::file::{self, IndexedHost, StoredDerived, StoredHost, Writer};
use super::folder::Folder;
use super::foreign::Foreign;
use super::told::Tap;

/// How often a worker seals.
pub const EVERY_MS: i64 = 300_000;

/// While reports are held back since no block file can be written, it is tried again this soon.
const AGAIN_MS: i64 = 60_000;

/// How samples are kept on disk.
#[derive(Clone, Debug)]
pub struct Settings {
    pub folder: Folder,
    /// Files older than this are removed, ms; may change while it runs.
    pub retention_ms: Arc<AtomicI64>,
    /// Of what could not be put into block files, bytes kept in memory by all workers together; past it reports are not
    /// taken, and agents hold them.
    pub unsealed_max: usize,
    /// What is older, in few points.
    pub coarse: Coarse,
    /// The series that others write, which are sealed beside the hosts'.
    pub foreign: Arc<Foreign>,
    /// Where samples are passed on.
    pub tap: Tap,
}

/// What a worker hands over to be sealed.
#[derive(Debug)]
pub struct Sealing {
    sealed_at: i64,
    pub(super) writer: Writer,
    /// By agent.
    pub(super) parts: Vec<Part>,
}

#[derive(Debug)]
pub(super) struct Part {
    pub covered: Covered,
    pub labels: BTreeMap<String, String>,
    pub chunks: Vec<(u32, Arc<Chunk>)>,
    pub derived: Vec<(Vec<Labels>, Arc<Chunk>)>,
}

/// How far an agent's spool is sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Covered {
    pub agent: String,
    pub spool: String,
    /// Reports below this number are in files …
    pub number: u64,
    /// … and these, though one before them is missing.
    pub beyond: Vec<Range<u64>>,
}

/// What became of a file.
#[derive(Debug)]
pub enum Receipt {
    Sealed {
        covered: Vec<Covered>,
        took: Duration,
        bytes: usize,
        /// Samples in it, gaps counted.
        samples: u64,
    },
    Failed {
        error: String,
    },
}

impl Sealing {
    pub fn new(sealed_at: i64) -> Self {
        Self { sealed_at, writer: Writer::new(sealed_at), parts: Vec::new() }
    }

    /// Whether there is nothing to be written.
    pub fn is_empty(&self) -> bool {
        self.parts.iter().all(|part| part.chunks.is_empty() && part.derived.is_empty())
    }

    fn covered(&self) -> Vec<Covered> {
        self.parts.iter().map(|part| part.covered.clone()).collect()
    }

    /// Writes the file. The test of everything that seals and restores goes through here.
    pub fn write(self, folder: &Folder, worker: usize) -> Receipt {
        let (began, covered, name) = (Instant::now(), self.covered(), file::name(self.sealed_at, worker));
        let samples = self.samples();
        let bytes = self.encode();
        match folder.put(&name, &bytes) {
            Ok(()) => Receipt::Sealed { covered, took: began.elapsed(), bytes: bytes.len(), samples },
            Err(error) => {
                Receipt::Failed { error: format!("write block file \"{}\": {error}", folder.path(&name).display()) }
            }
        }
    }

    fn samples(&self) -> u64 {
        let own = self.parts.iter().flat_map(|part| part.chunks.iter().map(|(_, chunk)| chunk));
        let derived = self.parts.iter().flat_map(|part| part.derived.iter().map(|(_, chunk)| chunk));
        own.chain(derived).map(|chunk| chunk.samples() as u64).sum()
    }

    fn encode(mut self) -> Vec<u8> {
        for part in self.parts {
            let chunks = part.chunks.iter().map(|(_, chunk)| chunk).chain(part.derived.iter().map(|(_, chunk)| chunk));
            let (from, until) = chunks
                .fold((i64::MAX, i64::MIN), |(from, until), chunk| (from.min(chunk.from), until.max(chunk.until)));
            let derived = part.derived.iter().map(|(series, chunk)| StoredDerived {
                series: series.iter().map(stored).collect(),
                chunk: chunk.stored(0),
            });
            let host = StoredHost {
                chunks: part.chunks.iter().map(|(shape, chunk)| chunk.stored(*shape)).collect(),
                derived: derived.collect(),
            };
            let Covered { agent, spool, number: covered, beyond } = part.covered;
            let beyond = beyond.into_iter().flat_map(|came| [came.start, came.end]).collect();
            let labels = part.labels;
            self.writer.host(
                IndexedHost { agent, spool, covered, beyond, labels, from, until, ..IndexedHost::default() },
                &host,
            );
        }
        self.writer.end()
    }
}

pub(super) fn stored(labels: &Labels) -> Metric {
    let own = labels.iter().filter(|(name, _)| *name != NAME);
    Metric {
        name: labels.get(NAME).unwrap_or_default().to_owned(),
        labels: own.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        ..Metric::default()
    }
}

/// One worker's sealing: when it is due, and the thread that writes.
#[derive(Debug)]
pub struct Sealer {
    worker: usize,
    workers: usize,
    settings: Settings,
    due_at: i64,
    /// None while a file is being written.
    jobs: Option<SyncSender<Sealing>>,
    receipts: Receiver<Receipt>,
    writing: bool,
    thread: Option<JoinHandle<()>>,
}

impl Sealer {
    /// Starts the writing thread of worker `worker` of `workers`; each seals at its own part of the five minutes.
    pub fn start(settings: Settings, (worker, workers): (usize, usize), now: i64) -> Self {
        let (jobs, waiting) = sync_channel::<Sealing>(1);
        let (told, receipts) = sync_channel(1);
        let on_thread = settings.clone();
        let write = move || {
            while let Ok(sealing) = waiting.recv() {
                let sealed_at = sealing.sealed_at;
                let receipt = sealing.write(&on_thread.folder, worker);
                if worker == 0 {
                    remove_old(
                        &on_thread.folder,
                        sealed_at.saturating_sub(on_thread.retention_ms.load(Ordering::Relaxed)),
                    );
                }
                if told.send(receipt).is_err() {
                    return;
                }
                // After the receipt: no report waits for it.
                if worker == 0 {
                    on_thread.coarse.round(&on_thread.folder, sealed_at);
                }
            }
        };
        let name = format!("seal-{worker}");
        let thread = std::thread::Builder::new().name(name).spawn(write).expect("the system can start a thread");
        let offset = EVERY_MS * worker as i64 / workers.max(1) as i64;
        let due_at = (now - offset).div_euclid(EVERY_MS) * EVERY_MS + EVERY_MS + offset;
        Self { worker, workers, settings, due_at, jobs: Some(jobs), receipts, writing: false, thread: Some(thread) }
    }

    pub fn folder(&self) -> &Folder {
        &self.settings.folder
    }

    /// Of what is in no block file, bytes that this worker may keep.
    pub fn unsealed_max(&self) -> usize {
        self.settings.unsealed_max / self.workers.max(1)
    }

    /// Whether it is time, and the file before is written.
    pub fn is_due(&self, now: i64) -> bool {
        now >= self.due_at && !self.writing
    }

    /// Hands over to the writing thread, which must have nothing to do.
    pub fn hand_over(&mut self, sealing: Sealing, now: i64) {
        self.pass(now);
        self.writing = self.jobs.as_ref().is_some_and(|jobs| jobs.try_send(sealing).is_ok());
    }

    /// There is nothing to hand over this time.
    pub fn pass(&mut self, now: i64) {
        self.due_at += ((now - self.due_at).div_euclid(EVERY_MS) + 1) * EVERY_MS;
    }

    /// Reports wait for it: tries sooner than it would.
    pub fn hurry(&mut self, now: i64) {
        self.due_at = self.due_at.min(now + AGAIN_MS);
    }

    /// What became of the file that was handed over, once that is known.
    pub fn receipt(&mut self) -> Option<Receipt> {
        match self.receipts.try_recv() {
            Ok(receipt) => Some(receipt),
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => None,
        }
        .inspect(|_| self.writing = false)
    }

    /// Waits for the file that is being written.
    pub fn finish(&mut self) -> Option<Receipt> {
        let receipt = self.writing.then(|| self.receipts.recv().ok()).flatten();
        self.writing = false;
        receipt
    }

    /// Writes a last file and ends the thread.
    pub fn stop(mut self, sealing: Sealing) -> Receipt {
        drop(self.finish());
        let receipt = sealing.write(&self.settings.folder, self.worker);
        drop(self.end());
        receipt
    }

    /// Ends the thread once it has written what it was handed.
    pub fn end(mut self) -> Option<Receipt> {
        let receipt = self.finish();
        self.jobs = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that writes block files ended with a panic");
        }
        receipt
    }
}

pub(super) fn remove_old(folder: &Folder, before: i64) {
    let names = folder.list().unwrap_or_default();
    let old = names.iter().filter(|name| file::sealed_at(name).is_some_and(|at| at < before));
    for name in old {
        if let Err(error) = folder.remove(name) {
            tracing::warn!(%error, name, "an old block file cannot be removed");
        }
    }
}
