//! What happens to a problem.

use serde::{Deserialize, Serialize};

use super::{Action, Candidate, Link, Origin, State};
use crate::ids::{IncidentId, NoticeId, ProblemId};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum ProblemFact {
    Opened(ProblemOpening),
    /// Incidents joined, and why.
    Joined {
        incidents: Vec<IncidentId>,
        links: Vec<Link>,
    },
    /// What may be the cause is seen in another order.
    Ranked {
        title: String,
        candidates: Vec<Candidate>,
    },
    PriorityChanged {
        from: u8,
        to: u8,
    },
    /// Another problem became part of it.
    TookIn {
        problem: ProblemId,
        incidents: Vec<IncidentId>,
        note: String,
    },
    /// It became part of another.
    Merged {
        into: ProblemId,
        note: String,
    },
    /// Incidents were taken out.
    Split {
        incidents: Vec<IncidentId>,
        note: String,
    },
    /// What a merge had brought in is a problem of its own again.
    GaveBack {
        problem: ProblemId,
        incidents: Vec<IncidentId>,
        /// Its own state from now on.
        to: State,
        note: String,
    },
    /// It is a problem of its own again, as it was before it became part of that one.
    CameBack {
        from: ProblemId,
        incidents: Vec<IncidentId>,
        to: State,
        note: String,
    },
    Moved {
        action: Action,
        from: State,
        to: State,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workaround: Option<String>,
        note: String,
    },
    /// It is theirs now; none: as before.
    Assigned {
        assignee: Option<String>,
        group: Option<String>,
        note: String,
    },
    Noted {
        note: String,
    },
    /// People are told.
    Told {
        notice: NoticeId,
        why: String,
        group: Option<String>,
    },
}

/// A problem as it was opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProblemOpening {
    pub title: String,
    pub origin: Origin,
    pub priority: u8,
    pub incidents: Vec<IncidentId>,
    pub links: Vec<Link>,
    pub candidates: Vec<Candidate>,
    pub note: String,
}
