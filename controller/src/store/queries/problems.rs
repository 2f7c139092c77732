//! Problems.

use std::collections::BTreeMap;

use serde::Serialize;
use watchkeep_desk::Millis;
use watchkeep_desk::ids::{IncidentId, ProblemId};
use watchkeep_desk::problems::{Origin, Problem, State};

use super::{Page, Where, bounded, counted, number_cursor};
use crate::store::{Columns, Row, StoreError, Tx};

/// Which problems; all that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Empty: any.
    pub states: Vec<State>,
    /// Empty: any.
    pub origins: Vec<Origin>,
    /// 1 to 5; empty: any.
    pub priorities: Vec<u8>,
    /// It stands in the problem.
    pub incident: Option<IncidentId>,
    pub group: Option<String>,
    /// Within the title, in either case.
    pub text: Option<String>,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProblemRow {
    pub id: ProblemId,
    pub state: String,
    pub origin: String,
    /// 1 is worst.
    pub priority: u8,
    pub title: String,
    pub group: Option<String>,
    /// How many stand in it.
    pub incidents: u64,
    pub opened_at: Millis,
    pub resolved_at: Option<Millis>,
    pub updated_at: Millis,
}

const COLUMNS: &str =
    "number, state, origin, priority, title, assigned_group, incidents, opened_at, resolved_at, updated_at";

/// How many stand in each state.
pub fn count(tx: &mut dyn Tx) -> Result<BTreeMap<String, u64>, StoreError> {
    counted(tx, "problem", "state")
}

/// The newest first.
pub fn list(
    tx: &mut dyn Tx,
    filter: &Filter,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Page<ProblemRow>, StoreError> {
    let limit = bounded(limit);
    let mut only = Where::default();
    only.any_of("state", filter.states.iter().map(|state| state.word().into()));
    only.any_of("origin", filter.origins.iter().map(|origin| origin.word().into()));
    only.any_of("priority", filter.priorities.iter().map(|level| i64::from(*level).into()));
    only.contains(&["title"], filter.text.as_deref());
    only.equals("assigned_group", filter.group.as_deref());
    if let Some(incident) = filter.incident {
        let place = only.place(incident.0);
        only.conditions.push(format!("number IN (SELECT problem FROM problem_incident WHERE incident = {place})"));
    }
    if let Some(before) = number_cursor(cursor)? {
        only.is("number", "<", before);
    }
    let most = only.place(limit + 1);
    let sql = format!("SELECT {COLUMNS} FROM problem{} ORDER BY number DESC LIMIT {most}", only.sql());
    let rows = tx.query(&sql, &only.params)?.into_iter().map(row).collect::<Result<_, _>>()?;
    Ok(Page::cut(rows, limit, |row: &ProblemRow| row.id.0.to_string()))
}

/// The whole record.
pub fn get(tx: &mut dyn Tx, id: ProblemId) -> Result<Option<Problem>, StoreError> {
    let found = tx.query("SELECT body FROM problem WHERE number = $1", &[id.0.into()])?.pop();
    found.map(|row| Columns::new("problem", row).json()).transpose()
}

fn row(row: Row) -> Result<ProblemRow, StoreError> {
    let mut columns = Columns::new("problem", row);
    Ok(ProblemRow {
        id: ProblemId(columns.count()?),
        state: columns.text()?,
        origin: columns.text()?,
        priority: u8::try_from(columns.int()?).map_err(|_| columns.corrupt("its priority is not 1 to 5"))?,
        title: columns.text()?,
        group: columns.opt_text()?,
        incidents: columns.count()?,
        opened_at: Millis(columns.int()?),
        resolved_at: columns.opt_int()?.map(Millis),
        updated_at: Millis(columns.int()?),
    })
}
