//! Tokens to pieces: text, blocks, definitions. Functions and variables are checked here or in [`super::operand`], so that
//! such a fault is found at load. What Prometheus takes at load (fields, counts of arguments, templates to insert) is
//! taken, and fails when rendered, as there.

use super::functions;
use super::lex::{Spanned, Token, tokens};
use super::syntax::{Branch, Definitions, Piece, Pipeline};
use super::{Template, TemplateError};

/// How deep blocks and parentheses may nest.
const DEPTH_MAX: usize = 32;

/// What Prometheus declares before each template.
const DECLARED: [&str; 5] = ["", "labels", "externalLabels", "externalURL", "value"];

pub(super) struct Reader {
    tokens: Vec<Spanned>,
    next: usize,
    /// Variables in sight, innermost last; `$` is the empty name.
    pub variables: Vec<String>,
    /// Whether the dot is the root (labels and value) rather than what a block made it.
    pub dot_is_root: bool,
    depth: usize,
    loops: usize,
    definitions: Definitions,
}

pub(super) fn template(text: &str) -> Result<Template, TemplateError> {
    let mut reader = Reader {
        tokens: tokens(text)?,
        next: 0,
        variables: DECLARED.map(str::to_owned).into(),
        dot_is_root: true,
        depth: 0,
        loops: 0,
        definitions: Definitions::new(),
    };
    let (pieces, stop) = reader.pieces()?;
    if let Stop::Word(word, at) = stop {
        return Err(TemplateError::new(at, word.len(), format!("'{word}' without an 'if' before it")));
    }
    Ok(Template { text: text.to_owned(), pieces, definitions: reader.definitions })
}

/// What ended a list of pieces: the text's end, or `else` and `end` (already taken up to and with the word).
enum Stop {
    End,
    Word(String, usize),
}

enum Action {
    Piece(Piece),
    /// It made no piece: a definition.
    Nothing,
    Stop(String, usize),
}

/// What a block does to the dot within it.
#[derive(Clone, Copy, PartialEq)]
enum Dot {
    Kept,
    Changed,
}

impl Reader {
    pub fn peek(&self) -> &Spanned {
        &self.tokens[self.next]
    }

    pub fn peek_behind(&self, ahead: usize) -> &Token {
        &self.tokens[(self.next + ahead).min(self.tokens.len() - 1)].token
    }

    pub fn take(&mut self) -> Spanned {
        let token = self.tokens[self.next].clone();
        if self.next + 1 < self.tokens.len() {
            self.next += 1;
        }
        token
    }

    /// The byte behind the last token taken.
    pub fn last_end(&self) -> usize {
        self.next.checked_sub(1).map_or(0, |last| self.tokens[last].at + self.tokens[last].length)
    }

    pub fn wrong(&self, message: impl Into<String>) -> TemplateError {
        TemplateError::new(self.peek().at, self.peek().length, message)
    }

