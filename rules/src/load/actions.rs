//! What one step does.

use super::steps::{LATER, NO_ACTION_YET, Scope};
use super::{Checker, Fields, keys};
use crate::jinja::Names;
use crate::model::{Condition, FILE_STATES, PACKAGE_STATES, SERVICE_STATES, StepAction};
use crate::near::near;
use crate::yaml::{Kind, Node};

const ACTIONS: [&str; 6] = ["run", "script", "service", "package", "file", "wait_for"];

/// The one action, and for a wait its own timeout.
pub(super) fn action(
    check: &mut Checker<'_>,
    fields: &Fields<'_>,
    scope: &Scope<'_>,
    names: &Names,
) -> Option<(StepAction, Option<i64>)> {
    let given: Vec<&str> = ACTIONS.into_iter().filter(|action| fields.key(action).is_some()).collect();
    let [kind] = given.as_slice() else {
        no_single_action(check, fields, &given);
        return None;
    };
    let node = fields.required(check, kind, "a step")?;
    match *kind {
        "run" => argv(check, node, names).map(|argv| (StepAction::Run { argv }, None)),
        "service" => service(check, node, names).map(|action| (action, None)),
        "script" => script(check, node, names).map(|action| (action, None)),
        "package" => package(check, node, names).map(|action| (action, None)),
        "file" => file(check, node, names).map(|action| (action, None)),
        _ => wait_for(check, node, scope),
    }
}

fn no_single_action(check: &mut Checker<'_>, fields: &Fields<'_>, given: &[&str]) {
    if let [_, second, ..] = given {
        let message = format!("a step does one thing; this has {}", given.join(" and "));
        let node = fields.key(second).unwrap_or(fields.node);
        check.fault(node, message);
        return;
    }
    let Kind::Map(entries) = &fields.node.kind else { return };
    let later = |key: &Node| LATER.iter().any(|(word, why)| *why == NO_ACTION_YET && key.scalar() == Some(word));
    let misspelt =
        |key: &Node| key.scalar().is_some_and(|word| !keys::STEP.contains(&word) && near(word, ACTIONS).is_some());
    if entries.iter().any(|(key, _)| later(key) || misspelt(key)) {
        return;
    }
    if let Some((first, _)) = entries.first() {
        check.fault(first, "a step needs an action: run, script, service, package, file or wait_for");
    }
}

fn argv(check: &mut Checker<'_>, node: &Node, names: &Names) -> Option<Vec<String>> {
    if let Some(line) = node.scalar() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let hint = format!("write run: [{}]", words.join(", "));
        check.fault(node, "'run' takes a list of a program and its arguments; no shell reads it").hint(hint);
        return None;
    }
    let items = check.list(node);
    if items.is_empty() && matches!(node.kind, Kind::List(_)) {
        check.fault(node, "'run' needs at least the program");
        return None;
    }
    items.iter().map(|item| check.jinja_template(item, names)).collect()
}

fn service(check: &mut Checker<'_>, node: &Node, names: &Names) -> Option<StepAction> {
    let fields = check.fields(node, "a service", &keys::KEPT);
    let name = fields.required(check, "name", "a service").and_then(|node| check.jinja_template(node, names));
    let state =
        fields.required(check, "state", "a service").and_then(|node| check.word(node, "state", &SERVICE_STATES));
    Some(StepAction::Service { name: name?, state: state? })
}

/// Its interpreter is one word or a list; the content is taken as it stands.
fn script(check: &mut Checker<'_>, node: &Node, names: &Names) -> Option<StepAction> {
    let fields = check.fields(node, "a script", &keys::SCRIPT);
    let content = fields.required(check, "content", "a script").and_then(|node| {
        let text = check.text(node)?;
        if let Some(at) = text.find("{{") {
            let hint = "give the value to args, and read it as $1; so no value can become a command";
            check.fault_in(node, at, 2, "a script's content is no template").hint(hint);
        }
        Some(text)
    });
    let interpreter = match fields.get("interpreter") {
        None => vec!["/bin/sh".to_owned()],
        Some(node) if node.scalar().is_some() => vec![check.name(node)?],
        Some(node) => check.texts(node),
    };
    if interpreter.is_empty() {
        check.fault(node, "'interpreter' names no program");
    }
    let args = fields.get("args").map(|node| check.list(node)).unwrap_or_default();
    let args = args.iter().map(|item| check.jinja_template(item, names)).collect::<Option<Vec<_>>>();
    Some(StepAction::Script { interpreter, content: content?, args: args? })
}

