//! Classic histograms.

use super::*;

/// 10 up to 0.1, 30 up to 0.5, 40 up to 1, 50 in all.
fn latencies() -> Memory {
    samples(&[
        r#"lat_bucket{host="a", le="0.1"} 10"#,
        r#"lat_bucket{host="a", le="0.5"} 30"#,
        r#"lat_bucket{host="a", le="1"} 40"#,
        r#"lat_bucket{host="a", le="+Inf"} 50"#,
    ])
}

#[test]
fn a_quantile_is_linear_within_its_bucket() {
    check(
        &latencies(),
        0,
        &[
            // Rank 5 of 10 in the first bucket, which begins at 0.
            ("histogram_quantile(0.1, lat_bucket)", r#"{host="a"} 0.05"#),
            ("histogram_quantile(0.2, lat_bucket)", r#"{host="a"} 0.1"#),
            ("histogram_quantile(0.4, lat_bucket)", r#"{host="a"} 0.30000000000000004"#),
            ("histogram_quantile(0.8, lat_bucket)", r#"{host="a"} 1"#),
            // In the endless bucket only its lower bound is known.
            ("histogram_quantile(0.99, lat_bucket)", r#"{host="a"} 1"#),
            ("histogram_quantile(1, lat_bucket)", r#"{host="a"} 1"#),
            ("histogram_quantile(0, lat_bucket)", r#"{host="a"} 0"#),
            ("histogram_quantile(-0.1, lat_bucket)", r#"{host="a"} -inf"#),
            ("histogram_quantile(1.1, lat_bucket)", r#"{host="a"} inf"#),
            ("histogram_quantile(NaN, lat_bucket)", r#"{host="a"} NaN"#),
            ("histogram_quantile(0.5, nothing)", ""),
        ],
    );
}

#[test]
fn buckets_of_one_histogram_differ_in_their_bound_alone() {
    let memory = samples(&[
        r#"a_bucket{host="x", le="1"} 1"#,
        r#"a_bucket{host="x", le="+Inf"} 2"#,
        r#"a_bucket{host="y", le="1"} 4"#,
        r#"a_bucket{host="y", le="+Inf"} 4"#,
    ]);
    check(
        &memory,
        0,
        &[
            ("histogram_quantile(0.25, a_bucket)", r#"{host="x"} 0.5; {host="y"} 0.25"#),
            ("histogram_quantile(0.5, sum by (le) (a_bucket))", "{} 0.6"),
        ],
    );
}

#[test]
fn a_histogram_needs_two_buckets_and_the_endless_one() {
    let cases = [
        (&[r#"b{le="1"} 5"#, r#"b{le="2"} 6"#][..], "{} NaN"),
        (&[r#"b{le="+Inf"} 5"#], "{} NaN"),
        (&[r#"b{le="1"} 0"#, r#"b{le="+Inf"} 0"#], "{} NaN"),
        (&[r#"b{le="1"} NaN"#, r#"b{le="+Inf"} 5"#], "{} 1"),
        // A bound at or below zero: nothing is known of where the bucket begins.
        (&[r#"b{le="-1"} 5"#, r#"b{le="+Inf"} 5"#], "{} -1"),
        (&[r#"b{le="0"} 5"#, r#"b{le="1"} 5"#, r#"b{le="+Inf"} 5"#], "{} 0"),
        // Bounds are numbers: these are one bucket.
        (&[r#"b{le="1"} 1"#, r#"b{le="1.0"} 3"#, r#"b{le="1e0"} 1"#, r#"b{le="+Inf"} 10"#], "{} 1"),
        (&[r#"b{le="2"} 8"#, r#"b{le=".5"} 4"#, r#"b{le="Inf"} 8"#], "{} 0.5"),
    ];
    for (series, expected) in cases {
        check(&samples(series), 0, &[("histogram_quantile(0.5, b)", expected)]);
    }
}

#[test]
fn counts_that_fall_are_lifted_and_remarked() {
    let memory = samples(&[r#"b{le="1"} 10"#, r#"b{le="2"} 4"#, r#"b{le="3"} 20"#, r#"b{le="+Inf"} 20"#]);
    let found = evaluated(&memory, "histogram_quantile(0.75, b)", 0).expect("a histogram");
    assert_eq!(found.infos.len(), 1, "{:?}", found.infos);
    assert_eq!(shown(found.value), "{} 2.5");
    // A remainder in the last digits is none, and is not remarked.
    let memory = samples(&[r#"b{le="1"} 10"#, r#"b{le="2"} 9.999999999999999"#, r#"b{le="+Inf"} 20"#]);
    let found = evaluated(&memory, "histogram_quantile(0.5, b)", 0).expect("a histogram");
    assert_eq!(found.infos, []);
    assert_eq!(shown(found.value), "{} 1");
}

#[test]
fn a_bucket_without_a_number_is_left_out_and_warned_of() {
    let memory = samples(&[r#"b{le="1"} 5"#, r#"b{le="many"} 6"#, "b 7", r#"b{le="+Inf"} 10"#]);
    let found = evaluated(&memory, "histogram_quantile(0.5, b)", 0).expect("a histogram");
    assert_eq!(found.warnings.len(), 2, "{:?}", found.warnings);
    assert!(found.warnings.iter().any(|note| note.message.contains("\"many\" for metric name \"b\"")));
    assert_eq!(shown(found.value), "{} 1");
}

#[test]
fn a_fraction_is_what_lies_between_two_bounds() {
    check(
        &latencies(),
        0,
        &[
            ("histogram_fraction(0.1, 0.5, lat_bucket)", r#"{host="a"} 0.4"#),
            ("histogram_fraction(-Inf, 0.5, lat_bucket)", r#"{host="a"} 0.6"#),
            ("histogram_fraction(0.3, 0.75, lat_bucket)", r#"{host="a"} 0.3"#),
            ("histogram_fraction(-Inf, Inf, lat_bucket)", r#"{host="a"} 1"#),
            ("histogram_fraction(1, Inf, lat_bucket)", r#"{host="a"} 0.2"#),
            ("histogram_fraction(5, 6, lat_bucket)", r#"{host="a"} 0"#),
            ("histogram_fraction(1, 0.5, lat_bucket)", r#"{host="a"} 0"#),
            ("histogram_fraction(NaN, 1, lat_bucket)", r#"{host="a"} NaN"#),
            ("histogram_fraction(0, 1, nothing)", ""),
        ],
    );
    check(&samples(&[r#"b{le="1"} 5"#]), 0, &[("histogram_fraction(0, 1, b)", "{} NaN")]);
    check(&samples(&[r#"b{le="1"} 0"#, r#"b{le="+Inf"} 0"#]), 0, &[("histogram_fraction(0, 1, b)", "{} NaN")]);
}

#[test]
fn floats_are_no_native_histograms() {
    for function in ["histogram_avg", "histogram_count", "histogram_sum", "histogram_stddev", "histogram_stdvar"] {
        check(&latencies(), 0, &[(&format!("{function}(lat_bucket)"), "")]);
    }
}
