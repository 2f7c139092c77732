//! Instants and durations as decisions see them.

use serde::{Deserialize, Serialize};

/// An instant, UTC, milliseconds since 1970; or, where a field says so, a length of time. Handed in, never read from a clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub i64);

impl Millis {
    /// This instant and `length` milliseconds; saturates.
    #[must_use]
    pub fn plus(self, length: i64) -> Self {
        Self(self.0.saturating_add(length))
    }

    /// Milliseconds from `earlier` to this instant; negative where it is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A length of time as people say it: `850 ms`, `3.2 s`, `2 min`, `1 h 5 min`, `3 d`. Two units at most.
pub fn spoken(length: i64) -> String {
    const SECOND: i64 = 1_000;
    const MINUTE: i64 = 60 * SECOND;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    let two = |big: i64, big_word: &str, small: i64, small_word: &str| match (length % big) / small {
        0 => format!("{} {big_word}", length / big),
        rest => format!("{} {big_word} {rest} {small_word}", length / big),
    };
    match length {
        ..0 => format!("-{}", spoken(length.saturating_neg())),
        0..SECOND => format!("{length} ms"),
        SECOND..MINUTE if length % SECOND == 0 => format!("{} s", length / SECOND),
        SECOND..MINUTE => format!("{}.{} s", length / SECOND, length % SECOND / 100),
        MINUTE..HOUR => two(MINUTE, "min", SECOND, "s"),
        HOUR..DAY => two(HOUR, "h", MINUTE, "min"),
        DAY.. => two(DAY, "d", HOUR, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::spoken;

    #[test]
    fn lengths_are_spoken_in_two_units_at_most() {
        for (length, words) in [
            (0, "0 ms"),
            (850, "850 ms"),
            (3_000, "3 s"),
            (3_240, "3.2 s"),
            (120_000, "2 min"),
            (125_000, "2 min 5 s"),
            (3_900_000, "1 h 5 min"),
            (259_200_000, "3 d"),
            (-5_000, "-5 s"),
        ] {
            assert_eq!(spoken(length), words);
        }
    }
}
