//! The standard change behind a run, and whether it did good.

use super::{Action, Change, ChangeFact, State, Success, flow};
use crate::ids::{ChangeId, IncidentId};
use crate::runbooks::Run;
use crate::time::spoken as length;
use crate::work::Work;
use crate::{Actor, FactBody, Reason, Subject};

/// Opens the change that a run is.
pub(crate) fn open(work: &mut Work<'_>, run: &Run, kind: &str) -> ChangeId {
    let id = ChangeId(work.next_number("change"));
    let of_incident =
        run.incident.and_then(|incident| work.desk.incidents.get(&incident)).and_then(|incident| incident.ci);
    let mut cis: Vec<_> = run.ci.into_iter().chain(of_incident).collect();
    cis.dedup();
    let change = Change {
        id,
        kind: kind.to_owned(),
        template: run.plan.change.clone(),
        title: format!("{} on {}", run.title, run.agent),
        state: State::Draft,
        asked_by: run.asked_by.clone(),
        run: run.id,
        incident: run.incident,
        cis,
        agent: run.agent.clone(),
        opened_at: work.at,
        started_at: None,
        finished_at: None,
        success: None,
        settled_at: None,
    };
    let fact = ChangeFact::Opened {
        kind: change.kind.clone(),
        template: change.template.clone(),
        title: change.title.clone(),
        run: change.run,
        incident: change.incident,
        agent: change.agent.clone(),
        cis: change.cis.clone(),
    };
    let asked_by = change.asked_by.clone();
    work.add_change(change);
    tell(work, id, asked_by, Vec::new(), fact);
    id
}

fn tell(work: &mut Work<'_>, id: ChangeId, actor: Actor, reasons: Vec<Reason>, fact: ChangeFact) {
    work.tell(Subject::Change(id), actor, reasons, FactBody::Change(fact));
}

/// Moves the change with its run; a pair that the flow refuses changes nothing.
pub(crate) fn step(work: &mut Work<'_>, id: ChangeId, action: Action, actor: Actor) {
    let at = work.at;
    let Some(change) = work.change_mut(id) else { return };
    let from = change.state;
    let Ok(to) = flow::FLOW.step(from, action) else { return };
    change.state = to;
    if to == State::Implementing {
        change.started_at = Some(at);
    }
    if to.is_over() {
        change.finished_at = Some(at);
    }
    tell(work, id, actor, Vec::new(), ChangeFact::Moved { action, from, to });
}

/// Enters whether the change did good. What was found bad stays bad; one that was never made is not measured.
pub(crate) fn measure(work: &mut Work<'_>, id: ChangeId, good: bool, why: String) {
    let at = work.at;
    let Some(change) = work.change_mut(id) else { return };
    if change.success.is_some() || flow::FLOW.step(change.state, Action::Measure).is_err() {
        return;
    }
    change.success = Some(Success { good, why: why.clone(), at });
    tell(work, id, Actor::Controller, Vec::new(), ChangeFact::Measured { good, why });
}

/// An incident opened, or opened again: changes made lately to what it is about have done no good.
pub(crate) fn incident_opened(work: &mut Work<'_>, incident: IncidentId) {
    let within = work.config.settings.measured_after;
    let Some((ci, agent)) =
        work.desk.incidents.get(&incident).and_then(|incident| Some((incident.ci?, incident.agent.clone()?)))
    else {
        return;
    };
    let changes =
        work.desk.index.runs_on(&agent).filter_map(|run| work.desk.changes.get(&work.desk.runs.get(&run)?.change));
    let lately = |change: &&Change| {
        let since_end = change.finished_at.map(|finished| work.at.since(finished));
        change.state == State::Closed && change.cis.contains(&ci) && since_end.is_some_and(|since| since <= within)
    };
    let bad: Vec<(ChangeId, i64)> = changes
        .filter(lately)
        .map(|change| (change.id, change.finished_at.map_or(0, |finished| work.at.since(finished))))
        .collect();
    for (change, after) in bad {
        measure(work, change, false, format!("{incident} opened on what it touched {} after its end", length(after)));
    }
}

/// A change whose run settles: it did good if nothing said otherwise; the desk lets go of it.
pub(crate) fn settle(work: &mut Work<'_>, id: ChangeId) {
    let within = length(work.config.settings.measured_after);
    measure(work, id, true, format!("no incident opened on what it touched within {within} of its end"));
    let at = work.at;
    if let Some(change) = work.change_mut(id) {
        change.settled_at = Some(at);
    }
}
