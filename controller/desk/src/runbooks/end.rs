//! How runs end: verified, failed, rolled back, lost track of, stopped.

use watchkeep_rules::model::Hook;

use super::{Action, Run, RunFact, State, StepState, flow, guards, steps, wake_host};
use crate::ids::{IncidentId, RunId};
use crate::incidents;
use crate::time::spoken as length;
use crate::work::Work;
use crate::{Actor, Millis, Reason, TimerKind, changes};

/// Moves the run; a pair that the flow refuses changes nothing and gives `None`.
pub(super) fn step(work: &mut Work<'_>, id: RunId, action: Action) -> Option<State> {
    let run = work.run_mut(id)?;
    let state = flow::FLOW.step(run.state, action).ok()?;
    run.state = state;
    Some(state)
}

/// Whether what the run should mend is known to be mended: its alert, or all of the incident's. None: there is nothing to look at.
pub(super) fn is_clear(work: &Work<'_>, run: &Run) -> Option<bool> {
    let incident = work.desk.incidents.get(&run.incident?)?;
    let own = run.alert.as_ref().and_then(|labels| incident.alerts.iter().find(|alert| alert.labels == *labels));
    Some(own.map_or_else(|| incident.all_clear(), incidents::MemberAlert::is_clear))
}

/// The last step of the phase is done.
pub(super) fn steps_done(work: &mut Work<'_>, id: RunId) {
    let Some(run) = work.desk.runs.get(&id) else { return };
    if run.state == State::RollingBack {
        let why = run.outcome.as_ref().map_or("it failed", |reason| reason.sentence.as_str());
        let reason = Reason::new("rollback", format!("{why}; what it had done was rolled back"));
        return failed(work, id, reason);
    }
    match (is_clear(work, run), run.plan.verify_within) {
        (Some(true), Some(_)) => succeed(work, id, true),
        (Some(false), Some(within)) => verify(work, id, within),
        (None, _) | (_, None) => succeed(work, id, false),
    }
}

fn verify(work: &mut Work<'_>, id: RunId, within: i64) {
    let until = work.at.plus(within);
    if step(work, id, Action::Verify).is_none() {
        return;
    }
    if let Some(run) = work.run_mut(id) {
        run.verify_until = Some(until);
    }
    work.set_timer(until, TimerKind::VerifyOverdue { run: id });
    steps::tell(work, id, Actor::Run(id), Vec::new(), RunFact::Verifying { until });
}

/// An alert of the incident cleared: runs that wait for that have succeeded.
pub(crate) fn condition_changed(work: &mut Work<'_>, incident: IncidentId) {
    for id in runs_of(work, incident, |run| run.state == State::Verifying) {
        if work.desk.runs.get(&id).and_then(|run| is_clear(work, run)) == Some(true) {
            succeed(work, id, true);
        }
    }
}

/// The incident's runs that are so, oldest first.
pub(super) fn runs_of(work: &Work<'_>, incident: IncidentId, so: impl Fn(&Run) -> bool) -> Vec<RunId> {
    let runs = work.desk.incidents.get(&incident).map(|incident| incident.runs.as_slice()).unwrap_or_default();
    runs.iter().copied().filter(|id| work.desk.runs.get(id).is_some_and(&so)).collect()
}

/// `verify_within` is over.
pub(crate) fn verify_overdue(work: &mut Work<'_>, id: RunId) {
    let Some(run) = work.desk.runs.get(&id).filter(|run| run.state == State::Verifying) else { return };
    let within = length(run.plan.verify_within.unwrap_or(0));
    let why =
        format!("all its steps are done, but the condition that opened the incident is still true after {within}");
    step_failed(work, id, Reason::new("verify", why));
}

fn succeed(work: &mut Work<'_>, id: RunId, verified: bool) {
    if step(work, id, Action::Succeed).is_none() {
        return;
    }
    let sentence = if verified { "the condition that opened the incident is false" } else { "its last step is done" };
    let reason = Reason::new("verify", sentence);
    let Some(change) = finish(work, id, Some(reason.clone())) else { return };
    steps::tell(work, id, Actor::Run(id), vec![reason], RunFact::Succeeded { verified });
    changes::step(work, change, changes::Action::Review, Actor::Run(id));
    changes::step(work, change, changes::Action::Close, Actor::Run(id));
    hooks(work, id, true);
    leave(work, id);
}

