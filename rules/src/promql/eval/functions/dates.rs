//! `year`, `month`, `hour` …: parts of a date in UTC. The vector's values are seconds since 1970; without one, the step is
//! meant.

use super::super::node::Evaluator;
use super::super::steps::{Steps, Vectors};
use super::super::{EvalError, Sample};
use super::{mapped, seconds};
use crate::promql::ast::{Expr, Span};
use crate::promql::labels::Labels;

/// A day of the Gregorian calendar and a time in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    year: i64,
    /// 1 to 12.
    month: i64,
    /// 1 to 31.
    day: i64,
    /// Since 1970.
    days: i64,
    second_of_day: i64,
}

type Part = fn(Moment) -> i64;

pub(super) fn named(name: &str) -> Option<Part> {
    Some(match name {
        "year" => |at| at.year,
        "month" => |at| at.month,
        "day_of_month" => |at| at.day,
        // 1970 began on a Thursday; Sunday is 0.
        "day_of_week" => |at| (at.days + 4).rem_euclid(7),
        "day_of_year" => |at| at.days - days_before(at.year, 1) + 1,
        "days_in_month" => |at| {
            let (year, month) = if at.month == 12 { (at.year + 1, 1) } else { (at.year, at.month + 1) };
            days_before(year, month) - days_before(at.year, at.month)
        },
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
            Ok(values.map(|value| vec![Sample { labels: Labels::default(), value }]).collect())
        }
    }
}

/// Further away no date is meant; Prometheus gives arbitrary numbers there.
const SECONDS_MAX: f64 = 1e15;

fn part_at(part: Part, value: f64) -> f64 {
    if value.is_nan() || value.abs() > SECONDS_MAX {
        return f64::NAN;
    }
    part(moment(value as i64)) as f64
}

fn moment(second: i64) -> Moment {
    let days = second.div_euclid(86_400);
    // An average year is 365.2425 days, so the estimate is at most one off.
    let mut year = 1970 + (days * 400).div_euclid(146_097);
    if days < days_before(year, 1) {
        year -= 1;
    } else if days >= days_before(year + 1, 1) {
        year += 1;
    }
    let month = (1..=12).rev().find(|month| days_before(year, *month) <= days).unwrap_or(1);
    Moment { year, month, day: days - days_before(year, month) + 1, days, second_of_day: second.rem_euclid(86_400) }
}

/// Days from 1970 to the first of the month.
fn days_before(year: i64, month: i64) -> i64 {
    const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let full = year - 1;
    let leap_days = full.div_euclid(4) - full.div_euclid(100) + full.div_euclid(400);
    let is_leap = year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
    let within = BEFORE[usize::try_from(month - 1).unwrap_or(0)] + i64::from(is_leap && month > 2);
    full * 365 + leap_days + within - 719_162
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let mut before = moment(-86_400);
        assert_eq!((before.year, before.month, before.day), (1969, 12, 31));
        for day in 0..146_097 {
            let now = moment(day * 86_400);
            let next_day = (before.year, before.month, before.day + 1);
            let next_month = (before.year, before.month + 1, 1);
            let next_year = (before.year + 1, 1, 1);
            assert!([next_day, next_month, next_year].contains(&(now.year, now.month, now.day)), "{before:?} {now:?}");
            assert!(now.day <= 31 && now.month <= 12);
            before = now;
        }
        assert_eq!((before.year, before.month, before.day), (2369, 12, 31));
    }

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
