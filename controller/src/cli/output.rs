//! How answers are shown: a table for people, JSON or YAML for programs.

use std::io::IsTerminal;

use chrono::{DateTime, Local, Utc};
use clap::ValueEnum;
use serde_json::Value;

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
    /// Milliseconds since 1970, shown as how long ago.
    Ago,
}

/// A column of text.
pub const fn text(head: &'static str, path: &'static str) -> Column {
    Column { head, path, kind: ColumnKind::Text }
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
        Format::Table if items.is_empty() => println!("{empty}"),
        Format::Table => {
            print!("{}", table(&items, columns, Utc::now().timestamp_millis()));
            if let Some(next) = answer.get("next").and_then(Value::as_str) {
                println!("There is more: --all shows all, --cursor {next} goes on.");
            }
        }
    }
}

/// Shows one record; `card` writes it for people.
pub fn one(format: Format, answer: &Value, card: impl FnOnce(&Value) -> String) {
    match format {
        Format::Json => print_json(answer),
        Format::Yaml => print_yaml(answer),
        Format::Table => print!("{}", card(answer)),
    }
}

pub fn print_json(value: &Value) {
    println!("{}", serde_json::to_string_pretty(value).expect("a JSON value can be written"));
}

fn print_yaml(value: &Value) {
    match serde_yaml::to_string(value) {
        Ok(text) => println!("{}", text.trim_end()),
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
        (ColumnKind::Ago, value) => value.as_i64().map_or_else(|| "–".to_owned(), |at| age(now - at)),
        (ColumnKind::Text, Value::String(text)) => one_line(text, 60),
        (ColumnKind::Text, value) => one_line(&value.to_string(), 60),
    }
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
                items.iter().for_each(|item| into.push_str(&format!("{indent}  {}\n", one_line(&shown(item), 160))));
            }
            Value::Number(at) if name.ends_with("_at") => {
                into.push_str(&format!("{indent}{name:<14} {}\n", local(at.as_i64().unwrap_or_default())));
            }
            value => into.push_str(&format!("{indent}{name:<14} {}\n", shown(value))),
        }
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
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

/// An instant in the reader's time zone.
pub fn local(at: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(at)
        .map_or_else(|| at.to_string(), |at| at.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S%.3f %Z").to_string())
}

/// Whether to colour: on a terminal, and not against the reader's wish (<https://no-color.org>).
pub fn coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
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
