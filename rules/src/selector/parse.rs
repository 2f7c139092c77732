//! Tokens to selectors.

use super::lex::{Spanned, Token, is_label_name, tokens};
use super::{MatchOp, Matcher, Selector, SelectorError, pattern};

/// Limits what one selector may hold, so that a file cannot make matching arbitrarily slow.
const MATCHERS_MAX: usize = 64;

/// Reads tokens one by one.
pub(crate) struct Reader {
    tokens: Vec<Spanned>,
    next: usize,
}

impl Reader {
    pub fn new(text: &str) -> Result<Self, SelectorError> {
        Ok(Self { tokens: tokens(text)?, next: 0 })
    }

    pub fn peek(&self) -> &Spanned {
        &self.tokens[self.next]
    }

    /// The token after the next one.
    pub fn peek_second(&self) -> &Token {
        &self.tokens[(self.next + 1).min(self.tokens.len() - 1)].token
    }

    /// The next token; `End` again and again at the end.
    pub fn take(&mut self) -> Spanned {
        let token = self.tokens[self.next].clone();
        if self.next + 1 < self.tokens.len() {
            self.next += 1;
        }
        token
    }

    /// The byte after the last token taken.
    pub fn last_end(&self) -> usize {
        self.next.checked_sub(1).map_or(0, |last| self.tokens[last].at + self.tokens[last].length)
    }

    pub fn take_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek().token, Token::Sign(found) if found == sign);
        if found {
            self.take();
        }
        found
    }

    /// An error at the next token.
    pub fn wrong(&self, message: impl Into<String>) -> SelectorError {
        let here = self.peek();
        SelectorError::new(here.at, here.length, message)
    }
}

pub(super) fn selector(text: &str) -> Result<Selector, SelectorError> {
    let mut reader = Reader::new(text)?;
    if !matches!(reader.peek().token, Token::Sign("{")) {
        return Err(reader.wrong("a selector begins with '{', for example {kind=\"unit_failed\"}"));
    }
    let selector = matchers(&mut reader, Bindings::Refused)?;
    end(&reader)?;
    Ok(selector)
}

pub(super) fn selector_with_metric(text: &str) -> Result<(Option<String>, Selector), SelectorError> {
    let mut reader = Reader::new(text)?;
    let found = metric_and_matchers(&mut reader, Bindings::Refused)?;
    end(&reader)?;
    Ok(found)
}

/// Whether `$name` may stand for a value.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Bindings {
    Taken,
    Refused,
}

pub(super) fn metric_and_matchers(
    reader: &mut Reader,
    bindings: Bindings,
) -> Result<(Option<String>, Selector), SelectorError> {
    let metric = match &reader.peek().token {
        Token::Name(name) => Some(name.clone()),
        _ => None,
    };
    if metric.is_some() {
        reader.take();
    }
    let selector = match (&metric, &reader.peek().token) {
        (_, Token::Sign("{")) => matchers(reader, bindings)?,
        (Some(_), _) => Selector::default(),
        (None, _) => return Err(reader.wrong("a metric name or '{' is expected here")),
    };
    Ok((metric, selector))
}

/// `{…}`, whose brace comes next.
pub(crate) fn matchers(reader: &mut Reader, bindings: Bindings) -> Result<Selector, SelectorError> {
    reader.take();
    let mut found = Vec::new();
    while !reader.take_sign("}") {
        if found.len() == MATCHERS_MAX {
            return Err(reader.wrong(format!("more than {MATCHERS_MAX} matchers in one selector")));
        }
        found.push(matcher(reader, bindings)?);
        if !reader.take_sign(",") && !matches!(reader.peek().token, Token::Sign("}")) {
            return Err(reader.wrong("',' or '}' is expected here"));
        }
    }
    Ok(Selector { matchers: found })
}

fn matcher(reader: &mut Reader, bindings: Bindings) -> Result<Matcher, SelectorError> {
    let was_quoted = matches!(reader.peek().token, Token::Text(_));
    let label = label(reader)?;
    if was_quoted && matches!(reader.peek().token, Token::Sign("," | "}")) {
        // A metric's name that is no identifier stands quoted among the matchers.
        return Ok(Matcher { label: "__name__".to_owned(), op: MatchOp::Equal, value: label });
    }
    let op = match reader.peek().token {
        Token::Sign("=") => MatchOp::Equal,
        Token::Sign("!=") => MatchOp::NotEqual,
        Token::Sign("=~") => MatchOp::Matches,
        Token::Sign("!~") => MatchOp::NotMatches,
        Token::Sign("==") => return Err(reader.wrong("labels are compared by a single '='")),
        _ => return Err(reader.wrong(format!("=, !=, =~ or !~ is expected after the label \"{label}\""))),
    };
    reader.take();
    let value = value(reader, &label, op, bindings)?;
    Ok(Matcher { label, op, value })
}

fn label(reader: &mut Reader) -> Result<String, SelectorError> {
    match &reader.peek().token {
        Token::Name(name) if !is_label_name(name) => {
            Err(reader.wrong(format!("\"{name}\" is no label name; ':' stands in metric names only")))
        }
        Token::Text(name) if name.is_empty() => Err(reader.wrong("a label's name cannot be empty")),
        Token::Name(name) | Token::Text(name) => {
            let name = name.clone();
            reader.take();
            Ok(name)
        }
        Token::End => Err(reader.wrong("the selector has no closing '}'")),
        _ => Err(reader.wrong("a label name is expected here")),
    }
}

fn value(reader: &mut Reader, label: &str, op: MatchOp, bindings: Bindings) -> Result<String, SelectorError> {
    match reader.peek().token.clone() {
        Token::Text(value) => {
            if bindings == Bindings::Taken && value.starts_with('$') {
                return Err(reader.wrong(format!("write {value} without quotes to bind it as the label's value")));
            }
            if op.is_pattern() {
                pattern::anchored(&value).map_err(|message| reader.wrong(message))?;
            }
            reader.take();
            Ok(value)
        }
        Token::Binding(name) if bindings == Bindings::Refused => {
            Err(reader.wrong(format!("${name} is not bound here; values are bound in wait_for conditions only")))
        }
        Token::Binding(name) if op.is_pattern() => {
            Err(reader.wrong(format!("${name} is bound as a whole value; compare it by = or !=")))
        }
        Token::Binding(name) => {
            reader.take();
            Ok(format!("${name}"))
        }
        Token::Name(name) => {
            Err(reader
                .wrong(format!("the value of \"{label}\" must be quoted: {label}{op}\"{name}\"", op = op.as_str())))
        }
        _ => Err(reader.wrong(format!("a quoted value is expected for the label \"{label}\""))),
    }
}

pub(super) fn end(reader: &Reader) -> Result<(), SelectorError> {
    match reader.peek().token {
        Token::End => Ok(()),
        _ => Err(reader.wrong("nothing is expected after the selector")),
    }
}
