//! Relations of a configuration item.

use serde::Serialize;
use watchkeep_desk::Millis;
use watchkeep_desk::cmdb::{Relation, RelationKind, Verdict};
use watchkeep_desk::ids::CiId;

use super::cis::AsOf;
use super::{Page, Where, bounded};
use crate::store::{Columns, Row, StoreError, Tx};

/// Which relations; all that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub kind: Option<RelationKind>,
    /// None: those that hold now, and those that a person denied.
    pub as_of: Option<AsOf>,
}

/// One relation, seen from one of its ends.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RelationRow {
    pub from: String,
    pub kind: String,
    pub to: String,
    pub valid_from: Millis,
    pub learned_at: Millis,
    pub valid_to: Option<Millis>,
    /// Observed ones: since when it is not seen any more.
    pub unseen_since: Option<Millis>,
    /// A person's word on it.
    pub verdict: Option<Verdict>,
    /// The thing at the other end.
    pub other: Other,
}

/// A configuration item in few words, as it is now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Other {
    pub id: String,
    pub class: String,
    pub name: String,
    pub lifecycle: String,
    /// The agent that speaks for it.
    pub agent: Option<String>,
}

/// The relations from and to the item, by kind, ends and time.
pub fn of_ci(
    tx: &mut dyn Tx,
    ci: CiId,
    filter: &Filter,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Page<RelationRow>, StoreError> {
    let limit = bounded(limit);
    let mut only = Where::default();
    let this = only.place(ci.to_string());
    only.conditions.push(format!("(from_ci = {this} OR to_ci = {this})"));
    only.equals("kind", filter.kind.map(RelationKind::word));
    match filter.as_of {
        Some(as_of) => {
            let holds = as_of.holds(&mut only);
            only.conditions.push(holds);
        }
        None => {
            let denied = r#"(latest = 1 AND body LIKE '%"verdict":"denied"%')"#;
            only.conditions.push(format!("(unlearned_at IS NULL OR {denied})"));
        }
    }
    let (key, other) = (
        "kind || ' ' || from_ci || ' ' || to_ci || ' ' || CAST(learned_at AS TEXT)",
        format!("CASE WHEN from_ci = {this} THEN to_ci ELSE from_ci END"),
    );
    if let Some(after) = cursor {
        only.is(key, ">", after);
    }
    let most = only.place(limit + 1);
    let sql = format!(
        "SELECT r.place, r.from_ci, r.kind, r.to_ci, r.valid_from, r.learned_at, r.valid_to, r.body, r.other, ci.class, ci.name, ci.lifecycle, ci.agent
         FROM (SELECT {key} AS place, {other} AS other, from_ci, kind, to_ci, valid_from, learned_at, valid_to, body FROM relation{}) r
         LEFT JOIN ci ON ci.id = r.other ORDER BY r.place LIMIT {most}",
        only.sql()
    );
    let rows = tx.query(&sql, &only.params)?.into_iter().map(row).collect::<Result<Vec<_>, _>>()?;
    let page = Page::cut(rows, limit, |(place, _)| place.clone());
    Ok(Page { items: page.items.into_iter().map(|(_, row)| row).collect(), next: page.next })
}

/// The row behind its place in the order.
fn row(row: Row) -> Result<(String, RelationRow), StoreError> {
    let mut columns = Columns::new("relation", row);
    let place = columns.text()?;
    let (from, kind, to) = (columns.text()?, columns.text()?, columns.text()?);
    let (valid_from, learned_at) = (Millis(columns.int()?), Millis(columns.int()?));
    let valid_to = columns.opt_int()?.map(Millis);
    let body: Relation = columns.json()?;
    let relation = RelationRow {
        from,
        kind,
        to,
        valid_from,
        learned_at,
        valid_to,
        unseen_since: body.unseen_since,
        verdict: body.verdict,
        other: Other {
            id: columns.text()?,
            class: columns.opt_text()?.unwrap_or_default(),
            name: columns.opt_text()?.unwrap_or_default(),
            lifecycle: columns.opt_text()?.unwrap_or_default(),
            agent: columns.opt_text()?,
        },
    };
    Ok((place, relation))
}
