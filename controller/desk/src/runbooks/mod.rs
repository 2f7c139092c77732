//! Runbook runs: planned, hashed, guarded, journalled, verified.
//!
//! [`Run`] is the record, [`RunFact`] what happens to it, [`flow::FLOW`] its states as a table, [`Plan`] what will be done
//! where, with the hash that is approved. A run is asked for in `start`, has its turn in `turn` when `guards` let it, goes
//! step by step in `steps` and `results`, and ends in `end`. Other practices call what is named here and nothing else.

mod acts;
mod end;
mod fact;
pub mod flow;
mod guards;
mod params;
mod plan;
mod record;
mod results;
mod sight;
mod start;
mod steps;
mod template;
mod turn;

use serde_json::{Value, json};

pub(crate) use acts::{approval_expired, approve, reject, stop};
use end::is_clear;
pub(crate) use end::{condition_changed, incident_over, settle, verify_overdue};
pub use fact::RunFact;
pub use flow::{Action, State, table};
pub use plan::{PlanError, hash_of, plan};
pub use record::{Plan, PlannedAction, PlannedStep, Run, StepRun, StepState, Wait, Watch};
pub(crate) use results::{enrolled_again, overdue, result, watched};
pub use sight::Sight;
pub(crate) use start::{Started, start_by_hand, start_for_alert};
pub(crate) use steps::watch_of;
pub(crate) use turn::{alert_fired, wake, wake_all, wake_host};
use turn::{proceed, wait};

use crate::ids::{IncidentId, RunId};
use crate::work::Work;

/// The newest run that succeeded on the incident since it was opened, or last opened again.
pub(crate) fn mended_by(work: &Work<'_>, id: IncidentId) -> Option<RunId> {
    let since = work.desk.incidents.get(&id)?.since;
    let mended = |run: &Run| run.state == State::Succeeded && !run.came_back && run.finished_at >= Some(since);
    end::runs_of(work, id, mended).pop()
}

/// Whether a run on the incident has begun and not ended; one that a person must look at does not count.
pub(crate) fn is_going_on(work: &Work<'_>, id: IncidentId) -> bool {
    !end::runs_of(work, id, |run| run.state.is_going() && run.state != State::Unknown).is_empty()
}

/// A run as a notice tells of it.
pub(crate) fn in_short(run: &Run) -> Value {
    json!({
        "run": run.id,
        "runbook": run.runbook,
        "state": run.state,
        "waiting": run.waiting.as_ref().map(|wait| &wait.reason.sentence),
        "approval_by": run.approval_by,
        "outcome": run.outcome.as_ref().map(|reason| &reason.sentence),
        "plan_hash": run.plan_hash,
        "path": format!("/runs/{}", run.id),
    })
}
