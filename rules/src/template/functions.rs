//! The functions of Prometheus's templates, one table.

use super::number;
use super::render::Value;

/// What a function is called with: its own arguments, then the piped value. The error says what was wrong.
type Body = fn(&[Value]) -> Result<Value, String>;

pub(super) struct Function {
    pub name: &'static str,
    /// How many arguments it takes, the piped one included.
    least: usize,
    most: usize,
    pub body: Body,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Function {
    pub fn check_count(&self, given: usize) -> Result<(), String> {
        if (self.least..=self.most).contains(&given) {
            return Ok(());
        }
        let wanted = match (self.least, self.most) {
            (least, most) if least == most => least.to_string(),
            (least, usize::MAX) => format!("at least {least}"),
            (least, most) => format!("{least} to {most}"),
        };
        Err(format!("'{}' takes {wanted} arguments, not {given}", self.name))
    }
}

const fn function(name: &'static str, least: usize, most: usize, body: Body) -> Function {
    Function { name, least, most, body }
}

/// Sorted by name.
static TABLE: &[Function] = &[
    function("and", 1, usize::MAX, |values| Ok(first_or_last(values, false))),
    function("eq", 2, usize::MAX, |values| {
        let found =
            values[1..].iter().try_fold(false, |found, other| Ok::<_, String>(found || equal(&values[0], other)?));
        found.map(Value::Bool)
    }),
    function("ge", 2, 2, |values| order(values, std::cmp::Ordering::is_ge)),
    function("gt", 2, 2, |values| order(values, std::cmp::Ordering::is_gt)),
    function("humanize", 1, 1, |values| Ok(Value::Text(humanize(values[0].number()?)))),
    function("humanize1024", 1, 1, |values| Ok(Value::Text(humanize1024(values[0].number()?)))),
    function("humanizeDuration", 1, 1, |values| Ok(Value::Text(humanize_duration(values[0].number()?)))),
    function("humanizePercentage", 1, 1, |values| {
        Ok(Value::Text(format!("{}%", number::general(values[0].number()? * 100.0, 4))))
    }),
    function("index", 2, 2, |values| match &values[0] {
        Value::Labels(labels) => Ok(Value::Text(labels.get(&values[1].text()).cloned().unwrap_or_default())),
        other => Err(format!("'index' takes labels, not {}", other.kind())),
    }),
    function("le", 2, 2, |values| order(values, std::cmp::Ordering::is_le)),
    function("len", 1, 1, |values| {
        Ok(Value::Number(match &values[0] {
            Value::Labels(labels) => labels.len() as f64,
            other => other.text().len() as f64,
        }))
    }),
    function("lt", 2, 2, |values| order(values, std::cmp::Ordering::is_lt)),
    function("match", 2, 2, |values| pattern(&values[0]).map(|regex| Value::Bool(regex.is_match(&values[1].text())))),
    function("ne", 2, 2, |values| Ok(Value::Bool(!equal(&values[0], &values[1])?))),
    function("not", 1, 1, |values| Ok(Value::Bool(!values[0].is_true()))),
    function("or", 1, usize::MAX, |values| Ok(first_or_last(values, true))),
    function("parseDuration", 1, 1, |values| {
        crate::duration::parse(&values[0].text()).map(|ms| Value::Number(ms as f64 / 1000.0))
    }),
    function("print", 0, usize::MAX, |values| Ok(Value::Text(values.iter().map(Value::text).collect()))),
    function("printf", 1, usize::MAX, |values| super::render::printf(&values[0].text(), &values[1..]).map(Value::Text)),
    function("reReplaceAll", 3, 3, |values| {
        let regex = pattern(&values[0])?;
        Ok(Value::Text(regex.replace_all(&values[2].text(), values[1].text().as_str()).into_owned()))
    }),
    function("stripDomain", 1, 1, |values| {
        let text = values[0].text();
        let (host, port) = split_port(&text);
        let short =
            if host.parse::<std::net::IpAddr>().is_ok() { host } else { host.split('.').next().unwrap_or(host) };
        Ok(Value::Text(format!("{short}{port}")))
    }),
    function("stripPort", 1, 1, |values| {
        let text = values[0].text();
        Ok(Value::Text(split_port(&text).0.trim_start_matches('[').trim_end_matches(']').to_owned()))
    }),
    function("title", 1, 1, |values| Ok(Value::Text(title(&values[0].text())))),
    function("toLower", 1, 1, |values| Ok(Value::Text(values[0].text().to_lowercase()))),
    function("toUpper", 1, 1, |values| Ok(Value::Text(values[0].text().to_uppercase()))),
];

/// Words of text/template and of Prometheus that are known and not taken.
pub(super) const NOT_TAKEN: &[&str] = &[
    "range",
    "define",
    "template",
    "block",
    "break",
    "continue",
    "query",
    "first",
    "value",
    "label",
    "strvalue",
    "sortByLabel",
    "args",
    "tmpl",
    "safeHtml",
    "graphLink",
    "tableLink",
    "pathPrefix",
    "externalURL",
    "toTime",
    "humanizeTimestamp",
    "call",
    "html",
    "js",
    "urlquery",
    "slice",
    "println",
];

pub(super) fn find(name: &str) -> Option<&'static Function> {
    TABLE.iter().find(|function| function.name == name)
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|function| function.name)
}

