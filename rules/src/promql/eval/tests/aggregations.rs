//! Aggregations.

use super::*;

fn requests() -> Memory {
    samples(&[
        r#"req{job="api", host="a"} 10"#,
        r#"req{job="api", host="b"} 30"#,
        r#"req{job="db", host="a"} 5"#,
        r#"req{job="db", host="b"} NaN"#,
    ])
}

#[test]
fn groups_are_reduced_to_one_number() {
    check(
        &requests(),
        0,
        &[
            ("sum by (job) (req)", r#"{job="api"} 40; {job="db"} NaN"#),
            ("sum without (job) (req)", r#"{host="a"} 15; {host="b"} NaN"#),
            ("sum(req > 0)", "{} 45"),
            ("avg by (job) (req > 0)", r#"{job="api"} 20; {job="db"} 5"#),
            ("count by (job) (req)", r#"{job="api"} 2; {job="db"} 2"#),
            ("group by (job) (req)", r#"{job="api"} 1; {job="db"} 1"#),
            // Numbers come before NaN.
            ("min by (job) (req)", r#"{job="api"} 10; {job="db"} 5"#),
            ("max by (job) (req)", r#"{job="api"} 30; {job="db"} 5"#),
            ("stddev(req > 5)", "{} 10"),
            ("stdvar(req > 5)", "{} 100"),
            ("stddev by (job) (req)", r#"{job="api"} 10; {job="db"} NaN"#),
            ("quantile(0.5, req > 0)", "{} 10"),
            ("quantile by (job) (0.75, req > 0)", r#"{job="api"} 25; {job="db"} 5"#),
            ("sum(nothing)", ""),
            ("count(nothing)", ""),
            // A label that is nowhere makes no difference to `by`, and is not in the result.
            ("count by (nowhere) (req)", "{} 4"),
            ("count by () (req)", "{} 4"),
            (
                "count without () (req)",
                r#"{host="a", job="api"} 1; {host="a", job="db"} 1; {host="b", job="api"} 1; {host="b", job="db"} 1"#,
            ),
            ("count by (__name__) (req)", "req 4"),
            ("count without (job, host) (req)", "{} 4"),
        ],
    );
}

#[test]
fn sums_and_means_keep_small_numbers_beside_large_ones() {
    let memory = samples(&[r#"m{a="1"} 1"#, r#"m{a="2"} 1e100"#, r#"m{a="3"} 1"#, r#"m{a="4"} -1e100"#]);
    check(&memory, 0, &[("sum(m)", "{} 2"), ("avg(m)", "{} 0.5")]);
    let memory = samples(&[r#"m{a="1"} 1e308"#, r#"m{a="2"} 1e308"#]);
    check(&memory, 0, &[("avg(m)", &format!("{{}} {}", 1e308)), ("sum(m)", "{} inf")]);
    let memory = samples(&[r#"m{a="1"} Inf"#, r#"m{a="2"} -Inf"#]);
    check(&memory, 0, &[("avg(m)", "{} NaN"), ("sum(m)", "{} NaN"), ("stddev(m)", "{} NaN"), ("max(m)", "{} inf")]);
}

#[test]
fn topk_and_bottomk_keep_labels_and_come_sorted() {
    let (a, b, db) =
        (r#"req{host="a", job="api"} 10"#, r#"req{host="b", job="api"} 30"#, r#"req{host="a", job="db"} 5"#);
    let nan = r#"req{host="b", job="db"} NaN"#;
    check(
        &requests(),
        0,
        &[
            ("topk(2, req)", &format!("{b}; {a}")),
            ("bottomk(2, req)", &format!("{db}; {a}")),
            ("topk by (job) (1, req)", &format!("{b}; {db}")),
            ("bottomk by (job) (1, req)", &format!("{a}; {db}")),
            ("topk(9, req)", &format!("{b}; {a}; {db}; {nan}")),
            ("bottomk(9, req)", &format!("{db}; {a}; {b}; {nan}")),
            ("topk(1.9, req)", b),
            ("topk(0, req)", ""),
            ("topk(-3, req)", ""),
            ("topk(-Inf, req)", ""),
            ("topk(scalar(nothing) > bool 0, req)", ""),
        ],
    );
    check_refused(
        &requests(),
        0,
        &[
            ("topk(NaN, req)", "NaN", "NaN"),
            ("bottomk(1e20, req)", "overflows int64", "1e20"),
            ("topk(Inf, req)", "+Inf overflows", "Inf"),
        ],
    );
}

#[test]
fn of_equal_values_the_first_by_labels_is_kept() {
    let memory = samples(&[r#"m{a="3"} 1"#, r#"m{a="1"} 1"#, r#"m{a="2"} 1"#]);
    check(&memory, 0, &[("topk(1, m)", r#"m{a="1"} 1"#), ("bottomk(2, m)", r#"m{a="1"} 1; m{a="2"} 1"#)]);
}

#[test]
fn count_values_makes_a_label_of_the_value() {
    let memory = samples(&[
        r#"v{host="a"} 1000000"#,
        r#"v{host="b"} 1000000"#,
        r#"v{host="c"} -0.5"#,
        r#"v{host="d"} Inf"#,
        r#"v{host="e"} NaN"#,
    ]);
    check(
        &memory,
        0,
        &[
            (
                r#"count_values("value", v)"#,
                r#"{value="+Inf"} 1; {value="-0.5"} 1; {value="1000000"} 2; {value="NaN"} 1"#,
            ),
            (r#"count_values by (host) ("host", v{host="a"})"#, r#"{host="1000000"} 1"#),
            (r#"count_values without (host) ("value", v == 1e6)"#, r#"{value="1000000"} 2"#),
            (r#"count_values without (value) ("value", v{host="a"})"#, r#"{host="a"} 1"#),
        ],
    );
    check_refused(&memory, 0, &[(r#"count_values("", v)"#, "invalid label name", r#""""#)]);
}

#[test]
fn a_quantile_outside_its_range_is_infinite_and_warned_of() {
    let memory = requests();
    for (text, expected, said) in [
        ("quantile(1.5, req)", "{} inf", "got 1.5"),
        ("quantile(-1, req)", "{} -inf", "got -1"),
        ("quantile(NaN, req)", "{} NaN", "got NaN"),
        ("quantile_over_time(2, req{job=\"api\", host=\"a\"}[1m])", r#"{host="a", job="api"} inf"#, "got 2"),
    ] {
        let found = evaluated(&memory, text, 0).expect(text);
        assert!(found.warnings.len() == 1 && found.warnings[0].message.contains(said), "{:?}", found.warnings);
        assert_eq!(shown(found.value), expected, "{text}");
    }
    assert_eq!(evaluated(&memory, "quantile(1, req)", 0).expect("in range").warnings, []);
}

#[test]
fn parameters_may_change_with_the_step() {
    let memory = samples(&[r#"m{a="1"} 1 1 1"#, r#"m{a="2"} 2 2 2"#]);
    check_range(
        &memory,
        (0, 2 * MINUTE, MINUTE),
        &[
            ("topk(scalar(vector(time() / 60)), m)", r#"m{a="1"} 1@120; m{a="2"} 2@60 2@120"#),
            ("quantile(time() / 120, m)", "{} 1@0 1.5@60 2@120"),
        ],
    );
}
