//! Configuration items, and every value that their attributes ever had.

use std::collections::BTreeMap;

use watchkeep_desk::Millis;
use watchkeep_desk::cmdb::{Ci, Source, When};

use super::{StoreError, Tx, insert, json};
use crate::store::Columns;

/// The name under which an item's lifecycle stands among its attributes.
pub(crate) const LIFECYCLE: &str = "@lifecycle";

/// The source of a measurement: one row, as last heard, that is no part of any history.
pub(crate) const MEASURED: &str = "measured";

/// A value that an attribute has now.
struct Now {
    value: String,
    source: &'static str,
    since: When,
    /// Its former values are kept; a measurement's are not.
    state: bool,
}

pub(super) fn save(tx: &mut dyn Tx, item: &Ci, now: Millis) -> Result<(), StoreError> {
    let id = item.id.to_string();
    let columns = [
        ("id", id.as_str().into()),
        ("class", item.class.word().into()),
        ("name", item.name.as_str().into()),
        ("lifecycle", item.lifecycle.word().into()),
        ("host", item.host.map(|host| host.to_string()).into()),
        ("agent", item.agent.as_deref().map(str::to_owned).into()),
        ("first_seen", item.first_seen.into()),
        ("last_seen", item.last_seen.into()),
        ("updated_at", now.into()),
        ("body", json(item).into()),
    ];
    insert(tx, "ci", "id", &columns)?;
    keep_history(tx, &id, &attributes(item), now)
}

/// The record's attributes and measurements, and its lifecycle as one of them.
fn attributes(item: &Ci) -> BTreeMap<String, Now> {
    let held = item.attributes().map(|(name, held)| {
        let since = When { happened: held.happened_at, learned: held.learned_at };
        (name.to_owned(), Now { value: held.value.to_string(), source: source(held.source), since, state: true })
    });
    let measured = item.measurements.iter().map(|(name, measured)| {
        let since = When { happened: measured.happened_at, learned: measured.happened_at };
        (name.to_owned(), Now { value: measured.value.to_string(), source: MEASURED, since, state: false })
    });
    let lifecycle =
        Now { value: item.lifecycle.word().to_owned(), source: "", since: item.lifecycle_since, state: true };
    held.chain(measured).chain([(LIFECYCLE.to_owned(), lifecycle)]).collect()
}

fn source(source: Source) -> &'static str {
    match source {
        Source::Agent => "agent",
        Source::Import => "import",
        Source::Hand => "hand",
    }
}

/// Ends the rows whose value changed or went, and begins those that came. A measurement has one row, as last heard.
fn keep_history(tx: &mut dyn Tx, ci: &str, now: &BTreeMap<String, Now>, learned: Millis) -> Result<(), StoreError> {
    let mut before = current(tx, ci)?;
    for (name, new) in now {
        match before.remove(name) {
            Some(old) if old == (new.value.clone(), new.source.to_owned()) => {}
            Some(_) if new.state => {
                end(tx, ci, name, new.since)?;
                begin(tx, ci, name, new)?;
            }
            Some(_) => measure(tx, ci, name, new)?,
            None => begin(tx, ci, name, new)?,
        }
    }
    // An attribute that is no longer said ended when that was learned; nobody knows of an earlier instant.
    before.keys().try_for_each(|name| end(tx, ci, name, When { happened: learned, learned }))
}

/// Name → value and source.
fn current(tx: &mut dyn Tx, ci: &str) -> Result<BTreeMap<String, (String, String)>, StoreError> {
    let sql = "SELECT name, value, source FROM ci_attribute WHERE ci = $1 AND unlearned_at IS NULL LIMIT 10000";
    let rows = tx.query(sql, &[ci.into()])?;
    rows.into_iter()
        .map(|row| {
            let mut columns = Columns::new("ci_attribute", row);
            Ok((columns.text()?, (columns.text()?, columns.text()?)))
        })
        .collect()
}

fn begin(tx: &mut dyn Tx, ci: &str, name: &str, new: &Now) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO ci_attribute (ci, name, value, source, valid_from, learned_at) VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            ci.into(),
            name.into(),
            new.value.as_str().into(),
            new.source.into(),
            new.since.happened.into(),
            new.since.learned.into(),
        ],
    )
    .map(drop)
}

fn end(tx: &mut dyn Tx, ci: &str, name: &str, when: When) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE ci_attribute SET valid_to = $3, unlearned_at = $4 WHERE ci = $1 AND name = $2 AND unlearned_at IS NULL",
        &[ci.into(), name.into(), when.happened.into(), when.learned.into()],
    )
    .map(drop)
}

fn measure(tx: &mut dyn Tx, ci: &str, name: &str, new: &Now) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE ci_attribute SET value = $3, source = $4 WHERE ci = $1 AND name = $2 AND unlearned_at IS NULL",
        &[ci.into(), name.into(), new.value.as_str().into(), new.source.into()],
    )
    .map(drop)
}
