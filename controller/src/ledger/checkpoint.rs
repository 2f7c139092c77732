//! Checkpoints: a chain's head, signed, so that whoever rewrites a chain must also have the key.
//!
//! Signed is the text `watchkeep checkpoint 1`, then chain, seq, hash, at and key id; text and bytes stand behind their
//! length (8 bytes, big-endian), a number is 8 bytes, big-endian, behind the length 8: as in an entry.

use serde::Serialize;
use watchkeep_desk::Millis;

use super::entry::hexadecimal;
use super::head;
use crate::store::{Columns, StoreError, Tx, Value};

/// A signed head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checkpoint {
    pub chain: String,
    pub seq: u64,
    #[serde(serialize_with = "hexadecimal")]
    pub hash: [u8; 32],
    pub at: Millis,
    /// Which key signed it.
    pub key_id: String,
}

/// Signs the head of `chain` with `sign` (Ed25519) and keeps it; none where the chain is empty or its head is signed
/// already.
pub fn sign(
    tx: &mut dyn Tx,
    chain: &str,
    at: Millis,
    key_id: &str,
    sign: &dyn Fn(&[u8]) -> [u8; 64],
) -> Result<Option<Checkpoint>, StoreError> {
    let head = head(tx, chain)?;
    if head.seq == 0 {
        return Ok(None);
    }
    let checkpoint = Checkpoint { chain: head.chain, seq: head.seq, hash: head.hash, at, key_id: key_id.to_owned() };
    let mut columns: Vec<Value> = vec![chain.into(), head.seq.into(), head.hash.into(), at.into(), key_id.into()];
    columns.push(sign(&message(&columns)).into());
    let kept = tx.execute(
        "INSERT INTO checkpoint (chain, seq, hash, at, key_id, signature) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (chain, seq) DO NOTHING",
        &columns,
    )?;
    Ok((kept == 1).then_some(checkpoint))
}

/// The newest checkpoint of a chain.
pub fn newest(tx: &mut dyn Tx, chain: &str) -> Result<Option<Checkpoint>, StoreError> {
    let sql = "SELECT chain, seq, hash, at, key_id FROM checkpoint WHERE chain = $1 ORDER BY seq DESC LIMIT 1";
    let row = tx.query(sql, &[chain.into()])?.pop();
    row.map(|row| {
        let mut columns = Columns::new("checkpoint", row);
        let (chain, seq) = (columns.text()?, columns.count()?);
        let hash = columns.blob()?.try_into().map_err(|_| columns.corrupt("its hash is not 32 bytes"))?;
        Ok(Checkpoint { chain, seq, hash, at: Millis(columns.int()?), key_id: columns.text()? })
    })
    .transpose()
}

/// What is signed, from the columns chain, seq, hash, at and key_id as they stand in the row.
pub(super) fn message(columns: &[Value]) -> Vec<u8> {
    let mut message = Vec::new();
    let mut part = |bytes: &[u8]| {
        message.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        message.extend_from_slice(bytes);
    };
    part(b"watchkeep checkpoint 1");
    for column in columns {
        match column {
            Value::Int(number) => part(&number.to_be_bytes()),
            other => part(other.bytes().unwrap_or_default()),
        }
    }
    message
}
