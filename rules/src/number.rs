//! Numbers as Go writes them.

/// `%v` of a float: as short as it can be, with an exponent below 1e-4 and from 1e6 on.
pub(crate) fn shortest(value: f64) -> String {
    if let Some(special) = special(value) {
        return special;
    }
    let (digits, exponent) = digits(&format!("{value:e}"));
    if (-4..6).contains(&exponent) { format!("{value}") } else { with_exponent(value < 0.0, &digits, exponent) }
}

/// `%.Ng`: at most `precision` digits that count, zeros at the end dropped.
pub(crate) fn general(value: f64, precision: usize) -> String {
    if let Some(special) = special(value) {
        return special;
    }
    let precision = precision.max(1);
    let (mut digits, exponent) = digits(&format!("{value:.*e}", precision - 1));
    while digits.len() > 1 && digits.ends_with('0') {
        digits.pop();
    }
    let places = i32::try_from(precision).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= places {
        return with_exponent(value < 0.0, &digits, exponent);
    }
    let after_point = (i32::try_from(digits.len()).unwrap_or(i32::MAX) - 1 - exponent).max(0);
    format!("{value:.*}", usize::try_from(after_point).unwrap_or(0))
}

/// `%.Ne`
pub(crate) fn scientific(value: f64, precision: usize) -> String {
    if let Some(special) = special(value) {
        return special;
    }
    let written = format!("{value:.precision$e}");
    let (mantissa, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    format!("{mantissa}e{}", go_exponent(exponent.parse().unwrap_or(0)))
}

/// A text as a number, as Go's `ParseFloat` reads it.
///
/// # Errors
/// In Go's words.
pub(crate) fn parse(text: &str) -> Result<f64, String> {
    let wrong = |what: &str| format!("strconv.ParseFloat: parsing {text:?}: {what}");
    let value: f64 = text.parse().map_err(|_| wrong("invalid syntax"))?;
    let is_written_out = text.contains(|c: char| c.is_ascii_digit());
    if value.is_infinite() && is_written_out { Err(wrong("value out of range")) } else { Ok(value) }
}

pub(crate) fn special(value: f64) -> Option<String> {
    match value {
        value if value.is_nan() => Some("NaN".to_owned()),
        f64::INFINITY => Some("+Inf".to_owned()),
        f64::NEG_INFINITY => Some("-Inf".to_owned()),
        _ => None,
    }
}

/// The digits without sign and point, and the exponent, of `1.25e-3`.
fn digits(written: &str) -> (String, i32) {
    let (mantissa, exponent) = written.split_once('e').unwrap_or((written, "0"));
    (mantissa.chars().filter(char::is_ascii_digit).collect(), exponent.parse().unwrap_or(0))
}

fn with_exponent(negative: bool, digits: &str, exponent: i32) -> String {
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    format!("{}{first}{point}{rest}e{}", if negative { "-" } else { "" }, go_exponent(exponent))
}

/// At least two digits, with a sign.
fn go_exponent(exponent: i32) -> String {
    format!("{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}
