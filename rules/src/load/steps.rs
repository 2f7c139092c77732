//! Steps and hooks of a runbook.

use std::collections::{BTreeMap, BTreeSet};

use super::runbook::CONTEXT;
use super::{Checker, Fields, keys};
use crate::jinja::Names;
use crate::model::{Condition, Hook, Parameter, Step, StepAction};
use crate::near::near;
use crate::selector::is_label_name;
use crate::yaml::{Kind, Node};

const ACTIONS: [&str; 3] = ["run", "service", "wait_for"];

const NO_ACTION_YET: &str = "this action is not carried out yet; there are run, service and wait_for";
const LATER: [(&str, &str); 12] = [
    ("script", NO_ACTION_YET),
    ("package", NO_ACTION_YET),
    ("file", NO_ACTION_YET),
    ("http", NO_ACTION_YET),
    ("approve", NO_ACTION_YET),
    ("notify", NO_ACTION_YET),
    ("record", NO_ACTION_YET),
    ("runbook", NO_ACTION_YET),
    ("effect", "what a step says of its effect is not used yet"),
    ("pre", "checks before a step are not made yet; put a step before it"),
    ("verify", "checks after a step are not made yet; put a wait_for step after it"),
    ("undo", "steps are not undone one by one yet; use 'rollback'"),
];

const TIMEOUT_DEFAULT: i64 = 60_000;
const RETRIES_MAX: u32 = 10;
const STATES: [&str; 4] = ["started", "stopped", "restarted", "reloaded"];
/// States that a person works an incident in; the others come by acts and by recovery.
const INCIDENT_STATES: [&str; 3] = ["acknowledged", "in_progress", "on_hold"];

/// What a step sees.
pub(super) struct Scope<'a> {
    pub names: &'a Names,
    pub parameters: &'a BTreeMap<String, Parameter>,
    /// Results of the steps before.
    pub registered: BTreeSet<String>,
    /// Results of all steps.
    pub all_registered: BTreeSet<String>,
}

impl Scope<'_> {
    fn names(&self) -> Names {
        let mut names = self.names.with(self.registered.iter().cloned());
        names.results = self.registered.clone();
        names.later = self.all_registered.difference(&self.registered).cloned().collect();
        names
    }
}

pub(super) fn steps(check: &mut Checker<'_>, node: &Node, what: &str, scope: &mut Scope<'_>) -> Vec<Step> {
    let mut found = Vec::new();
    let mut named = BTreeSet::new();
    let items = check.list(node);
    let registered = items.iter().filter_map(|step| step.get("register").and_then(Node::scalar));
    scope.all_registered.extend(registered.map(str::to_owned));
    for (place, node) in items.iter().enumerate() {
        let name = node.get("name").and_then(Node::scalar).unwrap_or_default();
        let shown = if name.is_empty() { format!("{what} {}", place + 1) } else { format!("{what} '{name}'") };
        let is_twice = !name.is_empty() && !named.insert(name);
        found.extend(check.within(shown, |check| {
            if let Some(node) = node.get("name").filter(|_| is_twice) {
                check.fault(
                    node,
                    format!("a {what} before this one is named '{name}' already; a run tells steps by name"),
                );
            }
            step(check, node, place, scope)
        }));
    }
    found
}

fn step(check: &mut Checker<'_>, node: &Node, place: usize, scope: &mut Scope<'_>) -> Option<Step> {
    let fields = check.fields_among(node, "a step", &keys::STEP, &LATER);
    let names = scope.names();
    let name = fields.get("name").and_then(|node| check.name(node)).unwrap_or_else(|| format!("step {}", place + 1));
    let when = fields.get("when").and_then(|node| check.jinja_expression(node, &names));
    let timeout = fields.get("timeout").and_then(|node| check.positive_duration(node));
    let (action, waiting) = action(check, &fields, scope, &names).unzip();
    if let (Some(Some(_)), Some(node)) = (&waiting, fields.key("timeout")) {
        check.fault(node, "the time to wait is said twice; keep 'timeout' in wait_for");
    }
    let is_read = matches!(action, Some(StepAction::WaitFor { .. }));
    let idempotent = fields.get("idempotent").and_then(|node| check.boolean(node)).unwrap_or(is_read);
    let retries = fields.get("retries").and_then(|node| check.whole(node, 0, RETRIES_MAX)).unwrap_or(0);
    if let (true, false, Some(node)) = (retries > 0, idempotent, fields.key("retries")) {
        check
            .fault(node, "a step that is not idempotent is never run twice, so it cannot have retries")
            .hint("say idempotent: true if a second run does no harm");
    }
    let register = fields.get("register").and_then(|node| register(check, node, scope));
    let attach = fields.get("attach").and_then(|node| check.jinja_expression(node, &scope.names()));
    let timeout = waiting.flatten().or(timeout).unwrap_or(TIMEOUT_DEFAULT);
    Some(Step { name, when, action: action?, timeout, retries, register, idempotent, attach })
}

fn register(check: &mut Checker<'_>, node: &Node, scope: &mut Scope<'_>) -> Option<String> {
    let name = check.name(node)?;
    if !is_label_name(&name) {
        check.fault(node, format!("'{name}' is no name for a result; letters, digits and _ make one"));
        return None;
    }
    if CONTEXT.contains(&name.as_str()) || scope.parameters.contains_key(&name) {
        check.fault(node, format!("'{name}' means something else in this runbook already; choose another name"));
    } else if !scope.registered.insert(name.clone()) {
        check.fault(node, format!("a step before this one registers '{name}' already"));
    }
    Some(name)
}

/// The one action, and for a wait its own timeout.
fn action(
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
        check.fault(first, "a step needs an action: run, service or wait_for");
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
    let fields = check.fields(node, "a service", &["name", "state"]);
    let name = fields.required(check, "name", "a service").and_then(|node| check.jinja_template(node, names));
    let state = fields.required(check, "state", "a service").and_then(|node| check.word(node, "state", &STATES));
    Some(StepAction::Service { name: name?, state: state? })
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

pub(super) fn hooks(check: &mut Checker<'_>, node: &Node, key: &str) -> Vec<Hook> {
    check.within(key, |check| check.list(node).iter().filter_map(|node| hook(check, node)).collect())
}

fn hook(check: &mut Checker<'_>, node: &Node) -> Option<Hook> {
    let fields = check.fields(node, "what follows a run", &["notify", "record"]);
    match (fields.get("notify"), fields.get("record")) {
        (Some(node), None) => {
            let fields = check.fields(node, "notify", &["group"]);
            let group = fields.required(check, "group", "notify").and_then(|node| check.name(node));
            Some(Hook::Notify { group: group? })
        }
        (None, Some(node)) => {
            let fields = check.fields(node, "record", &["incident"]);
            let incident = fields.required(check, "incident", "record")?;
            let fields = check.fields(incident, "record.incident", &["state"]);
            let state = fields.required(check, "state", "record.incident");
            let state = state.and_then(|node| check.word(node, "state", &INCIDENT_STATES));
            Some(Hook::IncidentState { state: state? })
        }
        (Some(_), Some(_)) => {
            check.fault(node, "one of notify and record stands in an item; make two of them");
            None
        }
        (None, None) => None,
    }
}
