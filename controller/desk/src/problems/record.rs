//! The record of a problem.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Link, State};
use crate::Millis;
use crate::cmdb::Class;
use crate::fact::{Actor, Reason};
use crate::ids::{CiId, IncidentId, ProblemId};
use crate::incidents::{IncidentKey, TimelineEntry};
use crate::words::words;

/// Entries of the timeline kept in the record; the ledger keeps them all.
pub const TIMELINE_MAX: usize = 200;
/// Incidents in one problem; it takes in no more, and says so.
pub(crate) const INCIDENTS_MAX: usize = 1_000;
/// Keys by which later incidents are known to belong to it.
pub(crate) const KEYS_MAX: usize = 256;
/// Links kept: the ones by which the incidents hang together.
pub(crate) const LINKS_MAX: usize = 256;

/// Kinds of failure that one problem pages for; past that it pages for no further kind.
pub(crate) const TOLD_MAX: usize = 32;

words! {
    /// How a problem came to be opened.
    Origin "origin of a problem" {
        /// Incidents with a common cause.
        Correlation = "correlation",
        /// One key again and again.
        Recurrence = "recurrence",
        Hand = "hand",
    }
}

/// Problems remembered that became part of one, and entries of the timeline that each keeps.
pub(crate) const PARTS_MAX: usize = 8;
pub(crate) const PART_TIMELINE: usize = 50;

/// What probably lies behind incidents, or is being looked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    pub id: ProblemId,
    pub title: String,
    pub state: State,
    pub origin: Origin,
    /// The worst of its incidents, 1 to 5.
    pub priority: u8,
    /// A person's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    /// Who is told: the group of its worst incident, until a person gives it away.
    pub group: Option<String>,
    /// Who gave it away; from then on it does not resolve by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_by: Option<String>,
    /// By number, [`INCIDENTS_MAX`] at most.
    pub incidents: BTreeSet<IncidentId>,
    /// A later incident of one of these keys joins; [`KEYS_MAX`] at most.
    pub keys: BTreeSet<IncidentKey>,
    /// Why incidents stand together, strongest first; [`LINKS_MAX`] at most.
    pub links: Vec<Link>,
    /// What may be the cause, likeliest first.
    pub candidates: Vec<Candidate>,
    pub workaround: Option<Workaround>,
    pub paging: Paging,
    pub opened_at: Millis,
    pub opened_by: Actor,
    pub resolved_at: Option<Millis>,
    /// What resolved it, in a person's words.
    pub resolution: String,
    pub closed_at: Option<Millis>,
    /// It became part of that one.
    pub merged_into: Option<ProblemId>,
    /// Problems that became part of it, the newest last, [`PARTS_MAX`] at most; older ones stay in it for good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// The newest [`TIMELINE_MAX`] entries.
    pub timeline: Vec<TimelineEntry>,
    /// Older entries, which only the ledger has.
    pub timeline_before: u64,
}

/// A problem that became part of another, so that splitting its incidents out brings it back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// As it was, with the incidents that came in; without links, which the other has, and without parts of its own.
    pub problem: Box<Problem>,
    /// The state of the other before, where this one brought it further.
    pub before: Option<State>,
    /// The other had no workaround, and has this one's.
    pub gave_workaround: bool,
}

/// How people were told of what is going on now, of an incident by itself or of a problem.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Paging {
    /// A page that waits for `group_wait`: `opened`, `reopened`, `worse`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
    /// The priority that people were paged with; none before that, and again when all is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paged: Option<u8>,
    /// Of a problem: what people were paged for, as rules and classes of items; [`TOLD_MAX`] at most.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub told: BTreeSet<Told>,
}

/// A kind of failure that people were paged for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Told {
    pub rule: String,
    /// Of what it is about; none where the CMDB does not know that.
    pub class: Option<Class>,
}

impl Paging {
    /// Nobody was paged, and nobody is about to be.
    pub fn is_quiet(&self) -> bool {
        *self == Self::default()
    }
}

/// How to live with it until it is mended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workaround {
    pub text: String,
    /// A person's id.
    pub by: String,
    pub at: Millis,
}

/// One thing that may be the cause, and why; never a verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// `host db-1`, `package shop-app 1.4→1.5`.
    pub what: String,
    /// The item; none for a change.
    pub ci: Option<CiId>,
    /// The change by its identity; none for an item.
    pub change: Option<String>,
    /// How many of the problem's incidents it would explain.
    pub explains: usize,
    /// By which it is ranked, in hundredths of log odds.
    pub score: i64,
    pub reasons: Vec<Reason>,
}

impl Problem {
    /// A person has: given it to somebody, or begun with it. It means something by now.
    pub(crate) fn is_taken_up(&self) -> bool {
        let is_begun = matches!(self.state, State::Investigating | State::KnownError | State::FixInProgress);
        is_begun || (self.state == State::New && self.assigned_by.is_some())
    }

    /// Adds a line to the timeline; the oldest goes where it is full.
    pub(crate) fn enter(&mut self, entry: TimelineEntry) {
        if self.timeline.len() >= TIMELINE_MAX {
            self.timeline.remove(0);
            self.timeline_before += 1;
        }
        self.timeline.push(entry);
    }
}
