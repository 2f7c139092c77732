//! Runbook runs: planned, hashed, guarded, journalled, verified.

use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::ids::RunId;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub id: RunId,
}

/// A condition that a run waits for; the body evaluates it whenever the agent reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    pub run: RunId,
    pub step: usize,
    pub agent: String,
    pub metric: String,
    /// With all `$name` bound.
    pub selector: watchkeep_rules::selector::Selector,
    pub op: String,
    pub value: f64,
    /// Milliseconds that it must hold without a break.
    pub held: i64,
    /// When waiting ends in failure.
    pub until: Millis,
}

/// What happens to a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum RunFact {
    Noted { note: String },
}
