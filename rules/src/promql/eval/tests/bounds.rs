//! What one evaluation may use.

use super::*;
use crate::promql::series::{Samples, Series};
use crate::selector::Selector;

fn bounded(text: &str, points_max: usize) -> Result<Evaluated, EvalError> {
    let memory = samples(&[r#"m{a="1"} 1 2 3 4"#, r#"m{a="2"} 1 2 3 4"#]);
    let expr = parse(text).expect(text);
    instant(&expr, &memory, 3 * MINUTE, &Settings { points_max, ..Settings::default() })
}

#[test]
fn points_are_counted() {
    assert!(bounded("sum_over_time(m[5m])", 100).is_ok());
    let error = bounded("sum_over_time(m[5m])", 5).expect_err("ten points and series");
    assert!(error.message.contains("more than 5 points"), "{error}");
    assert_eq!((error.span.from, error.span.to), (14, 19));
    // All parts together: one alone would do.
    assert!(bounded("sum(m)", 20).is_ok());
    assert!(bounded("sum(m) + sum(m) + sum(m)", 20).is_err());
}

#[test]
fn steps_of_subqueries_are_counted_before_they_are_made() {
    for text in [
        "max_over_time(vector(1)[1y:1ms])",
        "max_over_time(nothing[100y:1ms])",
        "sum_over_time(sum_over_time(vector(1)[1d:1s])[1d:1s])",
        "max_over_time(max_over_time(max_over_time(m[290y:1s])[290y:1s])[290y:1s])",
    ] {
        let error = bounded(text, 1_000_000).expect_err(text);
        assert!(error.message.contains("more than 1000000 points"), "{text}: {error}");
    }
}

#[test]
fn instants_at_the_ends_of_time_do_no_harm() {
    let memory = samples(&["m 1"]);
    for at in [i64::MIN, i64::MIN + 1, i64::MAX] {
        for text in ["m", "m offset 1y", "m offset -1y", "rate(m[1y])", "sum_over_time(m[1m:30s])", "year()", "hour(m)"]
        {
            assert!(evaluated(&memory, text, at).is_ok(), "{text} at {at}");
        }
    }
}

/// Samples that cannot be read.
struct Unread;

impl Samples for Unread {
    fn select(&self, _: &Selector, _: i64, _: i64) -> Result<Vec<Series>, String> {
        Err("the block file is torn".to_owned())
    }
}

#[test]
fn samples_that_cannot_be_read_are_an_error_with_its_place() {
    let expr = parse("1 + rate(c_total[5m])").expect("an expression");
    let error = instant(&expr, &Unread, 0, &Settings::default()).expect_err("unread");
    assert_eq!(error.message, r#"read {__name__="c_total"}: the block file is torn"#);
    assert_eq!((error.span.from, error.span.to), (9, 20));
}
