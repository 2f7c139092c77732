//! Configuration generations: what ran, by content hash.

use std::collections::BTreeMap;

use serde::Serialize;
use watchkeep_desk::Millis;

use super::{Columns, Row, StoreError, Tx};

/// One set of files that was taken up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Generation {
    /// SHA-256 over the files, hexadecimal.
    pub hash: String,
    /// When it was first taken up.
    pub at: Millis,
    pub author: String,
    /// Path → text, so that replay runs under exactly what ran.
    pub files: BTreeMap<String, String>,
}

/// Keeps a generation; one that is kept already stays as it is.
pub fn save(tx: &mut dyn Tx, generation: &Generation) -> Result<(), StoreError> {
    let files = serde_json::to_string(&generation.files).expect("paths and texts are text");
    tx.execute(
        "INSERT INTO generation (hash, at, author, files) VALUES ($1, $2, $3, $4) ON CONFLICT (hash) DO NOTHING",
        &[generation.hash.as_str().into(), generation.at.into(), generation.author.as_str().into(), files.into()],
    )
    .map(drop)
}

pub fn get(tx: &mut dyn Tx, hash: &str) -> Result<Option<Generation>, StoreError> {
    let sql = "SELECT hash, at, author, files FROM generation WHERE hash = $1";
    tx.query(sql, &[hash.into()])?.pop().map(generation).transpose()
}

/// The newest first, those taken up before `before` (instant and hash of the last one seen).
pub fn list(tx: &mut dyn Tx, before: Option<(Millis, &str)>, limit: u32) -> Result<Vec<Generation>, StoreError> {
    let (at, hash) = before.unwrap_or((Millis(i64::MAX), ""));
    let sql = "SELECT hash, at, author, files FROM generation
        WHERE at < $1 OR (at = $1 AND hash < $2) ORDER BY at DESC, hash DESC LIMIT $3";
    tx.query(sql, &[at.into(), hash.into(), limit.into()])?.into_iter().map(generation).collect()
}

fn generation(row: Row) -> Result<Generation, StoreError> {
    let mut columns = Columns::new("generation", row);
    Ok(Generation {
        hash: columns.text()?,
        at: Millis(columns.int()?),
        author: columns.text()?,
        files: columns.json()?,
    })
}

/// The generation under which the newest fact of the chain was decided; none before the first.
pub fn in_force(tx: &mut dyn Tx, chain: &str) -> Result<Option<Generation>, StoreError> {
    let sql = "SELECT generation FROM ledger WHERE chain = $1 ORDER BY seq DESC LIMIT 1";
    match tx.query(sql, &[chain.into()])?.pop() {
        Some(row) => get(tx, &Columns::new("ledger", row).text()?),
        None => Ok(None),
    }
}
