//! Histograms by themselves: layout, arithmetic, resets, what they tell.

use super::*;

fn read(text: &str) -> Histogram {
    Histogram::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn buckets_grow_by_the_factor_of_their_schema() {
    for (schema, index, expected) in [
        (0, 0, 1.0),
        (0, 3, 8.0),
        (0, -2, 0.25),
        (-1, 1, 4.0),
        (-4, 1, 65536.0),
        (1, 1, std::f64::consts::SQRT_2),
        (2, 4, 2.0),
        (0, 1024, f64::MAX),
        (8, 262_144, f64::MAX),
        (0, 1025, f64::INFINITY),
    ] {
        assert_eq!(bound(schema, index), expected, "schema {schema}, bucket {index}");
    }
}

#[test]
fn a_histogram_is_written_as_prometheus_writes_it() {
    let table = [
        ("count:3 sum:4.5 z_bucket:1 z_bucket_w:0.001 buckets:[0 2]", "{count:3, sum:4.5, [-0.001,0.001]:1, (1,2]:2}"),
        ("count:4 sum:-3 n_buckets:[1 2] buckets:[1]", "{count:4, sum:-3, [-2,-1):2, [-1,-0.5):1, (0.5,1]:1}"),
        (
            "schema:-53 count:6 sum:9 custom_values:[-5 10] buckets:[1 2 3]",
            "{count:6, sum:9, [-Inf,-5):1, [-5,10]:2, (10,+Inf]:3}",
        ),
        // A bucket does not reach into the zero bucket.
        ("count:3 z_bucket:1 z_bucket_w:0.75 buckets:[2]", "{count:3, sum:0, [-0.75,0.75]:1, (0.75,1]:2}"),
        ("", "{count:0, sum:0}"),
    ];
    for (text, expected) in table {
        assert_eq!(read(text).to_string(), expected, "{text}");
    }
}

#[test]
fn what_is_written_is_read_again() {
    for text in [
        "{{schema:1 count:7 sum:3.5 z_bucket:1 z_bucket_w:0.5 offset:-2 buckets:[1 0 2] n_offset:3 n_buckets:[3]}}",
        "{{schema:-53 count:3 sum:9 custom_values:[5 10] counter_reset_hint:gauge buckets:[1 2]}}",
        "{{}}",
    ] {
        let histogram = read(text.trim_start_matches("{{").trim_end_matches("}}"));
        assert_eq!(histogram.notation(), text);
    }
}

#[test]
fn what_is_no_histogram_is_refused_with_its_reason() {
    for (text, part) in [
        ("bukets:[1]", "did you mean \"buckets\"?"),
        ("buckets:[1", "not closed"),
        ("buckets:1", "write buckets:[1 2 3]"),
        ("count", "no ':'"),
        ("count:x", "\"x\" of \"count\" is no number"),
        ("schema:0.5", "whole number"),
        ("schema:9", "schema 9 is none"),
        ("custom_values:[1]", "belong to schema -53"),
        ("schema:-53 z_bucket:1", "neither a zero bucket"),
        ("schema:-53 custom_values:[2 1]", "rise"),
        ("schema:-53 custom_values:[1] buckets:[1 1 1]", "1 custom_values make 2 buckets"),
        ("counter_reset_hint:maybe", "there are unknown, reset"),
        ("z_bucket_w:-1", "no width"),
        ("offset:2147483647 buckets:[1 1]", "too far out"),
    ] {
        let error = Histogram::parse(text).expect_err(text);
        assert!(error.contains(part), "{text}: {error}");
    }
}

fn sum(one: &str, other: &str) -> Result<(String, Met), Incompatible> {
    let mut sum = read(one);
    let met = sum.add(&read(other))?;
    assert_eq!(sum.check(), Ok(()));
    Ok((sum.notation(), met))
}

#[test]
fn histograms_meet_at_the_coarser_schema_and_the_wider_zero_bucket() {
    let table = [
        ("count:1 buckets:[1]", "count:2 offset:1 buckets:[2]", "{{count:3 buckets:[1 2]}}"),
        // Buckets 1 and 2 of schema 1 are bucket 1 of schema 0.
        ("schema:1 count:3 offset:1 buckets:[1 2]", "count:4 offset:1 buckets:[4]", "{{count:7 offset:1 buckets:[7]}}"),
        // (0.5,1] lies within 1, (1,2] does not.
        (
            "count:3 buckets:[1 2]",
            "count:4 z_bucket:4 z_bucket_w:1",
            "{{count:7 z_bucket:5 z_bucket_w:1 offset:1 buckets:[2]}}",
        ),
        // 1.5 would cut (1,2], which goes in whole.
        ("count:3 buckets:[1 2]", "count:4 z_bucket:4 z_bucket_w:1.5", "{{count:7 z_bucket:7 z_bucket_w:2}}"),
        ("count:1 n_buckets:[1]", "count:1 n_buckets:[1]", "{{count:2 n_buckets:[2]}}"),
    ];
    for (one, other, expected) in table {
        assert_eq!(sum(one, other), Ok((expected.to_owned(), Met::default())), "{one} + {other}");
        assert_eq!(sum(other, one), Ok((expected.to_owned(), Met::default())), "{other} + {one}");
    }
}

#[test]
fn own_bounds_meet_at_those_that_both_have() {
    let one = "schema:-53 count:6 custom_values:[1 2 5] buckets:[1 2 3]";
    let met = |bounds_differ| Met { bounds_differ, ..Met::default() };
    assert_eq!(
        sum(one, "schema:-53 count:4 custom_values:[2 5 9] buckets:[1 1 1 1]"),
        Ok(("{{schema:-53 count:10 custom_values:[2 5] buckets:[4 4 2]}}".to_owned(), met(true)))
    );
    assert_eq!(
        sum(one, one),
        Ok(("{{schema:-53 count:12 custom_values:[1 2 5] buckets:[2 4 6]}}".to_owned(), met(false)))
    );
    assert_eq!(sum(one, "count:1 buckets:[1]"), Err(Incompatible));
}

#[test]
fn hints_meet() {
    let hint = |hint: &str| format!("counter_reset_hint:{hint}");
    for (one, other, expected, collide) in [
        ("reset", "reset", ResetHint::Reset, false),
        ("reset", "not_reset", ResetHint::Unknown, true),
        ("reset", "gauge", ResetHint::Gauge, false),
        ("unknown", "not_reset", ResetHint::Unknown, false),
    ] {
        let mut sum = read(&hint(one));
        let met = sum.add(&read(&hint(other))).expect("of one kind");
        assert_eq!((sum.hint, met.hints_collide), (expected, collide), "{one}, {other}");
    }
}

#[test]
fn differences_and_negative_multiples_are_gauges() {
    let mut difference = read("count:3 sum:5 buckets:[1 2]");
    difference.subtract(&read("count:2 sum:1 buckets:[1 1]")).expect("of one kind");
    assert_eq!(difference.notation(), "{{count:1 sum:4 counter_reset_hint:gauge offset:1 buckets:[1]}}");
    let mut scaled = read("count:3 sum:5 buckets:[1 2]");
    scaled.scale(-2.0);
    assert_eq!(scaled.notation(), "{{count:-6 sum:-10 counter_reset_hint:gauge buckets:[-2 -4]}}");
    scaled.divide(0.0);
    assert_eq!((scaled.count, scaled.positive.len()), (f64::NEG_INFINITY, 0));
}

#[test]
fn a_reset_shows_in_any_count_that_falls_and_in_finer_layouts() {
    let before = "count:5 sum:9 z_bucket:1 z_bucket_w:0.5 offset:1 buckets:[2 2]";
    for (after, expected) in [
        (before, false),
        ("count:6 z_bucket:1 z_bucket_w:0.5 offset:1 buckets:[2 3]", false),
        ("count:4 z_bucket:1 z_bucket_w:0.5 offset:1 buckets:[1 2]", true),
        ("count:9 z_bucket:1 z_bucket_w:0.5 offset:1 buckets:[1 7]", true),
        ("count:9 z_bucket:1 z_bucket_w:0.5 offset:2 buckets:[8]", true),
        ("count:9 z_bucket:0 z_bucket_w:0.5 offset:1 buckets:[2 7]", true),
        ("schema:1 count:9 z_bucket:1 z_bucket_w:0.5 offset:1 buckets:[4 4]", true),
        ("schema:-1 count:5 z_bucket:1 z_bucket_w:0.5 offset:1 buckets:[4]", false),
        ("count:9 z_bucket:1 z_bucket_w:0.25 offset:1 buckets:[4 4]", true),
        ("count:9 z_bucket:3 z_bucket_w:2 offset:2 buckets:[6]", false),
        // 1.5 cuts a bucket that was filled.
        ("count:9 z_bucket:3 z_bucket_w:1.5 offset:2 buckets:[6]", true),
        ("schema:-53 count:9 custom_values:[1] buckets:[9]", true),
        ("count:9 z_bucket:1 z_bucket_w:0.5 offset:1 buckets:[2 6] counter_reset_hint:reset", true),
        ("count:1 counter_reset_hint:not_reset", false),
        ("count:1 counter_reset_hint:gauge", false),
    ] {
        assert_eq!(read(after).is_reset_after(&read(before)), expected, "{after}");
    }
}

#[test]
fn quantiles_are_spread_by_logarithm_within_a_bucket() {
    let close = |found: f64, expected: f64| found == expected || (found - expected).abs() < 1e-12;
    let check = |text: &str, table: &[(f64, f64)]| {
        for (phi, expected) in table {
            let found = read(text).quantile(*phi);
            assert!(close(found, *expected), "{phi} of {text} is {found}, not {expected}");
        }
    };
    let (low, high) = (f64::NEG_INFINITY, f64::INFINITY);
    // (1,2] and (2,4]: the middle of the first is the root of 2.
    check(
        "count:4 offset:1 buckets:[2 2]",
        &[
            (0.0, 1.0),
            (0.25, std::f64::consts::SQRT_2),
            (0.5, 2.0),
            (0.75, 8_f64.sqrt()),
            (1.0, 4.0),
            (-1.0, low),
            (2.0, high),
        ],
    );
    check("count:4 n_offset:1 n_buckets:[2 2]", &[(0.0, -4.0), (0.25, -8_f64.sqrt()), (0.5, -2.0), (1.0, -1.0)]);
    // Around zero evenly; of values on one side only, from zero on.
    check("count:4 z_bucket:4 z_bucket_w:2", &[(0.25, -1.0), (0.5, 0.0), (1.0, 2.0)]);
    check("count:4 z_bucket:2 z_bucket_w:2 offset:2 buckets:[2]", &[(0.25, 1.0), (0.5, 2.0)]);
    check(
        "schema:-53 count:10 custom_values:[5 10] buckets:[4 4 2]",
        &[(0.2, 2.5), (0.4, 5.0), (0.6, 7.5), (0.8, 10.0), (0.99, 10.0)],
    );
    check("schema:-53 count:2 custom_values:[-5] buckets:[2]", &[(0.5, -5.0)]);
    // A quarter is no number: it is above all others.
    check("count:4 sum:NaN offset:1 buckets:[3]", &[(0.75, 2.0)]);
    assert!(read("count:4 sum:NaN offset:1 buckets:[3]").quantile(0.9).is_nan());
    assert!(read("").quantile(0.5).is_nan() && read("count:1 buckets:[1]").quantile(f64::NAN).is_nan());
}

#[test]
fn fractions_and_variances() {
    let exponential = read("count:4 sum:9 offset:1 buckets:[2 2]");
    for (lower, upper, expected) in [
        (1.0, 2.0, 0.5),
        (2.0, 4.0, 0.5),
        (f64::NEG_INFINITY, f64::INFINITY, 1.0),
        (std::f64::consts::SQRT_2, 2.0, 0.25),
        (5.0, 9.0, 0.0),
        (2.0, 1.0, 0.0),
    ] {
        let found = exponential.fraction(lower, upper);
        assert!((found - expected).abs() < 1e-12, "{lower} to {upper}: {found}");
    }
    assert!(exponential.fraction(f64::NAN, 1.0).is_nan() && read("").fraction(0.0, 1.0).is_nan());
    let own = read("schema:-53 count:10 sum:60 custom_values:[5 10] buckets:[4 4 2]");
    assert_eq!(own.fraction(2.5, 7.5), 0.4);
    // Zero counts as 0: mean 1, once 0 and once the middle of (1,2] by logarithm.
    let zero = read("count:2 sum:2 z_bucket:1 z_bucket_w:0.5 offset:1 buckets:[1]");
    let expected = (1.0 + (std::f64::consts::SQRT_2 - 1.0).powi(2)) / 2.0;
    assert!((zero.variance() - expected).abs() < 1e-12, "{}", zero.variance());
    let own = read("schema:-53 count:2 sum:10 custom_values:[0 4 8] offset:1 buckets:[1 1]");
    assert_eq!(own.variance(), ((2.0_f64 - 5.0).powi(2) + 1.0) / 2.0);
}
