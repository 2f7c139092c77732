//! A file as it is laid out: values with their comments, styles, anchors and empty lines.

use serde_yaml::granit_parser::{Event, Marker, Options, Parser, ScalarStyle, Span, StructureStyle};

use crate::fault::{Fault, Faults};
use crate::yaml::Source;

/// A whole file.
#[derive(Debug, Default)]
pub struct Document {
    /// `---` stands before it.
    pub marked: bool,
    pub root: Option<Node>,
    /// Comments behind everything, and all comments of a file that has nothing else.
    pub tail: Vec<Line>,
}

/// A comment on a line of its own, from `#` on.
#[derive(Clone, Debug)]
pub struct Line {
    pub text: String,
    /// An empty line stands before it.
    pub spaced: bool,
}

/// A value, or the key of one.
#[derive(Clone, Debug)]
pub struct Node {
    /// Comments above it.
    pub above: Vec<Line>,
    /// An empty line stands before it, behind those comments.
    pub spaced: bool,
    /// The comment behind it on its last line; of a key, behind its colon.
    pub right: Option<String>,
    pub anchor: Option<String>,
    pub kind: Kind,
    /// On more than one line of the file.
    pub long: bool,
    /// Where it begins and ends, counted from 1.
    first_line: usize,
    last_line: usize,
    /// Columns before it, and so before its items.
    column: usize,
}

#[derive(Clone, Debug)]
pub enum Kind {
    /// `*name`
    Alias(String),
    Scalar(String, Style),
    List(Collection<Node>),
    Map(Collection<(Node, Node)>),
}

#[derive(Clone, Debug)]
pub struct Collection<T> {
    pub flow: bool,
    pub items: Vec<T>,
    /// Comments behind its last item.
    pub tail: Vec<Line>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Single,
    Double,
    Literal,
    Folded,
    /// Whichever fits: an expression that was set out anew.
    Expression,
}

impl Node {
    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// Hands this and every value and key in it to `visit`.
    pub fn walk<'n>(&'n self, visit: &mut dyn FnMut(&'n Self)) {
        visit(self);
        match &self.kind {
            Kind::Alias(_) | Kind::Scalar(..) => {}
            Kind::List(list) => list.items.iter().for_each(|item| item.walk(visit)),
            Kind::Map(map) => map.items.iter().for_each(|(key, value)| {
                key.walk(visit);
                value.walk(visit);
            }),
        }
    }

    /// The value of its last item.
    fn last_mut(&mut self) -> Option<&mut Self> {
        match &mut self.kind {
            Kind::List(list) => list.items.last_mut(),
            Kind::Map(map) => map.items.last_mut().map(|(_, value)| value),
            _ => None,
        }
    }

    /// The last value or key of it that begins or ends on a line.
    fn last_on(&mut self, line: usize) -> Option<&mut Self> {
        if self.is_on(line) { Some(self) } else { self.within_on(line) }
    }

    /// As [`Self::last_on`], without itself.
    fn within_on(&mut self, line: usize) -> Option<&mut Self> {
        match &mut self.kind {
            Kind::List(list) => list.items.last_mut()?.last_on(line),
            Kind::Map(map) => {
                let (key, value) = map.items.last_mut()?;
                value.last_on(line).or(Some(key).filter(|key| key.is_on(line)))
            }
            _ => None,
        }
    }

    /// Whether it begins or ends on a line; of a block, whose items have comments of their own, nothing is said.
    fn is_on(&self, line: usize) -> bool {
        !self.is_block() && [self.first_line, self.last_line].contains(&line)
    }

    fn is_block(&self) -> bool {
        match &self.kind {
            Kind::List(list) => !list.flow,
            Kind::Map(map) => !map.flow,
            _ => false,
        }
    }

    pub fn tail(&self) -> &[Line] {
        match &self.kind {
            Kind::List(list) => &list.tail,
            Kind::Map(map) => &map.tail,
            _ => &[],
        }
    }
}

impl Document {
    /// The text of every comment, sorted: none may be lost.
    pub fn comments(&self) -> Vec<String> {
        let mut found: Vec<String> = self.tail.iter().map(|line| line.text.clone()).collect();
        if let Some(root) = &self.root {
            root.walk(&mut |node| {
                let lines = node.above.iter().chain(node.tail()).map(|line| &line.text);
                found.extend(lines.chain(&node.right).cloned());
            });
        }
        found.sort_unstable();
        found
    }
}

