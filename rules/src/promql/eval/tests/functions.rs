//! The other functions.

use super::*;
use crate::promql::ast::{Expr, Function, Span, ValueType};

#[test]
fn numbers_are_rounded_and_bounded() {
    let memory = samples(&[r#"m{a="1"} -2.5"#, r#"m{a="2"} 2.5"#, r#"m{a="3"} 0.123"#, r#"m{a="4"} NaN"#]);
    check(
        &memory,
        0,
        &[
            ("abs(m)", r#"{a="1"} 2.5; {a="2"} 2.5; {a="3"} 0.123; {a="4"} NaN"#),
            ("ceil(m)", r#"{a="1"} -2; {a="2"} 3; {a="3"} 1; {a="4"} NaN"#),
            ("floor(m)", r#"{a="1"} -3; {a="2"} 2; {a="3"} 0; {a="4"} NaN"#),
            // Halves go up.
            ("round(m)", r#"{a="1"} -2; {a="2"} 3; {a="3"} 0; {a="4"} NaN"#),
            ("round(m, 0.1)", r#"{a="1"} -2.5; {a="2"} 2.5; {a="3"} 0.1; {a="4"} NaN"#),
            ("round(m, 5)", r#"{a="1"} 0; {a="2"} 5; {a="3"} 0; {a="4"} NaN"#),
            ("sgn(m)", r#"{a="1"} -1; {a="2"} 1; {a="3"} 1; {a="4"} NaN"#),
            ("clamp(m, 0, 1)", r#"{a="1"} 0; {a="2"} 1; {a="3"} 0.123; {a="4"} NaN"#),
            ("clamp(m, 1, 0)", ""),
            ("clamp_min(m, 1)", r#"{a="1"} 1; {a="2"} 2.5; {a="3"} 1; {a="4"} NaN"#),
            ("clamp_max(m, 1)", r#"{a="1"} -2.5; {a="2"} 1; {a="3"} 0.123; {a="4"} NaN"#),
            (r#"clamp(m{a="3"}, NaN, 1)"#, r#"{a="3"} NaN"#),
            (r#"clamp_max(m{a="3"}, NaN)"#, r#"{a="3"} NaN"#),
        ],
    );
}

#[test]
fn functions_of_one_number() {
    let close = |text: &str, expected: f64| {
        let Value::Vector(found) = evaluated(&samples(&[]), text, 0).expect(text).value else { panic!("{text}") };
        let value = found[0].value;
        let same = value == expected || value.is_nan() && expected.is_nan();
        assert!(
            same || (value - expected).abs() < 1e-12 * expected.abs().max(1e-3),
            "{text}: {value} is not {expected}"
        );
    };
    let (e, pi) = (std::f64::consts::E, std::f64::consts::PI);
    for (text, expected) in [
        ("exp(vector(1))", e),
        ("exp(vector(-Inf))", 0.0),
        ("ln(vector(0))", f64::NEG_INFINITY),
        ("ln(vector(-1))", f64::NAN),
        ("log2(vector(8))", 3.0),
        ("log10(vector(0.001))", -3.0),
        ("sqrt(vector(16))", 4.0),
        ("sqrt(vector(-1))", f64::NAN),
        ("sin(vector(pi() / 6))", 0.5),
        ("cos(vector(pi()))", -1.0),
        ("tan(vector(pi() / 4))", 1.0),
        ("asin(vector(1))", pi / 2.0),
        ("asin(vector(2))", f64::NAN),
        ("acos(vector(0))", pi / 2.0),
        ("atan(vector(1))", pi / 4.0),
        ("sinh(vector(1))", (e - 1.0 / e) / 2.0),
        ("cosh(vector(1))", (e + 1.0 / e) / 2.0),
        ("tanh(vector(1))", (e * e - 1.0) / (e * e + 1.0)),
        ("asinh(sinh(vector(2)))", 2.0),
        ("acosh(cosh(vector(2)))", 2.0),
        ("acosh(vector(0))", f64::NAN),
        ("atanh(tanh(vector(0.5)))", 0.5),
        ("atanh(vector(1))", f64::INFINITY),
        ("deg(vector(pi()))", 180.0),
        ("rad(vector(90))", pi / 2.0),
    ] {
        close(text, expected);
    }
}

#[test]
fn values_over_time() {
    let memory = samples(&["m 4 2 NaN 8", "big 1 1e100 1 -1e100", "lost NaN NaN"]);
    check(
        &memory,
        3 * MINUTE,
        &[("count_over_time(m[4m])", "{} 4"), ("sum_over_time(m[4m])", "{} NaN"), ("sum_over_time(m[1m])", "{} 8")],
    );
    check(
        &memory,
        3 * MINUTE,
        &[
            // NaN gives way to any number.
            ("min_over_time(m[4m])", "{} 2"),
            ("max_over_time(m[4m])", "{} 8"),
            ("min_over_time(lost[4m])", "{} NaN"),
            ("first_over_time(m[4m])", "m 4"),
            ("last_over_time(m[4m])", "m 8"),
            ("present_over_time(m[4m])", "{} 1"),
            ("present_over_time(nothing[4m])", ""),
            ("sum_over_time(big[4m])", "{} 2"),
            ("avg_over_time(big[4m])", "{} 0.5"),
            ("avg_over_time(m[4m])", "{} NaN"),
        ],
    );
    let memory = samples(&["m 2 4 6"]);
    check(
        &memory,
        2 * MINUTE,
        &[
            ("avg_over_time(m[3m])", "{} 4"),
            ("stdvar_over_time(m[2m])", "{} 1"),
            ("stddev_over_time(m[2m])", "{} 1"),
            ("quantile_over_time(0.5, m[3m])", "{} 4"),
            ("quantile_over_time(0.25, m[3m])", "{} 3"),
            ("quantile_over_time(-1, m[3m])", "{} -inf"),
        ],
    );
}

#[test]
fn absence_has_the_labels_that_were_asked_for() {
    let memory = samples(&[r#"up{host="a"} 1"#]);
    check(
        &memory,
        0,
        &[
            ("absent(up)", ""),
            (r#"absent(up{host="b"})"#, r#"{host="b"} 1"#),
            (r#"absent(nothing{a="1", b=~"x", c!="y", d="4"})"#, r#"{a="1", d="4"} 1"#),
            // A label that is asked for twice is not known.
            (r#"absent(nothing{a="1", c="2", c="3"})"#, r#"{a="1"} 1"#),
            (r#"absent(nothing{a="1", a=~".+"})"#, "{} 1"),
            (r#"absent(nothing{a=~".+", a="1"})"#, r#"{a="1"} 1"#),
            (r#"absent((nothing{a="1"}))"#, r#"{a="1"} 1"#),
            (r#"absent({__name__="nothing", a=""})"#, "{} 1"),
            (r#"absent(sum(nothing{a="1"}))"#, "{} 1"),
            (r#"absent(nothing{a="1"} > 5)"#, "{} 1"),
            (r#"absent_over_time(nothing{a="1"}[5m])"#, r#"{a="1"} 1"#),
            ("absent_over_time(up[5m])", ""),
            (r#"absent_over_time(nothing{a="1"}[5m:1m])"#, "{} 1"),
        ],
    );
    check(
        &memory,
        5 * MINUTE,
        &[("absent(up)", "{} 1"), ("absent_over_time(up[5m])", "{} 1"), ("absent_over_time(up[6m])", "")],
    );
}

#[test]
fn labels_are_replaced_and_joined() {
    let memory = samples(&[r#"up{host="web-1.lan:9100", zone="x"} 1"#]);
    check(
        &memory,
        0,
        &[
            (
                r#"label_replace(up, "short", "$1", "host", "([^.]+)\\..*")"#,
                r#"up{host="web-1.lan:9100", short="web-1", zone="x"} 1"#,
            ),
            (
                r#"label_replace(up, "port", "p${port}", "host", ".*:(?P<port>\\d+)")"#,
                r#"up{host="web-1.lan:9100", port="p9100", zone="x"} 1"#,
            ),
            // Anchored: a part is no match, and without a match nothing changes.
            (r#"label_replace(up, "zone", "y", "host", "web")"#, r#"up{host="web-1.lan:9100", zone="x"} 1"#),
            // A missing label is empty; an empty result takes the label away.
            (r#"label_replace(up, "a", "b", "nothing", "")"#, r#"up{a="b", host="web-1.lan:9100", zone="x"} 1"#),
            (r#"label_replace(up, "zone", "", "host", ".*")"#, r#"up{host="web-1.lan:9100"} 1"#),
            (r#"label_replace(up, "zone", "$9$$", "host", ".*")"#, r#"up{host="web-1.lan:9100", zone="$"} 1"#),
            (
                r#"label_replace(up, "__name__", "down", "__name__", "up")"#,
                r#"down{host="web-1.lan:9100", zone="x"} 1"#,
            ),
            (
                r#"label_join(up, "both", "/", "zone", "nothing", "host")"#,
                r#"up{both="x//web-1.lan:9100", host="web-1.lan:9100", zone="x"} 1"#,
            ),
            (r#"label_join(up, "zone", "/")"#, r#"up{host="web-1.lan:9100"} 1"#),
        ],
    );
    check_refused(
        &memory,
        0,
        &[
            (r#"label_replace(up, "a", "b", "host", "(")"#, "does not compile", r#""(""#),
            (r#"label_replace(up, "", "b", "host", "x")"#, "invalid label name", r#""""#),
            (r#"label_join(up, "a", "-", "")"#, "invalid label name", r#""""#),
        ],
    );
}

#[test]
fn vectors_and_scalars_become_each_other() {
    let memory = samples(&[r#"m{a="1"} 7"#, r#"m{a="2"} 8"#]);
    check(
        &memory,
        30 * SECOND,
        &[
            ("vector(3)", "{} 3"),
            ("vector(time())", "{} 30"),
            (r#"scalar(m{a="1"})"#, "7"),
            ("scalar(m)", "NaN"),
            ("scalar(nothing)", "NaN"),
            (r#"m * scalar(m{a="1"})"#, r#"{a="1"} 49; {a="2"} 56"#),
            (r#"timestamp(m{a="1"})"#, r#"{a="1"} 0"#),
            (r#"timestamp((m{a="1"}))"#, r#"{a="1"} 0"#),
            (r#"timestamp(m{a="1"} + 1)"#, r#"{a="1"} 30"#),
            ("timestamp(vector(1))", "{} 30"),
        ],
    );
}

#[test]
fn vectors_are_sorted_with_nan_last() {
    let memory = samples(&[r#"m{a="1"} 2"#, r#"m{a="2"} NaN"#, r#"m{a="3"} 1"#, r#"m{a="4"} 3"#]);
    check(
        &memory,
        0,
        &[
            ("sort(m)", r#"m{a="3"} 1; m{a="1"} 2; m{a="4"} 3; m{a="2"} NaN"#),
            ("sort_desc(m)", r#"m{a="4"} 3; m{a="1"} 2; m{a="3"} 1; m{a="2"} NaN"#),
        ],
    );
}

#[test]
fn dates_are_of_the_values_or_of_now() {
    // 2024-02-29T13:07:42Z
    let now = 1_709_212_062 * SECOND;
    check(
        &samples(&[]),
        now,
        &[
            ("year()", "{} 2024"),
            ("month()", "{} 2"),
            ("day_of_month()", "{} 29"),
            ("day_of_week()", "{} 4"),
            ("day_of_year()", "{} 60"),
            ("days_in_month()", "{} 29"),
            ("hour()", "{} 13"),
            ("minute()", "{} 7"),
            ("hour(vector(3600 * 23.9))", "{} 23"),
            ("year(vector(-1))", "{} 1969"),
            ("day_of_week() == 4 and on () hour() > 12", "{} 4"),
        ],
    );
}

#[test]
fn every_function_of_the_table_has_a_body() {
    for function in crate::promql::functions() {
        let args = (0..function.args.len()).map(|place| argument(function, place)).collect();
        let expr = Expr { kind: ExprKind::Call { function, args }, span: Span::default() };
        let memory = samples(&["m 1 2 3"]);
        let found = instant(&expr, &memory, MINUTE, &Settings::default());
        assert!(found.is_ok(), "{}: {found:?}", function.name);
    }
}

fn argument(function: &Function, place: usize) -> Expr {
    let text = match function.args[place] {
        ValueType::Scalar => "0.5",
        ValueType::String => "\"text\"",
        ValueType::Vector => "m",
        ValueType::Matrix => "m[5m]",
    };
    parse(text).expect(text)
}
