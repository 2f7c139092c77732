//! The wall clock, read at the edge alone.

use std::time::{SystemTime, UNIX_EPOCH};

use watchkeep_desk::Millis;

/// Now, UTC milliseconds; 0 before 1970.
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
