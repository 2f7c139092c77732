//! What was decided, as it stands in the ledger.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{ChangeId, CiId, IncidentId, ProblemId, RunId, SilenceId};
use crate::time::Millis;

/// A change of state: who, what, why. The ledger adds chain, sequence, when it was learned, the input that it follows
/// from, the generation and the hash.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// When it was so (not when it was learned).
    pub happened_at: Millis,
    pub subject: Subject,
    pub actor: Actor,
    pub reasons: Vec<Reason>,
    pub body: FactBody,
}

/// What a fact is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Subject {
    Incident(IncidentId),
    Problem(ProblemId),
    Change(ChangeId),
    Run(RunId),
    Ci(CiId),
    Agent(String),
    Silence(SilenceId),
    /// The configuration.
    Generation(String),
    /// The controller itself: stop switch, checkpoints.
    Controller,
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Actor {
    /// A person's id.
    Person(String),
    Agent(String),
    /// A rule by name.
    Rule(String),
    Run(RunId),
    /// The controller's own clockwork: timers, reconciliation.
    Controller,
}

/// Why, as a sentence with a copy of the evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// The stage or guard that says it: `dedupe`, `priority`, `rate`, `policy`.
    pub stage: String,
    pub sentence: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub evidence: Value,
}

impl Reason {
    pub fn new(stage: &str, sentence: impl Into<String>) -> Self {
        Self { stage: stage.to_owned(), sentence: sentence.into(), evidence: Value::Null }
    }
}

/// What happened, by practice. The name of the variant and of the practice's own tag are the fact's kind in the ledger
/// (`incident.opened`, `run.step_sent`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "practice", content = "fact", rename_all = "snake_case")]
pub enum FactBody {
    Incident(crate::incidents::IncidentFact),
    Problem(crate::problems::ProblemFact),
    Change(crate::changes::ChangeFact),
    Run(crate::runbooks::RunFact),
    Cmdb(crate::cmdb::CmdbFact),
    Agent(crate::input::AgentEvent),
    Silence(crate::silences::SilenceFact),
    /// A generation was taken up.
    Configured {
        author: String,
        files: std::collections::BTreeMap<String, String>,
    },
    StopSwitch {
        on: bool,
        note: String,
    },
    /// Late samples show an alert that fired (when the fact happened) and cleared before it was learned; nobody was called.
    PastAlert {
        rule: String,
        labels: std::collections::BTreeMap<String, String>,
        /// How long it fired, ms.
        lasted: i64,
    },
    /// A command came back that this desk does not wait for (forged, replayed, for another host): kept as told.
    StrayResult(crate::input::CommandOutcome),
    /// What the body did.
    Note(crate::Note),
    /// A notice was delivered, or given up.
    Notified {
        notice: crate::ids::NoticeId,
        /// Which channel; empty where none was set up.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        channel: String,
        delivered: bool,
        detail: String,
    },
}
