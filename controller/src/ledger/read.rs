//! Reading the ledger: a feed with a cursor, a subject's story.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use watchkeep_desk::Millis;

use super::entry::hexadecimal;
use crate::store::{Columns, Row, StoreError, Tx, Value};

/// Facts read at a time, at most.
pub const LIMIT_MAX: u32 = 500;
/// Subjects that one filter names, at most.
const SUBJECTS_MAX: usize = 50;

/// A place in a chain; written `desk:17`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Cursor {
    pub chain: String,
    pub seq: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.chain, self.seq)
    }
}

/// Why a text is no cursor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no place in the ledger; it looks like desk:17")]
pub struct CursorError(String);

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let wrong = || CursorError(text.to_owned());
        let (chain, seq) = text.rsplit_once(':').filter(|(chain, _)| !chain.is_empty()).ok_or_else(wrong)?;
        let seq = seq.parse().ok().filter(|seq| i64::try_from(*seq).is_ok()).ok_or_else(wrong)?;
        Ok(Self { chain: chain.to_owned(), seq })
    }
}

impl TryFrom<String> for Cursor {
    type Error = CursorError;

    fn try_from(text: String) -> Result<Self, CursorError> {
        text.parse()
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.to_string()
    }
}

/// A fact as it stands in the ledger.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    pub cursor: Cursor,
    /// When it was so …
    pub happened_at: Millis,
    /// … and when the controller learned it.
    pub learned_at: Millis,
    pub subject: SubjectRef,
    /// `person:7`, `agent:web-3`, `rule:UnitFailed`, `run:RUN-4`, `controller`.
    pub actor: String,
    /// `incident.opened`, `run.step_sent` …
    pub kind: String,
    /// The order of the input that it follows from, and its place among that input's facts.
    pub cause: u64,
    pub ordinal: u64,
    pub generation: String,
    #[serde(serialize_with = "hexadecimal")]
    pub hash: [u8; 32],
    /// The fact with its reasons; none where it was erased.
    pub fact: Option<Json>,
}

/// What a fact is about, by kind and id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SubjectRef {
    /// `incident`, `change`, `run`, `ci`, `agent`, `generation`, `controller`.
    pub kind: String,
    /// `INC-7`; empty for the controller.
    pub id: String,
}

impl SubjectRef {
    pub fn new(kind: &str, id: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), id: id.into() }
    }
}

/// Which facts; all that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// About any of these; empty: about anything. 50 at most.
    pub subjects: Vec<SubjectRef>,
    /// Of this kind, or with a `.` at its end of any kind of that practice (`incident.`).
    pub kind: Option<String>,
    /// Learned at or after this.
    pub since: Option<Millis>,
    /// Following from this input.
    pub cause: Option<u64>,
}

/// Which end of the chain comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Oldest first, those after the cursor: a feed.
    Forward,
    /// Newest first, those before the cursor: a list.
    Backward,
}

/// Facts of `cursor`'s chain beyond the cursor that the filter takes, [`LIMIT_MAX`] at most. From the beginning of a chain
/// its cursor is `desk:0`; from its end, backward, `desk:9223372036854775807`.
pub fn facts(
    tx: &mut dyn Tx,
    filter: &Filter,
    cursor: &Cursor,
    direction: Direction,
    limit: u32,
) -> Result<Vec<Entry>, StoreError> {
    let mut params: Vec<Value> = vec![cursor.chain.as_str().into(), cursor.seq.into(), limit.min(LIMIT_MAX).into()];
    let conditions = conditions(filter, &mut params)?;
    let (beyond, order) = match direction {
        Direction::Forward => (">", "ASC"),
        Direction::Backward => ("<", "DESC"),
    };
    let sql = format!(
        "SELECT l.chain, l.seq, l.happened_at, l.learned_at, l.subject_kind, l.subject_id, l.actor, l.kind, l.cause, l.ordinal,
             l.generation, l.hash, b.body
         FROM ledger l LEFT JOIN ledger_body b ON b.chain = l.chain AND b.seq = l.seq
         WHERE l.chain = $1 AND l.seq {beyond} $2{conditions} ORDER BY l.seq {order} LIMIT $3"
    );
    tx.query(&sql, &params)?.into_iter().map(entry).collect()
}

