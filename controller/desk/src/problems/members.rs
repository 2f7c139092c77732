//! Incidents join a problem and leave it; what that means for its priority, its candidates and its end.

use std::collections::BTreeSet;

use super::record::{INCIDENTS_MAX, KEYS_MAX, LINKS_MAX};
use super::{
    Action, Link, Origin, Paging, Problem, ProblemFact, ProblemOpening, State, Workaround, candidates, flow, page,
};
use crate::ids::{IncidentId, ProblemId};
use crate::incidents::{Incident, IncidentFact};
use crate::time::spoken as length;
use crate::work::Work;
use crate::{Actor, FactBody, Reason, Subject, TimerKind};

/// Sentences of one joining that are kept as its reasons.
const REASONS_MOST: usize = 8;

/// States a fact of a problem.
pub(super) fn tell(work: &mut Work<'_>, id: ProblemId, actor: Actor, reasons: Vec<Reason>, fact: ProblemFact) {
    work.tell(Subject::Problem(id), actor, reasons, FactBody::Problem(fact));
}

/// The problem that an incident stands in, while the desk holds it.
pub(crate) fn live_problem_of(work: &Work<'_>, id: IncidentId) -> Option<ProblemId> {
    let problem = work.desk.incidents.get(&id)?.problem?;
    work.desk.problems.contains_key(&problem).then_some(problem)
}

/// Whether a person has taken this incident out of a problem with one of those.
pub(super) fn any_apart(work: &Work<'_>, id: IncidentId, others: &[IncidentId]) -> bool {
    let apart_from = |id: IncidentId| work.desk.incidents.get(&id).map(|incident| &incident.apart);
    let ours = apart_from(id);
    others.iter().any(|other| {
        ours.is_some_and(|ours| ours.contains(other)) || apart_from(*other).is_some_and(|theirs| theirs.contains(&id))
    })
}

/// Whether incidents of one problem were taken out of one with incidents of the other.
pub(super) fn problems_apart(work: &Work<'_>, one: ProblemId, other: ProblemId) -> bool {
    let (Some(one), Some(other)) = (work.desk.problems.get(&one), work.desk.problems.get(&other)) else { return false };
    let others: Vec<IncidentId> = other.incidents.iter().copied().collect();
    one.incidents.iter().any(|id| any_apart(work, *id, &others))
}

/// What a problem begins with beside its incidents.
#[derive(Default)]
pub(super) struct Beginning<'a> {
    /// None: one made of its candidates.
    pub title: Option<String>,
    pub workaround: Option<Workaround>,
    /// Why it is opened, a sentence; empty where the links say it all.
    pub note: &'a str,
}

/// Opens a problem of these incidents.
pub(super) fn open(
    work: &mut Work<'_>,
    origin: Origin,
    incidents: &[IncidentId],
    mut links: Vec<Link>,
    actor: Actor,
    Beginning { title, workaround, note }: Beginning<'_>,
) -> ProblemId {
    let id = ProblemId(work.next_number("problem"));
    links.truncate(LINKS_MAX);
    let incidents: BTreeSet<IncidentId> = incidents.iter().copied().take(INCIDENTS_MAX).collect();
    let known: Vec<&Incident> = incidents.iter().filter_map(|id| work.desk.incidents.get(id)).collect();
    let candidates = candidates::rank(work, &known);
    let worst = known.iter().min_by_key(|incident| (incident.priority.level, incident.id));
    let problem = Problem {
        id,
        title: title.unwrap_or_else(|| candidates::title(&candidates, &known)),
        state: State::New,
        origin,
        priority: worst.map_or(5, |incident| incident.priority.level),
        assignee: None,
        group: worst.and_then(|incident| incident.group.clone()),
        assigned_by: None,
        keys: known.iter().map(|incident| incident.key.clone()).take(KEYS_MAX).collect(),
        incidents,
        links,
        candidates,
        workaround,
        paging: Paging::default(),
        opened_at: work.at,
        opened_by: actor.clone(),
        resolved_at: None,
        resolution: String::new(),
        closed_at: None,
        merged_into: None,
        parts: Vec::new(),
        timeline: Vec::new(),
        timeline_before: 0,
    };
    let members: Vec<IncidentId> = problem.incidents.iter().copied().collect();
    let opening = ProblemOpening {
        title: problem.title.clone(),
        origin,
        priority: problem.priority,
        incidents: members.clone(),
        links: problem.links.clone(),
        candidates: problem.candidates.clone(),
        note: note.to_owned(),
    };
    let reasons = why(&problem.links);
    work.add_problem(problem);
    tell(work, id, actor.clone(), reasons, ProblemFact::Opened(opening));
    for incident in members {
        enter(work, id, incident, actor.clone());
    }
    page::reconsider(work, id);
    id
}