/// A step cannot be done: rolls back where there is something to undo and a way to, else the run has failed.
pub(super) fn step_failed(work: &mut Work<'_>, id: RunId, reason: Reason) {
    let Some(run) = work.run_mut(id) else { return };
    if run.state == State::RollingBack {
        let first = run.outcome.as_ref().map_or_else(String::new, |reason| format!("{}; ", reason.sentence));
        return failed(
            work,
            id,
            Reason::new("rollback", format!("{first}and its rollback failed: {}", reason.sentence)),
        );
    }
    let begun = run.journal.iter().any(|step| step.attempts > 0 && step.state != StepState::Watching);
    let first = run.plan.steps.iter().position(|step| step.rollback).filter(|_| begun);
    let Some(first) = first else { return failed(work, id, reason) };
    let steps_left = run.plan.steps.len() - first;
    run.step = first;
    run.outcome = Some(reason.clone());
    clear_timers(work, id);
    if step(work, id, Action::RollBack).is_some() {
        steps::tell(work, id, Actor::Run(id), vec![reason], RunFact::RollbackBegun { steps: steps_left });
        steps::advance(work, id);
    }
}

/// The run has failed, and nothing more is done, not even a rollback: its plan no longer stands.
pub(super) fn fail(work: &mut Work<'_>, id: RunId, reason: Reason) {
    failed(work, id, reason);
}

fn failed(work: &mut Work<'_>, id: RunId, reason: Reason) {
    if step(work, id, Action::Fail).is_none() {
        return;
    }
    let why = reason.sentence.clone();
    let Some(change) = finish(work, id, Some(reason.clone())) else { return };
    steps::tell(work, id, Actor::Run(id), vec![reason], RunFact::Failed { why: why.clone() });
    // A run that failed before it began leaves a change that was never made.
    let not_begun = work.desk.runs.get(&id).is_none_or(|run| run.started_at.is_none());
    let action = if not_begun { changes::Action::Cancel } else { changes::Action::Fail };
    changes::step(work, change, action, Actor::Run(id));
    changes::measure(work, change, false, why.clone());
    hooks(work, id, false);
    escalate(work, id, "run_failed", Reason::new("run", format!("{id} failed: {why}")));
    leave(work, id);
}

/// A person is needed: handed over on the incident, and told, unless the runbook's own hook has told somebody.
fn escalate(work: &mut Work<'_>, id: RunId, why: &str, reason: Reason) {
    let Some(run) = work.desk.runs.get(&id) else { return };
    let runbook = work.config.rules.runbooks.get(&run.runbook);
    let told = runbook.is_some_and(|book| book.on_failure.iter().any(|hook| matches!(hook, Hook::Notify { .. })));
    let told = told && run.state == State::Failed;
    let Some(incident) = run.incident else { return };
    incidents::hand_over(work, incident, Actor::Run(id), reason);
    if !told {
        incidents::page(work, incident, why, None);
    }
}

/// Nobody knows how the step ended, and it may not be sent again: a person decides. The host stays locked.
pub(super) fn lose_track(work: &mut Work<'_>, id: RunId, reason: Reason) {
    if step(work, id, Action::LoseTrack).is_none() {
        return;
    }
    let Some(run) = work.run_mut(id) else { return };
    let at_step = run.step;
    run.journal[at_step].state = StepState::Unknown;
    run.outcome = Some(reason.clone());
    let (name, why) = (run.journal[at_step].name.clone(), reason.sentence.clone());
    let fact = RunFact::OutcomeUnknown { step: at_step, name, why: why.clone() };
    steps::tell(work, id, Actor::Controller, vec![reason], fact);
    escalate(work, id, "run_unknown", Reason::new("run", format!("{id} stands: {why}")));
}

/// A person stops it, whether it has begun or not.
pub(super) fn stopped(work: &mut Work<'_>, id: RunId, who: &str, note: &str) {
    let going = work.desk.runs.get(&id).is_some_and(|run| run.state.is_going());
    if !going {
        return cancelled(work, id, Actor::Person(who.to_owned()), format!("stopped by {who}: {note}"));
    }
    if step(work, id, Action::Stop).is_none() {
        return;
    }
    let reason = Reason::new("stop", format!("stopped by {who}: {note}"));
    let why = reason.sentence.clone();
    let Some(change) = finish(work, id, Some(reason)) else { return };
    let by = Actor::Person(who.to_owned());
    steps::tell(work, id, by.clone(), Vec::new(), RunFact::Stopped { note: note.to_owned() });
    changes::step(work, change, changes::Action::Fail, by);
    changes::measure(work, change, false, why);
    leave(work, id);
}

