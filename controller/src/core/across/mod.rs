//! The thread of rules that look across hosts: at their intervals it asks all workers for samples, and proposes what follows.
//! The other rules it evaluates over the series that others write, of which no worker knows.
//!
//! Its alerts and what they are kept by commit together, as those of a host do, under [`FLEET`]. What happens when is said by
//! [`Rounds`], a step function; here are the thread and what it is connected to.

mod rounds;

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use watchkeep_desk::Millis;
use watchkeep_rules::promql::series::Samples;

use super::handle::Work;
use super::rule_board::RuleBoard;
use crate::detect::Rules;
use crate::ingest::KeptHost;
use crate::samples::{Reader, Receipt, SampleCounts, Sealer, Settings, SharedSeries};

pub use crate::samples::FLEET;
use rounds::Rounds;

/// How often it is asked whether a group is due.
const LOOK: Duration = Duration::from_millis(500);

/// What the desk has for the thread; the newest counts.
#[derive(Default)]
pub struct FleetNews {
    /// A new life: what the store kept.
    pub restore: Option<(u64, Arc<Rules>, KeptHost)>,
    pub rules: Option<Arc<Rules>>,
}

/// Rules across hosts, and what is around them.
pub struct Across {
    pub news: Arc<Mutex<FleetNews>>,
    /// All samples, what is recorded here among them.
    pub reader: Reader,
    pub recorded: SharedSeries,
    /// Where block files go.
    pub samples: Settings,
    pub counts: Arc<SampleCounts>,
    /// Of its block files, and on the board: one past those of the workers.
    pub number: usize,
    /// Where it is seen which rules fail.
    pub board: Arc<RuleBoard>,
    pub desk: SyncSender<Work>,
    pub now: fn() -> Millis,
}

impl Across {
    /// Runs until the other end of `stop` is dropped, or the desk has ended; puts into a last block file what is in none yet.
    pub fn run(self, stop: &Receiver<()>) {
        let mut rounds = Rounds::new(Arc::clone(&self.recorded));
        let mut sealer = Sealer::start(self.samples.clone(), (self.number, self.number + 1), (self.now)().0);
        let (mut is_read_back, others) = (false, self.reader.of_others());
        while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(LOOK) {
            let news = std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner));
            let (now, first) = ((self.now)(), news.restore.is_some() && !is_read_back);
            let foreign = (!self.reader.foreign().is_empty()).then_some(&others as &dyn Samples);
            rounds.follow(self.samples.tap.is_open());
            let proposal = rounds.step(news, &self.reader, foreign, now);
            rounds.pass_on(&self.samples.tap);
            if first {
                is_read_back = true;
                self.read_back(&mut rounds, now);
            }
            rounds.take_standing().into_iter().for_each(|standing| self.board.put_across(standing));
            rounds.take_rule_health().into_iter().for_each(|health| self.board.put(self.number, health));
            if proposal.is_some_and(|proposal| self.desk.send(Work::Proposal(proposal)).is_err()) {
                break;
            }
            self.seal(&mut rounds, &mut sealer, now);
        }
        sealer.finish().into_iter().for_each(|receipt| self.take_receipt(&mut rounds, receipt));
        let sealing = rounds.hand_over((self.now)());
        let receipt = if sealing.is_empty() { sealer.end() } else { Some(sealer.stop(sealing)) };
        receipt.into_iter().for_each(|receipt| self.take_receipt(&mut rounds, receipt));
    }

    fn read_back(&self, rounds: &mut Rounds, now: Millis) {
        match rounds.recover(&self.samples.folder, now) {
            Ok(faults) => faults.iter().for_each(|fault| tracing::error!(fault, "a block file is not whole")),
            Err(error) => tracing::error!(%error, "what rules across hosts recorded cannot be read back"),
        }
    }

    fn seal(&self, rounds: &mut Rounds, sealer: &mut Sealer, now: Millis) {
        sealer.receipt().into_iter().for_each(|receipt| self.take_receipt(rounds, receipt));
        if sealer.is_due(now.0) {
            let sealing = rounds.hand_over(now);
            if sealing.is_empty() { sealer.pass(now.0) } else { sealer.hand_over(sealing, now.0) }
        }
    }

    fn take_receipt(&self, rounds: &mut Rounds, receipt: Receipt) {
        self.counts.receipt(
            self.number,
            &receipt,
            (self.recorded.lock().unwrap_or_else(PoisonError::into_inner).unsealed(), false),
        );
        match receipt {
            Receipt::Sealed { .. } => rounds.sealed(),
            Receipt::Failed { error } => {
                tracing::error!(
                    error,
                    "what rules across hosts recorded is not sealed; the next block file has it too"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests;
