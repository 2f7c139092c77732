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

mod waiting;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use watchkeep_desk::Millis;
use watchkeep_protocol::topic::shard_of;

use self::waiting::Waiting;
use super::across::{Across, FLEET, FleetNews};
use super::aside::{Caution, Suspect};
use super::committer::{Committed, Committer, CoreError, Opened};
use super::handle::{Handle, Work};
use super::outlet::Downlinks;
use super::rule_board::RuleBoard;
use crate::detect::metrics::RuleHealth;
use crate::detect::{Rules, Watches};
use crate::ingest::{Incoming, KeptHost, Proposal, Shard};
use crate::samples::foreign::Keeper;
use crate::samples::{Ask, KEEP_MS, Reader, Receipt, SampleCounts, Sealer, Settings, SharedSeries};
use crate::store::{StoreError, lease};

/// Messages that wait for one worker.
const WORKER_QUEUE: usize = 4_096;
/// Work that waits for the desk.
const DESK_QUEUE: usize = 1_024;
/// How soon a worker looks again for room at the desk.
const LOOK_FOR_ROOM: Duration = Duration::from_millis(20);
/// Messages that a worker takes at once, at most.
const BATCH: usize = 256;
/// Inputs and messages that are committed at once, about. Larger groups are slower on SQLite: 512 gave 4,760 facts a second
/// where 64 gave 12,568 (`examples/ledger_throughput.rs`).
pub const GROUP: usize = 64;
/// How often the store is opened anew before the engine gives up; with the pauses about ten minutes.
const REOPENINGS: u32 = 100;
/// How often time is told to shards.
const TICK: Duration = Duration::from_millis(200);
/// How often it is counted what samples take up.
const COUNT: Duration = Duration::from_secs(10);

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
    sample_counts: Arc<SampleCounts>,
    rules: Arc<RuleBoard>,
    /// Dropped to stop the threads beside workers and desk.
    beside: [SyncSender<()>; 2],
}

enum ToWorker {
    Incoming(Incoming),
    Ask(Ask),
    Stop,
}

/// What the desk has for a worker. Not a queue: the newest counts, and the desk never waits for a worker that waits for it.
#[derive(Default)]
struct Slot(Mutex<News>);

#[derive(Default)]
struct News {
    restore: Option<Restore>,
    rules: Option<Arc<Rules>>,
    watches: Option<Arc<Watches>>,
    /// Agents of this worker whose hosts were retired.
    retired: Vec<String>,
    /// Labels of this worker's agents that changed, the newest.
    labels: BTreeMap<String, BTreeMap<String, String>>,
}

/// A new life: the hosts as the store kept them.
struct Restore {
    life: u64,
    rules: Arc<Rules>,
    kept: BTreeMap<String, KeptHost>,
}

