//! Problems become one, and come apart again.

use std::collections::BTreeSet;

use super::members::{self, Beginning, enter, leave, settle, tell, wake};
use super::record::{INCIDENTS_MAX, KEYS_MAX, LINKS_MAX, PART_TIMELINE, PARTS_MAX};
use super::{Action, Link, Origin, Paging, Part, Problem, ProblemFact, State, page};
use crate::ids::{IncidentId, ProblemId};
use crate::incidents::IncidentFact;
use crate::work::Work;
use crate::{Actor, FactBody, Subject, TimerKind};

/// Makes one problem part of another, with as many of its incidents as have room; the others stand by themselves.
pub(super) fn merge(work: &mut Work<'_>, from: ProblemId, into: ProblemId, actor: Actor, note: &str) {
    let (Some(problem), Some(target)) = (work.desk.problems.get(&from).cloned(), work.desk.problems.get(&into)) else {
        return;
    };
    let room = INCIDENTS_MAX.saturating_sub(target.incidents.len());
    let members: Vec<IncidentId> = target.incidents.iter().copied().collect();
    let taken: BTreeSet<IncidentId> = problem.incidents.iter().copied().take(room).collect();
    for incident in problem.incidents.difference(&taken) {
        leave(work, from, *incident, actor.clone(), &format!("{into} has no room for it"));
    }
    let part = end(work, &problem, &taken, into, actor.clone(), note);
    let incidents: Vec<IncidentId> = taken.into_iter().collect();
    take_in(work, into, &problem, part);
    let fact = ProblemFact::TookIn { problem: from, incidents: incidents.clone(), note: note.to_owned() };
    tell(work, into, actor.clone(), Vec::new(), fact);
    advance(work, into, &problem, &actor);
    for incident in incidents {
        enter(work, into, incident, actor.clone());
    }
    show_workaround(work, into, &members, &actor);
    page::inherit(work, into, &problem.paging);
    wake(work, into);
    settle(work, into);
}

/// Closes a problem that becomes part of another; what is kept of it there.
fn end(
    work: &mut Work<'_>,
    problem: &Problem,
    taken: &BTreeSet<IncidentId>,
    into: ProblemId,
    actor: Actor,
    note: &str,
) -> Option<Part> {
    let (from, at) = (problem.id, work.at);
    work.clear_timer(&TimerKind::ProblemPage { problem: from });
    work.clear_timer(&TimerKind::ProblemClose { problem: from });
    work.note_problem(from, |problem| {
        problem.state = State::Closed;
        problem.closed_at = Some(at);
        problem.merged_into = Some(into);
        problem.paging = Paging::default();
    });
    tell(work, from, actor, Vec::new(), ProblemFact::Merged { into, note: note.to_owned() });
    let target = work.desk.problems.get(&into)?;
    let is_further = problem.state.is_open() && target.state.is_open() && problem.state > target.state;
    let (before, gave_workaround) =
        (is_further.then_some(target.state), target.workaround.is_none() && problem.workaround.is_some());
    let mut kept = work.desk.problems.get(&from)?.clone();
    (kept.state, kept.closed_at, kept.merged_into) = (problem.state, None, None);
    kept.incidents.clone_from(taken);
    (kept.links, kept.parts) = (Vec::new(), Vec::new());
    let surplus = kept.timeline.len().saturating_sub(PART_TIMELINE);
    kept.timeline.drain(..surplus);
    kept.timeline_before += surplus as u64;
    Some(Part { problem: Box::new(kept), before, gave_workaround })
}

fn take_in(work: &mut Work<'_>, into: ProblemId, problem: &Problem, part: Option<Part>) {
    work.edit_problem(into, |record| {
        record.incidents.extend(part.iter().flat_map(|part| part.problem.incidents.iter().copied()));
        record.keys.extend(problem.keys.iter().take(KEYS_MAX.saturating_sub(record.keys.len())).cloned());
        let inside = problem
            .links
            .iter()
            .filter(|link| record.incidents.contains(&link.a) && record.incidents.contains(&link.b));
        record.links.extend(inside.cloned());
        record.links.sort_by_key(|link| (std::cmp::Reverse(link.weight), link.a, link.b));
        record.links.truncate(LINKS_MAX);
        record.workaround = record.workaround.take().or_else(|| problem.workaround.clone());
        record.parts.extend(part);
        let surplus = record.parts.len().saturating_sub(PARTS_MAX);
        record.parts.drain(..surplus);
    });
}

/// What was known of one is known of both: the state that is further holds.
fn advance(work: &mut Work<'_>, into: ProblemId, problem: &Problem, actor: &Actor) {
    let Some(state) = work.desk.problems.get(&into).map(|target| target.state) else { return };
    let action = match problem.state {
        State::Investigating => Action::Investigate,
        State::KnownError => Action::KnownError,
        State::FixInProgress => Action::Fix,
        _ => return,
    };
    if state.is_open() && problem.state > state {
        let note = format!("as {} was", problem.id);
        members::move_to(work, into, action, actor.clone(), &note, Vec::new());
    }
}

