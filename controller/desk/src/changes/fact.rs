//! What happens to a change.

use serde::{Deserialize, Serialize};

use super::{Action, State};
use crate::ids::{CiId, IncidentId, RunId};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum ChangeFact {
    Opened {
        kind: String,
        template: String,
        title: String,
        run: RunId,
        incident: Option<IncidentId>,
        agent: String,
        cis: Vec<CiId>,
    },
    Moved {
        action: Action,
        from: State,
        to: State,
    },
    Measured {
        good: bool,
        why: String,
    },
}
