//! Subqueries and ranges.

use super::*;

#[test]
fn inner_steps_are_multiples_of_the_step() {
    let memory = samples(&["m 0 1 2 3 4 5 6 7 8 9"]);
    // (4 min, 9 min] by 2 min: 6 and 8, whenever it is asked.
    check(&memory, 9 * MINUTE, &[("sum_over_time(m[5m:2m])", "{} 14"), ("m[5m:2m]", "m 6@360 8@480")]);
    check(&memory, 9 * MINUTE + 59 * SECOND, &[("m[5m:2m]", "m 6@360 8@480")]);
    check(&memory, 10 * MINUTE, &[("m[5m:2m]", "m 6@360 8@480 9@600")]);
    // Without a step, the settings' one.
    check(&memory, 3 * MINUTE, &[("m[2m:]", "m 2@120 3@180"), ("m[2m:40s]", "m 1@80 2@120 2@160")]);
    check(&memory, 9 * MINUTE, &[("m[2m:1m] offset 3m", "m 5@300 6@360"), ("m[2m:1m] @ 120", "m 1@60 2@120")]);
    // A left edge on a multiple is outside.
    check(&memory, 4 * MINUTE, &[("m[2m:2m]", "m 4@240"), ("m[30s:1h]", "")]);
}

#[test]
fn before_1970_steps_are_multiples_too() {
    check(&samples(&[]), -90 * SECOND, &[("vector(1)[3m:1m]", "{} 1@-240 1@-180 1@-120")]);
}

#[test]
fn a_subquery_is_a_range_of_any_expression() {
    let memory = samples(&[r#"c_total{host="a"} 0 60 120 180 240 300"#, r#"c_total{host="b"} 0 120 240 360 480 600"#]);
    check(
        &memory,
        5 * MINUTE,
        &[
            ("max_over_time(rate(c_total[2m])[3m:1m])", r#"{host="a"} 1; {host="b"} 2"#),
            ("max_over_time(sum(rate(c_total[2m]))[3m:1m])", "{} 3"),
            ("count_over_time((c_total > 300)[5m:1m])", r#"{host="b"} 3"#),
            // The name is already gone inside.
            ("last_over_time(abs(c_total)[2m:1m])", r#"{host="a"} 300; {host="b"} 600"#),
            ("last_over_time(c_total[2m:1m])", r#"c_total{host="a"} 300; c_total{host="b"} 600"#),
            ("avg_over_time(vector(time())[2m:1m])", "{} 270"),
            ("max_over_time(max_over_time(c_total{host=\"a\"}[2m:1m])[2m:1m] offset 1m)", r#"{host="a"} 240"#),
        ],
    );
}

#[test]
fn a_range_gives_each_step() {
    let memory = samples(&["m 0 1 2 3 _ _ _ _ _ _ 10", "n 5 5 stale"]);
    check_range(
        &memory,
        (0, 12 * MINUTE, 4 * MINUTE),
        &[
            ("m", "m 0@0 3@240 10@720"),
            ("m + 1", "{} 1@0 4@240 11@720"),
            ("n", "n 5@0"),
            ("sum_over_time(m[4m])", "{} 0@0 6@240 10@720"),
            ("absent(n)", "{} 1@240 1@480 1@720"),
            ("absent_over_time(m[2m])", "{} 1@480 1@720"),
            ("time()", "{} 0@0 240@240 480@480 720@720"),
            ("42", "{} 42@0 42@240 42@480 42@720"),
            ("m or n", "m 0@0 3@240 10@720"),
            ("sort_desc(m)", "m 0@0 3@240 10@720"),
        ],
    );
    // The end is a step only where a step leads to it.
    check_range(&memory, (0, 5 * MINUTE, 2 * MINUTE), &[("m", "m 0@0 2@120 3@240")]);
}

#[test]
fn ranges_that_make_no_sense_are_refused() {
    let memory = samples(&["m 0 1 2"]);
    for (text, start, end, step, part) in [
        ("m", 0, -1, MINUTE, "has no steps"),
        ("m", 0, MINUTE, 0, "has no steps"),
        ("m", 0, MINUTE, -5, "has no steps"),
        ("m", 0, 11_000, 1, "at most 11000"),
        ("m", i64::MIN, i64::MAX, 1, "at most 11000"),
        ("m[5m]", 0, MINUTE, MINUTE, "only a scalar or an instant vector"),
        ("\"text\"", 0, MINUTE, MINUTE, "only a scalar or an instant vector"),
    ] {
        let error = ranged(&memory, text, start, end, step).expect_err(text);
        assert!(error.message.contains(part), "{text}: {error}");
    }
    assert!(ranged(&memory, "m", 0, 10_999, 1).is_ok());
}