/// Puts the problem's workaround onto incidents of it that show another, or none.
pub(super) fn show_workaround(work: &mut Work<'_>, id: ProblemId, incidents: &[IncidentId], actor: &Actor) {
    let workaround = work.desk.problems.get(&id).and_then(|problem| problem.workaround.as_ref());
    let Some(text) = workaround.map(|workaround| workaround.text.clone()) else { return };
    for incident in incidents {
        let other = |record: &&mut crate::incidents::Incident| record.workaround.as_ref() != Some(&text);
        let Some(record) = work.incident_mut(*incident).filter(other) else { continue };
        record.workaround = Some(text.clone());
        let body = FactBody::Incident(IncidentFact::WorkaroundKnown { problem: id, workaround: text.clone() });
        work.tell(Subject::Incident(*incident), actor.clone(), Vec::new(), body);
    }
}

/// Takes incidents out of a problem; the engine does not put them back. Exactly what a merge brought in is the problem again
/// that it was; else several stay together, as a problem of their own.
pub(super) fn split(work: &mut Work<'_>, id: ProblemId, out: &[IncidentId], actor: Actor, note: &str) {
    let Some(problem) = work.desk.problems.get(&id) else { return };
    let workaround = problem.workaround.clone();
    let stay: BTreeSet<IncidentId> = problem.incidents.iter().copied().filter(|known| !out.contains(known)).collect();
    let keys = stay.iter().filter_map(|id| work.desk.incidents.get(id)).map(|known| known.key.clone()).collect();
    let is_out = |link: &Link| out.contains(&link.a) && out.contains(&link.b);
    let links: Vec<Link> = problem.links.iter().filter(|link| is_out(link)).cloned().collect();
    let is_part = |part: &Part| part.problem.incidents.iter().eq(out.iter());
    let part = problem.parts.iter().rev().find(|part| is_part(part)).cloned();
    work.edit_problem(id, |problem| {
        problem.incidents.clone_from(&stay);
        problem.keys = keys;
        problem.links.retain(|link| stay.contains(&link.a) && stay.contains(&link.b));
        // What is no longer there whole does not come back.
        problem.parts.retain(|part| part.problem.incidents.is_subset(&stay));
    });
    if part.is_none() {
        let fact = ProblemFact::Split { incidents: out.to_vec(), note: note.to_owned() };
        tell(work, id, actor.clone(), Vec::new(), fact);
    }
    for incident in out {
        leave(work, id, *incident, actor.clone(), note);
        if let Some(record) = work.incident_mut(*incident) {
            record.apart.extend(&stay);
        }
    }
    match part {
        Some(part) => bring_back(work, id, part, links, &actor, note),
        None if out.len() > 1 => {
            members::open(
                work,
                Origin::Hand,
                out,
                links,
                actor,
                Beginning { workaround, note, ..Beginning::default() },
            );
        }
        None => {}
    }
    settle(work, id);
    members::over(work, id);
}

/// Undoes a merge: each of the two is as it was before, as far as that was the merge's doing.
fn bring_back(work: &mut Work<'_>, id: ProblemId, part: Part, links: Vec<Link>, actor: &Actor, note: &str) {
    let Part { problem, before, gave_workaround } = part;
    let incidents: Vec<IncidentId> = problem.incidents.iter().copied().collect();
    let Some(known) = work.desk.problems.get(&id) else { return };
    let members = known.incidents.clone();
    let takes_back = gave_workaround && known.workaround == problem.workaround;
    let to = before.filter(|_| known.state == problem.state).unwrap_or(known.state);
    work.note_problem(id, |record| {
        record.state = to;
        record.workaround = record.workaround.take().filter(|_| !takes_back);
    });
    for incident in members.iter().filter(|_| takes_back) {
        if let Some(record) = work.incident_mut(*incident) {
            record.workaround = None;
        }
    }
    let fact = ProblemFact::GaveBack { problem: problem.id, incidents: incidents.clone(), to, note: note.to_owned() };
    tell(work, id, actor.clone(), Vec::new(), fact);
    let (back, state) = (problem.id, problem.state);
    work.add_problem(Problem { links, paging: Paging::default(), ..*problem });
    let fact = ProblemFact::CameBack { from: id, incidents: incidents.clone(), to: state, note: note.to_owned() };
    tell(work, back, actor.clone(), Vec::new(), fact);
    for incident in incidents {
        enter(work, back, incident, actor.clone());
    }
    if state == State::Resolved {
        work.set_timer(work.at.plus(work.config.settings.close_after), TimerKind::ProblemClose { problem: back });
    }
    wake(work, back);
    settle(work, back);
}

/// Lets every incident go: the problem was none. What nobody has been told of tells of itself.
pub(super) fn disband(work: &mut Work<'_>, id: ProblemId, actor: Actor, note: &str) {
    let Some(problem) = work.desk.problems.get(&id) else { return };
    let all = problem.incidents.clone();
    for incident in &all {
        leave(work, id, *incident, actor.clone(), note);
        if let Some(record) = work.incident_mut(*incident) {
            record.apart.extend(all.iter().copied().filter(|other| other != incident));
        }
    }
    work.clear_timer(&TimerKind::ProblemPage { problem: id });
    work.note_problem(id, |problem| problem.paging = Paging::default());
}