impl Slot {
    fn put(&self, change: impl FnOnce(&mut News)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn take(&self) -> News {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A cheap way for the broker's gate to hand messages over.
#[derive(Clone)]
pub struct Inlet {
    workers: Vec<SyncSender<ToWorker>>,
    dropped: Arc<AtomicU64>,
    /// Whether no broker is heard, so that nobody's silence counts.
    deaf: Arc<AtomicBool>,
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

    /// Hands over without waiting; false: the worker's queue is full, and it was dropped and counted.
    pub fn hand_over(&self, agent: &str, incoming: Incoming) -> bool {
        let worker = shard_of(agent) as usize % self.workers.len();
        match self.workers[worker].try_send(ToWorker::Incoming(incoming)) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
    }
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
        for number in 0..workers_wanted() {
            let (sender, receiver) = sync_channel(WORKER_QUEUE);
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
                rules: Arc::clone(&rules),
                waiting: Waiting::new(desk.clone()),
                dropped: Arc::clone(&dropped),
                counted: None,
                deaf: Arc::clone(&deaf),
                careful: Arc::clone(&careful),
            };
            threads.push(spawn(&format!("shard-{number}"), &ended, move || worker.live(&receiver)));
            workers.push(sender);
        }
        let recorded = SharedSeries::default();
        let reader = reader_of(&workers, &recorded, &samples, now);
        let keeper = Keeper { foreign: Arc::clone(&samples.foreign), blocks: samples.folder.clone(), now };
        let fleet = Arc::default();
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
        Ok(Self { workers, desk, handle, dropped, deaf, aside, threads, ended, reader, sample_counts, rules, beside })
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
    recorded: &SharedSeries,
    samples: &Settings,
    now: fn() -> Millis,
) -> Reader {
    let (count, workers) = (workers.len(), workers.to_vec());
    let asking = move |worker: usize, ask: Ask| workers[worker].try_send(ToWorker::Ask(ask)).is_ok();
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

/// One worker: its share of the shards and what is around it.
struct Worker {
    shard: Shard,
    life: u64,
    slot: Arc<Slot>,
    downlinks: Arc<Downlinks>,
    now: fn() -> Millis,
    deaf: Arc<AtomicBool>,
    /// Whether to propose message by message, so that the one that makes commits fail is found.
    careful: Arc<AtomicBool>,
    number: usize,
    sealer: Sealer,
    sample_counts: Arc<SampleCounts>,
    rules: Arc<RuleBoard>,
    waiting: Waiting,
    /// As [`Engine`] counts them.
    dropped: Arc<AtomicU64>,
    /// When it was last counted what it holds.
    counted: Option<Instant>,
}

impl Worker {
    /// Runs, and puts into a last block file what it then holds.
    fn live(mut self, queue: &Receiver<ToWorker>) {
        self.run(queue);
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
            let (mut batch, mut asks) = (Vec::new(), Vec::new());
            let patience = if self.waiting.is_empty() { TICK } else { LOOK_FOR_ROOM };
            match queue.recv_timeout(patience.min(TICK.saturating_sub(ticked.elapsed()))) {
                Ok(ToWorker::Incoming(incoming)) => batch.push(incoming),
                Ok(ToWorker::Ask(ask)) => asks.push(ask),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(ToWorker::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
            let stop = take_more(queue, &mut batch, &mut asks);
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
            let news = self.slot.take();
            if let Some(Restore { life, rules, kept }) = news.restore {
                self.life = life;
                self.restore(Arc::clone(&rules), kept);
                batch.insert(0, Incoming::Rules(rules));
            }
            let (rules, watches) = (news.rules.map(Incoming::Rules), news.watches.map(Incoming::Watches));
            let retired = news.retired.into_iter().map(|agent| Incoming::Retired { agent });
            let labels = news.labels.into_iter().map(|(agent, labels)| Incoming::Labels { agent, labels });
            batch.splice(0..0, rules.into_iter().chain(watches).chain(labels).chain(retired));
            let goes_on = self.step(batch) && !stop;
            asks.into_iter().for_each(|ask| self.answer(ask));
            if !goes_on {
                return;
            }
            self.seal();
        }
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
        self.shard = Shard::restore(rules, kept, now).keeping(self.sealer.unsealed_max());
        self.rules.put(self.number, RuleHealth::default());
        match self.shard.recover(self.sealer.folder(), now) {
            Ok(faults) => faults.iter().for_each(|fault| tracing::error!(fault, "a block file is not whole")),
            Err(error) => tracing::error!(%error, "block files cannot be read; agents send what they still hold"),
        }
    }

    /// Hands over to the next block file where it is time, and takes the receipt of the one before.
    fn seal(&mut self) {
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

    /// One step of the shard; false once the desk has ended.
    fn step(&mut self, batch: Vec<Incoming>) -> bool {
        let now = (self.now)();
        let proposals = if self.careful.load(Ordering::Acquire) {
            batch.into_iter().flat_map(|incoming| self.shard.step(incoming, now)).collect()
        } else {
            self.shard.steps(batch, now)
        };
        for mut proposal in proposals {
            if proposal.may_go_at_once() {
                send_down(&self.downlinks, proposal);
                continue;
            }
            proposal.life = self.life;
            self.waiting.push(proposal);
        }
        self.waiting.hand_on().is_ok()
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

/// What else waits, up to [`BATCH`]; whether to stop after it.
fn take_more(queue: &Receiver<ToWorker>, batch: &mut Vec<Incoming>, asks: &mut Vec<Ask>) -> bool {
    while batch.len() < BATCH {
        match queue.try_recv() {
            Ok(ToWorker::Incoming(incoming)) => batch.push(incoming),
            Ok(ToWorker::Ask(ask)) => asks.push(ask),
            Ok(ToWorker::Stop) | Err(TryRecvError::Disconnected) => return true,
            Err(TryRecvError::Empty) => return false,
        }
    }
    false
}

fn send_down(downlinks: &Downlinks, proposal: Proposal) {
    for down in proposal.down {
        downlinks.send(&proposal.agent, down);
    }
}

struct DeskThread {
    /// None while it is opened anew.
    committer: Option<Committer>,
    slots: Vec<Arc<Slot>>,
    fleet: Arc<Mutex<FleetNews>>,
    surroundings: Surroundings,
    life: u64,
    told: watch::Sender<u64>,
    caution: Caution,
    /// Tells workers to propose message by message.
    careful: Arc<AtomicBool>,
    /// Inputs set aside since the start.
    aside: Arc<AtomicU64>,
    /// When the lease is to be renewed.
    renew_at: Millis,
}

impl DeskThread {
    fn run(mut self, queue: &Receiver<Work>) {
        loop {
            let now = (self.surroundings.now)();
            let (group, stop) = gather(queue, self.patience(now), self.life);
            let now = (self.surroundings.now)();
            for (group, suspect) in self.portions(now, group) {
                match self.commit(now, group) {
                    Ok(committed) => self.after(committed),
                    Err(error) if self.recover(now, &error, suspect, stop) => break,
                    Err(_) => return,
                }
            }
            if stop {
                return self.close(now);
            }
            if !self.renew(now) {
                return;
            }
        }
    }

    /// Says in time that this controller goes on; false: it does not.
    fn renew(&mut self, now: Millis) -> bool {
        // A clock that was set back does not make it late.
        if (0..=lease::RENEWED_MS).contains(&self.renew_at.since(now)) {
            return true;
        }
        self.renew_at = now.plus(lease::RENEWED_MS);
        match self.committer.as_mut().map(|committer| committer.renew(now)) {
            None | Some(Ok(())) => true,
            Some(Err(error)) => self.recover(now, &error, None, false),
        }
    }

    /// What is committed at once: all of it, or one by one while an input is to be found that makes commits fail.
    fn portions(&self, now: Millis, group: Vec<Work>) -> Vec<(Vec<Work>, Option<Suspect>)> {
        let careful = self.caution.is_on(now);
        self.careful.store(careful, Ordering::Release);
        if !careful {
            return vec![(group, None)];
        }
        // The timers that are due go first and alone.
        let each = group.into_iter().map(|work| vec![work]).map(|group| (Suspect::of(&group), group));
        std::iter::once((Vec::new(), None)).chain(each.map(|(suspect, group)| (group, suspect))).collect()
    }

    fn commit(&mut self, now: Millis, group: Vec<Work>) -> Result<Committed, CoreError> {
        // After a panic nothing in memory is believed; it is read back as after any failed commit.
        let committer = self.committer.as_mut().expect("it is missing only while it is opened anew");
        catch_unwind(AssertUnwindSafe(|| committer.commit(now, group))).unwrap_or(Err(CoreError::Panicked))
    }

    /// Reads everything back after a failed commit; false: this controller can do no more. What is left of the group is of
    /// the life before: proposals come again, and who asked is told to read back.
    fn recover(&mut self, now: Millis, error: &CoreError, suspect: Option<Suspect>, stop: bool) -> bool {
        if let CoreError::Store(StoreError::Fenced { .. }) = error {
            tracing::error!(error = %chain(error), "another controller has taken over; this one ends");
            return false;
        }
        tracing::error!(error = %chain(error), "a commit failed; reading everything back from the store");
        let at_fault = error.is_of_the_input();
        let note = at_fault.then(|| self.caution.failed(now, suspect, &chain(error))).flatten();
        self.careful.store(self.caution.is_on(now), Ordering::Release);
        if stop || !self.reopen() {
            return false;
        }
        match note.map(|body| self.commit(now, vec![Work::Input { body, answer: None }])) {
            None => true,
            Some(Ok(committed)) => {
                self.after(committed);
                true
            }
            Some(Err(error)) => {
                tracing::error!(error = %chain(&error), "what was set aside could not be noted");
                self.reopen()
            }
        }
    }

    fn close(&mut self, now: Millis) {
        let Some(committer) = &mut self.committer else { return };
        if let Err(error) = committer.close(now) {
            tracing::warn!(error = %chain(&error), "the ledger's head is not signed and the lease not let go; the next start does both");
        }
    }

    /// How long to wait for work: until the earliest timer, a second at most.
    fn patience(&self, now: Millis) -> Duration {
        let due = self.committer.as_ref().and_then(Committer::next_due);
        let due = due.map_or(1_000, |due| due.since(now).clamp(0, 1_000));
        Duration::from_millis(due.unsigned_abs())
    }

    fn after(&mut self, mut committed: Committed) {
        (self.surroundings.committed)(&committed);
        self.aside.fetch_add(committed.aside, Ordering::Relaxed);
        for proposal in std::mem::take(&mut committed.proposals) {
            send_down(&self.surroundings.downlinks, proposal);
        }
        for (answer, outcome) in std::mem::take(&mut committed.answers) {
            // Whoever asked may have gone; what was done stays done.
            let _gone = answer.send(outcome);
        }
        for kept in std::mem::take(&mut committed.kept) {
            let _gone = kept.send(());
        }
        self.told.send_if_modified(|head| std::mem::replace(head, committed.head) != committed.head);
        if let Some(rules) = &committed.rules {
            self.fleet.lock().unwrap_or_else(PoisonError::into_inner).rules = Some(Arc::clone(rules));
        }
        for (number, slot) in self.slots.iter().enumerate() {
            slot.put(|news| {
                let here = |agent: &str| shard_of(agent) as usize % self.slots.len() == number;
                news.retired.extend(committed.retired.iter().filter(|agent| here(agent)).cloned());
                let agents = committed.agents.iter().filter(|agent| here(&agent.name));
                news.labels.extend(agents.map(|agent| (agent.name.clone(), agent.labels.clone())));
                news.rules = committed.rules.clone().or(news.rules.take());
                news.watches = committed.watches.clone().or(news.watches.take());
            });
        }
    }

    /// Opens the store anew, with growing pauses; false after too many attempts: then whoever started us starts us again.
    fn reopen(&mut self) -> bool {
        // What a panic left open in the database would be in the way of the next.
        self.committer = None;
        for attempt in 0..REOPENINGS {
            std::thread::sleep(Duration::from_millis(100 << attempt.min(6)));
            match (self.surroundings.open)() {
                Ok(Opened { committer, kept, .. }) => {
                    self.life += 1;
                    self.restore(&committer, kept);
                    self.committer = Some(committer);
                    return true;
                }
                Err(error @ CoreError::Held(_)) => {
                    tracing::error!(error = %chain(&error), "while this one had no store another began; this one ends");
                    return false;
                }
                Err(error) => tracing::error!(error = %chain(&error), attempt, "the store cannot be read back yet"),
            }
        }
        false
    }

    fn restore(&mut self, committer: &Committer, mut kept: BTreeMap<String, KeptHost>) {
        for agent in self.caution.agents() {
            kept.entry(agent.clone()).or_default().aside = self.caution.of(agent);
        }
        let fleet = kept.remove(FLEET).unwrap_or_default();
        *self.fleet.lock().unwrap_or_else(PoisonError::into_inner) =
            FleetNews { restore: Some((self.life, committer.rules(), fleet)), rules: None };
        let count = self.slots.len();
        let mut shares: Vec<BTreeMap<String, KeptHost>> = (0..count).map(|_| BTreeMap::new()).collect();
        for (agent, host) in kept {
            shares[shard_of(&agent) as usize % count].insert(agent, host);
        }
        for (slot, kept) in self.slots.iter().zip(shares) {
            let restore = Restore { life: self.life, rules: committer.rules(), kept };
            let watches = Some(committer.watches());
            slot.put(|news| *news = News { restore: Some(restore), watches, ..News::default() });
        }
    }
}

/// Waits for work and takes what else is there; proposals of a life before are dropped. The flag says to stop after it.
fn gather(queue: &Receiver<Work>, patience: Duration, life: u64) -> (Vec<Work>, bool) {
    let mut group = Vec::new();
    let mut size = 0;
    let mut next = match queue.recv_timeout(patience) {
        Ok(work) => Some(work),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => return (group, true),
    };
    while let Some(work) = next {
        match work {
            Work::Stop => return (group, true),
            Work::Proposal(proposal) if proposal.life != life => {}
            work => {
                size += if let Work::Proposal(proposal) = &work { proposal.inputs.len().max(1) } else { 1 };
                group.push(work);
            }
        }
        next = if size < GROUP { queue.try_recv().ok() } else { None };
    }
    (group, false)
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