/// It never began, and no longer needs to.
pub(super) fn cancelled(work: &mut Work<'_>, id: RunId, by: Actor, why: String) {
    if step(work, id, Action::Cancel).is_none() {
        return;
    }
    let Some(change) = finish(work, id, Some(Reason::new("cancel", why.clone()))) else { return };
    steps::tell(work, id, by.clone(), Vec::new(), RunFact::Cancelled { why });
    changes::step(work, change, changes::Action::Cancel, by);
}

/// Approval was refused, or not given in time.
pub(super) fn not_approved(work: &mut Work<'_>, id: RunId, action: Action, by: Actor, fact: RunFact, why: String) {
    if step(work, id, action).is_none() {
        return;
    }
    let Some(change) = finish(work, id, Some(Reason::new("approval", why.clone()))) else { return };
    steps::tell(work, id, by.clone(), Vec::new(), fact);
    let of_change = if action == Action::Reject { changes::Action::Reject } else { changes::Action::Cancel };
    changes::step(work, change, of_change, by);
    if let Some(incident) = work.desk.runs.get(&id).and_then(|run| run.incident) {
        incidents::hand_over(work, incident, Actor::Run(id), Reason::new("approval", format!("{id}: {why}")));
    }
}

/// The incident is resolved, closed or cancelled: what has not begun for it is not needed any more.
pub(crate) fn incident_over(work: &mut Work<'_>, incident: IncidentId) {
    for id in runs_of(work, incident, |run| !run.state.is_over() && !run.state.is_going()) {
        cancelled(work, id, Actor::Controller, format!("{incident} is over"));
    }
}

/// What every end has in common: the record, its timers, and the time until guards forget it.
fn finish(work: &mut Work<'_>, id: RunId, outcome: Option<Reason>) -> Option<crate::ids::ChangeId> {
    clear_timers(work, id);
    let at = work.at;
    let run = work.run_mut(id)?;
    run.finished_at = Some(at);
    run.waiting = None;
    run.verify_until = None;
    run.outcome = outcome;
    let (runbook, change) = (run.runbook.clone(), run.change);
    let settle_at = at.plus(guards::remembered(work, &runbook));
    work.set_timer(settle_at, TimerKind::RunSettle { run: id });
    Some(change)
}

fn clear_timers(work: &mut Work<'_>, id: RunId) {
    let attempts =
        work.desk.runs.get(&id).map(|run| run.journal.iter().map(|step| step.attempts).enumerate().collect::<Vec<_>>());
    for (step, attempt) in attempts.unwrap_or_default() {
        work.clear_timer(&TimerKind::StepOverdue { run: id, step, attempt });
    }
    for kind in
        [TimerKind::VerifyOverdue { run: id }, TimerKind::ApprovalExpired { run: id }, TimerKind::RunWake { run: id }]
    {
        work.clear_timer(&kind);
    }
}

/// The lock of the host is free, and what the incident waited for is over.
fn leave(work: &mut Work<'_>, id: RunId) {
    let Some((incident, agent)) = work.desk.runs.get(&id).map(|run| (run.incident, run.agent.clone())) else { return };
    if let Some(incident) = incident {
        incidents::run_ended(work, incident);
    }
    wake_host(work, &agent);
}

fn hooks(work: &mut Work<'_>, id: RunId, succeeded: bool) {
    let Some(run) = work.desk.runs.get(&id) else { return };
    let (Some(incident), Some(runbook)) = (run.incident, work.config.rules.runbooks.get(&run.runbook)) else { return };
    let (hooks, why) =
        if succeeded { (&runbook.on_success, "run_succeeded") } else { (&runbook.on_failure, "run_failed") };
    for hook in hooks {
        match hook {
            Hook::Notify { group } => incidents::page(work, incident, why, Some(group)),
            Hook::IncidentState { state } => incidents::move_by_run(work, incident, id, state),
        }
    }
}

/// Long enough ago that no guard and no measure looks at it: the desk lets go of the run and its change.
pub(crate) fn settle(work: &mut Work<'_>, id: RunId) {
    const LATER: i64 = 60 * 60 * 1_000;
    let at: Millis = work.at;
    let Some(run) = work.desk.runs.get(&id) else { return };
    let (change, incident) = (run.change, run.incident);
    let open = incident.and_then(|id| work.desk.incidents.get(&id)).is_some_and(|incident| incident.state.is_open());
    if open {
        // How that incident is resolved still depends on it.
        return work.set_timer(at.plus(LATER), TimerKind::RunSettle { run: id });
    }
    if let Some(run) = work.run_mut(id) {
        run.settled_at = Some(at);
    }
    changes::settle(work, change);
}
