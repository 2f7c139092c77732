//! SQLite: one file, one connection that writes, WAL with synchronous=FULL.

use std::path::Path;
use std::time::Duration;

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, params_from_iter};

use super::error::statement;
use super::lease::Fence;
use super::migrations::{Dialect, Migrated};
use super::{Row, Store, StoreError, Tx, Value, Work};

/// How long a statement waits for another process's lock.
const BUSY: Duration = Duration::from_secs(10);
/// Prepared statements kept by a connection.
const STATEMENTS: usize = 256;

/// One connection to a SQLite database.
pub struct Sqlite {
    connection: Connection,
    fence: Option<Fence>,
}

impl Sqlite {
    /// Opens the file, which is made, readable by its owner alone, where there is none.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let doing = || format!("open the SQLite database \"{}\"", path.display());
        make_private(path).map_err(|error| StoreError::database(doing(), error))?;
        let connection =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
                .map_err(|error| StoreError::database(doing(), error))?;
        Self::prepare(connection).map_err(|error| StoreError::database(doing(), error))
    }

    /// A database that lives as long as this value, for simulation; no second connection can see it.
    pub fn in_memory() -> Result<Self, StoreError> {
        Connection::open_in_memory()
            .and_then(Self::prepare)
            .map_err(|error| StoreError::database("open a SQLite database in memory", error))
    }

    fn prepare(connection: Connection) -> rusqlite::Result<Self> {
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        // 16 MiB of pages: with the default of two, a roll-out's inventories read each page again and again.
        connection.execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;
             PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384;",
        )?;
        // Keeps the -wal file from staying as large as the largest burst made it.
        connection.query_row("PRAGMA journal_size_limit = 67108864", [], |_| Ok(()))?;
        Ok(Self { connection, fence: None })
    }

    /// Runs a file of statements, as migrations are.
    pub(super) fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        self.connection.execute_batch(sql).map_err(|error| StoreError::database(statement(sql), error))
    }

    fn transact(&mut self, begin: &str, work: &mut Work<'_>) -> Result<(), StoreError> {
        if !self.connection.is_autocommit() {
            // A work that panicked left its transaction behind.
            self.batch("ROLLBACK")?;
        }
        self.batch(begin)?;
        let fence = if begin == READ { None } else { self.fence.as_ref() };
        let mut tx = SqliteTx { connection: &self.connection, failed: None };
        let done = fence.map_or(Ok(()), |fence| fence.check(&mut tx, "")).and_then(|()| work(&mut tx));
        let outcome = match (done, tx.failed.take()) {
            (Err(error), _) => Err(error),
            (Ok(()), Some(failed)) => Err(StoreError::Doomed(failed)),
            (Ok(()), None) => self.batch("COMMIT"),
        };
        if outcome.is_err() && !self.connection.is_autocommit() {
            self.batch("ROLLBACK")?;
        }
        outcome
    }
}

/// Takes the write lock at once, so that a transaction never finds half-way that it cannot have it.
const WRITE: &str = "BEGIN IMMEDIATE";
const READ: &str = "BEGIN DEFERRED";

impl Store for Sqlite {
    fn write(&mut self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.transact(WRITE, work)
    }

    fn read(&mut self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.batch("PRAGMA query_only = ON")?;
        let outcome = self.transact(READ, work);
        self.batch("PRAGMA query_only = OFF")?;
        outcome
    }

    fn fence(&mut self, fence: Option<Fence>) {
        self.fence = fence;
    }
}

impl Migrated for Sqlite {
    const DIALECT: Dialect = Dialect::Sqlite;
    const LOCK: &'static str = "";
}

struct SqliteTx<'c> {
    connection: &'c Connection,
    /// The first statement that failed since the transaction, or the savepoint around, began.
    failed: Option<String>,
}

impl SqliteTx<'_> {
    fn keep<T>(&mut self, sql: &str, outcome: rusqlite::Result<T>) -> Result<T, StoreError> {
        outcome.map_err(|error| {
            self.failed.get_or_insert_with(|| statement(sql));
            StoreError::database(statement(sql), error)
        })
    }

    fn ready(&self) -> Result<(), StoreError> {
        self.failed.as_ref().map_or(Ok(()), |failed| Err(StoreError::Doomed(failed.clone())))
    }

    fn run<T>(&mut self, sql: &str, with: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let outcome = with(self.connection);
        self.keep(sql, outcome)
    }
}

impl Tx for SqliteTx<'_> {
    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, StoreError> {
        self.ready()?;
        let changed =
            self.run(sql, |connection| connection.prepare_cached(&places(sql))?.execute(params_from_iter(params)))?;
        Ok(changed as u64)
    }

    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.ready()?;
        self.run(sql, |connection| {
            let mut prepared = connection.prepare_cached(&places(sql))?;
            let columns = prepared.column_count();
            let rows = prepared.query_map(params_from_iter(params), |row| {
                (0..columns).map(|column| row.get_ref(column).map(owned)).collect::<rusqlite::Result<Row>>()
            })?;
            rows.collect()
        })
    }

    fn savepoint(&mut self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.ready()?;
        self.run("SAVEPOINT work", |connection| connection.execute_batch("SAVEPOINT work"))?;
        let outcome = work(self);
        let outcome = match (outcome, self.failed.take()) {
            (Err(error), _) => Err(error),
            (Ok(()), Some(failed)) => Err(StoreError::Doomed(failed)),
            (Ok(()), None) => Ok(()),
        };
        let end = if outcome.is_ok() { "RELEASE work" } else { "ROLLBACK TO work; RELEASE work" };
        self.run(end, |connection| connection.execute_batch(end))?;
        outcome
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn owned(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Blob(bytes.to_vec()),
        },
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

/// `$n` as `?n`: SQLite gives `$2, $1` their places by first appearance, and only `?n` by number. What stands in single
/// quotes stays.
fn places(sql: &str) -> String {
    // Nearly every statement, and each is read for each of its rows.
    if !sql.contains('\'') {
        return sql.replace('$', "?");
    }
    let mut quoted = false;
    let mut chars = sql.chars().peekable();
    let mut out = String::with_capacity(sql.len());
    while let Some(char) = chars.next() {
        quoted ^= char == '\'';
        let a_place = !quoted && char == '$' && chars.peek().is_some_and(char::is_ascii_digit);
        out.push(if a_place { '?' } else { char });
    }
    out
}

/// Makes the file with mode 0600 before SQLite would make it with the process's umask; its -wal and -shm inherit the mode.
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_keep_their_numbers() {
        assert_eq!(
            places("SELECT $2, $1 WHERE a = '$1 $$' AND b = $12"),
            "SELECT ?2, ?1 WHERE a = '$1 $$' AND b = ?12"
        );
        assert_eq!(places("UPDATE t SET a = $2 WHERE b = $1"), "UPDATE t SET a = ?2 WHERE b = ?1");
    }

    #[test]
    fn the_file_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("watchkeep.db");
        let mut store = Sqlite::open(&path).expect("opened");
        store.batch("CREATE TABLE t (a BIGINT)").expect("made");
        for name in ["watchkeep.db", "watchkeep.db-wal"] {
            let mode = folder.path().join(name).metadata().expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
}
