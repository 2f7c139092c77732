//! The record of a change.

use serde::{Deserialize, Serialize};

use super::State;
use crate::Millis;
use crate::fact::Actor;
use crate::ids::{ChangeId, CiId, IncidentId, RunId};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub id: ChangeId,
    /// `standard`
    pub kind: String,
    /// The pre-approved template that it was made from.
    pub template: String,
    pub title: String,
    pub state: State,
    pub asked_by: Actor,
    pub run: RunId,
    pub incident: Option<IncidentId>,
    /// What it touches: the host, and the CI of the incident.
    pub cis: Vec<CiId>,
    pub agent: String,
    pub opened_at: Millis,
    pub started_at: Option<Millis>,
    pub finished_at: Option<Millis>,
    /// Measured when it is known: at once on failure, else a day after its end.
    pub success: Option<Success>,
    /// Since when it is only a row of a table: the desk no longer holds it.
    pub settled_at: Option<Millis>,
}

/// Whether a change did good: no incident on its CIs within a day of its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Success {
    pub good: bool,
    pub why: String,
    pub at: Millis,
}
