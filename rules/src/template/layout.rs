//! Dates by Go's layouts, which show how the second of January 2006, 15:04:05, is to look.
//!
//! Source: documentation of Go's package time, "Constants".

use super::time::{MONTHS, WEEKDAYS, weekday};
use crate::promql::calendar::Moment;

/// What a part of a layout stands for; longer ones before their beginnings.
const PARTS: [(&str, Part); 34] = [
    ("January", Part::MonthName),
    ("Jan", Part::MonthShort),
    ("Monday", Part::DayName),
    ("Mon", Part::DayShort),
    ("MST", Part::Text("UTC")),
    ("002", Part::YearDay),
    ("01", Part::Month(2)),
    ("02", Part::Day(2)),
    ("03", Part::Hour12(2)),
    ("04", Part::Minute(2)),
    ("05", Part::Second(2)),
    ("06", Part::YearShort),
    ("15", Part::Hour),
    ("1", Part::Month(1)),
    ("2006", Part::Year),
    ("2", Part::Day(1)),
    ("__2", Part::YearDaySpaced),
    ("_2006", Part::SpacedYear),
    ("_2", Part::DaySpaced),
    ("3", Part::Hour12(1)),
    ("4", Part::Minute(1)),
    ("5", Part::Second(1)),
    ("PM", Part::Half("AM", "PM")),
    ("pm", Part::Half("am", "pm")),
    // Everything is in UTC, which is Z or no hours away.
    ("-07:00:00", Part::Text("+00:00:00")),
    ("-070000", Part::Text("+000000")),
    ("-07:00", Part::Text("+00:00")),
    ("-0700", Part::Text("+0000")),
    ("-07", Part::Text("+00")),
    ("Z07:00:00", Part::Text("Z")),
    ("Z070000", Part::Text("Z")),
    ("Z07:00", Part::Text("Z")),
    ("Z0700", Part::Text("Z")),
    ("Z07", Part::Text("Z")),
];

#[derive(Clone, Copy, Debug)]
enum Part {
    Year,
    SpacedYear,
    YearShort,
    MonthName,
    MonthShort,
    /// With so many digits at least; the same for what follows.
    Month(usize),
    DayName,
    DayShort,
    Day(usize),
    DaySpaced,
    YearDay,
    YearDaySpaced,
    Hour,
    Hour12(usize),
    Minute(usize),
    Second(usize),
    /// Before and after noon.
    Half(&'static str, &'static str),
    /// A point or comma and noughts, or nines where noughts at the end are left out.
    Fraction,
    Text(&'static str),
}

/// An instant, UTC milliseconds, by a layout. What stands for nothing stays as it is.
pub(super) fn format(ms: i64, layout: &str) -> String {
    let moment = Moment::at(ms.div_euclid(1000));
    let mut out = String::with_capacity(layout.len() + 8);
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        let Some((written, part)) = part(rest) else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        out.push_str(&shown(part, written, moment, ms.rem_euclid(1000)));
        rest = &rest[written.len()..];
    }
    out
}

/// The part that begins here, and how it is written.
fn part(rest: &str) -> Option<(&str, Part)> {
    if rest.starts_with(['.', ',']) {
        let digit = rest[1..].chars().next().filter(|digit| matches!(digit, '0' | '9'))?;
        let length = 1 + rest[1..].chars().take_while(|c| *c == digit).count();
        let ends = !rest[length..].starts_with(|c: char| c.is_ascii_digit());
        return ends.then(|| (&rest[..length], Part::Fraction));
    }
    let (written, part) = PARTS.iter().find(|(written, _)| rest.starts_with(written))?;
    let behind = &rest[written.len()..];
    // `Janet` and `Money` are words of their own.
    let is_word = matches!(*written, "Jan" | "Mon") && behind.starts_with(|c: char| c.is_ascii_lowercase());
    (!is_word).then_some((&rest[..written.len()], *part))
}

fn shown(part: Part, written: &str, moment: Moment, milliseconds: i64) -> String {
    let year = |year: i64| if year < 0 { format!("-{:04}", -year) } else { format!("{year:04}") };
    let (hour, minute, second) =
        (moment.second_of_day / 3600, moment.second_of_day / 60 % 60, moment.second_of_day % 60);
    let digits = |value: i64, width: usize| format!("{value:0width$}");
    let name = |names: &[&str], place: i64| {
        usize::try_from(place).ok().and_then(|at| names.get(at).copied()).unwrap_or("").to_owned()
    };
    match part {
        Part::Year => year(moment.year),
        Part::SpacedYear => format!("_{}", year(moment.year)),
        Part::YearShort => digits(moment.year.rem_euclid(100), 2),
        Part::MonthName => name(&MONTHS, moment.month - 1),
        Part::MonthShort => name(&MONTHS, moment.month - 1)[..3].to_owned(),
        Part::Month(width) => digits(moment.month, width),
        Part::DayName => name(&WEEKDAYS, weekday(moment)),
        Part::DayShort => name(&WEEKDAYS, weekday(moment))[..3].to_owned(),
        Part::Day(width) => digits(moment.day, width),
        Part::DaySpaced => format!("{:2}", moment.day),
        Part::YearDay => digits(moment.day_of_year(), 3),
        Part::YearDaySpaced => format!("{:3}", moment.day_of_year()),
        Part::Hour => digits(hour, 2),
        Part::Hour12(width) => digits((hour + 11) % 12 + 1, width),
        Part::Minute(width) => digits(minute, width),
        Part::Second(width) => digits(second, width),
        Part::Half(before, after) => if hour < 12 { before } else { after }.to_owned(),
        Part::Fraction => fraction(written, milliseconds),
        Part::Text(text) => text.to_owned(),
    }
}

fn fraction(written: &str, milliseconds: i64) -> String {
    let (sign, digits) = written.split_at(1);
    let all = format!("{:03}{}", milliseconds, "0".repeat(digits.len().saturating_sub(3)));
    let shown = &all[..digits.len()];
    let shown = if digits.starts_with('9') { shown.trim_end_matches('0') } else { shown };
    if shown.is_empty() { String::new() } else { format!("{sign}{shown}") }
}
