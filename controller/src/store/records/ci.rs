//! Configuration items, and every value that their attributes ever had.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use watchkeep_desk::Millis;
use watchkeep_desk::cmdb::Ci;

use super::{StoreError, Tx, fields, insert, json};
use crate::store::Columns;

/// The name under which an item's lifecycle stands among its attributes.
pub(crate) const LIFECYCLE: &str = "@lifecycle";

/// A value that an attribute has now.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Now {
    /// JSON.
    value: String,
    source: String,
    valid_from: i64,
    learned_at: i64,
}

pub(super) fn save(tx: &mut dyn Tx, item: &Ci, now: Millis) -> Result<(), StoreError> {
    let body = fields(item);
    let text = |at: &str| body.pointer(at).and_then(Json::as_str).unwrap_or_default();
    let number = |at: &str| body.pointer(at).and_then(Json::as_i64).unwrap_or_default();
    let id = item.id.to_string();
    let columns = [
        ("id", id.as_str().into()),
        ("class", text("/class").into()),
        ("name", text("/name").into()),
        ("lifecycle", text("/lifecycle").into()),
        ("host", body.pointer("/host").and_then(Json::as_str).map(str::to_owned).into()),
        ("agent", body.pointer("/agent").and_then(Json::as_str).map(str::to_owned).into()),
        ("first_seen", number("/first_seen").into()),
        ("last_seen", number("/last_seen").into()),
        ("updated_at", now.into()),
        ("body", json(item).into()),
    ];
    insert(tx, "ci", "id", &columns)?;
    keep_history(tx, &id, &attributes(&body))
}

/// The record's attributes, and its lifecycle as one of them.
fn attributes(body: &Json) -> BTreeMap<String, Now> {
    let at = |value: &Json, name: &str| value.get(name).and_then(Json::as_i64).unwrap_or_default();
    let held = body.get("attributes").and_then(Json::as_object).into_iter().flatten().map(|(name, held)| {
        let now = Now {
            value: held.get("value").unwrap_or(&Json::Null).to_string(),
            source: held.get("source").and_then(Json::as_str).unwrap_or_default().to_owned(),
            valid_from: at(held, "happened_at"),
            learned_at: at(held, "learned_at"),
        };
        (name.clone(), now)
    });
    let lifecycle = body.get("lifecycle").map(|lifecycle| {
        let since = body.get("lifecycle_since").unwrap_or(&Json::Null);
        let now = Now {
            value: lifecycle.to_string(),
            source: String::new(),
            valid_from: at(since, "happened"),
            learned_at: at(since, "learned"),
        };
        (LIFECYCLE.to_owned(), now)
    });
    held.chain(lifecycle).collect()
}

/// Ends the rows whose value changed or went, and begins those that came.
fn keep_history(tx: &mut dyn Tx, ci: &str, now: &BTreeMap<String, Now>) -> Result<(), StoreError> {
    let mut before = current(tx, ci)?;
    for (name, new) in now {
        match before.remove(name) {
            Some(old) if old.value == new.value && old.source == new.source => continue,
            Some(_) => end(tx, ci, name, new.valid_from, new.learned_at)?,
            None => {}
        }
        tx.execute(
            "INSERT INTO ci_attribute (ci, name, value, source, valid_from, learned_at) VALUES ($1, $2, $3, $4, $5, $6)",
            &[
                ci.into(),
                name.as_str().into(),
                new.value.as_str().into(),
                new.source.as_str().into(),
                new.valid_from.into(),
                new.learned_at.into(),
            ],
        )?;
    }
    // An attribute that is no longer said ends with the newest thing that was learned of the item.
    let newest = now.values().map(|one| (one.learned_at, one.valid_from)).max().unwrap_or_default();
    before.keys().try_for_each(|name| end(tx, ci, name, newest.1, newest.0))
}

fn current(tx: &mut dyn Tx, ci: &str) -> Result<BTreeMap<String, Now>, StoreError> {
    let sql = "SELECT name, value, source, valid_from, learned_at FROM ci_attribute
        WHERE ci = $1 AND unlearned_at IS NULL LIMIT 10000";
    let rows = tx.query(sql, &[ci.into()])?;
    rows.into_iter()
        .map(|row| {
            let mut columns = Columns::new("ci_attribute", row);
            let name = columns.text()?;
            let (value, source) = (columns.text()?, columns.text()?);
            Ok((name, Now { value, source, valid_from: columns.int()?, learned_at: columns.int()? }))
        })
        .collect()
}

fn end(tx: &mut dyn Tx, ci: &str, name: &str, valid_to: i64, unlearned_at: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE ci_attribute SET valid_to = $3, unlearned_at = $4 WHERE ci = $1 AND name = $2 AND unlearned_at IS NULL",
        &[ci.into(), name.into(), valid_to.into(), unlearned_at.into()],
    )
    .map(drop)
}
