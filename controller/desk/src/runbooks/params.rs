//! A runbook's parameters, checked against its schema before anything is rendered with them.

use std::collections::BTreeMap;

use serde_json::Value;
use watchkeep_rules::model::{Parameter, Runbook};

/// The parameters as steps see them: of their type, defaults filled in.
///
/// Errors: every fault, one a line.
pub(super) fn checked(
    runbook: &Runbook,
    given: &BTreeMap<String, Value>,
) -> Result<BTreeMap<String, Value>, Vec<String>> {
    let mut faults: Vec<String> = given
        .keys()
        .filter(|name| !runbook.parameters.contains_key(*name))
        .map(|name| format!("parameter \"{name}\" is unknown; {}", known(runbook)))
        .collect();
    let mut taken = BTreeMap::new();
    for (name, parameter) in &runbook.parameters {
        match value_of(name, parameter, given.get(name)) {
            Ok(Some(value)) => drop(taken.insert(name.clone(), value)),
            Ok(None) => {}
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(taken) } else { Err(faults) }
}

fn known(runbook: &Runbook) -> String {
    let names: Vec<&str> = runbook.parameters.keys().map(String::as_str).collect();
    if names.is_empty() { "it takes none".to_owned() } else { format!("it takes {}", names.join(", ")) }
}

fn value_of(name: &str, parameter: &Parameter, given: Option<&Value>) -> Result<Option<Value>, String> {
    let Some(given) = given.filter(|value| !value.is_null()).or(parameter.default.as_ref()) else {
        return if parameter.required { Err(format!("parameter \"{name}\" is required")) } else { Ok(None) };
    };
    // A rule's `with` and the command line give texts: they are read as the type that the parameter has.
    let taken = match given {
        Value::String(text) => parameter.check_text(text),
        other => parameter.check(other).map(|()| other.clone()),
    };
    taken.map(Some).map_err(|fault| format!("parameter \"{name}\": {fault}"))
}
