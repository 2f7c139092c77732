//! Rendering of checked templates.

use std::collections::BTreeMap;

use super::parse::{Command, Operand, Piece, Pipeline, What};
use super::{RENDERED_BYTES_MAX, TemplateError, number};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Number(f64),
    Bool(bool),
    Labels(BTreeMap<String, String>),
}

impl Value {
    /// As it is shown: `%v`.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(value) => number::shortest(*value),
            Self::Bool(value) => value.to_string(),
            Self::Labels(labels) => {
                let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}:{value}")).collect();
                format!("map[{}]", pairs.join(" "))
            }
        }
    }

    /// As a number; text is read as one, as Prometheus's functions do.
    pub fn number(&self) -> Result<f64, String> {
        match self {
            Self::Number(value) => Ok(*value),
            Self::Text(text) => text.trim().parse().map_err(|_| format!("\"{text}\" is no number")),
            other => Err(format!("{} is no number", other.kind())),
        }
    }

    pub fn is_true(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty(),
            Self::Number(value) => *value != 0.0,
            Self::Bool(value) => *value,
            Self::Labels(labels) => !labels.is_empty(),
        }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Number(_) => "a number",
            Self::Bool(_) => "a truth value",
            Self::Labels(_) => "labels",
        }
    }
}

struct Scope<'a> {
    labels: &'a BTreeMap<String, String>,
    value: f64,
    variables: Vec<(String, Value)>,
    dot: Option<Value>,
    out: String,
}

pub(super) fn render(pieces: &[Piece], labels: &BTreeMap<String, String>, value: f64) -> Result<String, TemplateError> {
    let mut scope = Scope { labels, value, variables: Vec::new(), dot: None, out: String::new() };
    scope.pieces(pieces)?;
    Ok(scope.out)
}

impl Scope<'_> {
    fn pieces(&mut self, pieces: &[Piece]) -> Result<(), TemplateError> {
        for piece in pieces {
            match piece {
                Piece::Text(text) => self.push(text, 0)?,
                Piece::Show(pipeline) => {
                    let text = self.pipeline(pipeline)?.text();
                    self.push(&text, pipeline.commands[0].at)?;
                }
                Piece::Set(name, pipeline) => {
                    let value = self.pipeline(pipeline)?;
                    self.set(name, value);
                }
                Piece::Choose { branches, otherwise, dot } => self.choose(branches, otherwise, *dot)?,
            }
        }
        Ok(())
    }

    /// Sets a variable that is in sight, or brings a new one.
    fn set(&mut self, name: &str, value: Value) {
        match self.variables.iter_mut().rev().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.variables.push((name.to_owned(), value)),
        }
    }

    fn push(&mut self, text: &str, at: usize) -> Result<(), TemplateError> {
        if self.out.len() + text.len() > RENDERED_BYTES_MAX {
            return Err(TemplateError::new(
                at,
                1,
                format!("the rendered text is longer than {RENDERED_BYTES_MAX} bytes"),
            ));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn choose(
        &mut self,
        branches: &[(Pipeline, Vec<Piece>)],
        otherwise: &[Piece],
        dot: bool,
    ) -> Result<(), TemplateError> {
        for (condition, pieces) in branches {
            let value = self.pipeline(condition)?;
            if !value.is_true() {
                continue;
            }
            if !dot {
                return self.pieces(pieces);
            }
            let before = self.dot.replace(value);
            let rendered = self.pieces(pieces);
            self.dot = before;
            return rendered;
        }
        self.pieces(otherwise)
    }

    fn pipeline(&self, pipeline: &Pipeline) -> Result<Value, TemplateError> {
        let mut piped = None;
        for command in &pipeline.commands {
            piped = Some(self.command(command, piped)?);
        }
        Ok(piped.unwrap_or_else(|| Value::Text(String::new())))
    }

    fn command(&self, command: &Command, piped: Option<Value>) -> Result<Value, TemplateError> {
        match &command.what {
            What::Value(operand) => self.operand(operand),
            What::Call(function, arguments) => {
                let mut values =
                    arguments.iter().map(|(operand, _)| self.operand(operand)).collect::<Result<Vec<_>, _>>()?;
                values.extend(piped);
                (function.body)(&values).map_err(|message| TemplateError::new(command.at, command.length, message))
            }
        }
    }

    fn operand(&self, operand: &Operand) -> Result<Value, TemplateError> {
        Ok(match operand {
            Operand::Labels => Value::Labels(self.labels.clone()),
            Operand::Label(name, _) => Value::Text(self.labels.get(name).cloned().unwrap_or_default()),
            Operand::External => Value::Text(String::new()),
            Operand::Value => Value::Number(self.value),
            Operand::Dot => self.dot.clone().unwrap_or_else(|| Value::Labels(self.labels.clone())),
            Operand::Variable(name) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                // A variable set in a branch that was not taken is empty.
                found.map_or_else(|| Value::Text(String::new()), |(_, value)| value.clone())
            }
            Operand::Text(text) => Value::Text(text.clone()),
            Operand::Number(value) => Value::Number(*value),
            Operand::Bool(value) => Value::Bool(*value),
            Operand::Nested(pipeline) => return self.pipeline(pipeline),
        })
    }
}

