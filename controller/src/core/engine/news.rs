//! What the desk has for a worker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::detect::{Rules, Watches};
use crate::ingest::{Incoming, KeptHost};

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

impl News {
    /// What the shard is stepped with, in order. The rules that a life has `begun` with come first: those that were taken up
    /// since are newer.
    pub(super) fn incoming(self, begun: Option<Arc<Rules>>) -> Vec<Incoming> {
        let mut all: Vec<Incoming> = begun.into_iter().chain(self.rules).map(Incoming::Rules).collect();
        all.extend(self.watches.map(Incoming::Watches));
        all.extend(self.labels.into_iter().map(|(agent, labels)| Incoming::Labels { agent, labels }));
        all.extend(self.retired.into_iter().map(|agent| Incoming::Retired { agent }));
        all
    }
}

impl Slot {
    pub(super) fn put(&self, change: impl FnOnce(&mut News)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn take(&self) -> News {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_were_taken_up_since_a_life_began_are_the_last_word() {
        let (begun, newer) = (Arc::<Rules>::default(), Arc::<Rules>::default());
        let news = News { rules: Some(Arc::clone(&newer)), ..News::default() };
        let all = news.incoming(Some(Arc::clone(&begun)));
        let rules: Vec<&Arc<Rules>> = all
            .iter()
            .filter_map(|incoming| if let Incoming::Rules(rules) = incoming { Some(rules) } else { None })
            .collect();
        assert!(Arc::ptr_eq(rules[0], &begun) && Arc::ptr_eq(rules[1], &newer) && rules.len() == 2);
    }
}
