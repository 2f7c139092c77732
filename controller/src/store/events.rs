//! Events as agents reported them.

use std::collections::BTreeMap;

use serde::Serialize;
use watchkeep_desk::Millis;

use super::{StoreError, Tx};

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// `<agent>/<spool>/<number>`: the same event never has two rows.
    pub id: String,
    pub agent: String,
    /// When it was so, by the agent's corrected time.
    pub at: Millis,
    pub learned_at: Millis,
    pub labels: BTreeMap<String, String>,
    pub text: String,
}

/// Keeps an event; one that is kept already stays as it is.
pub fn save(tx: &mut dyn Tx, event: &Event) -> Result<(), StoreError> {
    let kind = event.labels.get("kind").map_or("", String::as_str);
    let labels = serde_json::to_string(&event.labels).expect("labels are text");
    tx.execute(
        "INSERT INTO event (id, agent, kind, at, learned_at, labels, text) VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (id) DO NOTHING",
        &[
            event.id.as_str().into(),
            event.agent.as_str().into(),
            kind.into(),
            event.at.into(),
            event.learned_at.into(),
            labels.into(),
            event.text.as_str().into(),
        ],
    )
    .map(drop)
}

/// Forgets events learned before `before`, `limit` at most; how many.
pub fn forget(tx: &mut dyn Tx, before: Millis, limit: u32) -> Result<u64, StoreError> {
    let sql =
        "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE learned_at < $1 ORDER BY learned_at, id LIMIT $2)";
    tx.execute(sql, &[before.into(), limit.into()])
}
