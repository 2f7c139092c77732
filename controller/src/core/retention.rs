//! Terms of keeping, carried out every hour: what is older goes, a portion at a time, so that the desk's commits never wait
//! long behind it. That it was done stands in the ledger.
//!
//! Erasing a fact takes its body; header and hashes stay, and the chain verifies. Inputs go where a snapshot of the desk
//! stands in for them, so that what is left can be replayed; a snapshot is taken every quarter of their term. Terms come
//! from the generation in force, anew each round. Block files of samples are removed by whoever seals them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use watchkeep_desk::{Actor, InputBody, Millis, Note};
use watchkeep_rules::load::Retention;

use super::committer::CHAIN;
use super::engine::chain;
use super::handle::Handle;
use crate::generation::Generation;
use crate::ledger;
use crate::ledger::inputs::InputLogError;
use crate::ledger::inputs::snapshot::{self, Snapshot};
use crate::store::{Store, StoreError, Tx, events, marks, outbox, output, reading, records, writing};

/// Between two rounds; the first comes as long after the start, when agents have come back.
const EVERY: Duration = Duration::from_secs(3_600);
/// Rows of one transaction.
const PORTION: u32 = 500;
/// Portions of one kind in one round; the rest waits for the next.
const PORTIONS: usize = 200;
/// Snapshots of the desk within the term of inputs: so much longer than their term, at most, inputs are kept.
const SNAPSHOTS: i64 = 4;

/// Why a round did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    #[error("erase from the store")]
    Store(#[from] StoreError),
    #[error("forget old inputs")]
    Inputs(#[from] InputLogError),
}

type Erase = fn(&mut dyn Tx, Millis, u32) -> Result<u64, StoreError>;

/// One round; `inputs` is the folder of the input log. What was erased is added to `notes`, to stand in the ledger, whatever
/// comes after it.
///
/// # Errors
/// The store or the disk refuses; what was erased before stays erased, and the next round goes on.
pub fn round(
    store: &mut dyn Store,
    inputs: &Path,
    terms: &Retention,
    now: Millis,
    notes: &mut Vec<Note>,
) -> Result<(), RetentionError> {
    let facts_of_output: Erase = |tx, before, limit| ledger::erase_output(tx, CHAIN, before, limit);
    let facts: Erase = |tx, before, limit| ledger::erase_before(tx, CHAIN, before, limit);
    let kinds: [(&str, i64, Erase); 6] = [
        ("events", terms.events, events::forget),
        ("outputs_of_runs", terms.output, output::forget_of_runs),
        ("attachments", terms.output, output::forget_of_incidents),
        ("facts_of_output", terms.output, facts_of_output),
        ("outbox", terms.notices, outbox::forget_done),
        ("facts", terms.facts, facts),
    ];
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
    forget_inputs(store, inputs, terms.inputs, now, notes)
}

/// Takes a snapshot where it is time, and forgets the inputs that one of before the term covers.
fn forget_inputs(
    store: &mut dyn Store,
    inputs: &Path,
    term: i64,
    now: Millis,
    notes: &mut Vec<Note>,
) -> Result<(), RetentionError> {
    let newest = snapshot::newest_at(inputs)?;
    let last = reading(store, |tx| marks::committed(tx, CHAIN))?;
    let is_due = |(_, at): &(u64, Millis)| newest.is_some_and(|newest| at.since(newest) >= term / SNAPSHOTS);
    if last.as_ref().is_some_and(is_due) {
        take_snapshot(store, inputs)?;
    }
    let before = now.plus(-term);
    let forgotten = snapshot::forget(inputs, before)?;
    if forgotten.inputs > 0 {
        notes.push(Note::Erased { kind: "inputs".to_owned(), count: forgotten.inputs, before });
    }
    Ok(())
}

/// Keeps beside the input log what a desk would be restored from now; which input it is of.
///
/// # Errors
/// The store cannot be read, or the disk refuses.
pub fn take_snapshot(store: &mut dyn Store, inputs: &Path) -> Result<Option<u64>, RetentionError> {
    let found = reading(store, |tx| Ok((marks::committed(tx, CHAIN)?, records::restore(tx)?)))?;
    let (Some((order, at)), records) = found else { return Ok(None) };
    Snapshot { order, at, records }.save(inputs)?;
    Ok(Some(order))
}

/// What the task works on.
pub struct Keeper {
    pub store: Box<dyn Store>,
    /// The folder of the input log.
    pub inputs: PathBuf,
    pub core: Handle,
    pub generation: watch::Receiver<Arc<Generation>>,
    pub now: fn() -> Millis,
}

impl Keeper {
    /// Goes round until `stop` turns true.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let Self { mut store, inputs, core, generation, now } = self;
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            let (terms, folder) = (generation.borrow().retention, inputs.clone());
            let went = tokio::task::spawn_blocking(move || {
                let mut notes = Vec::new();
                let went = round(store.as_mut(), &folder, &terms, now(), &mut notes);
                (store, went, notes)
            });
            let Ok((back, went, notes)) = went.await else { return };
            store = back;
            for note in notes {
                if let Err(error) = core.ask(InputBody::Noted { by: Actor::Controller, note }).await {
                    tracing::error!(error = %chain(&error), "what was erased is not noted");
                }
            }
            if let Err(error) = went {
                tracing::error!(error = %chain(&error), "what is older than its term is not erased; the next hour tries again");
            }
        }
        // A connection to PostgreSQL is not to be closed on a thread of the runtime.
        let _closed = tokio::task::spawn_blocking(move || drop(store)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::store::{self, Columns};

    const DAY: i64 = 86_400_000;

    fn went(store: &mut dyn Store, inputs: &Path, now: Millis) -> Vec<Note> {
        let mut notes = Vec::new();
        round(store, inputs, &Retention::default(), now, &mut notes).expect("went");
        notes
    }

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
        let term = Retention::default().events;
        let begin = now.0 - term - 1_200;
        writing(store.as_mut(), |tx| (begin..=now.0 - term).try_for_each(|at| events::save(tx, &seen(at))))
            .expect("saved");
        let inputs = folder.path().join("inputs");
        let notes = went(store.as_mut(), &inputs, now);
        let before = Millis(now.0 - term);
        assert_eq!(notes, [Note::Erased { kind: "events".into(), count: 1_200, before }]);
        let left = reading(store.as_mut(), |tx| {
            Columns::new("event", tx.query("SELECT COUNT(*) FROM event", &[])?.remove(0)).count()
        });
        assert_eq!(left.expect("read"), 1);
        assert_eq!(went(store.as_mut(), &inputs, now), [], "nothing is noted twice");
    }
}