/// Behind the end of every chain: a story before it is the newest.
pub const NEWEST: u64 = i64::MAX as u64;

/// The newest facts about any of the subjects, oldest first, of those before `before` in the desk's chain.
pub fn story(tx: &mut dyn Tx, subjects: &[SubjectRef], before: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
    let filter = Filter { subjects: subjects.to_vec(), ..Filter::default() };
    let cursor = Cursor { chain: super::DESK.to_owned(), seq: before };
    let mut found = facts(tx, &filter, &cursor, Direction::Backward, limit)?;
    found.reverse();
    Ok(found)
}

/// The filter as SQL behind `WHERE …`; its values go to `params`.
fn conditions(filter: &Filter, params: &mut Vec<Value>) -> Result<String, StoreError> {
    let mut sql = String::new();
    let mut place = |value: Value| {
        params.push(value);
        params.len()
    };
    if filter.subjects.len() > SUBJECTS_MAX {
        let found = format!("a filter names {} subjects; {SUBJECTS_MAX} are the most", filter.subjects.len());
        return Err(StoreError::Corrupt { table: "ledger", found });
    }
    let any: Vec<String> = filter
        .subjects
        .iter()
        .map(|subject| {
            let (kind, id) = (place(subject.kind.as_str().into()), place(subject.id.as_str().into()));
            format!("(l.subject_kind = ${kind} AND l.subject_id = ${id})")
        })
        .collect();
    if !any.is_empty() {
        sql.push_str(&format!(" AND ({})", any.join(" OR ")));
    }
    match filter.kind.as_deref() {
        // '/' is the character after '.': every kind that begins with the practice and a dot lies between.
        Some(practice) if practice.ends_with('.') => {
            let (from, to) = (place(practice.into()), place(practice.replace('.', "/").into()));
            sql.push_str(&format!(" AND l.kind >= ${from} AND l.kind < ${to}"));
        }
        Some(kind) => sql.push_str(&format!(" AND l.kind = ${}", place(kind.into()))),
        None => {}
    }
    if let Some(since) = filter.since {
        sql.push_str(&format!(" AND l.learned_at >= ${}", place(since.into())));
    }
    if let Some(cause) = filter.cause {
        sql.push_str(&format!(" AND l.cause = ${}", place(cause.into())));
    }
    Ok(sql)
}

fn entry(row: Row) -> Result<Entry, StoreError> {
    let mut columns = Columns::new("ledger", row);
    let cursor = Cursor { chain: columns.text()?, seq: columns.count()? };
    Ok(Entry {
        happened_at: Millis(columns.int()?),
        learned_at: Millis(columns.int()?),
        subject: SubjectRef { kind: columns.text()?, id: columns.text()? },
        actor: columns.text()?,
        kind: columns.text()?,
        cause: columns.count()?,
        ordinal: columns.count()?,
        generation: columns.text()?,
        hash: columns
            .blob()?
            .try_into()
            .map_err(|_| columns.corrupt(format!("the hash of {cursor} is not 32 bytes")))?,
        fact: columns.opt_text()?.map(|text| serde_json::from_str(&text)).transpose().map_err(|error| {
            columns.corrupt(format!("the body of {cursor} is damaged ({error}); run watchkeep audit verify"))
        })?,
        cursor,
    })
}

/// The bodies of the facts that followed from input `cause`, in their order, as texts; none where one was erased.
pub fn bodies(tx: &mut dyn Tx, chain: &str, cause: u64) -> Result<Vec<Option<String>>, StoreError> {
    let sql = "SELECT b.body FROM ledger l LEFT JOIN ledger_body b ON b.chain = l.chain AND b.seq = l.seq
        WHERE l.chain = $1 AND l.cause = $2 ORDER BY l.ordinal";
    tx.query(sql, &[chain.into(), cause.into()])?
        .into_iter()
        .map(|row| Columns::new("ledger_body", row).opt_text())
        .collect()
}
