//! Parser events to a tree.

use std::collections::BTreeMap;

use serde_yaml::granit_parser::{Event, Parser, ScalarStyle, ScanError};

use super::Source;

/// Bytes of a file that are read.
pub const FILE_BYTES_MAX: usize = 4 << 20;
/// Nodes of a file, those that aliases repeat included.
const NODES_MAX: usize = 200_000;
/// Nesting that is followed; rule files need about ten.
const DEPTH_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Bytes of the file, the quotes of a scalar included.
    pub start: usize,
    pub end: usize,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// `key:` without a value, `~`, `null`.
    Null,
    Scalar(String, Style),
    List(Vec<Node>),
    /// In the file's order; a key may stand twice.
    Map(Vec<(Node, Node)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    /// `|` and `>`
    Block,
}

/// Why a file is not YAML that is read here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError {
    /// Byte of the file.
    pub at: usize,
    pub message: String,
}

impl Node {
    pub fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    /// The value of a scalar.
    pub fn scalar(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// What it is, for a sentence: `a list`.
    pub fn what(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Scalar(..) => "a single value",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    /// The value of a key of a mapping; null counts as absent.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let Kind::Map(entries) = &self.kind else { return None };
        entries
            .iter()
            .find(|(name, _)| name.scalar() == Some(key))
            .map(|(_, value)| value)
            .filter(|value| !value.is_null())
    }
}

/// Reads the one document of a file; an empty file is null.
pub fn parse(source: &Source) -> Result<Node, YamlError> {
    if source.text.len() > FILE_BYTES_MAX {
        let message = format!("the file has {} bytes; at most {FILE_BYTES_MAX} are read", source.text.len());
        return Err(YamlError { at: 0, message });
    }
    let mut builder = Builder { source, anchors: BTreeMap::new(), nodes: 0, open: Vec::new(), root: None };
    for event in Parser::new_from_str(&source.text) {
        let (event, span) = event.map_err(|error| syntax_error(source, &error))?;
        let at = |marker: &serde_yaml::granit_parser::Marker| marker.byte_offset().unwrap_or(source.text.len());
        builder.take(event, at(&span.start), at(&span.end))?;
    }
    Ok(builder.root.unwrap_or(Node { start: 0, end: 0, kind: Kind::Null }))
}

fn syntax_error(source: &Source, error: &ScanError) -> YamlError {
    let at = error.marker().byte_offset().unwrap_or(source.text.len());
    YamlError { at, message: format!("this is not valid YAML: {}", error.info()) }
}

/// A list or mapping that is not closed yet.
struct Open {
    start: usize,
    anchor: usize,
    is_map: bool,
    nodes: Vec<Node>,
}

struct Builder<'a> {
    source: &'a Source,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    open: Vec<Open>,
    root: Option<Node>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, start: usize, end: usize) -> Result<(), YamlError> {
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(YamlError { at: start, message: "a second document begins here; a file holds one".to_owned() })
            }
            Event::Scalar(text, style, anchor, tag) => {
                let style = style_of(style);
                let is_null = style == Style::Plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let kind = if is_null && tag.is_none() { Kind::Null } else { Kind::Scalar(text.into_owned(), style) };
                self.add(Node { start, end: end.max(start), kind }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.open(start, anchor, false),
            Event::MappingStart(_, anchor, _) => self.open(start, anchor, true),
            Event::SequenceEnd | Event::MappingEnd => self.close(end),
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(YamlError {
                        at: start,
                        message: "this alias names what is not complete yet".to_owned(),
                    });
                };
                self.nodes += size(&node);
                self.add(node, 0)
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, start: usize, anchor: usize, is_map: bool) -> Result<(), YamlError> {
        if self.open.len() == DEPTH_MAX {
            return Err(YamlError { at: start, message: format!("nested deeper than {DEPTH_MAX} levels") });
        }
        self.open.push(Open { start, anchor, is_map, nodes: Vec::new() });
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), YamlError> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        // A block's end is told where the next thing begins: end with what is in it.
        let last = open.nodes.last().map_or(open.start, |node| node.end);
        let closing = self.source.text.as_bytes().get(end.wrapping_sub(1)).is_some_and(|b| matches!(b, b']' | b'}'));
        let end = if closing { end } else { last };
        let kind = if open.is_map { Kind::Map(merged(pairs(open.nodes))) } else { Kind::List(open.nodes) };
        self.add(Node { start: open.start, end: end.max(open.start), kind }, open.anchor)
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), YamlError> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(YamlError { at: node.start, message: format!("more than {NODES_MAX} values in one file") });
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            Some(open) => open.nodes.push(node),
            None => self.root = Some(node),
        }
        Ok(())
    }
}

