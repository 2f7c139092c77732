//! Where everything is kept: SQLite by default, any PostgreSQL-compatible database by address.
//!
//! A transaction is a plain synchronous function over one narrow [`Tx`], so that the same queries and the same tests run on
//! both. SQL is written with `$n`; numbers are i64, times are milliseconds, truth is 0 or 1. A transaction may be run again
//! (40001 and 40P01 on PostgreSQL), so it must change nothing but the database and what it returns.
//!
//! | to | call |
//! |---|---|
//! | open (and migrate) a database | [`open`], which gives a [`Database`] |
//! | write | [`Store::write`]; several works in one durable commit: [`Store::write_group`] |
//! | read from elsewhere, also from async code (by `spawn_blocking`) | [`ReadPool::read`] |
//! | take the lease, so that each write checks its epoch | [`lease::take`] |
//! | keep records, effects, events, marks | [`records`], [`outbox`], [`events`], [`spools`], [`marks`], [`generations`] |
//! | keep the whole outcome of one input at once | [`settle::settle`] |
//! | list and look up, for the API and the command line | [`queries`] |
//! | let the n-th write fail | [`failing::Failing`] |

mod address;
mod error;
pub mod events;
pub mod failing;
pub mod generations;
pub mod lease;
pub mod marks;
mod migrations;
mod open;
pub mod outbox;
pub mod output;
mod pool;
mod postgres;
pub mod queries;
pub mod records;
pub mod settle;
pub mod spools;
mod sqlite;
#[cfg(test)]
mod suite;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod value;

pub use address::Address;
pub use error::StoreError;
pub use migrations::{MIGRATIONS, Migration};
pub use open::{Database, existing, open};
pub use pool::ReadPool;
pub use postgres::Postgres;
pub use sqlite::Sqlite;
pub use value::{Columns, Row, Value};

/// What runs inside a transaction. It may be run again from the start, after all that it did was rolled back.
pub type Work<'a> = dyn FnMut(&mut dyn Tx) -> Result<(), StoreError> + 'a;

/// One transaction, or one savepoint in it.
///
/// A statement that fails dooms the transaction (or the savepoint around it), even where `work` swallows the error: so
/// PostgreSQL has it, and SQLite is held to the same.
pub trait Tx {
    /// Runs a statement and returns how many rows it touched.
    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, StoreError>;

    /// Runs a query and returns its rows; callers bound them with LIMIT.
    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError>;

    /// Runs `work` in a savepoint: an error rolls back what it did, and nothing else.
    fn savepoint(&mut self, work: &mut Work<'_>) -> Result<(), StoreError>;
}

/// A database, as one connection that writes.
///
/// Blocking; the PostgreSQL one must neither be used nor dropped on a thread that drives an async runtime.
pub trait Store: Send {
    /// Runs `work` in one transaction and commits it durably; an error rolls all of it back. Where the commit's own
    /// answer is lost, the error leaves open whether it happened: read back before trying again.
    fn write(&mut self, work: &mut Work<'_>) -> Result<(), StoreError>;

    /// Runs `work` over one consistent snapshot; a statement that writes is refused.
    fn read(&mut self, work: &mut Work<'_>) -> Result<(), StoreError>;

    /// From now on each write checks the fence in its transaction, and is refused with [`StoreError::Fenced`] once the
    /// lease has another epoch. Called by [`lease::take`].
    fn fence(&mut self, fence: Option<lease::Fence>);

    /// One durable commit for several works, each in a savepoint: one that fails rolls back alone, and its error stands
    /// at its place in the answer. An outer error (the commit's, the connection's, a lost lease) says that none of them
    /// is to be taken as done.
    fn write_group(&mut self, works: &mut [&mut Work<'_>]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        let mut outcomes = Vec::with_capacity(works.len());
        self.write(&mut |tx| {
            outcomes.clear();
            outcomes.extend(works.iter_mut().map(|work| tx.savepoint(work)));
            Ok(())
        })?;
        Ok(outcomes)
    }
}

/// Runs a read that returns something.
pub fn reading<T>(
    store: &mut dyn Store,
    mut work: impl FnMut(&mut dyn Tx) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut found = None;
    store.read(&mut |tx| {
        found = Some(work(tx)?);
        Ok(())
    })?;
    Ok(found.expect("a read that succeeded has run its work"))
}

/// Runs a write that returns something.
pub fn writing<T>(
    store: &mut dyn Store,
    mut work: impl FnMut(&mut dyn Tx) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut found = None;
    store.write(&mut |tx| {
        found = Some(work(tx)?);
        Ok(())
    })?;
    Ok(found.expect("a write that succeeded has run its work"))
}
