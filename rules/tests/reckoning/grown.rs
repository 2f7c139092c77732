//! Expressions that grow by chance, of every function and operator that promtool 2.42 knows.
//!
//! What Prometheus 2 answers otherwise is not grown: no sample lies on the edge of a window, elements that are equal are not
//! chosen between, the metric's name does not show, and no counter is so small that a rate is stretched to where it was zero.

use super::Dice;

/// How deep an expression grows.
const DEPTH: u64 = 3;

const OF_VECTORS: &[&str] = &[
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "ceil",
    "cos",
    "cosh",
    "deg",
    "exp",
    "floor",
    "ln",
    "log10",
    "log2",
    "rad",
    "sgn",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "sort",
    "sort_desc",
    "timestamp",
];
const DATES: &[&str] =
    &["day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month", "year"];
const OF_RANGES: &[&str] = &[
    "avg_over_time",
    "changes",
    "count_over_time",
    "delta",
    "deriv",
    "idelta",
    "last_over_time",
    "max_over_time",
    "min_over_time",
    "present_over_time",
    "resets",
    "stddev_over_time",
    "stdvar_over_time",
    "sum_over_time",
];
const OF_COUNTERS: &[&str] = &["increase", "irate", "rate", "resets"];
const AGGREGATIONS: &[&str] = &["sum", "avg", "count", "min", "max", "group", "stddev", "stdvar"];
const GROUPINGS: &[&str] =
    &["", " by (zone)", " by (host, zone)", " without (host)", " by ()", " without (zone)", " by (none)"];
const ARITHMETIC: &[&str] = &["+", "-", "*", "/", "%", "atan2"];
const COMPARISONS: &[&str] = &["==", "!=", "<", "<=", ">", ">="];
const SETS: &[&str] = &["and", "or", "unless"];
const NAMES: &[&str] = &["g", "c_total"];
const MATCHERS: &[&str] = &[
    "",
    "{zone=\"1\"}",
    "{host!=\"2\"}",
    "{host=~\"[0-2]\"}",
    "{zone!~\"0|x\"}",
    "{none=\"\"}",
    "{host=\"0\",zone=~\"0?\"}",
];

fn one<'a>(dice: &mut Dice, of: &[&'a str]) -> &'a str {
    of[dice.roll(of.len() as u64) as usize]
}

pub fn vector(dice: &mut Dice) -> String {
    grown_vector(dice, DEPTH)
}

fn selector(dice: &mut Dice) -> String {
    format!("{}{}", one(dice, NAMES), one(dice, MATCHERS))
}

/// Inside a subquery, whose steps would meet samples, everything looks 7 seconds back.
fn when(dice: &mut Dice) -> &'static str {
    one(dice, &[" offset 7s", " offset 67s", " offset 7s", " offset 307s"])
}

fn window(dice: &mut Dice) -> String {
    let length = one(dice, &["40s", "2m", "5m", "8m"]);
    let when = one(dice, &["", "", "", " offset 1m", " offset -45s", " @ 607"]);
    format!("[{length}]{when}")
}

fn range(dice: &mut Dice, depth: u64) -> String {
    if depth > 0 && dice.roll(4) == 0 {
        let inner = match dice.roll(3) {
            0 => format!("{}{}", selector(dice), when(dice)),
            1 => format!("delta({}[2m]{})", selector(dice), when(dice)),
            _ => format!("sum by (zone) ({}{})", selector(dice), when(dice)),
        };
        let length = one(dice, &["40s", "2m", "5m", "8m"]);
        return format!("({inner})[{length}:{}]", one(dice, &["10s", "30s", "1m"]));
    }
    format!("{}{}", selector(dice), window(dice))
}

fn scalar(dice: &mut Dice, depth: u64) -> String {
    match dice.roll(if depth == 0 { 3 } else { 7 }) {
        0 => dice.roll(40).to_string(),
        1 => format!("-{}.5", dice.roll(9)),
        2 => format!("{}e-1", dice.roll(90)),
        3 => format!("scalar({})", grown_vector(dice, depth - 1)),
        4 => format!("({} {} {})", scalar(dice, depth - 1), one(dice, ARITHMETIC), scalar(dice, depth - 1)),
        5 => format!("({} {} bool {})", scalar(dice, depth - 1), one(dice, COMPARISONS), scalar(dice, depth - 1)),
        _ => one(dice, &["time()", "pi()", "-(1)"]).to_owned(),
    }
}

