//! What happens to an incident.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Action, Awaiting, IncidentKey, Priority, ResolutionCode, State};
use crate::Millis;
use crate::ids::{CiId, IncidentId, NoticeId, ProblemId, RunId};

/// Repeats of an alert that already fires are no facts: they only raise `count` and `last_seen` of the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum IncidentFact {
    Opened(Box<Opening>),
    /// An alert joined, or fires again after it was clear (`again`).
    AlertFired {
        rule: String,
        labels: BTreeMap<String, String>,
        again: bool,
    },
    AlertCleared {
        rule: String,
        labels: BTreeMap<String, String>,
        /// Where it was the last: when the incident resolves by itself unless an alert fires again.
        resolves_at: Option<Millis>,
        /// Why, where it is more than that its condition is false: what it was about has ended.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// No data: the alert neither resolves nor fires.
    AlertStale {
        rule: String,
        labels: BTreeMap<String, String>,
        /// Whose silence it is.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    PriorityChanged {
        from: u8,
        to: Priority,
    },
    /// Acknowledged, taken into progress, put on hold.
    Moved {
        action: Action,
        from: State,
        to: State,
        awaiting: Option<Awaiting>,
        note: String,
    },
    Assigned {
        assignee: Option<String>,
        group: Option<String>,
        note: String,
    },
    Resolved {
        code: ResolutionCode,
        note: String,
        run: Option<RunId>,
    },
    Reopened {
        note: String,
    },
    Closed {
        note: String,
    },
    Cancelled {
        note: String,
    },
    Noted {
        note: String,
    },
    Attached {
        run: RunId,
        name: String,
        text: String,
        /// Bytes cut from its end.
        cut: u64,
    },
    /// The runbook of its rule was not started.
    RunNotStarted {
        runbook: String,
        why: String,
    },
    /// A runbook has done what it could; a person is needed.
    HandedOver {
        why: String,
    },
    /// What it is about needs what that one is about.
    Follows {
        incident: IncidentId,
    },
    JoinedProblem {
        problem: ProblemId,
        /// How to live with it, where that is known.
        workaround: Option<String>,
    },
    LeftProblem {
        problem: ProblemId,
        note: String,
    },
    /// Its problem became a known error.
    WorkaroundKnown {
        problem: ProblemId,
        workaround: String,
    },
    /// People are not told of this by itself: its problem tells, or a page that is about to go out.
    PageHeld {
        why: String,
    },
    /// People are told.
    Told {
        notice: NoticeId,
        why: String,
        group: Option<String>,
    },
}

/// An incident as it was opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    pub title: String,
    pub key: IncidentKey,
    pub rule: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub agent: Option<String>,
    pub ci: Option<CiId>,
    pub service: Option<String>,
    pub group: Option<String>,
    pub priority: Priority,
    /// The incident of the same key before this one.
    pub earlier: Option<IncidentId>,
}
