//! What a decision brings: facts, effects, and the records that changed.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::fact::{Fact, Subject};
use crate::ids::{CiId, CommandId, IncidentId, NoticeId, ProblemId, RunId, SilenceId};
use crate::time::Millis;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// In the order they follow from each other.
    pub facts: Vec<Fact>,
    /// Committed with the facts into the outbox, carried out after.
    pub effects: Vec<Effect>,
    /// The records as they now stand, each once; committed with the facts.
    pub changed: Vec<Record>,
    /// For an [`crate::input::Act`] that may not be done: why. Then there are no facts.
    pub refused: Option<Refusal>,
}

/// Why an act was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Stable: `unknown`, `not_allowed_in_state`, `missing`, `invalid`, `guard`, `stale_plan`.
    pub code: String,
    /// What was asked, of what, what stands against it, and what would help.
    pub sentence: String,
}

/// What is owed to the world. Carried out at least once; each has an id by which its receiver can tell a second time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// To be signed for the agent and sent, with its nonce, epoch and expiry of the moment.
    Command(Order),
    /// To be told to people.
    Notice(Notice),
}

/// One command to one agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub command: CommandId,
    pub agent: String,
    pub run: RunId,
    pub step: usize,
    /// From 1.
    pub attempt: u32,
    /// SHA-256 of the plan, hexadecimal.
    pub plan_hash: String,
    pub action: Action,
    /// Milliseconds from now for which the host may begin it.
    pub valid_for_ms: i64,
    /// Milliseconds that the action itself may take.
    pub timeout_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    Run {
        argv: Vec<String>,
    },
    Service {
        name: String,
        state: String,
    },
    Script {
        interpreter: Vec<String>,
        content: String,
        args: Vec<String>,
    },
    Package {
        names: Vec<String>,
        state: String,
    },
    File {
        path: String,
        state: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<String>,
        /// Permission bits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<u32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<String>,
    },
}

impl Action {
    /// In a line, for people: what is done, without contents.
    pub fn sentence(&self) -> String {
        match self {
            Self::Run { argv } => argv.join(" "),
            Self::Service { name, state } => format!("service {name} {state}"),
            Self::Script { interpreter, content, args } => {
                let lines = content.lines().count();
                let arguments = if args.is_empty() { String::new() } else { format!(" with {}", args.join(" ")) };
                format!(
                    "script of {lines} lines for {}{arguments}, SHA-256 {}",
                    interpreter.join(" "),
                    hash_of(content)
                )
            }
            Self::Package { names, state } => format!("package {} {state}", names.join(" ")),
            Self::File { path, state, .. } => format!("file {path} {state}"),
        }
    }
}

/// As `sha256sum` prints it, and as a host's policy names a script.
fn hash_of(content: &str) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A page, or news of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    pub notice: NoticeId,
    /// `opened`, `resolved`, `run_failed` …
    pub why: String,
    pub group: Option<String>,
    pub incident: Option<IncidentId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<ProblemId>,
    /// What the receiver gets as JSON, beside the controller's own envelope.
    pub content: Value,
}

impl Notice {
    /// The record that it tells of.
    pub fn about(&self) -> Option<Subject> {
        self.incident.map(Subject::Incident).or(self.problem.map(Subject::Problem))
    }
}

/// A wake-up at the desk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Timer {
    pub due: Millis,
    pub kind: TimerKind,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "timer", rename_all = "snake_case")]
pub enum TimerKind {
    /// The alerts of the incident have been clear for `resolve_after`.
    IncidentResolve { incident: IncidentId },
    /// Resolved long enough ago to be closed.
    IncidentClose { incident: IncidentId },
    /// The incident's page has waited for `group_wait`.
    IncidentPage { incident: IncidentId },
    /// The problem's page has.
    ProblemPage { problem: ProblemId },
    /// Resolved long enough ago to be closed.
    ProblemClose { problem: ProblemId },
    /// A step's result is overdue.
    StepOverdue { run: RunId, step: usize, attempt: u32 },
    /// `verify_within` is over.
    VerifyOverdue { run: RunId },
    /// An approval was not given in time.
    ApprovalExpired { run: RunId },
    /// A retry of a step, or a run that waits for its guard.
    RunWake { run: RunId },
    /// A finished run and its change are measured, and then no longer held.
    RunSettle { run: RunId },
    /// A CI was not seen for too long.
    CiUnseen { ci: CiId },
    /// A silence is over, or was shown for long enough after.
    SilenceEnds { silence: SilenceId },
}

/// A record as it now stands; what the tables hold, and what the desk is restored from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    Incident(crate::incidents::Incident),
    Problem(crate::problems::Problem),
    Change(crate::changes::Change),
    Run(crate::runbooks::Run),
    Ci(crate::cmdb::Ci),
    Relation(crate::cmdb::Relation),
    Agent(crate::desk::Agent),
    Timer {
        timer: Timer,
        set: bool,
    },
    /// Small state of the desk that no record carries: counters of numbers, notices on their way, the stop switch. One row a
    /// name; a null value means that it is gone.
    Setting {
        name: String,
        value: Value,
    },
}

impl Record {
    /// The table's word and the key in it.
    pub fn key(&self) -> (&'static str, String) {
        match self {
            Self::Incident(incident) => ("incident", incident.id.to_string()),
            Self::Problem(problem) => ("problem", problem.id.to_string()),
            Self::Change(change) => ("change", change.id.to_string()),
            Self::Run(run) => ("run", run.id.to_string()),
            Self::Ci(ci) => ("ci", ci.id.to_string()),
            Self::Relation(relation) => ("relation", relation.key()),
            Self::Agent(agent) => ("agent", agent.name.clone()),
            Self::Timer { timer, .. } => ("timer", serde_json::to_string(timer).expect("a timer is plain data")),
            Self::Setting { name, .. } => ("setting", name.clone()),
        }
    }

    /// Whether the desk holds it: [`crate::Desk::restore`] passes over a record that is not live, so a store need not read it.
    pub fn is_live(&self) -> bool {
        match self {
            Self::Incident(incident) => !incident.state.is_final(),
            Self::Problem(problem) => !problem.state.is_final(),
            Self::Change(change) => change.settled_at.is_none(),
            Self::Run(run) => run.settled_at.is_none(),
            Self::Ci(_) | Self::Relation(_) | Self::Agent(_) => true,
            Self::Timer { set, .. } => *set,
            Self::Setting { value, .. } => !value.is_null(),
        }
    }
}
