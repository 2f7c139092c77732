//! How often a password may be tried: 10 times in 5 minutes for one name, whether that exists or not, and 300 times over all.
//!
//! Kept in memory: a start forgets it, which costs an attacker more than it gives. A link logs in whatever stands here, so
//! that guessing at somebody's name locks nobody out for good.

use std::collections::BTreeMap;

/// The length of a window, milliseconds.
const WINDOW: i64 = 5 * 60_000;
const EACH: u32 = 10;
const ALL: u32 = 300;

/// Failed attempts of the window that runs. A window is fixed, so that nothing grows past [`ALL`] names.
#[derive(Debug, Default)]
pub struct Attempts {
    began: i64,
    all: u32,
    by_name: BTreeMap<String, u32>,
}

impl Attempts {
    /// Counts an attempt, before the password is looked at: those that come together count too.
    ///
    /// # Errors
    /// Whole seconds, at least one, until the next may be made.
    pub fn take(&mut self, name: &str, now: i64) -> Result<(), i64> {
        if now - self.began >= WINDOW || now < self.began {
            *self = Self { began: now, ..Self::default() };
        }
        let of_name = self.by_name.get(name).copied().unwrap_or(0);
        if self.all >= ALL || of_name >= EACH {
            return Err((self.began + WINDOW - now + 999) / 1_000);
        }
        self.all += 1;
        self.by_name.insert(name.to_owned(), of_name + 1);
        Ok(())
    }

    /// The attempt was right: it and those before it count no more.
    pub fn succeeded(&mut self, name: &str) {
        let of_name = self.by_name.remove(name).unwrap_or(0);
        self.all = self.all.saturating_sub(of_name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eleventh_wrong_password_waits_for_the_next_window() {
        let mut attempts = Attempts::default();
        for number in 0..10 {
            assert_eq!(attempts.take("alice", WINDOW + number), Ok(()));
        }
        assert_eq!(attempts.take("alice", WINDOW + 60_000), Err(240));
        assert_eq!(attempts.take("bob", WINDOW + 60_000), Ok(()), "another name");
        assert_eq!(attempts.take("alice", WINDOW * 2), Ok(()), "the next window");
    }

    #[test]
    fn a_right_password_forgives_the_wrong_ones() {
        let mut attempts = Attempts::default();
        for now in 0..500 {
            assert_eq!(attempts.take("alice", now), Ok(()));
            attempts.succeeded("alice");
        }
    }

    #[test]
    fn names_without_end_meet_the_bound_over_all() {
        let mut attempts = Attempts::default();
        let taken = (0..10_000).filter(|number| attempts.take(&format!("user-{number}"), WINDOW).is_ok()).count();
        assert_eq!((taken, attempts.by_name.len()), (ALL as usize, ALL as usize));
        assert_eq!(attempts.take("alice", WINDOW - 1), Ok(()), "a clock put back begins a window");
    }
}
