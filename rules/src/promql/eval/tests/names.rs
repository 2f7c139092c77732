//! When the metric's name goes, and what happens if only it told series apart.

use super::*;

#[test]
fn the_name_goes_with_the_meaning() {
    let memory = samples(&[r#"m{a="1", __type__="gauge", __unit__="bytes"} 1 2 3"#]);
    let kept = r#"m{__type__="gauge", __unit__="bytes", a="1"}"#;
    for text in [
        "m",
        "m > 0",
        "0 < m",
        "m and m",
        "m or m",
        "m unless nothing",
        "topk(1, m)",
        "bottomk(1, m)",
        "sort(m)",
        "sort_desc(m)",
        "last_over_time(m[5m])",
        "first_over_time(m[5m])",
        "last_over_time(m[5m:1m])",
        "(m)",
        "+m",
    ] {
        assert!(result(&memory, text, 2 * MINUTE).starts_with(kept), "{text}: {}", result(&memory, text, 2 * MINUTE));
    }
    for text in [
        "-m",
        "m + 0",
        "1 * m",
        "m > bool 0",
        "m == bool m",
        "m - m",
        "abs(m)",
        "clamp_min(m, 0)",
        "round(m)",
        "timestamp(m)",
        "timestamp(m > 0)",
        "rate(m[5m])",
        "max_over_time(m[5m])",
        "count_over_time(m[5m])",
        "changes(m[5m])",
        "deriv(m[5m])",
        "hour(m)",
        "present_over_time(m[5m])",
        "quantile_over_time(0.5, m[5m])",
        "predict_linear(m[5m], 5)",
    ] {
        assert!(
            result(&memory, text, 2 * MINUTE).starts_with(r#"{a="1"} "#),
            "{text}: {}",
            result(&memory, text, 2 * MINUTE)
        );
    }
    check(
        &memory,
        0,
        &[
            ("sum by (__name__, a) (m)", r#"m{a="1"} 1"#),
            ("sum by (__name__) (-m)", "{} -1"),
            (r#"label_replace(-m, "__name__", "n", "", "")"#, r#"n{a="1"} -1"#),
        ],
    );
}

#[test]
fn series_that_only_the_name_told_apart_are_an_error_without_it() {
    let memory = samples(&[r#"a_total{x="1"} 1 2 3"#, r#"b_total{x="1"} 4 5 6"#]);
    let both = r#"{__name__=~"._total"}"#;
    let same = "same labelset: {x=\"1\"}";
    for text in [
        format!("-{both}"),
        format!("{both} * 2"),
        format!("{both} > bool 2"),
        format!("abs({both})"),
        format!("round({both})"),
        format!("rate({both}[5m])"),
        format!("max_over_time({both}[5m])"),
        format!("timestamp({both})"),
        format!(r#"label_replace({both}, "__name__", "", "", "")"#),
        format!(r#"label_join({both}, "__name__", "-", "x")"#),
    ] {
        let error = evaluated(&memory, &text, 2 * MINUTE).expect_err(&text);
        assert!(error.message.contains("same labelset"), "{text}: {error}");
    }
    check_refused(&memory, 2 * MINUTE, &[("sum(-{__name__=~\"._total\"})", same, "{__name__=~\"._total\"}")]);
    check(
        &memory,
        2 * MINUTE,
        &[
            (both, r#"a_total{x="1"} 3; b_total{x="1"} 6"#),
            (&format!("{both} > 4"), r#"b_total{x="1"} 6"#),
            (&format!("last_over_time({both}[5m])"), r#"a_total{x="1"} 3; b_total{x="1"} 6"#),
            (&format!("sum({both})"), "{} 9"),
            // One of them dropped before the name goes does no harm.
            (&format!("-({both} > 4)"), r#"{x="1"} -6"#),
        ],
    );
}

#[test]
fn a_range_is_looked_at_whole_for_equal_labels() {
    // They never meet at one instant.
    let memory = samples(&[r#"a_total{x="1"} 1 2 stale"#, r#"b_total{x="1"} _ _ _ 1 2"#]);
    let error = ranged(&memory, r#"max_over_time({__name__=~"._total"}[1m])"#, 0, 4 * MINUTE, MINUTE);
    assert!(error.expect_err("equal labels").message.contains("same labelset"));
    check_range(
        &memory,
        (0, 4 * MINUTE, MINUTE),
        &[(r#"sum without () ({__name__=~"._total"})"#, r#"{x="1"} 1@0 2@60 1@180 2@240"#)],
    );
}
