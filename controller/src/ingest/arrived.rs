//! Which reports of a spool have come: all below a mark, and beyond it those that came though one before them was lost.
//!
//! The mark never runs over a hole: what is missing is asked for, and the mark waits, so that the agent keeps it. An agent
//! says of numbers that it does not hold that they are none ([`Arrived::skip`]); what neither comes nor is said to be none
//! is given up in the end, since a mark that stands still for ever would stop the agent.

use std::ops::Range;

use watchkeep_desk::Millis;
use watchkeep_protocol::Span;

use crate::samples::Covered;

/// Reports may overtake each other a little before one counts as lost, ms.
const OVERTAKES: i64 = 200;
/// What was asked for is asked for again after this long, ms.
const AGAIN: i64 = 2_000;
/// What neither came nor was said to be none for so long is given up, ms. The agent sends it again by itself meanwhile, first
/// after 5 s, then at growing intervals.
const GIVE_UP: i64 = 120_000;
/// Stretches beyond the mark; past it the hole before the first of them is given up. More than the holes that fit into an
/// agent's window of 256 messages, unless every other one is lost.
const STRETCHES: usize = 128;
/// Holes that are asked for at once.
const ASKED: usize = 16;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    below: u64,
    /// Numbers that came, or are none: in order, neither touching each other nor the mark.
    beyond: Vec<Range<u64>>,
    /// Since when the first hole is the first.
    since: Millis,
    asked_at: Option<Millis>,
    /// Numbers that were given up and not told of yet.
    given_up: u64,
}

impl Arrived {
    /// What block files have of it has come, and no more.
    pub fn sealed(covered: &Covered) -> Self {
        let mut sealed = Self { below: covered.number, ..Self::default() };
        covered.beyond.iter().for_each(|came| sealed.skip(came.clone(), Millis(0)));
        sealed
    }

    /// What a block file covers that has all of it.
    pub fn covered(&self, agent: &str, spool: &str) -> Covered {
        let (agent, spool) = (agent.to_owned(), spool.to_owned());
        Covered { agent, spool, number: self.below, beyond: self.beyond.clone() }
    }

    /// Every report below this number has come, or is none.
    pub fn below(&self) -> u64 {
        self.below
    }

    /// No report of this number or a higher one has come.
    pub fn end(&self) -> u64 {
        self.beyond.last().map_or(self.below, |came| came.end)
    }

    /// Report `number` came; whether it is the first time.
    pub fn take(&mut self, number: u64, now: Millis) -> bool {
        let known = number < self.below || self.beyond.iter().any(|came| came.contains(&number));
        if !known {
            self.insert(number..number.saturating_add(1), now);
        }
        !known
    }

    /// These numbers are none: the agent does not hold them.
    pub fn skip(&mut self, none: Range<u64>, now: Millis) {
        let none = none.start.max(self.below)..none.end;
        if !none.is_empty() {
            self.insert(none, now);
        }
    }

    /// The agent begins anew at the mark: what is missing comes by itself first.
    pub fn wait(&mut self, now: Millis) {
        (self.since, self.asked_at) = (now, Some(now));
    }

    /// The holes that are to be asked for now; those that are waited for too long are given up.
    pub fn missing(&mut self, now: Millis) -> Vec<Span> {
        if self.beyond.is_empty() {
            return Vec::new();
        }
        if now.since(self.since) >= GIVE_UP {
            self.give_up(now);
        }
        let pause = self.asked_at.map_or(now.since(self.since) >= OVERTAKES, |asked| now.since(asked) >= AGAIN);
        if !pause || self.beyond.is_empty() {
            return Vec::new();
        }
        self.asked_at = Some(now);
        let begins = std::iter::once(self.below).chain(self.beyond.iter().map(|came| came.end));
        let holes = begins.zip(&self.beyond).map(|(first, came)| Span { first, next: came.start });
        holes.take(ASKED).collect()
    }

    /// How many numbers were given up since this was last asked.
    pub fn take_given_up(&mut self) -> u64 {
        std::mem::take(&mut self.given_up)
    }

    fn insert(&mut self, came: Range<u64>, now: Millis) {
        let first = self.beyond.is_empty();
        let touched = self.beyond.iter().position(|known| known.end >= came.start).unwrap_or(self.beyond.len());
        let behind = self.beyond[touched..].iter().position(|known| known.start > came.end);
        let behind = behind.map_or(self.beyond.len(), |more| touched + more);
        let merged = self.beyond[touched..behind]
            .iter()
            .fold(came, |sum, known| sum.start.min(known.start)..sum.end.max(known.end));
        self.beyond.splice(touched..behind, [merged]);
        if !self.advance(now) && first {
            (self.since, self.asked_at) = (now, None);
        }
        if self.beyond.len() > STRETCHES {
            self.give_up(now);
        }
    }

    /// Moves the mark to the end of what follows on it; whether it moved.
    fn advance(&mut self, now: Millis) -> bool {
        let follows = self.beyond.first().filter(|came| came.start <= self.below).map(|came| came.end);
        if let Some(end) = follows {
            self.below = self.below.max(end);
            self.beyond.remove(0);
            self.since = now;
        }
        follows.is_some()
    }

