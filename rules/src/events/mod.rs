//! The event engine: rules over events become alerts, for one host at a time, as a pure step function.
//!
//! [`EventRules`] are the compiled rules, shared by all hosts. An [`EventEngine`] is one host: events and ticks go in with
//! their time, transitions come out, and its [`HostState`] is plain data, to be stored with whatever follows from them and
//! given back to [`EventEngine::restore`]. An alert's identity is `alertname`, `instance`, the rule's `by` labels and its
//! own labels as they were rendered when it began to fire.

mod engine;
mod rules;
mod state;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use engine::EventEngine;
pub use rules::EventRules;
pub use state::HostState;

/// Alerts (firing, or counting towards it) that one host may have; beyond it new ones are refused and counted.
pub const ALERTS_PER_HOST_MAX: usize = 1_000;
/// Events that a transition carries a copy of, the newest.
pub const EVIDENCE_MAX: usize = 10;

/// One event, as it came from the host.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// `kind` among them; an `instance` of the host's own making is overruled.
    pub labels: &'a BTreeMap<String, String>,
    /// A sentence for people.
    pub text: &'a str,
    /// When it was so, by the agent's corrected time, UTC milliseconds.
    pub at: i64,
}

/// What became of an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    pub rule: String,
    /// The identity, `alertname` and `instance` included.
    pub labels: BTreeMap<String, String>,
    /// Rendered with the newest event's labels; for a resolve as they were last.
    pub annotations: BTreeMap<String, String>,
    pub what: What,
    /// When it was so, UTC milliseconds.
    pub at: i64,
    /// Why, as a sentence.
    pub reason: String,
    /// Copies of the events that it was concluded from: `{at, labels, text}`.
    pub evidence: Vec<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It began.
    Firing,
    /// A further match while it fires.
    FiringAgain,
    /// It fires, and is held for want of samples: it neither resolves nor fires anew until they are back.
    Stale,
    Resolved,
}

#[cfg(test)]
mod tests;