fn pattern(value: &Value) -> Result<regex::Regex, String> {
    crate::selector::unanchored(&value.text())
}

/// `host:port` to `host` and `:port`; what has no port keeps all.
fn split_port(text: &str) -> (&str, &str) {
    match text.rfind(':') {
        Some(at) if text[..at].ends_with(']') || !text[..at].contains(':') => text.split_at(at),
        _ => (text, ""),
    }
}

/// `or`: the first true value; `and`: the first false one; else the last.
fn first_or_last(values: &[Value], wanted: bool) -> Value {
    let found = values.iter().find(|value| value.is_true() == wanted).or(values.last());
    found.cloned().unwrap_or(Value::Bool(!wanted))
}

fn equal(one: &Value, other: &Value) -> Result<bool, String> {
    match (one, other) {
        (Value::Text(one), Value::Text(other)) => Ok(one == other),
        (Value::Number(one), Value::Number(other)) => Ok(one == other),
        (Value::Bool(one), Value::Bool(other)) => Ok(one == other),
        _ => Err(format!("{} and {} cannot be compared", one.kind(), other.kind())),
    }
}

fn order(values: &[Value], holds: fn(std::cmp::Ordering) -> bool) -> Result<Value, String> {
    let ordering = match (&values[0], &values[1]) {
        (Value::Text(one), Value::Text(other)) => Some(one.cmp(other)),
        (Value::Number(one), Value::Number(other)) => one.partial_cmp(other),
        (one, other) => return Err(format!("{} and {} cannot be compared", one.kind(), other.kind())),
    };
    Ok(Value::Bool(ordering.is_some_and(holds)))
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

fn humanize(value: f64) -> String {
    if is_plain(value) {
        return number::general(value, 4);
    }
    let (value, prefix) = match value.abs() >= 1.0 {
        true => scaled(value, 1000.0, &["k", "M", "G", "T", "P", "E", "Z", "Y"]),
        false => scaled_down(value),
    };
    format!("{}{prefix}", number::general(value, 4))
}

fn humanize1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return number::general(value, 4);
    }
    let (value, prefix) = scaled(value, 1024.0, &["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"]);
    format!("{}{prefix}", number::general(value, 4))
}

fn humanize_duration(value: f64) -> String {
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

/// The first letter of each word in upper case.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        if in_word {
            out.push(c)
        } else {
            out.extend(c.to_uppercase())
        }
        in_word = c.is_alphanumeric() || c == '_' || c == '\'';
    }
    out
}