    fn give_up(&mut self, now: Millis) {
        let Some(next) = self.beyond.first().map(|came| came.start) else { return };
        self.given_up += next - self.below;
        self.below = next;
        self.advance(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(number: u64) -> Arrived {
        Arrived::sealed(&Covered { number, ..Covered::default() })
    }

    fn after(numbers: &[u64], at: i64) -> Arrived {
        let mut arrived = begun(10);
        for number in numbers {
            assert!(arrived.take(*number, Millis(at)), "{number} is new");
        }
        arrived
    }

    fn spans(holes: &[(u64, u64)]) -> Vec<Span> {
        holes.iter().map(|(first, next)| Span { first: *first, next: *next }).collect()
    }

    #[test]
    fn the_mark_stands_before_the_first_hole() {
        for (came, below) in [
            (&[10, 11, 12][..], 13),
            (&[11, 12], 10),
            (&[10, 12, 14], 11),
            (&[12, 11, 10], 13),
            (&[14, 10, 12, 11, 13], 15),
            (&[11, 13, 12, 10, 15], 14),
        ] {
            assert_eq!(after(came, 0).below(), below, "{came:?}");
        }
    }

    #[test]
    fn every_order_in_which_numbers_come_ends_alike() {
        // Each permutation of six numbers, drawn digit by digit.
        for order in 0..720 {
            let (mut left, mut rest, mut arrived): (Vec<u64>, _, _) = ((10..16).collect(), order, begun(10));
            while !left.is_empty() {
                let number = left.remove(rest % left.len());
                rest /= left.len() + 1;
                assert!(arrived.take(number, Millis(0)));
                assert!(!arrived.take(number, Millis(0)), "twice, in order {order}");
            }
            assert_eq!((arrived.below(), arrived.beyond.len()), (16, 0), "order {order}");
        }
    }

    #[test]
    fn what_comes_again_is_known() {
        let mut arrived = after(&[10, 12], 0);
        assert!([9, 10, 12].into_iter().all(|number| !arrived.take(number, Millis(0))));
        assert!(arrived.take(11, Millis(0)));
    }

    #[test]
    fn holes_are_asked_for_once_in_a_while() {
        let mut arrived = after(&[11, 13, 14, 17], 1_000);
        assert_eq!(arrived.missing(Millis(1_199)), [], "they may have been overtaken");
        let holes = spans(&[(10, 11), (12, 13), (15, 17)]);
        assert_eq!(arrived.missing(Millis(1_200)), holes);
        assert_eq!(arrived.missing(Millis(3_199)), []);
        assert!(arrived.take(10, Millis(3_199)));
        assert_eq!(arrived.missing(Millis(3_200)), holes[1..]);
        for number in [12, 15, 16] {
            arrived.take(number, Millis(3_300));
        }
        assert_eq!((arrived.below(), arrived.missing(Millis(9_000))), (18, Vec::new()));
    }

    #[test]
    fn what_a_file_covers_is_known_after_a_start() {
        let before = after(&[10, 12, 13, 15], 0);
        let mut arrived = Arrived::sealed(&before.covered("web-1", "5a"));
        assert_eq!((arrived.below(), &arrived.beyond), (11, &before.beyond));
        assert!(!arrived.take(13, Millis(0)) && arrived.take(11, Millis(0)));
        assert_eq!(arrived.below(), 14);
    }

    #[test]
    fn what_the_agent_does_not_hold_is_no_hole() {
        let mut arrived = after(&[10, 300], 0);
        arrived.skip(11..300, Millis(0));
        assert_eq!(arrived.below(), 301);
        arrived.skip(5..301, Millis(0));
        assert_eq!((arrived.below(), arrived.take_given_up()), (301, 0));
        let mut arrived = after(&[15], 0);
        arrived.skip(12..20, Millis(0));
        assert_eq!(arrived.missing(Millis(9_000)), spans(&[(10, 12)]));
    }

    #[test]
    fn the_end_is_behind_all_that_came() {
        for (came, end) in [(&[][..], 10), (&[10, 11], 12), (&[11], 12), (&[12, 15, 13], 16)] {
            assert_eq!(after(came, 0).end(), end, "{came:?}");
        }
    }

    #[test]
    fn what_never_comes_is_given_up_and_counted() {
        let mut arrived = after(&[12, 15], 0);
        assert_eq!(arrived.missing(Millis(GIVE_UP - 1)).len(), 2);
        arrived.missing(Millis(GIVE_UP));
        assert_eq!((arrived.below(), arrived.take_given_up()), (13, 2), "the first hole");
        arrived.missing(Millis(2 * GIVE_UP - 1));
        assert_eq!(arrived.below(), 13, "the second is waited for as long");
        arrived.missing(Millis(2 * GIVE_UP));
        assert_eq!((arrived.below(), arrived.take_given_up()), (16, 2));
        let mut arrived = after(&[12], 0);
        arrived.wait(Millis(GIVE_UP - 1));
        arrived.missing(Millis(GIVE_UP));
        assert_eq!(arrived.below(), 10, "the agent has begun anew just now");
    }

    #[test]
    fn it_is_bounded() {
        let mut arrived = begun(0);
        for number in 0..10_000 {
            arrived.take(2 * number + 1, Millis(0));
            assert!(arrived.beyond.len() <= STRETCHES);
        }
        let given_up = arrived.take_given_up();
        assert_eq!(given_up, 10_000 - STRETCHES as u64, "one number each");
        arrived.skip(u64::MAX - 1..u64::MAX, Millis(0));
        assert!(arrived.take(u64::MAX - 3, Millis(0)));
    }
}
