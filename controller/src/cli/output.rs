//! How answers are shown: a table for people, JSON or YAML for programs.

use std::io::Write;

use chrono::{DateTime, Utc};
use clap::ValueEnum;
use serde_json::Value;

use super::pager;

/// The reader's time zone; tests read in UTC, wherever they run.
#[cfg(not(test))]
use chrono::Local as Zone;
#[cfg(test)]
use chrono::Utc as Zone;

/// `-o`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Table,
    Json,
    Yaml,
}

/// One column of a table: its head, and the path of its value (`priority`, `ci.name`).
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub head: &'static str,
    pub path: &'static str,
    pub kind: ColumnKind,
}

/// How a column's value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    Text,
    /// An id of 32 digits, shown by its beginning.
    ShortId,
    /// Milliseconds since 1970, shown as how long ago.
    Ago,
}

/// A column of text.
pub const fn text(head: &'static str, path: &'static str) -> Column {
    Column { head, path, kind: ColumnKind::Text }
}

/// A column of ids, each shown as [`short`].
pub const fn short_id(head: &'static str, path: &'static str) -> Column {
    Column { head, path, kind: ColumnKind::ShortId }
}

/// A column of instants.
pub const fn ago(head: &'static str, path: &'static str) -> Column {
    Column { head, path, kind: ColumnKind::Ago }
}

/// Shows a list; `empty` is said where a table would have no row.
pub fn list(format: Format, answer: &Value, columns: &[Column], empty: &str) {
    let items = answer.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    match format {
        Format::Json => print_json(answer),
        Format::Yaml => print_yaml(answer),
        Format::Table if items.is_empty() => say(&format!("{empty}\n")),
        Format::Table => {
            let mut text = table(&items, columns, Utc::now().timestamp_millis());
            if let Some(next) = answer.get("next").and_then(Value::as_str) {
                text.push_str(&format!("There is more: --all shows all, --cursor '{next}' goes on.\n"));
            }
            pager::show(&text);
        }
    }
}

/// Shows one record; `card` writes it for people.
pub fn one(format: Format, answer: &Value, card: impl FnOnce(&Value) -> String) {
    match format {
        Format::Json => print_json(answer),
        Format::Yaml => print_yaml(answer),
        Format::Table => pager::show(&card(answer)),
    }
}

/// Writes to standard output. Where nobody reads any more (`watchkeep watch | head`) the process ends, and quietly.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

pub fn print_json(value: &Value) {
    say(&format!("{}\n", serde_json::to_string_pretty(value).expect("a JSON value can be written")));
}

/// JSON on one line, for streams.
pub fn print_json_line(value: &Value) {
    say(&format!("{value}\n"));
}

fn print_yaml(value: &Value) {
    match serde_yaml::to_string(value) {
        Ok(text) => say(&format!("{}\n", text.trim_end())),
        Err(_) => print_json(value),
    }
}

