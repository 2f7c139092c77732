//! `input_series` in promtool's notation.
//!
//! Values are separated by space: `1`, `-2.5`, `NaN`, `-Inf`; `_` is no sample, `stale` the stale marker; `5x3` is the value
//! and three more, `1+2x3` the same rising by 2, `_x3` three gaps. Hexadecimal numbers are not known here. `{{schema:0 count:2 sum:3 buckets:[2]}}` is a native
//! histogram, and goes where a number goes.

use std::sync::Arc;

use crate::promql::histogram::Histogram;
use crate::promql::labels::{Labels, NAME};
use crate::promql::series::STALE;
use crate::selector::{MatchOp, Selector};

/// Values that one series may have.
pub(super) const VALUES_MAX: usize = 1_000_000;
/// Histograms that one item may stand for.
const HISTOGRAMS_MAX: usize = 10_000;

/// A series of a test; value `i` stands at `i` times the test's interval.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct InputSeries {
    pub labels: Labels,
    pub values: Vec<Option<Given>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Given {
    Number(f64),
    Histogram(Arc<Histogram>),
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

pub(super) fn values(text: &str) -> Result<Vec<Option<Given>>, Wrong> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(found);
        }
        let at = text.len() - rest.len();
        let (item, after) = rest.split_at(item_end(rest));
        let shift = |fault: Wrong| Wrong { at: at + fault.at, ..fault };
        let expanded = if item.starts_with("{{") { histograms(item, &mut found) } else { expand(item, &mut found) };
        expanded.map_err(shift)?;
        if found.len() > VALUES_MAX {
            return Err(wrong(at, item.len(), format!("more than {VALUES_MAX} values in one series")));
        }
        rest = after;
    }
}

/// The first space that is in no braces.
fn item_end(rest: &str) -> usize {
    let mut end = 0;
    loop {
        let space = rest[end..].find(char::is_whitespace).map_or(rest.len(), |space| end + space);
        match rest[end..space].find("{{") {
            None => return space,
            Some(open) => {
                let open = end + open;
                let Some(close) = rest[open..].find("}}") else { return rest.len() };
                end = open + close + 2;
            }
        }
    }
}

/// `{{…}}`, `{{…}}x4`, `{{…}}+{{…}}x4`
fn histograms(item: &str, into: &mut Vec<Option<Given>>) -> Result<(), Wrong> {
    let not_one = |message: String| wrong(0, item.len(), message);
    let form = || "write a histogram as {{schema:0 count:2 sum:3 buckets:[2]}}, then x3 or +{{…}}x3".to_owned();
    let (first, after) = braces(item).ok_or_else(|| not_one(form()))?;
    let mut next = Histogram::parse(first).map_err(not_one)?;
    let sign = after.chars().next();
    let step = match sign {
        None => {
            into.push(Some(Given::Histogram(Arc::new(next))));
            return Ok(());
        }
        Some('x') => None,
        Some('+' | '-') => Some(braces(&after[1..]).ok_or_else(|| not_one(form()))?),
        Some(_) => return Err(not_one(form())),
    };
    let (step, times) = step.map_or((None, after), |(step, after)| (Some(step), after));
    let times = times.strip_prefix('x').and_then(count).ok_or_else(|| not_one(form()))?;
    let step = step.map(Histogram::parse).transpose().map_err(not_one)?;
    let weight = next.weight() + step.as_ref().map_or(0, Histogram::weight);
    if times > HISTOGRAMS_MAX || times.saturating_mul(weight) > VALUES_MAX {
        let most = format!("more than {HISTOGRAMS_MAX} histograms, or than {VALUES_MAX} buckets in them, in one item");
        return Err(not_one(most));
    }
    for _ in 0..=times {
        into.push(Some(Given::Histogram(Arc::new(next.clone()))));
        let Some(step) = &step else { continue };
        let hint = next.hint;
        let met = if sign == Some('-') { next.subtract(step) } else { next.add(step) };
        met.map_err(|_| not_one("the two histograms are of schemas that do not meet".to_owned()))?;
        next.hint = hint;
    }
    Ok(())
}

