//! What people are told of an incident.

use serde_json::{Value, json};

use super::alert::tell;
use super::{Incident, IncidentFact};
use crate::ids::{IncidentId, NoticeId};
use crate::problems::{self, Paging};
use crate::work::Work;
use crate::{Actor, Effect, FactBody, Reason, Subject, TimerKind, decision, runbooks, silences};

/// Lines of the timeline that a notice carries, so that a page says what is being tried, or why nothing is.
const LATEST: usize = 5;

/// The setting under which a notice on its way remembers its incident or problem.
pub(crate) fn setting_of(notice: NoticeId) -> String {
    format!("notice/{notice}")
}

/// Has people told, of `opened`, `reopened`, `resolved`, `run_failed` …: at once, when `group_wait` is over, or by its problem.
///
/// What names a group, and what waits for somebody's approval, is told at once whatever else goes on.
pub(crate) fn page(work: &mut Work<'_>, id: IncidentId, why: &str, group: Option<&str>) {
    let problem = problems::live_problem_of(work, id);
    if group.is_none() && problem.is_none() && why != "approval_wanted" && is_mute(work, id, why) {
        return;
    }
    let is_waiting = work.desk.incidents.get(&id).is_some_and(|incident| incident.paging.waiting.is_some());
    match (why, problem) {
        _ if group.is_some() || why == "approval_wanted" => tell_now(work, id, why, group),
        ("opened" | "reopened", Some(problem)) => problems::announce(work, problem, id, why),
        ("opened" | "reopened", None) => wait(work, id, why),
        // Its problem tells when all is over.
        ("resolved", Some(_)) => {}
        ("resolved", None) => {
            forget(work, id);
            tell_now(work, id, why, None);
        }
        (_, Some(problem)) => problems::follow_up(work, problem, id, why),
        (_, None) if is_waiting => {
            let reason = Reason::new("notice", "a page of it is about to go out, and tells of this too");
            tell(work, id, Actor::Controller, vec![reason], IncidentFact::PageHeld { why: why.to_owned() });
        }
        (_, None) => tell_now(work, id, why, None),
    }
}

/// Whether silences take all that fires of it; then the page is held, and the first one waits for their end.
fn is_mute(work: &mut Work<'_>, id: IncidentId, why: &str) -> bool {
    if !work.desk.incidents.get(&id).is_some_and(|incident| silences::mutes(work, incident)) {
        return false;
    }
    if matches!(why, "opened" | "reopened")
        && let Some(incident) = work.incident_mut(id)
    {
        incident.paging.waiting = Some(why.to_owned());
    }
    let reason = Reason::new("silence", "a silence takes all that fires of it");
    tell(work, id, Actor::Controller, vec![reason], IncidentFact::PageHeld { why: why.to_owned() });
    true
}

/// A silence has ended: incidents whose first page it held are told of now.
pub(crate) fn unmuted(work: &mut Work<'_>) {
    let waits = |incident: &&Incident| {
        incident.paging.waiting.is_some()
            && incident.state.is_open()
            && work.desk.timers.find(&TimerKind::IncidentPage { incident: incident.id }).is_none()
            && !silences::mutes(work, incident)
    };
    let held: Vec<IncidentId> = work.desk.incidents.values().filter(waits).map(|incident| incident.id).collect();
    held.into_iter().for_each(|id| page_due(work, id));
}

/// Pages when `group_wait` is over; by then it may stand in a problem, which pages for it.
fn wait(work: &mut Work<'_>, id: IncidentId, why: &str) {
    let group_wait = work.config.settings.group_wait;
    let Some(incident) = work.incident_mut(id) else { return };
    incident.paging.waiting = Some(why.to_owned());
    if group_wait <= 0 {
        page_due(work, id);
    } else {
        let timer = TimerKind::IncidentPage { incident: id };
        work.clear_timer(&timer);
        work.set_timer(work.at.plus(group_wait), timer);
    }
}

