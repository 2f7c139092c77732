//! Configuration items, as they are and as they were.

use std::collections::BTreeMap;

use serde::Serialize;
use watchkeep_desk::Millis;
use watchkeep_desk::cmdb::{Ci, Class};
use watchkeep_desk::ids::CiId;
use watchkeep_rules::selector::Selector;

use super::{Page, Where, bounded};
use crate::store::records::ci::{LIFECYCLE, MEASURED};
use crate::store::{Columns, Row, StoreError, Tx, Value};

/// Which items; all that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub class: Option<Class>,
    /// Exactly.
    pub name: Option<String>,
    /// Within the name, in either case.
    pub text: Option<String>,
    /// The beginning of its id, in lower case.
    pub id_begins: Option<String>,
    pub host: Option<CiId>,
    pub agent: Option<String>,
    /// Words of lifecycles; empty: any but retired and disposed.
    pub lifecycles: Vec<String>,
    /// Over the attributes, and over `class`, `name` and `lifecycle`.
    pub selector: Selector,
}

/// One item.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CiRow {
    pub id: CiId,
    pub class: String,
    pub name: String,
    pub lifecycle: String,
    pub host: Option<String>,
    pub agent: Option<String>,
    pub attributes: BTreeMap<String, String>,
    pub first_seen: Millis,
    pub last_seen: Millis,
}

/// An instant in both times: as it was at `at`, as far as it was known at `known`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsOf {
    pub at: Millis,
    pub known: Millis,
}

impl AsOf {
    /// As it was at `at`, as it was known then: the answer stays the same after later corrections.
    pub fn then(at: Millis) -> Self {
        Self { at, known: at }
    }

    /// The condition on rows with columns of both times.
    pub(super) fn holds(self, only: &mut Where) -> String {
        let (at, known) = (only.place(self.at), only.place(self.known));
        format!(
            "valid_from <= {at} AND learned_at <= {known}
             AND (unlearned_at IS NULL OR unlearned_at > {known} OR valid_to > {at})"
        )
    }
}

/// Items looked at for one page of a selector; where fewer fit, the page is short and its cursor goes on.
const SCANNED_MAX: u32 = 5_000;
/// Items whose attributes are read at a time.
const PAGE: usize = 200;

/// By class, name and id. With `as_of`: those that were there, with the attributes that they had.
pub fn list(
    tx: &mut dyn Tx,
    filter: &Filter,
    as_of: Option<AsOf>,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Page<CiRow>, StoreError> {
    let limit = bounded(limit);
    let mut only = Where::default();
    only.equals("class", filter.class.map(Class::word));
    only.equals("name", filter.name.as_deref());
    only.contains(&["name"], filter.text.as_deref());
    only.equals("host", filter.host.map(|host| host.to_string()));
    only.equals("agent", filter.agent.as_deref());
    if let Some(digits) = &filter.id_begins {
        only.is("id", ">=", digits.as_str());
        // Behind every digit, in each database's order of text.
        only.is("id", "<", format!("{digits}g"));
    }
    if as_of.is_none() {
        lifecycles(&mut only, "lifecycle", filter);
    }
    if let Some((class, name, id)) = place_cursor(cursor)? {
        let (class, name, id) = (only.place(class), only.place(name), only.place(id));
        only.conditions.push(format!(
            "(class > {class} OR (class = {class} AND (name > {name} OR (name = {name} AND id > {id}))))"
        ));
    }
    if let Some(as_of) = as_of {
        was_there(&mut only, as_of, filter);
    }
    let scanned = if filter.selector.takes_everything() { limit + 1 } else { SCANNED_MAX };
    let most = only.place(scanned);
    let sql = format!(
        "SELECT id, class, name, lifecycle, host, agent, first_seen, last_seen FROM ci{} ORDER BY class, name, id LIMIT {most}",
        only.sql()
    );
    let rows = tx.query(&sql, &only.params)?.into_iter().map(row).collect::<Result<Vec<_>, _>>()?;
    let end = rows.last().filter(|_| rows.len() as u32 == scanned && scanned == SCANNED_MAX).map(cursor_of);
    let mut fitting = Vec::new();
    for mut some in rows.chunks(PAGE).map(<[CiRow]>::to_vec) {
        fill(tx, &mut some, as_of)?;
        fitting.extend(some.into_iter().filter(|ci| fits(ci, &filter.selector)));
        if fitting.len() > limit as usize {
            break;
        }
    }
    let mut page = Page::cut(fitting, limit, cursor_of);
    page.next = page.next.or(end);
    Ok(page)
}

/// The whole record.
pub fn get(tx: &mut dyn Tx, id: CiId) -> Result<Option<Ci>, StoreError> {
    let found = tx.query("SELECT body FROM ci WHERE id = $1", &[id.to_string().into()])?.pop();
    found.map(|row| Columns::new("ci", row).json()).transpose()
}

/// One item as it was; none where it was not there yet.
pub fn get_as_of(tx: &mut dyn Tx, id: CiId, as_of: AsOf) -> Result<Option<CiRow>, StoreError> {
    let sql = "SELECT id, class, name, lifecycle, host, agent, first_seen, last_seen FROM ci WHERE id = $1";
    let mut found = tx.query(sql, &[id.to_string().into()])?.into_iter().map(row).collect::<Result<Vec<_>, _>>()?;
    fill(tx, &mut found, Some(as_of))?;
    Ok(found.pop().filter(|ci| !ci.lifecycle.is_empty()))
}

/// One value that an attribute had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    pub attribute: String,
    pub value: String,
    /// `agent`, `import` or `hand`; empty for the lifecycle.
    pub source: String,
    pub valid_from: Millis,
    pub learned_at: Millis,
    /// None: it holds.
    pub valid_to: Option<Millis>,
    pub unlearned_at: Option<Millis>,
}

