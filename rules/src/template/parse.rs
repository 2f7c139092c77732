//! Tokens to pieces; every function, variable and field is checked here, so that a fault is found at load.

use super::functions;
use super::lex::{Spanned, Token, tokens};
use super::{Template, TemplateError};
use crate::near::near;

/// How deep blocks and parentheses may nest.
const DEPTH_MAX: usize = 32;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Text(String),
    /// `{{ pipeline }}`
    Show(Pipeline),
    /// `{{ $name := pipeline }}`
    Set(String, Pipeline),
    /// `if`: the first branch whose condition is true; `with` also makes it the dot.
    Choose {
        branches: Vec<(Pipeline, Vec<Piece>)>,
        otherwise: Vec<Piece>,
        dot: bool,
    },
}

/// Each command gets the value of the one before as its last argument.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pipeline {
    pub commands: Vec<Command>,
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
    Call(&'static functions::Function, Vec<(Operand, usize)>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    Labels,
    /// With the byte at which the name stands.
    Label(String, usize),
    /// Labels and URL of this installation: empty until they can be set.
    External,
    Value,
    Dot,
    Variable(String),
    Text(String),
    Number(f64),
    Bool(bool),
    Nested(Pipeline),
}

struct Reader {
    tokens: Vec<Spanned>,
    next: usize,
    /// Variables in sight, innermost last.
    variables: Vec<String>,
    /// Whether the dot is the root (labels and value) rather than what `with` made it.
    dot_is_root: bool,
    depth: usize,
}

pub(super) fn template(text: &str) -> Result<Template, TemplateError> {
    let mut reader = Reader { tokens: tokens(text)?, next: 0, variables: Vec::new(), dot_is_root: true, depth: 0 };
    let (pieces, stop) = reader.pieces()?;
    match stop {
        Stop::End => Ok(Template { pieces }),
        Stop::Word(word, at) => Err(TemplateError::new(at, word.len(), format!("'{word}' without an 'if' before it"))),
    }
}

/// What ended a list of pieces: the text's end, or `else` and `end` (already taken up to and with the word).
enum Stop {
    End,
    Word(String, usize),
}

impl Reader {
    fn peek(&self) -> &Spanned {
        &self.tokens[self.next]
    }

    fn take(&mut self) -> Spanned {
        let token = self.tokens[self.next].clone();
        if self.next + 1 < self.tokens.len() {
            self.next += 1;
        }
        token
    }

    fn wrong(&self, message: impl Into<String>) -> TemplateError {
        TemplateError::new(self.peek().at, self.peek().length, message)
    }

