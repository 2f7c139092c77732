//! Templates after reading.

use std::collections::BTreeMap;

use super::TemplateError;
use super::functions::Function;

/// Bodies by `define` and `block`, by name.
pub(super) type Definitions = BTreeMap<String, Vec<Piece>>;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Text(String),
    /// `{{ pipeline }}`
    Show(Pipeline),
    /// `{{ $name := pipeline }}`
    Declare(String, Pipeline),
    /// `{{ $name = pipeline }}`
    Assign(String, Pipeline),
    /// `if`: the first branch whose condition is true; `with` also makes it the dot.
    Choose {
        branches: Vec<Branch>,
        otherwise: Vec<Piece>,
        dot: bool,
    },
    /// `range`: the body for each element, or the other one where there is none.
    Range {
        /// The place or key, and the element.
        names: (Option<String>, Option<String>),
        over: Pipeline,
        body: Vec<Piece>,
        otherwise: Vec<Piece>,
    },
    /// `template "name" data`, and `block`
    Insert {
        name: String,
        data: Option<Pipeline>,
        /// From the name to the end of the action.
        at: usize,
        length: usize,
    },
    Break,
    Continue,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Branch {
    /// `if $name := …`
    pub name: Option<String>,
    pub condition: Pipeline,
    pub pieces: Vec<Piece>,
}

/// Each command gets the value of the one before as its last argument.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pipeline {
    pub commands: Vec<Command>,
}

/// A part of a template as Go writes it: spaces that only separate are one.
pub(super) fn in_one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut quote = None;
    let mut chars = text.trim().chars().peekable();
    while let Some(c) = chars.next() {
        match quote {
            None if c.is_whitespace() => {
                let next = chars.peek().copied().unwrap_or(' ');
                if !next.is_whitespace() && next != ')' && !out.ends_with('(') {
                    out.push(' ');
                }
                continue;
            }
            None if matches!(c, '"' | '`' | '\'') => quote = Some(c),
            Some('"' | '\'') if c == '\\' => {
                out.push(c);
                out.extend(chars.next());
                continue;
            }
            Some(open) if open == c => quote = None,
            _ => {}
        }
        out.push(c);
    }
    out
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Command {
    pub at: usize,
    pub length: usize,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    Value(Operand),
    Call(&'static Function, Vec<Operand>),
    /// The last field of the first operand, called with the others: `(toTime $value).Format "15:04"`.
    Method(Vec<Operand>),
}

/// A value and the fields taken of it: `$labels.job`, `(first $found).Value`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Operand {
    pub base: Base,
    pub fields: Vec<Field>,
    pub at: usize,
    pub length: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    pub name: String,
    /// The byte at which the name stands.
    pub at: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Base {
    /// The data that the whole template got: labels and value.
    Root,
    Dot,
    /// `$` alone is the empty name: what the template at hand was given.
    Variable(String),
    /// The text, and the byte at which it begins.
    Text(String, usize),
    Int(i64),
    Float(f64),
    Bool(bool),
    Nil,
    Nested(Pipeline),
    /// A function without arguments as an argument: `printf "%s" externalURL`.
    Call(&'static Function, usize),
}

impl Piece {
    pub fn walk<'p>(&'p self, visit: &mut dyn FnMut(&'p Command)) {
        match self {
            Self::Text(_) | Self::Break | Self::Continue => {}
            Self::Show(pipeline) | Self::Declare(_, pipeline) | Self::Assign(_, pipeline) => pipeline.walk(visit),
            Self::Choose { branches, otherwise, .. } => {
                for branch in branches {
                    branch.condition.walk(visit);
                    branch.pieces.iter().for_each(|piece| piece.walk(visit));
                }
                otherwise.iter().for_each(|piece| piece.walk(visit));
            }
            Self::Range { over, body, otherwise, .. } => {
                over.walk(visit);
                body.iter().chain(otherwise).for_each(|piece| piece.walk(visit));
            }
            Self::Insert { data, .. } => data.iter().for_each(|data| data.walk(visit)),
        }
    }
}

impl Pipeline {
    pub fn at(&self) -> usize {
        self.commands.first().map_or(0, |command| command.at)
    }

    pub fn length(&self) -> usize {
        self.commands.last().map_or(0, |command| command.at + command.length - self.at())
    }

    /// A fault of what it gave. Go names what it looked at last: the last argument that is written, or the function.
    fn wrong(&self, message: impl Into<String>) -> TemplateError {
        let Some(command) = self.commands.last() else { return TemplateError::new(0, 1, message) };
        match (&command.what, command.operands().last()) {
            (_, Some(operand)) => operand.wrong(message),
            (What::Call(function, _), None) => TemplateError::new(command.at, function.name.len(), message),
            (_, None) => TemplateError::new(command.at, command.length, message),
        }
    }

    fn walk<'p>(&'p self, visit: &mut dyn FnMut(&'p Command)) {
        for command in &self.commands {
            visit(command);
            command.operands().iter().for_each(|operand| {
                if let Base::Nested(pipeline) = &operand.base {
                    pipeline.walk(visit);
                }
            });
        }
    }
}

impl Command {
    pub fn operands(&self) -> &[Operand] {
        match &self.what {
            What::Value(operand) => std::slice::from_ref(operand),
            What::Call(_, operands) | What::Method(operands) => operands,
        }
    }

    /// Where it calls the function, if it does.
    pub fn calls(&self, name: &str) -> Option<usize> {
        match &self.what {
            What::Call(function, _) if function.name == name => Some(self.at),
            _ => None,
        }
    }

    /// The labels that it names itself, with their bytes.
    pub fn labels<'c>(&'c self, found: &mut Vec<(&'c str, usize)>) {
        for operand in self.operands() {
            found.extend(operand.label().map(|field| (field.name.as_str(), field.at)));
        }
        if let What::Call(function, operands) = &self.what
            && let ("index", [labels, Operand { base: Base::Text(name, at), .. }]) =
                (function.name, operands.as_slice())
            && labels.is_labels()
        {
            found.push((name, at + 1));
        }
    }
}

impl Operand {
    /// A fault of this value.
    pub fn wrong(&self, message: impl Into<String>) -> TemplateError {
        if let Base::Nested(pipeline) = &self.base {
            return pipeline.wrong(message);
        }
        let own_fields = matches!(self.base, Base::Root | Base::Dot).into();
        let first = self.fields.get::<usize>(own_fields).map_or(self.at, |field| field.at - 1);
        TemplateError::new(self.at, self.length, message).pointing(first)
    }

    /// Whether it is written out: a number, a text, true or false.
    pub fn is_constant(&self) -> bool {
        self.fields.is_empty() && matches!(self.base, Base::Text(..) | Base::Int(_) | Base::Float(_) | Base::Bool(_))
    }

    /// The fields behind `$labels` or `.Labels`.
    fn of_labels(&self) -> Option<&[Field]> {
        match (&self.base, self.fields.as_slice()) {
            (Base::Variable(name), fields) if name == "labels" => Some(fields),
            (Base::Root, [first, fields @ ..]) if first.name == "Labels" => Some(fields),
            _ => None,
        }
    }

    /// Whether it is the alert's value: `$value` or `.Value`.
    pub fn is_value(&self) -> bool {
        match (&self.base, self.fields.as_slice()) {
            (Base::Variable(name), _) => name == "value",
            (Base::Root, [first, ..]) => first.name == "Value",
            _ => false,
        }
    }

    fn label(&self) -> Option<&Field> {
        self.of_labels()?.first()
    }

    fn is_labels(&self) -> bool {
        self.of_labels().is_some_and(<[Field]>::is_empty)
    }
}
