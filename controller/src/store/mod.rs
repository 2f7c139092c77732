//! Where everything is kept: SQLite by default, any PostgreSQL-compatible database by address.
//!
//! A transaction is a plain synchronous function over one narrow [`Tx`], so that the same queries and the same tests run on
//! both. SQL is written with `$n`; numbers are i64, times are milliseconds. A transaction may be run again (savepoints of
//! a group on SQLite, 40001 and 40P01 on PostgreSQL), so it must change nothing but the database.

/// A value of a parameter or a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

/// One row of an answer, in the order of the columns asked for.
pub type Row = Vec<Value>;

/// What the store says when it cannot. The driver's error stays inside, as the cause.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{doing}")]
    Database {
        /// `append 3 facts`, `read incidents`.
        doing: String,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another controller took the lease over; this one must stop deciding.
    #[error("epoch {ours} is over, {theirs} has begun")]
    Fenced { ours: u64, theirs: u64 },
    /// What was read does not fit what this code writes.
    #[error("{table}: {found}")]
    Corrupt { table: &'static str, found: String },
}

/// One transaction, or one savepoint in a group.
pub trait Tx {
    /// Runs a statement and returns how many rows it touched.
    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, StoreError>;

    /// Runs a query and returns its rows; callers bound them with LIMIT.
    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError>;
}

/// A database.
pub trait Store: Send {
    /// Runs `work` in one transaction and commits it durably; an error rolls all of it back.
    fn write(&mut self, work: &mut dyn FnMut(&mut dyn Tx) -> Result<(), StoreError>) -> Result<(), StoreError>;

    /// Runs `work` over one consistent snapshot.
    fn read(&mut self, work: &mut dyn FnMut(&mut dyn Tx) -> Result<(), StoreError>) -> Result<(), StoreError>;
}