fn pairs(nodes: Vec<Node>) -> Vec<(Node, Node)> {
    let mut found = Vec::with_capacity(nodes.len() / 2);
    let mut nodes = nodes.into_iter();
    while let (Some(key), Some(value)) = (nodes.next(), nodes.next()) {
        found.push((key, value));
    }
    found
}

/// With what `<<: *anchor` brings: the entries of one mapping, or of several, whose keys do not stand there already.
fn merged(entries: Vec<(Node, Node)>) -> Vec<(Node, Node)> {
    let is_merge = |(key, value): &(Node, Node)| {
        let is_map = |node: &Node| matches!(node.kind, Kind::Map(_));
        matches!(&key.kind, Kind::Scalar(text, Style::Plain) if text == "<<")
            && (is_map(value) || matches!(&value.kind, Kind::List(nodes) if nodes.iter().all(is_map)))
    };
    let (merges, mut found): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_merge);
    for (_, value) in merges {
        let maps = match value.kind {
            Kind::List(nodes) => nodes,
            _ => vec![value],
        };
        for map in maps {
            let Kind::Map(entries) = map.kind else { continue };
            for (key, value) in entries {
                if !found.iter().any(|(known, _)| known.scalar() == key.scalar()) {
                    found.push((key, value));
                }
            }
        }
    }
    found
}

fn size(node: &Node) -> usize {
    match &node.kind {
        Kind::Null | Kind::Scalar(..) => 1,
        Kind::List(nodes) => 1 + nodes.iter().map(size).sum::<usize>(),
        Kind::Map(entries) => 1 + entries.iter().map(|(key, value)| size(key) + size(value)).sum::<usize>(),
    }
}

fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::SingleQuoted => Style::SingleQuoted,
        ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
        _ => Style::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Result<Node, YamlError> {
        parse(&Source::new("test.yaml", text))
    }

    #[test]
    fn nodes_know_where_they_stand() {
        let text = "a: 'one'\nb:\n  - two\n  - {c: \"thr\\tee\"}\nd:\n";
        let root = tree(text).expect("valid");
        let b = root.get("b").expect("b");
        let Kind::List(items) = &b.kind else { panic!("a list, not {}", b.what()) };
        let shown = |node: &Node| &text[node.start..node.end];
        assert_eq!(shown(root.get("a").expect("a")), "'one'");
        assert_eq!(shown(&items[0]), "two");
        assert_eq!(shown(&items[1]), "{c: \"thr\\tee\"}");
        assert_eq!(items[1].get("c").and_then(Node::scalar), Some("thr\tee"));
        assert!(root.get("d").is_none());
    }

    #[test]
    fn an_alias_is_what_it_names() {
        let root = tree("a: &x {b: c}\nd: *x\n").expect("valid");
        assert_eq!(root.get("d").and_then(|node| node.get("b")).and_then(Node::scalar), Some("c"));
    }

    #[test]
    fn a_merged_mapping_fills_what_is_not_there() {
        let root = tree("a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc:\n  y: 5\n  <<: [*a, *b]\nd: {<<: *a, w: 6}\n")
            .expect("valid");
        let value =
            |of: &str, key: &str| root.get(of).and_then(|node| node.get(key)).and_then(Node::scalar).unwrap_or("");
        assert_eq!(["x", "y", "z", "<<"].map(|key| value("c", key)), ["1", "5", "4", ""]);
        assert_eq!(["x", "y", "w"].map(|key| value("d", key)), ["1", "2", "6"]);
    }

    #[test]
    fn what_is_not_read_says_why() {
        let bomb = (0..9).fold("a0: &a0 [x]\n".to_owned(), |text, level| {
            let refs = vec![format!("*a{level}"); 10].join(", ");
            format!("{text}a{next}: &a{next} [{refs}]\n", next = level + 1)
        });
        let table = [
            ("a: [", "not valid YAML"),
            ("a: b\n c: d\n", "not valid YAML"),
            ("a: 1\n---\nb: 2\n", "a second document"),
            (&("[".repeat(65) + &"]".repeat(65)), "nested deeper"),
            (&bomb, "more than"),
        ];
        for (text, part) in table {
            let error = tree(text).expect_err(text);
            assert!(error.message.contains(part), "{text}: {}", error.message);
        }
    }
}
