//! Runs of runbooks.

use serde::Serialize;
use watchkeep_desk::Millis;
use watchkeep_desk::ids::{ChangeId, IncidentId, RunId};
use watchkeep_desk::runbooks::{Run, State};

use super::{Page, Where, bounded, number_cursor};
use crate::store::{Columns, Row, StoreError, Tx};

/// Which runs; all that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Empty: any.
    pub states: Vec<State>,
    pub runbook: Option<String>,
    pub incident: Option<IncidentId>,
    pub agent: Option<String>,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunRow {
    pub id: RunId,
    pub runbook: String,
    pub state: String,
    pub incident: Option<IncidentId>,
    pub change: Option<ChangeId>,
    pub agent: Option<String>,
    pub opened_at: Millis,
    pub updated_at: Millis,
}

/// The newest first.
pub fn list(tx: &mut dyn Tx, filter: &Filter, cursor: Option<&str>, limit: u32) -> Result<Page<RunRow>, StoreError> {
    let limit = bounded(limit);
    let mut only = Where::default();
    only.any_of("state", filter.states.iter().map(|state| state.word().into()));
    only.equals("runbook", filter.runbook.as_deref());
    only.equals("incident", filter.incident.map(|incident| incident.0));
    only.equals("agent", filter.agent.as_deref());
    if let Some(before) = number_cursor(cursor)? {
        only.is("number", "<", before);
    }
    let most = only.place(limit + 1);
    let sql = format!(
        "SELECT number, runbook, state, incident, change, agent, opened_at, updated_at FROM run{}
         ORDER BY number DESC LIMIT {most}",
        only.sql()
    );
    let rows = tx.query(&sql, &only.params)?.into_iter().map(row).collect::<Result<_, _>>()?;
    Ok(Page::cut(rows, limit, |row: &RunRow| row.id.0.to_string()))
}

/// The whole record, its plan and journal with it.
pub fn get(tx: &mut dyn Tx, id: RunId) -> Result<Option<Run>, StoreError> {
    let found = tx.query("SELECT body FROM run WHERE number = $1", &[id.0.into()])?.pop();
    found.map(|row| Columns::new("run", row).json()).transpose()
}

fn row(row: Row) -> Result<RunRow, StoreError> {
    let mut columns = Columns::new("run", row);
    Ok(RunRow {
        id: RunId(columns.count()?),
        runbook: columns.text()?,
        state: columns.text()?,
        incident: columns.opt_count()?.map(IncidentId),
        change: columns.opt_count()?.map(ChangeId),
        agent: columns.opt_text()?,
        opened_at: Millis(columns.int()?),
        updated_at: Millis(columns.int()?),
    })
}
