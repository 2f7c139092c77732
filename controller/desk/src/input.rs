//! Whatever may change the controller's mind.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use watchkeep_rules::selector::Selector;

use crate::ids::{CommandId, IncidentId, ProblemId, RunId, SilenceId};
use crate::time::Millis;
use crate::{Actor, Note, Subject};

/// One input, as it is kept in the input log for replay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Its place at the desk, from 1, without gaps.
    pub order: u64,
    /// The instant it is judged at: when the controller learned it; for a timer, when it was due.
    pub at: Millis,
    /// The configuration generation that was in force: hash of its files, hexadecimal.
    pub generation: String,
    pub body: InputBody,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "input", rename_all = "snake_case")]
pub enum InputBody {
    /// An alert began to fire, was seen again, cleared, or went stale.
    Alert(AlertChange),
    /// The same of alerts from outside, as they came together.
    Alerts { alerts: Vec<AlertChange> },
    /// What an agent found on its host.
    Inventory(Fragment),
    /// An agent enrolled, came, went, or said something of itself.
    Agent(AgentChange),
    /// What became of a command.
    Result(CommandOutcome),
    /// A `wait_for` step's condition held for as long as was asked, or did not in time.
    Watched { run: RunId, step: usize, held: bool, detail: String },
    /// The outside world was told, or could not be, for good.
    Notified {
        notice: crate::ids::NoticeId,
        /// Which channel; empty where none was set up.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        channel: String,
        /// The incident or the problem that it tells of; none in inputs kept before channels were told apart.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        about: Option<Subject>,
        delivered: bool,
        detail: String,
    },
    /// A person, or a program with a person's token, acts.
    Act(Act),
    /// The earliest timer of the desk fell due.
    Due,
    /// A generation was taken up; `input.generation` is its hash. `author` made it; `files` are its files' paths with hashes.
    Configured { author: String, files: BTreeMap<String, String> },
    /// The body did something that is to stand in the ledger.
    Noted { by: Actor, note: Note },
}

/// A transition of one alert, as detection saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertChange {
    /// The rule's name; for alerts from outside, the alert's own.
    pub rule: String,
    /// The identity, `alertname` and (for an agent's) `instance` included.
    pub labels: BTreeMap<String, String>,
    /// Rendered.
    pub annotations: BTreeMap<String, String>,
    pub state: AlertState,
    /// When it was so, by the corrected time of the agent.
    pub happened_at: Millis,
    /// The agent whose host it concerns, by its certificate's name; none for alerts across hosts.
    pub agent: Option<String>,
    /// Why, as a sentence; empty where the rule and the evidence say it all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// A copy of what it was concluded from: events, or samples; of an alert from outside [`OUTSIDE`] with where it was made.
    pub evidence: Vec<Value>,
}

/// The field of an alert's evidence that names where somebody else made it; it may be empty.
pub const OUTSIDE: &str = "generatorURL";

impl AlertChange {
    /// Where somebody else made it; none where a rule of ours did.
    pub fn outside(&self) -> Option<&str> {
        self.evidence.iter().find_map(|evidence| evidence.get(OUTSIDE)?.as_str())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// Fires, or was seen again while firing.
    Firing,
    /// Its condition is false.
    Resolved,
    /// Held for want of data: neither resolves nor fires.
    Stale,
    /// It fired and cleared before it was learned, as late samples show: recorded, and nobody is called for it. It fired at
    /// `happened_at`.
    Past { until: Millis },
}

/// A section of an agent's inventory as it came over the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fragment {
    pub agent: String,
    pub section: String,
    /// Whether `items` is the whole section, so that what is not named is gone.
    pub whole: bool,
    pub items: Vec<FoundItem>,
    /// (class, key) of what is gone.
    pub gone: Vec<(String, String)>,
    pub happened_at: Millis,
}

/// One thing that an agent found; the host itself has class `host`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundItem {
    pub class: String,
    /// Unique on the host within the class.
    pub key: String,
    pub attributes: BTreeMap<String, String>,
    /// (relation, class, key) to things of the same host.
    pub relations: Vec<(String, String, String)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentChange {
    pub agent: String,
    pub happened_at: Millis,
    pub what: AgentEvent,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum AgentEvent {
    /// Labels are the operator's word (the token's), not the host's claim. `serial` is the certificate's.
    Enrolled {
        serial: String,
        labels: BTreeMap<String, String>,
        token: String,
    },
    /// The agent asked with its certificate `before` for one with a new key, which takes its place.
    Renewed {
        serial: String,
        before: String,
    },
    Revoked {
        serial: String,
        by: String,
        reason: String,
    },
    /// A session began.
    Connected {
        session: String,
        version: String,
        spool: String,
    },
    /// `reason` is `agent_down`, `link_down`, `goodbye`, `quarantined`.
    Lost {
        session: String,
        reason: String,
    },
    /// Whether anybody on the host carries out commands (its `act` answers and there is a policy), where that changed. Until
    /// something else was said of a host there is.
    Acts {
        able: bool,
    },
    /// The agent numbers under a new spool id, and why it was asked to.
    Renumbered {
        spool: String,
        reason: String,
    },
    /// Two live sessions, a publish outside its topics, a command refused that nobody ordered …
    Suspicious {
        detail: String,
    },
    /// What the agent says of itself (a matter of kind `status`).
    Said {
        what: String,
        detail: String,
    },
}

/// What became of a command, decoded from the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommandOutcome {
    pub command: CommandId,
    pub agent: String,
    pub outcome: Outcome,
    pub exit: Option<i32>,
    /// Lossy UTF-8.
    pub stdout: String,
    pub stderr: String,
    /// Bytes of output that were cut.
    pub cut: u64,
    pub started_at: Millis,
    pub finished_at: Millis,
    pub changed: bool,
    /// A stable word: `signature`, `agent`, `replayed`, `expired`, `epoch`, `nonce`, `policy`, `malformed`.
    pub refusal: Option<String>,
    pub reason: String,
    /// The line of the host's policy that allowed it; empty where it was refused, or where the agent does not say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub policy: String,
    /// What the command said of itself (`RUN-12`, step, attempt), so that a refusal of what was never ordered can be told.
    pub claims: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Done,
    Failed,
    TimedOut,
    Refused,
    Unknown,
}

