//! The CMDB: what there is, how we know, and what depends on what.

use serde::{Deserialize, Serialize};

use crate::ids::CiId;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ci {
    pub id: CiId,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relation {
    pub from: CiId,
    pub kind: String,
    pub to: CiId,
}

impl Relation {
    /// `from kind to`, unique.
    pub fn key(&self) -> String {
        format!("{} {} {}", self.from, self.kind, self.to)
    }
}

/// What happens to a configuration item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum CmdbFact {
    Noted { ci: CiId, note: String },
}
