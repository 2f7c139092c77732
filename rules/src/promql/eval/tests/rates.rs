//! `rate` and its family, `deriv`, `predict_linear`.

use super::*;

/// Values close to the expected ones.
fn check_close(memory: &Memory, at: i64, table: &[(&str, f64)]) {
    for (text, expected) in table {
        let found = evaluated(memory, text, at).expect(text);
        let Value::Vector(samples) = found.value else { panic!("{text} is no vector") };
        let [sample] = samples.as_slice() else { panic!("{text} gave {samples:?}") };
        assert!(
            (sample.value - expected).abs() <= 1e-12 * expected.abs(),
            "{text}: {} is not {expected}",
            sample.value
        );
    }
}

#[test]
fn a_rate_reaches_to_the_edges_of_its_window() {
    // 10 a minute, the window's edges on samples: the point at the left edge is outside.
    let memory = samples(&["c_total 0 10 20 30 40 50 60 70 80 90"]);
    check_close(
        &memory,
        9 * MINUTE,
        &[
            ("increase(c_total[5m])", 50.0),
            ("rate(c_total[5m])", 50.0 / 300.0),
            ("delta(c_total[5m])", 50.0),
            ("irate(c_total[5m])", 10.0 / 60.0),
            ("idelta(c_total[5m])", 10.0),
        ],
    );
    // Half a minute on: 30 s at the right, 30 s at the left, both bridged.
    check_close(&memory, 9 * MINUTE + 30 * SECOND, &[("increase(c_total[5m])", 50.0)]);
}

#[test]
fn a_wide_gap_is_bridged_by_half_a_spacing() {
    // Samples at 4, 5, 6 min; the window is (0, 10]: 4 min before and after, each cut to 30 s.
    let memory = samples(&["c_total _ _ _ _ 100 110 120"]);
    check_close(&memory, 10 * MINUTE, &[("increase(c_total[10m])", 30.0), ("delta(c_total[10m])", 30.0)]);
    // The windows begin at 4 min, so two points are in them. 66 s is 1.1 spacings, no longer within; 65.999 s is.
    check_close(&memory, 7 * MINUTE + 6 * SECOND, &[("delta(c_total[3m6s])", 10.0 * (60.0 + 60.0 + 30.0) / 60.0)]);
    check_close(&memory, 7 * MINUTE + 5999, &[("delta(c_total[3m5s999ms])", 10.0 * (60.0 + 60.0 + 65.999) / 60.0)]);
}

#[test]
fn a_counter_is_never_stretched_below_zero() {
    // It rises by 10 a minute from 1 at 1 min on: zero was 6 s before, nearer than the window's edge at 0.
    let memory = samples(&["c_total _ 1 11 21"]);
    check_close(
        &memory,
        3 * MINUTE,
        &[("increase(c_total[3m])", 20.0 * (120.0 + 6.0) / 120.0), ("delta(c_total[3m])", 20.0 * 180.0 / 120.0)],
    );
    // From zero itself nothing is stretched to the left; a series that does not rise is.
    check_close(&samples(&["c_total _ 0 10 20"]), 3 * MINUTE, &[("increase(c_total[3m])", 20.0)]);
    check_close(&samples(&["c_total _ 5 5 5"]), 3 * MINUTE, &[("increase(c_total[3m])", 0.0)]);
}

#[test]
fn a_reset_adds_what_was_there_before_it() {
    let memory = samples(&["c_total 0 10 20 2 12 22"]);
    // 10 at 1 min to 22 at 5 min, plus the 20 before the reset; zero is 75 s before 1 min, farther than the edge.
    check_close(
        &memory,
        5 * MINUTE,
        &[
            ("increase(c_total[5m])", 32.0 * (240.0 + 60.0) / 240.0),
            ("resets(c_total[5m])", 1.0),
            ("changes(c_total[5m])", 4.0),
        ],
    );
    check(&memory, 5 * MINUTE, &[("delta(c_total[5m])", "{} 15")]);
    // irate takes the new value as the rise after a reset.
    check_close(&memory, 3 * MINUTE, &[("irate(c_total[5m])", 2.0 / 60.0), ("idelta(c_total[5m])", -18.0)]);
}

#[test]
fn one_point_makes_no_rate() {
    let memory = samples(&["c_total 5", "d_total 5 NaN 7"]);
    let functions = ["rate", "increase", "delta", "irate", "idelta", "deriv"];
    for function in functions {
        check(&memory, MINUTE, &[(&format!("{function}(c_total[5m])"), "")]);
        check(&memory, MINUTE, &[(&format!("{function}(nothing[5m])"), "")]);
    }
    check(
        &memory,
        MINUTE,
        &[("predict_linear(c_total[5m], 60)", ""), ("resets(c_total[5m])", "{} 0"), ("changes(c_total[5m])", "{} 0")],
    );
    check(
        &memory,
        2 * MINUTE,
        &[("resets(d_total[5m])", "{} 0"), ("changes(d_total[5m])", "{} 2"), ("idelta(d_total[5m])", "{} NaN")],
    );
    check(&samples(&["m 1 NaN NaN"]), 2 * MINUTE, &[("changes(m[5m])", "{} 1")]);
}

#[test]
fn a_line_is_fitted_through_the_points() {
    // 2 a second from 100 on
    let memory = samples(&["m 100 220 340 460"]);
    check_close(
        &memory,
        3 * MINUTE,
        &[
            ("deriv(m[10m])", 2.0),
            ("predict_linear(m[10m], 0)", 460.0),
            ("predict_linear(m[10m], 60)", 580.0),
            ("predict_linear(m[10m], -60)", 340.0),
            // The line is read at the instant of evaluation, not where offset leads.
            ("predict_linear(m[10m] offset 1m, 0)", 460.0),
            ("predict_linear(m[10m] @ 120, 60)", 580.0),
        ],
    );
    check_close(&memory, 5 * MINUTE, &[("predict_linear(m[10m], 0)", 700.0)]);
    check(&samples(&["m 7 7 7"]), 2 * MINUTE, &[("deriv(m[5m])", "{} 0"), ("predict_linear(m[5m], 1e9)", "{} 7")]);
    check(&samples(&["m Inf Inf"]), MINUTE, &[("deriv(m[5m])", "{} NaN"), ("predict_linear(m[5m], 1)", "{} NaN")]);
    check_close(&samples(&["m 0 60 0 60"]), 3 * MINUTE, &[("deriv(m[10m])", 0.2)]);
}

#[test]
fn what_is_no_counter_by_its_name_is_remarked() {
    let memory = samples(&["temperature 1 2", "c_total 1 2", "h_bucket 1 2"]);
    let infos = |text: &str| evaluated(&memory, text, MINUTE).expect(text).infos;
    let found = infos("rate(temperature[5m])");
    assert!(found.len() == 1 && found[0].message.contains("\"temperature\""), "{found:?}");
    assert_eq!((found[0].span.from, found[0].span.to), (5, 20));
    assert_eq!(infos("increase(temperature[5m]) + increase(temperature[5m])").len(), 2);
    for quiet in ["rate(c_total[5m])", "rate(h_bucket[5m])", "delta(temperature[5m])", "rate(nothing[5m])"] {
        assert_eq!(infos(quiet), [], "{quiet}");
    }
}