fn package(check: &mut Checker<'_>, node: &Node, names: &Names) -> Option<StepAction> {
    let fields = check.fields(node, "a package", &keys::KEPT);
    let found = fields.required(check, "name", "a package").and_then(|node| match &node.kind {
        Kind::List(items) if items.is_empty() => {
            check.fault(node, "no package is named");
            None
        }
        Kind::List(items) => items.iter().map(|item| check.jinja_template(item, names)).collect(),
        _ => check.jinja_template(node, names).map(|name| vec![name]),
    });
    let state =
        fields.required(check, "state", "a package").and_then(|node| check.word(node, "state", &PACKAGE_STATES));
    Some(StepAction::Package { names: found?, state: state? })
}

fn file(check: &mut Checker<'_>, node: &Node, names: &Names) -> Option<StepAction> {
    let fields = check.fields(node, "a file", &keys::FILE);
    let path = fields.required(check, "path", "a file").and_then(|node| check.jinja_template(node, names));
    let state = match fields.get("state") {
        None => "file".to_owned(),
        Some(node) => check.word(node, "state", &FILE_STATES)?,
    };
    let template = |check: &mut Checker<'_>, key| fields.get(key).and_then(|node| check.jinja_template(node, names));
    let (content, owner, group) = (template(check, "content"), template(check, "owner"), template(check, "group"));
    if let (Some(node), true) = (fields.key("content"), state != "file") {
        check.fault(node, format!("what shall be {state} has no content"));
    }
    let mode = fields.get("mode").and_then(|node| mode(check, node));
    Some(StepAction::File { path: path?, state, content, mode, owner, group })
}

/// Four octal digits, with quotes or without: what is written counts, not the number that YAML makes of it.
fn mode(check: &mut Checker<'_>, node: &Node) -> Option<u32> {
    let text = node.scalar()?;
    let bits = u32::from_str_radix(text, 8).ok().filter(|bits| *bits <= 0o7777 && text.len() == 4);
    if bits.is_none() {
        check.fault(node, format!("'{text}' is no mode")).hint("four octal digits, as 0644");
    }
    bits
}

fn wait_for(check: &mut Checker<'_>, node: &Node, scope: &Scope<'_>) -> Option<(StepAction, Option<i64>)> {
    check.within("wait_for", |check| {
        let fields = check.fields(node, "wait_for", &["expr", "held", "timeout"]);
        let condition = fields.required(check, "expr", "wait_for").and_then(|node| condition(check, node, scope));
        let held = fields.get("held").and_then(|node| check.duration(node)).unwrap_or(0);
        let timeout = fields.get("timeout").and_then(|node| check.positive_duration(node));
        if let (Some(node), true) = (fields.get("held"), held >= timeout.unwrap_or(i64::MAX)) {
            check.fault(node, "this is not shorter than 'timeout', so the wait could never end well");
        }
        Some((StepAction::WaitFor { condition: condition?, held }, timeout))
    })
}

fn condition(check: &mut Checker<'_>, node: &Node, scope: &Scope<'_>) -> Option<Condition> {
    let text = check.text(node)?;
    let condition = match Condition::parse(&text) {
        Ok(condition) => condition,
        Err(error) => {
            check.selector_fault(node, &error);
            return None;
        }
    };
    for name in condition.bindings() {
        if name == "host" || scope.parameters.contains_key(name) {
            continue;
        }
        let at = text.find(&format!("${name}")).unwrap_or(0);
        let known = std::iter::once("host").chain(scope.parameters.keys().map(String::as_str));
        let near = near(name, known).map(|word| format!("${word}"));
        let message = format!("'${name}' is neither host nor a parameter of this runbook");
        check.fault_in(node, at, name.len() + 1, message).near(near);
    }
    Some(condition)
}
