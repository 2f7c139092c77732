//! What a worker proposed and the desk has no room for yet.
//!
//! While a whole fleet arrives the desk has more to commit than it can. A worker that waited for it would take no samples
//! meanwhile, and agents would think the controller dead; so it keeps what it proposed, in order, and looks again soon. Past
//! [`MOST`] it waits after all: memory is bounded.

use std::collections::VecDeque;
use std::sync::mpsc::{SyncSender, TrySendError};

use crate::core::handle::Work;
use crate::ingest::Proposal;

/// Proposals that are kept, at most; what one step of the shard proposes comes on top until it is handed on.
const MOST: usize = 1_024;

/// The desk has ended: nothing is committed any more.
#[derive(Debug, PartialEq, Eq)]
pub struct DeskEnded;

/// See the module.
pub struct Waiting {
    /// The oldest first.
    proposals: VecDeque<Proposal>,
    desk: SyncSender<Work>,
}

impl Waiting {
    pub fn new(desk: SyncSender<Work>) -> Self {
        Self { proposals: VecDeque::new(), desk }
    }

    /// Whether the desk had room for everything.
    pub fn is_empty(&self) -> bool {
        self.proposals.is_empty()
    }

    pub fn push(&mut self, proposal: Proposal) {
        self.proposals.push_back(proposal);
    }

    /// A new life has begun: what was proposed in the one before would be dropped by the desk.
    pub fn forget(&mut self) {
        self.proposals.clear();
    }

    /// Hands the desk what there is room for; of more than [`MOST`] what is too much, however long that takes.
    ///
    /// # Errors
    /// The desk has ended.
    pub fn hand_on(&mut self) -> Result<(), DeskEnded> {
        while let Some(proposal) = self.proposals.pop_front() {
            let work = Work::Proposal(proposal);
            let is_too_much = self.proposals.len() >= MOST;
            let handed = if is_too_much { self.desk.send(work).map_err(Into::into) } else { self.desk.try_send(work) };
            match handed {
                Ok(()) => {}
                Err(TrySendError::Full(Work::Proposal(proposal))) => {
                    self.proposals.push_front(proposal);
                    return Ok(());
                }
                Err(_) => return Err(DeskEnded),
            }
        }
        Ok(())
    }

    /// Hands the desk everything, however long that takes; what it does not take since it has ended, agents bring again.
    pub fn hand_all_on(&mut self) {
        for proposal in self.proposals.drain(..) {
            if self.desk.send(Work::Proposal(proposal)).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, sync_channel};

    use super::*;

    /// Proposals that can be told apart by their life.
    fn waiting(room: usize, count: u64) -> (Waiting, Receiver<Work>) {
        let (desk, work) = sync_channel(room);
        let mut waiting = Waiting::new(desk);
        (0..count).for_each(|life| waiting.push(Proposal { life, ..Proposal::default() }));
        (waiting, work)
    }

    fn number(work: Work) -> u64 {
        let Work::Proposal(proposal) = work else { panic!("a proposal: {work:?}") };
        proposal.life
    }

    #[test]
    fn what_waits_comes_in_order_and_whole_however_little_room_there_is() {
        let (mut waiting, work) = waiting(3, 20);
        let mut came = Vec::new();
        for taken in [1, 3, 2, 3, 1, 3, 3, 2, 3] {
            assert_eq!(waiting.hand_on(), Ok(()));
            came.extend(work.try_iter().take(taken).map(number));
            waiting.push(Proposal { life: 20 + came.len() as u64, ..Proposal::default() });
        }
        waiting.forget();
        assert!(waiting.is_empty());
        came.extend(work.try_iter().map(number));
        let in_order = came.windows(2).all(|two| two[0] < two[1]);
        assert!(in_order && came[..20] == (0..20).collect::<Vec<_>>(), "{came:?}");
    }

    #[test]
    fn no_more_is_kept_than_the_bound_says() {
        let (mut waiting, work) = waiting(1, MOST as u64 + 5);
        let handing = std::thread::spawn(move || {
            assert_eq!(waiting.hand_on(), Ok(()));
            waiting
        });
        // The fifth has room in the queue.
        let came: Vec<u64> = work.iter().take(4).map(number).collect();
        let mut waiting = handing.join().expect("no panic");
        assert_eq!((came, waiting.proposals.len()), ((0..4).collect(), MOST));
        let handing = std::thread::spawn(move || waiting.hand_all_on());
        let rest: Vec<u64> = work.iter().map(number).collect();
        handing.join().expect("no panic");
        assert_eq!(rest, (4..MOST as u64 + 5).collect::<Vec<_>>());
    }

    #[test]
    fn the_end_of_the_desk_is_told() {
        let (mut waiting, work) = waiting(1, 3);
        assert_eq!(waiting.hand_on(), Ok(()));
        drop(work);
        assert_eq!(waiting.hand_on(), Err(DeskEnded));
    }
}
