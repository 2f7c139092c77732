//! What is read, how it is understood, and what is said of what is not.

use proptest::prelude::*;

use super::*;
use crate::promql::ast::{AggregateOp, At, ValueType, When};

fn read(text: &str) -> Expr {
    parse(text).unwrap_or_else(|faults| panic!("{text}: {faults:?}"))
}

/// With all parentheses that are implied.
fn grouped(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Binary(binary) => {
            format!("({} {} {})", grouped(&binary.lhs), binary.op.as_str(), grouped(&binary.rhs))
        }
        ExprKind::Negate(inner) => format!("(-{})", grouped(inner)),
        ExprKind::Paren(inner) => grouped(inner),
        _ => expr.to_string(),
    }
}

#[test]
fn operators_bind_as_in_prometheus() {
    let table = [
        ("a + b * c ^ d", "(a + (b * (c ^ d)))"),
        ("a - b - c", "((a - b) - c)"),
        ("a ^ b ^ c", "(a ^ (b ^ c))"),
        ("-1 ^ 2", "(-(1 ^ 2))"),
        ("-a * b", "((-a) * b)"),
        ("2 ^ -1 * 3", "((2 ^ -1) * 3)"),
        ("a or b and c unless d", "(a or ((b and c) unless d))"),
        ("a == bool b + 1", "(a == (b + 1))"),
        ("a > 1 and b < 2 or c", "(((a > 1) and (b < 2)) or c)"),
        ("a atan2 b * c % d / e", "((((a atan2 b) * c) % d) / e)"),
        ("a == b != c", "((a == b) != c)"),
        ("- - 1", "1"),
        ("+a", "+a"),
        ("+a ^ b", "+a ^ b"),
        ("+1", "1"),
    ];
    for (text, expected) in table {
        assert_eq!(grouped(&read(text)), expected, "{text}");
    }
}