/// What a person does. Rights are checked before it becomes an input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Act {
    /// The person's id, never the name.
    pub who: String,
    /// The caller's key, so that the same request sent twice is done once.
    pub request: String,
    pub act: ActBody,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum ActBody {
    IncidentAcknowledge {
        incident: IncidentId,
        note: String,
    },
    IncidentAssign {
        incident: IncidentId,
        assignee: Option<String>,
        group: Option<String>,
        note: String,
    },
    IncidentProgress {
        incident: IncidentId,
        note: String,
    },
    IncidentHold {
        incident: IncidentId,
        awaiting: String,
        note: String,
    },
    IncidentResolve {
        incident: IncidentId,
        code: String,
        note: String,
    },
    IncidentReopen {
        incident: IncidentId,
        note: String,
    },
    IncidentClose {
        incident: IncidentId,
        note: String,
    },
    IncidentCancel {
        incident: IncidentId,
        note: String,
    },
    IncidentNote {
        incident: IncidentId,
        note: String,
    },
    IncidentPriority {
        incident: IncidentId,
        priority: u8,
        note: String,
    },
    /// Opens a problem of these incidents.
    ProblemCreate {
        incidents: Vec<IncidentId>,
        /// Empty: made from what may be the cause.
        title: String,
        note: String,
    },
    /// Puts incidents into a problem.
    ProblemJoin {
        problem: ProblemId,
        incidents: Vec<IncidentId>,
        note: String,
    },
    /// Makes a problem part of another.
    ProblemMerge {
        problem: ProblemId,
        into: ProblemId,
        note: String,
    },
    /// Takes incidents out; several become a problem of their own.
    ProblemSplit {
        problem: ProblemId,
        incidents: Vec<IncidentId>,
        note: String,
    },
    ProblemInvestigate {
        problem: ProblemId,
        note: String,
    },
    ProblemKnownError {
        problem: ProblemId,
        workaround: String,
        note: String,
    },
    ProblemAssign {
        problem: ProblemId,
        assignee: Option<String>,
        group: Option<String>,
        note: String,
    },
    ProblemFix {
        problem: ProblemId,
        note: String,
    },
    ProblemResolve {
        problem: ProblemId,
        note: String,
    },
    ProblemReopen {
        problem: ProblemId,
        note: String,
    },
    ProblemClose {
        problem: ProblemId,
        note: String,
    },
    ProblemCancel {
        problem: ProblemId,
        note: String,
    },
    ProblemNote {
        problem: ProblemId,
        note: String,
    },
    RunStart {
        runbook: String,
        incident: Option<IncidentId>,
        agent: Option<String>,
        params: BTreeMap<String, Value>,
    },
    RunApprove {
        run: RunId,
        plan_hash: String,
    },
    RunReject {
        run: RunId,
        note: String,
    },
    RunStop {
        run: RunId,
        note: String,
    },
    /// The fleet-wide stop switch: no run starts and no step is sent while it is on.
    StopSwitch {
        on: bool,
        note: String,
    },
    CiRetire {
        ci: crate::ids::CiId,
        note: String,
    },
    /// Sets an attribute of an item by hand: a business_service's `criticality`, an owner.
    CiSet {
        ci: crate::ids::CiId,
        name: String,
        value: String,
        note: String,
    },
    /// `from` depends on `to`, whatever connections show.
    RelationPin {
        from: crate::ids::CiId,
        to: crate::ids::CiId,
        note: String,
    },
    /// `from` does not depend on `to`, whatever connections show.
    RelationDeny {
        from: crate::ids::CiId,
        to: crate::ids::CiId,
        note: String,
    },
    /// Takes a pin or a denial back: what connections show counts again.
    RelationForget {
        from: crate::ids::CiId,
        to: crate::ids::CiId,
        note: String,
    },
    AgentRevoke {
        agent: String,
        note: String,
    },
    /// Sets a silence, or changes the one that is named.
    SilenceSet {
        silence: Option<SilenceId>,
        matchers: Selector,
        starts_at: Millis,
        ends_at: Millis,
        author: String,
        note: String,
    },
    SilenceExpire {
        silence: SilenceId,
        note: String,
    },
}
