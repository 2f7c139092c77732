//! A story out of the ledger, a page at a time: for incidents and problems.

use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;
use watchkeep_desk::{Fact, explain};

use crate::ledger::{self, Entry, SubjectRef};
use crate::store::{StoreError, Tx};

/// Facts of one page.
const PAGE: u32 = 500;

/// Where a story goes on.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Earlier {
    /// What `earlier` of the page before said: the page that leads up to it.
    before: Option<u64>,
}

/// The newest page of what is told of `subjects` (50 at most), or the one that leads up to `wanted`.
///
/// # Errors
/// The store cannot be read.
pub(super) fn read(tx: &mut dyn Tx, subjects: &[SubjectRef], wanted: &Earlier) -> Result<Vec<Entry>, StoreError> {
    ledger::story(tx, subjects, wanted.before.unwrap_or(ledger::NEWEST), PAGE)
}

/// A page as the API gives it: `{NOUN: id, lines, erased, elsewhere, earlier}`. `earlier` says where those before it are
/// found; what was erased has its line, with what its header still says. `seen` gives each fact as the story tells it, none
/// for what another story tells; `elsewhere` counts those.
pub(super) fn page(noun: &str, id: &str, entries: &[Entry], seen: impl Fn(Fact) -> Option<Fact>) -> Value {
    let lines: Vec<explain::Line> = entries.iter().filter_map(|entry| line(entry, &seen)).collect();
    let elsewhere = entries.len() - lines.len();
    let erased = entries.iter().filter(|entry| entry.fact.is_none()).count();
    let earlier = entries.first().filter(|_| entries.len() == PAGE as usize).map(|first| first.cursor.seq);
    json!({noun: id, "lines": lines, "erased": erased, "elsewhere": elsewhere, "earlier": earlier})
}

fn line(entry: &Entry, seen: impl Fn(Fact) -> Option<Fact>) -> Option<explain::Line> {
    let fact: Option<Fact> = entry.fact.clone().and_then(|fact| serde_json::from_value(fact).ok());
    let Some(fact) = fact else { return Some(from_header(entry)) };
    explain::why([(entry.cursor.seq, entry.learned_at, &seen(fact)?)]).pop()
}

/// What the header still says where the body was erased, or is of a later version.
fn from_header(entry: &Entry) -> explain::Line {
    let why = if entry.fact.is_none() { "what it said was erased, its hash stands" } else { "of a later version" };
    explain::Line {
        seq: entry.cursor.seq,
        happened_at: entry.happened_at,
        learned_at: entry.learned_at,
        subject: entry.subject.id.clone(),
        sentence: format!("{} {} ({why})", entry.subject.id, entry.kind.replace(['.', '_'], " ")),
        actor: String::new(),
        because: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use watchkeep_desk::Millis;

    use super::*;
    use crate::ledger::Cursor;

    fn entry(seq: u64, fact: Option<Value>) -> Entry {
        Entry {
            cursor: Cursor { chain: ledger::DESK.to_owned(), seq },
            happened_at: Millis(1_000),
            learned_at: Millis(2_000),
            subject: SubjectRef::new("run", "RUN-4"),
            actor: "agent:web-1".to_owned(),
            kind: "run.step_ended".to_owned(),
            cause: 1,
            ordinal: 0,
            generation: String::new(),
            hash: [0; 32],
            fact,
        }
    }

    #[test]
    fn what_was_erased_keeps_its_place_in_the_story() {
        let told = page("incident", "INC-7", &[entry(3, None), entry(4, Some(json!({"strange": 1})))], Some);
        assert_eq!((&told["erased"], &told["earlier"], &told["incident"]), (&json!(1), &Value::Null, &json!("INC-7")));
        assert_eq!(told["lines"][0]["sentence"], "RUN-4 run step ended (what it said was erased, its hash stands)");
        assert_eq!(told["lines"][1]["sentence"], "RUN-4 run step ended (of a later version)");
        assert_eq!((&told["lines"][0]["seq"], &told["lines"][0]["happened_at"]), (&json!(3), &json!(1_000)));
    }

    #[test]
    fn a_full_page_says_where_the_one_before_it_is() {
        let entries: Vec<Entry> = (10..10 + u64::from(PAGE)).map(|seq| entry(seq, None)).collect();
        assert_eq!(page("problem", "PRB-1", &entries, Some)["earlier"], 10);
        assert_eq!(page("problem", "PRB-1", &entries[1..], Some)["earlier"], Value::Null);
    }
}
