//! A plan: what would be done where, before anything is done. Pure, so that `--dry-run` shows the same as a run sends.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};
use watchkeep_rules::model::{Runbook, Step, StepAction};

use super::sight::Sight;
use super::template::{Names, evaluate, holds, later, render, speaks_of};
use super::{Plan, PlannedAction, PlannedStep, params};
use crate::decision::Action;

/// Why there is no plan: every fault found, each a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("runbook \"{runbook}\" cannot be planned: {}", faults.join("; "))]
pub struct PlanError {
    pub runbook: String,
    pub faults: Vec<String>,
}

/// Plans a run of `runbook` with these parameters. `agent` names the target outright; otherwise `targets` does.
///
/// Errors: all faults of parameters, target and templates.
pub fn plan(
    runbook: &Runbook,
    given: &BTreeMap<String, Value>,
    sight: &Sight,
    agent: Option<&str>,
) -> Result<Plan, PlanError> {
    let wrong = |faults| PlanError { runbook: runbook.name.clone(), faults };
    let params = params::checked(runbook, given).map_err(wrong)?;
    let mut names = names_of(&params, sight);
    let agent = target(runbook, &names, sight, agent).map_err(|fault| wrong(vec![fault]))?;
    names.insert("host".to_owned(), seen(&sight.hosts[&agent]));
    let (steps, faults) = planned_steps(runbook, &names, &params, &agent);
    if !faults.is_empty() {
        return Err(wrong(faults));
    }
    let (runbook, change, verify_within) =
        (runbook.name.clone(), runbook.change.template.clone(), runbook.verify_within);
    Ok(Plan { runbook, agent, params, steps, verify_within, change })
}

