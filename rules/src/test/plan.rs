//! Which steps a run would take: every text rendered, nothing sent. Results of steps read as `⟨log.stdout⟩`; what only
//! a real run knows beyond them (the incident's fields) is an error that says so.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::course::FiringAlert;
use crate::jinja;
use crate::model::{Runbook, RunbookUse, StepAction};
use crate::template;

/// A run as it would be planned.
pub(super) struct Planned {
    pub runbook: String,
    pub host: String,
    /// One line a step, in order; steps whose `when` is false are left out.
    pub steps: Result<Vec<String>, String>,
}

/// The run that an alert's rule asks for.
pub(super) fn of_alert(runbook: &Runbook, using: &RunbookUse, alert: &FiringAlert) -> Planned {
    let host = alert.labels.get("instance").cloned().unwrap_or_default();
    let steps = using
        .with
        .iter()
        .map(|(name, text)| match template::render(text, &alert.labels, alert.value) {
            Ok(value) => Ok((name.clone(), value)),
            Err(error) => Err(format!("parameter '{name}': {error}")),
        })
        .collect::<Result<BTreeMap<_, _>, _>>()
        .and_then(|with| {
            let alert = json!({"labels": alert.labels, "annotations": alert.annotations});
            steps(runbook, &with, &host, alert)
        });
    Planned { runbook: runbook.name.clone(), host, steps }
}

/// A run that a person starts.
pub(super) fn by_hand(runbook: &Runbook, with: &BTreeMap<String, String>, host: &str) -> Planned {
    let steps = steps(runbook, with, host, Value::Null);
    Planned { runbook: runbook.name.clone(), host: host.to_owned(), steps }
}

fn steps(runbook: &Runbook, with: &BTreeMap<String, String>, host: &str, alert: Value) -> Result<Vec<String>, String> {
    let params = params(runbook, with)?;
    let mut context = params.clone();
    context.insert("params".to_owned(), Value::Object(params.clone()));
    context.insert("host".to_owned(), json!({"name": host, "agent": host}));
    if !alert.is_null() {
        context.insert("alert".to_owned(), alert);
    }
    let (mut found, mut registered) = (Vec::new(), Vec::new());
    for step in &runbook.steps {
        let wrong = |message: String| format!("step '{}': {message}", step.name);
        // What depends on a result is planned: whether it runs is known when the result is.
        let skipped = match &step.when {
            Some(when) if !jinja::speaks_of(when, &registered) => !jinja::truth(when, &context).map_err(wrong)?,
            _ => false,
        };
        if !skipped {
            found.push(shown(&step.action, &context, host).map_err(wrong)?);
        }
        if let Some(name) = &step.register {
            registered.push(name.as_str());
            context.insert(name.clone(), open_result(name));
        }
    }
    Ok(found)
}

/// A result that nobody knows yet: each field reads as `⟨log.stdout⟩`, as in a plan.
fn open_result(name: &str) -> Value {
    let field = |field: &&str| ((*field).to_owned(), Value::String(format!("⟨{name}.{field}⟩")));
    Value::Object(jinja::RESULT_FIELDS.iter().map(field).collect())
}

fn params(runbook: &Runbook, with: &BTreeMap<String, String>) -> Result<Map<String, Value>, String> {
    let mut params = Map::new();
    if let Some(unknown) = with.keys().find(|name| !runbook.parameters.contains_key(*name)) {
        return Err(format!("runbook '{}' has no parameter '{unknown}'", runbook.name));
    }
    for (name, parameter) in &runbook.parameters {
        let value = match with.get(name) {
            Some(text) => Some(parameter.check_text(text).map_err(|message| format!("parameter '{name}': {message}"))?),
            None => parameter.default.clone(),
        };
        if value.is_none() && parameter.required {
            return Err(format!("parameter '{name}' is not given"));
        }
        params.insert(name.clone(), value.unwrap_or(Value::Null));
    }
    Ok(params)
}

fn shown(action: &StepAction, context: &Map<String, Value>, host: &str) -> Result<String, String> {
    let render = |text: &String| jinja::render(text, context);
    let all = |texts: &[String]| texts.iter().map(render).collect::<Result<Vec<_>, _>>();
    match action {
        StepAction::Run { argv } => Ok(shown_run(&all(argv)?)),
        StepAction::Service { name, state } => Ok(shown_kept("service", &render(name)?, state)),
        StepAction::Script { args, .. } => Ok(shown_script(&all(args)?)),
        StepAction::Package { names, state } => Ok(shown_kept("package", &all(names)?.join(" "), state)),
        StepAction::File { path, state, .. } => Ok(shown_kept("file", &render(path)?, state)),
        StepAction::WaitFor { condition, .. } => {
            let value_of = |name: &str| match name {
                "host" => Some(host.to_owned()),
                name => context.get(name).map(|value| value.as_str().map_or(value.to_string(), str::to_owned)),
            };
            let bound = condition.bind(value_of).map_err(|name| format!("nothing is bound to ${name}"))?;
            Ok(shown_wait(&format!("{}{bound} {} {}", condition.metric, condition.op, condition.value)))
        }
    }
}

pub(super) fn shown_run(argv: &[String]) -> String {
    format!("run {}", serde_json::to_string(argv).expect("a list of texts is JSON"))
}

/// A script by its arguments: its content is in the runbook, beside the test.
pub(super) fn shown_script(args: &[String]) -> String {
    format!("script {}", serde_json::to_string(args).expect("a list of texts is JSON"))
}

/// What is brought to a state.
pub(super) fn shown_kept(action: &str, name: &str, state: &str) -> String {
    format!("{action} {name} {state}")
}

/// Conditions are compared as they are read, so that spaces do not matter.
pub(super) fn shown_wait(text: &str) -> String {
    use crate::model::Condition;
    Condition::parse(text).map_or_else(
        |_| format!("wait_for {text}"),
        |condition| format!("wait_for {}{} {} {}", condition.metric, condition.matchers, condition.op, condition.value),
    )
}
