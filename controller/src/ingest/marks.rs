//! Spool marks: which numbers of a stream are in.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// How many contents are remembered behind the mark, to tell a resend from another host's number.
const REMEMBERED: usize = 256;

/// Where one spool's stream of matters stands.
///
/// Shape: `next` is the first number not taken; `contents` are the first 8 bytes of the SHA-256 of the newest
/// [`REMEMBERED`] matters, the newest last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub next: u64,
    contents: VecDeque<u64>,
    /// Contents that were taken under the spool id before this one; each is passed over once when it comes under a new
    /// number. Emptied as they come.
    before: Vec<u64>,
}

/// What a number means against the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbered {
    /// It is the next: take it.
    Next,
    /// It is in already, with this content.
    Again,
    /// One before it was lost on the way: wait for the resend.
    Ahead,
    /// It is in already with other content: the spool was restored or cloned.
    Other,
}

impl Mark {
    /// A mark as it was stored.
    pub fn stored(next: u64, contents: impl IntoIterator<Item = u64>) -> Self {
        Self { next, contents: contents.into_iter().collect(), before: Vec::new() }
    }

    /// The mark of a spool that follows `self` under a new id, from its number `next` on.
    pub fn renumbered(&self, next: u64) -> Self {
        Self { next, contents: VecDeque::new(), before: self.contents().collect() }
    }

    /// Moves to `first` where the agent holds nothing before it: what is between was acknowledged by a controller whose store
    /// was lost, and will never come. Returns what is missing.
    pub fn skip_to(&mut self, first: u64) -> Option<std::ops::Range<u64>> {
        let missing = self.next..first;
        if missing.is_empty() {
            return None;
        }
        self.next = first;
        self.contents.clear();
        Some(missing)
    }

    /// The remembered contents, oldest first.
    pub fn contents(&self) -> impl Iterator<Item = u64> + '_ {
        self.contents.iter().copied()
    }

    /// Judges `number` with `content`; changes nothing.
    pub fn judge(&self, number: u64, content: u64) -> Numbered {
        if number == self.next {
            return Numbered::Next;
        }
        if number > self.next {
            return Numbered::Ahead;
        }
        let behind = usize::try_from(self.next - number).unwrap_or(usize::MAX);
        match self.contents.len().checked_sub(behind).and_then(|place| self.contents.get(place)) {
            Some(known) if *known != content => Numbered::Other,
            _ => Numbered::Again,
        }
    }

    /// Takes the next number; whether its content was taken under the spool id before, and is not to be taken again.
    pub fn take(&mut self, content: u64) -> bool {
        self.next += 1;
        self.contents.push_back(content);
        if self.contents.len() > REMEMBERED {
            self.contents.pop_front();
        }
        match self.before.iter().position(|known| *known == content) {
            Some(place) => {
                self.before.swap_remove(place);
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(contents: &[u64]) -> Mark {
        let mut mark = Mark::default();
        for content in contents {
            mark.take(*content);
        }
        mark
    }

    #[test]
    fn numbers_are_told_apart() {
        let mark = after(&[70, 71, 72]);
        for (number, content, expected) in [
            (3, 9, Numbered::Next),
            (4, 9, Numbered::Ahead),
            (2, 72, Numbered::Again),
            (0, 70, Numbered::Again),
            (2, 71, Numbered::Other),
            (0, 71, Numbered::Other),
        ] {
            assert_eq!(mark.judge(number, content), expected, "number {number} with content {content}");
        }
    }

    #[test]
    fn what_was_taken_under_the_old_id_is_passed_over_once_under_the_new() {
        let mut mark = after(&[70, 71]).renumbered(0);
        assert!(mark.take(71), "71 was in before");
        assert!(!mark.take(90), "90 is new");
        assert!(!mark.take(71), "the second 71 is another matter");
        assert_eq!(mark.next, 3);
    }

    #[test]
    fn what_is_older_than_the_memory_counts_as_seen() {
        let many: Vec<u64> = (0..1_000).collect();
        let mark = after(&many);
        assert_eq!(mark.judge(3, 999), Numbered::Again);
        assert_eq!(mark.judge(990, 999), Numbered::Other);
        assert_eq!(mark.contents().count(), REMEMBERED);
    }
}