/// `group_wait` is over.
pub(crate) fn page_due(work: &mut Work<'_>, id: IncidentId) {
    let Some(why) = work.desk.incidents.get(&id).and_then(|incident| incident.paging.waiting.clone()) else { return };
    if is_mute(work, id, &why) {
        return;
    }
    let Some(incident) = work.incident_mut(id) else { return };
    incident.paging.waiting = None;
    incident.paging.paged = Some(incident.priority.level);
    tell_now(work, id, &why, None);
}

/// It is over: nothing waits to be told, and the next page is a first one.
pub(super) fn forget(work: &mut Work<'_>, id: IncidentId) {
    work.clear_timer(&TimerKind::IncidentPage { incident: id });
    if work.desk.incidents.get(&id).is_some_and(|incident| !incident.paging.is_quiet())
        && let Some(incident) = work.incident_mut(id)
    {
        incident.paging = Paging::default();
    }
}

/// Tells the group (the incident's own where none is given), once.
fn tell_now(work: &mut Work<'_>, id: IncidentId, why: &str, group: Option<&str>) {
    let Some(incident) = work.desk.incidents.get(&id) else { return };
    let group = group.map(str::to_owned).or_else(|| incident.group.clone());
    let content = content_of(work, incident, why);
    let notice = work.next_notice();
    work.set_setting(&setting_of(notice), json!(id));
    let reasons = vec![Reason::new(
        "notice",
        match &group {
            Some(group) => format!("{why}: group {group} is told once"),
            None => format!("{why}: told once, to everybody who listens, as no group is named"),
        },
    )];
    let fact = IncidentFact::Told { notice, why: why.to_owned(), group: group.clone() };
    tell(work, id, Actor::Controller, reasons, fact);
    let (why, incident) = (why.to_owned(), Some(id));
    work.owe(Effect::Notice(decision::Notice { notice, why, group, incident, problem: None, content }));
}

/// An incident as a problem's notice tells of it.
pub(crate) fn in_short(work: &Work<'_>, incident: &Incident) -> Value {
    json!({
        "number": incident.id,
        "title": incident.title,
        "state": incident.state,
        "priority": incident.priority.level,
        "agent": incident.agent,
        "ci": incident.ci.map(|ci| work.desk.cmdb.in_short(ci)),
        "opened_at": incident.opened_at,
        "path": format!("/incidents/{}", incident.id),
    })
}

fn content_of(work: &Work<'_>, incident: &Incident, why: &str) -> Value {
    let runs = incident.runs.iter().filter_map(|run| work.desk.runs.get(run));
    let mut tried: Vec<Value> = runs.map(runbooks::in_short).collect();
    tried.reverse();
    let from = incident.timeline.len().saturating_sub(LATEST);
    let latest: Vec<&str> = incident.timeline[from..].iter().map(|entry| entry.sentence.as_str()).collect();
    json!({
        "why": why,
        "number": incident.id,
        "title": incident.title,
        "state": incident.state,
        "priority": incident.priority.level,
        "rule": incident.rule,
        "key": incident.key,
        "agent": incident.agent,
        "service": incident.service,
        "ci": incident.ci.map(|ci| work.desk.cmdb.in_short(ci)),
        "count": incident.count,
        "opened_at": incident.opened_at,
        "at": work.at,
        "resolution": incident.resolution.as_ref().map(|resolution| resolution.code),
        "problem": incident.problem,
        "workaround": incident.workaround,
        "tried": tried,
        "latest": latest,
        "path": format!("/incidents/{}", incident.id),
    })
}

/// A notice was delivered on a channel, or given up there: `body` says it. Whoever carries it knows what it is `about`; inputs
/// of before channels were told apart do not say it, and the setting does, for the first that is told.
pub(crate) fn notified(work: &mut Work<'_>, notice: NoticeId, about: Option<Subject>, body: FactBody) {
    let setting = setting_of(notice);
    let of = work.setting(&setting).and_then(Value::as_str).map(str::to_owned);
    let incident = of.as_ref().and_then(|of| of.parse().ok()).map(Subject::Incident);
    let problem = of.as_ref().and_then(|of| of.parse().ok()).map(Subject::Problem);
    if of.is_some() {
        work.set_setting(&setting, Value::Null);
    }
    let subject = about.or(incident).or(problem).unwrap_or(Subject::Controller);
    work.tell(subject, Actor::Controller, Vec::new(), body);
}
