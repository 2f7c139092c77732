//! The states of an alert over samples, as Prometheus has them: inactive → pending → firing → inactive.
//!
//! One evaluation is one step. An alert is active where its expression gave a result for its labels. Source: the table
//! follows Prometheus's `for` and `keep_firing_for`; times are those of evaluations, UTC milliseconds.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum AlertState {
    #[default]
    Inactive,
    /// Active since then, not yet for as long as `for`.
    Pending { since: i64 },
    Firing {
        since: i64,
        /// When it was first seen inactive, while `keep_firing_for` holds it.
        quiet_since: Option<i64>,
    },
}

/// `for` and `keep_firing_for`, ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holds {
    pub hold: i64,
    pub keep_firing_for: i64,
}

/// What a step is worth telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    None,
    /// It became pending.
    Pending,
    /// It began to fire.
    Fired,
    /// A pending alert went without ever firing.
    Dropped,
    Resolved,
}

impl AlertState {
    /// The next state, and what changed.
    #[must_use]
    pub fn step(self, active: bool, now: i64, holds: Holds) -> (Self, Change) {
        use AlertState::{Firing, Inactive, Pending};
        let firing = Firing { since: now, quiet_since: None };
        match (self, active) {
            (Inactive, false) => (Inactive, Change::None),
            (Inactive, true) if holds.hold <= 0 => (firing, Change::Fired),
            (Inactive, true) => (Pending { since: now }, Change::Pending),
            (Pending { .. }, false) => (Inactive, Change::Dropped),
            (Pending { since }, true) if now.saturating_sub(since) >= holds.hold => (firing, Change::Fired),
            (Pending { .. }, true) => (self, Change::None),
            (Firing { since, .. }, true) => (Firing { since, quiet_since: None }, Change::None),
            (Firing { since, quiet_since }, false) => {
                let quiet_since = quiet_since.unwrap_or(now);
                match now.saturating_sub(quiet_since) < holds.keep_firing_for {
                    true => (Firing { since, quiet_since: Some(quiet_since) }, Change::None),
                    false => (Inactive, Change::Resolved),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Evaluations every 10 s: `#` active, `.` not. The states expected: inactive, pending, firing, kept firing.
    fn check(holds: Holds, active: &str, expected: &str) {
        let mut state = AlertState::default();
        let mut shown = String::new();
        for (place, c) in active.chars().enumerate() {
            let now = i64::try_from(place).expect("a short test") * 10_000;
            (state, _) = state.step(c == '#', now, holds);
            shown.push(match state {
                AlertState::Inactive => 'i',
                AlertState::Pending { .. } => 'p',
                AlertState::Firing { quiet_since: None, .. } => 'f',
                AlertState::Firing { .. } => 'k',
            });
        }
        assert_eq!(shown, expected, "{active} with {holds:?}");
    }

    #[test]
    fn states_follow_for_and_keep_firing_for() {
        let holds = |hold, keep_firing_for| Holds { hold, keep_firing_for };
        check(holds(0, 0), ".##.#", "iffif");
        check(holds(20_000, 0), "####..", "ppffii");
        check(holds(20_000, 0), "##.###", "ppippf");
        check(holds(0, 20_000), "#..#...#", "fkkfkkif");
        check(holds(15_000, 10_000), "####..#", "ppffkip");
    }

    #[test]
    fn every_pair_of_state_and_activity_tells_its_change() {
        let holds = Holds { hold: 20_000, keep_firing_for: 0 };
        let pending = AlertState::Pending { since: 0 };
        let firing = AlertState::Firing { since: 0, quiet_since: None };
        let table = [
            (AlertState::Inactive, false, 0, Change::None),
            (AlertState::Inactive, true, 0, Change::Pending),
            (pending, true, 19_999, Change::None),
            (pending, true, 20_000, Change::Fired),
            (pending, false, 20_000, Change::Dropped),
            (firing, true, 30_000, Change::None),
            (firing, false, 30_000, Change::Resolved),
        ];
        for (state, active, now, expected) in table {
            assert_eq!(state.step(active, now, holds).1, expected, "{state:?} active={active} at {now}");
        }
    }
}
