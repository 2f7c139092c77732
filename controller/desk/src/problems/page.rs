//! One page a problem.
//!
//! A page waits for `group_wait`, the incident does not. An incident that joins a problem gives its waiting page to it, and
//! one that has paged already has paged for it. Then the incidents are quiet: people are told again only when the problem
//! gets worse than what they were paged with, when another kind of failure joins than they were paged for (by rule and class
//! of item, once each), when it comes back after all was over, and once when all is over.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::members::tell;
use super::record::TOLD_MAX;
use super::{Paging, Problem, ProblemFact, Told};
use crate::ids::{CiId, IncidentId, ProblemId};
use crate::incidents::{self, Incident, IncidentFact};
use crate::work::Work;
use crate::{Actor, Effect, FactBody, Reason, Subject, TimerKind, decision, silences};

/// Incidents, candidates and lines of the timeline that a notice carries.
const INCIDENTS: usize = 10;
const CANDIDATES: usize = 3;
const LATEST: usize = 5;

/// An incident under a problem has something to page for.
pub(crate) fn announce(work: &mut Work<'_>, id: ProblemId, incident: IncidentId, why: &str) {
    let Some(problem) = work.desk.problems.get(&id) else { return };
    let sentence = match problem.paging.paged {
        Some(level) if level <= problem.priority && problem.paging.waiting.is_none() => {
            format!("{id} has paged for it as P{level}")
        }
        _ => {
            wait(work, id, why);
            format!("{id} pages for it")
        }
    };
    hold(work, incident, why, sentence);
}

/// Something happened on the way (a run failed, a person is needed): it stands in the timeline, and pages nobody again.
pub(crate) fn follow_up(work: &mut Work<'_>, id: ProblemId, incident: IncidentId, why: &str) {
    hold(work, incident, why, format!("it stands under {id}, which pages once"));
}

fn hold(work: &mut Work<'_>, incident: IncidentId, why: &str, sentence: String) {
    let body = FactBody::Incident(IncidentFact::PageHeld { why: why.to_owned() });
    work.tell(Subject::Incident(incident), Actor::Controller, vec![Reason::new("notice", sentence)], body);
}

/// The problem pages when `group_wait` is over; a page that waits already keeps its time.
fn wait(work: &mut Work<'_>, id: ProblemId, why: &str) {
    let group_wait = work.config.settings.group_wait;
    work.note_problem(id, |problem| {
        problem.paging.waiting.get_or_insert_with(|| why.to_owned());
    });
    let timer = TimerKind::ProblemPage { problem: id };
    if group_wait <= 0 {
        due(work, id);
    } else if work.desk.timers.find(&timer).is_none() {
        work.set_timer(work.at.plus(group_wait), timer);
    }
}

/// What an incident has told, or is about to, is now the problem's.
pub(super) fn take_over(work: &mut Work<'_>, id: ProblemId, incident: IncidentId) {
    let timer = TimerKind::IncidentPage { incident };
    let waits_until = work.desk.timers.find(&timer).map(|timer| timer.due);
    work.clear_timer(&timer);
    let Some(record) = work.incident_mut(incident) else { return };
    let paging = std::mem::take(&mut record.paging);
    let mut paging = Paging { paged: paging.paged.filter(|_| record.state.is_open()), ..paging };
    let known = work.desk.incidents.get(&incident).filter(|_| paging.paged.is_some());
    paging.told.extend(known.map(|incident| kind_of(work, incident)));
    inherit(work, id, &paging);
    if let Some(until) = waits_until {
        let timer = TimerKind::ProblemPage { problem: id };
        let due = work.desk.timers.find(&timer).map_or(until, |set| set.due.min(until));
        work.clear_timer(&timer);
        work.set_timer(due, timer);
    }
}

/// An incident leaves: it is told of as far as its problem was; a page that still waits there waits for it alone.
pub(super) fn give_back(work: &mut Work<'_>, id: ProblemId, incident: IncidentId) {
    let (Some(problem), Some(record)) = (work.desk.problems.get(&id), work.desk.incidents.get(&incident)) else {
        return;
    };
    let is_open = record.state.is_open();
    let told = problem.paging.paged.filter(|level| {
        is_open && *level <= record.priority.level && problem.paging.told.contains(&kind_of(work, record))
    });
    let why = problem.paging.waiting.as_deref().filter(|_| is_open && told.is_none());
    // Of the incident by itself nothing was told yet.
    let why = why.map(|why| if why == "reopened" { why } else { "opened" }.to_owned());
    let waits_until = work.desk.timers.find(&TimerKind::ProblemPage { problem: id }).map(|timer| timer.due);
    let due = waits_until.unwrap_or_else(|| work.at.plus(work.config.settings.group_wait.max(0)));
    if why.is_some() {
        work.set_timer(due, TimerKind::IncidentPage { incident });
    }
    let paged = problem_paged(work, id).filter(|_| is_open && why.is_none());
    if let Some(record) = work.incident_mut(incident) {
        record.paging = Paging { waiting: why, paged, ..Paging::default() };
    }
}

