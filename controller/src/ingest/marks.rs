//! Spool marks: which numbers of a stream are in, and what is not to be taken a second time under another spool id.
//!
//! A spool id is *condemned* once a number came back under it with other content, or it holds less than was taken of it:
//! the host was restored or cloned, and two of them may count on under that id. Nothing more is taken of it; the agent is
//! asked to number all that it holds anew. The new spool inherits the contents that were taken, and each is passed over
//! once when it comes. All of it is kept with the mark, so that a restart in between changes nothing.

use std::collections::VecDeque;

use watchkeep_desk::Millis;

use crate::store::spools::SpoolMark;

/// How many contents are remembered behind the mark, to tell a resend from another host's number. An agent has fewer
/// messages than this under way.
const REMEMBERED: usize = 256;
/// How many contents a new spool inherits at most, the newest. A restored host that holds more matters than this which
/// were taken before has the oldest of them taken again, rather than lost.
const INHERITED: usize = 2 * REMEMBERED;

/// Where one spool's stream of matters stands.
///
/// Shape: `next` is the first number not taken; a content is the first 8 bytes of the SHA-256 of a matter; `contents` are
/// those of the newest [`REMEMBERED`] matters, the newest last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    pub next: u64,
    contents: VecDeque<u64>,
    /// Contents that were taken under other spool ids, the newest last; each is passed over once when it comes here.
    before: Vec<u64>,
    /// From this number on a matter is younger than what is `before`.
    before_until: u64,
    /// Nothing more is taken under this id.
    pub condemned: bool,
    /// When it was last moved; of two spools of an agent no two are the same.
    pub used_at: Millis,
}

/// What a number means against the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbered {
    /// It is the next: take it.
    Next,
    /// It is in already.
    Again,
    /// One before it was lost on the way: wait for the resend.
    Ahead,
    /// It is in already with other content: the spool was restored or cloned.
    Other,
}

impl Mark {
    /// A mark as [`Mark::row`] wrote it.
    pub fn stored(row: &SpoolMark) -> Self {
        Self {
            next: row.next_matter,
            contents: numbers(&row.hashes).collect(),
            before: numbers(&row.before).collect(),
            before_until: row.before_until,
            condemned: row.condemned,
            used_at: row.updated_at,
        }
    }

    /// The mark of `agent`'s `spool` (hexadecimal), to be kept.
    pub fn row(&self, agent: &str, spool: &str) -> SpoolMark {
        SpoolMark {
            spool: spool.to_owned(),
            agent: agent.to_owned(),
            next_matter: self.next,
            hashes: self.contents.iter().flat_map(|content| content.to_be_bytes()).collect(),
            before: self.before.iter().flat_map(|content| content.to_be_bytes()).collect(),
            before_until: self.before_until,
            condemned: self.condemned,
            updated_at: self.used_at,
        }
    }

    /// The mark of a spool that was never seen, from its number `next` on.
    pub fn begun(next: u64) -> Self {
        Self { next, ..Self::default() }
    }

