//! Keeping the certificate in force: when a new one is asked for, and which of two a connection shows.
//!
//! The one before stays until the controller has answered under the next. A connection that comes to nothing makes the
//! other be tried; where the one before is still taken, the next is forgotten and asked for again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::act::wall_ms;
use crate::enrol::{EnrolError, Identity, Validity, renewal};

/// The wall clock is looked at this often at least: it may be set, and hosts sleep.
const LOOK_EVERY: Duration = Duration::from_secs(600);

pub struct Renewal {
    state: PathBuf,
    proven: Identity,
    /// Given, and not shown to work.
    next: Option<Identity>,
    shows_next: bool,
    /// None in a certificate that cannot be read, which is never renewed.
    validity: Option<Validity>,
    failures: u32,
    due: Instant,
    asking: Option<JoinHandle<Result<Identity, EnrolError>>>,
}

impl Renewal {
    /// # Errors
    /// Files that cannot be read.
    pub fn begin(state: &Path, proven: Identity) -> Result<Self, EnrolError> {
        let next = renewal::next(state, &proven)?;
        let mut begun = Self {
            state: state.to_owned(),
            validity: proven.validity(),
            proven,
            shows_next: next.is_some(),
            next,
            failures: 0,
            due: Instant::now(),
            asking: None,
        };
        begun.plan();
        Ok(begun)
    }

    /// What the next connection is to show.
    pub fn shown(&self) -> &Identity {
        self.next.as_ref().filter(|_| self.shows_next).unwrap_or(&self.proven)
    }

    /// Whether there is a choice between two.
    pub fn is_on_trial(&self) -> bool {
        self.next.is_some()
    }

    fn plan(&mut self) {
        let validity = self.validity.filter(|_| !self.is_on_trial());
        let wait = validity.map(|validity| validity.wait(wall_ms(), self.failures));
        let wait = wait.and_then(|wait| u64::try_from(wait).ok()).map(Duration::from_millis);
        self.due = Instant::now() + wait.unwrap_or(LOOK_EVERY).min(LOOK_EVERY);
    }

    /// Completes when the controller has given a new certificate, which [`Self::shown`] then is. May be dropped and called
    /// again: an exchange under way goes on.
    pub async fn given(&mut self) {
        loop {
            if self.asking.is_none() {
                sleep_until(self.due).await;
                let is_due = self.validity.is_some_and(|validity| validity.renew_at() <= wall_ms());
                if !is_due || self.is_on_trial() {
                    self.plan();
                    continue;
                }
            }
            let (state, proven) = (&self.state, &self.proven);
            let asking = self.asking.get_or_insert_with(|| {
                let (state, proven) = (state.clone(), proven.clone());
                tokio::task::spawn_blocking(move || renewal::renew(&state, &proven))
            });
            let answer = asking.await;
            self.asking = None;
            match answer {
                Ok(Ok(next)) => {
                    (self.next, self.shows_next, self.failures) = (Some(next), true, 0);
                    return;
                }
                Ok(Err(error)) => self.failed(&anyhow::Error::from(error)),
                Err(error) => self.failed(&anyhow::Error::from(error)),
            }
        }
    }

    fn failed(&mut self, error: &anyhow::Error) {
        self.failures = self.failures.saturating_add(1);
        self.plan();
        let pause = self.due.saturating_duration_since(Instant::now()).as_secs();
        tracing::warn!("the certificate is not renewed: {error:#}; next try in {pause} s");
    }

    /// A connection came to nothing: the other of two is shown next. True where that changes anything.
    pub fn refused(&mut self) -> bool {
        self.shows_next = !self.shows_next && self.is_on_trial();
        self.is_on_trial()
    }

    /// The controller has answered on a connection that showed [`Self::shown`].
    ///
    /// # Errors
    /// The files do not follow; they will at the next start.
    pub fn answered(&mut self) -> Result<(), EnrolError> {
        let Some(next) = self.next.take() else { return Ok(()) };
        if !std::mem::take(&mut self.shows_next) {
            tracing::warn!("the controller does not know the certificate that it gave; another is asked for");
            self.failures = self.failures.saturating_add(1);
            self.plan();
            return renewal::forget(&self.state);
        }
        tracing::info!("the new certificate is in force");
        self.validity = next.validity();
        self.proven = next;
        self.failures = 0;
        self.plan();
        renewal::settle(&self.state)
    }
}
