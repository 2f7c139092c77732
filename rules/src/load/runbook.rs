//! Runbook files.

use std::collections::{BTreeMap, BTreeSet};

use super::guard::guard;
use super::steps::{Scope, hooks, steps};
use super::{Checker, Fields, keys};
use crate::jinja::Names;
use crate::model::{ChangeSpec, Parameter, ParameterType, Runbook};
use crate::selector::{is_label_name, unanchored};
use crate::yaml::{Kind, Node, Style};

/// What every expression of a runbook sees beside its parameters. A parameter cannot have one of these names.
pub(super) const CONTEXT: [&str; 7] = ["incident", "ci", "alert", "params", "host", "run", "secret"];

/// A runbook's name, and the runbook where it has no fault; none where it has no name.
pub(super) fn runbook(
    check: &mut Checker<'_>,
    node: &Node,
    places: &mut BTreeMap<String, String>,
) -> Option<(String, Option<Runbook>)> {
    let shown = node.get("runbook").and_then(Node::scalar).unwrap_or_default().to_owned();
    check.within_rule("runbook", &shown, |check| {
        let fields = check.fields(node, "a runbook", &keys::RUNBOOK);
        let name_node = fields.required(check, "runbook", "a runbook")?;
        let name = check.name(name_node)?;
        let (line, _) = check.source.place(name_node.start);
        if let Some(first) = places.insert(name.clone(), format!("{}:{line}", check.source.name)) {
            check.fault(name_node, format!("a runbook named '{name}' stands in {first} already"));
        }
        let before = check.faults.len();
        let runbook = body(check, &fields, &name);
        let is_good = check.faults.len() == before;
        Some((name, runbook.filter(|_| is_good)))
    })
}

fn body(check: &mut Checker<'_>, fields: &Fields<'_>, name: &str) -> Option<Runbook> {
    let parameters = fields.get("parameters").map(|node| parameters(check, node)).unwrap_or_default();
    let names = names(&parameters);
    let mut scope =
        Scope { names: &names, parameters: &parameters, registered: BTreeSet::new(), all_registered: BTreeSet::new() };
    let targets = fields.get("targets").and_then(|node| {
        let names = names_without(&names, &["host", "run"]);
        check.within("targets", |check| check.jinja_expression(node, &names))
    });
    let list = fields.required(check, "steps", "a runbook");
    if let Some(node) = list.filter(|node| matches!(&node.kind, Kind::List(steps) if steps.is_empty())) {
        check.fault(node, "a runbook needs at least one step");
    }
    Some(Runbook {
        name: name.to_owned(),
        file: check.source.name.clone(),
        title: fields.get("title").and_then(|node| check.text(node)).unwrap_or_else(|| name.to_owned()),
        owner: fields.get("owner").and_then(|node| check.name(node)),
        targets: targets.unwrap_or_else(|| "incident.ci.host".to_owned()),
        change: fields.get("change").map(|node| change(check, node, name)).unwrap_or_else(|| standard_change(name)),
        guard: fields.get("guard").map(|node| guard(check, node, &names)).unwrap_or_default(),
        steps: list.map(|node| steps(check, node, "step", &mut scope)).unwrap_or_default(),
        rollback: fields
            .get("rollback")
            .map(|node| steps(check, node, "rollback step", &mut scope))
            .unwrap_or_default(),
        verify_within: fields.get("verify_within").and_then(|node| check.positive_duration(node)),
        on_success: fields.get("on_success").map(|node| hooks(check, node, "on_success")).unwrap_or_default(),
        on_failure: fields.get("on_failure").map(|node| hooks(check, node, "on_failure")).unwrap_or_default(),
        parameters,
    })
}

fn names(parameters: &BTreeMap<String, Parameter>) -> Names {
    let mut names = Names::new(CONTEXT).with(parameters.keys().cloned());
    names.params = Some(parameters.keys().cloned().collect());
    names
}

fn names_without(names: &Names, unseen: &[&str]) -> Names {
    let mut names = names.clone();
    names.known.retain(|name| !unseen.contains(&name.as_str()));
    names
}

fn standard_change(template: &str) -> ChangeSpec {
    ChangeSpec { kind: "standard".to_owned(), template: template.to_owned() }
}

fn change(check: &mut Checker<'_>, node: &Node, name: &str) -> ChangeSpec {
    check.within("change", |check| {
        let fields = check.fields(node, "a change", &["type", "template"]);
        let kinds = ["standard", "normal", "emergency"];
        let kind = fields.get("type").and_then(|node| check.word(node, "type", &kinds));
        let template = fields.get("template").and_then(|node| check.name(node));
        ChangeSpec {
            kind: kind.unwrap_or_else(|| "standard".to_owned()),
            template: template.unwrap_or_else(|| name.to_owned()),
        }
    })
}

fn parameters(check: &mut Checker<'_>, node: &Node) -> BTreeMap<String, Parameter> {
    let mut found = BTreeMap::new();
    for (key, value) in check.entries(node) {
        let Some(name) = check.name(key) else { continue };
        check.within(format!("parameter '{name}'"), |check| {
            if !is_label_name(&name) {
                check.fault(key, format!("'{name}' is no name of a parameter; letters, digits and _ make one"));
            } else if CONTEXT.contains(&name.as_str()) {
                check.fault(key, format!("'{name}' is a name that every runbook has already; choose another"));
            }
            let parameter = parameter(check, value);
            found.insert(name, parameter);
        });
    }
    found
}

fn parameter(check: &mut Checker<'_>, node: &Node) -> Parameter {
    let fields = check.fields(node, "a parameter", &["type", "pattern", "required", "default"]);
    let kinds = ["string", "integer", "number", "boolean"];
    let kind = match fields.get("type").and_then(|node| check.word(node, "type", &kinds)).as_deref() {
        Some("integer") => ParameterType::Integer,
        Some("number") => ParameterType::Number,
        Some("boolean") => ParameterType::Boolean,
        _ => ParameterType::String,
    };
    let pattern = fields.get("pattern").and_then(|node| pattern(check, node, kind));
    let required = fields.get("required").and_then(|node| check.boolean(node)).unwrap_or(false);
    let mut parameter = Parameter { kind, pattern, required, default: None };
    parameter.default = fields.get("default").and_then(|node| default(check, node, &parameter));
    parameter
}

fn pattern(check: &mut Checker<'_>, node: &Node, kind: ParameterType) -> Option<String> {
    let text = check.text(node)?;
    if kind != ParameterType::String {
        check.fault(node, format!("a pattern is for strings; this parameter is a {}", kind.word()));
    }
    match unanchored(&text) {
        Ok(_) => Some(text),
        Err(message) => {
            check.fault(node, message);
            None
        }
    }
}

fn default(check: &mut Checker<'_>, node: &Node, parameter: &Parameter) -> Option<serde_json::Value> {
    let text = check.text(node)?;
    let is_quoted = matches!(node.kind, Kind::Scalar(_, style) if style != Style::Plain);
    let outcome = match (is_quoted, parameter.kind) {
        (true, kind) if kind != ParameterType::String => Err(format!("\"{text}\" is no {}", kind.word())),
        _ => parameter.check_text(&text),
    };
    match outcome {
        Ok(value) => Some(value),
        Err(message) => {
            check.fault(node, message);
            None
        }
    }
}
