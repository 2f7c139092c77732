//! What people do to runs.

use super::{Action, Run, RunFact, end, flow, proceed, steps};
use crate::ids::RunId;
use crate::work::Work;
use crate::{Actor, Refusal, TimerKind, changes};

fn known<'w>(work: &'w Work<'_>, id: RunId) -> Result<&'w Run, Refusal> {
    work.desk.runs.get(&id).ok_or_else(|| Refusal::new("unknown", format!("no run {id} is going or lately ended")))
}

fn allowed<'w>(work: &'w Work<'_>, id: RunId, action: Action) -> Result<&'w Run, Refusal> {
    let run = known(work, id)?;
    flow::FLOW
        .step(run.state, action)
        .map_err(|error| Refusal::new("not_allowed_in_state", format!("{id}: {error}")))?;
    Ok(run)
}

/// Approves the plan of that hash.
///
/// Errors: `unknown`, `not_allowed_in_state`, `guard` (nobody approves what they asked for), `stale_plan`.
pub(crate) fn approve(work: &mut Work<'_>, who: &str, id: RunId, plan_hash: &str) -> Result<(), Refusal> {
    let run = allowed(work, id, Action::Approve)?;
    if run.asked_by == Actor::Person(who.to_owned()) {
        return Err(Refusal::new("guard", format!("{id}: you asked for it, so somebody else must approve it")));
    }
    if run.plan_hash != plan_hash {
        let sentence = format!(
            "{id}: its plan is {}, not \"{plan_hash}\"; read the plan again before you approve it",
            run.plan_hash
        );
        return Err(Refusal::new("stale_plan", sentence));
    }
    let change = run.change;
    end::step(work, id, Action::Approve);
    if let Some(run) = work.run_mut(id) {
        run.approved_by = Some(who.to_owned());
    }
    work.clear_timer(&TimerKind::ApprovalExpired { run: id });
    let by = Actor::Person(who.to_owned());
    steps::tell(work, id, by.clone(), Vec::new(), RunFact::Approved { plan_hash: plan_hash.to_owned() });
    changes::step(work, change, changes::Action::Approve, by);
    proceed(work, id);
    Ok(())
}

/// Says no to a plan.
///
/// Errors: `unknown`, `not_allowed_in_state`, `missing`.
pub(crate) fn reject(work: &mut Work<'_>, who: &str, id: RunId, note: &str) -> Result<(), Refusal> {
    allowed(work, id, Action::Reject)?;
    if note.trim().is_empty() {
        return Err(Refusal::new("missing", format!("{id}: say in a note why it is rejected")));
    }
    let fact = RunFact::Rejected { note: note.to_owned() };
    end::not_approved(
        work,
        id,
        Action::Reject,
        Actor::Person(who.to_owned()),
        fact,
        format!("rejected by {who}: {note}"),
    );
    Ok(())
}

/// Stops a run; a step that was sent may still end on its host, and its result is kept.
///
/// Errors: `unknown`, `not_allowed_in_state`.
pub(crate) fn stop(work: &mut Work<'_>, who: &str, id: RunId, note: &str) -> Result<(), Refusal> {
    let action = if known(work, id)?.state.is_going() { Action::Stop } else { Action::Cancel };
    allowed(work, id, action)?;
    end::stopped(work, id, who, note);
    Ok(())
}

/// Nobody approved in time.
pub(crate) fn approval_expired(work: &mut Work<'_>, id: RunId) {
    let why = "nobody approved its plan in time".to_owned();
    end::not_approved(work, id, Action::Expire, Actor::Controller, RunFact::Expired, why);
}
