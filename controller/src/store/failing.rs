//! A store whose n-th step fails, for tests and simulation.
//!
//! Steps are counted over all that goes through it: each statement of a write, and of each commit two, one before it (all
//! is rolled back) and one after it (all is kept, and the answer is lost). Arm it for n = 1, 2, 3 … until [`Fault::struck`]
//! stays false, and every point at which a database can fail has been tried. Where each try is a whole story and takes long,
//! [`Fault::arm_commits`] counts the two of each commit alone: a statement that fails comes to the same as the first of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::lease::Fence;
use super::{Row, Store, StoreError, Tx, Value, Work};

/// A store that fails where its [`Fault`] says.
pub struct Failing<S> {
    inner: S,
    fault: Fault,
}

/// When it fails; shared with whoever arms it.
#[derive(Clone, Debug, Default)]
pub struct Fault(Arc<Plan>);

#[derive(Debug, Default)]
struct Plan {
    /// The step that fails; 0: none.
    at: AtomicU64,
    /// Statements are no steps.
    commits_only: AtomicBool,
    passed: AtomicU64,
    struck: AtomicU64,
}

/// What an injected failure says of itself.
#[derive(Debug, thiserror::Error)]
#[error("step {step} was made to fail, {place}")]
struct Injected {
    step: u64,
    place: &'static str,
}

impl Fault {
    /// The `step`-th step from now on fails, once; 0 lets all pass.
    pub fn arm(&self, step: u64) {
        self.arm_at(step, false);
    }

    /// As [`Fault::arm`], counting before and after each commit alone: an odd `step` rolls back, an even one loses the answer.
    pub fn arm_commits(&self, step: u64) {
        self.arm_at(step, true);
    }

    fn arm_at(&self, step: u64, commits_only: bool) {
        self.0.at.store(0, Ordering::SeqCst);
        self.0.commits_only.store(commits_only, Ordering::SeqCst);
        self.0.passed.store(0, Ordering::SeqCst);
        self.0.struck.store(0, Ordering::SeqCst);
        self.0.at.store(step, Ordering::SeqCst);
    }

    /// Whether the step was reached, and failed.
    pub fn struck(&self) -> bool {
        self.0.struck.load(Ordering::SeqCst) > 0
    }

    /// Steps since it was armed.
    pub fn passed(&self) -> u64 {
        self.0.passed.load(Ordering::SeqCst)
    }

    fn step(&self, doing: &str, place: &'static str) -> Result<(), StoreError> {
        let step = self.0.passed.fetch_add(1, Ordering::SeqCst) + 1;
        if step != self.0.at.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.0.struck.fetch_add(1, Ordering::SeqCst);
        Err(StoreError::database(doing, Injected { step, place }))
    }
}

impl<S: Store> Failing<S> {
    pub fn new(inner: S, fault: Fault) -> Self {
        Self { inner, fault }
    }
}

impl Store for Box<dyn Store> {
    fn write(&mut self, work: &mut Work<'_>) -> Result<(), StoreError> {
        (**self).write(work)
    }

    fn read(&mut self, work: &mut Work<'_>) -> Result<(), StoreError> {
        (**self).read(work)
    }

    fn fence(&mut self, fence: Option<Fence>) {
        (**self).fence(fence);
    }
}

impl<S: Store> Store for Failing<S> {
    fn write(&mut self, work: &mut Work<'_>) -> Result<(), StoreError> {
        let fault = &self.fault;
        self.inner.write(&mut |tx| {
            work(&mut FailingTx { inner: tx, fault, failed: false })?;
            fault.step("commit", "before the commit")
        })?;
        fault.step("commit", "after the commit, its answer lost")
    }

    fn read(&mut self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.inner.read(work)
    }

    fn fence(&mut self, fence: Option<Fence>) {
        self.inner.fence(fence);
    }
}

struct FailingTx<'t> {
    inner: &'t mut dyn Tx,
    fault: &'t Fault,
    /// As a real one, a statement that failed dooms what it stands in, even where the work swallows the error.
    failed: bool,
}

impl FailingTx<'_> {
    fn step(&mut self) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::Doomed("a statement was made to fail".to_owned()));
        }
        if self.fault.0.commits_only.load(Ordering::SeqCst) {
            return Ok(());
        }
        let outcome = self.fault.step("run a statement", "before the statement");
        self.failed = outcome.is_err();
        outcome
    }
}

impl Tx for FailingTx<'_> {
    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, StoreError> {
        self.step()?;
        self.inner.execute(sql, params)
    }

    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.step()?;
        self.inner.query(sql, params)
    }

    fn savepoint(&mut self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.step()?;
        let fault = self.fault;
        self.inner.savepoint(&mut |tx| {
            let mut inside = FailingTx { inner: tx, fault, failed: false };
            work(&mut inside)?;
            if inside.failed { inside.step() } else { Ok(()) }
        })
    }
}
