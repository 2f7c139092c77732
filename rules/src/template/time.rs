//! What `toTime` gives: an instant in UTC, with the methods of Go's `time.Time` that a template can call.

use super::value::{Named, Parameter, Value};
use crate::promql::calendar::Moment;

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// From Sunday on, as Go counts.
pub(super) const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Go's name of the type.
pub(super) const KIND: &str = "*time.Time";

/// What a method takes; none where there is no such method.
pub(super) fn parameters(method: &str) -> Option<&'static [Parameter]> {
    match method {
        "Format" => Some(&[Parameter::Text]),
        "Before" | "After" | "Equal" | "Compare" => Some(&[Parameter::Time]),
        "AddDate" => Some(&[Parameter::Int, Parameter::Int, Parameter::Int]),
        "Unix" | "UnixMilli" | "UnixMicro" | "UnixNano" | "Year" | "Month" | "Day" | "Weekday" | "YearDay" | "Hour"
        | "Minute" | "Second" | "Nanosecond" | "String" | "UTC" | "Local" | "IsZero" => Some(&[]),
        _ => None,
    }
}

/// Calls the method of an instant, UTC milliseconds.
///
/// # Errors
/// There is no such method, or it takes other arguments; in Go's words.
pub(super) fn call(ms: i64, method: &str, arguments: &[Value]) -> Result<Value, String> {
    let wanted = parameters(method).ok_or_else(|| format!("can't evaluate field {method} in type {KIND}"))?;
    if wanted.len() != arguments.len() {
        return Err(format!("wrong number of args for {method}: want {} got {}", wanted.len(), arguments.len()));
    }
    for (parameter, argument) in wanted.iter().zip(arguments) {
        parameter.check(argument, false)?;
    }
    match (method, arguments) {
        ("Format", [Value::Text(layout)]) => Ok(Value::Text(super::layout::format(ms, layout))),
        ("AddDate", [Value::Int(years), Value::Int(months), Value::Int(days)]) => {
            moved(ms, *years, *months, *days).map(Value::Time)
        }
        ("Before", [Value::Time(than)]) => Ok(Value::Bool(ms < *than)),
        ("After", [Value::Time(than)]) => Ok(Value::Bool(ms > *than)),
        ("Equal", [Value::Time(than)]) => Ok(Value::Bool(ms == *than)),
        ("Compare", [Value::Time(than)]) => Ok(Value::Int(ms.cmp(than) as i64)),
        _ => Ok(read(ms, method)),
    }
}

/// A method that takes nothing.
fn read(ms: i64, method: &str) -> Value {
    let second = ms.div_euclid(1000);
    let moment = Moment::at(second);
    let named = |kind, names: &[&'static str], place: i64, number| {
        let name = usize::try_from(place).ok().and_then(|place| names.get(place).copied()).unwrap_or_default();
        Value::Named(Named { kind, name, number })
    };
    match method {
        "Month" => named("time.Month", &MONTHS, moment.month - 1, moment.month),
        "Weekday" => named("time.Weekday", &WEEKDAYS, weekday(moment), weekday(moment)),
        "String" => Value::Text(shown(ms)),
        // Nothing here is anywhere else.
        "UTC" | "Local" => Value::Time(ms),
        "IsZero" => Value::Bool(ms == YEAR_1),
        _ => Value::Int(match method {
            "Unix" => second,
            "UnixMilli" => ms,
            "UnixMicro" => ms.saturating_mul(1_000),
            "UnixNano" => ms.saturating_mul(1_000_000),
            "Year" => moment.year,
            "Day" => moment.day,
            "YearDay" => moment.day_of_year(),
            "Hour" => moment.second_of_day / 3600,
            "Minute" => moment.second_of_day / 60 % 60,
            "Second" => moment.second_of_day % 60,
            "Nanosecond" => ms.rem_euclid(1000) * 1_000_000,
            _ => unreachable!("{method} is among the parameters, and is not read here"),
        }),
    }
}

/// The first instant of the year 1, which is Go's zero.
const YEAR_1: i64 = -62_135_596_800_000;

/// As Go prints it: `2024-02-29 13:07:42.5 +0000 UTC`.
pub(super) fn shown(ms: i64) -> String {
    super::layout::format(ms, "2006-01-02 15:04:05.999999999 -0700 MST")
}

/// From Sunday, 0, on.
pub(super) fn weekday(moment: Moment) -> i64 {
    (moment.days + 4).rem_euclid(7)
}

/// Years and months are added first, then days; what is too many for a month goes on into the next.
fn moved(ms: i64, years: i64, months: i64, days: i64) -> Result<i64, String> {
    const MOST: i64 = 1_000_000;
    if [years, months, days].into_iter().any(|count| count.abs() > MOST) {
        return Err(format!("a date is moved by at most {MOST}"));
    }
    let moment = Moment::at(ms.div_euclid(1000));
    let months = (moment.year + years) * 12 + moment.month - 1 + months;
    let first = crate::promql::calendar::first_of(months.div_euclid(12), months.rem_euclid(12) + 1);
    Ok(((first + moment.day - 1 + days) * 86_400 + moment.second_of_day) * 1000 + ms.rem_euclid(1000))
}
