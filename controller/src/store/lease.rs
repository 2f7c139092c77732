//! The lease: who decides, and since which epoch.
//!
//! A controller takes the lease once at its start and gets an epoch one higher than any before. From then on each of its
//! writes reads the epoch in its own transaction; on PostgreSQL the row is locked for share, so that a take-over waits for
//! the transactions under way and every later one sees the new epoch. Commands carry the epoch and agents refuse a lower
//! one.

use watchkeep_desk::Millis;

use super::{Columns, Store, StoreError, Tx, writing};

/// The lease of the desk.
pub const DESK: &str = "desk";

/// Takes the lease `lease` for `holder` (a word for people: host and process), whoever had it before, and fences `store`
/// with its epoch. Where that fails, the store stays fenced against all writing.
pub fn take(store: &mut dyn Store, lease: &str, holder: &str, now: Millis) -> Result<u64, StoreError> {
    store.fence(None);
    let taken = writing(store, |tx| {
        tx.execute(
            "INSERT INTO lease (name, epoch, holder, taken_at) VALUES ($1, 1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET epoch = lease.epoch + 1, holder = excluded.holder, taken_at = excluded.taken_at",
            &[lease.into(), holder.into(), now.into()],
        )?;
        epoch(tx, lease, "")
    });
    store.fence(Some(Fence::new(lease, *taken.as_ref().unwrap_or(&NOBODYS))));
    taken
}

/// An epoch that no lease has.
const NOBODYS: u64 = u64::MAX;

/// What a connection checks in each of its writes: that the lease still has this epoch.
#[derive(Clone, Debug)]
pub struct Fence {
    lease: String,
    epoch: u64,
}

impl Fence {
    pub fn new(lease: &str, epoch: u64) -> Self {
        Self { lease: lease.to_owned(), epoch }
    }

    /// `lock` is the backend's clause that holds the row until the transaction ends.
    pub(super) fn check(&self, tx: &mut dyn Tx, lock: &str) -> Result<(), StoreError> {
        let theirs = epoch(tx, &self.lease, lock)?;
        if theirs == self.epoch { Ok(()) } else { Err(StoreError::Fenced { ours: self.epoch, theirs }) }
    }
}

/// The epoch of the lease; 0 where nobody ever took it.
fn epoch(tx: &mut dyn Tx, lease: &str, lock: &str) -> Result<u64, StoreError> {
    let sql = format!("SELECT epoch FROM lease WHERE name = $1{lock}");
    tx.query(&sql, &[lease.into()])?.pop().map_or(Ok(0), |row| Columns::new("lease", row).count())
}
