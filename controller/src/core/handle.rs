//! What the rest of the controller asks of the core.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use watchkeep_desk::input::Act;
use watchkeep_desk::{Desk, Fact, InputBody, Millis, Refusal};

use crate::generation::Generation;
use crate::ingest::Proposal;
use crate::store::outbox::Errand;

/// Work for the desk.
#[derive(Debug)]
pub enum Work {
    Proposal(Proposal),
    /// An input from elsewhere, and who waits for what it came to.
    Input {
        body: InputBody,
        answer: Option<oneshot::Sender<Result<Answer, Refusal>>>,
    },
    /// Take this generation up.
    TakeUp {
        generation: Arc<Generation>,
        author: String,
        answer: oneshot::Sender<Result<Answer, Refusal>>,
    },
    /// What became of an effect of the outbox, and what the desk is to learn of it.
    Carried {
        errand: Errand,
        carried: Carried,
        told: Option<InputBody>,
        kept: oneshot::Sender<()>,
    },
    /// A question to what the desk knows now; it changes nothing and waits for no commit.
    Look(Look),
    /// Commit what is there and end.
    Stop,
}

/// A question, with whoever waits for its answer inside.
pub struct Look(pub(super) Box<Question>);

type Question = dyn FnOnce(&Desk, &Generation) + Send;

impl std::fmt::Debug for Look {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Look")
    }
}

/// What became of an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carried {
    Done,
    /// To be tried again.
    Failed {
        error: String,
        again_at: Millis,
    },
    /// For good, until a person sends it again.
    GivenUp {
        error: String,
    },
    /// Handed to these channels, which were set up after it was owed.
    HandedTo {
        channels: Vec<String>,
    },
}

/// What an input came to, once it is durable.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Its place at the desk.
    pub order: u64,
    pub facts: Vec<Fact>,
}

/// Why the core did not answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The act may not be done; the reader's fault, or a guard's.
    #[error("{}", .0.sentence)]
    Refused(Refusal),
    /// The queue to the desk is full; try again.
    #[error("the desk has more to do than it can take now; try again in a moment")]
    Busy,
    /// The core is stopping, or lost its store. Whether the act was done is to be read back.
    #[error("the controller is stopping or restarting; read back whether it was done before you try again")]
    Gone,
}

/// A way into the core; clones share it.
#[derive(Clone, Debug)]
pub struct Handle {
    desk: SyncSender<Work>,
    head: watch::Receiver<u64>,
}

impl Handle {
    pub(super) fn new(desk: SyncSender<Work>, head: watch::Receiver<u64>) -> Self {
        Self { desk, head }
    }

    /// Does what a person asks, and answers when it is durable.
    pub async fn act(&self, act: Act) -> Result<Answer, AskError> {
        self.ask(InputBody::Act(act)).await
    }

    /// Hands the desk an input and waits until it is durable.
    pub async fn ask(&self, body: InputBody) -> Result<Answer, AskError> {
        self.hand_in(body)?.await
    }

    /// Hands the desk an input before it returns, so that inputs stand there in the order of the calls; what is returned waits
    /// until it is durable.
    pub fn hand_in(&self, body: InputBody) -> Result<impl Future<Output = Result<Answer, AskError>> + use<>, AskError> {
        let (answer, answered) = oneshot::channel();
        self.send(Work::Input { body, answer: Some(answer) })?;
        Ok(async { answered.await.map_err(|_| AskError::Gone)?.map_err(AskError::Refused) })
    }

    /// Looks at what the desk knows now, which may be a moment ahead of the store.
    pub async fn look<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Desk, &Generation) -> T + Send + 'static,
    ) -> Result<T, AskError> {
        let (answer, answered) = oneshot::channel();
        let look = move |desk: &Desk, generation: &Generation| {
            // Whoever asked may have gone.
            let _gone = answer.send(question(desk, generation));
        };
        self.send(Work::Look(Look(Box::new(look))))?;
        answered.await.map_err(|_| AskError::Gone)
    }

    /// As [`Handle::ask`], for threads that may wait.
    pub fn ask_blocking(&self, body: InputBody) -> Result<Answer, AskError> {
        let (answer, answered) = oneshot::channel();
        self.desk.send(Work::Input { body, answer: Some(answer) }).map_err(|_| AskError::Gone)?;
        answered.blocking_recv().map_err(|_| AskError::Gone)?.map_err(AskError::Refused)
    }

    /// Notes what became of an effect, and returns once that is durable, or the core has ended: before it is, the outbox
    /// still owes the effect. Waits while the queue is full.
    pub async fn carried(&self, errand: Errand, carried: Carried, told: Option<InputBody>) {
        let (kept, is_kept) = oneshot::channel();
        let mut work = Work::Carried { errand, carried, told, kept };
        loop {
            match self.desk.try_send(work) {
                Ok(()) => break,
                Err(TrySendError::Disconnected(_)) => return,
                Err(TrySendError::Full(again)) => work = again,
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // A failed commit drops the sender: then it is carried out again.
        let _ended = is_kept.await;
    }

    /// Takes a generation up; answers when it is in force.
    pub async fn take_up(&self, generation: Arc<Generation>, author: String) -> Result<Answer, AskError> {
        let (answer, answered) = oneshot::channel();
        self.send(Work::TakeUp { generation, author, answer })?;
        answered.await.map_err(|_| AskError::Gone)?.map_err(AskError::Refused)
    }

    /// Follows the ledger: the sequence of its newest fact, whenever it moves.
    pub fn head(&self) -> watch::Receiver<u64> {
        self.head.clone()
    }

    fn send(&self, work: Work) -> Result<(), AskError> {
        self.desk.try_send(work).map_err(|full| match full {
            TrySendError::Full(_) => AskError::Busy,
            TrySendError::Disconnected(_) => AskError::Gone,
        })
    }
}
