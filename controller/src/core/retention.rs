//! Terms of keeping, carried out every hour: what is older goes, a portion at a time, so that the desk's commits never wait
//! long behind it. That it was done stands in the ledger.
//!
//! Erasing a fact takes its body; header and hashes stay, and the chain verifies. Inputs are kept without a term as yet: a
//! replay begins at the first of them.

use std::time::Duration;

use tokio::sync::watch;
use watchkeep_desk::{Actor, InputBody, Millis, Note};

use super::committer::CHAIN;
use super::engine::chain;
use super::handle::Handle;
use crate::ledger;
use crate::store::{Store, StoreError, Tx, events, outbox, writing};

const DAY: i64 = 86_400_000;
/// Between two rounds; the first comes as long after the start, when agents have come back.
const EVERY: Duration = Duration::from_secs(3_600);
/// Rows of one transaction.
const PORTION: u32 = 500;
/// Portions of one kind in one round; the rest waits for the next.
const PORTIONS: usize = 200;

/// How long each kind is kept, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Events as agents told them.
    pub events: i64,
    /// Effects that were carried out.
    pub outbox: i64,
    /// Bodies of facts.
    pub facts: i64,
}

impl Default for Terms {
    fn default() -> Self {
        Self { events: 30 * DAY, outbox: 90 * DAY, facts: 3 * 365 * DAY }
    }
}

type Erase = fn(&mut dyn Tx, Millis, u32) -> Result<u64, StoreError>;

/// One round. Returns what is to stand in the ledger.
///
/// # Errors
/// The store refuses; what was erased before stays erased, and the next round goes on.
pub fn round(store: &mut dyn Store, terms: &Terms, now: Millis) -> Result<Vec<Note>, StoreError> {
    let facts: Erase = |tx, before, limit| ledger::erase_before(tx, CHAIN, before, limit);
    let kinds: [(&str, i64, Erase); 3] = [
        ("events", terms.events, events::forget),
        ("outbox", terms.outbox, outbox::forget_done),
        ("facts", terms.facts, facts),
    ];
    let mut notes = Vec::new();
    for (kind, term, erase) in kinds {
        let before = now.plus(-term);
        let mut count = 0;
        for _ in 0..PORTIONS {
            let portion = writing(store, |tx| erase(tx, before, PORTION))?;
            count += portion;
            if portion < u64::from(PORTION) {
                break;
            }
        }
        if count > 0 {
            notes.push(Note::Erased { kind: kind.to_owned(), count, before });
        }
    }
    Ok(notes)
}

/// Goes round until `stop` turns true.
pub async fn run(mut store: Box<dyn Store>, core: Handle, now: fn() -> Millis, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
        let went = tokio::task::spawn_blocking(move || {
            let notes = round(store.as_mut(), &Terms::default(), now());
            (store, notes)
        });
        let Ok((back, notes)) = went.await else { return };
        store = back;
        match notes {
            Ok(notes) => {
                for note in notes {
                    let noted = core.ask(InputBody::Noted { by: Actor::Controller, note }).await;
                    noted.unwrap_or_else(|error| {
                        tracing::error!(error = %chain(&error), "what was erased is not noted");
                        Default::default()
                    });
                }
            }
            Err(error) => {
                tracing::error!(error = %chain(&error), "what is older than its term is not erased; the next hour tries again")
            }
        }
    }
    // A connection to PostgreSQL is not to be closed on a thread of the runtime.
    let _closed = tokio::task::spawn_blocking(move || drop(store)).await;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::store::{self, Columns, reading};

    #[test]
    fn what_is_older_than_its_term_goes_and_all_else_stays() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = format!("sqlite:{}", folder.path().join("watchkeep.db").display());
        let database = store::open(&address).expect("opened");
        let mut store = database.writer().expect("connected");
        let now = Millis(100 * DAY);
        let seen = |number: i64| events::Event {
            id: format!("{number:05}"),
            agent: "web-1".into(),
            at: Millis(0),
            learned_at: Millis(number),
            labels: BTreeMap::new(),
            text: String::new(),
        };
        // More than a portion, the last of them just within the term.
        let term = Terms::default().events;
        let begin = now.0 - term - 1_200;
        writing(store.as_mut(), |tx| (begin..=now.0 - term).try_for_each(|at| events::save(tx, &seen(at))))
            .expect("saved");
        let notes = round(store.as_mut(), &Terms::default(), now).expect("went");
        let before = Millis(now.0 - term);
        assert_eq!(notes, [Note::Erased { kind: "events".into(), count: 1_200, before }]);
        let left = reading(store.as_mut(), |tx| {
            Columns::new("event", tx.query("SELECT COUNT(*) FROM event", &[])?.remove(0)).count()
        });
        assert_eq!(left.expect("read"), 1);
        assert_eq!(round(store.as_mut(), &Terms::default(), now).expect("went"), [], "nothing is noted twice");
    }
}
