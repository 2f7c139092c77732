//! What a runbook's templates see of the world: `incident`, `ci`, `alert` and `host`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::desk::Desk;
use crate::ids::IncidentId;
use crate::incidents::Incident;

/// A copy of what is known, taken when a plan is made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sight {
    /// Number, key, title, rule, state, priority, impact, urgency, count, service, group, and its `ci`; none for a run by
    /// hand without an incident.
    pub incident: Option<Value>,
    /// The labels and annotations of the alert that it is about.
    pub alert: Option<Value>,
    /// Hosts that it may name, by their agents: `name`, `agent`, `labels`, `environment`, and what the CMDB knows.
    pub hosts: BTreeMap<String, Value>,
}

impl Sight {
    /// What is to be seen for a run on that incident, or on that agent's host.
    pub(crate) fn of(
        desk: &Desk,
        incident: Option<IncidentId>,
        alert: Option<&BTreeMap<String, String>>,
        agent: Option<&str>,
    ) -> Self {
        let incident = incident.and_then(|id| desk.incidents.get(&id));
        let agents = [agent, incident.and_then(|incident| incident.agent.as_deref())];
        let hosts = agents.into_iter().flatten().filter_map(|name| Some((name.to_owned(), host(desk, name)?)));
        Self {
            incident: incident.map(|incident| of_incident(desk, incident)),
            alert: incident.and_then(|incident| of_alert(incident, alert)),
            hosts: hosts.collect(),
        }
    }
}

fn host(desk: &Desk, name: &str) -> Option<Value> {
    let agent = desk.agents.get(name)?;
    let mut seen = agent.ci.map(|ci| desk.cmdb.describe(ci)).unwrap_or_default();
    seen.insert("name".to_owned(), name.into());
    seen.insert("agent".to_owned(), name.into());
    seen.insert("labels".to_owned(), json!(agent.labels));
    seen.insert("environment".to_owned(), environment(desk, name));
    Some(Value::Object(seen))
}

/// The operator's label, never the host's own claim; empty where there is none.
fn environment(desk: &Desk, agent: &str) -> Value {
    let labels = desk.agents.get(agent).map(|agent| &agent.labels);
    labels.and_then(|labels| labels.get("environment")).cloned().unwrap_or_default().into()
}

fn of_incident(desk: &Desk, incident: &Incident) -> Value {
    let mut ci: Map<String, Value> = incident.ci.map(|ci| desk.cmdb.describe(ci)).unwrap_or_default();
    let agent = incident.agent.as_deref();
    ci.insert("environment".to_owned(), agent.map_or_else(|| "".into(), |agent| environment(desk, agent)));
    if let Some(host) = agent.and_then(|agent| host(desk, agent)) {
        ci.insert("host".to_owned(), host);
    }
    json!({
        "number": incident.id,
        "key": incident.key,
        "title": incident.title,
        "rule": incident.rule,
        "state": incident.state,
        "priority": incident.priority.level,
        "impact": incident.priority.impact,
        "urgency": incident.priority.urgency,
        "count": incident.count,
        "service": incident.service,
        "group": incident.group,
        "ci": ci,
    })
}

fn of_alert(incident: &Incident, labels: Option<&BTreeMap<String, String>>) -> Option<Value> {
    let named = labels.and_then(|labels| incident.alerts.iter().find(|alert| alert.labels == *labels));
    let alert = named.or(incident.alerts.first())?;
    Some(json!({ "labels": alert.labels, "annotations": alert.annotations }))
}
