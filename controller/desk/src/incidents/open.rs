//! An incident opens, and opens again.

use std::collections::BTreeSet;

use super::about::ci_of;
use super::alert::{identity, member, spoken, tell_seen, worsen};
use super::{
    Action, AlertStanding, Incident, IncidentFact, IncidentKey, Link, Opening, RuleView, State, notice, priority,
};
use crate::ids::IncidentId;
use crate::input::AlertChange;
use crate::problems::{self, Paging, Surroundings};
use crate::time::spoken as length;
use crate::work::Work;
use crate::{Actor, Millis, Reason, TimerKind, changes, runbooks};

/// Bytes of a title; a longer summary is cut.
const TITLE_BYTES: usize = 200;

/// Opens an incident for the alert, asks for its runbook and pages once.
pub(super) fn open(
    work: &mut Work<'_>,
    key: IncidentKey,
    rule: &RuleView<'_>,
    alert: &AlertChange,
    earlier: Option<IncidentId>,
) {
    let (ci, why_ci) = ci_of(work, &rule.incident, alert);
    let priority = priority::judge(work, &rule.incident, &alert.labels, ci);
    let group = rule.incident.group.clone();
    let mut reasons = identity(alert);
    reasons.extend([why_open(work, earlier), why_ci]);
    reasons.extend(priority.reasons.iter().cloned());
    reasons.push(match &group {
        Some(group) => Reason::new("group", format!("the rule gives it to group {group}")),
        None => Reason::new("group", "the rule names no group"),
    });
    let id = IncidentId(work.next_number("incident"));
    let opening = Opening {
        title: title_of(alert),
        key,
        rule: alert.rule.clone(),
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        agent: alert.agent.clone(),
        ci,
        service: service_of(work, alert),
        group,
        priority,
        earlier,
    };
    work.add_incident(record_of(id, &opening, rule, alert, work.at));
    tell_seen(work, id, alert, Actor::Rule(alert.rule.clone()), reasons, IncidentFact::Opened(Box::new(opening)));
    changes::incident_opened(work, id);
    problems::incident_opened(work, id);
    runbooks::start_for_alert(work, id, rule, alert);
    notice::page(work, id, "opened", None);
}

/// Opens a lately resolved incident again, asks for its runbook and pages once.
pub(super) fn recur(work: &mut Work<'_>, id: IncidentId, rule: &RuleView<'_>, alert: &AlertChange) {
    let at = work.at;
    let within = work.config.settings.reopen_within;
    let Some(incident) = work.incident_mut(id) else { return };
    let Ok(state) = super::flow::FLOW.step(incident.state, Action::Recur) else { return };
    let resolved = incident.resolution.take().map_or(0, |resolution| at.since(resolution.at));
    incident.count += 1;
    incident.last_seen = incident.last_seen.max(alert.happened_at);
    let room = incident.alerts.len() < super::record::ALERTS_MAX;
    match incident.alerts.iter_mut().find(|known| super::alert::is(known, alert)) {
        Some(known) => {
            known.standing = AlertStanding::Firing;
            known.last_seen = known.last_seen.max(alert.happened_at);
            known.count += 1;
        }
        None if room => incident.alerts.push(member(alert)),
        None => incident.alerts_beyond += 1,
    }
    work.edit_incident(id, |incident| reopen(incident, state, at));
    work.clear_timer(&TimerKind::IncidentClose { incident: id });
    let sentence = format!(
        "it fires again {} after {id} was resolved; within {} that opens it again",
        length(resolved),
        length(within)
    );
    let mut reasons = identity(alert);
    reasons.push(Reason::new("reopen", sentence));
    let reopened = IncidentFact::Reopened { note: String::new() };
    tell_seen(work, id, alert, Actor::Rule(alert.rule.clone()), reasons, reopened);
    worsen(work, id, rule, alert);
    changes::incident_opened(work, id);
    problems::incident_reopened(work, id);
    problems::incident_opened(work, id);
    runbooks::start_for_alert(work, id, rule, alert);
    notice::page(work, id, "reopened", None);
}

/// What reopening changes in the record, by alert or by hand.
pub(super) fn reopen(incident: &mut Incident, state: State, at: Millis) {
    incident.state = state;
    incident.resolution = None;
    incident.since = at;
    incident.clear_since = None;
    incident.reopened += 1;
}

fn record_of(id: IncidentId, opening: &Opening, rule: &RuleView<'_>, alert: &AlertChange, at: Millis) -> Incident {
    let links = opening.earlier.map(|incident| Link { kind: "earlier".to_owned(), incident });
    Incident {
        id,
        key: opening.key.clone(),
        rule: opening.rule.clone(),
        title: opening.title.clone(),
        state: State::New,
        awaiting: None,
        priority: opening.priority.clone(),
        ci: opening.ci,
        agent: opening.agent.clone(),
        service: opening.service.clone(),
        assignee: None,
        group: opening.group.clone(),
        assigned_by: None,
        alerts: vec![member(alert)],
        alerts_beyond: 0,
        count: 1,
        first_seen: alert.happened_at,
        last_seen: alert.happened_at,
        opened_at: at,
        since: at,
        clear_since: None,
        resolve_after: rule.incident.resolve_after.max(0),
        resolution: None,
        closed_at: None,
        reopened: 0,
        timeline: Vec::new(),
        timeline_before: 0,
        runs: Vec::new(),
        changes: Vec::new(),
        attachments: Vec::new(),
        links: links.into_iter().collect(),
        knowledge: rule.incident.knowledge.clone(),
        problem: None,
        workaround: None,
        surroundings: Surroundings::default(),
        paging: Paging::default(),
        apart: BTreeSet::new(),
    }
}

fn why_open(work: &Work<'_>, earlier: Option<IncidentId>) -> Reason {
    let within = length(work.config.settings.reopen_within);
    let sentence = match earlier {
        Some(earlier) if !work.desk.incidents.contains_key(&earlier) => {
            format!("{earlier} of its key is over: a new incident that names it")
        }
        Some(earlier) => {
            format!("{earlier} of its key was resolved more than {within} ago: a new incident that names it")
        }
        None => "no incident of its key is open: a new one".to_owned(),
    };
    Reason::new("dedupe", sentence)
}

fn title_of(alert: &AlertChange) -> String {
    let summary = alert.annotations.get("summary").map(|summary| summary.trim()).filter(|summary| !summary.is_empty());
    let mut title = summary.map_or_else(|| spoken(&alert.rule, &alert.labels), str::to_owned);
    title.truncate(title.floor_char_boundary(TITLE_BYTES));
    title
}

/// The service: the operator's label on the agent, else the alert's own, which a host may have given itself.
fn service_of(work: &Work<'_>, alert: &AlertChange) -> Option<String> {
    let of_agent = || work.desk.agents.get(alert.agent.as_ref()?)?.labels.get("service");
    let named = of_agent().filter(|service| !service.is_empty());
    named.or_else(|| alert.labels.get("service")).filter(|service| !service.is_empty()).cloned()
}
