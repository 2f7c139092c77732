//! Relations: a row for each time that one held.

use watchkeep_desk::cmdb::Relation;

use super::{StoreError, Tx, insert, json};

pub(super) fn save(tx: &mut dyn Tx, edge: &Relation) -> Result<(), StoreError> {
    let (from, kind, to) = (edge.from.to_string(), edge.kind.word(), edge.to.to_string());
    let columns = [
        ("from_ci", from.as_str().into()),
        ("kind", kind.into()),
        ("to_ci", to.as_str().into()),
        ("learned_at", edge.since.learned.into()),
        ("valid_from", edge.since.happened.into()),
        ("valid_to", edge.until.map(|until| until.happened).into()),
        ("unlearned_at", edge.until.map(|until| until.learned).into()),
        ("latest", true.into()),
        ("body", json(edge).into()),
    ];
    tx.execute(
        "UPDATE relation SET latest = 0
         WHERE from_ci = $1 AND kind = $2 AND to_ci = $3 AND latest = 1 AND learned_at <> $4",
        &[from.into(), kind.into(), to.into(), edge.since.learned.into()],
    )?;
    insert(tx, "relation", "from_ci, kind, to_ci, learned_at", &columns)
}
