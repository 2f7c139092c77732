//! The desk's thread: commits what waits, tells what follows from it, and begins a new life after a commit that failed.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use watchkeep_desk::Millis;
use watchkeep_protocol::topic::shard_of;

use super::news::{News, Restore, Slot};
use super::{GROUP, Surroundings, chain, send_down};
use crate::core::across::{FLEET, FleetNews};
use crate::core::aside::{Caution, Suspect};
use crate::core::committer::{Committed, Committer, CoreError, Opened};
use crate::core::handle::Work;
use crate::ingest::KeptHost;
use crate::samples::SampleCounts;
use crate::store::{StoreError, lease};

/// How often the store is opened anew before the engine gives up; with the pauses about ten minutes.
const REOPENINGS: u32 = 100;

pub(super) struct DeskThread {
    /// None while it is opened anew.
    pub committer: Option<Committer>,
    pub slots: Vec<Arc<Slot>>,
    pub fleet: Arc<Mutex<FleetNews>>,
    pub surroundings: Surroundings,
    pub life: u64,
    pub told: watch::Sender<u64>,
    pub sample_counts: Arc<SampleCounts>,
    pub caution: Caution,
    /// Tells workers to propose message by message.
    pub careful: Arc<AtomicBool>,
    /// Inputs set aside since the start.
    pub aside: Arc<AtomicU64>,
    /// When the lease is to be renewed.
    pub renew_at: Millis,
}

impl DeskThread {
    pub(super) fn run(mut self, queue: &Receiver<Work>) {
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
        for mut proposal in std::mem::take(&mut committed.proposals) {
            for answer in proposal.answers.drain(..) {
                // Whoever waited may have gone.
                let _gone = answer.send(());
            }
            proposal.alerts_since.into_iter().for_each(|since| self.sample_counts.durable(since.elapsed()));
            send_down(&self.surroundings.downlinks, proposal);
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
        // Last: whoever asked for other rules finds them in force.
        for (answer, outcome) in std::mem::take(&mut committed.answers) {
            // Whoever asked may have gone; what was done stays done.
            let _gone = answer.send(outcome);
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

    pub(super) fn restore(&mut self, committer: &Committer, mut kept: BTreeMap<String, KeptHost>) {
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
