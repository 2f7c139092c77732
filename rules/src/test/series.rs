//! `input_series` in promtool's notation.
//!
//! Values are separated by space: `1`, `-2.5`, `NaN`, `-Inf`; `_` is no sample, `stale` the stale marker; `5x3` is the value
//! and three more, `1+2x3` the same rising by 2, `_x3` three gaps. Hexadecimal numbers are not known here.

use crate::promql::labels::{Labels, NAME};
use crate::promql::series::STALE;
use crate::selector::{MatchOp, Selector};

/// Values that one series may have.
pub(super) const VALUES_MAX: usize = 1_000_000;

/// A series of a test; value `i` stands at `i` times the test's interval.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct InputSeries {
    pub labels: Labels,
    pub values: Vec<Option<f64>>,
}

/// What is wrong with a text, and at which bytes of it.
#[derive(Debug, PartialEq)]
pub(super) struct Wrong {
    pub at: usize,
    pub length: usize,
    pub message: String,
}

fn wrong(at: usize, length: usize, message: impl Into<String>) -> Wrong {
    Wrong { at, length: length.max(1), message: message.into() }
}

/// `name{label="value"}`, as series and as samples that are expected.
pub(super) fn labels(text: &str) -> Result<Labels, Wrong> {
    let of_selector = |error: crate::selector::SelectorError| wrong(error.at, error.length, error.message);
    let (name, selector) = Selector::parse_with_metric(text).map_err(of_selector)?;
    let mut pairs: Vec<(String, String)> = name.into_iter().map(|name| (NAME.to_owned(), name)).collect();
    for matcher in selector.matchers {
        if matcher.op != MatchOp::Equal {
            return Err(wrong(0, text.len(), format!("a series has labels by '=', not by '{}'", matcher.op.as_str())));
        }
        pairs.push((matcher.label, matcher.value));
    }
    Ok(Labels::new(pairs))
}

pub(super) fn values(text: &str) -> Result<Vec<Option<f64>>, Wrong> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(found);
        }
        let at = text.len() - rest.len();
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (item, after) = rest.split_at(end);
        let shift = |fault: Wrong| Wrong { at: at + fault.at, ..fault };
        if item.starts_with("{{") {
            let length = rest.find("}}").map_or(item.len(), |end| end + 2);
            return Err(wrong(at, length, "native histograms are not taken yet"));
        }
        expand(item, &mut found).map_err(shift)?;
        if found.len() > VALUES_MAX {
            return Err(wrong(at, item.len(), format!("more than {VALUES_MAX} values in one series")));
        }
        rest = after;
    }
}

/// `1`, `1x4`, `1+2x4`, `_`, `_x4`, `stale`
fn expand(item: &str, into: &mut Vec<Option<f64>>) -> Result<(), Wrong> {
    let not_one =
        || wrong(0, item.len(), format!("\"{item}\" is no value; write for example 5, 1x3, 0+10x20, _ or stale"));
    if let Some(after) = item.strip_prefix('_') {
        let gaps = if after.is_empty() { 1 } else { after.strip_prefix('x').and_then(count).ok_or_else(not_one)? };
        return repeat(item, gaps, into, || None);
    }
    let (first, after) = value(item).ok_or_else(not_one)?;
    if after.is_empty() {
        into.push(Some(first));
        return Ok(());
    }
    if let Some(times) = after.strip_prefix('x') {
        let times = count(times).ok_or_else(not_one)?;
        return repeat(item, times + 1, into, || Some(first));
    }
    if !after.starts_with(['+', '-']) {
        return Err(not_one());
    }
    let (step, after) = value(after).ok_or_else(not_one)?;
    let times = after.strip_prefix('x').and_then(count).ok_or_else(not_one)?;
    // As promtool does it: by adding again and again, with what rounding that brings.
    let mut next = first;
    repeat(item, times + 1, into, || {
        let value = next;
        next += step;
        Some(value)
    })
}

fn repeat(
    item: &str,
    times: usize,
    into: &mut Vec<Option<f64>>,
    mut next: impl FnMut() -> Option<f64>,
) -> Result<(), Wrong> {
    if times > VALUES_MAX {
        return Err(wrong(0, item.len(), format!("more than {VALUES_MAX} values in one series")));
    }
    into.extend((0..times).map(|_| next()));
    Ok(())
}

