//! Agents.

use std::collections::BTreeMap;

use serde::Serialize;
use watchkeep_desk::Millis;
use watchkeep_desk::desk::Agent;

use super::{Page, Where, bounded, counted};
use crate::store::{Columns, Row, StoreError, Tx};

/// Which agents; all that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// `connected`, `away` or `revoked`.
    pub standing: Option<String>,
    /// Within the name, in either case.
    pub text: Option<String>,
}

/// One agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AgentRow {
    /// `connected`, `away` or `revoked`.
    pub standing: String,
    pub updated_at: Millis,
    #[serde(flatten)]
    pub agent: Agent,
}

const COLUMNS: &str = "standing, updated_at, body";

/// How many are `connected`, `away` and `revoked`.
pub fn count(tx: &mut dyn Tx) -> Result<BTreeMap<String, u64>, StoreError> {
    counted(tx, "agent", "standing")
}

/// By name.
pub fn list(tx: &mut dyn Tx, filter: &Filter, cursor: Option<&str>, limit: u32) -> Result<Page<AgentRow>, StoreError> {
    let limit = bounded(limit);
    let mut only = Where::default();
    only.equals("standing", filter.standing.as_deref());
    only.contains(&["name"], filter.text.as_deref());
    if let Some(after) = cursor {
        only.is("name", ">", after);
    }
    let most = only.place(limit + 1);
    let sql = format!("SELECT {COLUMNS} FROM agent{} ORDER BY name LIMIT {most}", only.sql());
    let rows = tx.query(&sql, &only.params)?.into_iter().map(row).collect::<Result<_, _>>()?;
    Ok(Page::cut(rows, limit, |row: &AgentRow| row.agent.name.clone()))
}

/// Those away, longest gone first.
pub fn away(tx: &mut dyn Tx, limit: u32) -> Result<Vec<AgentRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM agent WHERE standing = 'away' ORDER BY updated_at, name LIMIT $1");
    tx.query(&sql, &[bounded(limit).into()])?.into_iter().map(row).collect()
}

pub fn get(tx: &mut dyn Tx, name: &str) -> Result<Option<AgentRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM agent WHERE name = $1");
    tx.query(&sql, &[name.into()])?.pop().map(row).transpose()
}

fn row(row: Row) -> Result<AgentRow, StoreError> {
    let mut columns = Columns::new("agent", row);
    Ok(AgentRow { standing: columns.text()?, updated_at: Millis(columns.int()?), agent: columns.json()? })
}