    /// Takes over what was taken under `others` since this spool was last used: the agent went on under them and may bring
    /// it again in the numbers below `until`, which is all that it holds now.
    pub fn inherit<'a>(&mut self, others: impl Iterator<Item = &'a Mark>, until: u64) {
        let mut others: Vec<&Mark> = others.filter(|other| other.used_at > self.used_at).collect();
        others.sort_by_key(|other| other.used_at);
        let taken = others.into_iter().flat_map(|other| other.before.iter().chain(&other.contents));
        self.before.extend(taken);
        let over = self.before.len().saturating_sub(INHERITED);
        self.before.drain(..over);
        self.before_until = until;
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

    /// Judges `number` with `content` in a session that has shown or let go of every number below `seen`; changes nothing.
    pub fn judge(&self, number: u64, content: u64, seen: u64) -> Numbered {
        if number >= self.next {
            let follows = number == self.next && seen >= self.next;
            return if follows { Numbered::Next } else { Numbered::Ahead };
        }
        match self.content_of(number) {
            Some(known) if known == content => Numbered::Again,
            // A late copy of what this session said before.
            None if number < seen => Numbered::Again,
            // Older than what an honest agent can have under way.
            Some(_) | None => Numbered::Other,
        }
    }

    fn content_of(&self, number: u64) -> Option<u64> {
        let behind = usize::try_from(self.next.checked_sub(number)?).ok()?;
        self.contents.get(self.contents.len().checked_sub(behind)?).copied()
    }

    /// Takes the next number; whether its content was taken under another spool id, and is not to be taken again.
    pub fn take(&mut self, content: u64) -> bool {
        self.next += 1;
        self.contents.push_back(content);
        if self.contents.len() > REMEMBERED {
            self.contents.pop_front();
        }
        let known = self.before.iter().position(|known| *known == content);
        if let Some(place) = known {
            self.before.remove(place);
        }
        if self.next >= self.before_until {
            self.before.clear();
        }
        known.is_some()
    }
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    bytes.chunks_exact(8).map(|eight| eight.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(contents: &[u64]) -> Mark {
        let mut mark = Mark { used_at: Millis(1), ..Mark::begun(0) };
        for content in contents {
            mark.take(*content);
        }
        mark
    }

    /// A spool that follows `mark` under a new id and holds the numbers below `until`.
    fn following(mark: &Mark, until: u64) -> Mark {
        let mut next = Mark::begun(0);
        next.inherit([mark].into_iter(), until);
        next
    }

    #[test]
    fn numbers_are_told_apart() {
        let mark = after(&[70, 71, 72]);
        for (number, content, seen, expected) in [
            (3, 9, 3, Numbered::Next),
            (3, 9, 2, Numbered::Ahead),
            (4, 9, 3, Numbered::Ahead),
            (2, 72, 0, Numbered::Again),
            (0, 70, 0, Numbered::Again),
            (2, 71, 3, Numbered::Other),
            (0, 71, 0, Numbered::Other),
        ] {
            assert_eq!(
                mark.judge(number, content, seen),
                expected,
                "number {number} with content {content}, seen {seen}"
            );
        }
    }

    #[test]
    fn what_was_taken_under_the_old_id_is_passed_over_once_under_the_new() {
        let mut mark = following(&after(&[70, 71]), 9);
        assert!(mark.take(71), "71 was in before");
        assert!(!mark.take(90), "90 is new");
        assert!(!mark.take(71), "the second 71 is another matter");
        assert_eq!(mark.next, 3);
    }

    #[test]
    fn what_is_younger_than_the_renumbering_is_never_passed_over() {
        let mut mark = following(&after(&[70, 71]), 1);
        assert!(!mark.take(90), "all that the agent held then");
        assert!(!mark.take(71), "it happened after");
    }

    #[test]
    fn what_passes_through_a_third_id_is_still_known() {
        let first = after(&[70, 71, 72]);
        let mut second = Mark { used_at: Millis(2), ..following(&first, 3) };
        assert!(second.take(70));
        let mut third = Mark::begun(0);
        third.inherit([&first, &second].into_iter(), 3);
        assert!(third.take(70) && third.take(71) && third.take(72));
    }

    #[test]
    fn what_is_older_than_the_memory_is_a_late_copy_or_a_restored_host() {
        let many: Vec<u64> = (0..1_000).collect();
        let mark = after(&many);
        assert_eq!(mark.judge(3, 3, 1_000), Numbered::Again, "this session has said it");
        assert_eq!(mark.judge(3, 3, 3), Numbered::Other, "an honest agent let go of it long ago");
        assert_eq!(mark.judge(990, 990, 3), Numbered::Again);
        assert_eq!(mark.judge(990, 999, 1_000), Numbered::Other);
        assert_eq!(mark.contents.len(), REMEMBERED);
    }

    #[test]
    fn what_is_kept_brings_a_mark_back() {
        let mark = Mark { condemned: true, used_at: Millis(7), ..following(&after(&[70, 71]), 9) };
        assert_eq!(Mark::stored(&mark.row("web-1", "5a")), mark);
    }
}
