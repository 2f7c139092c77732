//! What people do to problems.

use std::collections::BTreeSet;

use super::members::{self, Beginning, tell};
use super::parts;
use super::{Action, Evidence, EvidenceKind, Link, Origin, Problem, ProblemFact, State, Workaround, flow};
use crate::ids::{IncidentId, ProblemId};
use crate::input::ActBody;
use crate::work::Work;
use crate::{Actor, Refusal, TimerKind};

/// Incidents that one act may name.
const NAMED_MOST: usize = 100;
/// Bytes of a title, and of a workaround.
const TITLE_BYTES: usize = 200;
const WORKAROUND_BYTES: usize = 4_000;

/// Does one of the problem acts.
///
/// Errors: `unknown`, `not_allowed_in_state`, `missing`, `invalid`; then nothing was changed.
pub(crate) fn act(work: &mut Work<'_>, who: &str, act: &ActBody) -> Result<(), Refusal> {
    match act {
        ActBody::ProblemCreate { incidents, title, note } => create(work, who, incidents, title, note),
        ActBody::ProblemJoin { problem, incidents, note } => join(work, who, *problem, incidents, note),
        ActBody::ProblemMerge { problem, into, note } => merge(work, who, *problem, *into, note),
        ActBody::ProblemSplit { problem, incidents, note } => split(work, who, *problem, incidents, note),
        ActBody::ProblemInvestigate { problem, note } => moves(work, who, *problem, Action::Investigate, note),
        ActBody::ProblemKnownError { problem, workaround, note } => known_error(work, who, *problem, workaround, note),
        ActBody::ProblemAssign { problem, assignee, group, note } => {
            assign(work, who, *problem, assignee.as_deref(), group.as_deref(), note)
        }
        ActBody::ProblemFix { problem, note } => moves(work, who, *problem, Action::Fix, note),
        ActBody::ProblemResolve { problem, note } => {
            moves(work, who, *problem, Action::Resolve, note)?;
            let close_at = work.at.plus(work.config.settings.close_after);
            work.set_timer(close_at, TimerKind::ProblemClose { problem: *problem });
            Ok(())
        }
        ActBody::ProblemReopen { problem, note } => {
            moves(work, who, *problem, Action::Reopen, note)?;
            work.clear_timer(&TimerKind::ProblemClose { problem: *problem });
            Ok(())
        }
        ActBody::ProblemClose { problem, note } => close(work, who, *problem, note),
        ActBody::ProblemCancel { problem, note } => {
            allowed(work, *problem, Action::Cancel, note)?;
            parts::disband(work, *problem, person(who), note);
            members::move_to(work, *problem, Action::Cancel, person(who), note, Vec::new());
            Ok(())
        }
        ActBody::ProblemNote { problem, note } => {
            allowed(work, *problem, Action::Note, note)?;
            tell(work, *problem, person(who), Vec::new(), ProblemFact::Noted { note: note.clone() });
            Ok(())
        }
        other => Err(Refusal::new("invalid", format!("{other:?} is not an act on a problem"))),
    }
}

fn person(who: &str) -> Actor {
    Actor::Person(who.to_owned())
}

/// The problem, where the action is allowed and what it needs is filled in.
fn allowed<'w>(work: &'w Work<'_>, id: ProblemId, action: Action, note: &str) -> Result<&'w Problem, Refusal> {
    let Some(problem) = work.desk.problems.get(&id) else {
        let sentence = format!("no problem {id} is open or lately resolved; closed ones stay as they are");
        return Err(Refusal::new("unknown", sentence));
    };
    let line = flow::FLOW
        .line(problem.state, action)
        .map_err(|error| Refusal::new("not_allowed_in_state", format!("{id}: {error}")))?;
    if line.needs.contains(&"note") && note.trim().is_empty() {
        return Err(Refusal::new("missing", format!("{id}: say in a note why, to {action} it")));
    }
    Ok(problem)
}

