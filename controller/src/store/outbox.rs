//! The outbox: effects owed to the world, committed with the facts that they follow from, carried out after.
//!
//! At least once: an effect stands here until whoever carries it out says [`done`]; each has an id by which its receiver
//! can tell a second time. One that failed waits until `due_at`; one that was given up lies among the dead letters.

use serde::Serialize;
use watchkeep_desk::{Effect, Millis};

use super::{Columns, Row, StoreError, Tx};

/// One effect as it waits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Owed {
    /// The command's or the notice's own id.
    pub id: String,
    /// `command` or `notice`.
    pub kind: String,
    pub effect: Effect,
    pub owed_at: Millis,
    /// When it is next to be tried.
    pub due_at: Millis,
    /// Attempts that failed.
    pub attempts: u32,
    /// Why the last one did.
    pub last_error: Option<String>,
    /// When it was given up.
    pub dead_at: Option<Millis>,
}

/// Takes the effects of a decision in, due at once. One whose id is here already is the same effect, and stays as it is.
pub fn owe(tx: &mut dyn Tx, effects: &[Effect], now: Millis) -> Result<(), StoreError> {
    for effect in effects {
        let (kind, id) = name(effect);
        let body = serde_json::to_string(effect).expect("an effect is plain data with text for keys");
        tx.execute(
            "INSERT INTO outbox (id, kind, body, owed_at, due_at, attempts) VALUES ($1, $2, $3, $4, $4, 0)
             ON CONFLICT (id) DO NOTHING",
            &[id.into(), kind.into(), body.into(), now.into()],
        )?;
    }
    Ok(())
}

/// The kind and the id of an effect.
pub fn name(effect: &Effect) -> (&'static str, String) {
    match effect {
        Effect::Command(order) => ("command", order.command.to_string()),
        Effect::Notice(notice) => ("notice", notice.notice.to_string()),
    }
}

const COLUMNS: &str = "id, kind, body, owed_at, due_at, attempts, last_error, dead_at";

/// What is due at `now`, the longest due first.
pub fn due(tx: &mut dyn Tx, now: Millis, limit: u32) -> Result<Vec<Owed>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM outbox WHERE done_at IS NULL AND dead_at IS NULL AND due_at <= $1
         ORDER BY due_at, id LIMIT $2"
    );
    tx.query(&sql, &[now.into(), limit.into()])?.into_iter().map(owed).collect()
}

/// What is due of one kind (`command`, `notice`), the longest due first: commands for hosts that are away do not stand before
/// notices.
pub fn due_of(tx: &mut dyn Tx, kind: &str, now: Millis, limit: u32) -> Result<Vec<Owed>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM outbox WHERE done_at IS NULL AND dead_at IS NULL AND due_at <= $1 AND kind = $3
         ORDER BY due_at, id LIMIT $2"
    );
    tx.query(&sql, &[now.into(), limit.into(), kind.into()])?.into_iter().map(owed).collect()
}

/// Everything not done and not given up, due or not, the longest due first; what a controller that starts takes up again.
pub fn waiting(tx: &mut dyn Tx, limit: u32) -> Result<Vec<Owed>, StoreError> {
    due(tx, Millis(i64::MAX), limit)
}

/// When the next effect falls due; none where nothing is owed.
pub fn next_due(tx: &mut dyn Tx) -> Result<Option<Millis>, StoreError> {
    let sql = "SELECT due_at FROM outbox WHERE done_at IS NULL AND dead_at IS NULL ORDER BY due_at, id LIMIT 1";
    tx.query(sql, &[])?.pop().map(|row| Columns::new("outbox", row).int().map(Millis)).transpose()
}

/// It was carried out. Said twice it changes nothing.
pub fn done(tx: &mut dyn Tx, id: &str, now: Millis) -> Result<(), StoreError> {
    let sql = "UPDATE outbox SET done_at = $2 WHERE id = $1 AND done_at IS NULL";
    tx.execute(sql, &[id.into(), now.into()]).map(drop)
}

/// It could not be carried out; it is due again at `again_at`.
pub fn failed(tx: &mut dyn Tx, id: &str, error: &str, again_at: Millis) -> Result<(), StoreError> {
    let sql =
        "UPDATE outbox SET attempts = attempts + 1, last_error = $2, due_at = $3 WHERE id = $1 AND done_at IS NULL";
    tx.execute(sql, &[id.into(), error.into(), again_at.into()]).map(drop)
}

/// It is given up and lies among the dead letters.
pub fn give_up(tx: &mut dyn Tx, id: &str, error: &str, now: Millis) -> Result<(), StoreError> {
    let sql =
        "UPDATE outbox SET attempts = attempts + 1, last_error = $2, dead_at = $3 WHERE id = $1 AND done_at IS NULL";
    tx.execute(sql, &[id.into(), error.into(), now.into()]).map(drop)
}

/// A person sends a dead letter again. Whether there was one.
pub fn revive(tx: &mut dyn Tx, id: &str, now: Millis) -> Result<bool, StoreError> {
    let sql = "UPDATE outbox SET dead_at = NULL, due_at = $2 WHERE id = $1 AND done_at IS NULL AND dead_at IS NOT NULL";
    Ok(tx.execute(sql, &[id.into(), now.into()])? == 1)
}

/// What was given up, by id, those after `after`.
pub fn dead_letters(tx: &mut dyn Tx, after: &str, limit: u32) -> Result<Vec<Owed>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM outbox WHERE dead_at IS NOT NULL AND id > $1 ORDER BY id LIMIT $2");
    tx.query(&sql, &[after.into(), limit.into()])?.into_iter().map(owed).collect()
}

/// Forgets what was done before `before`, `limit` at most; how many. The ledger keeps the story.
pub fn forget_done(tx: &mut dyn Tx, before: Millis, limit: u32) -> Result<u64, StoreError> {
    let sql = "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE done_at < $1 ORDER BY done_at, id LIMIT $2)";
    tx.execute(sql, &[before.into(), limit.into()])
}

fn owed(row: Row) -> Result<Owed, StoreError> {
    let mut columns = Columns::new("outbox", row);
    Ok(Owed {
        id: columns.text()?,
        kind: columns.text()?,
        effect: columns.json()?,
        owed_at: Millis(columns.int()?),
        due_at: Millis(columns.int()?),
        attempts: u32::try_from(columns.int()?).unwrap_or(u32::MAX),
        last_error: columns.opt_text()?,
        dead_at: columns.opt_int()?.map(Millis),
    })
}
