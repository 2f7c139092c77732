//! What is kept of each host between inputs: one row of JSON.

use std::collections::BTreeMap;

use crate::ingest::HostRow;
use crate::store::{Columns, StoreError, Tx};

/// Keeps a host's row as it now stands.
pub fn save(tx: &mut dyn Tx, agent: &str, row: &HostRow) -> Result<(), StoreError> {
    let state = serde_json::to_string(row).expect("a host's row is plain data with text for keys");
    tx.execute(
        "INSERT INTO host_state (agent, state) VALUES ($1, $2) ON CONFLICT (agent) DO UPDATE SET state = excluded.state",
        &[agent.into(), state.into()],
    )
    .map(drop)
}

/// What was on the agent's host is retired; a host of which nothing is kept has nothing to be told again.
pub fn retire(tx: &mut dyn Tx, agent: &str) -> Result<(), StoreError> {
    let sql = "SELECT state FROM host_state WHERE agent = $1";
    let Some(row) = tx.query(sql, &[agent.into()])?.pop() else { return Ok(()) };
    let row: HostRow = Columns::new("host_state", row).json()?;
    save(tx, agent, &HostRow { sections: BTreeMap::new(), retired: true, ..row })
}

/// Every host's row, by agent.
pub fn all(tx: &mut dyn Tx) -> Result<BTreeMap<String, HostRow>, StoreError> {
    let mut found: BTreeMap<String, HostRow> = BTreeMap::new();
    loop {
        let after = found.keys().next_back().cloned().unwrap_or_default();
        let sql = "SELECT agent, state FROM host_state WHERE agent > $1 ORDER BY agent LIMIT 500";
        let page = tx.query(sql, &[after.into()])?;
        if page.is_empty() {
            return Ok(found);
        }
        for row in page {
            let mut columns = Columns::new("host_state", row);
            found.insert(columns.text()?, columns.json()?);
        }
    }
}
