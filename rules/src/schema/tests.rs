use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::*;
use crate::load::keys;

/// As much of JSON Schema as ours use. Returns the first thing that is wrong.
fn check(root: &Value, schema: &Value, value: &Value, path: &str) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        let found = root.pointer(name.trim_start_matches('#')).ok_or_else(|| format!("{name} is nowhere"))?;
        check(root, found, value, path)?;
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| has_type(value, kind)) {
        return Err(format!("{path}: {value} is no {}", kinds.join(" or ")));
    }
    if schema["enum"].as_array().is_some_and(|known| !known.contains(value)) {
        return Err(format!("{path}: {value} is none of {}", schema["enum"]));
    }
    if let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str())
        && !Regex::new(pattern).map_err(|error| error.to_string())?.is_match(text)
    {
        return Err(format!("{path}: \"{text}\" does not match {pattern}"));
    }
    let out_of_range = |number: f64| {
        schema["minimum"].as_f64().is_some_and(|least| number < least)
            || schema["maximum"].as_f64().is_some_and(|most| number > most)
    };
    if value.as_f64().is_some_and(out_of_range) {
        return Err(format!("{path}: {value} is out of range"));
    }
    check_parts(root, schema, value, path)?;
    for (word, least, most) in [("anyOf", 1, usize::MAX), ("oneOf", 1, 1)] {
        let Some(choices) = schema[word].as_array() else { continue };
        let errors: Vec<String> = choices.iter().filter_map(|c| check(root, c, value, path).err()).collect();
        let fits = choices.len() - errors.len();
        if fits < least || fits > most {
            return Err(format!("{path}: {fits} of {} fit: {}", choices.len(), errors.join("; ")));
        }
    }
    Ok(())
}

fn check_parts(root: &Value, schema: &Value, value: &Value, path: &str) -> Result<(), String> {
    if let Some(items) = value.as_array() {
        if schema["minItems"].as_u64().is_some_and(|least| (items.len() as u64) < least) {
            return Err(format!("{path}: too few items"));
        }
        for (place, item) in items.iter().enumerate() {
            check(root, &schema["items"], item, &format!("{path}[{place}]"))?;
        }
    }
    let Some(entries) = value.as_object() else { return Ok(()) };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !entries.contains_key(name) {
            return Err(format!("{path}: '{name}' is missing"));
        }
    }
    for (name, value) in entries {
        let path = format!("{path}.{name}");
        match (schema["properties"].get(name), &schema["additionalProperties"]) {
            (Some(property), _) => check(root, property, value, &path)?,
            (None, Value::Bool(false)) => return Err(format!("{path}: this key is not known")),
            (None, additional) => check(root, additional, value, &path)?,
        }
    }
    Ok(())
}

fn has_type(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("a type '{other}'"),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Object(entries) if entries.contains_key("runbook") => "runbook",
        Value::Object(entries) if entries.contains_key("tests") => "tests",
        Value::Object(entries) if entries.contains_key("packs") => "settings",
        _ => "rules",
    }
}

fn judged(text: &str) -> Result<(), String> {
    let value: Value = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    let schema = schema(kind_of(&value)).expect("each kind has a schema");
    check(&schema, &schema, &value, "")
}

#[test]
fn what_ships_and_what_loads_fits_its_schema() {
    let mut texts: Vec<(String, String)> = Vec::new();
    for pack in crate::packs::shipped() {
        for (file, text) in pack.files.iter().chain(pack.tests) {
            texts.push((format!("{}/{file}", pack.name), (*text).to_owned()));
        }
    }
    for (path, text) in files("tests/good") {
        texts.push((path.display().to_string(), text));
    }
    let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/watchkeep.yaml");
    texts.push(("watchkeep.yaml".to_owned(), std::fs::read_to_string(settings).expect("the example is there")));
    assert!(texts.len() >= 12, "{} files", texts.len());
    for (name, text) in texts {
        assert_eq!(judged(&text), Ok(()), "{name}");
    }
}

/// Files under a folder of this crate with `.yaml` at their end.
fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let paths = std::fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("readable").path());
    let yaml = paths.filter(|path| path.extension().is_some_and(|found| found == "yaml"));
    yaml.map(|path| (path.clone(), std::fs::read_to_string(path).expect("readable"))).collect()
}

/// Faults that a schema can see are seen by it too.
#[test]
fn a_key_or_word_that_is_refused_fits_no_schema() {
    let seen_by_schemas =
        ["has no key", "needs 'expr'", "needs 'name'", "unknown state", "unknown class", "needs 'steps'"];
    let mut checked = 0;
    for (path, text) in files("tests/bad") {
        let told = std::fs::read_to_string(path.with_extension("txt")).expect("each has its message");
        if seen_by_schemas.iter().any(|part| told.contains(part)) {
            assert!(judged(&text).is_err(), "{}", path.display());
            checked += 1;
        }
    }
    assert!(checked >= 8, "only {checked} files were checked");
}

#[test]
fn schemas_and_loader_know_the_same_keys() {
    let keys_at = |kind: &str, pointer: &str| -> BTreeSet<String> {
        let schema = schema(kind).expect("a schema");
        let found = schema.pointer(pointer).and_then(Value::as_object);
        found.unwrap_or_else(|| panic!("{kind} has no {pointer}")).keys().cloned().collect()
    };
    let table: [(&str, &str, &[&str]); 18] = [
        ("rules", "/$defs/group/properties", &keys::GROUP),
        ("rules", "/$defs/record/properties", &keys::RECORD),
        ("rules", "/$defs/alert/properties", &keys::ALERT),
        ("rules", "/$defs/event/properties", &keys::EVENT),
        ("rules", "/$defs/incident/properties", &keys::INCIDENT),
        ("runbook", "/properties", &keys::RUNBOOK),
        ("runbook", "/$defs/guard/properties", &keys::GUARD),
        ("runbook", "/$defs/step/properties", &keys::STEP),
        ("tests", "/properties", &keys::TEST_FILE),
        ("tests", "/$defs/test/properties", &keys::TEST),
        ("settings", "/properties", &keys::SETTINGS),
        ("settings", "/properties/retention/properties", &keys::RETENTION),
        ("settings", "/$defs/remote_write/properties", &keys::REMOTE_WRITE),
        ("settings", "/$defs/remote_write/properties/authorization/properties", &keys::REMOTE_WRITE_AUTHORIZATION),
        ("settings", "/$defs/remote_write/properties/basic_auth/properties", &keys::REMOTE_WRITE_BASIC),
        ("settings", "/$defs/remote_write/properties/tls_config/properties", &keys::REMOTE_WRITE_TLS),
        (
            "settings",
            "/$defs/remote_write/properties/write_relabel_configs/items/properties",
            &keys::REMOTE_WRITE_RELABEL,
        ),
        ("settings", "/$defs/remote_write/properties/queue_config/properties", &keys::REMOTE_WRITE_QUEUE),
    ];
    for (kind, pointer, known) in table {
        let known: BTreeSet<String> = known.iter().map(|key| (*key).to_owned()).collect();
        assert_eq!(keys_at(kind, pointer), known, "{kind}{pointer}");
    }
    let schema = schema("rules").expect("a schema");
    assert_eq!(
        schema["$defs"]["incident"]["properties"]["ci"]["properties"]["class"]["enum"],
        serde_json::json!(crate::model::CI_CLASSES)
    );
}

#[test]
fn an_unknown_kind_has_no_schema() {
    assert!(KINDS.iter().all(|kind| schema(kind).is_some()));
    assert!(schema("asset").is_none());
}
