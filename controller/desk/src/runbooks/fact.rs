//! What happens to a run.

use serde::{Deserialize, Serialize};

use super::{Plan, PlannedAction, Wait};
use crate::Millis;
use crate::ids::{ChangeId, CiId, CommandId, IncidentId};
use crate::input::{CommandOutcome, Outcome};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum RunFact {
    Planned {
        runbook: String,
        agent: String,
        ci: Option<CiId>,
        incident: Option<IncidentId>,
        change: ChangeId,
        plan_hash: String,
        plan: Plan,
    },
    ApprovalWanted {
        plan_hash: String,
        by: String,
        until: Option<Millis>,
    },
    Approved {
        plan_hash: String,
    },
    Rejected {
        note: String,
    },
    /// Nobody approved in time.
    Expired,
    /// A guard holds it, before it starts or between two steps.
    Waiting {
        wait: Wait,
    },
    Started {
        plan_hash: String,
    },
    StepSkipped {
        step: usize,
        name: String,
        when: String,
    },
    StepSent {
        step: usize,
        name: String,
        /// From 1.
        attempt: u32,
        command: CommandId,
        agent: String,
        action: PlannedAction,
    },
    StepEnded {
        step: usize,
        name: String,
        attempt: u32,
        command: CommandId,
        outcome: Outcome,
        exit: Option<i32>,
        stdout: String,
        stderr: String,
        /// Bytes of output that the host cut.
        cut: u64,
        started_at: Millis,
        finished_at: Millis,
        changed: bool,
        refusal: Option<String>,
        reason: String,
    },
    /// No result came in time, or none can come any more: `why`. The command is not sent from then on.
    StepOverdue {
        step: usize,
        name: String,
        attempt: u32,
        command: CommandId,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
    },
    /// A result for an attempt that the run no longer waits for, or a second refusal of one that the host has seen.
    LateResult {
        step: usize,
        result: CommandOutcome,
    },
    WatchBegun {
        step: usize,
        name: String,
        condition: String,
        held: i64,
        until: Millis,
    },
    WatchEnded {
        step: usize,
        name: String,
        held: bool,
        detail: String,
    },
    /// The last step is done; the condition that opened the incident must become false.
    Verifying {
        until: Millis,
    },
    RollbackBegun {
        steps: usize,
    },
    Succeeded {
        verified: bool,
    },
    Failed {
        why: String,
    },
    /// A step's outcome is unknown and it may not be sent again: a person decides.
    OutcomeUnknown {
        step: usize,
        name: String,
        why: String,
    },
    Stopped {
        note: String,
    },
    /// It never began, and no longer needs to.
    Cancelled {
        why: String,
    },
    /// What it mended came back soon after: counts as failure.
    CameBack {
        incident: IncidentId,
        after_ms: i64,
    },
}
