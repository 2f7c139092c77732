//! A YAML file as a tree in which every key and value knows its place, so that a check can name all faults at once.
//!
//! The YAML library stops at the first value that does not fit a type. So a file is first read as a tree that fits
//! anything, and then walked: whoever walks it tells [`Faults`] what is wrong and goes on. Only text that is not YAML at
//! all ends with its first fault.

use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_yaml::options::DuplicateKeyPolicy;
use serde_yaml::{Location, Spanned};

/// One value with its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Where it begins.
    pub at: Place,
}

/// What stands at a place. Numbers and booleans are kept as the text that they print as.
#[derive(Clone, Debug)]
pub enum Value {
    /// `key:` without a value.
    Null,
    /// A string, a number or a boolean.
    Scalar(String),
    List(Vec<Node>),
    /// In the order of the file.
    Map(Vec<(Key, Node)>),
}

/// A key of a map with its place.
#[derive(Clone, Debug)]
pub struct Key {
    pub name: String,
    pub at: Place,
}

/// Line and column, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: u64,
    pub column: u64,
}

/// Something wrong at a place of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub file: String,
    pub at: Place,
    /// A sentence without its place.
    pub what: String,
}

/// All that is wrong with a file, in the order of its lines. Prints one fault a line: `FILE:LINE:COLUMN: what`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    pub list: Vec<Fault>,
    file: String,
}

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, fault) in self.list.iter().enumerate() {
            let newline = if place == 0 { "" } else { "\n" };
            write!(f, "{newline}{}:{}:{}: {}", fault.file, fault.at.line, fault.at.column, fault.what)?;
        }
        Ok(())
    }
}

impl Faults {
    /// None so far, of `file`.
    pub fn of(file: &str) -> Self {
        Self { list: Vec::new(), file: file.to_owned() }
    }

    /// Notes a fault.
    pub fn say(&mut self, at: Place, what: impl Into<String>) {
        self.list.push(Fault { file: self.file.clone(), at, what: what.into() });
    }

    /// Notes a key that nobody knows, with the nearest of those that are known here.
    pub fn unknown(&mut self, key: &Key, path: &str, known: &[&str]) {
        let near = match nearest(&key.name, known) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("known here: {}", known.join(", ")),
        };
        let inside = if path.is_empty() { String::new() } else { format!(" in \"{path}\"") };
        self.say(key.at, format!("unknown key \"{}\"{inside}; {near}", key.name));
    }

    /// All that was noted, by line; `Ok` where it is nothing.
    pub fn finish(mut self) -> Result<(), Self> {
        self.list.sort_by_key(|fault| fault.at);
        if self.list.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl Node {
    /// Reads `text`; an empty file is [`Value::Null`]. The only fault is that of text that is no YAML.
    pub fn read(file: &str, text: &str) -> Result<Self, Faults> {
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Self { value: Value::Null, at: Place { line: 1, column: 1 } });
        }
        // A key that stands twice is left to whoever walks the tree: the library would end with it.
        let options = serde_yaml::options! { duplicate_keys: DuplicateKeyPolicy::PassThrough };
        serde_yaml::from_str_with_options(text, options).map_err(|fault| {
            let mut faults = Faults::of(file);
            let at = fault.location().map_or(Place { line: 1, column: 1 }, Place::from);
            let words = fault.without_snippet().to_string();
            let words = words.lines().next().unwrap_or("is not YAML");
            let place = format!(" at line {}, column {}", at.line, at.column);
            faults.say(at, words.strip_suffix(place.as_str()).unwrap_or(words));
            faults
        })
    }

    /// The entries of a map, none for null; anything else is a fault that names `path`, and so is a key that stands twice.
    pub fn entries(&self, path: &str, faults: &mut Faults) -> &[(Key, Node)] {
        match &self.value {
            Value::Map(entries) => {
                for (place, (key, _)) in entries.iter().enumerate() {
                    if let Some((first, _)) = entries[..place].iter().find(|(earlier, _)| earlier.name == key.name) {
                        let line = first.at.line;
                        faults.say(
                            key.at,
                            format!("key \"{}\" stands here a second time; first in line {line}", key.name),
                        );
                    }
                }
                entries
            }
            Value::Null => &[],
            other => {
                faults.say(self.at, format!("{} {}, not keys with values", said(path), other.described()));
                &[]
            }
        }
    }

    /// The items of a list, none for null; anything else is a fault that names `path`.
    pub fn items(&self, path: &str, faults: &mut Faults) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            Value::Null => &[],
            other => {
                faults.say(self.at, format!("{} {}, not a list", said(path), other.described()));
                &[]
            }
        }
    }

    /// The text of a scalar; anything else is a fault that names `path`.
    pub fn text(&self, path: &str, faults: &mut Faults) -> Option<&str> {
        match &self.value {
            Value::Scalar(text) => Some(text),
            other => {
                faults.say(self.at, format!("{} {}, not a text", said(path), other.described()));
                None
            }
        }
    }
}

