//! The record of a run, its plan and its journal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::State;
use crate::Millis;
use crate::decision::Action;
use crate::fact::{Actor, Reason};
use crate::ids::{ChangeId, CiId, CommandId, IncidentId, RunId};
use crate::incidents::IncidentKey;
use crate::input::Outcome;
use crate::words::words;

/// Bytes of one output kept in the journal of the record; the fact in the ledger has all that the agent sent.
pub(crate) const OUTPUT_BYTES: usize = 16 << 10;

/// What will be done where. Its canonical JSON (fields in this order, maps by key) has the hash that is approved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub runbook: String,
    /// The agent on whose host it runs.
    pub agent: String,
    pub params: BTreeMap<String, Value>,
    /// The steps, then those of the rollback.
    pub steps: Vec<PlannedStep>,
    /// Ms within which the condition that opened the incident must be false after the last step.
    pub verify_within: Option<i64>,
    /// The template of the change.
    pub change: String,
}

/// One step as it would be sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedStep {
    pub name: String,
    /// Sent only if the run fails.
    pub rollback: bool,
    /// The expression that decides at its turn, where it needs the result of an earlier step.
    pub when: Option<String>,
    /// Its `when` is false already.
    pub skipped: bool,
    pub action: PlannedAction,
    /// Ms.
    pub timeout: i64,
    pub retries: u32,
    pub idempotent: bool,
    pub register: Option<String>,
    pub attach: Option<String>,
}

/// What a step does, rendered. Results of earlier steps stand as `⟨log.stdout⟩` until they are known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum PlannedAction {
    WaitFor {
        /// As written.
        text: String,
        metric: String,
        /// With `$name` bound.
        selector: watchkeep_rules::selector::Selector,
        op: String,
        value: f64,
        /// Ms.
        held: i64,
    },
    /// Done on the host; in JSON beside the others, by its own `action`.
    #[serde(untagged)]
    Host(Action),
}

words! {
    /// How a step of a run stands.
    StepState "state of a step" {
        Pending = "pending",
        Skipped = "skipped",
        Sent = "sent",
        /// A `wait_for` whose condition is being watched.
        Watching = "watching",
        Done = "done",
        Failed = "failed",
        /// Begun, and nobody knows how it ended.
        Unknown = "unknown",
    }
}

/// One line of a run's journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRun {
    pub name: String,
    pub state: StepState,
    /// How often it was sent.
    pub attempts: u32,
    /// Failures that count against `retries`.
    pub failures: u32,
    /// Attempts of which nobody knows how they ended, or that the host did not begin.
    pub resends: u32,
    /// Ids of its commands, one an attempt.
    pub commands: Vec<CommandId>,
    pub sent_at: Option<Millis>,
    pub ended_at: Option<Millis>,
    pub outcome: Option<Outcome>,
    pub exit: Option<i32>,
    pub changed: bool,
    /// [`OUTPUT_BYTES`] at most each.
    pub stdout: String,
    pub stderr: String,
    /// What went wrong, or the policy line that refused it.
    pub reason: String,
}

/// What a run waits for before it goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    pub reason: Reason,
    /// When it looks again by itself.
    pub until: Option<Millis>,
}

/// A run of a runbook on one host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub id: RunId,
    pub runbook: String,
    pub title: String,
    pub state: State,
    /// A rule, or the person who asked for it.
    pub asked_by: Actor,
    pub incident: Option<IncidentId>,
    /// The incident's key, by which "came back" is told.
    pub key: Option<IncidentKey>,
    /// The alert that it is to mend, by its labels; none for a run by hand, which is to mend all of the incident's.
    pub alert: Option<BTreeMap<String, String>>,
    pub change: ChangeId,
    pub agent: String,
    /// The host.
    pub ci: Option<CiId>,
    pub plan: Plan,
    /// SHA-256 of the plan's canonical JSON, hexadecimal.
    pub plan_hash: String,
    /// Why it waits, while it does.
    pub waiting: Option<Wait>,
    /// Who must approve (`group(linux)`), while or after approval was asked for.
    pub approval_by: Option<String>,
    /// The person who approved the hash.
    pub approved_by: Option<String>,
    /// Index into `plan.steps` of the step whose turn it is.
    pub step: usize,
    /// One a step of the plan.
    pub journal: Vec<StepRun>,
    pub verify_until: Option<Millis>,
    /// For a run that ended or stands: why.
    pub outcome: Option<Reason>,
    /// The same key came back soon after it succeeded.
    pub came_back: bool,
    pub opened_at: Millis,
    pub started_at: Option<Millis>,
    pub finished_at: Option<Millis>,
    /// Since when it is only a row of a table: no guard looks at it any more, and the desk no longer holds it.
    pub settled_at: Option<Millis>,
}

/// A condition that a run waits for; the body evaluates it whenever the agent reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    pub run: RunId,
    pub step: usize,
    pub agent: String,
    pub metric: String,
    /// With all `$name` bound.
    pub selector: watchkeep_rules::selector::Selector,
    pub op: String,
    pub value: f64,
    /// Milliseconds that it must hold without a break.
    pub held: i64,
    /// When waiting began: a value that was read before it says nothing about what the steps before did.
    pub from: Millis,
    /// When waiting ends in failure.
    pub until: Millis,
}
