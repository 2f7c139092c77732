//! Seconds since 1970 as a date, and seconds as Go writes a duration.

use super::super::time;
use crate::number;

/// A date, or the number itself where it is none.
pub(super) fn humanized(seconds: f64) -> Result<String, String> {
    if seconds.is_finite() { milliseconds(seconds).map(time::shown) } else { Ok(number::general(seconds, 4)) }
}

/// Milliseconds since 1970; finer parts do not count.
pub(super) fn milliseconds(seconds: f64) -> Result<i64, String> {
    let nanoseconds = seconds * 1e9;
    if !nanoseconds.is_finite() || nanoseconds.abs() > i64::MAX as f64 {
        return Err(format!(
            "{} cannot be represented as a nanoseconds timestamp since it overflows int64",
            number::shortest(seconds)
        ));
    }
    Ok(nanoseconds as i64 / 1_000_000)
}

/// `1h2m3.5s`, `250ms`, `0s`
pub(super) fn duration(seconds: f64) -> Result<String, String> {
    let nanoseconds = seconds * 1e9;
    if !nanoseconds.is_finite() || nanoseconds.abs() > i64::MAX as f64 {
        return Err(format!(
            "{} cannot be represented as a nanoseconds timestamp since it overflows int64",
            number::shortest(seconds)
        ));
    }
    let sign = if nanoseconds < 0.0 { "-" } else { "" };
    let all = (nanoseconds as i64).unsigned_abs();
    let part = |unit: u64, name: &str| format!("{sign}{}{name}", all as f64 / unit as f64);
    Ok(match all {
        0 => "0s".to_owned(),
        1..1_000 => part(1, "ns"),
        1_000..1_000_000 => part(1_000, "µs"),
        1_000_000..1_000_000_000 => part(1_000_000, "ms"),
        _ => {
            let whole = all / 1_000_000_000;
            let second = (whole % 60) as f64 + (all % 1_000_000_000) as f64 / 1e9;
            match (whole / 3600, whole / 60 % 60) {
                (0, 0) => format!("{sign}{second}s"),
                (0, minute) => format!("{sign}{minute}m{second}s"),
                (hour, minute) => format!("{sign}{hour}h{minute}m{second}s"),
            }
        }
    })
}
