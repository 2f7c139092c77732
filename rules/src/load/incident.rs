//! `incident:` and `runbook:` of a rule.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checker, Known, keys};
use crate::jinja::Names;
use crate::model::{Binding, CI_CLASSES, CiSelector, IncidentSpec, Runbook, RunbookUse};
use crate::near::near;
use crate::template::Template;
use crate::yaml::{Node, Style};

/// What is known of a rule's alerts when it is loaded.
pub(super) struct Alerts {
    /// The labels that they carry; none where that depends on an expression's result.
    pub labels: Option<BTreeSet<String>>,
}

impl Alerts {
    /// The alerts of an event rule.
    pub fn of(by: &[String], labels: &BTreeMap<String, String>) -> Self {
        let own = ["alertname".to_owned(), "instance".to_owned()];
        Self { labels: Some(own.into_iter().chain(by.iter().cloned()).chain(labels.keys().cloned()).collect()) }
    }

    /// Faults for labels that these alerts cannot have.
    pub fn check_labels(&self, check: &mut Checker<'_>, node: &Node, template: &Template) {
        for (name, at) in template.labels() {
            if let Some(near) = self.lacks(name) {
                check.fault_in(node, at, name.len(), self.sentence(name)).near(near);
            }
        }
    }

    /// A fault for a query where the alerts are of events: there are no samples to ask then.
    pub fn check_queries(&self, check: &mut Checker<'_>, node: &Node, template: &Template) {
        if self.labels.is_some() {
            refuse_queries(check, node, template);
        }
    }

    /// The near word, if the label cannot be there.
    fn lacks(&self, name: &str) -> Option<Option<String>> {
        let labels = self.labels.as_ref().filter(|labels| !labels.contains(name))?;
        Some(near(name, labels.iter().map(String::as_str)))
    }

    fn sentence(&self, name: &str) -> String {
        let labels: Vec<&str> = self.labels.iter().flatten().map(String::as_str).collect();
        format!("alerts of this rule have no label '{name}'; they have {}", labels.join(", "))
    }
}

/// Texts that are rendered where no samples are at hand.
fn refuse_queries(check: &mut Checker<'_>, node: &Node, template: &Template) {
    if let Some(at) = template.asks() {
        let wrong = "there are no samples to query here; only labels and annotations of rules with an 'expr' can ask";
        check.fault_in(node, at, "query".len(), wrong);
    }
}

pub(super) fn incident(check: &mut Checker<'_>, node: &Node, alerts: &Alerts) -> IncidentSpec {
    check.within("incident", |check| {
        let fields = check.fields(node, "an incident", &keys::INCIDENT);
        let defaults = IncidentSpec::default();
        IncidentSpec {
            key: fields.get("key").map(|node| key(check, node, alerts)),
            ci: fields.get("ci").and_then(|node| ci(check, node, alerts)),
            urgency: fields.get("urgency").and_then(|node| check.whole(node, 1, 3)).and_then(|n| u8::try_from(n).ok()),
            group: fields.get("group").and_then(|node| check.name(node)),
            resolve_after: fields
                .get("resolve_after")
                .and_then(|node| check.duration(node))
                .unwrap_or(defaults.resolve_after),
            knowledge: fields.get("knowledge").map(|node| check.texts(node)).unwrap_or_default(),
        }
    })
}

fn key(check: &mut Checker<'_>, node: &Node, alerts: &Alerts) -> Vec<String> {
    let items = check.list(node);
    if items.is_empty() && matches!(node.kind, crate::yaml::Kind::List(_)) {
        check.fault(node, "an empty key would make one incident of everything; leave 'key' out for the default");
    }
    let mut found = Vec::new();
    for item in items {
        let Some(name) = check.text(item) else { continue };
        if let Some(near) = alerts.lacks(&name) {
            let sentence = alerts.sentence(&name);
            check.fault(item, sentence).near(near);
        }
        found.push(name);
    }
    found
}

