//! What Prometheus takes only with a feature enabled.

use super::*;

fn memory() -> Memory {
    samples(&["g 1 5 2 8 3", "e 4 4 _ NaN 4", r#"n{host="web-10"} 1"#, r#"n{host="web-9"} 2"#, r#"n{host="a"} 3"#])
}

#[test]
fn more_of_a_series_over_time() {
    check(
        &memory(),
        4 * MINUTE,
        &[
            // Median 3; deviations 2 2 1 5 0.
            ("mad_over_time(g[5m])", "{} 2"),
            ("ts_of_first_over_time(g[5m])", "{} 0"),
            ("ts_of_last_over_time(g[3m])", "{} 240"),
            ("ts_of_max_over_time(g[5m])", "{} 180"),
            ("ts_of_min_over_time(g[5m])", "{} 0"),
            ("ts_of_max_over_time(e[5m])", "{} 240"),
            ("ts_of_min_over_time(e[2m] offset 1m)", "{} 180"),
            ("mad_over_time(nothing[5m])", ""),
            // level 1, trend 4; 0.5·5+0.5·(1+4)=5; trend 0.5·4+0.5·4=4, 0.5·2+0.5·9=5.5; 0.5·0.5+2=2.25, 4+3.875=7.875;
            // 0.5·2.375+0.5·2.25=2.3125, 1.5+5.09375.
            ("double_exponential_smoothing(g[5m], 0.5, 0.5)", "{} 6.59375"),
            ("double_exponential_smoothing(g[1m], 0.5, 0.5)", ""),
        ],
    );
    check_refused(
        &memory(),
        4 * MINUTE,
        &[
            ("double_exponential_smoothing(g[5m], 1, 0.5)", "invalid smoothing factor", "1"),
            ("double_exponential_smoothing(g[5m], 0.5, -0.5)", "invalid trend factor", "-0.5"),
        ],
    );
}

#[test]
fn labels_sort_with_their_numbers_as_numbers() {
    check(
        &memory(),
        0,
        &[
            (r#"sort_by_label(n, "host")"#, r#"n{host="a"} 3; n{host="web-9"} 2; n{host="web-10"} 1"#),
            (r#"sort_by_label_desc(n, "host")"#, r#"n{host="web-10"} 1; n{host="web-9"} 2; n{host="a"} 3"#),
            (r#"sort_by_label(n, "nothing")"#, r#"n{host="a"} 3; n{host="web-10"} 1; n{host="web-9"} 2"#),
        ],
    );
}

#[test]
fn some_of_many_are_the_same_ones_each_time() {
    let lines: Vec<String> = (0..400).map(|place| format!("m{{host=\"{place}\", zone=\"{}\"}} 1", place % 2)).collect();
    let memory = samples(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    check(
        &memory,
        0,
        &[
            ("count(limitk(3, m))", "{} 3"),
            ("count by (zone) (limitk by (zone) (3, m))", r#"{zone="0"} 3; {zone="1"} 3"#),
            ("limitk(0, m)", ""),
            ("limitk(-1, m)", ""),
            ("count(limitk(1000, m))", "{} 400"),
            ("limitk(1, m)", r#"m{host="0", zone="0"} 1"#),
            ("count(limit_ratio(1, m))", "{} 400"),
            ("limit_ratio(0, m)", ""),
            ("count(limit_ratio(-1, m))", "{} 400"),
            ("count(limit_ratio(0.3, m) or limit_ratio(-0.7, m))", "{} 400"),
            ("limit_ratio(0.3, m) and limit_ratio(-0.7, m)", ""),
            ("count(limit_ratio(0.5, m)) > 160 < 240", "{} 196"),
        ],
    );
    let found = evaluated(&memory, "limit_ratio(1.5, m)", 0).expect("all");
    let warning = "PromQL warning: ratio value should be between -1 and 1, got 1.5, capping to 1 (1:13)";
    assert_eq!(found.annotations("limit_ratio(1.5, m)").0, [warning]);
    check_refused(&memory, 0, &[("limit_ratio(NaN, m)", "the ratio is NaN", "NaN"), ("limitk(NaN, m)", "NaN", "NaN")]);
}

#[test]
fn the_range_that_is_asked_for_is_known() {
    let steps = (2 * MINUTE, 4 * MINUTE, MINUTE);
    check_range(
        &memory(),
        steps,
        &[
            ("start()", "{} 120@120 120@180 120@240"),
            ("end() - start()", "{} 120@120 120@180 120@240"),
            ("range() + step()", "{} 180@120 180@180 180@240"),
            ("sum_over_time(g[2 * step()])", "{} 7@120 10@180 11@240"),
            ("g offset (range() / 2)", "g 5@120 2@180 8@240"),
            ("sum_over_time(g[max(step(), 90s) : min_of(1m, range())])", "{} 7@120 10@180 11@240"),
        ],
    );
    check(&memory(), MINUTE, &[("start() + end()", "120"), ("step() + range()", "0")]);
}

#[test]
fn several_quantiles_are_told_apart_by_a_label() {
    let memory = samples(&[r#"b{le="1"} 5"#, r#"b{le="+Inf"} 10"#, r#"b{le="2"} 10"#]);
    check(
        &memory,
        0,
        &[
            (r#"histogram_quantiles(b, "q", 0.25, 1)"#, r#"{q="0.25"} 0.5; {q="1.0"} 2"#),
            (
                r#"histogram_quantiles(b, "q", 0.5, 0.5)"#,
                "error: vector cannot contain metrics with the same labelset: {q=\"0.5\"} comes twice; select one metric name, or aggregate by labels that differ",
            ),
        ],
    );
}

#[test]
fn info_adds_labels_of_the_same_target() {
    let memory = samples(&[
        r#"m{instance="a", job="x", own="1"} 7"#,
        r#"m{instance="b", job="x"} 8"#,
        r#"target_info{instance="a", job="x", version="2", own="no", zone="z"} 1"#,
        r#"build_info{instance="a", job="x", commit="c"} 1"#,
    ]);
    let with = |labels: &str| format!(r#"m{{instance="a", job="x", {labels}}} 7; m{{instance="b", job="x"}} 8"#);
    check(
        &memory,
        0,
        &[
            ("info(m)", &with(r#"own="1", version="2", zone="z""#)),
            (r#"info(m, {version=~".+"})"#, r#"m{instance="a", job="x", own="1", version="2"} 7"#),
            (r#"info(m, {version="3"})"#, ""),
            (
                r#"info(m, {__name__="build_info"})"#,
                r#"m{commit="c", instance="a", job="x", own="1"} 7; m{instance="b", job="x"} 8"#,
            ),
            ("info(target_info)", r#"target_info{instance="a", job="x", own="no", version="2", zone="z"} 1"#),
            ("info(vector(1))", "{} 1"),
        ],
    );
}
