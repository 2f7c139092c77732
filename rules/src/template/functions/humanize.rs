//! Numbers for people.

use super::super::value::Value;
use crate::number;

/// One of the functions below over the only argument.
pub(super) fn humanizing(values: &[Value], function: fn(f64) -> String) -> Result<Value, String> {
    Ok(Value::Text(function(values[0].number()?)))
}

fn scaled(value: f64, base: f64, prefixes: &[&str]) -> (f64, String) {
    let mut value = value;
    let mut found = "";
    for prefix in prefixes {
        if value.abs() < base {
            break;
        }
        found = prefix;
        value /= base;
    }
    (value, found.to_owned())
}

fn scaled_down(value: f64) -> (f64, String) {
    let mut value = value;
    let mut found = "";
    for prefix in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if value.abs() >= 1.0 {
            break;
        }
        found = prefix;
        value *= 1000.0;
    }
    (value, found.to_owned())
}

fn is_plain(value: f64) -> bool {
    value == 0.0 || !value.is_finite()
}

/// With a metric prefix: 1234567 is `1.235M`.
pub(super) fn humanize(value: f64) -> String {
    if is_plain(value) {
        return number::general(value, 4);
    }
    let (value, prefix) = match value.abs() >= 1.0 {
        true => scaled(value, 1000.0, &["k", "M", "G", "T", "P", "E", "Z", "Y"]),
        false => scaled_down(value),
    };
    format!("{}{prefix}", number::general(value, 4))
}

/// With a binary prefix: 1536 is `1.5ki`.
pub(super) fn humanize1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return number::general(value, 4);
    }
    let (value, prefix) = scaled(value, 1024.0, &["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"]);
    format!("{}{prefix}", number::general(value, 4))
}

/// A ratio as a percentage.
pub(super) fn humanize_percentage(value: f64) -> String {
    format!("{}%", number::general(value * 100.0, 4))
}

/// Seconds as days, hours, minutes and seconds.
pub(super) fn humanize_duration(value: f64) -> String {
    if !value.is_finite() {
        return number::general(value, 4);
    }
    if value == 0.0 {
        return "0s".to_owned();
    }
    if value.abs() < 1.0 {
        let (value, prefix) = scaled_down(value);
        return format!("{}{prefix}s", number::general(value, 4));
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let whole = value.abs() as u64;
    let (seconds, minutes, hours, days) = (whole % 60, whole / 60 % 60, whole / 3600 % 24, whole / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", number::general(value.abs(), 4)),
        (0, 0, _) => format!("{sign}{minutes}m {seconds}s"),
        (0, _, _) => format!("{sign}{hours}h {minutes}m {seconds}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
    }
}
