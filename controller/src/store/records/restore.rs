//! Reading back what the desk is restored from.

use serde::de::DeserializeOwned;
use watchkeep_desk::Record;

use crate::store::{Columns, StoreError, Tx, Value};

/// Rows read at a time.
const PAGE: usize = 1_000;

/// Every record that the desk holds in memory: those of practices that are not settled, all configuration items and
/// the newest of each relation, agents, timers and settings.
pub fn restore(tx: &mut dyn Tx) -> Result<Vec<Record>, StoreError> {
    let mut records = Vec::new();
    numbered(tx, "incident", &mut |body| Ok(Record::Incident(body)), &mut records)?;
    numbered(tx, "problem", &mut |body| Ok(Record::Problem(body)), &mut records)?;
    numbered(tx, "change", &mut |body| Ok(Record::Change(body)), &mut records)?;
    numbered(tx, "run", &mut |body| Ok(Record::Run(body)), &mut records)?;
    named(tx, "ci", "id", "1 = 1", &mut |_, body| Ok(Record::Ci(body)), &mut records)?;
    let newest = "latest = 1";
    let edge = "from_ci || ' ' || kind || ' ' || to_ci";
    named(tx, "relation", edge, newest, &mut |_, body| Ok(Record::Relation(body)), &mut records)?;
    named(tx, "agent", "name", "1 = 1", &mut |_, body| Ok(Record::Agent(body)), &mut records)?;
    named(tx, "timer", "timer_key", "1 = 1", &mut |_, timer| Ok(Record::Timer { timer, set: true }), &mut records)?;
    named(tx, "setting", "name", "1 = 1", &mut |name, value| Ok(Record::Setting { name, value }), &mut records)?;
    Ok(records)
}

/// Reads a table of numbered records page by page, those that are held.
fn numbered<T: DeserializeOwned>(
    tx: &mut dyn Tx,
    table: &'static str,
    make: &mut dyn FnMut(T) -> Result<Record, StoreError>,
    records: &mut Vec<Record>,
) -> Result<(), StoreError> {
    let sql = format!("SELECT number, body FROM {table} WHERE held = 1 AND number > $1 ORDER BY number LIMIT {PAGE}");
    let mut after = -1;
    loop {
        let rows = tx.query(&sql, &[Value::Int(after)])?;
        let last = rows.len() < PAGE;
        for row in rows {
            let mut columns = Columns::new(table, row);
            after = columns.int()?;
            records.push(make(columns.json()?)?);
        }
        if last {
            return Ok(());
        }
    }
}

/// Reads a table with a text for its key page by page.
fn named<T: DeserializeOwned>(
    tx: &mut dyn Tx,
    table: &'static str,
    key: &str,
    only: &str,
    make: &mut dyn FnMut(String, T) -> Result<Record, StoreError>,
    records: &mut Vec<Record>,
) -> Result<(), StoreError> {
    let sql = format!("SELECT {key}, body FROM {table} WHERE {only} AND {key} > $1 ORDER BY {key} LIMIT {PAGE}");
    let mut after = String::new();
    loop {
        let rows = tx.query(&sql, &[after.as_str().into()])?;
        let last = rows.len() < PAGE;
        for row in rows {
            let mut columns = Columns::new(table, row);
            after = columns.text()?;
            records.push(make(after.clone(), columns.json()?)?);
        }
        if last {
            return Ok(());
        }
    }
}
