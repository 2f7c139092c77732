//! From when until when a certificate holds: the two times of an X.509 certificate (RFC 5280, 4.1.2.5), read from its DER.
//!
//! A certificate of our own CA needs four steps to get there; a parser of X.509 costs the agent a dozen crates.

/// From when until when a certificate holds, UTC milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub not_before: i64,
    pub not_after: i64,
}

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

impl Validity {
    /// `None` where this is no certificate.
    pub fn of(der: &[u8]) -> Option<Self> {
        let certificate = value(der, SEQUENCE)?.0;
        let signed = value(certificate, SEQUENCE)?.0;
        let after_version = value(signed, VERSION).map_or(signed, |(_, rest)| rest);
        let after_serial = value(after_version, INTEGER)?.1;
        let after_algorithm = value(after_serial, SEQUENCE)?.1;
        let after_issuer = value(after_algorithm, SEQUENCE)?.1;
        let times = value(after_issuer, SEQUENCE)?.0;
        let (not_before, rest) = time(times)?;
        Some(Self { not_before, not_after: time(rest)?.0 })
    }

    /// When it is to be renewed: before a third of its life is left.
    pub fn renew_at(&self) -> i64 {
        let life = self.not_after.saturating_sub(self.not_before).max(0);
        self.not_after.saturating_sub(life / 3)
    }

    /// How long to wait at `now` before asking for a new one, milliseconds; 0 is at once. After `failures` in a row the next
    /// try waits twice as long, up to a tenth of what is left; one that is over only a person can mend.
    pub fn wait(&self, now: i64, failures: u32) -> i64 {
        let early = self.renew_at().saturating_sub(now);
        if early > 0 || failures == 0 {
            return early.max(0);
        }
        let left = self.not_after.saturating_sub(now);
        if left <= 0 {
            return LONGEST_PAUSE_MS;
        }
        let doubled = FIRST_PAUSE_MS.saturating_mul(1 << failures.min(20));
        doubled.min((left / 10).max(FIRST_PAUSE_MS)).min(LONGEST_PAUSE_MS)
    }
}

const FIRST_PAUSE_MS: i64 = 1_000;
const LONGEST_PAUSE_MS: i64 = 6 * 3_600_000;

/// The content of the first value in `der`, which must have this tag, and what follows it.
fn value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    (*found == tag).then(|| rest.split_at_checked(length))?
}

/// A time as certificates have it, in whole seconds and UTC, as milliseconds; and what follows it.
fn time(der: &[u8]) -> Option<(i64, &[u8])> {
    let ((text, rest), long_year) = match value(der, UTC_TIME) {
        Some(found) => (found, false),
        None => (value(der, GENERALIZED_TIME)?, true),
    };
    let digits = text.strip_suffix(b"Z").filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let (year, digits) = digits.split_at_checked(if long_year { 4 } else { 2 })?;
    let number = |digits: &[u8]| digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
    let [month, day, hour, minute, second] = digits.chunks(2).map(number).collect::<Vec<_>>().try_into().ok()?;
    // Two digits mean 1950 to 2049.
    let year = match number(year) {
        year if long_year => year,
        year if year < 50 => 2000 + year,
        year => 1900 + year,
    };
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some((seconds * 1_000, rest))
}

/// Days from 1970-01-01 to a day of the Gregorian calendar. The year begins in March, so that the day that leap years have
/// more is its last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + leap_days + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).expect("short");
        let head = if length < 0x80 { vec![tag, length] } else { vec![tag, 0x81, length] };
        [head, content.to_vec()].concat()
    }

    fn certificate(not_before: (u8, &str), not_after: (u8, &str)) -> Vec<u8> {
        let times = [der(not_before.0, not_before.1.as_bytes()), der(not_after.0, not_after.1.as_bytes())].concat();
        let parts = [
            der(VERSION, &der(INTEGER, &[2])),
            der(INTEGER, &[0x40; 16]),
            der(SEQUENCE, &[6, 0]),
            der(SEQUENCE, &[0; 100]),
            der(SEQUENCE, &times),
            vec![0x30, 0],
        ];
        der(SEQUENCE, &der(SEQUENCE, &parts.concat()))
    }

    #[test]
    fn both_forms_of_time_are_read() {
        let read = Validity::of(&certificate((UTC_TIME, "261123000000Z"), (GENERALIZED_TIME, "20520229235959Z")));
        // `date -u -d '2026-11-23' +%s`, and of the other.
        assert_eq!(read, Some(Validity { not_before: 1_795_392_000_000, not_after: 2_592_863_999_000 }));
        let read = Validity::of(&certificate((UTC_TIME, "491231235959Z"), (UTC_TIME, "500101000000Z"))).expect("read");
        assert_eq!((read.not_before, read.not_after), (2_524_607_999_000, -631_152_000_000));
        let begin = certificate((UTC_TIME, "700101000000Z"), (UTC_TIME, "700301000001Z"));
        assert_eq!(Validity::of(&begin), Some(Validity { not_before: 0, not_after: 59 * DAY + 1_000 }));
    }

    #[test]
    fn what_is_no_certificate_has_no_times() {
        let good = certificate((UTC_TIME, "261123000000Z"), (UTC_TIME, "271123000000Z"));
        assert!(Validity::of(&good).is_some());
        for length in 0..good.len() - 2 {
            assert_eq!(Validity::of(&good[..length]), None, "cut after {length}");
        }
        for time in ["2611230000Z", "261123000000", "26112300000xZ", ""] {
            assert_eq!(Validity::of(&certificate((UTC_TIME, time), (UTC_TIME, "271123000000Z"))), None, "{time:?}");
        }
    }

    #[test]
    fn a_certificate_is_renewed_before_a_third_of_its_life_is_left_and_sooner_again_the_less_is_left() {
        let year = Validity { not_before: 0, not_after: 360 * DAY };
        for (now, failures, expected) in [
            (0, 0, 240 * DAY),
            (239 * DAY, 0, DAY),
            // A clock that was set back waits, however often it failed before.
            (239 * DAY, 3, DAY),
            (240 * DAY, 0, 0),
            (359 * DAY, 0, 0),
            (361 * DAY, 0, 0),
            (240 * DAY, 1, 2_000),
            (240 * DAY, 4, 16_000),
            (240 * DAY, 99, LONGEST_PAUSE_MS),
            (360 * DAY - 600_000, 99, 60_000),
            (360 * DAY - 5_000, 99, FIRST_PAUSE_MS),
            (370 * DAY, 1, LONGEST_PAUSE_MS),
        ] {
            assert_eq!(year.wait(now, failures), expected, "at {now} after {failures} failures");
        }
        let reversed = Validity { not_before: 10, not_after: 0 };
        assert_eq!(reversed.wait(0, 0), 0);
    }
}
