//! What the desk has for a worker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::detect::{Rules, Watches};
use crate::ingest::KeptHost;

/// What the desk has for a worker. Not a queue: the newest counts, and the desk never waits for a worker that waits for it.
#[derive(Default)]
pub(super) struct Slot(Mutex<News>);

#[derive(Default)]
pub(super) struct News {
    pub restore: Option<Restore>,
    pub rules: Option<Arc<Rules>>,
    pub watches: Option<Arc<Watches>>,
    /// Agents of this worker whose hosts were retired.
    pub retired: Vec<String>,
    /// Labels of this worker's agents that changed, the newest.
    pub labels: BTreeMap<String, BTreeMap<String, String>>,
}

/// A new life: the hosts as the store kept them.
pub(super) struct Restore {
    pub life: u64,
    pub rules: Arc<Rules>,
    pub kept: BTreeMap<String, KeptHost>,
}

impl Slot {
    pub(super) fn put(&self, change: impl FnOnce(&mut News)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn take(&self) -> News {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
