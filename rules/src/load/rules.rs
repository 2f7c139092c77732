//! `record:` and `alert:` rules, and what alert and event rules share.

use std::collections::BTreeMap;

use super::groups::{GroupLabels, check_label_name};
use super::incident::{Alerts, incident, runbook_use};
use super::{Checker, Fields, Known, keys};
use crate::model::{AlertRule, RecordingRule};
use crate::promql;
use crate::yaml::Node;

const EVENT_RULES_ONLY: [(&str, &str); 6] = [
    ("match", "rules over events have it; here 'expr' says what is looked for"),
    ("count", "rules over events have it"),
    ("within", "rules over events have it; here 'for' says how long"),
    ("by", "rules over events have it; here 'expr' says by what, for example sum by (instance) (…)"),
    ("clear", "rules over events have it; an alert clears when 'expr' gives nothing any more"),
    ("clear_after", "rules over events have it; here 'keep_firing_for' says how long"),
];

pub(super) fn recording(
    check: &mut Checker<'_>,
    node: &Node,
    (group, place): (&str, usize),
    group_labels: &GroupLabels,
) -> Option<RecordingRule> {
    let shown = node.get("record").and_then(Node::scalar).unwrap_or_default().to_owned();
    check.within_rule("rule", &shown, |check| {
        let fields = check.fields(node, "a recording rule", &keys::RECORD);
        let record = fields.required(check, "record", "a recording rule").and_then(|node| {
            let name = check.name(node)?;
            let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
            if !valid {
                check.fault(node, format!("'{name}' is no metric name; letters, digits, _ and : make one"));
            }
            Some(name)
        });
        let expr = fields.required(check, "expr", "a recording rule").and_then(|node| expression(check, node));
        let mut labels = group_labels.clone();
        if let Some(node) = fields.get("labels") {
            for (key, name, _, text) in check.text_map(node) {
                check_label_name(check, key, &name);
                labels.insert(name, text);
            }
        }
        let file = check.source.name.clone();
        Some(RecordingRule { name: record?, file, group: group.to_owned(), place, expr: expr?, labels })
    })
}

pub(super) fn alert(
    check: &mut Checker<'_>,
    node: &Node,
    (group, place): (&str, usize),
    group_labels: &GroupLabels,
    known: &Known,
) -> Option<AlertRule> {
    let shown = node.get("alert").and_then(Node::scalar).unwrap_or_default().to_owned();
    check.within_rule("rule", &shown, |check| {
        let fields = check.fields_among(node, "an alert rule", &keys::ALERT, &EVENT_RULES_ONLY);
        let name = fields.required(check, "alert", "an alert rule").and_then(|node| check.name(node));
        let expr = fields.required(check, "expr", "an alert rule").and_then(|node| expression(check, node));
        let hold = fields.get("for").and_then(|node| check.duration(node)).unwrap_or(0);
        let keep_firing_for = fields.get("keep_firing_for").and_then(|node| check.duration(node)).unwrap_or(0);
        // Which labels the expression's result carries is known to its evaluation only.
        let alerts = Alerts { labels: None };
        let labels = labels(check, &fields, group_labels, &alerts);
        let annotations = annotations(check, &fields, &alerts);
        let incident = fields.get("incident").map(|node| incident(check, node, &alerts)).unwrap_or_default();
        let runbook = fields.get("runbook").and_then(|node| runbook_use(check, node, &alerts, known));
        let (file, group) = (check.source.name.clone(), group.to_owned());
        let (name, expr) = (name?, expr?);
        Some(AlertRule {
            name,
            file,
            group,
            place,
            expr,
            hold,
            keep_firing_for,
            labels,
            annotations,
            incident,
            runbook,
        })
    })
}

fn expression(check: &mut Checker<'_>, node: &Node) -> Option<String> {
    let text = check.name(node)?;
    check.syntax_faults(node, promql::parse(&text).err().unwrap_or_default());
    Some(text)
}

/// `labels:` with those of the group below. Templates of labels see what tells the alert apart, no more, so that the
/// alert stays the same alert.
pub(super) fn labels(
    check: &mut Checker<'_>,
    fields: &Fields<'_>,
    group_labels: &GroupLabels,
    alerts: &Alerts,
) -> BTreeMap<String, String> {
    let mut found = group_labels.clone();
    let Some(node) = fields.get("labels") else { return found };
    for (key, name, value, text) in check.text_map(node) {
        check.within(format!("label '{name}'"), |check| {
            check_label_name(check, key, &name);
            if let Some(template) = check.template(value, &text) {
                alerts.check_labels(check, value, &template);
                alerts.check_queries(check, value, &template);
            }
        });
        found.insert(name, text);
    }
    found
}

pub(super) fn annotations(check: &mut Checker<'_>, fields: &Fields<'_>, alerts: &Alerts) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let Some(node) = fields.get("annotations") else { return found };
    for (key, name, value, text) in check.text_map(node) {
        check.within(format!("annotation '{name}'"), |check| {
            check_label_name(check, key, &name);
            if let Some(template) = check.template(value, &text) {
                alerts.check_queries(check, value, &template);
            }
        });
        found.insert(name, text);
    }
    found
}
