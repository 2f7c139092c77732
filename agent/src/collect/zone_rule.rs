//! When summer time begins and ends in every year: the rule at the end of a TZif file, `CET-1CEST,M3.5.0,M10.5.0/3`.
//!
//! Days are read in the form `Mmonth.week.day`, the only one in the tz database's own rules.
//! [Source: POSIX.1-2024, 8.3 "TZ"; RFC 9636, 3.3.1 for hours beyond a day]

use super::zone::Offset;

const DAY: i64 = 86_400;

#[derive(Debug)]
pub struct Rule {
    standard: Offset,
    /// The other offset, when it begins and when it ends.
    summer: Option<(Offset, Day, Day)>,
}

/// The week-th weekday of a month (the fifth is the last), and the second of that day by the clock of before.
#[derive(Clone, Copy, Debug)]
struct Day {
    month: i64,
    week: i64,
    weekday: i64,
    second: i64,
}

impl Rule {
    /// `None` for what is no such rule.
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(',');
        let (standard, rest) = offset(parts.next()?)?;
        let standard = Offset { seconds: i32::try_from(-standard.1?).ok()?, name: standard.0 };
        if rest.is_empty() {
            return parts.next().is_none().then_some(Self { standard, summer: None });
        }
        let ((name, seconds), rest) = offset(rest)?;
        let seconds = match seconds {
            Some(seconds) => i32::try_from(-seconds).ok()?,
            None => standard.seconds + 3_600,
        };
        let (from, to) = (Day::read(parts.next()?)?, Day::read(parts.next()?)?);
        let whole = rest.is_empty() && parts.next().is_none();
        whole.then_some(Self { standard, summer: Some((Offset { seconds, name }, from, to)) })
    }

    /// The offset in force at an instant, Unix seconds.
    pub fn at(&self, now: i64) -> &Offset {
        let Some((summer, from, to)) = &self.summer else { return &self.standard };
        let (year, _, _) = civil((now + i64::from(self.standard.seconds)).div_euclid(DAY));
        let from = from.second_in(year) - i64::from(self.standard.seconds);
        let to = to.second_in(year) - i64::from(summer.seconds);
        // In the south summer goes over the turn of the year.
        let in_summer = if from < to { (from..to).contains(&now) } else { !(to..from).contains(&now) };
        if in_summer { summer } else { &self.standard }
    }
}

impl Day {
    /// `M10.5.0` or `M10.5.0/3`; two o'clock where nothing is said.
    fn read(text: &str) -> Option<Self> {
        let (day, time) = text.split_once('/').map_or((text, None), |(day, time)| (day, Some(time)));
        let mut numbers = day.strip_prefix('M')?.split('.').map(|word| word.parse::<i64>().ok());
        let (month, week, weekday) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let fits = (1..=12).contains(&month) && (1..=5).contains(&week) && (0..=6).contains(&weekday);
        let second = match time {
            Some(time) => seconds(time).filter(|(_, rest)| rest.is_empty())?.0,
            None => 7_200,
        };
        (fits && numbers.next().is_none()).then_some(Self { month, week, weekday, second })
    }

    /// Seconds since 1970 by a clock that shows the offset in force before.
    fn second_in(self, year: i64) -> i64 {
        let first = days(year, self.month);
        let next = if self.month == 12 { days(year + 1, 1) } else { days(year, self.month + 1) };
        // 1 January 1970 was a Thursday, the fourth day after Sunday.
        let weekday_of_first = (first + 4).rem_euclid(7);
        let mut day = first + (self.weekday - weekday_of_first).rem_euclid(7) + 7 * (self.week - 1);
        if day >= next {
            day -= 7;
        }
        day * DAY + self.second
    }
}

/// A name (`CET`, `<+0330>`), and the seconds behind it where there are any; and what follows.
fn offset(text: &str) -> Option<((String, Option<i64>), &str)> {
    let (name, rest) = match text.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>')?,
        None => text.split_at(text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len())),
    };
    if name.len() < 3 {
        return None;
    }
    match seconds(rest) {
        Some((seconds, rest)) => Some(((name.to_owned(), Some(seconds)), rest)),
        None => Some(((name.to_owned(), None), rest)),
    }
}

/// `[+-]h[:mm[:ss]]`, up to a week; and what follows.
fn seconds(text: &str) -> Option<(i64, &str)> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(digits.len());
    let (time, rest) = digits.split_at(end);
    let mut total = 0;
    let mut unit = 3_600;
    for part in time.split(':') {
        total += part.parse::<i64>().ok().filter(|number| *number <= 167)? * unit;
        unit /= 60;
    }
    Some((sign * total, rest))
}

/// Days since 1970 of the first of a month. [Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"]
fn days(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a count of days since 1970; the same source.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Instants (Unix seconds) with the offset of each, made with the `date` of coreutils.
    #[test]
    fn summer_begins_and_ends_to_the_second() {
        for (rule, now, expected) in [
            // Berlin 2026: 29 March 01:00 UTC, 25 October 01:00 UTC.
            ("CET-1CEST,M3.5.0,M10.5.0/3", 1_774_745_999, 3_600),
            ("CET-1CEST,M3.5.0,M10.5.0/3", 1_774_746_000, 7_200),
            ("CET-1CEST,M3.5.0,M10.5.0/3", 1_792_889_999, 7_200),
            ("CET-1CEST,M3.5.0,M10.5.0/3", 1_792_890_000, 3_600),
            // New York 2026: 8 March 07:00 UTC, 1 November 06:00 UTC.
            ("EST5EDT,M3.2.0,M11.1.0", 1_772_953_199, -18_000),
            ("EST5EDT,M3.2.0,M11.1.0", 1_772_953_200, -14_400),
            ("EST5EDT,M3.2.0,M11.1.0", 1_793_512_799, -14_400),
            ("EST5EDT,M3.2.0,M11.1.0", 1_793_512_800, -18_000),
            // Sydney, where January is summer.
            ("AEST-10AEDT,M10.1.0,M4.1.0/3", 1_767_225_600, 39_600),
            ("AEST-10AEDT,M10.1.0,M4.1.0/3", 1_782_864_000, 36_000),
            ("<+0330>-3:30", 0, 12_600),
            ("UTC0", 1_767_225_600, 0),
        ] {
            assert_eq!(Rule::read(rule).expect(rule).at(now).seconds, expected, "{rule} {now}");
        }
        assert_eq!(Rule::read("<+0330>-3:30").expect("is read").at(0).name, "+0330");
    }

    #[test]
    fn what_is_no_rule_is_none() {
        for text in [
            "",
            "CE-1",
            "CET",
            "CET-1CEST",
            "CET-1CEST,M3.5.0",
            "CET-1CEST,M13.5.0,M10.5.0",
            "CET-1CEST,J60,J300",
            "CET-1CEST,M3.5.0,M10.5.0/x",
            "CET-1CEST,M3.5.0,M10.5.0,M1.1.1",
            "<CET-1",
            "CET-999",
            "CET-1CEST-2x,M3.5.0,M10.5.0",
            "CET-9999999999999999999",
        ] {
            assert!(Rule::read(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn a_calendar_goes_there_and_back() {
        for (day, expected) in
            [(0, (1970, 1, 1)), (-1, (1969, 12, 31)), (11_016, (2000, 2, 29)), (20_454, (2026, 1, 1))]
        {
            assert_eq!(civil(day), expected);
        }
        assert_eq!([days(1970, 1), days(2000, 3), days(2026, 12)], [0, 11_017, 20_454 + 334]);
    }
}
