//! What the API and the command line ask, a file a noun. All run inside [`super::ReadPool::read`].
//!
//! Every list is paged: at most [`LIMIT_MAX`] items, and a cursor for the next page while there is one. A cursor names the
//! last item seen, so that items which come meanwhile neither repeat nor hide others.

pub mod agents;
pub mod changes;
pub mod cis;
pub mod events;
pub mod incidents;
pub mod notices;
pub mod problems;
pub mod relations;
pub mod runs;

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Columns, StoreError, Tx, Value};

/// Items of one page, at most.
pub const LIMIT_MAX: u32 = 500;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Hand it in for the next page; none: this was the last.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A page of what was asked for as `limit + 1` items: the one more says that there is a next page.
    fn cut(mut items: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Self {
        let limit = limit as usize;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(cursor);
        Self { items, next }
    }
}

/// The page size that a caller asked for, within bounds.
fn bounded(limit: u32) -> u32 {
    limit.clamp(1, LIMIT_MAX)
}

/// The conditions of a list, growing.
#[derive(Default)]
struct Where {
    conditions: Vec<String>,
    params: Vec<Value>,
}

impl Where {
    /// The place of a value.
    fn place(&mut self, value: impl Into<Value>) -> String {
        self.params.push(value.into());
        format!("${}", self.params.len())
    }

    /// `column OP value`
    fn is(&mut self, column: &str, op: &str, value: impl Into<Value>) {
        let place = self.place(value);
        self.conditions.push(format!("{column} {op} {place}"));
    }

    /// `column = value`, where one was asked for.
    fn equals(&mut self, column: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.is(column, "=", value);
        }
    }

    /// The column is one of the values; none: anything.
    fn any_of(&mut self, column: &str, values: impl IntoIterator<Item = Value>) {
        let places: Vec<String> = values.into_iter().map(|value| self.place(value)).collect();
        if !places.is_empty() {
            self.conditions.push(format!("{column} IN ({})", places.join(", ")));
        }
    }

    /// Any of the columns contains the text, in either case.
    fn contains(&mut self, columns: &[&str], text: Option<&str>) {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return };
        let escaped = text.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        let place = self.place(format!("%{escaped}%"));
        let any: Vec<String> =
            columns.iter().map(|column| format!("LOWER({column}) LIKE {place} ESCAPE '\\'")).collect();
        self.conditions.push(format!("({})", any.join(" OR ")));
    }

    /// `WHERE …`, or nothing.
    fn sql(&self) -> String {
        if self.conditions.is_empty() { String::new() } else { format!(" WHERE {}", self.conditions.join(" AND ")) }
    }
}

/// How many rows of a table of ours hold each word of a column, which has few.
fn counted(tx: &mut dyn Tx, table: &'static str, column: &'static str) -> Result<BTreeMap<String, u64>, StoreError> {
    let sql = format!("SELECT {column}, COUNT(*) FROM {table} GROUP BY {column} ORDER BY {column} LIMIT 100");
    let rows = tx.query(&sql, &[])?;
    rows.into_iter()
        .map(|row| {
            let mut columns = Columns::new(table, row);
            Ok((columns.text()?, columns.count()?))
        })
        .collect()
}

/// A cursor of numbered records: the number of the last one seen.
fn number_cursor(cursor: Option<&str>) -> Result<Option<i64>, StoreError> {
    let wrong = |text: &str| StoreError::Cursor { found: text.to_owned() };
    cursor.map(|text| text.parse().map_err(|_| wrong(text))).transpose()
}

/// A cursor of what is listed by time and id: `AT:ID` of the last one seen.
fn time_cursor(cursor: Option<&str>) -> Result<Option<(i64, String)>, StoreError> {
    let wrong = |text: &str| StoreError::Cursor { found: text.to_owned() };
    cursor
        .map(|text| {
            let (at, id) = text.split_once(':').ok_or_else(|| wrong(text))?;
            Ok((at.parse().map_err(|_| wrong(text))?, id.to_owned()))
        })
        .transpose()
}
