//! Into which problem an incident goes, with those that it is linked with.
//!
//! Linked incidents are one problem. A problem that nobody has taken up grows and is merged as the links say; one that a
//! person has taken up means something by now, and takes in only what its own candidates explain. The rest makes a problem of
//! its own, which names the other.

use super::{Evidence, EvidenceKind, Link, Origin, Problem, State, members, parts};
use crate::ids::{IncidentId, ProblemId};
use crate::incidents::{self, Incident, IncidentFact};
use crate::work::Work;
use crate::{Actor, FactBody, Reason, Subject};

/// Puts the incident and those that it is linked with into one problem.
pub(super) fn unite(work: &mut Work<'_>, id: IncidentId, mut links: Vec<Link>) {
    let own = members::live_problem_of(work, id);
    if own.is_none() {
        links.extend(of_its_key(work, id));
    }
    let strangers = strangers(work, id, &links);
    links.retain(|link| strangers.iter().all(|(_, other)| link.other(id) != *other));
    match problems_of(work, own, id, &links) {
        problems if problems.is_empty() => found(work, id, links, &strangers),
        problems => gather(work, id, &problems, links),
    }
    for (problem, other) in strangers {
        stand_beside(work, id, problem, other);
    }
}

/// Incidents at the other end of links whose problem would not take this one in, each with that problem.
fn strangers(work: &Work<'_>, id: IncidentId, links: &[Link]) -> Vec<(ProblemId, IncidentId)> {
    let own = members::live_problem_of(work, id);
    let linked = links.iter().map(|link| link.other(id));
    let placed = linked.filter_map(|other| Some((members::live_problem_of(work, other)?, other)));
    placed.filter(|(problem, _)| Some(*problem) != own && !takes(work, *problem, id)).collect()
}

