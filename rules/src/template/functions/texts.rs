//! Functions of texts.

use super::super::value::Value;

pub(super) fn pattern(pattern: &str) -> Result<regex::Regex, String> {
    crate::selector::unanchored(pattern)
}

/// Go's `Sprint`: a space between two values of which neither is a text.
pub(super) fn print(values: &[Value]) -> String {
    let mut out = String::new();
    let mut before_is_text = true;
    for value in values {
        let is_text = matches!(value, Value::Text(_));
        if !out.is_empty() && !is_text && !before_is_text {
            out.push(' ');
        }
        out.push_str(&value.text_or_nil());
        before_is_text = is_text;
    }
    out
}

/// Go's `Sprintln`: a space between all, a new line behind.
pub(super) fn println(values: &[Value]) -> String {
    let texts: Vec<String> = values.iter().map(Value::text_or_nil).collect();
    texts.join(" ") + "\n"
}

/// `slice x 1 2`: bytes 1 up to 2.
pub(super) fn slice(values: &[Value]) -> Result<Value, String> {
    let Value::Text(text) = &values[0] else {
        return Err(format!("can't slice item of type {}", values[0].kind()));
    };
    let bound = |place: usize, default: usize| match values.get(place) {
        None => Ok(default),
        Some(Value::Int(at)) => usize::try_from(*at).map_err(|_| format!("index out of range: {at}")),
        Some(other) => Err(format!("cannot index slice/array with type {}", other.kind())),
    };
    if values.len() > 3 {
        return Err("cannot 3-index slice a string".to_owned());
    }
    let (from, to) = (bound(1, 0)?, bound(2, text.len())?);
    if let Some(outside) = [from, to].into_iter().find(|at| *at > text.len()) {
        return Err(format!("index out of range: {outside}"));
    }
    if from > to {
        return Err(format!("invalid slice index: {from} > {to}"));
    }
    // Go would cut a character in two; no text of ours can hold half of one.
    let cut = text.get(from..to).ok_or_else(|| format!("{from}:{to} cuts a character in two"))?;
    Ok(Value::Text(cut.to_owned()))
}

pub(super) fn strip_port(text: &str) -> String {
    split_port(text).0.trim_start_matches('[').trim_end_matches(']').to_owned()
}

/// The host without its domain; addresses stay, ports too.
pub(super) fn strip_domain(text: &str) -> String {
    let (host, port) = split_port(text);
    let short = if host.parse::<std::net::IpAddr>().is_ok() { host } else { host.split('.').next().unwrap_or(host) };
    format!("{short}{port}")
}

/// `host:port` to `host` and `:port`; what has no port keeps all.
fn split_port(text: &str) -> (&str, &str) {
    match text.rfind(':') {
        Some(at) if text[..at].ends_with(']') || !text[..at].contains(':') => text.split_at(at),
        _ => (text, ""),
    }
}

/// The first letter of each word in upper case.
pub(super) fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        if in_word {
            out.push(c)
        } else {
            out.extend(c.to_uppercase())
        }
        in_word = c.is_alphanumeric() || c == '_';
    }
    out
}