fn problem_paged(work: &Work<'_>, id: ProblemId) -> Option<u8> {
    work.desk.problems.get(&id).and_then(|problem| problem.paging.paged)
}

/// Takes over what was told, and what waits.
pub(super) fn inherit(work: &mut Work<'_>, id: ProblemId, paging: &Paging) {
    if paging.is_quiet() {
        return;
    }
    work.note_problem(id, |problem| {
        problem.paging.paged = [problem.paging.paged, paging.paged].into_iter().flatten().min();
        let room = TOLD_MAX.saturating_sub(problem.paging.told.len());
        problem.paging.told.extend(paging.told.iter().take(room).cloned());
        if problem.paging.waiting.is_none() {
            problem.paging.waiting.clone_from(&paging.waiting);
        }
    });
    let waits = work.desk.problems.get(&id).is_some_and(|problem| problem.paging.waiting.is_some());
    let timer = TimerKind::ProblemPage { problem: id };
    if waits && work.desk.timers.find(&timer).is_none() {
        work.set_timer(work.at.plus(work.config.settings.group_wait.max(0)), timer);
    }
}

/// After anything that bears on it: a page that was told already no longer waits; what got worse does, and what is new.
pub(super) fn reconsider(work: &mut Work<'_>, id: ProblemId) {
    let Some(problem) = work.desk.problems.get(&id) else { return };
    let Some(level) = problem.paging.paged else { return };
    match news(work, problem, level) {
        Some(why) => {
            work.note_problem(id, |problem| problem.paging.waiting = None);
            wait(work, id, why);
        }
        None if problem.paging.waiting.is_some() => {
            work.clear_timer(&TimerKind::ProblemPage { problem: id });
            work.note_problem(id, |problem| problem.paging.waiting = None);
        }
        None => {}
    }
}

