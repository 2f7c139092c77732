//! Incidents.

use std::collections::BTreeMap;

use serde::Serialize;
use watchkeep_desk::Millis;
use watchkeep_desk::ids::{CiId, IncidentId};
use watchkeep_desk::incidents::{Incident, State};

use super::{Page, Where, bounded, counted, number_cursor};
use crate::store::{Columns, Row, StoreError, Tx};

/// Which incidents; all that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Empty: any.
    pub states: Vec<State>,
    /// 1 to 5; empty: any.
    pub priorities: Vec<u8>,
    /// Within title, rule or key, in either case.
    pub text: Option<String>,
    pub key: Option<String>,
    pub ci: Option<CiId>,
    pub agent: Option<String>,
    pub assignee: Option<String>,
    pub group: Option<String>,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IncidentRow {
    pub id: IncidentId,
    pub key: String,
    pub state: String,
    /// 1 is worst.
    pub priority: u8,
    pub title: String,
    pub rule: String,
    pub ci: Option<String>,
    pub agent: Option<String>,
    pub service: Option<String>,
    pub assignee: Option<String>,
    pub group: Option<String>,
    pub opened_at: Millis,
    pub resolved_at: Option<Millis>,
    pub updated_at: Millis,
}

const COLUMNS: &str =
    "number, incident_key, state, priority, title, rule, ci, agent, service, assignee, assigned_group,
    opened_at, resolved_at, updated_at";

/// The newest first.
pub fn list(
    tx: &mut dyn Tx,
    filter: &Filter,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Page<IncidentRow>, StoreError> {
    let limit = bounded(limit);
    let mut only = Where::default();
    only.any_of("state", filter.states.iter().map(|state| state.word().into()));
    only.any_of("priority", filter.priorities.iter().map(|level| i64::from(*level).into()));
    only.contains(&["title", "rule", "incident_key"], filter.text.as_deref());
    only.equals("incident_key", filter.key.as_deref());
    only.equals("ci", filter.ci.map(|ci| ci.to_string()));
    only.equals("agent", filter.agent.as_deref());
    only.equals("assignee", filter.assignee.as_deref());
    only.equals("assigned_group", filter.group.as_deref());
    if let Some(before) = number_cursor(cursor)? {
        only.is("number", "<", before);
    }
    let most = only.place(limit + 1);
    let sql = format!("SELECT {COLUMNS} FROM incident{} ORDER BY number DESC LIMIT {most}", only.sql());
    let rows = tx.query(&sql, &only.params)?.into_iter().map(row).collect::<Result<_, _>>()?;
    Ok(Page::cut(rows, limit, |row: &IncidentRow| row.id.0.to_string()))
}

/// The whole record.
pub fn get(tx: &mut dyn Tx, id: IncidentId) -> Result<Option<Incident>, StoreError> {
    let found = tx.query("SELECT body FROM incident WHERE number = $1", &[id.0.into()])?.pop();
    found.map(|row| Columns::new("incident", row).json()).transpose()
}

/// How many stand in each state.
pub fn count(tx: &mut dyn Tx) -> Result<BTreeMap<String, u64>, StoreError> {
    counted(tx, "incident", "state")
}

fn row(row: Row) -> Result<IncidentRow, StoreError> {
    let mut columns = Columns::new("incident", row);
    Ok(IncidentRow {
        id: IncidentId(columns.count()?),
        key: columns.text()?,
        state: columns.text()?,
        priority: u8::try_from(columns.int()?).map_err(|_| columns.corrupt("its priority is not 1 to 5"))?,
        title: columns.text()?,
        rule: columns.text()?,
        ci: columns.opt_text()?,
        agent: columns.opt_text()?,
        service: columns.opt_text()?,
        assignee: columns.opt_text()?,
        group: columns.opt_text()?,
        opened_at: Millis(columns.int()?),
        resolved_at: columns.opt_int()?.map(Millis),
        updated_at: Millis(columns.int()?),
    })
}
