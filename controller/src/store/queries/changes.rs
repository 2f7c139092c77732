//! Changes.

use serde::Serialize;
use watchkeep_desk::Millis;
use watchkeep_desk::changes::{Change, State};
use watchkeep_desk::ids::{ChangeId, CiId, IncidentId, RunId};

use super::{Page, Where, bounded, number_cursor};
use crate::store::{Columns, Row, StoreError, Tx};

/// Which changes; all that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Empty: any.
    pub states: Vec<State>,
    pub incident: Option<IncidentId>,
    pub run: Option<RunId>,
    pub agent: Option<String>,
    /// It touches this item.
    pub ci: Option<CiId>,
    /// Within the title, in either case.
    pub text: Option<String>,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChangeRow {
    pub id: ChangeId,
    pub kind: String,
    pub state: String,
    pub title: String,
    pub run: Option<RunId>,
    pub incident: Option<IncidentId>,
    pub agent: Option<String>,
    pub opened_at: Millis,
    pub updated_at: Millis,
}

/// The newest first.
pub fn list(tx: &mut dyn Tx, filter: &Filter, cursor: Option<&str>, limit: u32) -> Result<Page<ChangeRow>, StoreError> {
    let limit = bounded(limit);
    let mut only = Where::default();
    only.any_of("state", filter.states.iter().map(|state| state.word().into()));
    only.equals("incident", filter.incident.map(|incident| incident.0));
    only.equals("run", filter.run.map(|run| run.0));
    only.equals("agent", filter.agent.as_deref());
    only.contains(&["title"], filter.text.as_deref());
    if let Some(ci) = filter.ci {
        let place = only.place(ci.to_string());
        only.conditions.push(format!("number IN (SELECT change FROM change_ci WHERE ci = {place})"));
    }
    if let Some(before) = number_cursor(cursor)? {
        only.is("number", "<", before);
    }
    let most = only.place(limit + 1);
    let sql = format!(
        "SELECT number, kind, state, title, run, incident, agent, opened_at, updated_at FROM change{}
         ORDER BY number DESC LIMIT {most}",
        only.sql()
    );
    let rows = tx.query(&sql, &only.params)?.into_iter().map(row).collect::<Result<_, _>>()?;
    Ok(Page::cut(rows, limit, |row: &ChangeRow| row.id.0.to_string()))
}

/// The whole record.
pub fn get(tx: &mut dyn Tx, id: ChangeId) -> Result<Option<Change>, StoreError> {
    let found = tx.query("SELECT body FROM change WHERE number = $1", &[id.0.into()])?.pop();
    found.map(|row| Columns::new("change", row).json()).transpose()
}

fn row(row: Row) -> Result<ChangeRow, StoreError> {
    let mut columns = Columns::new("change", row);
    Ok(ChangeRow {
        id: ChangeId(columns.count()?),
        kind: columns.text()?,
        state: columns.text()?,
        title: columns.text()?,
        run: columns.opt_count()?.map(RunId),
        incident: columns.opt_count()?.map(IncidentId),
        agent: columns.opt_text()?,
        opened_at: Millis(columns.int()?),
        updated_at: Millis(columns.int()?),
    })
}
