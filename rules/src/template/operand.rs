//! Pipelines, commands, values and their fields.

use super::TemplateError;
use super::functions;
use super::lex::{Spanned, Token};
use super::parse::Reader;
use super::syntax::{Base, Command, Field, Operand, Pipeline, What};
use crate::near::near;

impl Reader {
    pub fn pipeline(&mut self) -> Result<Pipeline, TemplateError> {
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
            && !is_constant(word)
        {
            self.take();
            let function = functions::find(word).ok_or_else(|| Self::unknown_function(word, &first))?;
            let arguments = self.arguments()?;
            let length = self.last_end() - first.at;
            return Ok(Command { at: first.at, length, what: What::Call(function, arguments) });
        }
        let receiver = self.operand()?;
        let Some(operand) = receiver.filter(|operand| !piped || !operand.fields.is_empty()) else {
            let wanted =
                if piped { "a function is expected after '|'" } else { "a value or a function is expected here" };
            return Err(TemplateError::new(first.at, first.length, wanted));
        };
        if !operand.fields.is_empty() {
            let arguments = self.arguments()?;
            if piped || !arguments.is_empty() {
                let operands = [vec![operand], arguments].concat();
                return Ok(Command { at: first.at, length: self.last_end() - first.at, what: What::Method(operands) });
            }
        }
        Ok(Command { at: first.at, length: operand.length, what: What::Value(operand) })
    }

    fn arguments(&mut self) -> Result<Vec<Operand>, TemplateError> {
        let mut found = Vec::new();
        while let Some(operand) = self.operand()? {
            found.push(operand);
        }
        Ok(found)
    }

    /// One value with its fields, or nothing where none begins.
    fn operand(&mut self) -> Result<Option<Operand>, TemplateError> {
        let here = self.peek().clone();
        let base = match here.token.clone() {
            Token::String(text) => Base::Text(text, here.at),
            Token::Int(value) => Base::Int(value),
            Token::Float(value) => Base::Float(value),
            Token::Word(word) => self.word(&word, &here)?,
            Token::Variable(name) if self.variables.contains(&name) => Base::Variable(name),
            Token::Variable(name) => return Err(self.unknown_variable(&name, here.at, here.length)),
            Token::Field(name) => return Ok(Some(self.dot(name, &here))),
            Token::OpenParen => {
                self.take();
                let pipeline = self.nested(&here)?;
                return Ok(Some(self.with_fields(Base::Nested(pipeline), Vec::new(), here.at)));
            }
            _ => return Ok(None),
        };
        self.take();
        Ok(Some(self.with_fields(base, Vec::new(), here.at)))
    }

    /// A constant, or a function whose name alone is a value.
    fn word(&self, word: &str, here: &Spanned) -> Result<Base, TemplateError> {
        match word {
            "true" => return Ok(Base::Bool(true)),
            "false" => return Ok(Base::Bool(false)),
            "nil" => return Ok(Base::Nil),
            _ => {}
        }
        let function = functions::find(word).ok_or_else(|| Self::unknown_function(word, here))?;
        if function.is_value() {
            return Ok(Base::Call(function, here.at));
        }
        let wrong = format!("put '{word} …' in parentheses to hand its result on");
        Err(TemplateError::new(here.at, here.length, wrong))
    }

    /// The dot, alone or with a field.
    fn dot(&mut self, name: String, here: &Spanned) -> Operand {
        self.take();
        let fields = if name.is_empty() { Vec::new() } else { vec![Field { name, at: here.at + 1 }] };
        let base = if self.dot_is_root { Base::Root } else { Base::Dot };
        self.with_fields(base, fields, here.at)
    }

    /// `.NAME` right behind a value, as often as it comes.
    fn with_fields(&mut self, base: Base, mut fields: Vec<Field>, at: usize) -> Operand {
        loop {
            let next = self.peek().clone();
            match next.token {
                Token::Field(name) if !next.spaced && !name.is_empty() => {
                    self.take();
                    fields.push(Field { name, at: next.at + 1 });
                }
                _ => break,
            }
        }
        Operand { base, fields, at, length: self.last_end() - at }
    }

    fn nested(&mut self, opening: &Spanned) -> Result<Pipeline, TemplateError> {
        self.deeper()?;
        let pipeline = self.pipeline()?;
        if self.peek().token != Token::CloseParen {
            return Err(TemplateError::new(opening.at, 1, "this parenthesis is not closed"));
        }
        self.take();
        self.shallower();
        Ok(pipeline)
    }

    pub fn unknown_variable(&self, name: &str, at: usize, length: usize) -> TemplateError {
        let mut error = TemplateError::new(at, length, format!("unknown variable '${name}'"));
        error.near = near(name, self.variables.iter().map(String::as_str)).map(|word| format!("${word}"));
        error
    }
}

fn is_constant(word: &str) -> bool {
    matches!(word, "true" | "false" | "nil")
}
