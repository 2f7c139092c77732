//! Spool marks: which matters of each agent's spool are committed.

use watchkeep_desk::Millis;

use super::{Columns, Row, StoreError, Tx};

/// Where one spool stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolMark {
    /// Hexadecimal.
    pub spool: String,
    pub agent: String,
    /// Matters below this number are committed.
    pub next_matter: u64,
    /// Rolling content hashes, as ingest writes them: what a cloned spool is noticed by.
    pub hashes: Vec<u8>,
    /// The same of what was taken under other spools of the agent and is passed over when it comes under this one …
    pub before: Vec<u8>,
    /// … below this number.
    pub before_until: u64,
    /// Nothing more is taken under this id; the agent was asked for another.
    pub condemned: bool,
    pub updated_at: Millis,
}

/// Keeps the mark as it now stands.
///
/// Errors: a mark that would go back is refused as corrupt, since what was acknowledged would be taken twice.
pub fn save(tx: &mut dyn Tx, mark: &SpoolMark) -> Result<(), StoreError> {
    let touched = tx.execute(
        "INSERT INTO spool_mark (spool, agent, next_matter, hashes, before_hashes, before_until, condemned, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (agent, spool) DO UPDATE SET next_matter = excluded.next_matter, hashes = excluded.hashes,
             before_hashes = excluded.before_hashes, before_until = excluded.before_until,
             condemned = excluded.condemned, updated_at = excluded.updated_at
         WHERE excluded.next_matter >= spool_mark.next_matter",
        &[
            mark.spool.as_str().into(),
            mark.agent.as_str().into(),
            mark.next_matter.into(),
            mark.hashes.as_slice().into(),
            mark.before.as_slice().into(),
            mark.before_until.into(),
            mark.condemned.into(),
            mark.updated_at.into(),
        ],
    )?;
    if touched == 1 {
        return Ok(());
    }
    let found = format!(
        "the mark of spool {} of agent \"{}\" would go back to matter {}, below what is committed",
        mark.spool, mark.agent, mark.next_matter
    );
    Err(StoreError::Corrupt { table: "spool_mark", found })
}

/// Forgets a spool that the agent has not used for long.
pub fn forget(tx: &mut dyn Tx, agent: &str, spool: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM spool_mark WHERE agent = $1 AND spool = $2";
    tx.execute(sql, &[agent.into(), spool.into()]).map(drop)
}

const COLUMNS: &str = "spool, agent, next_matter, hashes, before_hashes, before_until, condemned, updated_at";

/// The mark of one spool of an agent. The same spool id under another agent is another spool: a host that was cloned and
/// enrolled anew brings it along.
pub fn get(tx: &mut dyn Tx, agent: &str, spool: &str) -> Result<Option<SpoolMark>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM spool_mark WHERE agent = $1 AND spool = $2");
    tx.query(&sql, &[agent.into(), spool.into()])?.pop().map(mark).transpose()
}

/// An agent's spools, the one used last first.
pub fn of_agent(tx: &mut dyn Tx, agent: &str, limit: u32) -> Result<Vec<SpoolMark>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM spool_mark WHERE agent = $1 ORDER BY updated_at DESC, spool LIMIT $2");
    tx.query(&sql, &[agent.into(), limit.into()])?.into_iter().map(mark).collect()
}

/// Page by page through all marks, by agent and spool id, those after `after`.
pub fn all(tx: &mut dyn Tx, (agent, spool): (&str, &str), limit: u32) -> Result<Vec<SpoolMark>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM spool_mark WHERE agent > $1 OR (agent = $1 AND spool > $2)
         ORDER BY agent, spool LIMIT $3"
    );
    tx.query(&sql, &[agent.into(), spool.into(), limit.into()])?.into_iter().map(mark).collect()
}

fn mark(row: Row) -> Result<SpoolMark, StoreError> {
    let mut columns = Columns::new("spool_mark", row);
    Ok(SpoolMark {
        spool: columns.text()?,
        agent: columns.text()?,
        next_matter: columns.count()?,
        hashes: columns.blob()?,
        before: columns.opt_blob()?.unwrap_or_default(),
        before_until: columns.count()?,
        condemned: columns.truth()?,
        updated_at: Millis(columns.int()?),
    })
}