impl Value {
    /// `is a list`, for the middle of a sentence.
    fn described(&self) -> &'static str {
        match self {
            Self::Null => "has no value",
            Self::Scalar(_) => "is a single value",
            Self::List(_) => "is a list",
            Self::Map(_) => "is a map",
        }
    }
}

fn said(path: &str) -> String {
    if path.is_empty() { "the file".to_owned() } else { format!("\"{path}\"") }
}

/// The known word that `found` most likely means: at most a third of it apart.
pub fn nearest<'a>(found: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known.iter().map(|word| (distance(found, word), *word)).min()?;
    (near.0 <= found.chars().count().max(3) / 3).then_some(near.1)
}

/// Edits (insert, delete, replace, swap of neighbours) from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = match (i, j) {
                (0, _) => j,
                (_, 0) => i,
                _ => {
                    let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                    let swap = if swapped { rows[i - 2][j - 2] + 1 } else { usize::MAX };
                    replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(swap)
                }
            };
        }
    }
    rows[a.len()][b.len()]
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let found = Spanned::<Value>::deserialize(from)?;
        Ok(Self { value: found.value, at: found.referenced.into() })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyValue)
    }
}

/// Takes whatever stands there.
struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: serde::Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Scalar(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Scalar(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Scalar(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Scalar(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Scalar(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Scalar(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let key = Key { name: key.value, at: key.referenced.into() };
            entries.push((key, map.next_value()?));
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_know_their_places() {
        let node = Node::read("f.yaml", "# head\na: 1\nb:\n  - x\n  - {c: yes}\n").expect("is YAML");
        let Value::Map(entries) = &node.value else { panic!("not a map: {node:?}") };
        assert_eq!((entries[0].0.at, entries[0].1.at), (Place { line: 2, column: 1 }, Place { line: 2, column: 4 }));
        let Value::List(items) = &entries[1].1.value else { panic!("not a list: {entries:?}") };
        assert_eq!(items[1].at, Place { line: 5, column: 5 });
    }

    #[test]
    fn a_file_of_comments_is_empty() {
        assert!(matches!(Node::read("f", "# nothing\n\n  # here\n").expect("is YAML").value, Value::Null));
    }

    #[test]
    fn text_that_is_no_yaml_is_a_fault_with_its_place() {
        let faults = Node::read("f.yaml", "a: [1, 2\nb: 3\n").expect_err("is not YAML");
        assert_eq!(faults.list.len(), 1);
        assert!(faults.to_string().starts_with("f.yaml:2:"), "{faults}");
    }

    #[test]
    fn the_nearest_word_is_offered_only_when_it_is_near() {
        assert_eq!(nearest("intreval", &["interval", "labels"]), Some("interval"));
        assert_eq!(nearest("lables", &["interval", "labels"]), Some("labels"));
        assert_eq!(nearest("colour", &["interval", "labels"]), None);
    }
}
