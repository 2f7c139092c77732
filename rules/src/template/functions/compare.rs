//! `eq`, `ne`, `lt`, `le`, `gt`, `ge`: Go compares only what is of one type, and an int is no float64.

use std::cmp::Ordering;

use super::super::value::Value;

/// `eq x a b …`: whether x equals any of them.
pub(super) fn equal_to_any(values: &[Value]) -> Result<Value, String> {
    for other in &values[1..] {
        if equal(&values[0], other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

pub(super) fn equal(one: &Value, other: &Value) -> Result<bool, String> {
    match (one, other) {
        (Value::Text(one), Value::Text(other)) => Ok(one == other),
        (Value::Int(one), Value::Int(other)) => Ok(one == other),
        (Value::Float(one), Value::Float(other)) => Ok(one == other),
        (Value::Bool(one), Value::Bool(other)) => Ok(one == other),
        (Value::Nil, other) | (other, Value::Nil) => Ok(matches!(other, Value::Nil)),
        (one, other) => Err(incompatible(one, other)),
    }
}

pub(super) fn order(values: &[Value], holds: fn(Ordering) -> bool) -> Result<Value, String> {
    let ordering = match (&values[0], &values[1]) {
        (Value::Text(one), Value::Text(other)) => Some(one.cmp(other)),
        (Value::Int(one), Value::Int(other)) => Some(one.cmp(other)),
        (Value::Float(one), Value::Float(other)) => one.partial_cmp(other),
        (one, other) if one.kind() == other.kind() => return Err("invalid type for comparison".to_owned()),
        (one, other) => return Err(incompatible(one, other)),
    };
    Ok(Value::Bool(ordering.is_some_and(holds)))
}

fn incompatible(one: &Value, other: &Value) -> String {
    let hint = match (one, other) {
        (Value::Float(_), Value::Int(int)) | (Value::Int(int), Value::Float(_)) => format!("; write {int}.0"),
        _ => String::new(),
    };
    format!("incompatible types for comparison: {} and {}{hint}", one.kind(), other.kind())
}