/// What the braces at the beginning hold, and what follows them.
fn braces(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix("{{")?.split_once("}}")
}

/// `1`, `1x4`, `1+2x4`, `_`, `_x4`, `stale`
fn expand(item: &str, into: &mut Vec<Option<Given>>) -> Result<(), Wrong> {
    let not_one =
        || wrong(0, item.len(), format!("\"{item}\" is no value; write for example 5, 1x3, 0+10x20, _ or stale"));
    if let Some(after) = item.strip_prefix('_') {
        let gaps = if after.is_empty() { 1 } else { after.strip_prefix('x').and_then(count).ok_or_else(not_one)? };
        return repeat(item, gaps, into, || None);
    }
    let (first, after) = value(item).ok_or_else(not_one)?;
    if after.is_empty() {
        into.push(Some(Given::Number(first)));
        return Ok(());
    }
    if let Some(times) = after.strip_prefix('x') {
        let times = count(times).ok_or_else(not_one)?;
        return repeat(item, times + 1, into, || Some(Given::Number(first)));
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
        Some(Given::Number(value))
    })
}

fn repeat(
    item: &str,
    times: usize,
    into: &mut Vec<Option<Given>>,
    mut next: impl FnMut() -> Option<Given>,
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
        let numbers = |text: &str| {
            let values = values(text).expect(text).into_iter();
            let number = |given: Option<Given>| match given? {
                Given::Number(value) => Some(value),
                Given::Histogram(held) => panic!("{text}: {held}"),
            };
            values.map(number).collect::<Vec<_>>()
        };
        for (text, expected) in table {
            assert_eq!(bits(&numbers(text)), bits(expected), "{text}");
        }
        assert!(numbers("NaN")[0].expect("a value").is_nan());
        assert_eq!(numbers("0+0.1x3")[3], Some(0.1 + 0.1 + 0.1), "sums, not products");
    }

    #[test]
    fn a_histogram_goes_where_a_number_goes() {
        let shown = |text: &str| {
            let shown = values(text).expect(text).into_iter().map(|given| match given {
                None => "_".to_owned(),
                Some(Given::Number(value)) => value.to_string(),
                Some(Given::Histogram(held)) => held.notation(),
            });
            shown.collect::<Vec<_>>().join(" ")
        };
        let one = "{{schema:1 count:2 sum:3 buckets:[2]}}";
        assert_eq!(shown(&format!("1 {one} _ {one}x1")), format!("1 {one} _ {one} {one}"));
        let rising = "{{count:2 sum:3 buckets:[1 1]}}+{{count:3 sum:1 buckets:[0 1 2]}}x2";
        let steps =
            "{{count:2 sum:3 buckets:[1 1]}} {{count:5 sum:4 buckets:[1 2 2]}} {{count:8 sum:5 buckets:[1 3 4]}}";
        assert_eq!(shown(rising), steps);
        let falling = "{{count:3 sum:3 buckets:[3]}}-{{count:1 sum:1 buckets:[1]}}x1";
        assert_eq!(shown(falling), "{{count:3 sum:3 buckets:[3]}} {{count:2 sum:2 buckets:[2]}}");
        let gauge = "{{schema:-53 count:1 custom_values:[5 10] counter_reset_hint:gauge offset:1 buckets:[1]}}";
        assert_eq!(values(gauge).expect(gauge).len(), 1);
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
            ("1 {{schema:9 count:2}} 3", 2, 20),
            ("{{count:2}", 0, 10),
            ("{{count:2}}+1x2", 0, 15),
            ("{{count:2}}x10001", 0, 17),
            ("{{count:2 count:3}}", 0, 19),
            ("{{bukets:[1]}}", 0, 14),
            ("{{count:2}}+{{schema:-53 custom_values:[1]}}x2", 0, 46),
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
