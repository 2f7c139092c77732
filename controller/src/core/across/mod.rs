//! The thread of rules that look across hosts: at their intervals it asks all workers for samples, and proposes what follows.
//!
//! Its alerts and what they are kept by commit together, as those of a host do, under [`FLEET`]. What happens when is said by
//! [`Rounds`], a step function; here are the thread and what it is connected to.

mod rounds;

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use watchkeep_desk::Millis;

use super::handle::Work;
use super::rule_board::RuleBoard;
use crate::detect::Rules;
use crate::ingest::KeptHost;
use crate::samples::Reader;

use rounds::Rounds;

/// What stands where a host's name does; no agent can be called so.
pub const FLEET: &str = "(fleet)";
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
    pub reader: Reader,
    pub desk: SyncSender<Work>,
    pub now: fn() -> Millis,
    /// Where it is seen which rules fail, and under which number.
    pub board: (Arc<RuleBoard>, usize),
}

impl Across {
    /// Runs until the other end of `stop` is dropped, or the desk has ended.
    pub fn run(self, stop: &Receiver<()>) {
        let mut rounds = Rounds::default();
        while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(LOOK) {
            let news = std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner));
            let proposal = rounds.step(news, &self.reader, (self.now)());
            let (board, number) = &self.board;
            rounds.take_rule_health().into_iter().for_each(|health| board.put(*number, health));
            if proposal.is_some_and(|proposal| self.desk.send(Work::Proposal(proposal)).is_err()) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
