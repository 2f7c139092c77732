//! Steps and hooks of a runbook.

use std::collections::{BTreeMap, BTreeSet};

use super::actions;
use super::runbook::CONTEXT;
use super::{Checker, keys};
use crate::jinja::Names;
use crate::model::{Hook, Parameter, Step, StepAction};
use crate::selector::is_label_name;
use crate::yaml::Node;

pub(super) const NO_ACTION_YET: &str =
    "this action is not carried out yet; there are run, script, service, package, file and wait_for";
pub(super) const LATER: [(&str, &str); 9] = [
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
/// Packages are fetched from elsewhere, and a manager that is ended half-way has to be mended by hand.
const PACKAGE_TIMEOUT_DEFAULT: i64 = 600_000;
const RETRIES_MAX: u32 = 10;
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
    let (action, waiting) = actions::action(check, &fields, scope, &names).unzip();
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
    let usual =
        if matches!(action, Some(StepAction::Package { .. })) { PACKAGE_TIMEOUT_DEFAULT } else { TIMEOUT_DEFAULT };
    let timeout = waiting.flatten().or(timeout).unwrap_or(usual);
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