/// Takes incidents into a problem, by these links.
pub(super) fn join(work: &mut Work<'_>, id: ProblemId, incidents: &[IncidentId], links: Vec<Link>, actor: Actor) {
    let Some(problem) = work.desk.problems.get(&id) else { return };
    let room = INCIDENTS_MAX.saturating_sub(problem.incidents.len());
    let new: Vec<IncidentId> =
        incidents.iter().copied().filter(|incident| !problem.incidents.contains(incident)).take(room).collect();
    if new.is_empty() {
        return;
    }
    let is_inside = |id: &IncidentId| new.contains(id) || problem.incidents.contains(id);
    let links: Vec<Link> = links.into_iter().filter(|link| is_inside(&link.a) && is_inside(&link.b)).collect();
    let keys: Vec<_> = new.iter().filter_map(|id| work.desk.incidents.get(id)).map(|known| known.key.clone()).collect();
    work.edit_problem(id, |problem| {
        problem.incidents.extend(&new);
        for key in keys {
            if problem.keys.len() < KEYS_MAX {
                problem.keys.insert(key);
            }
        }
        problem.links.extend(links.iter().cloned());
        problem.links.sort_by_key(|link| (std::cmp::Reverse(link.weight), link.a, link.b));
        problem.links.truncate(LINKS_MAX);
    });
    tell(work, id, actor.clone(), why(&links), ProblemFact::Joined { incidents: new.clone(), links });
    for incident in new {
        enter(work, id, incident, actor.clone());
    }
    wake(work, id);
    settle(work, id);
}

/// The strongest links as reasons, eight at most.
pub(crate) fn why(links: &[Link]) -> Vec<Reason> {
    let reason = |link: &Link| {
        let evidence: Vec<&str> = link.evidence.iter().map(|evidence| evidence.sentence.as_str()).collect();
        let weight = link.weight as f64 / 100.0;
        Reason::new("correlation", format!("{} and {}: {} (weight {weight})", link.a, link.b, evidence.join("; ")))
    };
    links.iter().take(REASONS_MOST).map(reason).collect()
}

/// What joining means for the incident: it names the problem, shows its workaround and no longer pages by itself.
pub(super) fn enter(work: &mut Work<'_>, id: ProblemId, incident: IncidentId, actor: Actor) {
    let workaround = work.desk.problems.get(&id).and_then(|problem| problem.workaround.clone());
    let workaround = workaround.map(|workaround| workaround.text);
    let Some(record) = work.incident_mut(incident) else { return };
    record.problem = Some(id);
    record.workaround.clone_from(&workaround);
    let body = FactBody::Incident(IncidentFact::JoinedProblem { problem: id, workaround });
    work.tell(Subject::Incident(incident), actor, Vec::new(), body);
    page::take_over(work, id, incident);
}

/// Takes an incident out of its problem; it stays as told as it was under it, and pages itself where that was still to come.
pub(super) fn leave(work: &mut Work<'_>, id: ProblemId, incident: IncidentId, actor: Actor, note: &str) {
    let Some(record) = work.incident_mut(incident) else { return };
    record.problem = None;
    record.workaround = None;
    let body = FactBody::Incident(IncidentFact::LeftProblem { problem: id, note: note.to_owned() });
    work.tell(Subject::Incident(incident), actor, Vec::new(), body);
    page::give_back(work, id, incident);
}

/// A resolved problem takes in an incident that is open: it is not over.
pub(super) fn wake(work: &mut Work<'_>, id: ProblemId) {
    let Some(problem) = work.desk.problems.get(&id) else { return };
    if problem.state != State::Resolved || !any_open(work, problem) {
        return;
    }
    move_to(work, id, Action::Recur, Actor::Controller, "", Vec::new());
    work.clear_timer(&TimerKind::ProblemClose { problem: id });
}

/// Steps the problem, and states it; a pair that the flow refuses changes nothing.
pub(super) fn move_to(
    work: &mut Work<'_>,
    id: ProblemId,
    action: Action,
    actor: Actor,
    note: &str,
    reasons: Vec<Reason>,
) {
    let at = work.at;
    let Some(problem) = work.desk.problems.get(&id) else { return };
    let from = problem.state;
    let Ok(to) = flow::FLOW.step(from, action) else { return };
    work.note_problem(id, |problem| {
        problem.state = to;
        problem.resolved_at = (to == State::Resolved).then_some(at).or(problem.resolved_at.filter(|_| to.is_final()));
        problem.closed_at = to.is_final().then_some(at);
        if to == State::Resolved {
            problem.resolution = note.to_owned();
        }
    });
    let workaround = None;
    let fact = ProblemFact::Moved { action, from, to, workaround, note: note.to_owned() };
    tell(work, id, actor, reasons, fact);
}