    fn deeper(&mut self) -> Result<(), TemplateError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(self.wrong("nested too deeply")) } else { Ok(()) }
    }

    fn pieces(&mut self) -> Result<(Vec<Piece>, Stop), TemplateError> {
        let mut found = Vec::new();
        loop {
            let here = self.take();
            match here.token {
                Token::Text(text) => found.push(Piece::Text(text)),
                Token::End => return Ok((found, Stop::End)),
                _ => match self.action()? {
                    Action::Piece(piece) => found.push(piece),
                    Action::Stop(word, at) => return Ok((found, Stop::Word(word, at))),
                },
            }
        }
    }

    /// What stands between `{{` (taken) and `}}`.
    fn action(&mut self) -> Result<Action, TemplateError> {
        let first = self.peek().clone();
        match &first.token {
            Token::Close => Err(self.wrong("the action is empty")),
            Token::Word(word) if word == "if" || word == "with" => {
                self.take();
                self.choose(word == "with", &first).map(Action::Piece)
            }
            Token::Word(word) if word == "else" || word == "end" => {
                self.take();
                Ok(Action::Stop(word.clone(), first.at))
            }
            Token::Word(word) if functions::NOT_TAKEN.contains(&word.as_str()) => Err(self.not_taken(word)),
            Token::Variable(name) if matches!(self.tokens[self.next + 1].token, Token::Assign | Token::Equals) => {
                self.take();
                self.take();
                let pipeline = self.pipeline()?;
                self.close()?;
                self.variables.push(name.clone());
                Ok(Action::Piece(Piece::Set(name.clone(), pipeline)))
            }
            _ => {
                let pipeline = self.pipeline()?;
                self.close()?;
                Ok(Action::Piece(Piece::Show(pipeline)))
            }
        }
    }

    fn not_taken(&self, word: &str) -> TemplateError {
        self.wrong(format!("'{word}' is not taken: templates of rules see the alert's labels and value, no queries"))
    }

    fn close(&mut self) -> Result<(), TemplateError> {
        match self.peek().token {
            Token::Close => {
                self.take();
                Ok(())
            }
            _ => Err(self.wrong("'|' or '}}' is expected here")),
        }
    }

    /// After `if` or `with`: condition, branches and `end`.
    fn choose(&mut self, dot: bool, opening: &Spanned) -> Result<Piece, TemplateError> {
        self.deeper()?;
        let in_sight = self.variables.len();
        let mut branches = Vec::new();
        let mut otherwise = Vec::new();
        let mut condition = Some(self.condition()?);
        loop {
            let root_before = self.dot_is_root;
            self.dot_is_root = root_before && !(dot && condition.is_some());
            let (pieces, stop) = self.pieces()?;
            self.dot_is_root = root_before;
            self.variables.truncate(in_sight);
            let last = condition.is_none();
            match condition.take() {
                Some(pipeline) => branches.push((pipeline, pieces)),
                None => otherwise = pieces,
            }
            match stop {
                Stop::End => {
                    let wrong = "this block has no '{{ end }}'";
                    return Err(TemplateError::new(opening.at, opening.length, wrong));
                }
                Stop::Word(word, _) if word == "end" => {
                    self.close()?;
                    self.depth -= 1;
                    return Ok(Piece::Choose { branches, otherwise, dot });
                }
                Stop::Word(_, at) if last => return Err(TemplateError::new(at, 4, "a second 'else'")),
                Stop::Word(..) => condition = self.else_branch()?,
            }
        }
    }

    /// After `else`: `if condition` or nothing.
    fn else_branch(&mut self) -> Result<Option<Pipeline>, TemplateError> {
        match &self.peek().token {
            Token::Word(word) if word == "if" || word == "with" => {
                self.take();
                self.condition().map(Some)
            }
            _ => self.close().map(|()| None),
        }
    }

    fn condition(&mut self) -> Result<Pipeline, TemplateError> {
        let pipeline = self.pipeline()?;
        self.close()?;
        Ok(pipeline)
    }

    fn pipeline(&mut self) -> Result<Pipeline, TemplateError> {
        let mut commands = vec![self.command(false)?];
        while self.peek().token == Token::Pipe {
            self.take();
            commands.push(self.command(true)?);
        }
        Ok(Pipeline { commands })
    }

    fn command(&mut self, piped: bool) -> Result<Command, TemplateError> {
        let first = self.peek().clone();
        if let Token::Word(word) = &first.token
            && !matches!(word.as_str(), "true" | "false")
        {
            self.take();
            let function = self.function(word, &first)?;
            let arguments = self.arguments()?;
            let given = arguments.len() + usize::from(piped);
            function.check_count(given).map_err(|message| TemplateError::new(first.at, first.length, message))?;
            return Ok(Command { at: first.at, length: first.length, what: What::Call(function, arguments) });
        }
        if piped {
            return Err(self.wrong("a function is expected after '|'"));
        }
        let operand = self.operand()?.ok_or_else(|| self.wrong("a value or a function is expected here"))?;
        Ok(Command { at: first.at, length: first.length, what: What::Value(operand) })
    }

    fn function(&self, word: &str, at: &Spanned) -> Result<&'static functions::Function, TemplateError> {
        functions::find(word).ok_or_else(|| {
            if functions::NOT_TAKEN.contains(&word) {
                return TemplateError { at: at.at, length: at.length, ..self.not_taken(word) };
            }
            let mut error = TemplateError::new(at.at, at.length, format!("unknown template function '{word}'"));
            error.near = near(word, functions::names());
            error
        })
    }

    fn arguments(&mut self) -> Result<Vec<(Operand, usize)>, TemplateError> {
        let mut found = Vec::new();
        loop {
            let at = self.peek().at;
            match self.operand()? {
                Some(operand) => found.push((operand, at)),
                None => return Ok(found),
            }
        }
    }

    /// One value, or nothing where none begins.
    fn operand(&mut self) -> Result<Option<Operand>, TemplateError> {
        let here = self.peek().clone();
        let operand = match here.token {
            Token::String(text) => Operand::Text(text),
            Token::Number(value) => Operand::Number(value),
            Token::Word(word) if word == "true" || word == "false" => Operand::Bool(word == "true"),
            Token::Word(word) => {
                let wrong = format!("put '{word} …' in parentheses to hand its result on");
                return Err(TemplateError::new(here.at, here.length, wrong));
            }
            Token::Variable(ref name) => {
                self.take();
                return self.variable(name, &here).map(Some);
            }
            Token::Field(ref name) => {
                self.take();
                return self.field(name, &here).map(Some);
            }
            Token::OpenParen => {
                self.take();
                return self.nested(&here).map(Some);
            }
            _ => return Ok(None),
        };
        self.take();
        Ok(Some(operand))
    }

    fn nested(&mut self, opening: &Spanned) -> Result<Operand, TemplateError> {
        self.deeper()?;
        let pipeline = self.pipeline()?;
        if self.peek().token != Token::CloseParen {
            return Err(TemplateError::new(opening.at, 1, "this parenthesis is not closed"));
        }
        self.take();
        self.depth -= 1;
        Ok(Operand::Nested(pipeline))
    }

    fn variable(&mut self, name: &str, at: &Spanned) -> Result<Operand, TemplateError> {
        match name {
            "labels" => self.label_of(at),
            "value" => Ok(Operand::Value),
            "externalLabels" => self.label_of(at).map(|_| Operand::External),
            "externalURL" => Ok(Operand::External),
            name if self.variables.iter().any(|known| known == name) => Ok(Operand::Variable(name.to_owned())),
            name => {
                let mut error = TemplateError::new(at.at, at.length, format!("unknown variable '${name}'"));
                let known = ["labels", "value", "externalLabels", "externalURL"];
                let own = self.variables.iter().map(String::as_str);
                error.near = near(name, known.into_iter().chain(own)).map(|word| format!("${word}"));
                Err(error)
            }
        }
    }

    /// `.NAME` right after `$labels` or `.Labels`.
    fn label_of(&mut self, _owner: &Spanned) -> Result<Operand, TemplateError> {
        let next = self.peek().clone();
        match next.token {
            Token::Field(name) if !next.spaced && !name.is_empty() => {
                self.take();
                Ok(Operand::Label(name, next.at + 1))
            }
            _ => Ok(Operand::Labels),
        }
    }

    fn field(&mut self, name: &str, at: &Spanned) -> Result<Operand, TemplateError> {
        match name {
            "" => Ok(Operand::Dot),
            _ if !self.dot_is_root => {
                let wrong = format!("'.{name}': within 'with' the dot is its value; write $labels or $value");
                Err(TemplateError::new(at.at, at.length, wrong))
            }
            "Labels" => self.label_of(at),
            "Value" => Ok(Operand::Value),
            "ExternalLabels" => self.label_of(at).map(|_| Operand::External),
            "ExternalURL" => Ok(Operand::External),
            name => {
                let mut error = TemplateError::new(at.at, at.length, format!("unknown field '.{name}'"));
                error.near =
                    near(name, ["Labels", "Value", "ExternalLabels", "ExternalURL"]).map(|word| format!(".{word}"));
                Err(error)
            }
        }
    }
}

