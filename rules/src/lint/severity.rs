//! `unknown-severity`: labels that give incidents no urgency.

use crate::load::Checker;
use crate::near::near;
use crate::yaml::Node;

/// Those that give an urgency, the highest first.
const KNOWN: [&str; 3] = ["critical", "warning", "info"];

/// A severity of its own is a label like another, but an incident of it has the middle urgency; where the rule says the
/// urgency itself nothing is missing.
pub(super) fn unknown(check: &mut Checker<'_>, rule: &Node) {
    let Some(node) = rule.get("labels").and_then(|labels| labels.get("severity")) else { return };
    let says_urgency = rule.get("incident").is_some_and(|incident| incident.get("urgency").is_some());
    let text = node.scalar().unwrap_or_default();
    if says_urgency || KNOWN.contains(&text) || text.contains("{{") {
        return;
    }
    let fault = check.fault(node, format!("severity '{text}' gives no urgency: incidents of it have urgency 2"));
    match near(text, KNOWN) {
        Some(word) => fault.near(Some(word)),
        None => fault.hint("critical, warning and info give one; or write incident: {urgency: 1}"),
    };
}