/// The priority, the group and the candidates, after anything that bears on them.
pub(super) fn settle(work: &mut Work<'_>, id: ProblemId) {
    let Some(problem) = work.desk.problems.get(&id) else { return };
    let known: Vec<&Incident> = problem.incidents.iter().filter_map(|id| work.desk.incidents.get(id)).collect();
    let candidates = candidates::rank(work, &known);
    let worst = known.iter().min_by_key(|incident| (incident.priority.level, incident.id));
    let priority = worst.map_or(problem.priority, |worst| worst.priority.level);
    let by_itself = worst.filter(|_| problem.assigned_by.is_none());
    let group = by_itself.map_or_else(|| problem.group.clone(), |worst| worst.group.clone());
    let title = match problem.origin {
        Origin::Correlation if !known.is_empty() => candidates::title(&candidates, &known),
        _ => problem.title.clone(),
    };
    let from = problem.priority;
    let order = |candidates: &[super::Candidate]| candidates.iter().map(|one| one.what.clone()).collect::<Vec<_>>();
    let is_other = order(&candidates) != order(&problem.candidates) || title != problem.title;
    let (reasons, told) = (Vec::new(), (title.clone(), candidates.clone()));
    work.note_problem(id, |problem| {
        (problem.title, problem.candidates, problem.priority, problem.group) = (title, candidates, priority, group);
    });
    if is_other {
        tell(work, id, Actor::Controller, reasons, ProblemFact::Ranked { title: told.0, candidates: told.1 });
    }
    if priority != from {
        tell(work, id, Actor::Controller, Vec::new(), ProblemFact::PriorityChanged { from, to: priority });
    }
    page::reconsider(work, id);
}

fn any_open(work: &Work<'_>, problem: &Problem) -> bool {
    let known = problem.incidents.iter().filter_map(|id| work.desk.incidents.get(id));
    known.into_iter().any(|incident| incident.state.is_open())
}

/// An incident was resolved, closed or cancelled.
pub(crate) fn incident_over(work: &mut Work<'_>, id: IncidentId) {
    if let Some(problem) = live_problem_of(work, id) {
        over(work, problem);
    }
}

/// Where all its incidents are over, so is what people were paged for; and the problem, unless somebody has taken it up.
pub(super) fn over(work: &mut Work<'_>, id: ProblemId) {
    let Some(problem) = work.desk.problems.get(&id) else { return };
    if any_open(work, problem) {
        return;
    }
    let (is_found, is_new) = (problem.origin == Origin::Correlation, problem.state == State::New);
    if is_found && is_new && !problem.is_taken_up() {
        let close_after = work.config.settings.close_after;
        let sentence = "all its incidents are over, and nobody has taken it up".to_owned();
        move_to(work, id, Action::Recover, Actor::Controller, "", vec![Reason::new("auto-resolve", sentence)]);
        work.set_timer(work.at.plus(close_after), TimerKind::ProblemClose { problem: id });
    }
    page::over(work, id);
    close_later(work, id);
}

/// Resolved, and all over: it closes by age, counted from when both are so.
fn close_later(work: &mut Work<'_>, id: ProblemId) {
    let is_resolved = work.desk.problems.get(&id).is_some_and(|problem| problem.state == State::Resolved);
    let timer = TimerKind::ProblemClose { problem: id };
    if is_resolved && work.desk.timers.find(&timer).is_none() {
        work.set_timer(work.at.plus(work.config.settings.close_after), timer);
    }
}

/// An incident opened again, by an alert or by hand.
pub(crate) fn incident_reopened(work: &mut Work<'_>, id: IncidentId) {
    match live_problem_of(work, id) {
        Some(problem) => {
            wake(work, problem);
            settle(work, problem);
        }
        // Its problem is closed: from here on it stands by itself.
        None => {
            if let Some(incident) = work.incident_mut(id).filter(|incident| incident.problem.is_some()) {
                (incident.problem, incident.workaround) = (None, None);
            }
        }
    }
}

/// An incident's priority changed.
pub(crate) fn incident_changed(work: &mut Work<'_>, id: IncidentId) {
    if let Some(problem) = live_problem_of(work, id) {
        settle(work, problem);
    }
}

/// Resolved for long enough. While an incident of it is open it waits for that.
pub(crate) fn expire(work: &mut Work<'_>, id: ProblemId) {
    if work.desk.problems.get(&id).is_some_and(|problem| any_open(work, problem)) {
        return;
    }
    let sentence = format!("it has been resolved for {}", length(work.config.settings.close_after));
    move_to(work, id, Action::Expire, Actor::Controller, "", vec![Reason::new("close", sentence)]);
}
