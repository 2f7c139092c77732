//! `eq`, `ne`, `lt`, `le`, `gt`, `ge`: Go compares only what is of one type, and an int is no float64.

use std::cmp::Ordering;

use super::super::value::Value;

/// As Go says it, whatever the types are; mostly a float64 meets an int, which is to be written `100.0`.
const INCOMPATIBLE: &str = "incompatible types for comparison";

/// `eq x a b …`: whether x equals any of them.
pub(super) fn equal_to_any(values: &[Value]) -> Result<Value, String> {
    if let [value] = values {
        return Err(not_comparable(value).unwrap_or_else(|| "missing argument for comparison".to_owned()));
    }
    for other in &values[1..] {
        if equal(&values[0], other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

pub(super) fn equal(one: &Value, other: &Value) -> Result<bool, String> {
    match (&plain(one), &plain(other)) {
        (Value::Text(one), Value::Text(other)) => Ok(one == other),
        (Value::Int(one), Value::Int(other)) => Ok(one == other),
        (Value::Float(one), Value::Float(other)) => Ok(one == other),
        // Go compares where they are kept, and each is kept by itself.
        (Value::Time(_), Value::Time(_)) => Ok(false),
        (Value::Bool(one), Value::Bool(other)) => Ok(one == other),
        (Value::Nil, other) | (other, Value::Nil) => Ok(matches!(other, Value::Nil)),
        (one, other) => {
            let wrong = not_comparable(one).or_else(|| not_comparable(other));
            Err(wrong.unwrap_or_else(|| INCOMPATIBLE.to_owned()))
        }
    }
}

/// Months and days of the week are ints by nature, and Go compares by that.
fn plain(value: &Value) -> Value {
    match value {
        Value::Named(named) => Value::Int(named.number),
        value => value.clone(),
    }
}

fn not_comparable(value: &Value) -> Option<String> {
    let is_comparable = !matches!(value, Value::Labels(_) | Value::Map(_) | Value::Samples(_));
    (!is_comparable).then(|| format!("non-comparable type {}: {}", value.text(), value.kind()))
}

pub(super) fn order(values: &[Value], holds: fn(Ordering) -> bool) -> Result<Value, String> {
    let ordering = match (&plain(&values[0]), &plain(&values[1])) {
        (Value::Text(one), Value::Text(other)) => Some(one.cmp(other)),
        (Value::Int(one), Value::Int(other)) => Some(one.cmp(other)),
        (Value::Float(one), Value::Float(other)) => one.partial_cmp(other),
        (one, other) if one.kind() == other.kind() => return Err("invalid type for comparison".to_owned()),
        _ => return Err(INCOMPATIBLE.to_owned()),
    };
    Ok(Value::Bool(ordering.is_some_and(holds)))
}
