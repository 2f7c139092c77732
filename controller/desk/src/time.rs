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
