//! Dates of the Gregorian calendar in UTC.

/// A day, and a time in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
    /// Since 1970.
    pub days: i64,
    pub second_of_day: i64,
}

impl Moment {
    /// `second` is since 1970, within some hundred million years of it.
    pub fn at(second: i64) -> Self {
        let days = second.div_euclid(86_400);
        // An average year is 365.2425 days, so the estimate is at most one off.
        let mut year = 1970 + (days * 400).div_euclid(146_097);
        if days < days_before(year, 1) {
            year -= 1;
        } else if days >= days_before(year + 1, 1) {
            year += 1;
        }
        let month = (1..=12).rev().find(|month| days_before(year, *month) <= days).unwrap_or(1);
        let day = days - days_before(year, month) + 1;
        Self { year, month, day, days, second_of_day: second.rem_euclid(86_400) }
    }

    /// Seconds since 1970 of `2026-11-23T20:00:00Z`, `2026-11-23T21:00:00.5+01:00`; fractions are left out.
    pub fn rfc3339(text: &str) -> Option<i64> {
        let number = |from: usize, to: usize| -> Option<i64> {
            let digits = text.get(from..to)?;
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
        };
        let sign = |at: usize, of: &str| text.get(at..at + 1).filter(|sign| of.contains(*sign));
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        for (at, of) in [(4, "-"), (7, "-"), (10, "Tt "), (13, ":"), (16, ":")] {
            sign(at, of)?;
        }
        let mut zone = 19;
        if sign(zone, ".").is_some() {
            zone += 1 + text[zone + 1..].bytes().take_while(u8::is_ascii_digit).count();
        }
        let offset = match sign(zone, "Zz+-")? {
            "+" | "-" if text.len() == zone + 6 && sign(zone + 3, ":").is_some() => {
                let minutes = number(zone + 1, zone + 3)? * 60 + number(zone + 4, zone + 6)?;
                if sign(zone, "-").is_some() { -minutes } else { minutes }
            }
            "Z" | "z" if text.len() == zone + 1 => 0,
            _ => return None,
        };
        if !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let start = Self::at(days_before(year, month) * 86_400);
        let is_day = (1..=start.days_in_month()).contains(&day);
        is_day.then_some((start.days + day - 1) * 86_400 + hour * 3600 + (minute - offset) * 60 + second)
    }

    /// 1 to 366.
    pub fn day_of_year(self) -> i64 {
        self.days - days_before(self.year, 1) + 1
    }

    pub fn days_in_month(self) -> i64 {
        let (year, month) = if self.month == 12 { (self.year + 1, 1) } else { (self.year, self.month + 1) };
        days_before(year, month) - days_before(self.year, self.month)
    }
}

/// Days from 1970 to the first of the month, 1 to 12, of a year.
pub fn first_of(year: i64, month: i64) -> i64 {
    days_before(year, month)
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
        let mut before = Moment::at(-86_400);
        assert_eq!((before.year, before.month, before.day), (1969, 12, 31));
        for day in 0..146_097 {
            let now = Moment::at(day * 86_400);
            let next_day = (before.year, before.month, before.day + 1);
            let next_month = (before.year, before.month + 1, 1);
            let next_year = (before.year + 1, 1, 1);
            assert!([next_day, next_month, next_year].contains(&(now.year, now.month, now.day)), "{before:?} {now:?}");
            assert!(now.day <= now.days_in_month() && now.month <= 12);
            before = now;
        }
        assert_eq!((before.year, before.month, before.day), (2369, 12, 31));
    }

    #[test]
    fn dates_are_read_with_their_zone() {
        let table = [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2021-01-01T00:00:00Z", Some(1_609_459_200)),
            ("2021-01-01T01:30:00.25+01:30", Some(1_609_459_200)),
            ("2020-12-31T19:00:00-05:00", Some(1_609_459_200)),
            ("2024-02-29T13:07:42Z", Some(1_709_212_062)),
            ("2023-02-29T00:00:00Z", None),
            ("2023-13-01T00:00:00Z", None),
            ("2023-01-01T24:00:00Z", None),
            ("2023-01-01T00:00:00", None),
            ("2023-01-01", None),
            ("2023-01-01T00:00:00Zé", None),
            ("2023-01-01T00:00:00.é", None),
        ];
        for (text, expected) in table {
            assert_eq!(Moment::rfc3339(text), expected, "{text}");
        }
    }
}
