//! A configuration item on one page: what it is, what it stands in relation to, what it was.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cli::incidents::word;
use crate::cli::output::{self, Days, age, clock, local, one_line};

/// Relations of one kind, way and class that a page names; of more it says how many.
const NAMED: usize = 8;
/// Lines of history on a page, the newest.
const TURNS: usize = 20;
/// What matters most of an item's relations comes first, what every host has a hundred of comes last.
const FIRST: [&str; 2] = ["depends_on", "connects_to"];
const LAST: &str = "runs_on";

/// The page of `ci`, with its relations and the values that its attributes had, the newest first.
pub fn page(ci: &Value, relations: &[Value], history: &[Value], now: i64) -> String {
    let mut text = head(ci, now);
    text.push_str(&values("Attributes", &ci["attributes"]));
    text.push_str(&values("Measured", &ci["measurements"]));
    if !relations.is_empty() {
        text.push_str("Relations\n");
        text.push_str(&grouped(word(ci, "id"), relations, NAMED));
    }
    let turns = turns(history);
    if !turns.is_empty() {
        text.push_str("History\n");
        text.push_str(&turns);
    }
    text
}

fn head(ci: &Value, now: i64) -> String {
    let mut text = format!("{} {}\n", word(ci, "class"), word(ci, "name"));
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            text.push_str(&format!("  {name:<10} {value}\n"));
        }
    };
    line("id", word(ci, "id").to_owned());
    line("host", word(ci, "agent").to_owned());
    let since = ci["lifecycle_since"]["happened"].as_i64();
    let since = since.map_or_else(String::new, |since| format!(" since {}", local(since)));
    line("lifecycle", format!("{}{since}", word(ci, "lifecycle").replace('_', " ")));
    if let (Some(first), Some(last)) = (ci["first_seen"].as_i64(), ci["last_seen"].as_i64()) {
        line("seen", format!("first {}, last {} ago", local(first), age(now - last)));
    }
    let known = ci["identifiers"].as_array().into_iter().flatten();
    let known: Vec<String> = known.map(|id| format!("{} {}", word(id, "kind"), word(id, "value"))).collect();
    line("known by", known.join(", "));
    line("is part of", word(ci, "merged_into").to_owned());
    for dispute in ci["conflicts"].as_array().into_iter().flatten() {
        let over = &dispute["over"];
        let with = output::short(word(dispute, "with"));
        line("conflict", format!("{with} has the same {} {}", word(over, "kind"), word(over, "value")));
    }
    text
}

/// Attributes by name, each with who said it where that was no agent.
fn values(title: &str, held: &Value) -> String {
    let held: Vec<_> = held.as_object().into_iter().flatten().collect();
    let width = held.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = if held.is_empty() { String::new() } else { format!("{title}\n") };
    for (name, held) in held {
        let by = match word(held, "source") {
            "" | "agent" => String::new(),
            source => format!("  (by {source})"),
        };
        text.push_str(&format!("  {name:<width$}  {}{by}\n", one_line(&output::plain(&held["value"]), 120)));
    }
    text
}

/// Relations by kind and way, those that matter first; of more than `most` of a class only how many there are.
pub fn grouped(this: &str, relations: &[Value], most: usize) -> String {
    let mut groups: BTreeMap<(usize, &str, &str), BTreeMap<&str, Vec<&Value>>> = BTreeMap::new();
    for relation in relations {
        let kind = word(relation, "kind");
        let rank = if kind == LAST {
            FIRST.len() + 1
        } else {
            FIRST.iter().position(|first| *first == kind).unwrap_or(FIRST.len())
        };
        let way = if word(relation, "to") == this { "←" } else { "→" };
        let class = word(&relation["other"], "class");
        groups.entry((rank, kind, way)).or_default().entry(class).or_default().push(relation);
    }
    let mut text = String::new();
    for ((_, kind, way), classes) in groups {
        text.push_str(&format!("  {kind} {way}\n"));
        for (class, some) in classes {
            if some.len() > most {
                text.push_str(&format!("    {} {class}: watchkeep ci relations {}\n", some.len(), output::short(this)));
            } else {
                some.iter().for_each(|relation| text.push_str(&format!("    {}\n", told(relation))));
            }
        }
    }
    text
}

/// `service_unit nginx.service on web-1  3f0c9a12b4de  since 2026-03-02 …  (pinned by hand)`
fn told(relation: &Value) -> String {
    let other = &relation["other"];
    let on = match word(other, "agent") {
        "" => String::new(),
        agent if agent == word(other, "name") => String::new(),
        agent => format!(" on {agent}"),
    };
    let since = relation["valid_from"].as_i64().map_or_else(String::new, |since| format!("  since {}", local(since)));
    let (class, name, id) = (word(other, "class"), word(other, "name"), output::short(word(other, "id")));
    format!("{class} {name}{on}  {id}{since}{}", standing(relation))
}

