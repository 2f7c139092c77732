//! Input that cannot be kept, for a reason of its own: found, and set aside, so that it does not hold up all the others.
//!
//! A commit that fails is tried again by whoever brought its input: agents say again what was not acknowledged. Where it was
//! the input's own fault that goes on for ever. So after the second such failure everything is committed one by one for a
//! while; the one that fails alone is the culprit. A matter is then taken without its body when it comes again, and
//! acknowledged; either way the ledger says what was set aside and why. A disk that is full or a database that is away is
//! nobody's fault: nothing is set aside for it, and everything waits.

use std::collections::{BTreeMap, VecDeque};

use watchkeep_desk::{Actor, InputBody, Millis, Note};

use super::handle::Work;

/// Failures within this time belong together, ms.
const TOGETHER: i64 = 10 * 60_000;
/// One by one for so long after the last failure, ms: longer than an agent's longest pause.
const CAREFUL: i64 = 2 * 60_000;
/// Set aside by one process at most. More is no matter of single inputs; then it is better to wait for a person.
const MOST: usize = 100;

/// Which matter of an agent it was, as [`crate::ingest::Proposal`] names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Matter {
    /// Hexadecimal.
    pub spool: String,
    pub number: u64,
    /// The word of its kind: `event`.
    pub kind: &'static str,
}

/// What may be at fault for a commit of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suspect {
    Matter {
        agent: String,
        matter: Matter,
    },
    /// It comes once: a person's act, a command's end.
    Once {
        what: String,
    },
}

/// What failed, and what to do about it.
#[derive(Debug, Default)]
pub struct Caution {
    failures: VecDeque<Millis>,
    /// Per agent: spool and number → why. Handed to shards with each new life.
    aside: BTreeMap<String, BTreeMap<(String, u64), String>>,
    count: usize,
}

impl Suspect {
    /// Of a group of one. None where it cannot be set aside: a host's coming and going, what became of an effect.
    pub fn of(group: &[Work]) -> Option<Self> {
        let [work] = group else { return None };
        match work {
            Work::Proposal(proposal) => {
                Some(Self::Matter { agent: proposal.agent.clone(), matter: proposal.matter.clone()? })
            }
            Work::Input { body, .. } => Some(Self::Once { what: what(body) }),
            Work::TakeUp { author, .. } => Some(Self::Once { what: format!("the configuration of {author}") }),
            Work::Carried { .. } | Work::Look(_) | Work::Stop => None,
        }
    }
}

/// What an input is, in a few words.
fn what(body: &InputBody) -> String {
    match body {
        InputBody::Alert(alert) => format!("alert {}", alert.rule),
        InputBody::Alerts { alerts } => format!("{} alerts from outside", alerts.len()),
        InputBody::Inventory(fragment) => format!("inventory {} of {}", fragment.section, fragment.agent),
        InputBody::Agent(change) => format!("news of agent {}", change.agent),
        InputBody::Result(outcome) => format!("result of command {}", outcome.command),
        InputBody::Watched { run, step, .. } => format!("the end of waiting in {run} step {}", step + 1),
        InputBody::Notified { notice, .. } => format!("the end of notice {notice}"),
        InputBody::Act(act) => format!("an act of {}", act.who),
        InputBody::Due => "a timer".to_owned(),
        InputBody::Configured { author, .. } => format!("the configuration of {author}"),
        InputBody::Noted { .. } => "a note".to_owned(),
    }
}

impl Caution {
    /// Whether to commit one by one.
    pub fn is_on(&self, now: Millis) -> bool {
        self.failures.len() >= 2 && self.failures.back().is_some_and(|last| now.since(*last) < CAREFUL)
    }

    /// A commit failed by the fault of an input: of `suspect`, where it was alone. Returns what is to be noted in the ledger.
    pub fn failed(&mut self, now: Millis, suspect: Option<Suspect>, why: &str) -> Option<InputBody> {
        self.failures.push_back(now);
        while self.failures.front().is_some_and(|first| now.since(*first) > TOGETHER) {
            self.failures.pop_front();
        }
        let suspect = suspect.filter(|_| self.count < MOST)?;
        self.count += 1;
        let why = readable(why);
        match suspect {
            Suspect::Matter { agent, matter } => {
                tracing::error!(agent, spool = matter.spool, number = matter.number, why, "set aside a matter");
                self.aside.entry(agent).or_default().insert((matter.spool, matter.number), why);
                None
            }
            Suspect::Once { what } => {
                tracing::error!(what, why, "set aside an input");
                Some(note(None, what, why))
            }
        }
    }

    /// The matters of an agent that are to be taken without their bodies.
    pub fn of(&self, agent: &str) -> BTreeMap<(String, u64), String> {
        self.aside.get(agent).cloned().unwrap_or_default()
    }

    /// The agents of which something is set aside.
    pub fn agents(&self) -> impl Iterator<Item = &String> {
        self.aside.keys()
    }
}

/// The ledger's line on what was set aside.
pub fn note(agent: Option<String>, input: String, why: String) -> InputBody {
    InputBody::Noted { by: Actor::Controller, note: Note::SetAside { agent, input, why } }
}

/// An error as any database takes it: what made one refuse a text may be repeated in its words.
fn readable(why: &str) -> String {
    why.chars().filter(|char| !char.is_control()).take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matter(number: u64) -> Suspect {
        Suspect::Matter { agent: "web-1".into(), matter: Matter { spool: "5a".into(), number, kind: "event" } }
    }

    #[test]
    fn care_begins_with_the_second_failure_and_ends() {
        let mut caution = Caution::default();
        assert!(!caution.is_on(Millis(0)));
        caution.failed(Millis(0), None, "no");
        assert!(!caution.is_on(Millis(0)), "one failure may be anything");
        caution.failed(Millis(60_000), None, "no");
        assert!(caution.is_on(Millis(60_000)));
        assert!(!caution.is_on(Millis(60_000 + CAREFUL)));
        caution.failed(Millis(60_000 + TOGETHER + 1), None, "no");
        assert!(!caution.is_on(Millis(60_000 + TOGETHER + 1)), "those before are long past");
    }

    #[test]
    fn nothing_is_set_aside_in_masses() {
        let mut caution = Caution::default();
        for number in 0..1_000 {
            assert_eq!(caution.failed(Millis(0), Some(matter(number)), "a\0b"), None, "the shard notes it");
        }
        let aside = caution.of("web-1");
        assert_eq!((aside.len(), aside[&("5a".to_owned(), 0)].as_str()), (MOST, "ab"));
        let once = Some(Suspect::Once { what: "an act of ann".into() });
        assert_eq!(caution.failed(Millis(0), once, "no"), None);
    }
}
