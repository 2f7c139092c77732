//! Walking the ledger and naming the first place of each chain that does not hold.
//!
//! Of each entry, in this order: that its sequence is the next; that its `prev` is the hash before; that its hash is the
//! hash of its columns; that its body, salted, has the hash that the entry says, or was erased. Then each checkpoint:
//! that its key signed it, and that the entry that it names has that hash. Then that no body stands without an entry.
//! Columns are taken as they stand, damaged text included: damage must be found here, and not stop the finding.

use super::Head;
use super::checkpoint::message;
use super::entry::{HASHED_COUNT, Hex, NOTHING, body_hash, seal};
use super::report::{ChainReport, Fault, Field, Report};
use crate::store::{Columns, ReadPool, Row, StoreError, Tx, Value};

/// Whether the key of that id signed the message: (key id, message, signature).
pub type SignedBy<'f> = dyn Fn(&str, &[u8], &[u8]) -> bool + 'f;

/// Rows read at a time.
const PAGE: i64 = 500;
/// Chains walked; more are a fault.
const CHAINS_MAX: usize = 1_000;

/// Walks the whole ledger over one snapshot.
///
/// Errors: only where the database cannot be read; what does not hold is in the report.
pub fn verify(store: &ReadPool, signed_by: &SignedBy<'_>) -> Result<Report, StoreError> {
    store.read(|tx| walk(tx, signed_by))
}

/// The same inside a transaction.
pub fn walk(tx: &mut dyn Tx, signed_by: &SignedBy<'_>) -> Result<Report, StoreError> {
    let mut report = Report::default();
    for chain in chains(tx)? {
        let Value::Text(name) = &chain else {
            report.faults.push(fault(&chain, 0, Field::Header, "the chain's name is no text"));
            continue;
        };
        let mut walked = Chain::new(name);
        if let Err(broken) = walked.entries(tx)?.and(walked.checkpoints(tx, signed_by)?) {
            report.faults.push(broken);
        }
        report.chains.extend((walked.report.entries > 0).then_some(walked.report));
    }
    if let Some(orphan) = orphan(tx)? {
        report.faults.push(orphan);
    }
    Ok(report)
}

/// Every name of a chain that an entry or a checkpoint has.
fn chains(tx: &mut dyn Tx) -> Result<Vec<Value>, StoreError> {
    let sql = format!("SELECT chain FROM ledger UNION SELECT chain FROM checkpoint ORDER BY 1 LIMIT {CHAINS_MAX}");
    tx.query(&sql, &[])?.into_iter().map(|row| Columns::new("ledger", row).value()).collect()
}

/// A walk along one chain.
struct Chain {
    report: ChainReport,
}

/// Holds, or the first place that does not.
type Holds = Result<(), Fault>;

impl Chain {
    fn new(name: &str) -> Self {
        let head = Head { chain: name.to_owned(), seq: 0, hash: NOTHING };
        Self { report: ChainReport { head, entries: 0, erased: 0, checkpoints: 0 } }
    }

    fn entries(&mut self, tx: &mut dyn Tx) -> Result<Holds, StoreError> {
        let sql = "SELECT l.chain, l.seq, l.happened_at, l.learned_at, l.subject_kind, l.subject_id, l.actor, l.kind, l.cause,
                l.ordinal, l.generation, l.body_hash, l.prev, l.hash, b.seq, b.salt, b.body
            FROM ledger l LEFT JOIN ledger_body b ON b.chain = l.chain AND b.seq = l.seq
            WHERE l.chain = $1 AND l.seq > $2 ORDER BY l.seq LIMIT $3";
        let mut after = i64::MIN;
        loop {
            let name: Value = self.report.head.chain.as_str().into();
            let rows = tx.query(sql, &[name, after.into(), PAGE.into()])?;
            let last = (rows.len() as i64) < PAGE;
            for row in rows {
                if let Err(broken) = self.entry(&row) {
                    return Ok(Err(broken));
                }
                after = self.report.head.seq as i64;
            }
            if last {
                return Ok(Ok(()));
            }
        }
    }

    fn entry(&mut self, row: &Row) -> Holds {
        let expected = self.report.head.seq as i64 + 1;
        let (header, rest) = row.split_at(HASHED_COUNT);
        let (hash, body) = (&rest[0], &rest[1..]);
        let found = integer(&header[1]);
        if found != expected {
            return Err(self.fault(
                expected,
                Field::Sequence,
                format!("missing; the next one that is there says {found}"),
            ));
        }
        let prev = header[HASHED_COUNT - 1].bytes().unwrap_or_default();
        if prev != self.report.head.hash {
            let found =
                format!("it follows an entry {}, but the one before is {}", shown(prev), shown(&self.report.head.hash));
            return Err(self.fault(expected, Field::Link, found));
        }
        let sealed = seal(header);
        if hash.bytes() != Some(&sealed) {
            let found = format!(
                "its columns have the hash {}, but {} is written there",
                shown(&sealed),
                shown(hash.bytes().unwrap_or_default())
            );
            return Err(self.fault(expected, Field::Header, found));
        }
        self.body(expected, header[HASHED_COUNT - 2].bytes().unwrap_or_default(), body)?;
        self.report.head = Head { chain: self.report.head.chain.clone(), seq: expected as u64, hash: sealed };
        self.report.entries += 1;
        Ok(())
    }