#[test]
fn numbers_durations_and_strings_are_go_s() {
    let table = [
        ("1", 1.0),
        ("1_000.5", 1000.5),
        ("0x1F", 31.0),
        ("0755", 493.0),
        ("09", 9.0),
        ("5.", 5.0),
        (".5", 0.5),
        ("1e-3", 0.001),
        ("-Inf", f64::NEG_INFINITY),
        ("iNf", f64::INFINITY),
    ];
    for (text, expected) in table {
        assert_eq!(read(text).kind, ExprKind::Number(expected), "{text}");
    }
    for (text, seconds) in [("1h30m", 5400.0), ("-5ms", -0.005), ("+1d", 86_400.0)] {
        assert_eq!(read(text).kind, ExprKind::Duration(seconds), "{text}");
    }
    assert!(matches!(read("NaN").kind, ExprKind::Number(value) if value.is_nan()));
    for (text, expected) in [(r#""a\n\x41\u00e9\101""#, "a\nAéA"), (r"'it\'s'", "it's"), (r"`a\n`", r"a\n")] {
        assert_eq!(read(text).kind, ExprKind::String(expected.to_owned()), "{text}");
    }
}

#[test]
fn selectors_are_read_with_what_stands_behind_them() {
    let table = [
        ("up", "up"),
        (":a:b:", ":a:b:"),
        ("up{}", "up"),
        ("up{a=\"b\",}", "up{a=\"b\"}"),
        ("{\"my.metric\", \"my.label\"!=\"x\"}", "{\"my.label\"!=\"x\",__name__=\"my.metric\"}"),
        ("{__name__=~\"a|b\"}", "{__name__=~\"a|b\"}"),
        ("up[5m] offset 1h @ 10", "up[5m] @ 10.000 offset 1h"),
        ("up @ -1.5 offset -1h", "up @ -1.500 offset -1h"),
        ("up[90] offset 60", "up[1m30s] offset 1m"),
        ("up @ start()", "up @ start()"),
        ("sum(up)[1h:5m] @ end() offset 5m", "sum(up)[1h:5m] @ end() offset 5m"),
        ("up offset 5m[1h:]", "up offset 5m[1h:]"),
        ("up # the rest \" of it ( says nothing\n {a=\"b\"}", "up{a=\"b\"}"),
    ];
    for (text, expected) in table {
        assert_eq!(read(text).to_string(), expected, "{text}");
    }
    let ExprKind::Vector(selector) = read("up @ 1.5 offset 1h").kind else { panic!("a selector") };
    assert_eq!(selector.when, When { offset: 3_600_000, at: Some(At::Time(1500)) });
}

#[test]
fn words_of_the_language_may_name_metrics_and_labels() {
    for text in ["sum", "and and and", "offset offset 5m", "by * without", "start + end", "bottomk or topk"] {
        read(text);
    }
    let expr = read("sum by (on, by, sum, and, offset) ({and=\"a\", by=~\"b\", on=\"c\"})");
    let ExprKind::Aggregate { op: AggregateOp::Sum, grouping: Grouping::Only(labels), .. } = expr.kind else {
        panic!("a sum")
    };
    assert_eq!(labels, ["on", "by", "sum", "and", "offset"]);
    assert_eq!(read("a / ON (group_left) GROUP_LEFT (bool) b").to_string(), "a / on (group_left) group_left (bool) b");
}

#[test]
fn aggregations_take_their_labels_before_or_after() {
    let same = ["sum by (a, b) (x)", "sum(x) by (a, b)", "SUM BY (a, b,) (x)", "sum(x) by (\"a\", b)"];
    for text in same {
        assert_eq!(read(text).to_string(), "sum by (a, b) (x)", "{text}");
    }
    assert_eq!(read("topk without() (3, x)").to_string(), "topk without () (3, x)");
    assert_eq!(read("quantile(0.9, x)").to_string(), "quantile(0.9, x)");
}

#[test]
fn nodes_know_the_bytes_they_were_read_from() {
    let text = "1 + rate ( x{a=\"b\"}[5m] offset 1h ) > bool (y)";
    let expr = read(text);
    let at = |span: Span| &text[span.from..span.to];
    assert_eq!(at(expr.span), text);
    let ExprKind::Binary(compared) = expr.kind else { panic!("a comparison") };
    assert_eq!((at(compared.op_span), at(compared.rhs.span)), (">", "(y)"));
    let ExprKind::Binary(added) = compared.lhs.kind else { panic!("an addition") };
    assert_eq!(at(added.rhs.span), "rate ( x{a=\"b\"}[5m] offset 1h )");
    let ExprKind::Call { args, .. } = added.rhs.kind else { panic!("a call") };
    assert_eq!(at(args[0].span), "x{a=\"b\"}[5m] offset 1h");
}

#[test]
fn what_an_expression_gives_is_known() {
    let table = [
        ("1 + 2", ValueType::Scalar),
        ("-(1)", ValueType::Scalar),
        ("1 + up", ValueType::Vector),
        ("time()", ValueType::Scalar),
        ("up[5m]", ValueType::Matrix),
        ("up[5m:]", ValueType::Matrix),
        ("\"a\"", ValueType::String),
        ("sum(up)", ValueType::Vector),
    ];
    for (text, expected) in table {
        assert_eq!(read(text).value_type(), expected, "{text}");
    }
}

/// Each with the text that the fault points at, a part of its message, and its near word.
const REFUSED: &[(&str, &str, &str, Option<&str>)] = &[
    ("", "", "empty", None),
    (" # nothing", " # nothing", "empty", None),
    ("sum(", "(", "an expression is expected after this", None),
    ("sum(rate(x[5m])", ")", "')' is expected after this, to close '(rate(x[5m])'", None),
    ("x[5m", "5m", "']' is expected after this, to close '[5m'", None),
    ("sum(x]", "]", "not ']'", None),
    ("x)", ")", "an operator or the end is expected here, not ')'", None),
    ("a b", "b", "not 'b'", None),
    ("a > ", ">", "expected after this", None),
    ("x / on (a) group_lef y", "group_lef", "no word of the language", Some("group_left")),
    ("a andd b", "andd", "not 'andd'", Some("and")),
    ("a && b", "&", "not expected", Some("and")),
    ("a || b", "|", "not expected", Some("or")),
    ("a = 1", "=", "compared by '=='", None),
    ("a =~ \"x\"", "=~", "compares labels", None),
    ("rat(x[5m])", "rat", "unknown function 'rat'", Some("rate")),
    ("Rate(x[5m])", "Rate", "unknown function 'Rate'", Some("rate")),
    ("summ(x)", "summ", "unknown function", Some("sum")),
    ("limitk(1, x)", "limitk", "--enable-feature=promql-experimental-functions", None),
    ("mad_over_time(x[5m])", "mad_over_time", "is experimental", None),
    ("holt_winters(x[5m], 1, 1)", "holt_winters", "taken out", None),
    ("rate(x)", "x", "a range vector, not an instant vector; give it a range", None),
    ("sum(x[5m])", "x[5m]", "an instant vector, not a range vector", None),
    ("abs(1)", "1", "vector() makes one", None),
    ("abs(x, y)", "abs", "takes 1 argument, not 2", None),
    ("round()", "round", "takes 1 or 2 arguments, not 0", None),
    ("label_join(x, \"a\")", "label_join", "at least 3 arguments, not 2", None),
    ("label_join(x, \"a\", \"b\", c)", "c", "argument 4 of 'label_join' is a string", None),
    ("topk(x)", "topk", "a parameter and a vector, not 1", None),
    ("topk(\"a\", x)", "\"a\"", "the parameter of 'topk' is a scalar", None),
    ("count_values(1, x)", "1", "is a string", None),
    ("x[5m] + 1", "x[5m]", "each side of '+'", None),
    ("1 and x", "and", "not on scalars", None),
    ("1 == 2", "==", "write == bool", None),
    ("x + bool y", "+", "'bool' belongs to comparisons", None),
    ("x and on (a) group_left y", "and", "matches many to many", None),
    ("x + on (a) 1", "+", "between instant vectors only", None),
    ("x + group_left y", "group_left", "on (…) or ignoring (…)", None),
    ("x + on (a) group_left (a) y", "+", "at once", None),
    ("-\"a\"", "\"a\"", "what follows the sign", None),
    ("(x + y)[5m]", "[5m]", "a range belongs to a selector", None),
    ("x[5m][5m:1m]", "x[5m]", "not a range vector", None),
    ("x offset 1m [5m]", "[5m]", "stands before 'offset'", None),
    ("x offset 1m offset 2m", "x offset 1m offset", "given a second one", None),
    ("x @ 1 @ 2", "x @ 1 @", "given a second one", None),
    ("sum(x) offset 5m", "sum(x) offset", "right after a selector", None),
    ("x @ foo", "foo", "seconds since 1970", None),
    ("x @ -Inf", "x @ -Inf", "no instant", None),
    ("x[0]", "0", "longer than 0", None),
    ("a + on (b) group_left fill_left (0) c", "fill_left", "promql-binop-fill-modifiers", None),
    ("a == bool fill(0) b", "fill", "promql-binop-fill-modifiers", None),
    ("rate(x[5m] smoothed)", "smoothed", "promql-extended-range-selectors", None),
    ("x[5x]", "5x", "no unit of time", None),
    ("x[-5m]", "-5m", "longer than 0", None),
    ("x[300y]", "300y", "too long", None),
    ("x[1e10]", "1e10", "too long", None),
    ("x[(5m)]", "(", "arithmetic with durations", None),
    ("x[step()]", "step", "--enable-feature=promql-duration-expr", None),
    ("x[5m + 1m]", "+", "--enable-feature=promql-duration-expr", None),
    ("{}", "{}", "takes every series", None),
    ("{a=~\".*\"}", "{a=~\".*\"}", "takes every series", None),
    ("x{__name__=\"y\"}", "x{__name__=\"y\"}", "said twice", None),
    ("x{a=b}", "b", "must be quoted", None),
    ("x{a=~\"(\"}", "\"(\"", "does not compile", None),
    ("x{a=\"b\"", "", "'}' is expected", None),
    ("x == \"a", "\"", "no closing", None),
    ("\"\\q\"", "\\q", "no escape", None),
    ("on", "on", "a word of the language", None),
    ("bool + 1", "bool", "a word of the language", None),
    ("sum by (inf) (x)", "inf", "a label name", None),
    ("5mm", "5mm", "neither a number nor a duration", None),
    ("1__0", "1__0", "neither a number", None),
    ("up{instance=$host}", "$host", "not bound here", None),
    ("$host", "$host", "not known here", None),
    ("sum by (a=b) (x)", "=", "compared by '=='", None),
];

#[test]
fn every_fault_points_at_the_character() {
    for (text, pointed, message, near) in REFUSED {
        let faults = parse(text).expect_err(text);
        let fault = &faults[0];
        assert_eq!(faults.len(), 1, "{text}: {faults:?}");
        assert_eq!(text.get(fault.span.from..fault.span.to.min(text.len())), Some(*pointed), "{text}: {fault:?}");
        assert!(fault.message.contains(message), "{text}: {fault:?}");
        assert_eq!(fault.near.as_deref(), *near, "{text}: {fault:?}");
    }
}

#[test]
fn faults_that_do_not_hide_each_other_are_all_told() {
    let faults = parse("rate(x{a=~\"(\"}) > foo(y) + sum(z[5m])").expect_err("three faults");
    let shown: Vec<(usize, &str)> =
        faults.iter().map(|fault| (fault.span.from, fault.message.split(':').next().unwrap_or(""))).collect();
    assert_eq!(faults.len(), 4, "{shown:?}");
    assert!(shown.windows(2).all(|pair| pair[0].0 <= pair[1].0), "{shown:?}");
}

#[test]
fn deep_nesting_and_long_chains_are_refused_without_harm() {
    let many = 100_000;
    let table = [
        "(".repeat(many),
        "-".repeat(many),
        format!("{}x{}", "(".repeat(many), ")".repeat(many)),
        format!("{}x{}", "abs(".repeat(many), ")".repeat(many)),
        vec!["x"; many].join(" + "),
        vec!["x"; many].join(" ^ "),
        format!("x{}", "[5m:1m]".repeat(many)),
    ];
    for text in table {
        let faults = parse(&text).expect_err("too deep");
        assert!(faults.iter().any(|fault| fault.message.contains("nested deeper")), "{:?}", faults.first());
    }
    read(&vec!["x"; 90].join(" or "));
}

/// Expressions made of pieces that fit.
fn vector() -> impl Strategy<Value = String> {
    let selector = prop_oneof![
        Just("up".to_owned()),
        Just("a:b{c=\"d\\n\", e!~\"f|g\"}".to_owned()),
        Just("{\"é\"=~\"x+\", \"my.metric\"} @ end()".to_owned()),
        Just("sum{by=\"x\"} offset -5m".to_owned()),
        (1u32..9, 0u32..5000).prop_map(|(a, b)| format!("m{{l='{a}'}} @ {b}.25 offset {a}m")),
    ];
    selector.prop_recursive(5, 40, 3, |inner| {
        let op = prop::sample::select(vec!["+", "-", "*", "/", "%", "^", "atan2", "==", "!=", "<=", "> bool"]);
        let matching =
            prop::sample::select(vec!["", "on (a)", "ignoring (a, b) group_left ()", "on () group_right (\"c d\")"]);
        let set = prop::sample::select(vec!["and", "or", "unless on (x)"]);
        let number =
            prop_oneof![any::<f64>().prop_map(|n| format!("{n:e}").replace("inf", "Inf")), Just("0x1F".to_owned())];
        let aggregate = prop::sample::select(vec!["sum", "avg by (a)", "topk without (b) (3,", "quantile (0.5,"]);
        prop_oneof![
            (inner.clone(), op.clone(), matching, inner.clone())
                .prop_map(|(a, op, on, b)| format!("{a} {op} {on} {b}")),
            (inner.clone(), set, inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            (inner.clone(), op, number).prop_map(|(a, op, n)| format!("({a} {op} {n})")),
            inner.clone().prop_map(|a| format!("-({a})")),
            inner.clone().prop_map(|a| format!("- {a}")),
            inner.clone().prop_map(|a| format!("max_over_time(({a})[1h30m:90] offset 1d)")),
            inner.clone().prop_map(|a| format!("label_join({a}, 'x', `,`, \"a\", \"b\")")),
            (aggregate, inner).prop_map(|(op, a)| if op.ends_with(',') {
                format!("{op} {a})")
            } else {
                format!("{op} ({a})")
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_written_parses_back(text in vector()) {
        if let Ok(expr) = parse(&text) {
            let written = expr.to_string();
            let again = parse(&written);
            prop_assert!(again.is_ok(), "{text} written as {written}: {again:?}");
            let again = again.expect("just seen");
            prop_assert_eq!(again.to_string(), written.clone());
            prop_assert_eq!(without_spans(&again), without_spans(&expr), "{} written as {}", text, written);
        } else {
            // Only what grew too deep.
            prop_assert!(format!("{:?}", parse(&text)).contains("nested deeper"), "{text}: {:?}", parse(&text));
        }
    }

    #[test]
    fn garbage_is_refused_with_faults_within_it(text in "(rate|sum|by|on|x|[(){}\\[\\]:,@=~!<>+*/^%-]|offset|5m|\"|'a'|[0-9._e]| |é|\\PC){0,40}") {
        if let Err(faults) = parse(&text) {
            prop_assert!(!faults.is_empty());
            for fault in faults {
                prop_assert!(fault.span.from <= text.len(), "{text}: {fault:?}");
                prop_assert!(text.is_char_boundary(fault.span.from), "{text}: {fault:?}");
            }
        }
    }
}

/// The shape of an expression: its debug form with the places blanked out.
fn without_spans(expr: &Expr) -> String {
    let shown = format!("{expr:?}");
    let blank = regex::Regex::new(r"Span \{ from: \d+, to: \d+ \}").expect("a pattern");
    blank.replace_all(&shown, "_").into_owned()
}