fn moves(work: &mut Work<'_>, who: &str, id: ProblemId, action: Action, note: &str) -> Result<(), Refusal> {
    allowed(work, id, action, note)?;
    members::move_to(work, id, action, person(who), note, Vec::new());
    Ok(())
}

fn assign(
    work: &mut Work<'_>,
    who: &str,
    id: ProblemId,
    assignee: Option<&str>,
    group: Option<&str>,
    note: &str,
) -> Result<(), Refusal> {
    allowed(work, id, Action::Assign, note)?;
    let named = |name: Option<&str>| name.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
    let (assignee, group) = (named(assignee), named(group));
    if assignee.is_none() && group.is_none() {
        return Err(Refusal::new("missing", format!("{id}: name an assignee or a group")));
    }
    work.note_problem(id, |problem| {
        problem.assignee = assignee.clone().or_else(|| problem.assignee.take());
        problem.group = group.clone().or_else(|| problem.group.take());
        problem.assigned_by = Some(who.to_owned());
    });
    let note = note.to_owned();
    tell(work, id, person(who), Vec::new(), ProblemFact::Assigned { assignee, group, note });
    Ok(())
}

/// The incidents by number, each once and each one that stands in no other problem.
fn free(work: &Work<'_>, incidents: &[IncidentId], in_problem: Option<ProblemId>) -> Result<Vec<IncidentId>, Refusal> {
    let named: BTreeSet<IncidentId> = incidents.iter().copied().collect();
    if named.is_empty() {
        return Err(Refusal::new("missing", "name the incidents, for example INC-7"));
    }
    if named.len() > NAMED_MOST {
        let sentence = format!("{} incidents are too many for one act; name {NAMED_MOST} at most", named.len());
        return Err(Refusal::new("invalid", sentence));
    }
    for id in &named {
        if !work.desk.incidents.contains_key(id) {
            let sentence = format!("no incident {id} is open or lately resolved; closed ones join no problem");
            return Err(Refusal::new("unknown", sentence));
        }
        let stands_in = members::live_problem_of(work, *id).filter(|problem| Some(*problem) != in_problem);
        if let Some(problem) = stands_in {
            let sentence = format!("{id} stands in {problem}; merge that problem, or split {id} out of it first");
            return Err(Refusal::new("not_allowed_in_state", sentence));
        }
    }
    Ok(named.into_iter().collect())
}

/// Links that a person makes: each incident with the one before.
fn by_hand(work: &Work<'_>, who: &str, incidents: &[IncidentId]) -> Vec<Link> {
    let weight = work.config.settings.joins_from;
    let evidence = Evidence { kind: EvidenceKind::Hand, weight, sentence: format!("{who} put them together") };
    incidents.windows(2).map(|pair| Link::new(pair[0], pair[1], vec![evidence.clone()])).collect()
}

/// What a person puts together is no longer kept apart.
fn reconcile(work: &mut Work<'_>, incidents: &[IncidentId]) {
    for id in incidents {
        if let Some(incident) = work.incident_mut(*id) {
            incident.apart.retain(|other| !incidents.contains(other));
        }
    }
}

fn create(work: &mut Work<'_>, who: &str, incidents: &[IncidentId], title: &str, note: &str) -> Result<(), Refusal> {
    let incidents = free(work, incidents, None)?;
    let title = title.trim();
    let title = (!title.is_empty()).then(|| title[..title.floor_char_boundary(TITLE_BYTES)].to_owned());
    reconcile(work, &incidents);
    let links = by_hand(work, who, &incidents);
    let beginning = Beginning { title, note, ..Beginning::default() };
    members::open(work, Origin::Hand, &incidents, links, person(who), beginning);
    Ok(())
}