/// The problem of the incident, and those of the incidents that it is linked with, the strongest link first.
fn problems_of(work: &Work<'_>, own: Option<ProblemId>, id: IncidentId, links: &[Link]) -> Vec<ProblemId> {
    let mut problems: Vec<ProblemId> = own.into_iter().collect();
    for problem in links.iter().filter_map(|link| members::live_problem_of(work, link.other(id))) {
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
    problems
}

/// Opens a problem of incidents that stand in none.
fn found(work: &mut Work<'_>, id: IncidentId, mut links: Vec<Link>, beside: &[(ProblemId, IncidentId)]) {
    let mut joined = vec![id];
    for other in links.iter().map(|link| link.other(id)) {
        if !members::any_apart(work, other, &joined) {
            joined.push(other);
        }
    }
    if joined.len() < 2 {
        return;
    }
    links.retain(|link| joined.contains(&link.other(id)));
    let note = beside.first().and_then(|(problem, _)| not_explained(work, *problem)).unwrap_or_default();
    let beginning = members::Beginning { note: &note, ..members::Beginning::default() };
    members::open(work, Origin::Correlation, &joined, links, Actor::Controller, beginning);
}

/// Brings the incident, and what it is linked with, into one of these problems.
fn gather(work: &mut Work<'_>, id: IncidentId, problems: &[ProblemId], links: Vec<Link>) {
    let fixed = problems.iter().copied().find(|problem| !may_merge(work, *problem));
    let Some(target) = fixed.or_else(|| problems.iter().copied().min()) else { return };
    for other in problems.iter().copied().filter(|problem| *problem != target) {
        if may_merge(work, other) && !members::problems_apart(work, target, other) && takes_all(work, target, other) {
            parts::merge(work, other, target, Actor::Controller, "");
        }
    }
    let linked = links.iter().map(|link| link.other(id));
    let mut joining: Vec<IncidentId> = std::iter::once(id).chain(linked.filter(|other| *other != id)).collect();
    joining.retain(|incident| members::live_problem_of(work, *incident).is_none() && takes(work, target, *incident));
    let there: Vec<IncidentId> =
        work.desk.problems.get(&target).map(|problem| problem.incidents.iter().copied().collect()).unwrap_or_default();
    joining.retain(|other| !members::any_apart(work, *other, &there));
    members::join(work, target, &joining, links, Actor::Controller);
}

/// The engine merges only what nobody has taken up.
fn may_merge(work: &Work<'_>, id: ProblemId) -> bool {
    work.desk.problems.get(&id).is_some_and(|p| {
        matches!(p.state, State::New | State::Resolved) && !p.is_taken_up() && p.origin == Origin::Correlation
    })
}

/// Whether a link alone brings an incident into the problem, or its candidates do.
fn takes(work: &Work<'_>, id: ProblemId, incident: IncidentId) -> bool {
    let (Some(problem), Some(incident)) = (work.desk.problems.get(&id), work.desk.incidents.get(&incident)) else {
        return false;
    };
    !problem.is_taken_up() || problem.keys.contains(&incident.key) || explains(problem, incident)
}

fn takes_all(work: &Work<'_>, id: ProblemId, other: ProblemId) -> bool {
    let other = work.desk.problems.get(&other);
    other.is_some_and(|other| other.incidents.iter().all(|incident| takes(work, id, *incident)))
}

/// Whether what may be the cause of half the problem or more may be the cause of the incident, too. What explains fewer came
/// in with them, and would bring in ever more.
fn explains(problem: &Problem, incident: &Incident) -> bool {
    let around = &incident.surroundings;
    let telling = problem.candidates.iter().filter(|one| one.explains.saturating_mul(2) >= problem.incidents.len());
    telling.into_iter().any(|one| {
        one.ci.is_some_and(|ci| around.steps_to(ci).is_some())
            || one.change.as_ref().is_some_and(|change| around.changes.iter().any(|saw| saw.identity == *change))
    })
}

fn not_explained(work: &Work<'_>, id: ProblemId) -> Option<String> {
    let problem = work.desk.problems.get(&id)?;
    let state = match problem.state {
        State::New => "somebody's".to_owned(),
        state => state.word().replace('_', " "),
    };
    Some(format!("{id} ({}) is {state}, and what may be its cause does not explain this", problem.title))
}

/// Names the problem that an incident is linked with and that does not explain it, once.
fn stand_beside(work: &mut Work<'_>, id: IncidentId, problem: ProblemId, other: IncidentId) {
    let beside = incidents::Link { kind: "beside".to_owned(), incident: other };
    let Some(note) = not_explained(work, problem) else { return };
    let is_named = |links: &[incidents::Link]| links.iter().any(|link| link.kind == beside.kind);
    let Some(incident) = work.incident_mut(id).filter(|incident| !is_named(&incident.links)) else { return };
    incident.links.push(beside);
    let sentence = format!("evidence ties it to {other}, and a problem that somebody has taken up is left as it is");
    let reasons = vec![Reason::new("correlation", sentence)];
    work.tell(Subject::Incident(id), Actor::Controller, reasons, FactBody::Incident(IncidentFact::Noted { note }));
}

/// A link to an open problem that the incident's key belongs to.
fn of_its_key(work: &Work<'_>, id: IncidentId) -> Option<Link> {
    let incident = work.desk.incidents.get(&id)?;
    let problem = work.desk.index.problem_of(&incident.key).and_then(|problem| work.desk.problems.get(&problem))?;
    if !problem.state.is_open() {
        return None;
    }
    let before: Vec<IncidentId> = problem.incidents.iter().copied().filter(|other| *other != id).collect();
    let live = before.iter().rev().find(|other| work.desk.incidents.contains_key(other)).copied();
    let other = live.filter(|_| !members::any_apart(work, id, &before))?;
    let sentence = format!("{} is open, and has had incidents of this key", problem.id);
    let evidence = Evidence { kind: EvidenceKind::SameKey, weight: work.config.settings.joins_from, sentence };
    Some(Link::new(id, other, vec![evidence]))
}
