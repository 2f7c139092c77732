//! When a run may begin or go on: its guards are asked, and it is woken when one of them may have changed its mind.

use super::{Action, Run, RunFact, State, Wait, end, guards, steps};
use crate::ids::{IncidentId, RunId};
use crate::work::Work;
use crate::{Actor, TimerKind, changes};

/// Begins the run unless a guard holds it.
pub(super) fn proceed(work: &mut Work<'_>, id: RunId) {
    let Some(run) = work.desk.runs.get(&id) else { return };
    if !matches!(run.state, State::Planned | State::Waiting) {
        return;
    }
    if let Some(held) = guards::held(work, run) {
        end::step(work, id, Action::Wait);
        return wait(work, id, held);
    }
    begin(work, id);
}

/// Notes why the run waits, once for each reason, and when it looks again.
pub(super) fn wait(work: &mut Work<'_>, id: RunId, wait: Wait) {
    let Some(run) = work.run_mut(id) else { return };
    let known = run.waiting.as_ref() == Some(&wait);
    run.waiting = Some(wait.clone());
    work.clear_timer(&TimerKind::RunWake { run: id });
    if let Some(until) = wait.until {
        work.set_timer(until, TimerKind::RunWake { run: id });
    }
    if !known {
        steps::tell(work, id, Actor::Controller, vec![wait.reason.clone()], RunFact::Waiting { wait });
    }
}

fn begin(work: &mut Work<'_>, id: RunId) {
    if end::step(work, id, Action::Start).is_none() {
        return;
    }
    let at = work.at;
    work.clear_timer(&TimerKind::RunWake { run: id });
    let Some(run) = work.run_mut(id) else { return };
    run.waiting = None;
    run.started_at = Some(at);
    let (change, plan_hash) = (run.change, run.plan_hash.clone());
    changes::step(work, change, changes::Action::Implement, Actor::Run(id));
    steps::tell(work, id, Actor::Run(id), Vec::new(), RunFact::Started { plan_hash });
    steps::advance(work, id);
}

/// Something that held the run may be over.
pub(crate) fn wake(work: &mut Work<'_>, id: RunId) {
    let Some(run) = work.desk.runs.get(&id) else { return };
    match run.state {
        State::Waiting => proceed(work, id),
        State::Running | State::RollingBack if run.waiting.is_some() => steps::advance(work, id),
        _ => {}
    }
}

/// The host's lock is free, or its agent is back.
pub(crate) fn wake_host(work: &mut Work<'_>, agent: &str) {
    let held: Vec<RunId> = work.desk.index.runs_on(agent).filter(|id| is_held(work.desk.runs.get(id))).collect();
    held.into_iter().for_each(|id| wake(work, id));
}

/// The stop switch is off, or another configuration is in force.
pub(crate) fn wake_all(work: &mut Work<'_>) {
    let held: Vec<RunId> = work.desk.runs.values().filter(|run| is_held(Some(run))).map(|run| run.id).collect();
    held.into_iter().for_each(|id| wake(work, id));
}

fn is_held(run: Option<&Run>) -> bool {
    run.is_some_and(|run| run.waiting.is_some() && !run.state.is_over())
}

/// An alert of the incident fires again: runs that waited because it had cleared may begin.
pub(crate) fn alert_fired(work: &mut Work<'_>, incident: IncidentId) {
    for id in end::runs_of(work, incident, |run| is_held(Some(run))) {
        wake(work, id);
    }
}