/// What people said of a relation, and whether it is still seen.
fn standing(relation: &Value) -> String {
    let verdict = relation["verdict"].as_str().map(|verdict| format!("  ({verdict} by hand)"));
    let unseen = relation["unseen_since"].as_i64().filter(|_| relation["valid_to"].is_null());
    let unseen = unseen.map(|since| format!("  (not seen since {})", local(since)));
    verdict.into_iter().chain(unseen).collect()
}

/// What changed, oldest first. An attribute that has held one value ever since says nothing here.
fn turns(history: &[Value]) -> String {
    let mut told = Vec::new();
    for (place, held) in history.iter().enumerate() {
        let name = word(held, "attribute");
        let before = history[place + 1..].iter().find(|other| word(other, "attribute") == name);
        let value = one_line(word(held, "value"), 80);
        let sentence = match before {
            Some(before) => format!("{name}: {} → {value}", one_line(word(before, "value"), 80)),
            None if held["valid_to"].is_null() && name != "lifecycle" => continue,
            None => format!("{name}: {value}"),
        };
        told.push((held["valid_from"].as_i64().unwrap_or_default(), sentence));
    }
    let mut days = Days::default();
    told.truncate(TURNS);
    told.sort_by_key(|(at, _)| *at);
    told.iter().map(|(at, sentence)| format!("{}  {}  {sentence}\n", days.turn(*at), clock(*at))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// 2026-03-02 23:59:30 UTC
    const BEGIN: i64 = 1_772_495_970_000;
    const HOST: &str = "3f0c9a12b4de00000000000000000001";

    fn relation(kind: &str, other: Value, from_host: bool) -> Value {
        let there = word(&other, "id").to_owned();
        let (from, to) = if from_host { (HOST.to_owned(), there) } else { (there, HOST.to_owned()) };
        json!({"kind": kind, "from": from, "to": to, "other": other, "valid_from": BEGIN, "valid_to": null})
    }

    fn relations() -> Vec<Value> {
        let mut all: Vec<Value> = (0..9)
            .map(|n| relation("runs_on", json!({"id": format!("{n:032x}"), "class": "software_package", "name": format!("lib{n}"), "agent": "web-1"}), false))
            .collect();
        let unit = json!({"id": "aa".repeat(16), "class": "service_unit", "name": "nginx.service", "agent": "web-1"});
        all.push(relation("runs_on", unit, false));
        let mut database = relation(
            "depends_on",
            json!({"id": "bb".repeat(16), "class": "host", "name": "db-1", "agent": "db-1"}),
            true,
        );
        database["verdict"] = json!("pinned");
        database["unseen_since"] = json!(BEGIN + 60_000);
        all.push(database);
        all
    }

    #[test]
    fn a_page_tells_what_it_is_what_it_needs_and_what_changed() {
        let held = |value: Value, source: &str| json!({"value": value, "source": source, "happened_at": BEGIN});
        let ci = json!({
            "id": HOST, "class": "host", "name": "web-1", "agent": "web-1", "lifecycle": "in_use",
            "lifecycle_since": {"happened": BEGIN, "learned": BEGIN}, "first_seen": BEGIN, "last_seen": BEGIN + 60_000,
            "identifiers": [{"kind": "agent", "value": "web-1"}], "named_by": {"units": "f00"}, "wants": [],
            "attributes": {"kernel": held(json!("6.2"), "agent"), "cpus": held(json!(2), "agent"), "owner": held(json!("eva"), "hand")},
        });
        let value = |attribute: &str, value: &str, at: i64, until: Option<i64>| json!({"attribute": attribute, "value": value, "valid_from": BEGIN + at, "valid_to": until.map(|at| BEGIN + at)});
        let history = [
            value("kernel", "6.2", 50_000, None),
            value("cpus", "2", 0, None),
            value("kernel", "6.1", 0, Some(50_000)),
            value("lifecycle", "in_use", 0, None),
        ];
        insta::assert_snapshot!(page(&ci, &relations(), &history, BEGIN + 300_000));
    }

    #[test]
    fn every_relation_is_named_where_all_are_asked_for() {
        let told = grouped(HOST, &relations(), usize::MAX);
        assert_eq!(told.lines().count(), 2 + 11, "{told}");
        assert!(told.starts_with("  depends_on →\n    host db-1  bbbbbbbbbbbb"), "{told}");
    }
}
