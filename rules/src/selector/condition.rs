//! `SELECTOR OP NUMBER`: the part of PromQL that `wait_for` takes so far.

use super::lex::Token;
use super::parse::{Bindings, Reader, metric_and_matchers};
use super::{Matcher, Selector, SelectorError};
use crate::model::Condition;

const TAKEN: &str = "wait_for takes SELECTOR OP NUMBER so far, for example node_load1{instance=$host} < 4; other PromQL is not taken yet";

impl Condition {
    /// Reads a condition. `$name` stands for a label's value and stays in the matcher as `$name` until [`Condition::bind`].
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut reader = Reader::new(text).map_err(|error| foreign(text, error))?;
        if matches!(reader.peek().token, Token::End) {
            return Err(reader.wrong(format!("the condition is empty; {TAKEN}")));
        }
        let (metric, matchers) = metric_and_matchers(&mut reader, Bindings::Taken)?;
        let Some(metric) = metric else {
            return Err(SelectorError::new(0, 1, format!("the metric's name is missing; {TAKEN}")));
        };
        let op = comparison(&mut reader)?;
        let value = number(&mut reader)?;
        match reader.peek().token {
            Token::End => Ok(Self { text: text.trim().to_owned(), metric, matchers, op: op.to_owned(), value }),
            _ => Err(reader.wrong(TAKEN)),
        }
    }

    /// The names behind `$`, each once.
    pub fn bindings(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.matchers.matchers.iter().filter_map(bound_name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The selector with every `$name` replaced by what `value_of` gives; the first name without a value is the error.
    pub fn bind(&self, value_of: impl Fn(&str) -> Option<String>) -> Result<Selector, String> {
        let bound = self.matchers.matchers.iter().map(|matcher| match bound_name(matcher) {
            None => Ok(matcher.clone()),
            Some(name) => {
                let value = value_of(name).ok_or_else(|| name.to_owned())?;
                Ok(Matcher { value, ..matcher.clone() })
            }
        });
        Ok(Selector { matchers: bound.collect::<Result<_, String>>()? })
    }

    /// Whether `sample` stands in the condition's relation to its number; NaN holds for `!=` only.
    pub fn holds(&self, sample: f64) -> bool {
        match self.op.as_str() {
            "==" => sample == self.value,
            "!=" => sample != self.value,
            "<" => sample < self.value,
            "<=" => sample <= self.value,
            ">" => sample > self.value,
            ">=" => sample >= self.value,
            _ => false,
        }
    }
}

/// Only parsing without quotes gives a value that begins with `$`.
fn bound_name(matcher: &Matcher) -> Option<&str> {
    matcher.value.strip_prefix('$')
}

fn comparison(reader: &mut Reader) -> Result<&'static str, SelectorError> {
    match reader.peek().token {
        Token::Sign(sign @ ("==" | "!=" | "<" | "<=" | ">" | ">=")) => {
            reader.take();
            Ok(sign)
        }
        Token::Sign("=") => Err(reader.wrong("values are compared by '=='")),
        Token::End => Err(reader.wrong("a comparison is missing after the selector, for example == 1")),
        _ => Err(reader.wrong(TAKEN)),
    }
}

fn number(reader: &mut Reader) -> Result<f64, SelectorError> {
    let sign = if reader.take_sign("-") {
        -1.0
    } else {
        reader.take_sign("+");
        1.0
    };
    let value = match &reader.peek().token {
        Token::Number(value) => *value,
        Token::Name(name) if name.eq_ignore_ascii_case("inf") => f64::INFINITY,
        Token::Name(name) if name.eq_ignore_ascii_case("nan") => f64::NAN,
        Token::End => return Err(reader.wrong("a number is missing at the end")),
        Token::NoNumber(written) => return Err(reader.wrong(format!("\"{written}\" is no number"))),
        _ => return Err(reader.wrong(TAKEN)),
    };
    reader.take();
    Ok(sign * value)
}

/// A sign that selectors do not know is other PromQL rather than a slip.
fn foreign(text: &str, error: SelectorError) -> SelectorError {
    if text[error.at..].starts_with(['$', '"', '\'', '`', '\\']) || !error.message.ends_with("expected here") {
        return error;
    }
    SelectorError { message: TAKEN.to_owned(), ..error }
}
