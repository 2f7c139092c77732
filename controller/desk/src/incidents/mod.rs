//! Incidents: from an alert to a record that people and runbooks work on.

use serde::{Deserialize, Serialize};

use crate::ids::IncidentId;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    pub id: IncidentId,
}

/// What happens to an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum IncidentFact {
    Noted { note: String },
}