/// Every value that the item's attributes had, the newest first, 500 at most; those learned before `before`.
pub fn history(tx: &mut dyn Tx, id: CiId, before: Option<Millis>, limit: u32) -> Result<Vec<Held>, StoreError> {
    let sql = "SELECT name, value, source, valid_from, learned_at, valid_to, unlearned_at FROM ci_attribute
        WHERE ci = $1 AND learned_at < $2 AND source <> $4 ORDER BY learned_at DESC, name LIMIT $3";
    let before = before.unwrap_or(Millis(i64::MAX));
    let rows = tx.query(sql, &[id.to_string().into(), before.into(), bounded(limit).into(), MEASURED.into()])?;
    rows.into_iter()
        .map(|row| {
            let mut columns = Columns::new("ci_attribute", row);
            Ok(Held {
                attribute: columns.text()?.trim_start_matches('@').to_owned(),
                value: columns.text()?,
                source: columns.text()?,
                valid_from: Millis(columns.int()?),
                learned_at: Millis(columns.int()?),
                valid_to: columns.opt_int()?.map(Millis),
                unlearned_at: columns.opt_int()?.map(Millis),
            })
        })
        .collect()
}

/// The lifecycles that the filter takes.
fn lifecycles(only: &mut Where, column: &str, filter: &Filter) {
    if filter.lifecycles.is_empty() {
        only.conditions.push(format!("{column} NOT IN ('retired', 'disposed')"));
    } else {
        only.any_of(column, filter.lifecycles.iter().map(|word| word.as_str().into()));
    }
}

/// That the item had, then, a lifecycle that the filter takes.
fn was_there(only: &mut Where, as_of: AsOf, filter: &Filter) {
    let holds = as_of.holds(only);
    let outside = std::mem::take(&mut only.conditions);
    lifecycles(only, "value", filter);
    let taken = std::mem::replace(&mut only.conditions, outside).join(" AND ");
    only.conditions.push(format!(
        "EXISTS (SELECT 1 FROM ci_attribute WHERE ci_attribute.ci = ci.id AND ci_attribute.name = '{LIFECYCLE}'
         AND {taken} AND {holds})"
    ));
}

/// Puts in the attributes; with `as_of` also the lifecycle, empty for what was not there.
fn fill(tx: &mut dyn Tx, rows: &mut [CiRow], as_of: Option<AsOf>) -> Result<(), StoreError> {
    let mut only = Where::default();
    only.any_of("ci", rows.iter().map(|row| row.id.to_string().into()));
    if only.conditions.is_empty() {
        return Ok(());
    }
    match as_of {
        Some(as_of) => {
            let holds = as_of.holds(&mut only);
            only.conditions.push(format!("source <> '{MEASURED}' AND {holds}"));
            rows.iter_mut().for_each(|row| row.lifecycle.clear());
        }
        None => only.conditions.push("unlearned_at IS NULL".to_owned()),
    }
    // Where two values overlap, because one was learned late, the one learned last is told.
    let sql =
        format!("SELECT ci, name, value FROM ci_attribute{} ORDER BY learned_at, valid_from LIMIT 100000", only.sql());
    let mut place: BTreeMap<String, &mut CiRow> = rows.iter_mut().map(|row| (row.id.to_string(), row)).collect();
    for found in tx.query(&sql, &only.params)? {
        let mut columns = Columns::new("ci_attribute", found);
        let (ci, name, value) = (columns.text()?, columns.text()?, columns.text()?);
        let Some(row) = place.get_mut(&ci) else { continue };
        if name == LIFECYCLE {
            row.lifecycle = value;
        } else {
            row.attributes.insert(name, value);
        }
    }
    Ok(())
}

fn fits(ci: &CiRow, selector: &Selector) -> bool {
    if selector.takes_everything() {
        return true;
    }
    let mut labels = ci.attributes.clone();
    for (name, value) in [("class", &ci.class), ("name", &ci.name), ("lifecycle", &ci.lifecycle)] {
        labels.insert(name.to_owned(), value.clone());
    }
    selector.matches(&labels)
}

fn row(row: Row) -> Result<CiRow, StoreError> {
    let mut columns = Columns::new("ci", row);
    let id = columns.text()?;
    Ok(CiRow {
        id: id.parse().map_err(|error| columns.corrupt(format!("{error}")))?,
        class: columns.text()?,
        name: columns.text()?,
        lifecycle: columns.text()?,
        host: columns.opt_text()?,
        agent: columns.opt_text()?,
        attributes: BTreeMap::new(),
        first_seen: Millis(columns.int()?),
        last_seen: Millis(columns.int()?),
    })
}

/// `CLASS:ID:NAME`: only the name may hold a colon.
fn cursor_of(ci: &CiRow) -> String {
    format!("{}:{}:{}", ci.class, ci.id, ci.name)
}

fn place_cursor(cursor: Option<&str>) -> Result<Option<(Value, Value, Value)>, StoreError> {
    let Some(text) = cursor else { return Ok(None) };
    let mut parts = text.splitn(3, ':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(class), Some(id), Some(name)) => Ok(Some((class.into(), name.into(), id.into()))),
        _ => Err(StoreError::Cursor { found: text.to_owned() }),
    }
}
