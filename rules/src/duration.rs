//! Prometheus's durations: `1d12h`, `90s`, `500ms`; a year is 365 days.

/// Units from the longest down, each with its milliseconds.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Milliseconds that a duration may have: Prometheus counts them as 63 bits of nanoseconds, some 292 years.
pub const MS_MAX: i64 = i64::MAX / 1_000_000;

/// Reads a duration to milliseconds. Units stand from the longest down, each once; `0` needs no unit.
pub fn parse(text: &str) -> Result<i64, String> {
    if text == "0" {
        return Ok(0);
    }
    let mut rest = text;
    let mut total: i64 = 0;
    let mut allowed = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        if number.is_empty() {
            return Err(not_one(text));
        }
        if unit.is_empty() {
            return Err(format!("\"{text}\" has no unit; write for example {number}s or {number}m"));
        }
        let place = UNITS
            .iter()
            .position(|(name, _)| *name == unit)
            .ok_or_else(|| format!("\"{unit}\" is no unit of time; there are ms, s, m, h, d, w and y"))?;
        if place < allowed {
            return Err(format!("\"{text}\": units stand from the longest to the shortest, each once"));
        }
        allowed = place + 1;
        let too_long = || format!("\"{text}\" is too long");
        let number: i64 = number.parse().map_err(|_| too_long())?;
        total = number.checked_mul(UNITS[place].1).and_then(|ms| total.checked_add(ms)).ok_or_else(too_long)?;
        rest = after;
    }
    match total {
        _ if text.is_empty() => Err(not_one(text)),
        ..=MS_MAX => Ok(total),
        _ => Err(format!("\"{text}\" is too long")),
    }
}

fn not_one(text: &str) -> String {
    format!("\"{text}\" is no duration; write for example 30s, 5m or 1h30m")
}

/// Writes milliseconds as [`parse`] reads them: `90000` is `1m30s`.
pub fn format(ms: i64) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut rest = ms.unsigned_abs();
    let mut out = if ms < 0 { "-".to_owned() } else { String::new() };
    for (unit, length) in UNITS {
        let length = length.unsigned_abs();
        // As Prometheus: weeks and years only where nothing remains.
        if matches!(unit, "y" | "w") && !rest.is_multiple_of(length) {
            continue;
        }
        if rest >= length {
            out.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_prometheus_s() {
        let table = [
            ("0", 0),
            ("0s", 0),
            ("500ms", 500),
            ("20s", 20_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1d12h", 129_600_000),
            ("1y2w3d4h5m6s7ms", 365 * 86_400_000 + 17 * 86_400_000 + 14_706_007),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text), Ok(expected), "{text}");
            assert_eq!(parse(&format(expected)), Ok(expected), "{text} written again");
        }
    }

    #[test]
    fn what_is_no_duration_says_why() {
        let table = [
            ("", "no duration"),
            ("5", "has no unit; write for example 5s or 5m"),
            ("5x", "\"x\" is no unit"),
            ("m", "no duration"),
            ("-5m", "no duration"),
            ("1m1h", "from the longest"),
            ("1m1m", "from the longest"),
            ("1.5h", "has no unit"),
            ("293y", "too long"),
            ("999999999999y", "too long"),
            ("99999999999999999999s", "too long"),
        ];
        for (text, part) in table {
            let error = parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
