//! Rule files, runbooks and tests in one form, so that no review is about spaces.
//!
//! A file is read to a tree that keeps comments, flow style and empty lines ([`tree`]), arranged ([`arrange`]) and written anew
//! ([`write`], [`scalar`]). What is written must read back as what it was, comments included, else the file is left alone: this
//! never changes what a file means. Formatting what was formatted changes nothing.
//!
//! The form: two spaces a level, lists indented below their key; the keys of groups and rules in the order in which people
//! read them; an empty line between rules; flow style where it was and fits a line; double quotes, single ones where that
//! spares escapes; expressions as Prometheus sets them out, numbers as the author spelled them.

mod arrange;
mod scalar;
mod tree;
mod write;

use crate::fault::{Fault, Faults};
use crate::promql::{self, Features, ast::Expr};
use crate::yaml::{self, Kind, Source};

/// Columns of a line of YAML, beyond which flow style and folded text are broken.
const LINE_MAX: usize = 120;

/// The file `name` with this `text`, in its one form; an empty file stays empty.
///
/// # Errors
/// It is no YAML, or uses what rule files have no need of and what is therefore not written here: tags, keys that are lists.
pub fn format(name: &str, text: &str) -> Result<String, Faults> {
    let source = Source::new(name, text);
    let meaning = yaml::parse(&source)
        .map_err(|error| Faults::of([vec![Fault::at(&source, error.at, error.at + 1, error.message)]]))?;
    let mut document = tree::read(&source)?;
    let comments = document.comments();
    arrange::arrange(&mut document);
    let written = write::write(&document);
    let again = Source::new(name, written);
    let reads_back = yaml::parse(&again).is_ok_and(|node| means_the_same(&node, &meaning, &mut Vec::new()))
        && tree::read(&again).is_ok_and(|document| document.comments() == comments);
    if reads_back { Ok(again.text) } else { Err(Faults::of([vec![left_alone(name)]])) }
}

fn left_alone(name: &str) -> Fault {
    let mut fault =
        Fault::of_file(name, "this cannot be set out anew without changing what it means, and was left as it is");
    fault.hint("that is a fault of this program: please report it, with the file");
    fault
}

/// Whether what stands below these keys is an expression over samples, as it would stand in a rule file.
fn is_expression(path: &[&str]) -> bool {
    matches!(path, ["groups", "rules", "expr"] | ["tests", "promql_expr_test", "expr"])
}

/// The expression, unless it is none, has comments of its own or uses what only an experiment of Prometheus's takes: such
/// expressions stay as they are written.
fn expression(text: &str) -> Option<Expr> {
    let features = Features { functions: true, durations: false };
    promql::parse_with(text, features, promql::Asked::default()).ok().filter(|_| !has_comment(text))
}

/// Whether a `#` stands outside of quotes.
fn has_comment(text: &str) -> bool {
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '#') => return true,
            (None, '"' | '\'' | '`') => quote = Some(c),
            (Some('"' | '\''), '\\') => _ = chars.next(),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
    }
    false
}

/// Whether two trees are equal but for places, quoting, the order of keys, and how expressions are set out.
fn means_the_same<'n>(left: &'n yaml::Node, right: &yaml::Node, path: &mut Vec<&'n str>) -> bool {
    match (&left.kind, &right.kind) {
        (Kind::Null, Kind::Null) => true,
        (Kind::Scalar(left, _), Kind::Scalar(right, _)) => {
            let written = |text| expression(text).map(|expr| expr.to_string());
            left == right || is_expression(path) && written(left).is_some_and(|text| written(right) == Some(text))
        }
        (Kind::List(left), Kind::List(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| means_the_same(left, right, path))
        }
        (Kind::Map(left), Kind::Map(right)) => {
            left.len() == right.len()
                && by_key(left).zip(by_key(right)).all(|((key, value), (other_key, other))| {
                    path.push(key);
                    let same = key == other_key && means_the_same(value, other, path);
                    path.pop();
                    same
                })
        }
        _ => false,
    }
}

/// Entries in the order of their keys; of a key that stands twice, in the order of the file.
fn by_key(entries: &[(yaml::Node, yaml::Node)]) -> impl Iterator<Item = (&str, &yaml::Node)> {
    let mut entries: Vec<_> = entries.iter().map(|(key, value)| (key.scalar().unwrap_or_default(), value)).collect();
    entries.sort_by_key(|(key, _)| *key);
    entries.into_iter()
}

#[cfg(test)]
mod tests;