fn count(text: &str) -> Option<usize> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// A number with its sign, and what follows it.
fn value(text: &str) -> Option<(f64, &str)> {
    let unsigned = text.trim_start_matches(['+', '-']);
    let sign = match text.len() - unsigned.len() {
        0 => 1.0,
        1 if text.starts_with('-') => -1.0,
        1 => 1.0,
        _ => return None,
    };
    for (word, value) in [("inf", f64::INFINITY), ("nan", f64::NAN), ("stale", f64::from_bits(STALE))] {
        let is_word = unsigned.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        let is_signed = unsigned.len() < text.len();
        if is_word && !(word == "stale" && is_signed) {
            // The bits of the stale marker must not pass through arithmetic.
            return Some((if word == "inf" { sign * value } else { value }, &unsigned[word.len()..]));
        }
    }
    let end = number_end(unsigned);
    let number = &unsigned[..end];
    let octal = number.len() > 1 && number.starts_with('0') && number.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let value = if octal { u64::from_str_radix(number, 8).ok()? as f64 } else { number.parse().ok()? };
    Some((sign * value, &unsigned[end..]))
}

/// Digits, a point, digits, an exponent.
fn number_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| from + bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut end = digits(0);
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let from = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if digits(from.min(bytes.len())) > from {
            end = digits(from);
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_promtool_s() {
        let s = f64::from_bits(STALE);
        let table: &[(&str, &[Option<f64>])] = &[
            ("", &[]),
            ("1 -2.5  +3e2", &[Some(1.0), Some(-2.5), Some(300.0)]),
            ("0x2", &[Some(0.0); 3]),
            ("1x2 _ 5", &[Some(1.0), Some(1.0), Some(1.0), None, Some(5.0)]),
            ("_x2\n 7", &[None, None, Some(7.0)]),
            ("1+2x2", &[Some(1.0), Some(3.0), Some(5.0)]),
            ("10-5x2", &[Some(10.0), Some(5.0), Some(0.0)]),
            ("-2-2x1", &[Some(-2.0), Some(-4.0)]),
            ("1+0x1", &[Some(1.0), Some(1.0)]),
            ("Inf -inf", &[Some(f64::INFINITY), Some(f64::NEG_INFINITY)]),
            ("1e3x1", &[Some(1000.0), Some(1000.0)]),
            ("stale 1", &[Some(s), Some(1.0)]),
            (".5 5.", &[Some(0.5), Some(5.0)]),
        ];
        let bits = |values: &[Option<f64>]| values.iter().map(|value| value.map(f64::to_bits)).collect::<Vec<_>>();
        for (text, expected) in table {
            assert_eq!(bits(&values(text).expect(text)), bits(expected), "{text}");
        }
        assert!(values("NaN").expect("NaN")[0].expect("a value").is_nan());
        let tenth = values("0+0.1x3").expect("a sequence");
        assert_eq!(tenth[3], Some(0.1 + 0.1 + 0.1), "sums, not products");
    }

    #[test]
    fn what_is_no_value_is_pointed_at() {
        for (text, at, length) in [
            ("1 two 3", 2, 3),
            ("1+2", 0, 3),
            ("1x", 0, 2),
            ("0x1F", 0, 4),
            ("1 _y", 2, 2),
            ("1+stale", 0, 7),
            ("1x99999999999", 0, 13),
            ("1x600000 1x600000", 9, 8),
            ("1 {{schema:1 count:2}} 3", 2, 20),
        ] {
            let fault = values(text).expect_err(text);
            assert_eq!((fault.at, fault.length), (at, length), "{text}: {fault:?}");
        }
    }

    #[test]
    fn a_series_is_a_name_and_labels() {
        let shown = |text: &str| labels(text).map(|labels| labels.to_map()).map_err(|fault| fault.at);
        assert_eq!(shown("up{a=\"b\"}").expect("a series").len(), 2);
        assert_eq!(shown("{}").expect("no labels at all").len(), 0);
        assert_eq!(shown("{\"my.metric\"}").expect("a quoted name")[NAME], "my.metric");
        assert_eq!(shown("up{a=~\"b\"}"), Err(0));
        assert_eq!(shown("up{a=\"b\""), Err(8));
    }
}
