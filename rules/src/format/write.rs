//! Trees to text: each value as lines without indentation, which whoever holds it indents.

use super::LINE_MAX;
use super::scalar;
use super::tree::{Document, Kind, Line, Node};

const INDENT: &str = "  ";

pub fn write(document: &Document) -> String {
    let mut lines = Lines::default();
    if document.marked {
        lines.push("---".to_owned());
    }
    if let Some(root) = &document.root {
        lines.comments(&root.above);
        lines.empty_if(root.spaced && !root.above.is_empty());
        lines.extend(value(root, 0, 0).lines);
    }
    lines.comments(&document.tail);
    lines.0.iter().map(|line| format!("{line}\n")).collect()
}

/// Lines of one list, mapping or file; no empty one comes first.
#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    fn push(&mut self, line: String) {
        self.0.push(line);
    }

    fn extend(&mut self, lines: impl IntoIterator<Item = String>) {
        self.0.extend(lines);
    }

    fn empty_if(&mut self, spaced: bool) {
        if spaced && !self.0.is_empty() {
            self.0.push(String::new());
        }
    }

    fn comments(&mut self, comments: &[Line]) {
        for comment in comments {
            self.empty_if(comment.spaced);
            self.push(comment.text.clone());
        }
    }

    /// All but the first, or all, one level deeper.
    fn indented(lines: Vec<String>, first: bool) -> impl Iterator<Item = String> {
        lines.into_iter().enumerate().map(move |(place, line)| {
            if line.is_empty() || place == 0 && !first { line } else { format!("{INDENT}{line}") }
        })
    }
}

/// A value as lines.
struct Body {
    lines: Vec<String>,
    /// Its first line stands behind the key or dash; else all of it stands below.
    inline: bool,
}

/// `start`: the column behind its key or dash; `column`: where its own items and further lines stand.
fn value(node: &Node, start: usize, column: usize) -> Body {
    let anchor = node.anchor.as_ref().map(|name| format!("&{name} ")).unwrap_or_default();
    let inline = |mut lines: Vec<String>| {
        lines[0] = format!("{anchor}{}", lines[0]).trim_end().to_owned();
        Body { lines, inline: true }
    };
    let (fits, width) = (LINE_MAX.saturating_sub(start + anchor.len()), LINE_MAX.saturating_sub(column));
    let flow = || flow(node).filter(|text| text.chars().count() <= fits || text.len() == 2);
    match &node.kind {
        Kind::Alias(name) => inline(vec![name.clone()]),
        Kind::Scalar(text, style) => inline(scalar::lines(text, *style, node.long, fits, width)),
        Kind::List(list) => match flow() {
            Some(text) => inline(vec![text]),
            None => {
                let mut lines = Lines::default();
                for item in &list.items {
                    lines.comments(&item.above);
                    lines.empty_if(item.spaced);
                    item_lines(&mut lines, item, column);
                }
                lines.comments(&list.tail);
                Body { lines: lines.0, inline: false }
            }
        },
        Kind::Map(map) => match flow() {
            Some(text) => inline(vec![text]),
            None => {
                let mut lines = Lines::default();
                for (key, value) in &map.items {
                    lines.comments(&key.above);
                    lines.empty_if(key.spaced);
                    entry_lines(&mut lines, key, value, column);
                }
                lines.comments(&map.tail);
                Body { lines: lines.0, inline: false }
            }
        },
    }
}

/// `- value`
fn item_lines(lines: &mut Lines, item: &Node, column: usize) {
    let column = column + INDENT.len();
    let mut body = value(item, column, column);
    if !body.inline && item.anchor.is_none() && item.right.is_none() {
        body.inline = true;
    } else if item.right.is_some() || !body.inline {
        behind(&mut body, item, item.right.as_deref());
    }
    body.lines[0] = format!("- {}", body.lines[0]).trim_end().to_owned();
    lines.extend(Lines::indented(body.lines, false));
}

/// `key: value`
fn entry_lines(lines: &mut Lines, key: &Node, node: &Node, column: usize) {
    let name = on_one_line(key).unwrap_or_default();
    let mut body = value(node, column + name.chars().count() + 2, column + INDENT.len());
    let rights: Vec<&str> = [&key.right, &node.right].into_iter().flatten().map(String::as_str).collect();
    if let Some((last, others)) = rights.split_last() {
        lines.extend(others.iter().map(|other| (*other).to_owned()));
        behind(&mut body, node, Some(last));
    } else if !body.inline {
        behind(&mut body, node, None);
    }
    body.lines[0] = format!("{name}: {}", body.lines[0]).trim_end().to_owned();
    lines.extend(Lines::indented(body.lines, false));
}

/// Puts a comment behind the first line of a value; a value that stands below gets a line of its own for it.
fn behind(body: &mut Body, node: &Node, comment: Option<&str>) {
    if !body.inline {
        body.lines.insert(0, node.anchor.as_ref().map(|name| format!("&{name}")).unwrap_or_default());
        body.inline = true;
    }
    if let Some(comment) = comment {
        body.lines[0] = format!("{} {comment}", body.lines[0]).trim_start().to_owned();
    }
}

/// A list or mapping in flow style, if it was in it and nothing in it needs a line of its own; what is empty has no other.
fn flow(node: &Node) -> Option<String> {
    match &node.kind {
        Kind::List(list) if (list.flow || list.items.is_empty()) && list.tail.is_empty() => {
            let items: Option<Vec<String>> = list.items.iter().map(within_flow).collect();
            Some(format!("[{}]", items?.join(", ")))
        }
        Kind::Map(map) if (map.flow || map.items.is_empty()) && map.tail.is_empty() => {
            let entries = map.items.iter().map(|(key, value)| {
                Some(format!("{}: {}", within_flow(key)?, within_flow(value)?).trim_end().to_owned())
            });
            Some(format!("{{{}}}", entries.collect::<Option<Vec<String>>>()?.join(", ")))
        }
        _ => None,
    }
}

fn within_flow(node: &Node) -> Option<String> {
    if node.right.is_some() || !node.above.is_empty() {
        return None;
    }
    let anchor = node.anchor.as_ref().map(|name| format!("&{name} ")).unwrap_or_default();
    let text = match &node.kind {
        Kind::Alias(name) => format!("{name} "), // `*a: b` would be read as a name with a colon
        Kind::Scalar(text, style) => scalar::on_one_line(text, *style, true)?,
        Kind::List(_) | Kind::Map(_) => flow(node)?,
    };
    Some(format!("{anchor}{text}"))
}

/// A key in block style.
fn on_one_line(key: &Node) -> Option<String> {
    let anchor = key.anchor.as_ref().map(|name| format!("&{name} ")).unwrap_or_default();
    match &key.kind {
        Kind::Alias(name) => Some(format!("{name} ")),
        Kind::Scalar(text, style) => Some(format!("{anchor}{}", scalar::on_one_line(text, *style, false)?)),
        Kind::List(_) | Kind::Map(_) => None,
    }
}