fn ci(check: &mut Checker<'_>, node: &Node, alerts: &Alerts) -> Option<CiSelector> {
    check.within("ci", |check| {
        let mut class = None;
        let mut attributes = BTreeMap::new();
        for (key, value) in check.entries(node) {
            let Some(name) = check.text(key) else { continue };
            if name == "class" {
                class = check.word(value, "class", &CI_CLASSES);
                continue;
            }
            attributes.extend(binding(check, value, alerts).map(|binding| (name, binding)));
        }
        if node.get("class").is_none() {
            check.fault(node, "a CI needs 'class', for example class: service_unit");
        }
        Some(CiSelector { class: class?, attributes })
    })
}

/// `$labels.NAME`, or a text as it stands.
fn binding(check: &mut Checker<'_>, node: &Node, alerts: &Alerts) -> Option<Binding> {
    let text = check.text(node)?;
    let is_plain = matches!(node.kind, crate::yaml::Kind::Scalar(_, Style::Plain));
    let Some(label) = text.strip_prefix("$labels.") else {
        if text.contains("{{") || (is_plain && text.starts_with('$')) {
            check.fault(node, format!("'{text}' is not bound here; write $labels.NAME for a label's value"));
        }
        return Some(Binding::Literal(text));
    };
    if let Some(near) = alerts.lacks(label) {
        let sentence = alerts.sentence(label);
        check.fault_in(node, "$labels.".len(), label.len(), sentence).near(near);
    }
    Some(Binding::Label(label.to_owned()))
}

pub(super) fn runbook_use(check: &mut Checker<'_>, node: &Node, alerts: &Alerts, known: &Known) -> Option<RunbookUse> {
    check.within("runbook", |check| {
        let fields = check.fields(node, "a rule's runbook", &["use", "with", "when"]);
        let name_node = fields.required(check, "use", "a rule's runbook");
        let name = name_node.and_then(|node| check.name(node));
        let used = name.as_ref().and_then(|name| known.runbooks.get(name));
        if let (Some(node), Some(name), None) = (name_node, &name, used) {
            no_runbook(check, node, name, known);
        }
        let with = fields.get("with").map(|node| with(check, node, alerts, used.and_then(Option::as_ref)));
        let with = with.unwrap_or_default();
        if let (Some(Some(runbook)), Some(node)) = (used, name_node) {
            for (parameter, _) in runbook.parameters.iter().filter(|(name, parameter)| {
                parameter.required && parameter.default.is_none() && !with.contains_key(*name)
            }) {
                let name = &runbook.name;
                check.fault(node, format!("runbook '{name}' needs the parameter '{parameter}'; give it in 'with'"));
            }
        }
        let mut names = Names::new(["incident", "ci", "alert", "params", "host"]);
        names.params = Some(with.keys().cloned().collect());
        let when = fields.get("when").and_then(|node| check.jinja_expression(node, &names));
        Some(RunbookUse { name: name?, with, when })
    })
}

fn no_runbook(check: &mut Checker<'_>, node: &Node, name: &str, known: &Known) {
    const SHOWN_MAX: usize = 10;
    let names: Vec<&str> = known.runbooks.keys().map(String::as_str).collect();
    let near = near(name, names.iter().copied());
    let fault = check.fault(node, format!("there is no runbook '{name}'"));
    match (&near, names.len()) {
        (Some(_), _) => fault.near(near),
        (None, 1..=SHOWN_MAX) => fault.hint(format!("known: {}", names.join(", "))),
        (None, _) => fault,
    };
}

fn with(check: &mut Checker<'_>, node: &Node, alerts: &Alerts, runbook: Option<&Runbook>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (key, name, value, text) in check.text_map(node) {
        check.within(format!("parameter '{name}'"), |check| {
            let template = check.template(value, &text);
            if let Some(template) = &template {
                alerts.check_labels(check, value, template);
                refuse_queries(check, value, template);
            }
            let Some(runbook) = runbook else { return };
            match runbook.parameters.get(&name) {
                None => {
                    let near = near(&name, runbook.parameters.keys().map(String::as_str));
                    check.fault(key, format!("runbook '{}' has no parameter '{name}'", runbook.name)).near(near);
                }
                Some(parameter) if template.is_some_and(|template| template.is_literal()) => {
                    if let Err(message) = parameter.check_text(&text) {
                        check.fault(value, message);
                    }
                }
                Some(_) => {}
            }
        });
        found.insert(name, text);
    }
    found
}