/// SHA-256 of the plan's canonical JSON, hexadecimal.
pub fn hash_of(plan: &Plan) -> String {
    let canonical = serde_json::to_vec(plan).expect("a plan is plain data");
    Sha256::digest(canonical).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Parameters by their own name too; what the controller knows comes before a parameter that is called the same.
pub(super) fn names_of(params: &BTreeMap<String, Value>, sight: &Sight) -> Names {
    let mut names: Names = params.iter().map(|(name, value)| (name.clone(), seen(value))).collect();
    names.insert("params".to_owned(), minijinja::Value::from(minijinja::value::Serde(params)));
    if let Some(incident) = &sight.incident {
        names.insert("ci".to_owned(), seen(&incident["ci"]));
        names.insert("incident".to_owned(), seen(incident));
    }
    if let Some(alert) = &sight.alert {
        names.insert("alert".to_owned(), seen(alert));
    }
    names
}

fn seen(value: &Value) -> minijinja::Value {
    minijinja::Value::from(minijinja::value::Serde(value))
}

/// The one agent that the run is for.
fn target(runbook: &Runbook, names: &Names, sight: &Sight, agent: Option<&str>) -> Result<String, String> {
    let name = match agent {
        Some(agent) => agent.to_owned(),
        None => {
            let target = evaluate(&runbook.targets, names).map_err(|fault| format!("targets: {fault}"))?;
            let named = target.get_attr("agent").ok().and_then(|name| name.as_str().map(str::to_owned));
            named.or_else(|| target.as_str().map(str::to_owned)).ok_or_else(|| {
                format!(
                    "targets: `{}` is {target}, which is no host; so far a run has one host as its target",
                    runbook.targets
                )
            })?
        }
    };
    if !sight.hosts.contains_key(&name) {
        return Err(format!("targets: no agent \"{name}\" is enrolled"));
    }
    Ok(name)
}

fn planned_steps(
    runbook: &Runbook,
    names: &Names,
    params: &BTreeMap<String, Value>,
    agent: &str,
) -> (Vec<PlannedStep>, Vec<String>) {
    let (mut names, mut registered, mut faults) = (names.clone(), Vec::new(), Vec::new());
    let mut planned = Vec::new();
    for (step, rollback) in all_steps(runbook) {
        match planned_step(step, rollback, &names, &registered, params, agent) {
            Ok(step) => planned.push(step),
            Err(fault) => faults.push(format!("step \"{}\": {fault}", step.name)),
        }
        if let Some(name) = &step.register {
            registered.push(name.as_str());
            names.insert(name.clone(), later(name));
        }
    }
    (planned, faults)
}

/// The steps, then those of the rollback; a step's number is its place here.
pub(super) fn all_steps(runbook: &Runbook) -> impl Iterator<Item = (&Step, bool)> {
    let steps = runbook.steps.iter().map(|step| (step, false));
    steps.chain(runbook.rollback.iter().map(|step| (step, true)))
}

fn planned_step(
    step: &Step,
    rollback: bool,
    names: &Names,
    registered: &[&str],
    params: &BTreeMap<String, Value>,
    agent: &str,
) -> Result<PlannedStep, String> {
    let undecided = step.when.as_deref().filter(|when| speaks_of(when, registered));
    let skipped = match (&step.when, undecided) {
        (Some(when), None) => !holds(when, names)?,
        _ => false,
    };
    Ok(PlannedStep {
        name: step.name.clone(),
        rollback,
        when: undecided.map(str::to_owned),
        skipped,
        action: action(&step.action, names, params, agent)?,
        timeout: step.timeout,
        retries: step.retries,
        idempotent: step.idempotent,
        register: step.register.clone(),
        attach: step.attach.clone(),
    })
}

/// A step's action with its templates rendered and its `$name` bound.
pub(super) fn action(
    action: &StepAction,
    names: &Names,
    params: &BTreeMap<String, Value>,
    agent: &str,
) -> Result<PlannedAction, String> {
    let rendered = |text: &String| render(text, names);
    let all = |texts: &[String]| texts.iter().map(rendered).collect::<Result<Vec<_>, _>>();
    let maybe = |text: &Option<String>| text.as_ref().map(rendered).transpose();
    let planned = match action {
        StepAction::Run { argv } => Action::Run { argv: all(argv)? },
        StepAction::Service { name, state } => Action::Service { name: rendered(name)?, state: state.clone() },
        StepAction::Script { interpreter, content, args } => {
            Action::Script { interpreter: interpreter.clone(), content: content.clone(), args: all(args)? }
        }
        StepAction::Package { names, state } => Action::Package { names: all(names)?, state: state.clone() },
        StepAction::File { path, state, content, mode, owner, group } => Action::File {
            path: rendered(path)?,
            state: state.clone(),
            content: maybe(content)?,
            mode: *mode,
            owner: maybe(owner)?,
            group: maybe(group)?,
        },
        StepAction::WaitFor { condition, held } => {
            let selector =
                condition.bind(|name| bound(name, params, agent)).map_err(|fault| format!("wait_for: {fault}"))?;
            return Ok(PlannedAction::WaitFor {
                text: condition.text.clone(),
                metric: condition.metric.clone(),
                selector,
                op: condition.op.clone(),
                value: condition.value,
                held: *held,
            });
        }
    };
    named(&planned)?;
    Ok(PlannedAction::Host(planned))
}

/// Refuses what a template left empty.
fn named(action: &Action) -> Result<(), String> {
    let empty = |name: &String| name.is_empty();
    match action {
        Action::Run { argv } if argv.first().is_none_or(empty) => Err("run: names no program".to_owned()),
        Action::Service { name, .. } if name.is_empty() => Err("service: its name is empty".to_owned()),
        Action::Package { names, .. } if names.is_empty() || names.iter().any(empty) => {
            Err("package: a name is empty".to_owned())
        }
        Action::File { path, .. } if !path.starts_with('/') && !path.contains('⟨') => {
            Err(format!("file: \"{path}\" is no absolute path"))
        }
        _ => Ok(()),
    }
}

/// What `$name` stands for in a condition: the host's name, or a parameter.
fn bound(name: &str, params: &BTreeMap<String, Value>, agent: &str) -> Option<String> {
    match params.get(name) {
        _ if name == "host" => Some(agent.to_owned()),
        Some(Value::String(text)) => Some(text.clone()),
        Some(value) => Some(value.to_string()),
        None => None,
    }
}
