//! Native histograms: functions, operators and aggregations of Prometheus's documentation over them.

use std::sync::Arc;

use super::*;
use crate::promql::histogram::Histogram;

/// One histogram or number a minute from 0 on; `_` for none.
fn held(series: &[(&str, &[&str])]) -> Memory {
    let mut memory = Memory::default();
    for (series, values) in series {
        let labels = labels(series);
        for (place, text) in values.iter().enumerate() {
            let at = i64::try_from(place).expect("a short series") * MINUTE;
            match text.parse() {
                _ if *text == "_" => {}
                Ok(value) => memory.append(&labels, Point { at, value }).expect("rising times"),
                Err(_) if *text == "stale" => memory.append(&labels, Point::stale(at)).expect("rising times"),
                Err(_) => {
                    let histogram = Histogram::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
                    memory.append_histogram(&labels, at, Arc::new(histogram)).expect("rising times");
                }
            }
        }
    }
    memory
}

/// What an expression gives at `at`, and all that is remarked of it, by its first words.
fn check_remarked(memory: &Memory, at: i64, table: &[(&str, &str, &[&str])]) {
    for (text, expected, remarks) in table {
        let found = evaluated(memory, text, at).unwrap_or_else(|error| panic!("{text}: {error}"));
        let notes: Vec<&str> = found.warnings.iter().chain(&found.infos).map(|note| note.message.as_str()).collect();
        assert_eq!(notes.len(), remarks.len(), "{text}: {notes:?}");
        for (note, start) in notes.iter().zip(*remarks) {
            assert!(note.starts_with(start), "{text}: {note}");
        }
        assert_eq!(shown(found.value), *expected, "{text}");
    }
}

