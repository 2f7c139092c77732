//! The ledger as it lies in the controller's SQLite file, read beside the controller and without its code.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

/// One fact of the ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub seq: i64,
    /// `incident.opened`, `run.step_sent`
    pub kind: String,
    /// `incident INC-1`
    pub subject: String,
    /// The text as it was hashed.
    pub text: String,
    pub body: Value,
}

/// All facts of the controller whose data these are, in order.
pub fn facts(data: &Path) -> Result<Vec<Told>> {
    let path = data.join("watchkeep.db");
    let database = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .with_context(|| format!("open {}", path.display()))?;
    let sql = "SELECT l.seq, l.kind, l.subject_kind || ' ' || l.subject_id, b.body
               FROM ledger l JOIN ledger_body b ON b.chain = l.chain AND b.seq = l.seq ORDER BY l.seq";
    let mut statement = database.prepare(sql).context("read the ledger")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, String>(3)?)))?;
    rows.map(|row| {
        let (seq, kind, subject, text) = row.context("read a fact")?;
        let body = serde_json::from_str(&text).with_context(|| format!("read the body of fact {seq}: {text}"))?;
        Ok(Told { seq, kind, subject, text, body })
    })
    .collect()
}

/// The facts whose text holds all of these words, for messages and for counting.
pub fn that_say<'a>(facts: &'a [Told], words: &[&str]) -> Vec<&'a Told> {
    facts.iter().filter(|fact| words.iter().all(|word| fact.text.contains(word))).collect()
}

/// What SQLite keeps of a row within its page: more, and the rest lies elsewhere in the file.
const WITHIN_A_PAGE: usize = 3_000;

/// The first fact from the middle on that lies in the file in one piece.
pub fn in_the_middle(facts: &[Told]) -> Option<&Told> {
    facts[facts.len() / 2..].iter().find(|fact| fact.text.len() < WITHIN_A_PAGE)
}

/// Flips the lowest bit of one byte in the middle of a fact's body, in the file itself, while no controller runs.
///
/// # Errors
/// The file cannot be read or written, or the body lies in several pieces.
pub fn flip_a_byte(data: &Path, fact: &Told) -> Result<()> {
    let path = data.join("watchkeep.db");
    // All of it in one file, whatever way the controller ended.
    let database = Connection::open(&path).with_context(|| format!("open {}", path.display()))?;
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).context("fold the log into the file")?;
    drop(database);

    let mut bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    let text = fact.text.as_bytes();
    let places: Vec<usize> =
        bytes.windows(text.len()).enumerate().filter(|(_, part)| *part == text).map(|(at, _)| at).collect();
    ensure!(places.len() == 1, "fact {} lies in {} places of {}", fact.seq, places.len(), path.display());
    bytes[places[0] + text.len() / 2] ^= 1;
    fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))
}
