//! Which reports are in a queue, so that those which agents send again after a controller died are not queued twice.
//!
//! An agent sends again what is in no block file, a few minutes at most: of each, the numbers of its newest spool suffice. What
//! rules wrote has no number; of that, what is not newer than what was queued before the start is not queued again.

use std::collections::BTreeMap;
use std::ops::Range;

use prost::Message;

/// Stretches of numbers kept of one agent; where there are more, the oldest are forgotten.
const STRETCHES: usize = 32;
/// What of an agent is forgotten that told nothing for so long, ms.
const FORGET_AFTER: i64 = 7 * 86_400_000;

/// As they are in the queue's files.
#[derive(Clone, PartialEq, Message)]
pub struct Written {
    #[prost(message, repeated, tag = "1")]
    pub marks: Vec<Mark>,
}

/// What is queued of one agent.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Mark {
    #[prost(string, tag = "1")]
    pub agent: String,
    #[prost(bytes = "vec", tag = "2")]
    pub spool: Vec<u8>,
    /// Numbers of reports: from …
    #[prost(uint64, repeated, tag = "3")]
    pub from: Vec<u64>,
    /// … to before.
    #[prost(uint64, repeated, tag = "4")]
    pub to: Vec<u64>,
    /// The newest instant that a rule wrote for, ms.
    #[prost(sint64, optional, tag = "5")]
    pub written_until: Option<i64>,
    /// The newest instant of anything, ms.
    #[prost(sint64, tag = "6")]
    pub touched: i64,
}

/// All agents' marks.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    known: BTreeMap<String, Mark>,
    /// What was written before this start: by agent, the newest instant.
    before: BTreeMap<String, i64>,
}

impl Marks {
    /// Takes marks as they were written; the last of an agent stands.
    pub fn take(&mut self, written: Written) {
        self.known.extend(written.marks.into_iter().map(|mark| (mark.agent.clone(), mark)));
    }

    /// All have been taken back.
    pub fn start(&mut self) {
        let until = |(agent, mark): (&String, &Mark)| Some((agent.clone(), mark.written_until?));
        self.before = self.known.iter().filter_map(until).collect();
    }

    /// Whether a report is queued already.
    pub fn has(&self, agent: &str, spool: &[u8], number: u64) -> bool {
        let mark = self.known.get(agent).filter(|mark| mark.spool == spool);
        mark.is_some_and(|mark| mark.stretches().any(|stretch| stretch.contains(&number)))
    }

    /// Whether what a rule wrote for this instant is queued already.
    pub fn has_written(&self, agent: &str, at: i64) -> bool {
        self.before.get(agent).is_some_and(|until| at <= *until)
    }

    /// Notes a report; gives the agent's mark as it then is.
    pub fn note(&mut self, agent: &str, spool: &[u8], number: u64, at: i64) {
        let mark = self.of(agent, at);
        if mark.spool != spool {
            mark.spool = spool.to_vec();
            (mark.from, mark.to) = (Vec::new(), Vec::new());
        }
        let mut stretches: Vec<Range<u64>> = mark.stretches().collect();
        stretches.push(number..number.saturating_add(1));
        stretches.sort_by_key(|stretch| stretch.start);
        stretches.dedup_by(|next, before| {
            let joins = next.start <= before.end;
            if joins {
                before.end = before.end.max(next.end);
            }
            joins
        });
        let newest = stretches.len().saturating_sub(STRETCHES);
        (mark.from, mark.to) = stretches[newest..].iter().map(|stretch| (stretch.start, stretch.end)).unzip();
    }

    /// Notes that a rule wrote for this instant.
    pub fn note_written(&mut self, agent: &str, at: i64) {
        let mark = self.of(agent, at);
        mark.written_until = mark.written_until.max(Some(at));
    }

    /// The marks of these agents, to be written.
    pub fn of_agents<'a>(&self, agents: impl IntoIterator<Item = &'a String>) -> Written {
        Written { marks: agents.into_iter().filter_map(|agent| self.known.get(agent).cloned()).collect() }
    }

    /// All of them, to be written, but for agents long silent.
    pub fn all(&mut self) -> Written {
        let newest = self.known.values().map(|mark| mark.touched).max().unwrap_or_default();
        self.known.retain(|_, mark| mark.touched >= newest.saturating_sub(FORGET_AFTER));
        Written { marks: self.known.values().cloned().collect() }
    }

    fn of(&mut self, agent: &str, at: i64) -> &mut Mark {
        if !self.known.contains_key(agent) {
            self.known.insert(agent.to_owned(), Mark { agent: agent.to_owned(), ..Mark::default() });
        }
        let mark = self.known.get_mut(agent).expect("it was put there above");
        mark.touched = mark.touched.max(at);
        mark
    }
}

impl Mark {
    fn stretches(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.from.iter().zip(&self.to).map(|(from, to)| *from..*to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(marks: &mut Marks) -> Marks {
        let bytes = marks.all().encode_to_vec();
        let mut read = Marks::default();
        read.take(Written::decode(bytes.as_slice()).expect("it decodes"));
        read.start();
        read
    }

    #[test]
    fn a_report_is_known_by_its_spool_and_number() {
        let mut marks = Marks::default();
        for number in [7, 9, 8, 12, 7] {
            marks.note("web-1", b"spool", number, 1_000);
        }
        for marks in [marks.clone(), again(&mut marks)] {
            let known: Vec<u64> = (0..20).filter(|number| marks.has("web-1", b"spool", *number)).collect();
            assert_eq!(known, [7, 8, 9, 12]);
            assert!(!marks.has("web-1", b"other", 7) && !marks.has("web-2", b"spool", 7));
        }
        marks.note("web-1", b"other", 7, 1_000);
        assert!(marks.has("web-1", b"other", 7) && !marks.has("web-1", b"spool", 7));
    }

    #[test]
    fn the_oldest_stretches_are_forgotten_and_agents_long_silent() {
        let mut marks = Marks::default();
        for number in 0..100 {
            marks.note("web-1", b"spool", 2 * number, 1_000);
        }
        let known: Vec<u64> = (0..200).filter(|number| marks.has("web-1", b"spool", *number)).collect();
        assert_eq!((known.len(), known[0]), (STRETCHES, 2 * (100 - STRETCHES as u64)));
        marks.note("web-2", b"spool", 1, 2_000 + FORGET_AFTER);
        let marks = again(&mut marks);
        assert!(!marks.has("web-1", b"spool", 198) && marks.has("web-2", b"spool", 1));
    }

    #[test]
    fn what_rules_wrote_before_the_start_is_known_by_its_instant() {
        let mut marks = Marks::default();
        marks.note_written("web-1", 2_000);
        marks.note_written("web-1", 1_000);
        assert!(!marks.has_written("web-1", 2_000), "of one instant several are written");
        let marks = again(&mut marks);
        assert!(marks.has_written("web-1", 2_000) && !marks.has_written("web-1", 2_001));
        assert!(!marks.has_written("web-2", 1));
    }
}
