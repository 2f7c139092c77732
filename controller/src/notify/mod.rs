//! Notices to people: what the outbox owes, by channel.
//!
//! A notice is delivered at least once. It carries its id, so that a receiver can tell a second time; it is retried with
//! growing pauses and in the end given up, on each channel by itself; `watchkeep notice list --state dead` shows those.

pub mod channel;
pub mod webhook;

pub use channel::Channel;

/// Attempts after which a notice is given up; with [`pause_ms`] a little over a day.
pub const ATTEMPTS: u32 = 40;

/// The pause after the `attempt`-th failure (from 1), milliseconds: doubling from one second, an hour at most.
pub fn pause_ms(attempt: u32) -> i64 {
    1_000_i64.checked_shl(attempt.saturating_sub(1).min(12)).unwrap_or(3_600_000).min(3_600_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour() {
        let pauses: Vec<i64> = [1, 2, 3, 12, 13, 40].map(pause_ms).to_vec();
        assert_eq!(pauses, [1_000, 2_000, 4_000, 2_048_000, 3_600_000, 3_600_000]);
        let all: i64 = (1..ATTEMPTS).map(pause_ms).sum();
        assert!(all > 24 * 3_600_000, "{all} ms of pauses are less than a day");
    }
}
