//! Long expressions over several lines, short ones on one, as Prometheus's own formatter lays them out.
//!
//! A part that is longer than a line is split: an operator stands on a line of its own with its sides indented, what is in
//! parentheses stands indented between them. Selectors and numbers are never split.
//!
//! Source: what `promtool promql format` and `/api/v1/format_query` of Prometheus 2.42 and 3 give.

use super::ast::{Expr, ExprKind};
use super::display::{Looked, Opening, Operator, Written};

/// Bytes of a part of an expression that stay on one line, its indentation not counted.
const LINE_BYTES_MAX: usize = 100;
const INDENT: &str = "  ";

/// The text that Prometheus gives: `0.10` is `0.1`, and matchers stand in order.
pub fn pretty(expr: &Expr) -> String {
    lines(&Written { expr, text: None }, 0)
}

/// As [`pretty`], for files of people. Numbers are spelled as in `text`, which `expr` was read from: authors write `0.10` and
/// `1e9` for a reason. The sides of the outermost operator are not indented where that leaves it clear: an indented first line
/// needs a mark of its own in YAML.
pub fn pretty_as_spelled(expr: &Expr, text: &str) -> String {
    let whole = Written { expr, text: Some(text) };
    let ExprKind::Binary(binary) = &expr.kind else { return lines(&whole, 0) };
    let sides = [&binary.lhs, &binary.rhs].map(|side| whole.part(side));
    let is_clear = |side: &Written<'_>| !matches!(side.expr.kind, ExprKind::Binary(_)) || is_short(side);
    if is_short(&whole) || !sides.iter().all(is_clear) {
        return lines(&whole, 0);
    }
    let [lhs, rhs] = sides.map(|side| lines(&side, 0));
    format!("{lhs}\n{}\n{rhs}", Operator(binary))
}

fn is_short(part: &Written<'_>) -> bool {
    part.to_string().len() <= LINE_BYTES_MAX
}

fn lines(part: &Written<'_>, level: usize) -> String {
    let indent = INDENT.repeat(level);
    let one_line = part.to_string();
    if one_line.len() <= LINE_BYTES_MAX {
        return format!("{indent}{one_line}");
    }
    let inner = |expr| lines(&part.part(expr), level + 1);
    match &part.expr.kind {
        ExprKind::Number(_)
        | ExprKind::Duration(_)
        | ExprKind::String(_)
        | ExprKind::Vector(_)
        | ExprKind::Matrix { .. } => format!("{indent}{one_line}"),
        ExprKind::Paren(expr) => format!("{indent}(\n{}\n{indent})", inner(expr)),
        ExprKind::Negate(expr) => format!("{indent}-{}", lines(&part.part(expr), level).trim_start()),
        ExprKind::Plus(expr) => format!("{indent}+{}", lines(&part.part(expr), level).trim_start()),
        ExprKind::Subquery { expr, range, step, when } => {
            format!("{}{}", lines(&part.part(expr), level), Looked { range: *range, step: *step, when })
        }
        ExprKind::Call { args, .. } if args.is_empty() => format!("{indent}{one_line}"),
        ExprKind::Call { function, args } => {
            let args: Vec<String> = args.iter().map(inner).collect();
            format!("{indent}{}(\n{}\n{indent})", function.name, args.join(",\n"))
        }
        ExprKind::Aggregate { op, param, expr, grouping } => {
            let param = param.as_ref().map(|param| format!("{},\n", inner(param))).unwrap_or_default();
            format!("{indent}{}(\n{param}{}\n{indent})", Opening { op: *op, grouping }, inner(expr))
        }
        ExprKind::Binary(binary) => {
            format!("{}\n{indent}{}\n{}", inner(&binary.lhs), Operator(binary), inner(&binary.rhs))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn shown(text: &str) -> String {
        pretty(&parse(text).unwrap_or_else(|faults| panic!("{text}: {faults:?}")))
    }

    #[test]
    fn a_short_expression_stands_on_one_line() {
        let table = [
            ("sum(rate( x_total [90s] ))by(job)>0.10", "sum by (job) (rate(x_total[1m30s])) > 0.1"),
            ("-( a )", "-(a)"),
            ("a  and on(b)\n c", "a and on (b) c"),
            // Matchers stand in order, the name where it stood.
            (r#"a{c = 'd', "x.y"!="z", b=~`\d`}"#, r#"a{"x.y"!="z",b=~"\\d",c="d"}"#),
            (r#"{b="c", __name__="a"}"#, r#"{__name__="a",b="c"}"#),
            (r#"{"a"}[5m] @ 3"#, r#"{__name__="a"}[5m] @ 3.000"#),
            ("sum by (by) (sum{}) + :a:b", "sum by (by) (sum) + :a:b"),
            // Numbers have no exponent, durations stay ones.
            ("1e9 + 0x10 + 1e-7 + inf", "1000000000 + 16 + 0.0000001 + +Inf"),
            ("-1h90s < bool 5m + nan", "-1h1m30s < bool 5m + NaN"),
            ("+a + -(+1) - +5m", "+a + -(1) - 5m"),
            ("a + on () 1", "a + 1"),
            ("\"a\\x00\\u200b\u{fc}\"", "\"a\\x00\\u200b\u{fc}\""),
        ];
        for (text, expected) in table {
            assert_eq!(shown(text), expected);
        }
        let text = "a  > 0.10 * 1e9 + - 2 + 5m";
        assert_eq!(pretty_as_spelled(&parse(text).expect("good"), text), "a > 0.10 * 1e9 + -2 + 5m");
    }

    #[test]
    fn a_long_one_is_split_where_it_is_long() {
        let text = "histogram_quantile(0.99, sum by (job, le) (rate(shop_request_duration_seconds_bucket{code!~\"5..\", \
                    method=\"GET\"}[5m]))) > 0.5 and on (job) -max_over_time((shop_requests_in_flight_of_all_kinds_that_there_are \
                    + shop_requests_waiting_of_all_kinds_that_there_are)[1h:5m] offset 1d) < bool topk by (job) (3, \
                    shop_requests_that_have_a_rather_long_name_so_that_this_is_split_as_well{region=\"somewhere\"})";
        insta::assert_snapshot!(shown(text), @r#"
            histogram_quantile(
              0.99,
              sum by (job, le) (rate(shop_request_duration_seconds_bucket{code!~"5..",method="GET"}[5m]))
            )
          >
            0.5
        and on (job)
            -max_over_time(
              (
                  shop_requests_in_flight_of_all_kinds_that_there_are
                +
                  shop_requests_waiting_of_all_kinds_that_there_are
              )[1h:5m] offset 1d
            )
          < bool
            topk by (job) (
              3,
              shop_requests_that_have_a_rather_long_name_so_that_this_is_split_as_well{region="somewhere"}
            )
        "#);
    }

    #[test]
    fn what_is_split_reads_back() {
        let long = "a_metric_with_a_name_that_is_long_enough_to_have_it_split_soon{label=\"and a value of a label\"}";
        for text in [
            format!("-({long} + {long})[1h:5m] offset 1d"),
            format!("clamp({long} * {long}, -0.5, 1e20)"),
            format!("sum without (a) ({long}) / ignoring (a) group_left (b) ({long} unless {long})"),
            format!("{long} ^ -{long} ^ {long}"),
        ] {
            let Ok(expr) = parse(&text) else { continue };
            let written = pretty(&expr);
            let again = parse(&written).unwrap_or_else(|faults| panic!("{written}: {faults:?}"));
            assert_eq!(again.to_string(), expr.to_string(), "{written}");
            assert_eq!(pretty(&again), written);
        }
    }
}
