//! One worker: a thread that steps its share of the shards, and seals what they took.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use watchkeep_desk::Millis;

use super::news::{Restore, Slot};
use super::send_down;
use super::waiting::Waiting;
use crate::core::outlet::Downlinks;
use crate::core::rule_board::RuleBoard;
use crate::detect::Rules;
use crate::detect::metrics::RuleHealth;
use crate::ingest::{Incoming, KeptHost, Proposal, Shard};
use crate::samples::{Ask, Question, Reader, Receipt, SampleCounts, Sealer, Tap, Within};

/// How soon a worker looks again for room at the desk.
const LOOK_FOR_ROOM: Duration = Duration::from_millis(20);
/// Messages that a worker takes at once, at most.
const BATCH: usize = 256;
/// How often time is told to shards.
const TICK: Duration = Duration::from_millis(200);
/// How long a step waits for samples of other workers' hosts, which templates of its alerts ask for.
const ASKING: Duration = Duration::from_secs(2);
/// How often it is counted what samples take up.
const COUNT: Duration = Duration::from_secs(10);

pub(super) enum ToWorker {
    /// What came, and when.
    Incoming(Incoming, Instant),
    /// There is a question.
    Asked,
    Stop,
}

/// One worker: its share of the shards and what is around it.
pub(super) struct Worker {
    pub shard: Shard,
    pub life: u64,
    pub slot: Arc<Slot>,
    pub downlinks: Arc<Downlinks>,
    pub now: fn() -> Millis,
    pub deaf: Arc<AtomicBool>,
    /// Whether to propose message by message, so that the one that makes commits fail is found.
    pub careful: Arc<AtomicBool>,
    pub number: usize,
    pub sealer: Sealer,
    pub sample_counts: Arc<SampleCounts>,
    /// Where samples are passed on.
    pub tap: Tap,
    pub rules: Arc<RuleBoard>,
    pub waiting: Waiting,
    /// Questions of others: apart from messages, so that they can be answered while it waits for an answer itself.
    pub asks: Receiver<Ask>,
    /// Samples of all hosts.
    pub reader: Reader,
    /// As [`Engine`] counts them.
    pub dropped: Arc<AtomicU64>,
    /// When it was last counted what it holds.
    pub counted: Option<Instant>,
}

impl Worker {
    /// Runs, and puts into a last block file what it then holds.
    pub(super) fn live(mut self, queue: &Receiver<ToWorker>) {
        self.run(queue);
        self.tap.hand_over(self.shard.take_handed());
        self.waiting.hand_all_on();
        let receipt = self.sealer.finish();
        receipt.into_iter().for_each(|receipt| self.take_receipt(receipt));
        if let Receipt::Failed { error } = self.sealer.stop(self.shard.hand_over((self.now)())) {
            tracing::error!(error, "samples are not sealed; agents send them again");
        }
    }

