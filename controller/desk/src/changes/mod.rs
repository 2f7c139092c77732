//! Change enablement: what is about to be done to the estate, and whether it may.

use serde::{Deserialize, Serialize};

use crate::ids::ChangeId;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub id: ChangeId,
}

/// What happens to a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum ChangeFact {
    Noted { note: String },
}
