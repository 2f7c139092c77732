//! The thread that seals foreign series.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use watchkeep_desk::Millis;

use super::Foreign;
use crate::samples::KEEP_MS;
use crate::samples::folder::Folder;

/// How often it seals, as workers do.
const EVERY: Duration = Duration::from_secs(300);
/// What stands in its files' names where a worker's number does: there are no more than eight workers, and behind them comes
/// what rules across hosts record.
const WORKER: usize = 9;

/// Seals every five minutes and at the end.
#[derive(Debug)]
pub struct Keeper {
    pub foreign: Arc<Foreign>,
    pub blocks: Folder,
    pub now: fn() -> Millis,
}

impl Keeper {
    /// Runs until the other end of `stop` is dropped.
    pub fn run(self, stop: &Receiver<()>) {
        loop {
            let goes_on = matches!(stop.recv_timeout(EVERY), Err(RecvTimeoutError::Timeout));
            let now = (self.now)().0;
            if let Err(error) = self.foreign.seal(&self.blocks, WORKER, now, now.saturating_sub(KEEP_MS)) {
                tracing::error!(error, "foreign samples are not sealed; the next block file has them too");
            }
            if !goes_on {
                return;
            }
        }
    }
}
