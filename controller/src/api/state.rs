//! What handlers work with.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use tokio::sync::watch;
use utoipa::IntoParams;
use watchkeep_desk::input::{Act, ActBody};
use watchkeep_desk::{Actor, InputBody, Millis, Note};

use super::auth::Caller;
use super::problem::Problem;
use super::session::Logins;
use crate::core::checkpoints::CheckpointKey;
use crate::core::engine::Inlet;
use crate::core::handle::{Answer, Handle};
use crate::core::outlet::Downlinks;
use crate::core::outside::OutsideAlerts;
use crate::core::rule_board::RuleBoard;
use crate::generation::Generation;
use crate::metrics::Metrics;
use crate::remote_write;
use crate::samples::coarse::Coarse;
use crate::samples::{Reader, SampleCounts};
use crate::store::{self, ReadPool, Store, StoreError, Tx};

/// Everything a handler may use; clones share it.
#[derive(Clone)]
pub struct ApiState {
    pub core: Handle,
    pub readers: ReadPool,
    /// One connection for walking the whole ledger, which takes long: no list waits behind it, and one walk waits for the
    /// other.
    pub auditor: ReadPool,
    /// A connection of its own for tokens, which are no decisions.
    pub writer: Arc<Mutex<Box<dyn Store>>>,
    /// The generation in force.
    pub generation: watch::Receiver<Arc<Generation>>,
    pub config_dir: PathBuf,
    /// For tests of channels.
    pub http: reqwest::Client,
    /// Where hosts enrol: `https://host:port`, and the CA's fingerprint that tokens carry.
    pub enrol_url: String,
    pub ca_fingerprint: [u8; 32],
    pub metrics: Metrics,
    pub downlinks: Arc<Downlinks>,
    /// Samples of all hosts.
    pub samples: Reader,
    /// The same in few points, for charts.
    pub coarse: Coarse,
    /// What becomes of them.
    pub sample_counts: Arc<SampleCounts>,
    /// The stores that samples are passed on to.
    pub remote_write: Arc<remote_write::Stores>,
    /// Which rules fail.
    pub rules: Arc<RuleBoard>,
    /// The way to the hosts' shards, for events that others saw.
    pub inlet: Inlet,
    /// Alerts that others make.
    pub outside: Arc<OutsideAlerts>,
    /// When the controller started.
    pub started: Millis,
    /// What bounds the guessing of passwords.
    pub logins: Arc<Logins>,
    /// Checks the ledger's checkpoints.
    pub checkpoint_key: CheckpointKey,
    pub now: fn() -> Millis,
    /// Set once everything runs, cleared when the controller drains.
    pub ready: watch::Receiver<bool>,
    /// True once the controller stops; streams end then.
    pub stopping: watch::Receiver<bool>,
}

impl ApiState {
    /// A read over one snapshot, off the async threads.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut dyn Tx) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let readers = self.readers.clone();
        Self::blocking(move || readers.read(work)).await
    }

    /// A write of access's tables.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut dyn Tx) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let writer = Arc::clone(&self.writer);
        Self::blocking(move || {
            let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            store::writing(writer.as_mut(), work)
        })
        .await
    }

    /// Does what the caller asks, and answers when it is durable.
    pub async fn act(&self, caller: &Caller, act: ActBody) -> Result<Answer, Problem> {
        let act = Act { who: caller.actor(), request: caller.request.clone(), act };
        Ok(self.core.act(act).await?)
    }

    /// Has it stand in the ledger that the caller did this.
    pub async fn note(&self, caller: &Caller, note: Note) -> Result<(), Problem> {
        let by = Actor::Person(caller.actor());
        self.core.ask(InputBody::Noted { by, note }).await?;
        Ok(())
    }

    pub(super) async fn blocking<T: Send + 'static>(
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        match tokio::task::spawn_blocking(work).await {
            Ok(outcome) => Ok(outcome?),
            Err(ended) => Err(Problem::internal("reading the store", &ended)),
        }
    }
}

/// `limit` and `cursor` of a list that has no filter.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Items at most, 1 to 500; 50 by default.
    pub limit: Option<u32>,
    /// What `next` of the page before said.
    pub cursor: Option<String>,
}

impl PageQuery {
    /// The limit, where it makes sense.
    ///
    /// # Errors
    /// It is out of its range.
    pub fn checked_limit(limit: Option<u32>) -> Result<u32, Problem> {
        match limit.unwrap_or(50) {
            limit @ 1..=500 => Ok(limit),
            limit => Err(Problem::invalid(format!("limit is {limit}; it goes from 1 to 500"))),
        }
    }
}
