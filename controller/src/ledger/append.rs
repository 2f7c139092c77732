//! Appending an input's facts to a chain.

use serde::Serialize;
use watchkeep_desk::{Fact, Input};

use super::LedgerSecret;
use super::entry::{Hex, NOTHING, actor, body_hash, kind, seal, subject};
use crate::store::{Columns, StoreError, Tx, Value};

/// The newest entry of a chain; sequence 0 and a hash of zeros before the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Head {
    pub chain: String,
    pub seq: u64,
    #[serde(serialize_with = "super::entry::hexadecimal")]
    pub hash: [u8; 32],
}

impl Head {
    /// `1234 (3fa9c1d2e0b7…)`
    pub fn short(&self) -> String {
        format!("{} ({}…)", self.seq, Hex(&self.hash[..6]))
    }
}

/// The head of `chain`, as this transaction sees it.
pub fn head(tx: &mut dyn Tx, chain: &str) -> Result<Head, StoreError> {
    let sql = "SELECT seq, hash FROM ledger WHERE chain = $1 ORDER BY seq DESC LIMIT 1";
    let Some(row) = tx.query(sql, &[chain.into()])?.pop() else {
        return Ok(Head { chain: chain.to_owned(), seq: 0, hash: NOTHING });
    };
    let mut columns = Columns::new("ledger", row);
    let seq = columns.count()?;
    let hash = columns.blob()?;
    let hash = hash.try_into().map_err(|_| columns.corrupt(format!("the hash of {chain} {seq} is not 32 bytes")))?;
    Ok(Head { chain: chain.to_owned(), seq, hash })
}

/// Appends what was decided on `input`, in order, and returns the new head. Committed by the caller's transaction, with
/// the tables that the facts change.
///
/// Errors: facts of an input that are there already are refused by the database (unique in chain, cause and ordinal).
pub fn append(
    tx: &mut dyn Tx,
    chain: &str,
    input: &Input,
    facts: &[Fact],
    secret: &LedgerSecret,
) -> Result<Head, StoreError> {
    let mut head = head(tx, chain)?;
    for (ordinal, fact) in facts.iter().enumerate() {
        let seq = head.seq + 1;
        let salt = secret.salt(chain, seq);
        let body = serde_json::to_string(fact).expect("a fact is plain data with text for keys");
        let (subject_kind, subject_id) = subject(&fact.subject);
        let mut columns: Vec<Value> = vec![
            chain.into(),
            seq.into(),
            fact.happened_at.into(),
            input.at.into(),
            subject_kind.into(),
            subject_id.into(),
            actor(&fact.actor).into(),
            kind(fact).into(),
            input.order.into(),
            (ordinal as u64).into(),
            input.generation.as_str().into(),
            body_hash(&salt, body.as_bytes()).into(),
            head.hash.into(),
        ];
        head.hash = seal(&columns);
        head.seq = seq;
        columns.push(head.hash.into());
        tx.execute(INSERT, &columns)?;
        tx.execute(
            "INSERT INTO ledger_body (chain, seq, salt, body) VALUES ($1, $2, $3, $4)",
            &[chain.into(), seq.into(), salt.into(), body.into()],
        )?;
    }
    Ok(head)
}

const INSERT: &str =
    "INSERT INTO ledger (chain, seq, happened_at, learned_at, subject_kind, subject_id, actor, kind, cause,
    ordinal, generation, body_hash, prev, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