/// Widths and precisions beyond this are refused.
const WIDTH_MAX: usize = 1000;

/// `%s %v %q %d %t %f %e %g %%` with `-`, `0`, width and precision.
pub(super) fn printf(format: &str, values: &[Value]) -> Result<String, String> {
    let mut out = String::new();
    let mut values = values.iter();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let (verb, after) = Verb::read(&rest[at + 1..])?;
        rest = after;
        if verb.letter == '%' {
            out.push('%');
            continue;
        }
        let value = values.next().ok_or_else(|| format!("printf \"{format}\" has more verbs than values"))?;
        out.push_str(&verb.pad(verb.write(value)?));
    }
    out.push_str(rest);
    match values.next() {
        None => Ok(out),
        Some(_) => Err(format!("printf \"{format}\" has fewer verbs than values")),
    }
}

struct Verb {
    left: bool,
    zeros: bool,
    width: usize,
    precision: Option<usize>,
    letter: char,
}

impl Verb {
    fn read(text: &str) -> Result<(Self, &str), String> {
        let mut rest = text.trim_start_matches(['-', '0', '+', ' ']);
        let flags = &text[..text.len() - rest.len()];
        let number = |rest: &mut &str| {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (digits, after) = rest.split_at(end);
            *rest = after;
            let value = if digits.is_empty() { Ok(0) } else { digits.parse() };
            value.ok().filter(|value| *value <= WIDTH_MAX).ok_or_else(|| format!("%{digits} is too wide"))
        };
        let width = number(&mut rest)?;
        let precision = match rest.strip_prefix('.') {
            Some(after) => {
                rest = after;
                Some(number(&mut rest)?)
            }
            None => None,
        };
        let letter = rest.chars().next().ok_or("a format cannot end in '%'; write %% for the sign itself")?;
        let verb = Self { left: flags.contains('-'), zeros: flags.contains('0'), width, precision, letter };
        Ok((verb, &rest[letter.len_utf8()..]))
    }

    fn write(&self, value: &Value) -> Result<String, String> {
        let precision = self.precision;
        Ok(match self.letter {
            's' | 'v' => match precision {
                Some(most) => value.text().chars().take(most).collect(),
                None => value.text(),
            },
            'q' => format!("{:?}", value.text()),
            't' => value.is_true().to_string(),
            'd' => {
                let number = value.number()?;
                number::special(number).unwrap_or_else(|| format!("{:.0}", number.trunc()))
            }
            'f' | 'F' => {
                let number = value.number()?;
                number::special(number).unwrap_or_else(|| format!("{number:.*}", precision.unwrap_or(6)))
            }
            'e' => number::scientific(value.number()?, precision.unwrap_or(6)),
            'g' => match precision {
                Some(precision) => number::general(value.number()?, precision),
                None => number::shortest(value.number()?),
            },
            other => return Err(format!("printf knows no %{other}; there are %s %v %q %d %t %f %e %g")),
        })
    }

    fn pad(&self, text: String) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        if missing == 0 {
            return text;
        }
        if self.left {
            return text + &" ".repeat(missing);
        }
        match text.strip_prefix('-') {
            Some(digits) if self.zeros => format!("-{}{digits}", "0".repeat(missing)),
            None if self.zeros => "0".repeat(missing) + &text,
            _ => " ".repeat(missing) + &text,
        }
    }
}
