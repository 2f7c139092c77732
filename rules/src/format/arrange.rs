//! What of a file's layout is not the author's choice: the order of keys, empty lines between rules, how expressions are set out.

use super::tree::{Document, Kind, Line, Node, Style};
use super::{expression, is_expression};
use crate::promql;

/// As people read a group: what is not listed stands before the last.
const GROUP_KEYS: [&str; 6] = ["name", "interval", "query_offset", "limit", "labels", "rules"];
/// As people read a rule; what is not listed stands behind.
const RULE_KEYS: [&str; 17] = [
    "record",
    "alert",
    "event",
    "expr",
    "match",
    "count",
    "within",
    "by",
    "clear",
    "clear_after",
    "for",
    "keep_firing_for",
    "labels",
    "annotations",
    "incident",
    "runbook",
    "knowledge",
];

pub fn arrange(document: &mut Document) {
    if let Some(root) = &mut document.root {
        node(root, &mut Vec::new());
    }
}

fn node(value: &mut Node, path: &mut Vec<String>) {
    let keys: Vec<&str> = path.iter().map(String::as_str).collect();
    match keys.as_slice() {
        ["groups"] | ["groups", "rules"] | ["tests"] => spread(value),
        _ => {}
    }
    match &mut value.kind {
        Kind::Alias(_) => {}
        Kind::Scalar(text, style) => {
            if let Some(expr) = is_expression(&keys).then(|| expression(text)).flatten() {
                *text = promql::pretty_as_spelled(&expr, text);
                *style = Style::Expression;
            }
        }
        Kind::List(list) => list.items.iter_mut().for_each(|item| item_of(item, path)),
        Kind::Map(map) => {
            for (key, value) in &mut map.items {
                path.push(key.text().unwrap_or_default().to_owned());
                node(value, path);
                path.pop();
            }
        }
    }
}

fn item_of(item: &mut Node, path: &mut Vec<String>) {
    raise(item);
    let keys: Vec<&str> = path.iter().map(String::as_str).collect();
    match keys.as_slice() {
        ["groups"] => {
            sort(item, |key| GROUP_KEYS.iter().position(|known| *known == key).map_or(9, |place| place * 2));
            close_up(item);
        }
        ["groups", "rules"] => {
            sort(item, |key| RULE_KEYS.iter().position(|known| *known == key).unwrap_or(RULE_KEYS.len()));
            close_up(item);
        }
        _ => {}
    }
    raise(item);
    node(item, path);
}

/// Comments above the first key of a mapping in a list go above its dash.
fn raise(item: &mut Node) {
    let above = match &mut item.kind {
        Kind::Map(map) if !map.flow => map.items.first_mut().map(|(key, _)| std::mem::take(&mut key.above)),
        _ => None,
    };
    item.above.extend(above.into_iter().flatten());
}

/// Orders keys by `place`, unless an anchor in it might come to stand behind its alias.
fn sort(item: &mut Node, place: impl Fn(&str) -> usize) {
    let mut named = false;
    item.walk(&mut |node| named |= node.anchor.is_some() || matches!(node.kind, Kind::Alias(_)));
    if let Kind::Map(map) = &mut item.kind
        && !named
    {
        map.items.sort_by_key(|(key, _)| place(key.text().unwrap_or_default()));
    }
}

/// Takes away empty lines between the keys of a group or rule.
fn close_up(item: &mut Node) {
    let Kind::Map(map) = &mut item.kind else { return };
    for (key, _) in &mut map.items {
        key.spaced = false;
        key.above.iter_mut().for_each(|line| line.spaced = false);
    }
}

/// Sets the items of a list apart by an empty line each, where any of them takes more than one line.
fn spread(list: &mut Node) {
    let Kind::List(list) = &mut list.kind else { return };
    let is_block = |item: &Node| matches!(&item.kind, Kind::Map(map) if !map.flow);
    if list.flow || !list.items.iter().any(is_block) {
        return;
    }
    for item in &mut list.items {
        match item.above.first_mut() {
            Some(Line { spaced, .. }) => *spaced = true,
            None => item.spaced = true,
        }
    }
}