/// What there is to tell of a problem that people were paged for at a level.
fn news(work: &Work<'_>, problem: &Problem, level: u8) -> Option<&'static str> {
    if problem.priority < level {
        return Some("worse");
    }
    is_of_another_kind(work, problem).then_some("another")
}

/// What kind of failure an incident tells of.
fn kind_of(work: &Work<'_>, incident: &Incident) -> Told {
    let item = incident.ci.and_then(|ci| work.desk.cmdb.graph().get(ci));
    Told { rule: incident.rule.clone(), class: item.map(|ci| ci.class) }
}

/// Whether an incident that still fails is of another kind than people were paged for. One that follows from another of the
/// problem is no news: it fails because that does. Nor is one that what they know of needs: it is why that fails.
fn is_of_another_kind(work: &Work<'_>, problem: &Problem) -> bool {
    let follows = |incident: &Incident| {
        incident.links.iter().any(|link| link.kind == "follows" && problem.incidents.contains(&link.incident))
    };
    let known = problem.incidents.iter().filter_map(|id| work.desk.incidents.get(id));
    let is_told = |incident: &Incident| problem.paging.told.contains(&kind_of(work, incident));
    let failing = known.clone().filter(|incident| incident.over_since().is_none());
    let mut untold = failing.filter(|incident| !follows(incident) && !is_told(incident)).peekable();
    if problem.paging.told.len() >= TOLD_MAX || untold.peek().is_none() {
        return false;
    }
    let told = known.filter(|incident| incident.state.is_open() && is_told(incident));
    let needed =
        told.flat_map(|incident| &incident.surroundings.needs).filter(|need| need.steps > 0).map(|need| need.ci);
    let needed: BTreeSet<CiId> = needed.filter(|ci| is_one_thing(work, *ci)).collect();
    untold.any(|incident| incident.surroundings.own().is_none_or(|own| !needed.contains(&own)))
}

/// Not a whole host, where many things fail that have nothing to do with each other.
fn is_one_thing(work: &Work<'_>, ci: CiId) -> bool {
    work.desk.cmdb.graph().get(ci).is_some_and(|ci| !ci.class.is_place())
}

/// Remembers what kinds of failure people are paged for now.
fn remember_kinds(work: &mut Work<'_>, id: ProblemId) {
    let Some(problem) = work.desk.problems.get(&id) else { return };
    let known = problem.incidents.iter().filter_map(|id| work.desk.incidents.get(id));
    let open = known.filter(|incident| incident.state.is_open());
    let kinds: BTreeSet<Told> = open.map(|incident| kind_of(work, incident)).collect();
    let room = TOLD_MAX.saturating_sub(problem.paging.told.len());
    work.note_problem(id, |problem| problem.paging.told.extend(kinds.into_iter().take(room)));
}

/// `group_wait` is over. While silences take all that fires under it, the page waits for their end.
pub(crate) fn due(work: &mut Work<'_>, id: ProblemId) {
    let Some(problem) = work.desk.problems.get(&id) else { return };
    if problem.paging.waiting.is_some()
        && let Some(incident) = muted(work, problem)
    {
        let why = problem.paging.waiting.clone().unwrap_or_default();
        return hold(work, incident, &why, format!("silences take all that fires under {id}"));
    }
    // What joined may be mended by now.
    let is_told = problem.paging.paged.is_some_and(|level| news(work, problem, level).is_none());
    let mut why = None;
    work.note_problem(id, |problem| {
        why = problem.paging.waiting.take().filter(|_| !is_told);
        if why.is_some() {
            problem.paging.paged = Some(problem.priority);
        }
    });
    if let Some(why) = why {
        remember_kinds(work, id);
        notify(work, id, &why);
    }
}

/// An incident of a problem whose failing incidents are all silenced; none where one is not, or none fails.
fn muted(work: &Work<'_>, problem: &Problem) -> Option<IncidentId> {
    let known = problem.incidents.iter().filter_map(|id| work.desk.incidents.get(id));
    let mut failing = known.filter(|incident| incident.state.is_open() && incident.over_since().is_none());
    let first = failing.next().filter(|incident| silences::mutes(work, incident))?;
    failing.all(|incident| silences::mutes(work, incident)).then_some(first.id)
}

/// Whether its page waits, and for no time: a silence holds it.
fn is_held(work: &Work<'_>, problem: &Problem) -> bool {
    let timer = TimerKind::ProblemPage { problem: problem.id };
    problem.paging.waiting.is_some() && work.desk.timers.find(&timer).is_none()
}

/// A silence has ended: problems whose page it held are told of now.
pub(crate) fn unmuted(work: &mut Work<'_>) {
    let free = |problem: &&Problem| is_held(work, problem) && muted(work, problem).is_none();
    let held: Vec<ProblemId> = work.desk.problems.values().filter(free).map(|problem| problem.id).collect();
    held.into_iter().for_each(|id| due(work, id));
}

/// All is over: one notice, where people were told, or were about to be. Of what silences held to its end nothing is told.
pub(super) fn over(work: &mut Work<'_>, id: ProblemId) {
    let Some(problem) = work.desk.problems.get(&id).filter(|problem| !problem.paging.is_quiet()) else { return };
    if problem.paging.paged.is_none() && is_held(work, problem) {
        return work.note_problem(id, |problem| problem.paging = Paging::default());
    }
    let why = if problem.state == super::State::Resolved { "resolved" } else { "incidents_over" };
    work.clear_timer(&TimerKind::ProblemPage { problem: id });
    work.note_problem(id, |problem| problem.paging = Paging::default());
    notify(work, id, why);
}

fn notify(work: &mut Work<'_>, id: ProblemId, why: &str) {
    let Some(problem) = work.desk.problems.get(&id) else { return };
    let (group, content) = (problem.group.clone(), content_of(work, problem, why));
    let notice = work.next_notice();
    work.set_setting(&incidents::notice_setting(notice), json!(id));
    let count = problem_size(work, id);
    let whom = group
        .as_ref()
        .map_or("everybody who listens, as no group is named".to_owned(), |group| format!("group {group}"));
    let reasons = vec![Reason::new("notice", format!("{why}: one notice for {count} incidents, to {whom}"))];
    let fact = ProblemFact::Told { notice, why: why.to_owned(), group: group.clone() };
    tell(work, id, Actor::Controller, reasons, fact);
    let why = why.to_owned();
    work.owe(Effect::Notice(decision::Notice { notice, why, group, incident: None, problem: Some(id), content }));
}

fn problem_size(work: &Work<'_>, id: ProblemId) -> usize {
    work.desk.problems.get(&id).map_or(0, |problem| problem.incidents.len())
}

fn content_of(work: &Work<'_>, problem: &Problem, why: &str) -> Value {
    let known = problem.incidents.iter().filter_map(|id| work.desk.incidents.get(id));
    let incidents: Vec<Value> = known.take(INCIDENTS).map(|incident| incidents::in_short(work, incident)).collect();
    let candidates = problem.candidates.iter().take(CANDIDATES).map(|candidate| {
        let reasons: Vec<&str> = candidate.reasons.iter().map(|reason| reason.sentence.as_str()).collect();
        json!({"what": candidate.what, "ci": candidate.ci, "change": candidate.change, "reasons": reasons})
    });
    let from = problem.timeline.len().saturating_sub(LATEST);
    let latest: Vec<&str> = problem.timeline[from..].iter().map(|entry| entry.sentence.as_str()).collect();
    json!({
        "why": why,
        "number": problem.id,
        "title": problem.title,
        "state": problem.state,
        "priority": problem.priority,
        "count": problem.incidents.len(),
        "incidents": incidents,
        "candidates": candidates.collect::<Vec<_>>(),
        "workaround": problem.workaround.as_ref().map(|workaround| &workaround.text),
        "opened_at": problem.opened_at,
        "at": work.at,
        "latest": latest,
        "path": format!("/problems/{}", problem.id),
    })
}
