//! Live sessions: what commands are bound to, readable from any thread.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use crate::fleet::session::Live;

/// The live session of each agent that is there.
#[derive(Debug, Default)]
pub struct LiveSessions(RwLock<BTreeMap<String, Live>>);

impl LiveSessions {
    /// The agent's session as it now stands; none while it is away.
    pub fn take(&self, agent: &str, live: Option<Live>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match live {
            Some(live) => known.insert(agent.to_owned(), live),
            None => known.remove(agent),
        };
    }

    /// Runs `look` over all of them.
    pub fn with<T>(&self, look: impl FnOnce(&BTreeMap<String, Live>) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}
