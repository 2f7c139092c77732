//! `event:` rules.

use std::collections::BTreeSet;

use super::groups::{GroupLabels, check_label_name};
use super::incident::{Alerts, incident, runbook_use};
use super::rules::{annotations, labels};
use super::{Checker, Fields, Known, keys};
use crate::model::EventRule;
use crate::selector::Selector;
use crate::yaml::Node;

const ALERT_RULES_ONLY: [(&str, &str); 3] = [
    ("expr", "rules over samples have it; here 'match' says which events are meant"),
    ("for", "rules over samples have it; here 'count' and 'within' say how often"),
    ("keep_firing_for", "rules over samples have it; here 'clear_after' says how long"),
];

/// How far back a rule without `within` keeps evidence, ms.
const WITHIN_DEFAULT: i64 = 60_000;
/// The most events that a rule may count; each is remembered for as long as `within`.
pub(super) const COUNT_MAX: u32 = 1_000;

pub(super) fn event(
    check: &mut Checker<'_>,
    node: &Node,
    group: &str,
    group_labels: &GroupLabels,
    known: &mut Known,
) -> Option<EventRule> {
    let shown = node.get("event").and_then(Node::scalar).unwrap_or_default().to_owned();
    check.within_rule("rule", &shown, |check| {
        let fields = check.fields_among(node, "an event rule", &keys::EVENT, &ALERT_RULES_ONLY);
        let name = fields.required(check, "event", "an event rule").and_then(|node| name(check, node, known));
        let matches = fields.required(check, "match", "an event rule").and_then(|node| matching(check, node));
        let (count, within) = counting(check, &fields);
        let by = fields.get("by").map(|node| by(check, node)).unwrap_or_else(|| vec!["instance".to_owned()]);
        let (clear, clear_after) = clearing(check, &fields);
        let labels_seen = labels(check, &fields, group_labels, &Alerts::of(&by, &GroupLabels::new()));
        check_own_labels(check, &fields, &by);
        let alerts = Alerts::of(&by, &labels_seen);
        let annotations = annotations(check, &fields, &alerts);
        let incident = fields.get("incident").map(|node| incident(check, node, &alerts)).unwrap_or_default();
        let runbook = fields.get("runbook").and_then(|node| runbook_use(check, node, &alerts, known));
        Some(EventRule {
            name: name?,
            file: check.source.name.clone(),
            group: group.to_owned(),
            matches: matches?,
            count,
            within,
            by,
            clear,
            clear_after,
            labels: labels_seen,
            annotations,
            incident,
            runbook,
        })
    })
}

fn name(check: &mut Checker<'_>, node: &Node, known: &mut Known) -> Option<String> {
    let name = check.name(node)?;
    let (line, _) = check.source.place(node.start);
    let place = format!("{}:{line}", check.source.name);
    if let Some(first) = known.event_rules.get(&name) {
        check.fault(node, format!("an event rule named '{name}' stands in {first} already"));
    }
    known.event_rules.entry(name.clone()).or_insert(place);
    Some(name)
}

/// A selector that must refuse something.
fn matching(check: &mut Checker<'_>, node: &Node) -> Option<Selector> {
    let selector = check.selector(node)?;
    if selector.takes_everything() {
        check
            .fault(node, "this selector takes every event; name what it must have, for example {kind=\"unit_failed\"}");
    }
    Some(selector)
}

fn counting(check: &mut Checker<'_>, fields: &Fields<'_>) -> (u32, i64) {
    let count = fields.get("count").and_then(|node| check.whole(node, 1, COUNT_MAX)).unwrap_or(1);
    let within = fields.get("within").and_then(|node| check.positive_duration(node));
    if let (true, None, Some(node)) = (count > 1, fields.get("within"), fields.get("count")) {
        check.fault(node, format!("count {count} needs 'within': how long the {count} events may take"));
    }
    (count, within.unwrap_or(WITHIN_DEFAULT))
}

fn by(check: &mut Checker<'_>, node: &Node) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for item in check.list(node) {
        let Some(name) = check.text(item) else { continue };
        if !check_label_name(check, item, &name) {
            continue;
        }
        if !seen.insert(name.clone()) {
            check.fault(item, format!("'{name}' stands here twice"));
            continue;
        }
        found.push(name);
    }
    if !seen.contains("instance") {
        found.insert(0, "instance".to_owned());
    }
    found
}

fn clearing(check: &mut Checker<'_>, fields: &Fields<'_>) -> (Option<Selector>, Option<i64>) {
    let clear = fields.get("clear").and_then(|node| matching(check, node));
    let clear_after = fields.get("clear_after").and_then(|node| check.positive_duration(node));
    if let (None, None, Some(node)) = (fields.get("clear"), fields.get("clear_after"), fields.key("event")) {
        check
            .fault(node, "an event rule needs 'clear' or 'clear_after'; without them its alert would never resolve")
            .hint("for example clear_after: 10m");
    }
    (clear, clear_after)
}

/// Labels that say which alert it is cannot be set by the rule.
fn check_own_labels(check: &mut Checker<'_>, fields: &Fields<'_>, by: &[String]) {
    let Some(node) = fields.get("labels") else { return };
    let crate::yaml::Kind::Map(entries) = &node.kind else { return };
    for (key, _) in entries {
        let Some(name) = key.scalar() else { continue };
        if name == "alertname" || by.iter().any(|label| label == name) {
            check.fault(key, format!("the label '{name}' tells alerts of this rule apart and cannot be set here"));
        }
    }
}
