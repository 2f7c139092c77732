//! Erasing bodies: for retention, and for persons.

use watchkeep_desk::Millis;

use crate::store::{StoreError, Tx};

/// Erases the body of one entry with its salt; the hash stays, and the chain still holds. Whether there was one to erase.
///
/// What was copied elsewhere (a record's timeline, the input log) is the caller's to find; that it was done, by whom and
/// why, is a fact of its own.
pub fn erase(tx: &mut dyn Tx, chain: &str, seq: u64) -> Result<bool, StoreError> {
    let sql = "UPDATE ledger_body SET salt = NULL, body = NULL WHERE chain = $1 AND seq = $2 AND body IS NOT NULL";
    Ok(tx.execute(sql, &[chain.into(), seq.into()])? == 1)
}

/// Erases the bodies of entries learned before `before`, the oldest first, `limit` at most; how many.
pub fn erase_before(tx: &mut dyn Tx, chain: &str, before: Millis, limit: u32) -> Result<u64, StoreError> {
    let sql = "UPDATE ledger_body SET salt = NULL, body = NULL WHERE chain = $1 AND seq IN (
        SELECT l.seq FROM ledger l JOIN ledger_body b ON b.chain = l.chain AND b.seq = l.seq
        WHERE l.chain = $1 AND l.learned_at < $2 AND b.body IS NOT NULL ORDER BY l.seq LIMIT $3)";
    tx.execute(sql, &[chain.into(), before.into(), limit.into()])
}

/// Erases the bodies of entries learned before `before` that hold what commands printed, the oldest first, `limit` at most;
/// how many. What tells of a command that printed nothing stays.
pub fn erase_output(tx: &mut dyn Tx, chain: &str, before: Millis, limit: u32) -> Result<u64, StoreError> {
    let sql = "UPDATE ledger_body SET salt = NULL, body = NULL WHERE chain = $1 AND seq IN (
        SELECT l.seq FROM ledger l JOIN ledger_body b ON b.chain = l.chain AND b.seq = l.seq
        WHERE l.kind IN ('run.step_ended', 'run.late_result', 'stray_result', 'incident.attached')
          AND l.chain = $1 AND l.learned_at < $2 AND b.body IS NOT NULL
          AND (l.kind = 'incident.attached' OR b.body NOT LIKE '%\"stdout\":\"\",\"stderr\":\"\"%')
        ORDER BY l.seq LIMIT $3)";
    tx.execute(sql, &[chain.into(), before.into(), limit.into()])
}
