//! `groups:` of a rule file.

use std::collections::BTreeMap;

use super::{Checker, Known, event, keys, rules};
use crate::model::{Group, RuleBook};
use crate::near::near;
use crate::selector::is_label_name;
use crate::yaml::Node;

/// Labels that every rule of the group gets, below its own.
pub(super) type GroupLabels = BTreeMap<String, String>;

pub(super) fn groups(check: &mut Checker<'_>, node: &Node, known: &mut Known, book: &mut RuleBook) {
    let fields = check.fields(node, "a rule file", &["groups"]);
    let Some(groups) = fields.get("groups") else { return };
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for node in check.list(groups) {
        group(check, node, &mut names, known, book);
    }
}

fn group(
    check: &mut Checker<'_>,
    node: &Node,
    names: &mut BTreeMap<String, usize>,
    known: &mut Known,
    book: &mut RuleBook,
) {
    let fields = check.fields(node, "a group", &keys::GROUP);
    let name = fields.required(check, "name", "a group").and_then(|node| {
        let name = check.name(node)?;
        let (line, _) = check.source.place(node.start);
        if let Some(first) = names.insert(name.clone(), line) {
            check.fault(node, format!("a group named '{name}' stands in line {first} already"));
        }
        Some(name)
    });
    let name = name.unwrap_or_default();
    let interval = fields.get("interval").and_then(|node| check.duration(node)).filter(|ms| *ms > 0);
    let limit = fields.get("limit").and_then(|node| check.whole(node, 0, u32::MAX));
    let query_offset = fields.get("query_offset").and_then(|node| check.duration(node));
    let labels: GroupLabels = fields.get("labels").map(|node| literal_labels(check, node)).unwrap_or_default();
    for (place, node) in fields.get("rules").map(|node| check.list(node)).unwrap_or_default().iter().enumerate() {
        rule(check, node, (&name, place), &labels, known, book);
    }
    let file = check.source.name.clone();
    book.groups.push(Group {
        name,
        file,
        interval,
        limit: limit.unwrap_or(0),
        query_offset: query_offset.unwrap_or(0),
    });
}

fn literal_labels(check: &mut Checker<'_>, node: &Node) -> GroupLabels {
    let mut found = GroupLabels::new();
    for (key, name, _, text) in check.text_map(node) {
        check_label_name(check, key, &name);
        found.insert(name, text);
    }
    found
}

pub(super) fn check_label_name(check: &mut Checker<'_>, node: &Node, name: &str) -> bool {
    if name == "__name__" || !is_label_name(name) {
        check.fault(node, format!("'{name}' is no label name; letters, digits and _ make one, no digit first"));
        return false;
    }
    true
}

fn rule(
    check: &mut Checker<'_>,
    node: &Node,
    place: (&str, usize),
    labels: &GroupLabels,
    known: &mut Known,
    book: &mut RuleBook,
) {
    let kinds: Vec<&str> = ["record", "alert", "event"].into_iter().filter(|kind| has_key(node, kind)).collect();
    match kinds.as_slice() {
        ["record"] => book.recording_rules.extend(rules::recording(check, node, place, labels)),
        ["alert"] => book.alert_rules.extend(rules::alert(check, node, place, labels, known)),
        ["event"] => book.event_rules.extend(event::event(check, node, place.0, labels, known)),
        [] => no_kind(check, node),
        several => {
            let message = format!("a rule is one of record, alert and event; this has {}", several.join(" and "));
            check.fault(node, message);
        }
    }
}

fn has_key(node: &Node, wanted: &str) -> bool {
    matches!(&node.kind, crate::yaml::Kind::Map(entries) if entries.iter().any(|(key, _)| key.scalar() == Some(wanted)))
}

fn no_kind(check: &mut Checker<'_>, node: &Node) {
    let entries = check.entries(node);
    let candidates = ["record", "alert", "event"];
    for (key, _) in &entries {
        let word = key.scalar().unwrap_or_default();
        if let Some(near) = near(word, candidates) {
            check.fault(key, format!("a rule has no key '{word}'")).near(Some(near));
            return;
        }
    }
    if let Some((first, _)) = entries.first() {
        check.fault(first, "a rule needs one of 'record:', 'alert:' and 'event:' with its name");
    }
}