fn join(work: &mut Work<'_>, who: &str, id: ProblemId, incidents: &[IncidentId], note: &str) -> Result<(), Refusal> {
    let problem = allowed(work, id, Action::Join, note)?;
    let first = problem.incidents.first().copied();
    let there: Vec<IncidentId> = problem.incidents.iter().copied().collect();
    let joining = free(work, incidents, Some(id))?;
    if let Some(known) = joining.iter().find(|incident| there.contains(incident)) {
        return Err(Refusal::new("not_allowed_in_state", format!("{known} stands in {id} already")));
    }
    reconcile(work, &there.into_iter().chain(joining.iter().copied()).collect::<Vec<_>>());
    let together: Vec<IncidentId> = first.into_iter().chain(joining.iter().copied()).collect();
    let links = by_hand(work, who, &together);
    members::join(work, id, &joining, links, person(who));
    if !note.trim().is_empty() {
        tell(work, id, person(who), Vec::new(), ProblemFact::Noted { note: note.to_owned() });
    }
    Ok(())
}

fn merge(work: &mut Work<'_>, who: &str, from: ProblemId, into: ProblemId, note: &str) -> Result<(), Refusal> {
    if from == into {
        return Err(Refusal::new("invalid", format!("{from} cannot become part of itself; name another problem")));
    }
    let all: Vec<IncidentId> = [allowed(work, from, Action::Merge, note)?, allowed(work, into, Action::Join, note)?]
        .into_iter()
        .flat_map(|problem| problem.incidents.iter().copied())
        .collect();
    reconcile(work, &all);
    parts::merge(work, from, into, person(who), note);
    Ok(())
}

fn split(work: &mut Work<'_>, who: &str, id: ProblemId, incidents: &[IncidentId], note: &str) -> Result<(), Refusal> {
    let problem = allowed(work, id, Action::Split, note)?;
    let out: BTreeSet<IncidentId> = incidents.iter().copied().collect();
    if out.is_empty() {
        return Err(Refusal::new("missing", format!("{id}: name the incidents to take out")));
    }
    if let Some(stranger) = out.iter().find(|incident| !problem.incidents.contains(incident)) {
        return Err(Refusal::new("invalid", format!("{stranger} does not stand in {id}")));
    }
    if out.len() == problem.incidents.len() {
        let sentence = format!("{id}: that would take out every incident; cancel the problem instead");
        return Err(Refusal::new("invalid", sentence));
    }
    let out: Vec<IncidentId> = out.into_iter().collect();
    parts::split(work, id, &out, person(who), note);
    Ok(())
}

fn known_error(work: &mut Work<'_>, who: &str, id: ProblemId, text: &str, note: &str) -> Result<(), Refusal> {
    let problem = allowed(work, id, Action::KnownError, note)?;
    let (from, incidents) = (problem.state, problem.incidents.clone());
    let text = text.trim();
    if text.is_empty() {
        let sentence = format!("{id}: a known error needs a workaround: say how to live with it until it is mended");
        return Err(Refusal::new("missing", sentence));
    }
    let text = text[..text.floor_char_boundary(WORKAROUND_BYTES)].to_owned();
    let workaround = Workaround { text: text.clone(), by: who.to_owned(), at: work.at };
    work.note_problem(id, |problem| {
        problem.state = State::KnownError;
        problem.workaround = Some(workaround);
    });
    let fact = ProblemFact::Moved {
        action: Action::KnownError,
        from,
        to: State::KnownError,
        workaround: Some(text.clone()),
        note: note.to_owned(),
    };
    tell(work, id, person(who), Vec::new(), fact);
    let incidents: Vec<IncidentId> = incidents.into_iter().collect();
    parts::show_workaround(work, id, &incidents, &person(who));
    Ok(())
}

fn close(work: &mut Work<'_>, who: &str, id: ProblemId, note: &str) -> Result<(), Refusal> {
    let problem = allowed(work, id, Action::Close, note)?;
    let known = problem.incidents.iter().filter_map(|id| work.desk.incidents.get(id));
    if let Some(open) = known.into_iter().find(|incident| incident.state.is_open()) {
        let sentence = format!("{id}: {} is still open; resolve it first, or split it out of the problem", open.id);
        return Err(Refusal::new("not_allowed_in_state", sentence));
    }
    work.clear_timer(&TimerKind::ProblemClose { problem: id });
    members::move_to(work, id, Action::Close, person(who), note, Vec::new());
    Ok(())
}
