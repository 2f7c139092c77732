//! Asking for samples of all hosts from a worker's own thread.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use watchkeep_rules::promql::series::{Samples, Series};
use watchkeep_rules::selector::Selector;

use super::reader::{Answered, Question, Reader};

/// How often a worker that waits looks whether it is asked itself.
const LOOK: Duration = Duration::from_millis(1);

/// All samples as a worker sees them: its own hosts' at once, those of the others by asking. Two workers that wait for each
/// other answer each other meanwhile.
pub struct Within<'a> {
    pub reader: &'a Reader,
    /// The worker's.
    pub number: usize,
    /// What its own hosts have.
    pub own: &'a dyn Fn(&Question) -> Result<Vec<Series>, String>,
    /// Answers what it is asked.
    pub meanwhile: &'a dyn Fn(),
    /// No longer does it wait: it has agents to hear.
    pub until: Instant,
}

impl Samples for Within<'_> {
    fn select(&self, matchers: &Selector, after: i64, until: i64) -> Result<Vec<Series>, String> {
        let question = Arc::new(self.reader.question(matchers, after, until));
        let asked = self.reader.ask_others(self.number, &question)?;
        let own = std::iter::once_with(|| (self.own)(&question));
        self.reader.complete(&question, own.chain(asked.into_iter().map(|answer| self.wait(&answer))))
    }
}

impl Within<'_> {
    fn wait(&self, answer: &Receiver<Answered>) -> Answered {
        loop {
            (self.meanwhile)();
            match answer.recv_timeout(LOOK) {
                Ok(series) => return series,
                Err(RecvTimeoutError::Timeout) if Instant::now() < self.until => {}
                Err(_) => return Err("the samples of other hosts were not there in time".to_owned()),
            }
        }
    }
}
