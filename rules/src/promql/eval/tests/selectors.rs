//! Selectors, staleness, lookback, `offset` and `@`.

use super::*;

#[test]
fn a_selector_takes_what_all_its_matchers_take() {
    let memory = samples(&[
        r#"up{host="a", zone="x"} 1"#,
        r#"up{host="b", zone="y"} 2"#,
        r#"up{host="c"} 3"#,
        r#"down{host="a"} 4"#,
    ]);
    check(
        &memory,
        0,
        &[
            ("up", r#"up{host="a", zone="x"} 1; up{host="b", zone="y"} 2; up{host="c"} 3"#),
            (r#"up{host="b"}"#, r#"up{host="b", zone="y"} 2"#),
            // A missing label is an empty one.
            (r#"up{zone=""}"#, r#"up{host="c"} 3"#),
            (r#"up{zone!="x"}"#, r#"up{host="b", zone="y"} 2; up{host="c"} 3"#),
            (r#"up{zone=~"x|"}"#, r#"up{host="a", zone="x"} 1; up{host="c"} 3"#),
            (r#"up{nothing="x"}"#, ""),
            // Patterns are anchored at both ends.
            (r#"{__name__=~"u", host="a"}"#, ""),
            (r#"{__name__=~"u.", host="a"}"#, r#"up{host="a", zone="x"} 1"#),
            (r#"{host="a"}"#, r#"down{host="a"} 4; up{host="a", zone="x"} 1"#),
            (r#"up{host!~"a|b"}"#, r#"up{host="c"} 3"#),
        ],
    );
}

#[test]
fn a_point_as_old_as_the_lookback_is_too_old() {
    let memory = samples(&["up 7"]);
    check(&memory, 5 * MINUTE - 1, &[("up", "up 7")]);
    check(&memory, 5 * MINUTE, &[("up", ""), ("up offset 1ms", "up 7")]);
    check(&memory, 0, &[("up", "up 7")]);
    check(&memory, -1, &[("up", "")]);
}

#[test]
fn a_stale_marker_ends_a_series_and_a_nan_does_not() {
    let memory = samples(&["ended 1 stale", "back 1 stale 3", "broken 1 NaN"]);
    check(&memory, MINUTE - 1, &[("ended", "ended 1")]);
    check(&memory, MINUTE, &[("ended", ""), ("back", ""), ("broken", "broken NaN"), ("absent(ended)", "{} 1")]);
    check(&memory, 2 * MINUTE, &[("ended", ""), ("back", "back 3"), ("broken", "broken NaN")]);
    // Windows pass over the marker.
    check(
        &memory,
        2 * MINUTE,
        &[
            ("count_over_time(ended[5m])", "{} 1"),
            ("count_over_time(back[5m])", "{} 2"),
            ("last_over_time(ended[5m])", "ended 1"),
            ("count_over_time(broken[5m])", "{} 2"),
            ("count_over_time(ended[1m])", ""),
        ],
    );
}

#[test]
fn offset_looks_back_and_ahead() {
    let memory = samples(&["m 0 1 2 3 4 5 6 7 8 9"]);
    check(
        &memory,
        5 * MINUTE,
        &[
            ("m", "m 5"),
            ("m offset 2m", "m 3"),
            ("m offset -2m", "m 7"),
            ("sum_over_time(m[2m] offset 1m)", "{} 7"),
            ("sum_over_time(m[2m] offset -1m)", "{} 11"),
            ("m offset 6m", ""),
        ],
    );
}

#[test]
fn at_fixes_the_instant_and_stands_with_offset_in_either_order() {
    let memory = samples(&["m 0 1 2 3 4 5 6 7 8 9"]);
    check(
        &memory,
        5 * MINUTE,
        &[
            ("m @ 120", "m 2"),
            ("m @ 120.5 offset -59s500ms", "m 3"),
            ("m @ 120 offset 1m", "m 1"),
            ("m offset 1m @ 120", "m 1"),
            ("m @ start()", "m 5"),
            ("m @ end() offset 1m", "m 4"),
            ("sum_over_time(m[2m] @ 240)", "{} 7"),
            ("timestamp(m @ 130)", "{} 120"),
            ("m @ 120 + m", "{} 7"),
        ],
    );
    check_range(
        &memory,
        (2 * MINUTE, 4 * MINUTE, MINUTE),
        &[
            ("m @ start()", "m 2@120 2@180 2@240"),
            ("m @ end()", "m 4@120 4@180 4@240"),
            ("m @ 60 offset -1m", "m 2@120 2@180 2@240"),
            // In a subquery, too, the bounds are those of the whole query.
            ("sum_over_time((m @ end())[2m:1m])", "{} 8@120 8@180 8@240"),
        ],
    );
}

#[test]
fn a_window_is_left_open() {
    let memory = samples(&["m 1 1 1 1 1 1 1 1 1 1 1"]);
    check(
        &memory,
        10 * MINUTE,
        &[
            ("count_over_time(m[5m])", "{} 5"),
            ("count_over_time(m[5m1ms])", "{} 6"),
            ("count_over_time(m[1m])", "{} 1"),
            ("m[2m]", "m 1@540 1@600"),
            ("m[2m] offset 1m", "m 1@480 1@540"),
        ],
    );
    check(&memory, 10 * MINUTE + 30 * SECOND, &[("count_over_time(m[5m])", "{} 5"), ("count_over_time(m[20s])", "")]);
}

#[test]
fn literals_give_themselves() {
    let memory = samples(&[]);
    check(
        &memory,
        MINUTE,
        &[
            ("1", "1"),
            ("-(2)", "-2"),
            ("1_000", "1000"),
            ("0x1F", "31"),
            ("1e-3", "0.001"),
            ("Inf", "inf"),
            ("-Inf", "-inf"),
            ("NaN", "NaN"),
            ("5m", "300"),
            ("\"text\"", "text"),
            ("('raw')", "raw"),
            ("time()", "60"),
            ("pi()", "3.141592653589793"),
        ],
    );
}