    /// `found`: the body row's sequence, salt and body.
    fn body(&mut self, seq: i64, promised: &[u8], found: &[Value]) -> Holds {
        let (salt, body) = (&found[1], &found[2]);
        match (&found[0], salt, body) {
            (Value::Null, _, _) => Err(self.fault(seq, Field::Body, "it is missing, and was not erased")),
            (_, Value::Null, Value::Null) => {
                self.report.erased += 1;
                Ok(())
            }
            _ => {
                let found = body_hash(salt.bytes().unwrap_or_default(), body.bytes().unwrap_or_default());
                if found == promised {
                    return Ok(());
                }
                let found = format!("it has the hash {}, but the entry says {}", shown(&found), shown(promised));
                Err(self.fault(seq, Field::Body, found))
            }
        }
    }

    fn checkpoints(&mut self, tx: &mut dyn Tx, signed_by: &SignedBy<'_>) -> Result<Holds, StoreError> {
        let sql = "SELECT c.chain, c.seq, c.hash, c.at, c.key_id, c.signature, l.hash FROM checkpoint c
            LEFT JOIN ledger l ON l.chain = c.chain AND l.seq = c.seq
            WHERE c.chain = $1 AND c.seq > $2 ORDER BY c.seq LIMIT $3";
        let mut after = i64::MIN;
        loop {
            let name: Value = self.report.head.chain.as_str().into();
            let rows = tx.query(sql, &[name, after.into(), PAGE.into()])?;
            let last = (rows.len() as i64) < PAGE;
            for row in rows {
                after = integer(&row[1]);
                if let Err(broken) = self.checkpoint(after, &row, signed_by) {
                    return Ok(Err(broken));
                }
            }
            if last {
                return Ok(Ok(()));
            }
        }
    }

    fn checkpoint(&mut self, seq: i64, row: &Row, signed_by: &SignedBy<'_>) -> Holds {
        let (signed, rest) = row.split_at(5);
        let (signature, entry) = (&rest[0], &rest[1]);
        let Value::Text(key_id) = &signed[4] else {
            return Err(self.fault(seq, Field::Checkpoint, "the id of its key is no text"));
        };
        if !signed_by(key_id, &message(signed), signature.bytes().unwrap_or_default()) {
            return Err(self.fault(
                seq,
                Field::Checkpoint,
                format!("its signature is not one of the key \"{key_id}\""),
            ));
        }
        match entry.bytes() {
            Some(hash) if Some(hash) == signed[2].bytes() => {
                self.report.checkpoints += 1;
                Ok(())
            }
            Some(hash) => {
                let found = format!(
                    "{} was signed, but the entry is {}",
                    shown(signed[2].bytes().unwrap_or_default()),
                    shown(hash)
                );
                Err(self.fault(seq, Field::Checkpoint, found))
            }
            None => {
                let found =
                    format!("it was signed, but the chain ends at {}: entries were cut off", self.report.head.seq);
                Err(self.fault(seq, Field::Checkpoint, found))
            }
        }
    }

    fn fault(&self, seq: i64, field: Field, found: impl Into<String>) -> Fault {
        Fault { chain: self.report.head.chain.clone(), seq, field, found: found.into() }
    }
}

/// A body that belongs to no entry.
fn orphan(tx: &mut dyn Tx) -> Result<Option<Fault>, StoreError> {
    let sql = "SELECT b.chain, b.seq FROM ledger_body b LEFT JOIN ledger l ON l.chain = b.chain AND l.seq = b.seq
        WHERE l.seq IS NULL ORDER BY b.chain, b.seq LIMIT 1";
    Ok(tx.query(sql, &[])?.pop().map(|row| fault(&row[0], integer(&row[1]), Field::Body, "it belongs to no entry")))
}

/// The integer that belongs there; 0, which no entry has, for anything else.
fn integer(value: &Value) -> i64 {
    match value {
        Value::Int(number) => *number,
        _ => 0,
    }
}

fn fault(chain: &Value, seq: i64, field: Field, found: &str) -> Fault {
    let chain = String::from_utf8_lossy(chain.bytes().unwrap_or_default()).into_owned();
    Fault { chain, seq, field, found: found.to_owned() }
}

/// The first bytes of a hash, enough for people.
fn shown(hash: &[u8]) -> String {
    match hash {
        [] => "nothing".to_owned(),
        _ => format!("{}…", Hex(&hash[..hash.len().min(6)])),
    }
}
