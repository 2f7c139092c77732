//! A command that prints JSON: each number in it is a series, by its path.

use std::time::Duration;

use serde_json::Value;

use super::process::run;
use super::{Found, State, Verdict};
use crate::http::in_full;

/// Numbers of one answer at most; more fail the check.
const NUMBERS: usize = 500;
const DEPTH: usize = 16;

pub async fn look(argv: &[String], limit: Duration, found: &mut Found) -> Verdict {
    let ended = match run(argv, limit).await {
        Ok(ended) => ended,
        Err(error) => return (State::Unknown, in_full(&error)),
    };
    if !ended.status.success() {
        let said = if ended.stderr.trim().is_empty() { ended.stdout } else { ended.stderr };
        return (State::Critical, format!("{}: {}", ended.status, said.trim()));
    }
    let value: Value = match serde_json::from_str(&ended.stdout) {
        Ok(value) => value,
        Err(error) => return (State::Critical, format!("what it prints is no JSON: {error}")),
    };
    let mut numbers = Vec::new();
    walk(&value, &mut String::new(), 0, &mut numbers);
    if numbers.len() > NUMBERS {
        return (State::Critical, format!("what it prints has more than {NUMBERS} numbers"));
    }
    for (path, number) in &numbers {
        found.gauge("probe_json_value", "A number that a command printed, by its path.", &[("path", path)], *number);
    }
    (State::Ok, format!("it printed {} numbers", numbers.len()))
}

/// Numbers and truths (1, 0) with their paths: `queue.depth`, `disks.0.free`.
fn walk(value: &Value, path: &mut String, depth: usize, numbers: &mut Vec<(String, f64)>) {
    if depth > DEPTH || numbers.len() > NUMBERS {
        return;
    }
    let mut below = |key: &str, value: &Value| {
        let length = path.len();
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(key);
        walk(value, path, depth + 1, numbers);
        path.truncate(length);
    };
    match value {
        Value::Object(entries) => entries.iter().for_each(|(key, value)| below(key, value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(place, value)| below(&place.to_string(), value)),
        Value::Number(number) => numbers.extend(number.as_f64().map(|number| (path.clone(), number))),
        Value::Bool(truth) => numbers.push((path.clone(), f64::from(u8::from(*truth)))),
        Value::Null | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_truths_have_their_paths() {
        let value: Value =
            serde_json::from_str("{\"a\": {\"b\": 1.5, \"c\": [true, \"x\", 3]}, \"d\": null}").expect("is JSON");
        let mut numbers = Vec::new();
        walk(&value, &mut String::new(), 0, &mut numbers);
        let expected = [("a.b", 1.5), ("a.c.0", 1.0), ("a.c.2", 3.0)].map(|(path, number)| (path.to_owned(), number));
        assert_eq!(numbers, expected);
    }
}
