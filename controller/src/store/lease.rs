//! The lease: who decides, since which epoch, and until when that is so without another word.
//!
//! A controller takes the lease at its start and gets an epoch one higher than any before. It holds for [`TERM_MS`] and is
//! renewed every [`RENEWED_MS`] by the thread that decides, so that one which hangs loses it. While it holds nobody else gets
//! it, but by asking to take it over; one that has run out, or was let go, is free. So is one that was held from the same
//! *place*: something that only one living process can hold at a time, by which whoever has it now knows that the holder is
//! dead. That is how a controller that was killed starts again at once.
//!
//! The term only says who may begin. What keeps two from deciding is the epoch: each write reads it in its own transaction;
//! on PostgreSQL the row is locked for share, so that a take-over waits for the transactions under way and every later one
//! sees the new epoch. Commands carry the epoch and agents refuse a lower one. So clocks that disagree may cost a controller
//! its lease, and never cost a decision.

use chrono::{DateTime, Utc};
use watchkeep_desk::Millis;

use super::{Columns, Store, StoreError, Tx, writing};

/// The lease of the desk.
pub const DESK: &str = "desk";
/// How long a lease holds that is not renewed, milliseconds.
pub const TERM_MS: i64 = 15_000;
/// How often it is renewed, milliseconds.
pub const RENEWED_MS: i64 = 5_000;

/// Who takes a lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// For people: process, host, data.
    pub words: String,
    /// What only one living process can hold at a time; empty: none is known.
    pub place: String,
}

/// Somebody else holds the lease.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "another controller decides over this database: {holder}, since {}; it said so last at {}, and its lease runs out at {} \
     unless it says so again; stop it and start again, or take over from it with --take-over, and it ends by itself",
    spoken(*since), spoken(until.plus(-TERM_MS)), spoken(*until)
)]
pub struct Held {
    /// Who, in its own words.
    pub holder: String,
    /// When it took it.
    pub since: Millis,
    /// When it is free, if nothing more is heard.
    pub until: Millis,
}

/// Takes the lease `lease`, where it is free or `take_over` is said, and fences `store` with its epoch. Where that fails, the
/// store stays fenced against all writing.
///
/// # Errors
/// Somebody else holds it ([`StoreError::Held`]); the store cannot be written.
pub fn take(
    store: &mut dyn Store,
    lease: &str,
    holder: &Holder,
    take_over: bool,
    now: Millis,
) -> Result<u64, StoreError> {
    store.fence(None);
    // One statement, so that of two who come at once one sees what the other did.
    let sql = "INSERT INTO lease (name, epoch, holder, place, taken_at, expires_at) VALUES ($1, 1, $2, $3, $4, $5)
         ON CONFLICT (name) DO UPDATE SET epoch = lease.epoch + 1, holder = excluded.holder, place = excluded.place,
             taken_at = excluded.taken_at, expires_at = excluded.expires_at
         WHERE lease.expires_at <= $4 OR (lease.place = $3 AND lease.place <> '') OR $6 = 1";
    let taken = writing(store, |tx| {
        let (words, place) = (holder.words.as_str(), holder.place.as_str());
        let until = now.plus(TERM_MS);
        let values = [lease.into(), words.into(), place.into(), now.into(), until.into(), i64::from(take_over).into()];
        match tx.execute(sql, &values)? {
            0 => Err(StoreError::Held(held(tx, lease)?)),
            _ => epoch(tx, lease, ""),
        }
    });
    store.fence(Some(Fence::new(lease, *taken.as_ref().unwrap_or(&NOBODYS))));
    taken
}

/// The lease holds for another term from `now` on. Called in a fenced write, which knows that it is still ours.
pub fn renew(tx: &mut dyn Tx, lease: &str, now: Millis) -> Result<(), StoreError> {
    let sql = "UPDATE lease SET expires_at = $2 WHERE name = $1";
    tx.execute(sql, &[lease.into(), now.plus(TERM_MS).into()]).map(drop)
}

/// The lease is free from `now` on. Called in a fenced write, as [`renew`].
pub fn let_go(tx: &mut dyn Tx, lease: &str, now: Millis) -> Result<(), StoreError> {
    tx.execute("UPDATE lease SET expires_at = $2 WHERE name = $1", &[lease.into(), now.into()]).map(drop)
}

fn held(tx: &mut dyn Tx, lease: &str) -> Result<Held, StoreError> {
    let sql = "SELECT holder, taken_at, expires_at FROM lease WHERE name = $1";
    let row = tx.query(sql, &[lease.into()])?.pop();
    let missing =
        || StoreError::Corrupt { table: "lease", found: format!("no lease \"{lease}\" where one was refused") };
    let mut columns = Columns::new("lease", row.ok_or_else(missing)?);
    Ok(Held { holder: columns.text()?, since: Millis(columns.int()?), until: Millis(columns.int()?) })
}

fn spoken(at: Millis) -> String {
    let time = DateTime::<Utc>::from_timestamp_millis(at.0);
    time.map_or_else(|| format!("{} ms", at.0), |time| time.format("%Y-%m-%d %H:%M:%S UTC").to_string())
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
