//! What people are told of an incident.

use serde_json::{Value, json};

use super::alert::tell;
use super::{Incident, IncidentFact};
use crate::ids::{IncidentId, NoticeId};
use crate::work::Work;
use crate::{Actor, Effect, FactBody, Reason, Subject, decision, runbooks};

/// Lines of the timeline that a notice carries, so that a page says what is being tried, or why nothing is.
const LATEST: usize = 5;

/// The setting under which a notice on its way remembers its incident.
fn setting_of(notice: NoticeId) -> String {
    format!("notice/{notice}")
}

/// Tells the group (the incident's own where none is given), once: `opened`, `reopened`, `resolved`, `run_failed` …
pub(crate) fn page(work: &mut Work<'_>, id: IncidentId, why: &str, group: Option<&str>) {
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
    work.owe(Effect::Notice(decision::Notice { notice, why: why.to_owned(), group, incident: Some(id), content }));
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
        "tried": tried,
        "latest": latest,
        "path": format!("/incidents/{}", incident.id),
    })
}

/// A notice was delivered, or given up.
pub(crate) fn notified(work: &mut Work<'_>, notice: NoticeId, delivered: bool, detail: &str) {
    let setting = setting_of(notice);
    let incident = work.setting(&setting).and_then(|value| serde_json::from_value::<IncidentId>(value.clone()).ok());
    let subject = incident.map_or(Subject::Controller, Subject::Incident);
    if incident.is_some() {
        work.set_setting(&setting, Value::Null);
    }
    let body = FactBody::Notified { notice, delivered, detail: detail.to_owned() };
    work.tell(subject, Actor::Controller, Vec::new(), body);
}
