//! Migrations: SQL files of ours, embedded, each applied once and held by its checksum.
//!
//! A file is written so that both databases take it: BIGINT, TEXT, DOUBLE PRECISION and BYTEA (which SQLite gives no
//! affinity that would change bytes). Only where that does not suffice stands a twin `NNNN_name.postgres.sql` beside it.
//! A migration that was released is never edited: what must change is a new file. Numbers need no order among parts
//! (store 1–9, core 10–19, access 20–29): whichever are missing are applied, the lowest first, in one transaction.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{Columns, Store, StoreError, Tx};

/// One step of the schema.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    pub number: i64,
    pub name: &'static str,
    pub sql: &'static str,
    /// The same for PostgreSQL, where types or search differ.
    pub postgres: Option<&'static str>,
}

macro_rules! migration {
    ($number:literal, $name:literal) => {
        Migration {
            number: $number,
            name: $name,
            sql: include_str!(concat!("../../migrations/", $name, ".sql")),
            postgres: None,
        }
    };
}

/// Every migration, by number. A test compares this list with the folder.
pub const MIGRATIONS: &[Migration] = &[
    migration!(1, "0001_ledger"),
    migration!(2, "0002_records"),
    migration!(3, "0003_cmdb"),
    migration!(4, "0004_flow"),
    migration!(5, "0005_problems"),
    migration!(6, "0006_lease_term"),
    migration!(7, "0007_outbox_channels"),
    migration!(8, "0008_run_output"),
    migration!(10, "0010_host_state"),
    migration!(11, "0011_spool_renumbering"),
    migration!(20, "0020_access"),
    migration!(21, "0021_users"),
];

/// Which text of a migration a database takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

/// A connection that migrations can be run on.
pub(super) trait Migrated: Store {
    const DIALECT: Dialect;
    /// A statement that keeps other migrating processes out until the transaction ends; empty where beginning does.
    const LOCK: &'static str;
}

const TABLE: &str = "CREATE TABLE IF NOT EXISTS migration (
    number BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)";

/// Brings the schema up to `migrations`; `now` is kept with each applied one.
///
/// Errors: [`StoreError::Schema`] where an applied migration has another checksum than ours, or one that we do not know.
pub(super) fn migrate<S: Migrated>(store: &mut S, migrations: &[Migration], now: i64) -> Result<(), StoreError> {
    store.write(&mut |tx| tx.execute(TABLE, &[]).map(drop))?;
    store.write(&mut |tx| {
        if !S::LOCK.is_empty() {
            tx.execute(S::LOCK, &[])?;
        }
        let applied = applied(tx)?;
        refuse_unknown(&applied, migrations)?;
        for migration in migrations {
            let sql = migration.text(S::DIALECT);
            let checksum = checksum(sql);
            match applied.get(&migration.number) {
                Some((_, held)) if *held == checksum => {}
                Some((name, held)) => return Err(changed(migration, name, held, &checksum)),
                None => apply(tx, migration, sql, &checksum, now)?,
            }
        }
        Ok(())
    })
}

impl Migration {
    fn text(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sql,
            Dialect::Postgres => self.postgres.unwrap_or(self.sql),
        }
    }
}

type Applied = BTreeMap<i64, (String, String)>;

fn applied(tx: &mut dyn Tx) -> Result<Applied, StoreError> {
    let rows = tx.query("SELECT number, name, checksum FROM migration ORDER BY number LIMIT 10000", &[])?;
    rows.into_iter()
        .map(|row| {
            let mut columns = Columns::new("migration", row);
            Ok((columns.int()?, (columns.text()?, columns.text()?)))
        })
        .collect()
}

fn refuse_unknown(applied: &Applied, migrations: &[Migration]) -> Result<(), StoreError> {
    match applied.iter().find(|(number, _)| migrations.iter().all(|known| known.number != **number)) {
        None => Ok(()),
        Some((_, (name, _))) => Err(StoreError::Schema(format!(
            "the database has migration \"{name}\", which this program does not know: a newer watchkeep has written it; \
             run that version, or restore a backup from before the upgrade"
        ))),
    }
}

