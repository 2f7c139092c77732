//! The record of an incident.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::State;
use crate::Millis;
use crate::fact::{Actor, Reason};
use crate::ids::{ChangeId, CiId, IncidentId, ProblemId, RunId};
use crate::problems::{Paging, Surroundings};
use crate::words::words;

/// Entries of the timeline kept in the record; the ledger keeps them all.
pub const TIMELINE_MAX: usize = 200;
/// Alerts told apart in one incident; further identities are only counted, and such an incident resolves by hand.
pub(crate) const ALERTS_MAX: usize = 256;
/// Attachments kept in the record, the newest; the ledger keeps them all.
pub(crate) const ATTACHMENTS_MAX: usize = 4;
/// Bytes of one attachment kept in the record.
pub(crate) const ATTACHMENT_BYTES: usize = 8 << 10;

/// What tells incidents apart: `UnitFailed{instance="web-3",unit="nginx.service"}`, names in order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentKey(pub String);

impl fmt::Display for IncidentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

words! {
    /// How an incident was resolved.
    ResolutionCode "resolution code" {
        FixedByRunbook = "fixed_by_runbook",
        FixedByPerson = "fixed_by_person",
        Recovered = "recovered",
        Duplicate = "duplicate",
        FalseAlarm = "false_alarm",
    }
}

words! {
    /// What an incident on hold waits for.
    Awaiting "thing to wait for" {
        Caller = "caller",
        Change = "change",
        Problem = "problem",
        Vendor = "vendor",
    }
}

words! {
    /// How an alert of an incident stands.
    AlertStanding "standing of an alert" {
        Firing = "firing",
        Cleared = "cleared",
        /// Held for want of data; `was` of the alert says as what.
        Stale = "stale",
    }
}

/// An open or lately closed incident, as the desk holds it and the table keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    pub id: IncidentId,
    pub key: IncidentKey,
    /// The rule whose alert opened it.
    pub rule: String,
    /// The rule's `summary`, else the rule's name and the key.
    pub title: String,
    pub state: State,
    /// While it is on hold.
    pub awaiting: Option<Awaiting>,
    pub priority: Priority,
    /// What it is about, where the CMDB knows it.
    pub ci: Option<CiId>,
    /// The agent on whose host it is.
    pub agent: Option<String>,
    pub service: Option<String>,
    /// A person's id.
    pub assignee: Option<String>,
    pub group: Option<String>,
    /// The person who assigned it; from then on it does not resolve by itself.
    pub assigned_by: Option<String>,
    /// By identity, [`ALERTS_MAX`] at most.
    pub alerts: Vec<MemberAlert>,
    /// Alerts past that bound.
    pub alerts_beyond: u64,
    /// How often alerts of its key fired, repeats included.
    pub count: u64,
    /// By the host's time.
    pub first_seen: Millis,
    pub last_seen: Millis,
    /// By the controller's time, as all that follow.
    pub opened_at: Millis,
    /// When it was opened or last reopened: what mended it came after.
    pub since: Millis,
    /// Since when all its alerts are clear.
    pub clear_since: Option<Millis>,
    /// How long they must be, ms; from the rule.
    pub resolve_after: i64,
    pub resolution: Option<Resolution>,
    pub closed_at: Option<Millis>,
    pub reopened: u32,
    /// The newest [`TIMELINE_MAX`] entries.
    pub timeline: Vec<TimelineEntry>,
    /// Older entries, which only the ledger has.
    pub timeline_before: u64,
    pub runs: Vec<RunId>,
    pub changes: Vec<ChangeId>,
    pub attachments: Vec<Attachment>,
    pub links: Vec<Link>,
    /// Names of knowledge articles that the rule names.
    pub knowledge: Vec<String>,
    /// The problem that it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<ProblemId>,
    /// How to live with it, from its problem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workaround: Option<String>,
    /// What its item needs, and what changed there, when it opened.
    #[serde(default, skip_serializing_if = "Surroundings::is_empty")]
    pub surroundings: Surroundings,
    /// How people were told of it, while it stands by itself.
    #[serde(default, skip_serializing_if = "Paging::is_quiet")]
    pub paging: Paging,
    /// Incidents that a person took it apart from; they are not put together again but by hand.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub apart: BTreeSet<IncidentId>,
}

/// 1 is worst, 5 least.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Priority {
    pub level: u8,
    /// 1 to 3.
    pub impact: u8,
    /// 1 to 3.
    pub urgency: u8,
    pub reasons: Vec<Reason>,
    /// The person who set it by hand; alerts no longer change it.
    pub set_by: Option<String>,
}

/// One alert of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberAlert {
    pub rule: String,
    /// Its identity.
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub standing: AlertStanding,
    /// For a stale one: whether it fired when data ended.
    pub fired_when_stale: bool,
    pub first_seen: Millis,
    pub last_seen: Millis,
    pub count: u64,
    /// Where somebody else made it; none where a rule of ours did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<String>,
}

impl MemberAlert {
    /// Its condition is known to be false.
    pub fn is_clear(&self) -> bool {
        self.standing == AlertStanding::Cleared
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    pub code: ResolutionCode,
    pub note: String,
    pub by: Actor,
    pub at: Millis,
    /// The run that mended it.
    pub run: Option<RunId>,
}

/// One line of the story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// When the controller learned it.
    pub at: Millis,
    pub actor: Actor,
    pub sentence: String,
}

/// Output that a step put onto the incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// `log.stdout`
    pub name: String,
    pub run: RunId,
    pub at: Millis,
    /// [`ATTACHMENT_BYTES`] at most.
    pub text: String,
    /// Bytes cut from its end.
    pub cut: u64,
}

/// A tie to another incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// `earlier`: the same key before. `follows`: an incident of something that it needs. `beside`: evidence ties them, but
    /// the other's problem, which somebody has taken up, does not explain this one.
    pub kind: String,
    pub incident: IncidentId,
}

impl Incident {
    /// Whether somebody works on it, so that it does not resolve by itself. Acknowledging is not taking over.
    pub fn taken_over(&self) -> bool {
        self.assigned_by.is_some() || matches!(self.state, State::InProgress | State::OnHold)
    }

    /// Whether every alert of it is known to be clear.
    pub fn all_clear(&self) -> bool {
        self.alerts_beyond == 0 && !self.alerts.is_empty() && self.alerts.iter().all(MemberAlert::is_clear)
    }

    /// When what it tells of began.
    pub fn began(&self) -> Millis {
        // Of one that opened again, the first sight is that of what is long over.
        if self.reopened == 0 { self.first_seen.min(self.since) } else { self.since }
    }

    /// Since when it is over: all its alerts are clear, or somebody says that it is.
    pub fn over_since(&self) -> Option<Millis> {
        let clear = self.clear_since.filter(|_| self.all_clear());
        let said = self.resolution.as_ref().map(|resolution| resolution.at).or(self.closed_at);
        [clear, said.filter(|_| !self.state.is_open())].into_iter().flatten().min()
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