enum Action {
    Piece(Piece),
    Stop(String, usize),
}

pub(super) fn labels(pieces: &[Piece]) -> Vec<(&str, usize)> {
    let mut found = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(_) => {}
            Piece::Show(pipeline) | Piece::Set(_, pipeline) => labels_of(pipeline, &mut found),
            Piece::Choose { branches, otherwise, .. } => {
                for (condition, pieces) in branches {
                    labels_of(condition, &mut found);
                    found.extend(labels(pieces));
                }
                found.extend(labels(otherwise));
            }
        }
    }
    found
}

fn labels_of<'a>(pipeline: &'a Pipeline, found: &mut Vec<(&'a str, usize)>) {
    for command in &pipeline.commands {
        match &command.what {
            What::Value(operand) => label_in(operand, found),
            What::Call(function, arguments) => {
                if let ("index", [(Operand::Labels, _), (Operand::Text(name), at)]) = (function.name, &arguments[..]) {
                    found.push((name, *at + 1));
                }
                arguments.iter().for_each(|(operand, _)| label_in(operand, found));
            }
        }
    }
}

fn label_in<'a>(operand: &'a Operand, found: &mut Vec<(&'a str, usize)>) {
    match operand {
        Operand::Label(name, at) => found.push((name, *at)),
        Operand::Nested(pipeline) => labels_of(pipeline, found),
        _ => {}
    }
}
