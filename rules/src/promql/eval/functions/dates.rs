//! `year`, `month`, `hour` …: parts of a date in UTC. The vector's values are seconds since 1970; without one, the step is
//! meant.

use super::super::node::Evaluator;
use super::super::steps::{Steps, Vectors};
use super::super::{EvalError, Sample};
use super::{mapped, seconds};
use crate::promql::ast::{Expr, Span};
use crate::promql::calendar::Moment;
use crate::promql::labels::Labels;

type Part = fn(Moment) -> i64;

pub(super) fn named(name: &str) -> Option<Part> {
    Some(match name {
        "year" => |at| at.year,
        "month" => |at| at.month,
        "day_of_month" => |at| at.day,
        // 1970 began on a Thursday; Sunday is 0.
        "day_of_week" => |at| (at.days + 4).rem_euclid(7),
        "day_of_year" => Moment::day_of_year,
        "days_in_month" => Moment::days_in_month,
        "hour" => |at| at.second_of_day / 3600,
        "minute" => |at| at.second_of_day / 60 % 60,
        _ => return None,
    })
}

pub(super) fn parts(
    evaluator: &mut Evaluator<'_>,
    span: Span,
    part: Part,
    args: &[Expr],
    steps: Steps,
) -> Result<Vectors, EvalError> {
    match args.first() {
        Some(arg) => mapped(span, evaluator.vectors(arg, steps)?, |value| part_at(part, value)),
        None => {
            let values = steps.iter().map(|at| part_at(part, seconds(at)));
            Ok(values.map(|value| vec![Sample::new(Labels::default(), value)]).collect())
        }
    }
}

/// Further away no date is meant; Prometheus gives arbitrary numbers there.
const SECONDS_MAX: f64 = 1e15;

fn part_at(part: Part, value: f64) -> f64 {
    if value.is_nan() || value.abs() > SECONDS_MAX {
        return f64::NAN;
    }
    part(Moment::at(value as i64)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_dates() {
        let of = |name: &str, second: f64| part_at(named(name).expect(name), second);
        // 2024-02-29T13:07:42Z, a Thursday
        let leap = 1_709_212_062.9;
        let table = [
            ("year", 2024.0),
            ("month", 2.0),
            ("day_of_month", 29.0),
            ("day_of_week", 4.0),
            ("day_of_year", 60.0),
            ("days_in_month", 29.0),
            ("hour", 13.0),
            ("minute", 7.0),
        ];
        for (name, expected) in table {
            assert_eq!(of(name, leap), expected, "{name}");
        }
        assert_eq!(of("days_in_month", 1_677_628_799.0), 28.0, "2023-02-28T23:59:59Z");
        assert_eq!(of("month", 1_677_628_800.0), 3.0, "2023-03-01");
        assert_eq!(of("days_in_month", 4_107_542_399.0), 28.0, "2100-02-28: no leap year");
        assert_eq!(of("day_of_year", 1_735_603_200.0), 366.0, "2024-12-31");
        assert_eq!(of("days_in_month", 1_735_603_200.0), 31.0, "2024-12-31");
        assert_eq!(of("day_of_week", 0.0), 4.0);
        assert_eq!(of("year", -1.0), 1969.0);
        assert_eq!(of("hour", -1.0), 23.0);
        assert!(of("year", f64::NAN).is_nan() && of("year", f64::INFINITY).is_nan());
    }
}