/// Reads a file that is known to be valid and bounded, as [`crate::yaml::parse`] finds out.
pub fn read(source: &Source) -> Result<Document, Faults> {
    let mut options = Options::default();
    options.emit_anchor_events = true;
    let mut builder = Builder { source, document: Document::default(), open: Vec::new(), waiting: Vec::new() };
    for event in Parser::new_from_str_with_options(&source.text, options) {
        let (event, span) = event.map_err(|error| {
            let at = offset(source, error.marker());
            refused(source, at, &error.info())
        })?;
        builder.take(event, span)?;
    }
    builder.document.tail.append(&mut builder.waiting.into_iter().map(|(_, line)| line).collect());
    Ok(builder.document)
}

fn refused(source: &Source, at: usize, why: &str) -> Faults {
    Faults::of([vec![Fault::at(source, at, at + 1, why)]])
}

fn offset(source: &Source, marker: &Marker) -> usize {
    marker.byte_offset().unwrap_or(source.text.len())
}

/// A list or mapping that is not closed yet.
struct Open {
    node: Node,
    /// A key whose value is still to come.
    key: Option<Node>,
}

struct Builder<'s> {
    source: &'s Source,
    document: Document,
    open: Vec<Open>,
    /// Comments with their columns, not yet known to belong to anything.
    waiting: Vec<(usize, Line)>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Faults> {
        match event {
            Event::DocumentStart(explicit, ..) => self.document.marked |= explicit,
            Event::Comment(text, _) => self.comment(&format!("#{text}"), span),
            Event::Scalar(text, style, _, tag) => {
                self.refuse_if(tag.is_some(), span, "a tag (!…) stands here")?;
                let is_empty = offset(self.source, &span.start) >= offset(self.source, &span.end);
                let text = if is_empty { String::new() } else { text.into_owned() }; // nothing is told as `~`
                let node = self.node(Kind::Scalar(text, style_of(style)), span);
                self.add(node)?;
            }
            Event::Alias(_) => {
                let (from, to) = (offset(self.source, &span.start), offset(self.source, &span.end));
                let name = self.source.text[from..to].trim().to_owned();
                let node = self.node(Kind::Alias(name), span);
                self.add(node)?;
            }
            Event::SequenceStart(style, _, tag) => {
                self.refuse_if(tag.is_some(), span, "a tag (!…) stands here")?;
                let flow = style == StructureStyle::Flow;
                self.open(Kind::List(Collection { flow, items: Vec::new(), tail: Vec::new() }), span);
            }
            Event::MappingStart(style, _, tag) => {
                self.refuse_if(tag.is_some(), span, "a tag (!…) stands here")?;
                let flow = style == StructureStyle::Flow;
                self.open(Kind::Map(Collection { flow, items: Vec::new(), tail: Vec::new() }), span);
            }
            Event::Anchor(_, name) => self.anchor(&name),
            Event::SequenceEnd | Event::MappingEnd => self.close(span)?,
            _ => {}
        }
        Ok(())
    }

    fn refuse_if(&self, is_there: bool, span: Span, what: &str) -> Result<(), Faults> {
        if !is_there {
            return Ok(());
        }
        let at = offset(self.source, &span.start);
        Err(refused(self.source, at, &format!("{what}, which is not set out here; rule files need none")))
    }

    /// A node with the comments that wait for it.
    fn node(&mut self, kind: Kind, span: Span) -> Node {
        let (from, to) = (offset(self.source, &span.start), offset(self.source, &span.end));
        let (first, column) = self.source.place(from);
        let (last, _) = self.source.place(to.max(from));
        let above = std::mem::take(&mut self.waiting).into_iter().map(|(_, line)| line).collect();
        let spaced = first > 1 && self.source.line(first - 1).trim().is_empty();
        Node {
            above,
            spaced,
            right: None,
            anchor: None,
            kind,
            long: last > first,
            first_line: first,
            last_line: last,
            column: column - 1,
        }
    }

    fn comment(&mut self, text: &str, span: Span) {
        let (line, column) = self.source.place(offset(self.source, &span.start));
        let text = text.trim_end().to_owned();
        let before: String = self.source.line(line).chars().take(column - 1).collect();
        if !before.trim().is_empty() && self.is_behind(line, &text) {
            return;
        }
        let spaced = line > 1 && self.source.line(line - 1).trim().is_empty();
        let line = Line { text, spaced };
        match self.ended_at(column - 1) {
            Some(tail) => tail.push(line),
            None => self.waiting.push((column - 1, line)),
        }
    }

    /// The end of the innermost list or mapping that has just been closed and whose items are indented as a comment is.
    fn ended_at(&mut self, column: usize) -> Option<&mut Vec<Line>> {
        let open = self.open.last_mut().filter(|open| self.waiting.is_empty() && open.key.is_none())?;
        if column <= open.node.column {
            return None;
        }
        let mut node = open.node.last_mut()?;
        if !node.is_block() || node.column > column {
            return None;
        }
        while node.last_mut().is_some_and(|last| last.is_block() && last.column <= column) {
            node = node.last_mut().expect("there is one");
        }
        match &mut node.kind {
            Kind::List(list) => Some(&mut list.tail),
            Kind::Map(map) => Some(&mut map.tail),
            _ => None,
        }
    }

    /// Puts a comment behind what stands on its line, if that has none already.
    fn is_behind(&mut self, line: usize, text: &str) -> bool {
        let Some(open) = self.open.last_mut() else { return false };
        // The parser tells of a comment behind `|` only after what follows the block.
        let last = match open.key.as_mut().filter(|key| key.is_on(line)) {
            Some(key) => Some(key),
            None => open.node.within_on(line),
        };
        let Some(last) = last.filter(|last| last.right.is_none()) else { return false };
        last.right = Some(text.to_owned());
        true
    }

    /// Names the value that was just begun or read.
    fn anchor(&mut self, name: &str) {
        let Some(open) = self.open.last_mut() else { return };
        let empty = match (&open.node.kind, &open.key) {
            (Kind::List(list), _) => list.items.is_empty(),
            (Kind::Map(map), None) => map.items.is_empty(),
            _ => false,
        };
        let node = match (&mut open.node.kind, &mut open.key) {
            _ if empty => &mut open.node,
            (_, Some(key)) => key,
            (Kind::List(list), None) => list.items.last_mut().expect("it is not empty"),
            (Kind::Map(map), None) => &mut map.items.last_mut().expect("it is not empty").1,
            _ => return,
        };
        node.anchor = Some(name.to_owned());
    }

    fn open(&mut self, kind: Kind, span: Span) {
        let mut node = self.node(kind, span);
        if node.is_block() && matches!(node.kind, Kind::List(_)) {
            node.column = self.dash(span, node.column);
        }
        self.open.push(Open { node, key: None });
    }

    /// Columns before the dash of a list's first item; the parser tells where that item itself begins.
    fn dash(&self, span: Span, column: usize) -> usize {
        let (line, _) = self.source.place(offset(self.source, &span.start));
        let before: Vec<char> = self.source.line(line).chars().take(column).collect();
        before.iter().rposition(|c| *c == '-').unwrap_or(column.saturating_sub(2))
    }

    /// Ends a list or mapping, which takes the comments behind its last item that are indented as its items are.
    fn close(&mut self, span: Span) -> Result<(), Faults> {
        let Some(mut open) = self.open.pop() else { return Ok(()) };
        let (line, _) = self.source.place(offset(self.source, &span.end));
        let (flow, tail) = match &mut open.node.kind {
            Kind::List(list) => (list.flow, &mut list.tail),
            Kind::Map(map) => (map.flow, &mut map.tail),
            _ => return Ok(()),
        };
        // A list may stand no deeper than its key; a comment there is then the next key's.
        let outer = self.open.last().map(|outer| outer.node.column);
        let belongs = |column: usize| flow || column >= open.node.column && outer.is_none_or(|outer| column > outer);
        let count = self.waiting.iter().take_while(|(column, _)| belongs(*column)).count();
        tail.extend(self.waiting.drain(..count).map(|(_, line)| line));
        open.node.last_line = line;
        self.add(open.node)
    }

    fn add(&mut self, mut node: Node) -> Result<(), Faults> {
        let Some(open) = self.open.last_mut() else {
            self.document.root = Some(node);
            return Ok(());
        };
        match (&mut open.node.kind, open.key.take()) {
            (Kind::List(list), _) => list.items.push(node),
            (Kind::Map(map), Some(mut key)) => {
                lift(&mut key, &mut node);
                map.items.push((key, node));
            }
            (Kind::Map(_), None) if matches!(node.kind, Kind::List(_) | Kind::Map(_)) => {
                let at = self.source.text.len();
                return Err(refused(self.source, at, "a key is a list or a mapping, which is not set out here"));
            }
            (Kind::Map(_), None) => open.key = Some(node),
            _ => {}
        }
        Ok(())
    }
}

/// Comments between a key and a value that stands behind it go above the key; above the first item of a block they stay.
fn lift(key: &mut Node, value: &mut Node) {
    let above = std::mem::take(&mut value.above);
    let first = match &mut value.kind {
        Kind::List(list) if !list.flow => list.items.first_mut(),
        Kind::Map(map) if !map.flow => map.items.first_mut().map(|(key, _)| key),
        _ => None,
    };
    match first {
        Some(first) => drop(first.above.splice(0..0, above)),
        None => key.above.extend(above),
    }
}

fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::SingleQuoted => Style::Single,
        ScalarStyle::DoubleQuoted => Style::Double,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
        _ => Style::Plain,
    }
}
