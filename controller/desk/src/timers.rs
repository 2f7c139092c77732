//! The desk's wake-ups, by when they fall due and by what they are for.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Millis, Timer, TimerKind};

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Timers {
    by_due: BTreeSet<Timer>,
    by_kind: BTreeMap<TimerKind, BTreeSet<Millis>>,
}

impl Timers {
    pub fn insert(&mut self, timer: Timer) {
        self.by_kind.entry(timer.kind.clone()).or_default().insert(timer.due);
        self.by_due.insert(timer);
    }

    pub fn remove(&mut self, timer: &Timer) {
        self.by_due.remove(timer);
        if let Some(dues) = self.by_kind.get_mut(&timer.kind) {
            dues.remove(&timer.due);
            if dues.is_empty() {
                self.by_kind.remove(&timer.kind);
            }
        }
    }

    pub fn contains(&self, timer: &Timer) -> bool {
        self.by_due.contains(timer)
    }

    /// The earliest timer of that kind.
    pub fn find(&self, kind: &TimerKind) -> Option<Timer> {
        let due = *self.by_kind.get(kind)?.first()?;
        Some(Timer { due, kind: kind.clone() })
    }

    pub fn next_due(&self) -> Option<Millis> {
        self.by_due.first().map(|timer| timer.due)
    }

    /// All that are due by `at`, earliest first.
    pub fn due_by(&self, at: Millis) -> Vec<Timer> {
        self.by_due.iter().take_while(|timer| timer.due <= at).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RunId;

    #[test]
    fn timers_are_found_by_time_and_by_kind() {
        let wake = |run, due| Timer { due: Millis(due), kind: TimerKind::RunWake { run: RunId(run) } };
        let mut timers = Timers::default();
        for timer in [wake(1, 30), wake(2, 10), wake(1, 20)] {
            timers.insert(timer);
        }
        assert_eq!(timers.next_due(), Some(Millis(10)));
        assert_eq!(timers.find(&TimerKind::RunWake { run: RunId(1) }), Some(wake(1, 20)));
        assert_eq!(timers.due_by(Millis(20)), vec![wake(2, 10), wake(1, 20)]);
        for timer in [wake(1, 30), wake(2, 10), wake(1, 20)] {
            timers.remove(&timer);
        }
        assert_eq!(timers, Timers::default());
    }
}
