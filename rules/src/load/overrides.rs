//! `packs: [{use: systemd, overrides: {UnitFailed: {resolve_after: 2s}}}]`: single figures of a pack's rules, changed by
//! who takes it up, so that nobody edits a pack.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Checker, Fields, keys};
use crate::fault::{Fault, Faults};
use crate::model::{AlertRule, EventRule, IncidentSpec, RuleBook};
use crate::near::near;
use crate::yaml::{self, Node, Source};

/// One pack that the settings file takes up.
#[derive(Clone, Debug)]
pub struct PackUse {
    /// As in `packs/NAME`.
    pub name: String,
    pub overrides: Overrides,
}

/// Rule name → fields, with the places in the file that they came from.
#[derive(Clone, Debug)]
pub struct Overrides {
    source: Source,
    node: Option<Node>,
}

/// The `packs:` of a settings file; its other keys are read by others. None where the file has no such key.
pub fn pack_uses(file: &Path, text: &str) -> Result<Option<Vec<PackUse>>, Faults> {
    let source = Source::new(file.display().to_string(), text);
    let mut check = Checker::new(&source);
    let node = match yaml::parse(&source) {
        Ok(node) => node,
        Err(error) => return Err(Faults::of([vec![Fault::at(&source, error.at, error.at + 1, error.message)]])),
    };
    let uses = node.get("packs").map(|node| read_uses(&mut check, node, &source));
    let faults = Faults::of([check.faults]);
    if faults.is_empty() { Ok(uses) } else { Err(faults) }
}

fn read_uses(check: &mut Checker<'_>, node: &Node, source: &Source) -> Vec<PackUse> {
    let mut found: Vec<PackUse> = Vec::new();
    for item in check.list(node) {
        let fields = check.fields(item, "a pack", &["use", "overrides"]);
        let Some(node) = fields.required(check, "use", "a pack") else { continue };
        let known: Vec<&str> = crate::packs::shipped().iter().map(|pack| pack.name).collect();
        let Some(name) = check.word(node, "pack", &known) else { continue };
        if found.iter().any(|pack| pack.name == name) {
            check.fault(node, format!("the pack '{name}' is taken up already"));
            continue;
        }
        let overrides = Overrides { source: source.clone(), node: fields.get("overrides").cloned() };
        found.push(PackUse { name, overrides });
    }
    found
}

impl Overrides {
    /// None at all.
    pub fn none() -> Self {
        Self { source: Source::new("", ""), node: None }
    }

    /// Reads a mapping of rule name → fields from a text of its own.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Faults> {
        let source = Source::new(file.display().to_string(), text);
        match yaml::parse(&source) {
            Ok(node) => Ok(Self { source, node: Some(node).filter(|node| !node.is_null()) }),
            Err(error) => Err(Faults::of([vec![Fault::at(&source, error.at, error.at + 1, error.message)]])),
        }
    }
}

/// Changes the named fields of the rules of `book`. Rules and fields that do not exist are faults; with any fault the book
/// is to be thrown away.
pub fn apply_overrides(book: &mut RuleBook, overrides: &Overrides) -> Vec<Fault> {
    let Some(node) = &overrides.node else { return Vec::new() };
    let mut check = Checker::new(&overrides.source);
    for (key, value) in check.entries(node) {
        let name = key.scalar().unwrap_or_default();
        let mut is_known = false;
        check.within(format!("override of '{name}'"), |check| {
            for rule in book.event_rules.iter_mut().filter(|rule| rule.name == name) {
                is_known = true;
                event(check, value, rule);
            }
            for rule in book.alert_rules.iter_mut().filter(|rule| rule.name == name) {
                is_known = true;
                alert(check, value, rule);
            }
        });
        if !is_known {
            let names =
                book.event_rules.iter().map(|rule| &rule.name).chain(book.alert_rules.iter().map(|rule| &rule.name));
            let near = near(name, names.map(String::as_str));
            check.fault(key, format!("this pack has no rule '{name}'")).near(near);
        }
    }
    check.faults
}

const FOR_EVENTS: [(&str, &str); 2] = [
    ("for", "this is a rule over events; it has count and within"),
    ("keep_firing_for", "this is a rule over events; it has clear_after"),
];
const FOR_SAMPLES: [(&str, &str); 3] = [
    ("count", "this is a rule over samples; it has for"),
    ("within", "this is a rule over samples; it has for"),
    ("clear_after", "this is a rule over samples; it has keep_firing_for"),
];

fn event(check: &mut Checker<'_>, node: &Node, rule: &mut EventRule) {
    let known = ["count", "within", "clear_after", "labels", "incident", "urgency", "group", "resolve_after"];
    let fields = check.fields_among(node, "an override of an event rule", &known, &FOR_EVENTS);
    set(&mut rule.count, fields.get("count").and_then(|node| check.whole(node, 1, super::event::COUNT_MAX)));
    set(&mut rule.within, fields.get("within").and_then(|node| check.positive_duration(node)));
    if let Some(after) = fields.get("clear_after").and_then(|node| check.positive_duration(node)) {
        rule.clear_after = Some(after);
    }
    labels(check, &fields, &mut rule.labels);
    incident(check, &fields, &mut rule.incident);
}

fn alert(check: &mut Checker<'_>, node: &Node, rule: &mut AlertRule) {
    let known = ["for", "keep_firing_for", "labels", "incident", "urgency", "group", "resolve_after"];
    let fields = check.fields_among(node, "an override of an alert rule", &known, &FOR_SAMPLES);
    set(&mut rule.hold, fields.get("for").and_then(|node| check.duration(node)));
    set(&mut rule.keep_firing_for, fields.get("keep_firing_for").and_then(|node| check.duration(node)));
    labels(check, &fields, &mut rule.labels);
    incident(check, &fields, &mut rule.incident);
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// Values of labels that the rule has.
fn labels(check: &mut Checker<'_>, fields: &Fields<'_>, labels: &mut BTreeMap<String, String>) {
    let Some(node) = fields.get("labels") else { return };
    for (key, name, value, text) in check.text_map(node) {
        let Some(label) = labels.get_mut(&name) else {
            let near = near(&name, labels.keys().map(String::as_str));
            check.fault(key, format!("the rule sets no label '{name}'")).near(near);
            continue;
        };
        if text.contains("{{") {
            check.fault(value, "an override gives a value as it stands, no template");
        } else {
            *label = text;
        }
    }
}

/// `resolve_after`, `urgency` and `group` by themselves, or `incident:` with them.
fn incident(check: &mut Checker<'_>, fields: &Fields<'_>, spec: &mut IncidentSpec) {
    figures(check, fields, spec);
    if let Some(node) = fields.get("incident") {
        let elsewhere: Vec<(&str, &str)> = keys::INCIDENT
            .iter()
            .filter(|key| matches!(**key, "key" | "ci" | "knowledge"))
            .map(|key| (*key, "an override changes figures; what an incident is about stays the pack's word"))
            .collect();
        let fields = check.fields_among(node, "an override", &["urgency", "group", "resolve_after"], &elsewhere);
        figures(check, &fields, spec);
    }
}

fn figures(check: &mut Checker<'_>, fields: &Fields<'_>, spec: &mut IncidentSpec) {
    set(&mut spec.resolve_after, fields.get("resolve_after").and_then(|node| check.duration(node)));
    if let Some(urgency) = fields.get("urgency").and_then(|node| check.whole(node, 1, 3)) {
        spec.urgency = u8::try_from(urgency).ok();
    }
    if let Some(group) = fields.get("group").and_then(|node| check.name(node)) {
        spec.group = Some(group);
    }
}