/// The table as text: columns as wide as their widest cell, two spaces between.
pub fn table(items: &[Value], columns: &[Column], now: i64) -> String {
    let mut rows = vec![columns.iter().map(|column| column.head.to_owned()).collect::<Vec<_>>()];
    rows.extend(items.iter().map(|item| columns.iter().map(|column| cell(item, column, now)).collect()));
    let widths: Vec<usize> =
        (0..columns.len()).map(|place| rows.iter().map(|row| row[place].chars().count()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn cell(item: &Value, column: &Column, now: i64) -> String {
    let value = column.path.split('.').try_fold(item, |value, part| value.get(part)).unwrap_or(&Value::Null);
    match (column.kind, value) {
        (_, Value::Null) => "–".to_owned(),
        (_, Value::Object(labels)) if labels.is_empty() => "–".to_owned(),
        (ColumnKind::Ago, value) => value.as_i64().map_or_else(|| "–".to_owned(), |at| age(now - at)),
        (ColumnKind::ShortId, Value::String(id)) => short(id).to_owned(),
        (_, Value::String(text)) => one_line(text, 60),
        (_, Value::Object(labels)) => one_line(&selector(labels), 60),
        (_, value) => one_line(&value.to_string(), 60),
    }
}

/// Labels as they are written everywhere: `{instance="web-3", unit="nginx.service"}`.
pub fn selector(labels: &serde_json::Map<String, Value>) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// Any record as lines of `name value`, nested ones indented; instants in the reader's time zone.
pub fn card(record: &Value) -> String {
    let mut text = String::new();
    write_card(record, 0, &mut text);
    text
}

fn write_card(record: &Value, depth: usize, into: &mut String) {
    let indent = "  ".repeat(depth);
    for (name, value) in record.as_object().into_iter().flatten() {
        match value {
            Value::Null => {}
            Value::Object(inner) if inner.is_empty() => {}
            Value::Array(inner) if inner.is_empty() => {}
            Value::Object(_) => {
                into.push_str(&format!("{indent}{name}\n"));
                write_card(value, depth + 1, into);
            }
            Value::Array(items) => {
                into.push_str(&format!("{indent}{name}\n"));
                items.iter().for_each(|item| into.push_str(&format!("{indent}  {}\n", one_line(&plain(item), 160))));
            }
            Value::Number(at) if name.ends_with("_at") || name == "since" => {
                into.push_str(&format!("{indent}{name:<14} {}\n", local(at.as_i64().unwrap_or_default())));
            }
            value => into.push_str(&format!("{indent}{name:<14} {}\n", plain(value))),
        }
    }
}

/// A value without the quotes of a text.
pub fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The beginning of an id of 32 digits, by which it is found again: the first twelve are those of its host.
pub fn short(id: &str) -> &str {
    id.get(..20).unwrap_or(id)
}

/// A text on one line, cut at `most` characters.
pub fn one_line(text: &str, most: usize) -> String {
    let flat: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if flat.chars().count() <= most { flat } else { flat.chars().take(most - 1).chain(['…']).collect() }
}

/// A length of time in its two largest units: `3 s`, `4 min`, `2 h 5 min`, `3 d 4 h`.
pub fn age(ms: i64) -> String {
    let seconds = (ms / 1_000).max(0);
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// An instant in the reader's time zone, to the second.
pub fn local(at: i64) -> String {
    written(at, "%Y-%m-%d %H:%M:%S %Z")
}

/// The day of an instant, with the time zone.
fn day(at: i64) -> String {
    written(at, "%A %Y-%m-%d, UTC%:z")
}

/// The time of day, to the millisecond.
pub fn clock(at: i64) -> String {
    written(at, "%H:%M:%S%.3f")
}

fn written(at: i64, pattern: &str) -> String {
    let at_zone = DateTime::<Utc>::from_timestamp_millis(at).map(|at| at.with_timezone(&Zone));
    at_zone.map_or_else(|| at.to_string(), |at| at.format(pattern).to_string())
}

/// Says each day once: the line to put before what happened at `at`, where that was on another day than what came before.
#[derive(Debug, Default)]
pub struct Days(String);

impl Days {
    pub fn turn(&mut self, at: i64) -> String {
        let day = day(at);
        if day == self.0 {
            return String::new();
        }
        self.0.clone_from(&day);
        format!("{day}\n")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_is_as_wide_as_its_cells() {
        let items = [
            json!({"id": "INC-1", "ci": {"name": "nginx.service"}, "opened_at": 0}),
            json!({"id": "INC-12", "ci": null, "opened_at": 59_000}),
        ];
        let columns = [text("ID", "id"), text("CI", "ci.name"), ago("AGE", "opened_at")];
        let expected = "ID      CI             AGE\nINC-1   nginx.service  60 s\nINC-12  –              1 s\n";
        assert_eq!(table(&items, &columns, 60_000), expected);
    }

    #[test]
    fn ages_are_said_in_their_largest_units() {
        for (ms, expected) in
            [(-5, "0 s"), (119_999, "119 s"), (120_000, "2 min"), (7_500_000, "2 h 5 min"), (273_600_000, "3 d 4 h")]
        {
            assert_eq!(age(ms), expected, "{ms} ms");
        }
    }
}