    pub fn deeper(&mut self) -> Result<(), TemplateError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(self.wrong("nested too deeply")) } else { Ok(()) }
    }

    pub fn shallower(&mut self) {
        self.depth -= 1;
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
                    Action::Nothing => {}
                    Action::Stop(word, at) => return Ok((found, Stop::Word(word, at))),
                },
            }
        }
    }

    /// What stands between `{{` (taken) and `}}`.
    fn action(&mut self) -> Result<Action, TemplateError> {
        let first = self.peek().clone();
        let word = match &first.token {
            Token::Close => return Err(self.wrong("the action is empty")),
            Token::Variable(_) => return self.variable_action().map(Action::Piece),
            Token::Word(word) => word.as_str(),
            _ => "",
        };
        if matches!(
            word,
            "if" | "with" | "range" | "else" | "end" | "define" | "block" | "template" | "break" | "continue"
        ) {
            self.take();
        }
        match word {
            "if" => self.choose(Dot::Kept, &first).map(Action::Piece),
            "with" => self.choose(Dot::Changed, &first).map(Action::Piece),
            "range" => self.range(&first).map(Action::Piece),
            "else" | "end" => Ok(Action::Stop(word.to_owned(), first.at)),
            "define" => self.define(&first).map(|()| Action::Nothing),
            "block" => self.block(&first).map(Action::Piece),
            "template" => self.insert().map(Action::Piece),
            "break" => self.leave(&first, Piece::Break).map(Action::Piece),
            "continue" => self.leave(&first, Piece::Continue).map(Action::Piece),
            _ => self.closed_pipeline().map(|pipeline| Action::Piece(Piece::Show(pipeline))),
        }
    }

    fn closed_pipeline(&mut self) -> Result<Pipeline, TemplateError> {
        let pipeline = self.pipeline()?;
        self.close()?;
        Ok(pipeline)
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

    /// `$name := …`, `$name = …`, or a value that begins with a variable.
    fn variable_action(&mut self) -> Result<Piece, TemplateError> {
        if *self.peek_behind(1) == Token::Equals {
            let variable = self.take();
            let Token::Variable(name) = variable.token else { return Err(self.wrong("a variable is expected here")) };
            if !self.variables.contains(&name) {
                return Err(self.unknown_variable(&name, variable.at, variable.length));
            }
            self.take();
            return Ok(Piece::Assign(name, self.closed_pipeline()?));
        }
        match self.declared()? {
            Some(name) => {
                let pipeline = self.closed_pipeline()?;
                self.variables.push(name.clone());
                Ok(Piece::Declare(name, pipeline))
            }
            None => self.closed_pipeline().map(Piece::Show),
        }
    }

    /// The name before a `:=`.
    fn declared(&mut self) -> Result<Option<String>, TemplateError> {
        if *self.peek_behind(1) != Token::Assign {
            return Ok(None);
        }
        self.declared_name()
    }

    fn declared_name(&mut self) -> Result<Option<String>, TemplateError> {
        let Token::Variable(name) = self.peek().token.clone() else { return Ok(None) };
        if name.is_empty() {
            return Err(self.wrong("a variable needs a name, as in $found := …"));
        }
        self.take();
        self.take();
        Ok(Some(name))
    }

    /// After `if` or `with`: condition, branches and `end`.
    fn choose(&mut self, dot: Dot, opening: &Spanned) -> Result<Piece, TemplateError> {
        self.deeper()?;
        let in_sight = self.variables.len();
        let mut branches = Vec::new();
        let mut otherwise = Vec::new();
        let mut condition = Some(self.condition()?);
        loop {
            let (pieces, stop) = self.body(if condition.is_some() { dot } else { Dot::Kept })?;
            let last = condition.is_none();
            match condition.take() {
                Some((name, condition)) => branches.push(Branch { name, condition, pieces }),
                None => otherwise = pieces,
            }
            match self.stopped(stop, opening, last)? {
                Ended::Block => break,
                Ended::Branch => condition = self.else_branch()?,
            }
        }
        self.variables.truncate(in_sight);
        self.shallower();
        Ok(Piece::Choose { branches, otherwise, dot: dot == Dot::Changed })
    }

    /// Pieces up to `else` or `end`; what is declared in them is gone afterwards.
    fn body(&mut self, dot: Dot) -> Result<(Vec<Piece>, Stop), TemplateError> {
        let in_sight = self.variables.len();
        let root_before = self.dot_is_root;
        self.dot_is_root &= dot == Dot::Kept;
        let found = self.pieces()?;
        self.dot_is_root = root_before;
        self.variables.truncate(in_sight);
        Ok(found)
    }

    fn stopped(&mut self, stop: Stop, opening: &Spanned, last: bool) -> Result<Ended, TemplateError> {
        match stop {
            Stop::End => Err(TemplateError::new(opening.at, opening.length, "this block has no '{{ end }}'")),
            Stop::Word(word, _) if word == "end" => {
                self.close()?;
                Ok(Ended::Block)
            }
            Stop::Word(_, at) if last => Err(TemplateError::new(at, 4, "a second 'else'")),
            Stop::Word(..) => Ok(Ended::Branch),
        }
    }

    /// After `else`: `if condition` or nothing.
    fn else_branch(&mut self) -> Result<Option<(Option<String>, Pipeline)>, TemplateError> {
        match &self.peek().token {
            Token::Word(word) if word == "if" || word == "with" => {
                self.take();
                self.condition().map(Some)
            }
            _ => self.close().map(|()| None),
        }
    }

    /// A pipeline that may declare a variable for the block.
    fn condition(&mut self) -> Result<(Option<String>, Pipeline), TemplateError> {
        let name = self.declared()?;
        let pipeline = self.closed_pipeline()?;
        self.variables.extend(name.clone());
        Ok((name, pipeline))
    }

    /// After `range`: `$place, $element :=`, what to go over, body, `else` and `end`.
    fn range(&mut self, opening: &Spanned) -> Result<Piece, TemplateError> {
        self.deeper()?;
        let in_sight = self.variables.len();
        let names = self.range_names()?;
        let over = self.closed_pipeline()?;
        self.variables.extend(names.0.clone());
        self.variables.extend(names.1.clone());
        self.loops += 1;
        let (body, stop) = self.body(Dot::Changed)?;
        self.loops -= 1;
        self.variables.truncate(in_sight);
        let mut otherwise = Vec::new();
        if let Ended::Branch = self.stopped(stop, opening, false)? {
            self.close()?;
            let (pieces, stop) = self.body(Dot::Kept)?;
            self.stopped(stop, opening, true)?;
            otherwise = pieces;
        }
        self.shallower();
        Ok(Piece::Range { names, over, body, otherwise })
    }

    /// One name is the element's, of two the first is the place's.
    fn range_names(&mut self) -> Result<(Option<String>, Option<String>), TemplateError> {
        if *self.peek_behind(1) != Token::Comma {
            return Ok((None, self.declared()?));
        }
        let place = self.declared_name()?;
        if *self.peek_behind(1) != Token::Assign {
            return Err(self.wrong("':=' is expected after the two variables of 'range'"));
        }
        Ok((place, self.declared_name()?))
    }

    fn leave(&mut self, word: &Spanned, piece: Piece) -> Result<Piece, TemplateError> {
        if self.loops == 0 {
            return Err(TemplateError::new(word.at, word.length, "'break' and 'continue' stand within 'range' only"));
        }
        self.close()?;
        Ok(piece)
    }

    /// After `define`: a name, and a body that sees nothing of what is around it.
    fn define(&mut self, opening: &Spanned) -> Result<(), TemplateError> {
        if self.depth > 0 {
            let wrong = "'define' stands at the top, not within another block";
            return Err(TemplateError::new(opening.at, opening.length, wrong));
        }
        let (name, _) = self.name()?;
        self.close()?;
        self.defined(name, opening)
    }

    fn defined(&mut self, name: String, opening: &Spanned) -> Result<(), TemplateError> {
        self.deeper()?;
        let outside = std::mem::replace(&mut self.variables, vec![String::new()]);
        let loops = std::mem::take(&mut self.loops);
        let (pieces, stop) = self.body(Dot::Changed)?;
        self.stopped(stop, opening, true)?;
        (self.variables, self.loops) = (outside, loops);
        self.shallower();
        self.definitions.insert(name, pieces);
        Ok(())
    }

    /// After `block`: defines a template and inserts it there.
    fn block(&mut self, opening: &Spanned) -> Result<Piece, TemplateError> {
        let (name, at) = self.name()?;
        let data = self.pipeline()?;
        let end = self.last_end();
        self.close()?;
        self.defined(name.clone(), opening)?;
        Ok(Piece::Insert { name, data: Some(data), at, length: end - at })
    }

    /// After `template`: a name, and perhaps the data for it.
    fn insert(&mut self) -> Result<Piece, TemplateError> {
        let (name, at) = self.name()?;
        let data = match self.peek().token {
            Token::Close => None,
            _ => Some(self.pipeline()?),
        };
        let length = self.last_end() - at;
        self.close()?;
        Ok(Piece::Insert { name, data, at, length })
    }

    /// A quoted name and its place.
    fn name(&mut self) -> Result<(String, usize), TemplateError> {
        let Token::String(name) = self.peek().token.clone() else {
            return Err(self.wrong("the template's name is expected here, in quotes"));
        };
        let at = self.take().at;
        Ok((name, at))
    }

    pub fn unknown_function(word: &str, at: &Spanned) -> TemplateError {
        let mut error = TemplateError::new(at.at, at.length, format!("unknown template function '{word}'"));
        error.near = crate::near::near(word, functions::names());
        error
    }
}

/// How a body ended: with its block, or with another branch to come.
enum Ended {
    Block,
    Branch,
}
