//! Relations: a row for each time that one held.

use serde_json::Value as Json;
use watchkeep_desk::cmdb::Relation;

use super::{StoreError, Tx, fields, insert, json};

pub(super) fn save(tx: &mut dyn Tx, edge: &Relation) -> Result<(), StoreError> {
    let body = fields(edge);
    let (from, kind, to) = (edge.from.to_string(), edge.kind.to_string(), edge.to.to_string());
    let at = |pointer: &str| body.pointer(pointer).and_then(Json::as_i64);
    let learned_at = at("/since/learned").unwrap_or_default();
    let columns = [
        ("from_ci", from.as_str().into()),
        ("kind", kind.as_str().into()),
        ("to_ci", to.as_str().into()),
        ("learned_at", learned_at.into()),
        ("valid_from", at("/since/happened").unwrap_or_default().into()),
        ("valid_to", at("/until/happened").into()),
        ("unlearned_at", at("/until/learned").into()),
        ("latest", true.into()),
        ("body", json(edge).into()),
    ];
    tx.execute(
        "UPDATE relation SET latest = 0
         WHERE from_ci = $1 AND kind = $2 AND to_ci = $3 AND latest = 1 AND learned_at <> $4",
        &[from.into(), kind.into(), to.into(), learned_at.into()],
    )?;
    insert(tx, "relation", "from_ci, kind, to_ci, learned_at", &columns)
}
