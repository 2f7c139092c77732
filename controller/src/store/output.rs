//! What commands printed, forgotten by age: in runs and incidents that the desk has let go of. The records stay, and say in
//! its place that it was erased.

use serde::Serialize;
use serde::de::DeserializeOwned;
use watchkeep_desk::Millis;
use watchkeep_desk::incidents::Incident;
use watchkeep_desk::runbooks::Run;

use super::records::json;
use super::{Columns, StoreError, Tx};

/// Stands where output was.
pub const ERASED: &str = "(erased, its term being over)";

/// Forgets the output of runs that were settled and not touched since `before`, `limit` at most; how many.
///
/// # Errors
/// The store refuses.
pub fn forget_of_runs(tx: &mut dyn Tx, before: Millis, limit: u32) -> Result<u64, StoreError> {
    forget(tx, "run", before, limit, &mut |run: &mut Run| {
        let outputs = run.journal.iter_mut().flat_map(|step| [&mut step.stdout, &mut step.stderr]);
        outputs.filter(|text| !text.is_empty()).for_each(erase);
    })
}

/// Forgets what was attached to incidents that are over and were not touched since `before`, `limit` at most; how many.
///
/// # Errors
/// The store refuses.
pub fn forget_of_incidents(tx: &mut dyn Tx, before: Millis, limit: u32) -> Result<u64, StoreError> {
    forget(tx, "incident", before, limit, &mut |incident: &mut Incident| {
        incident.attachments.iter_mut().for_each(|attachment| erase(&mut attachment.text));
    })
}

/// Whether a run holds output.
pub fn is_in_run(run: &Run) -> bool {
    run.journal.iter().any(|step| !step.stdout.is_empty() || !step.stderr.is_empty())
}

/// Whether an incident holds output.
pub fn is_in_incident(incident: &Incident) -> bool {
    !incident.attachments.is_empty()
}

fn erase(text: &mut String) {
    ERASED.clone_into(text);
}

fn forget<T: DeserializeOwned + Serialize>(
    tx: &mut dyn Tx,
    table: &'static str,
    before: Millis,
    limit: u32,
    erase: &mut dyn FnMut(&mut T),
) -> Result<u64, StoreError> {
    let sql = format!(
        "SELECT number, body FROM {table} WHERE held = 0 AND output = 1 AND updated_at < $1
         ORDER BY updated_at, number LIMIT $2"
    );
    let rows = tx.query(&sql, &[before.into(), limit.into()])?;
    let count = rows.len() as u64;
    for row in rows {
        let mut columns = Columns::new(table, row);
        let number = columns.int()?;
        let mut record: T = columns.json()?;
        erase(&mut record);
        let sql = format!("UPDATE {table} SET body = $2, output = 0 WHERE number = $1");
        tx.execute(&sql, &[number.into(), json(&record).into()])?;
    }
    Ok(count)
}