fn changed(migration: &Migration, name: &str, held: &str, ours: &str) -> StoreError {
    StoreError::Schema(format!(
        "migration \"{name}\" was applied with checksum {held}, but this program's \"{}\" has {ours}: a released migration \
         was edited; run the version that applied it, and make the change a new migration",
        migration.name
    ))
}

fn apply(tx: &mut dyn Tx, migration: &Migration, sql: &str, checksum: &str, now: i64) -> Result<(), StoreError> {
    for statement in statements(sql) {
        tx.execute(&statement, &[])?;
    }
    tx.execute(
        "INSERT INTO migration (number, name, checksum, applied_at) VALUES ($1, $2, $3, $4)",
        &[migration.number.into(), migration.name.into(), checksum.into(), now.into()],
    )?;
    Ok(())
}

/// The statements of a file: comment lines go, a `;` at a line's end ends one.
fn statements(sql: &str) -> Vec<String> {
    let lines: Vec<&str> = sql.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    let joined = lines.join("\n");
    joined.split(";\n").map(|one| one.trim().trim_end_matches(';').to_owned()).filter(|one| !one.is_empty()).collect()
}

/// SHA-256, hexadecimal, of the text without what git or an editor may change at line ends.
fn checksum(sql: &str) -> String {
    let digest = Sha256::digest(sql.replace("\r\n", "\n").trim_end().as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Sqlite;

    fn one(sql: &'static str) -> Vec<Migration> {
        vec![Migration { number: 7, name: "0007_seven", sql, postgres: None }]
    }

    #[test]
    fn the_list_is_the_folder() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .expect("the migrations are there")
            .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
            .collect();
        there.sort();
        let mut listed: Vec<String> = MIGRATIONS
            .iter()
            .flat_map(|one| {
                let twin = one.postgres.map(|_| format!("{}.postgres.sql", one.name));
                twin.into_iter().chain([format!("{}.sql", one.name)])
            })
            .collect();
        listed.sort();
        assert_eq!(there, listed, "add the file to MIGRATIONS, or remove it");
        for migration in MIGRATIONS {
            assert!(migration.name.starts_with(&format!("{:04}_", migration.number)), "{}", migration.name);
        }
        assert!(MIGRATIONS.is_sorted_by_key(|one| one.number));
    }

    #[test]
    fn a_migration_is_applied_once() {
        let mut store = Sqlite::in_memory().expect("opened");
        for _ in 0..2 {
            migrate(&mut store, &one("CREATE TABLE seven (a BIGINT);\n-- why\nCREATE TABLE eight (b TEXT);"), 1)
                .expect("applied");
        }
    }

    #[test]
    fn an_edited_migration_is_refused_with_words() {
        let mut store = Sqlite::in_memory().expect("opened");
        migrate(&mut store, &one("CREATE TABLE seven (a BIGINT);"), 1).expect("applied");
        let error = migrate(&mut store, &one("CREATE TABLE seven (a TEXT);"), 1).expect_err("refused").to_string();
        assert!(error.contains("\"0007_seven\" was applied with checksum"), "{error}");
        assert!(error.contains("make the change a new migration"), "{error}");
    }

    #[test]
    fn a_newer_database_is_refused_with_words() {
        let mut store = Sqlite::in_memory().expect("opened");
        migrate(&mut store, &one("CREATE TABLE seven (a BIGINT);"), 1).expect("applied");
        let error = migrate(&mut store, &[], 1).expect_err("refused").to_string();
        assert!(error.contains("a newer watchkeep has written it"), "{error}");
    }

    #[test]
    fn a_migration_that_fails_leaves_nothing() {
        let mut store = Sqlite::in_memory().expect("opened");
        migrate(&mut store, &one("CREATE TABLE seven (a BIGINT);\nCREATE NONSENSE;"), 1).expect_err("refused");
        migrate(&mut store, &one("CREATE TABLE seven (a BIGINT);"), 1).expect("nothing was left in the way");
    }
}