fn latencies() -> Memory {
    held(&[(r#"lat{host="a"}"#, &["count:4 sum:9 offset:1 buckets:[2 2]"]), (r#"lat{host="b"}"#, &["3"])])
}

#[test]
fn each_function_tells_of_histograms_and_passes_floats() {
    check(
        &latencies(),
        0,
        &[
            ("histogram_count(lat)", r#"{host="a"} 4"#),
            ("histogram_sum(lat)", r#"{host="a"} 9"#),
            ("histogram_avg(lat)", r#"{host="a"} 2.25"#),
            ("histogram_quantile(0.5, lat{host='a'})", r#"{host="a"} 2"#),
            ("histogram_fraction(2, 4, lat{host='a'})", r#"{host="a"} 0.5"#),
            ("histogram_stdvar(lat) == histogram_stddev(lat) ^ 2", ""),
            (
                "abs(histogram_stdvar(lat) - histogram_stddev(lat) ^ 2) < 1e-12",
                r#"{host="a"} 0.00000000000000011102230246251565"#,
            ),
            ("timestamp(lat)", r#"{host="a"} 0; {host="b"} 0"#),
            ("abs(lat)", r#"{host="b"} 3"#),
            ("clamp_min(lat, 5)", r#"{host="b"} 5"#),
            ("round(lat)", r#"{host="b"} 3"#),
            ("scalar(lat{host='a'})", "NaN"),
            ("absent(lat)", ""),
            ("year(lat)", r#"{host="b"} 1970"#),
            ("sort(lat)", r#"lat{host="b"} 3"#),
            ("-lat{host='a'}", r#"{host="a"} {{count:-4 sum:-9 counter_reset_hint:gauge offset:1 buckets:[-2 -2]}}"#),
            (
                "label_replace(lat{host='a'}, 'x', '$1', 'host', '(.*)')",
                r#"lat{host="a", x="a"} {{count:4 sum:9 offset:1 buckets:[2 2]}}"#,
            ),
        ],
    );
}

#[test]
fn the_newest_of_floats_and_histograms_counts_and_a_marker_ends_both() {
    let one = "count:1 buckets:[1]";
    let memory = held(&[("m", &["1", one, "_", "5", one, "stale"])]);
    for (minute, expected) in [
        (0, "m{} 1"),
        (1, "m{} {{count:1 buckets:[1]}}"),
        (2, "m{} {{count:1 buckets:[1]}}"),
        (3, "m{} 5"),
        (4, "m{} {{count:1 buckets:[1]}}"),
        (5, ""),
    ] {
        let expected = expected.replace("m{}", "m");
        let found = result(&memory, "m", minute * MINUTE);
        assert!(found == expected || found.replace("m{}", "m") == expected, "{minute}: {found}");
    }
    let old = held(&[("m", &[one])]);
    check(&old, 5 * MINUTE, &[("m", "")]);
}

#[test]
fn operators_take_what_makes_sense() {
    let memory = held(&[
        ("a", &["count:2 sum:3 buckets:[1 1]"]),
        ("b", &["count:3 sum:1 buckets:[1 2]"]),
        ("own", &["schema:-53 count:1 custom_values:[5] buckets:[1]"]),
        ("other", &["schema:-53 count:2 custom_values:[5 9] buckets:[1 1]"]),
        ("f", &["2"]),
        ("reset", &["count:1 counter_reset_hint:reset"]),
        ("going", &["count:1 counter_reset_hint:not_reset"]),
    ]);
    let types = "incompatible sample types encountered for binary operator";
    let layout = "incompatible bucket layout encountered for binary operator +";
    check_remarked(
        &memory,
        0,
        &[
            ("a + b", "{} {{count:5 sum:4 buckets:[2 3]}}", &[]),
            ("b - a", "{} {{count:1 sum:-2 counter_reset_hint:gauge offset:1 buckets:[1]}}", &[]),
            ("a * 2", "{} {{count:4 sum:6 buckets:[2 2]}}", &[]),
            ("2 * a", "{} {{count:4 sum:6 buckets:[2 2]}}", &[]),
            ("a * f", "{} {{count:4 sum:6 buckets:[2 2]}}", &[]),
            ("f * a", "{} {{count:4 sum:6 buckets:[2 2]}}", &[]),
            ("a / f", "{} {{count:1 sum:1.5 buckets:[0.5 0.5]}}", &[]),
            ("a == a", "a {{count:2 sum:3 buckets:[1 1]}}", &[]),
            ("a == b", "", &[]),
            ("a != on () b", "{} {{count:2 sum:3 buckets:[1 1]}}", &[]),
            ("a == bool b", "{} 0", &[]),
            ("a != bool b", "{} 1", &[]),
            ("a and on () f", "a {{count:2 sum:3 buckets:[1 1]}}", &[]),
            ("a unless on () f", "", &[]),
            ("missing or a", "a {{count:2 sum:3 buckets:[1 1]}}", &[]),
            ("a + 1", "", &[types]),
            ("1 / a", "", &[types]),
            ("a * b", "", &[types]),
            ("a > b", "", &[types]),
            ("a > bool 1", "", &[types]),
            ("a == f", "", &[types]),
            ("a + own", "", &[layout]),
            (
                "own + other",
                "{} {{schema:-53 count:3 custom_values:[5] buckets:[2 1]}}",
                &["mismatched custom buckets were reconciled during addition"],
            ),
            ("reset + going", "{} {{count:2}}", &["conflicting counter resets during histogram addition"]),
        ],
    );
}

#[test]
fn aggregations_take_histograms_or_leave_them_out_with_a_remark() {
    let memory = held(&[
        (r#"h{g="x", n="1"}"#, &["count:2 sum:3 buckets:[1 1]"]),
        (r#"h{g="x", n="2"}"#, &["count:4 sum:1 buckets:[1 3]"]),
        (r#"h{g="y", n="1"}"#, &["5"]),
        (r#"own{g="x"}"#, &["schema:-53 count:1 custom_values:[5] buckets:[1]"]),
    ]);
    let mix = "encountered a mix of histograms and floats for aggregation";
    let left_out = "ignored histogram in";
    check_remarked(
        &memory,
        0,
        &[
            ("sum by (g) (h)", r#"{g="x"} {{count:6 sum:4 buckets:[2 4]}}; {g="y"} 5"#, &[]),
            ("avg by (g) (h)", r#"{g="x"} {{count:3 sum:2 buckets:[1 2]}}; {g="y"} 5"#, &[]),
            ("sum(h)", "", &[mix]),
            ("avg(h)", "", &[mix]),
            ("count(h)", "{} 3", &[]),
            ("group(h)", "{} 1", &[]),
            ("max(h)", "{} 5", &[left_out]),
            ("min by (g) (h)", r#"{g="y"} 5"#, &[left_out]),
            ("stddev(h)", "{} 0", &[left_out]),
            ("quantile(0.5, h)", "{} 5", &[left_out]),
            ("topk(5, h)", r#"h{g="y", n="1"} 5"#, &[left_out]),
            (
                "sum(h{g='x'} or own)",
                "",
                &["vector contains a mix of histograms with exponential and custom buckets schemas"],
            ),
            ("count_values('v', h{n='2'})", r#"{v="{count:4, sum:1, (0.5,1]:1, (1,2]:3}"} 1"#, &[]),
        ],
    );
}

#[test]
fn rates_are_of_every_bucket_and_make_up_for_resets() {
    let counter = ["count:2 sum:2 buckets:[1 1]", "count:4 sum:4 buckets:[2 2]", "count:6 sum:6 buckets:[3 3]"];
    let reset = ["count:2 sum:2 buckets:[2]", "count:4 sum:4 buckets:[4]", "count:1 sum:1 buckets:[1]"];
    let gauge = ["count:2 counter_reset_hint:gauge buckets:[2]", "count:5 counter_reset_hint:gauge buckets:[5]"];
    let memory = held(&[
        ("c_total", &counter),
        ("r_total", &reset),
        ("g", &gauge),
        ("mixed_total", &["1", "count:1 buckets:[1]", "count:2 buckets:[2]"]),
        (
            "own_total",
            &["schema:-53 count:1 custom_values:[5] buckets:[1]", "count:2 counter_reset_hint:not_reset buckets:[2]"],
        ),
    ]);
    let mixed = "encountered a mix of histograms and floats for metric name \"mixed_total\"";
    let not_gauge = "this native histogram metric is not a gauge: \"c_total\"";
    let kinds = "vector contains a mix of histograms with exponential and custom buckets schemas";
    check_remarked(
        &memory,
        2 * MINUTE,
        &[
            // Two minutes show 4; the window begins half a minute before, and no further than zero would be.
            ("increase(c_total[150s])", "{} {{count:5 sum:5 counter_reset_hint:gauge buckets:[2.5 2.5]}}", &[]),
            ("rate(c_total[150s]) * 150", "{} {{count:5 sum:5 counter_reset_hint:gauge buckets:[2.5 2.5]}}", &[]),
            ("histogram_count(increase(c_total[150s]))", "{} 5", &[]),
            // 2 up to 4, then 1 anew: 3.
            ("increase(r_total[121s])", "{} {{count:3.025 sum:3.025 counter_reset_hint:gauge buckets:[3.025]}}", &[]),
            ("irate(r_total[5m]) * 60", "{} {{count:1 sum:1 counter_reset_hint:gauge buckets:[1]}}", &[]),
            ("idelta(g[5m])", "{} {{count:3 counter_reset_hint:gauge buckets:[3]}}", &[]),
            ("histogram_count(delta(c_total[121s]))", "{} 4.033333333333333", &[not_gauge]),
            (
                "histogram_count(rate(g[5m])) > 0",
                "{} 0.025",
                &["this native histogram metric is not a counter", "metric might not"],
            ),
            ("rate(mixed_total[5m])", "", &[mixed]),
            ("irate(mixed_total[5m]) * 60", "{} {{count:1 counter_reset_hint:gauge buckets:[1]}}", &[]),
            ("rate(own_total[5m])", "", &[kinds]),
            ("rate(c_total[50s])", "", &[]),
        ],
    );
}

#[test]
fn functions_over_time_take_histograms_or_leave_them_out() {
    let memory = held(&[
        (
            "h",
            &[
                "count:1 sum:1 buckets:[1]",
                "count:3 sum:2 buckets:[3]",
                "count:2 sum:3 buckets:[2]",
                "count:2 sum:3 buckets:[2]",
            ],
        ),
        ("m", &["7", "count:1 buckets:[1]", "9", "9"]),
    ]);
    let mixed = "encountered a mix of histograms and floats for metric name \"m\"";
    let left_out = "ignored histograms in a range containing both floats and histograms for metric name \"m\"";
    check_remarked(
        &memory,
        3 * MINUTE,
        &[
            ("sum_over_time(h[5m])", "{} {{count:8 sum:9 buckets:[8]}}", &[]),
            ("avg_over_time(h[5m])", "{} {{count:2 sum:2.25 buckets:[2]}}", &[]),
            ("count_over_time(h[5m])", "{} 4", &[]),
            ("present_over_time(h[5m])", "{} 1", &[]),
            ("last_over_time(h[5m])", "h {{count:2 sum:3 buckets:[2]}}", &[]),
            ("first_over_time(h[5m])", "h {{count:1 sum:1 buckets:[1]}}", &[]),
            ("resets(h[5m])", "{} 1", &[]),
            ("changes(h[5m])", "{} 2", &[]),
            ("max_over_time(h[5m])", "", &[]),
            ("deriv(h[5m])", "", &[]),
            ("absent_over_time(h[5m])", "", &[]),
            ("ts_of_last_over_time(h[5m])", "{} 180", &[]),
            ("sum_over_time(m[5m])", "", &[mixed]),
            ("count_over_time(m[5m])", "{} 4", &[]),
            ("last_over_time(m[5m])", "m 9", &[]),
            ("resets(m[5m])", "{} 2", &[]),
            ("changes(m[5m])", "{} 2", &[]),
            ("max_over_time(m[5m])", "{} 9", &[left_out]),
            ("quantile_over_time(0, m[5m])", "{} 7", &[left_out]),
            ("sum_over_time(h[5m:1m])", "{} {{count:8 sum:9 buckets:[8]}}", &[]),
        ],
    );
}

#[test]
fn classic_and_native_of_one_name_are_told_apart_or_refused() {
    let mut memory = samples(&[r#"h{le="1"} 1"#, r#"h{le="+Inf"} 2"#]);
    let native = Histogram::parse("count:4 offset:1 buckets:[4]").expect("a histogram");
    memory.append_histogram(&labels(r#"h{host="a"}"#), 0, Arc::new(native.clone())).expect("the first");
    check_remarked(&memory, 0, &[("histogram_quantile(0.5, h)", r#"{} 1; {host="a"} 1.4142135623730951"#, &[])]);
    memory.append_histogram(&labels("h"), 0, Arc::new(native)).expect("the first");
    let mix = "vector contains a mix of classic and native histograms";
    check_remarked(&memory, 0, &[("histogram_quantile(0.5, h{host=''})", "", &[mix])]);
}

#[test]
fn a_range_has_both_kinds_of_points() {
    let memory = held(&[("m", &["1", "count:1 buckets:[1]"])]);
    let found = ranged(&memory, "m", 0, MINUTE, MINUTE).expect("a range");
    let Value::Matrix(series) = found.value else { panic!("{:?}", found.value) };
    assert_eq!((series[0].points.len(), series[0].histograms.len(), series[0].histograms[0].at), (1, 1, MINUTE));
}
