//! What queries give, and collections: `first`, `value`, `label`, `sortByLabel`, `args`, `index`, `len`.

use std::sync::Arc;

use super::super::value::Value;
use super::string;
use crate::promql::eval::Sample;

pub(super) fn first(values: &[Value]) -> Result<Value, String> {
    match samples(&values[0])? {
        [sample, ..] => Ok(Value::Sample(sample.clone())),
        [] => Err("first() called on vector with no elements".to_owned()),
    }
}

pub(super) fn value(values: &[Value]) -> Result<Value, String> {
    sample(&values[0]).map(|sample| Value::Float(sample.value))
}

pub(super) fn label(values: &[Value]) -> Result<Value, String> {
    label_of(&values[1], &string(&values[0])?).map(Value::Text)
}

pub(super) fn label_of(value: &Value, name: &str) -> Result<String, String> {
    Ok(sample(value)?.labels.get(name).unwrap_or("").to_owned())
}

pub(super) fn sort_by_label(values: &[Value]) -> Result<Value, String> {
    let label = string(&values[0])?;
    let mut sorted = samples(&values[1])?.to_vec();
    sorted.sort_by(|one, other| one.labels.get(&label).unwrap_or("").cmp(other.labels.get(&label).unwrap_or("")));
    Ok(Value::Samples(sorted))
}

/// A map `arg0`, `arg1`, …, to hand several values to a template.
pub(super) fn args(values: &[Value]) -> Result<Value, String> {
    let named = values.iter().enumerate().map(|(place, value)| (format!("arg{place}"), value.clone()));
    Ok(Value::Map(Arc::new(named.collect())))
}

/// `index x 1 "key"`: x[1]["key"].
pub(super) fn index(values: &[Value]) -> Result<Value, String> {
    values[1..].iter().try_fold(values[0].clone(), |value, key| match (value, key) {
        (Value::Samples(samples), Value::Int(place)) => {
            let found = usize::try_from(*place).ok().and_then(|place| samples.get(place).cloned());
            found.map(Value::Sample).ok_or_else(|| format!("index out of range: {place}"))
        }
        (Value::Text(text), Value::Int(place)) => {
            let found = usize::try_from(*place).ok().and_then(|place| text.as_bytes().get(place).copied());
            found.map(|byte| Value::Int(i64::from(byte))).ok_or_else(|| format!("index out of range: {place}"))
        }
        (value @ (Value::Labels(_) | Value::Map(_)), Value::Text(key)) => value.element(key),
        (Value::Labels(_) | Value::Map(_), key) => Err(format!("value has type {}; should be string", key.kind())),
        (Value::Samples(_) | Value::Text(_), key) => Err(format!("cannot index slice/array with type {}", key.kind())),
        (value, _) => Err(format!("can't index item of type {}", value.kind())),
    })
}

/// Bytes of a text, elements of anything else.
pub(super) fn len(values: &[Value]) -> Result<Value, String> {
    let length = match &values[0] {
        Value::Text(text) => text.len(),
        Value::Labels(labels) => labels.len(),
        Value::Map(map) => map.len(),
        Value::Samples(samples) => samples.len(),
        other => return Err(format!("len of type {}", other.kind())),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn samples(value: &Value) -> Result<&[Sample], String> {
    match value {
        Value::Samples(samples) => Ok(samples),
        other => Err(format!("wrong type for value; expected a query's result; got {}", other.kind())),
    }
}

fn sample(value: &Value) -> Result<&Sample, String> {
    match value {
        Value::Sample(sample) => Ok(sample),
        other => Err(format!("wrong type for value; expected a sample; got {}", other.kind())),
    }
}
