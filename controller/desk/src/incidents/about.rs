//! What an alert is about: the item of the CMDB that its rule, its agent or its labels name.

use watchkeep_rules::model::{Binding, IncidentSpec};

use crate::Reason;
use crate::cmdb::Ci;
use crate::ids::CiId;
use crate::input::AlertChange;
use crate::work::Work;

/// Labels that name a host in alerts that no agent made, the surest first.
const HOST_LABELS: [&str; 4] = ["instance", "host", "hostname", "node"];
/// Labels that name a service there.
const SERVICE_LABELS: [&str; 2] = ["service", "job"];
/// Bytes of a label's value that are quoted.
const QUOTED: usize = 80;

/// The rule's word, else the unit that the alert names, else the agent's host; of an alert from outside, which has no agent,
/// the one host or service that its labels name.
pub(super) fn ci_of(work: &Work<'_>, spec: &IncidentSpec, alert: &AlertChange) -> (Option<CiId>, Reason) {
    let agent = alert.agent.as_deref();
    let mut missed = String::new();
    if let Some(selector) = &spec.ci {
        let bound = selector.attributes.iter().map(|(name, binding)| (name.clone(), bind(binding, alert))).collect();
        match work.desk.cmdb.find(&selector.class, &bound, agent) {
            Ok(ci) => return (Some(ci), Reason::new("ci", "found by what the rule's `ci` names")),
            Err(0) => missed = format!("the rule's `ci` found no {}, so: ", selector.class),
            Err(many) => missed = format!("the rule's `ci` found {many} of class {}, not one, so: ", selector.class),
        }
    }
    let found = |ci, how: &str| (Some(ci), Reason::new("ci", format!("{missed}{how}")));
    if let (Some(unit), Some(agent)) = (alert.labels.get("unit"), agent)
        && let Some(ci) = work.desk.cmdb.unit(agent, unit)
    {
        return found(ci, "found by the label `unit` on the agent's host");
    }
    if let Some(ci) = agent.and_then(|agent| work.desk.cmdb.host_of(agent)) {
        return found(ci, "the host of the agent that saw it");
    }
    let named = if agent.is_none() { by_labels(work, alert) } else { Err(Vec::new()) };
    match named {
        Ok((ci, how)) => found(ci, &how),
        Err(sought) if sought.is_empty() => {
            (None, Reason::new("ci", format!("{missed}the CMDB knows nothing that it could be about")))
        }
        Err(sought) => (None, Reason::new("ci", format!("{missed}{}", sought.join(", ")))),
    }
}

/// The one item that the labels name, and by which; else what each label that was looked at found instead.
fn by_labels(work: &Work<'_>, alert: &AlertChange) -> Result<(CiId, String), Vec<String>> {
    let graph = work.desk.cmdb.graph();
    let mut sought = Vec::new();
    for (labels, what) in [(&HOST_LABELS[..], "host"), (&SERVICE_LABELS[..], "service")] {
        for label in labels {
            let Some(value) = alert.labels.get(*label).filter(|value| !value.is_empty()) else { continue };
            let known: Vec<&Ci> = if what == "host" { graph.hosts_called(value) } else { graph.services_called(value) };
            let quoted = &value[..value.floor_char_boundary(QUOTED)];
            match known.as_slice() {
                [one] => return Ok(narrowed(work, alert, one, label)),
                [] => sought.push(format!("no {what} is called \"{quoted}\" as the label `{label}` says")),
                many => {
                    sought.push(format!("{} {what}s are called \"{quoted}\" as the label `{label}` says", many.len()))
                }
            }
        }
    }
    Err(sought)
}

/// The unit on that host, where the alert names one that is there; else the item itself.
fn narrowed(work: &Work<'_>, alert: &AlertChange, ci: &Ci, label: &str) -> (CiId, String) {
    let unit = alert.labels.get("unit").zip(ci.agent.as_deref());
    match unit.and_then(|(unit, agent)| work.desk.cmdb.unit(agent, unit)) {
        Some(unit) => (unit, format!("found by the label `unit` on {}, which the label `{label}` names", ci.name)),
        None => (ci.id, format!("found by the label `{label}`: {} and no other is called so", ci.name)),
    }
}

fn bind(binding: &Binding, alert: &AlertChange) -> String {
    match binding {
        Binding::Literal(text) => text.clone(),
        Binding::Label(name) => alert.labels.get(name).cloned().unwrap_or_default(),
    }
}
