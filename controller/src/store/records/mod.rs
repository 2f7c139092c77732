//! Records as they now stand, a file a table: the columns that lists ask for, beside the whole record as JSON.

pub(crate) mod ci;
mod practice;
mod relation;
mod restore;

use watchkeep_desk::{Millis, Record};

use super::{StoreError, Tx, Value};

pub use restore::restore;

/// Keeps each record as it now stands, in the place of what was kept of it before. `now`: when the input was judged.
pub fn save<'r>(tx: &mut dyn Tx, records: impl IntoIterator<Item = &'r Record>, now: Millis) -> Result<(), StoreError> {
    records.into_iter().try_for_each(|record| save_one(tx, record, now))
}

fn save_one(tx: &mut dyn Tx, record: &Record, now: Millis) -> Result<(), StoreError> {
    match record {
        Record::Incident(incident) => practice::incident(tx, incident, record.is_live(), now),
        Record::Problem(problem) => practice::problem(tx, problem, record.is_live(), now),
        Record::Change(change) => practice::change(tx, change, record.is_live(), now),
        Record::Run(run) => practice::run(tx, run, record.is_live(), now),
        Record::Agent(agent) => practice::agent(tx, agent, now),
        Record::Ci(item) => ci::save(tx, item, now),
        Record::Relation(edge) => relation::save(tx, edge),
        Record::Timer { timer, set: true } => insert(
            tx,
            "timer",
            "timer_key",
            &[("timer_key", record.key().1.into()), ("due", timer.due.into()), ("body", json(timer).into())],
        ),
        Record::Timer { set: false, .. } => {
            tx.execute("DELETE FROM timer WHERE timer_key = $1", &[record.key().1.into()]).map(drop)
        }
        // A setting that is null is one that is gone.
        Record::Setting { name, value } if value.is_null() => {
            tx.execute("DELETE FROM setting WHERE name = $1", &[name.as_str().into()]).map(drop)
        }
        Record::Setting { name, value } => insert(
            tx,
            "setting",
            "name",
            &[("name", name.as_str().into()), ("updated_at", now.into()), ("body", value.to_string().into())],
        ),
    }
}

/// Inserts a row, or puts it in the place of the one with the same `key` (columns, comma between).
fn insert(tx: &mut dyn Tx, table: &str, key: &str, columns: &[(&str, Value)]) -> Result<(), StoreError> {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let places: Vec<String> = (1..=columns.len()).map(|place| format!("${place}")).collect();
    let keys: Vec<&str> = key.split(", ").collect();
    let taken: Vec<String> =
        names.iter().filter(|name| !keys.contains(name)).map(|name| format!("{name} = excluded.{name}")).collect();
    let sql = format!(
        "INSERT INTO {table} ({}) VALUES ({}) ON CONFLICT ({key}) DO UPDATE SET {}",
        names.join(", "),
        places.join(", "),
        taken.join(", ")
    );
    let values: Vec<Value> = columns.iter().map(|(_, value)| value.clone()).collect();
    tx.execute(&sql, &values).map(drop)
}

pub(super) fn json<T: serde::Serialize>(record: &T) -> String {
    serde_json::to_string(record).expect("a record is plain data with text for keys")
}