    fn run(&mut self, queue: &Receiver<ToWorker>) {
        let mut ticked = Instant::now();
        loop {
            let (mut batch, mut came) = (Vec::new(), None);
            let patience = if self.waiting.is_empty() { TICK } else { LOOK_FOR_ROOM };
            match queue.recv_timeout(patience.min(TICK.saturating_sub(ticked.elapsed()))) {
                Ok(ToWorker::Incoming(incoming, at)) => {
                    came = Some(at);
                    batch.push(incoming);
                }
                Ok(ToWorker::Asked) | Err(RecvTimeoutError::Timeout) => {}
                Ok(ToWorker::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
            let stop = take_more(queue, &mut batch, &mut came);
            if self.waiting.hand_on().is_err() {
                return;
            }
            self.leave_matters(&mut batch);
            // With work waiting all the time the tick is late; it then says so, and nobody's silence counts.
            let due = if batch.is_empty() { TICK } else { TICK * 5 };
            if ticked.elapsed() >= due {
                ticked = Instant::now();
                let behind = !batch.is_empty() || !self.waiting.is_empty() || self.deaf.load(Ordering::Acquire);
                batch.push(Incoming::Tick { behind });
            }
            let mut news = self.slot.take();
            let begun = news.restore.take().map(|Restore { life, rules, kept }| {
                self.life = life;
                self.restore(Arc::clone(&rules), kept);
                rules
            });
            batch.splice(0..0, news.incoming(begun));
            let goes_on = self.step(batch, came) && !stop;
            self.answer_all();
            if !goes_on {
                return;
            }
            self.seal();
        }
    }

    /// Answers what it is asked.
    fn answer_all(&self) {
        self.asks.try_iter().take(BATCH).for_each(|ask| self.answer(ask));
    }

    /// Answers a question; whoever asked may have gone.
    fn answer(&self, ask: Ask) {
        let _sent = match ask {
            Ask::Samples { question, answer } => answer.send(self.shard.select(&question)).is_ok(),
            Ask::Rules(answer) => answer.send(self.shard.standing()).is_ok(),
            Ask::Metadata(answer) => answer.send(self.shard.metadata()).is_ok(),
        };
    }

    /// A new life: hosts as the store kept them, their samples as block files have them.
    fn restore(&mut self, rules: Arc<Rules>, kept: BTreeMap<String, KeptHost>) {
        // Of the life before only its file matters, which must be whole before it is read.
        drop(self.sealer.finish());
        self.waiting.forget();
        let now = (self.now)();
        self.shard = Shard::restore(rules, kept, now).keeping(self.sealer.unsealed_max()).tapped(self.tap.clone());
        self.rules.put(self.number, RuleHealth::default());
        match self.shard.recover(self.sealer.folder(), now) {
            Ok(faults) => faults.iter().for_each(|fault| tracing::error!(fault, "a block file is not whole")),
            Err(error) => tracing::error!(%error, "block files cannot be read; agents send what they still hold"),
        }
    }

    /// Hands over to the next block file where it is time, and takes the receipt of the one before.
    fn seal(&mut self) {
        self.tap.hand_over(self.shard.take_handed());
        self.sample_counts.add(self.shard.take_tally());
        self.sample_counts.lagged(&self.shard.take_lags());
        self.rules.judged(self.shard.take_judged());
        self.shard.take_rule_health().into_iter().for_each(|health| self.rules.put(self.number, health));
        if let Some(receipt) = self.sealer.receipt() {
            self.take_receipt(receipt);
        }
        let now = (self.now)();
        if self.counted.is_none_or(|at| at.elapsed() >= COUNT) {
            self.counted = Some(Instant::now());
            self.sample_counts.holds(self.number, self.shard.held());
        }
        if self.sealer.is_due(now.0) {
            let began = Instant::now();
            let sealing = self.shard.hand_over(now);
            let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.sample_counts.handed_over(took);
            self.sealer.hand_over(sealing, now.0);
        }
    }

    fn take_receipt(&mut self, receipt: Receipt) {
        let unsealed = match &receipt {
            Receipt::Sealed { covered, .. } => {
                self.shard.sealed(covered);
                0
            }
            Receipt::Failed { error } => {
                let bytes = self.shard.not_sealed();
                tracing::error!(error, bytes, "samples are not sealed; the next block file has them too");
                bytes
            }
        };
        if self.shard.holds_back() {
            self.sealer.hurry((self.now)().0);
        }
        self.sample_counts.receipt(self.number, &receipt, (unsealed, self.shard.holds_back()));
    }

    /// One step of the shard, with messages of which the oldest came at `came`; false once the desk has ended.
    fn step(&mut self, batch: Vec<Incoming>, came: Option<Instant>) -> bool {
        let now = (self.now)();
        let proposals: Vec<Proposal> = if self.careful.load(Ordering::Acquire) {
            batch.into_iter().flat_map(|incoming| self.shard.step(incoming, now)).collect()
        } else {
            self.shard.steps(batch, now)
        };
        let asked_until = Instant::now() + ASKING;
        for mut proposal in proposals {
            self.annotate(&mut proposal, asked_until);
            if proposal.may_go_at_once() {
                send_down(&self.downlinks, proposal);
                continue;
            }
            proposal.life = self.life;
            proposal.alerts_since = came.filter(|_| proposal.has_alerts());
            self.waiting.push(proposal);
        }
        self.waiting.hand_on().is_ok()
    }

    /// Adds the annotations that ask for samples of all hosts, which a shard alone does not have.
    fn annotate(&mut self, proposal: &mut Proposal, until: Instant) {
        let own = |question: &Question| self.shard.select(question);
        let meanwhile = || self.answer_all();
        let samples = Within { reader: &self.reader, number: self.number, own: &own, meanwhile: &meanwhile, until };
        let asked = self.shard.asked(proposal, &samples);
        self.shard.annotate(proposal, asked);
    }

    /// While the desk has no room, matters are passed over unread, as if they had been lost on their way.
    fn leave_matters(&self, batch: &mut Vec<Incoming>) {
        if !self.waiting.is_empty() {
            let before = batch.len();
            batch.retain(|incoming| !incoming.is_matter());
            self.dropped.fetch_add((before - batch.len()) as u64, Ordering::Relaxed);
        }
    }
}

/// What else waits, up to [`BATCH`], and when the oldest of it came; whether to stop after it.
fn take_more(queue: &Receiver<ToWorker>, batch: &mut Vec<Incoming>, came: &mut Option<Instant>) -> bool {
    while batch.len() < BATCH {
        match queue.try_recv() {
            Ok(ToWorker::Incoming(incoming, at)) => {
                came.get_or_insert(at);
                batch.push(incoming);
            }
            Ok(ToWorker::Asked) => {}
            Ok(ToWorker::Stop) | Err(TryRecvError::Disconnected) => return true,
            Err(TryRecvError::Empty) => return false,
        }
    }
    false
}