fn grown_vector(dice: &mut Dice, depth: u64) -> String {
    if depth == 0 {
        return match dice.roll(6) {
            0 => format!("{} offset {}s", selector(dice), 1 + dice.roll(200)),
            1 => format!("{} @ 607", selector(dice)),
            _ => selector(dice),
        };
    }
    let depth = depth - 1;
    match dice.roll(13) {
        0 => {
            let function = one(dice, OF_VECTORS);
            // Small enough that the last digits do not count.
            let inner = grown_vector(dice, depth);
            if matches!(function, "exp" | "sinh" | "cosh" | "tan") {
                return format!("{function}(clamp({inner}, -5, 1.5))");
            }
            format!("{function}({inner})")
        }
        1 => format!("{}(clamp({} * 1e7 >= 0, 0, 4e9))", one(dice, DATES), grown_vector(dice, depth)),
        2 => format!("{}({})", one(dice, OF_RANGES), range(dice, depth)),
        3 => format!("{}(c_total{}{})", one(dice, OF_COUNTERS), one(dice, MATCHERS), window(dice)),
        4 => match dice.roll(4) {
            0 => format!(
                "quantile_over_time({}, {})",
                one(dice, &["0", "0.3", "0.5", "1", "-1", "2"]),
                range(dice, depth)
            ),
            1 => format!("predict_linear({}, {})", range(dice, depth), dice.roll(600)),
            2 => format!("absent_over_time({})", range(dice, depth)),
            _ => format!("absent({})", grown_vector(dice, depth)),
        },
        5 | 6 => {
            let (op, by, inner) = (one(dice, AGGREGATIONS), one(dice, GROUPINGS), grown_vector(dice, depth));
            // Prometheus 2 has the spread of one NaN or infinity as 0.
            if op.starts_with("std") {
                return format!("{op}{by} ({inner} > -Inf < Inf)");
            }
            format!("{op}{by} ({inner})")
        }
        7 => match dice.roll(4) {
            0 => format!("sum(topk{} ({}, {}))", one(dice, GROUPINGS), dice.roll(4), grown_vector(dice, depth)),
            1 => format!("sum(bottomk{} ({}, {}))", one(dice, GROUPINGS), dice.roll(4), grown_vector(dice, depth)),
            2 => format!(
                "quantile{} ({}, {})",
                one(dice, GROUPINGS),
                one(dice, &["0.1", "0.5", "1.5"]),
                grown_vector(dice, depth)
            ),
            _ => format!("count_values{} (\"v\", round({}, 4))", one(dice, GROUPINGS), grown_vector(dice, depth)),
        },
        8 => {
            let (vector, scalar) = (grown_vector(dice, depth), scalar(dice, depth));
            let op = match dice.roll(3) {
                0 => one(dice, ARITHMETIC).to_owned(),
                1 => one(dice, COMPARISONS).to_owned(),
                _ => format!("{} bool", one(dice, COMPARISONS)),
            };
            if dice.roll(2) == 0 { format!("({vector} {op} {scalar})") } else { format!("({scalar} {op} {vector})") }
        }
        9 => {
            let op = match dice.roll(3) {
                0 => one(dice, ARITHMETIC).to_owned(),
                1 => one(dice, COMPARISONS).to_owned(),
                _ => format!("{} bool", one(dice, COMPARISONS)),
            };
            let matching = one(
                dice,
                &[
                    "",
                    "on (host)",
                    "on (zone, host)",
                    "ignoring (none)",
                    "on (host) group_left ()",
                    "on (zone) group_right (none)",
                ],
            );
            format!("({} {op} {matching} {})", grown_vector(dice, depth), grown_vector(dice, depth))
        }
        10 => {
            let matching = one(dice, &["", "on (host)", "on (zone)", "ignoring (host)", "on ()"]);
            format!("({} {} {matching} {})", grown_vector(dice, depth), one(dice, SETS), grown_vector(dice, depth))
        }
        11 => match dice.roll(5) {
            0 => format!("label_replace({}, \"none\", \"$1-x\", \"host\", \"([02])\")", grown_vector(dice, depth)),
            1 => format!("label_join({}, \"none\", \"/\", \"zone\", \"host\")", grown_vector(dice, depth)),
            2 => format!("label_replace({}, \"zone\", \"\", \"zone\", \"1\")", grown_vector(dice, depth)),
            3 => format!("-({})", grown_vector(dice, depth)),
            _ => format!("vector({})", scalar(dice, depth)),
        },
        _ => match dice.roll(4) {
            0 => format!("clamp({}, {}, {})", grown_vector(dice, depth), scalar(dice, depth), scalar(dice, depth)),
            1 => format!("clamp_min({}, {})", grown_vector(dice, depth), scalar(dice, depth)),
            2 => format!("clamp_max({}, {})", grown_vector(dice, depth), scalar(dice, depth)),
            _ => format!("round({}, {})", grown_vector(dice, depth), one(dice, &["0.5", "5", "3"])),
        },
    }
}
