//! Texts to expressions: grammar of Prometheus 3, operators by how strongly they bind.
//!
//! Tokens and matchers are those of [`crate::selector`]. What breaks the grammar ends the reading; what only breaks a rule
//! (a type, an unknown function, a regular expression) is collected, so that one look shows all of it.

mod call;
mod length;
mod range;
mod selector;
pub(super) mod words;

use super::ast::{Binary, BinaryOp, Card, Expr, ExprKind, Grouping, Matching, Span};
use super::features::Features;
use super::types;
use crate::near::near;
use crate::selector::{Reader, SelectorError, Spanned, Token};

/// Levels that an expression may be nested, chains of operators included; real ones need a dozen. Everything that walks an
/// expression may recurse.
pub const DEPTH_MAX: usize = 100;

/// Characters of the expression that a message quotes.
const EXCERPT_CHARS: usize = 24;

/// What is wrong with an expression, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxFault {
    pub span: Span,
    /// What was found and what would help; without the place.
    pub message: String,
    /// The word that was probably meant.
    pub near: Option<String>,
}

impl SyntaxFault {
    pub(super) fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), near: None }
    }

    fn near(mut self, near: Option<String>) -> Self {
        self.near = near;
        self
    }
}

impl From<SelectorError> for SyntaxFault {
    fn from(error: SelectorError) -> Self {
        Self::new(Span { from: error.at, to: error.at + error.length }, error.message)
    }
}

/// Reads an expression and checks its types.
///
/// # Errors
/// Every fault that was found, in the order of the text; at least one.
pub fn parse(text: &str) -> Result<Expr, Vec<SyntaxFault>> {
    parse_with(text, Features::enabled(), Asked::default())
}

/// The range that is asked for, ms: what `step()` and `range()` mean where a duration is expected. At an instant both are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub step: i64,
    pub range: i64,
}

/// As [`parse`], with these features and for this range.
///
/// # Errors
/// As [`parse`].
pub fn parse_with(text: &str, features: Features, asked: Asked) -> Result<Expr, Vec<SyntaxFault>> {
    let mut parser = match Reader::new(text) {
        Ok(reader) => Parser {
            text,
            features,
            asked,
            reader,
            last: Span::default(),
            last_word: None,
            depth: 0,
            faults: Vec::new(),
        },
        Err(error) => return Err(vec![foreign(text, error)]),
    };
    if matches!(parser.token(), Token::End) {
        return Err(vec![SyntaxFault::new(Span { from: 0, to: text.len() }, "the expression is empty")]);
    }
    let built = parser.whole();
    let mut faults = parser.faults;
    match built {
        Ok(built) if faults.is_empty() => Ok(built.expr),
        built => {
            faults.extend(built.err());
            faults.sort_by_key(|fault| fault.span.from);
            Err(faults)
        }
    }
}

/// Signs of other languages have a word here.
fn foreign(text: &str, error: SelectorError) -> SyntaxFault {
    let rest = &text[error.at..];
    let near = [("&&", "and"), ("&", "and"), ("||", "or"), ("|", "or"), ("!", "unless")];
    let near = near.iter().find(|(sign, _)| rest.starts_with(sign)).map(|(_, word)| (*word).to_owned());
    SyntaxFault::from(error).near(near)
}

type Parsed<T> = Result<T, SyntaxFault>;

/// An expression and how many levels it has.
struct Built {
    expr: Expr,
    height: usize,
}

struct Parser<'t> {
    text: &'t str,
    features: Features,
    asked: Asked,
    reader: Reader,
    /// The last token taken, and its text if it was a word.
    last: Span,
    last_word: Option<String>,
    /// Levels that are open.
    depth: usize,
    faults: Vec<SyntaxFault>,
}

impl Parser<'_> {
    fn whole(&mut self) -> Parsed<Built> {
        let built = self.expression(0)?;
        if matches!(self.token(), Token::End) { Ok(built) } else { Err(self.unexpected("an operator or the end")) }
    }

    /// Operands and the operators between them that bind at least as strongly as `least`.
    fn expression(&mut self, least: u8) -> Parsed<Built> {
        self.depth += 1;
        self.bounded(self.depth)?;
        let mut left = self.operand()?;
        while let Some((op, power)) = self.operator().filter(|(_, power)| *power >= least) {
            let op_span = self.take();
            let (return_bool, matching) = self.modifiers(op)?;
            let right = self.expression(if power == words::POWER { power } else { power + 1 })?;
            let height = left.height.max(right.height) + 1;
            self.bounded(height)?;
            let span = Span { from: left.expr.span.from, to: right.expr.span.to };
            let mut binary = Binary { op, op_span, lhs: left.expr, rhs: right.expr, return_bool, matching };
            self.faults.extend(types::binary(&binary));
            if !types::may_be_vector(&binary.lhs) || !types::may_be_vector(&binary.rhs) {
                binary.matching = Matching::default(); // `on ()` beside a number says nothing
            }
            left = Built { expr: Expr { kind: ExprKind::Binary(Box::new(binary)), span }, height };
        }
        self.depth -= 1;
        Ok(left)
    }

    /// A signed or plain operand, with the range, `offset` and `@` behind it.
    fn operand(&mut self) -> Parsed<Built> {
        let Token::Sign(sign @ ("+" | "-")) = *self.token() else {
            let primary = self.primary()?;
            return self.postfix(primary);
        };
        let from = self.take().from;
        let mut built = self.expression(words::POWER)?;
        self.faults.extend(types::expect_arithmetic(&built.expr, &format!("what follows the sign '{sign}'")));
        let span = Span { from, to: built.expr.span.to };
        built.expr.kind = match built.expr.kind {
            ExprKind::Number(value) if sign == "-" => ExprKind::Number(-value),
            ExprKind::Duration(seconds) if sign == "-" => ExprKind::Duration(-seconds),
            number @ (ExprKind::Number(_) | ExprKind::Duration(_)) => number,
            kind => {
                built.height += 1;
                let inner = Box::new(Expr { kind, span: built.expr.span });
                if sign == "-" { ExprKind::Negate(inner) } else { ExprKind::Plus(inner) }
            }
        };
        built.expr.span = span;
        Ok(built)
    }

    fn primary(&mut self) -> Parsed<Built> {
        let span = self.here();
        let kind = match self.token().clone() {
            Token::Number(value) => ExprKind::Number(value),
            Token::NoNumber(written) => ExprKind::Duration(length::seconds(&written, span)?),
            Token::Text(text) => ExprKind::String(text),
            Token::Name(word) if word.eq_ignore_ascii_case("inf") => ExprKind::Number(f64::INFINITY),
            Token::Name(word) if word.eq_ignore_ascii_case("nan") => ExprKind::Number(f64::NAN),
            Token::Name(word) => return self.named(&word),
            Token::Sign("{" | ":") => return self.selector(),
            Token::Sign("(") => return self.paren(),
            _ => return Err(self.unexpected("an expression")),
        };
        self.take();
        Ok(Built { expr: Expr { kind, span }, height: 1 })
    }

    fn paren(&mut self) -> Parsed<Built> {
        let open = self.take();
        let inner = self.expression(0)?;
        self.close(")", open)?;
        let span = Span { from: open.from, to: self.last.to };
        let height = inner.height + 1;
        self.bounded(height)?;
        Ok(Built { expr: Expr { kind: ExprKind::Paren(Box::new(inner.expr)), span }, height })
    }

    /// `bool`, `on (…)`, `group_left (…)` behind an operator.
    fn modifiers(&mut self, op: BinaryOp) -> Parsed<(bool, Matching)> {
        let found = self.matching(op)?;
        if ["fill", "fill_left", "fill_right"].iter().any(|word| self.is_word(word)) && self.is_called() {
            let message = "'fill', 'fill_left' and 'fill_right' are experimental in Prometheus \
                           (promql-binop-fill-modifiers) and not taken here";
            return Err(SyntaxFault::new(self.here(), message));
        }
        Ok(found)
    }

    fn matching(&mut self, op: BinaryOp) -> Parsed<(bool, Matching)> {
        let return_bool = self.take_word("bool");
        let mut matching = Matching::default();
        let is_matched = if self.take_word("on") {
            matching.grouping = Grouping::Only(self.labels()?);
            true
        } else if self.take_word("ignoring") {
            matching.grouping = Grouping::Except(self.labels()?);
            true
        } else {
            false
        };
        let span = self.here();
        if self.take_word("group_left") {
            matching.card = Card::ManyToOne;
        } else if self.take_word("group_right") {
            matching.card = Card::OneToMany;
        } else {
            return Ok((return_bool, matching));
        }
        if !is_matched {
            let message = format!("on (…) or ignoring (…) must stand between '{}' and the grouping", op.as_str());
            return Err(SyntaxFault::new(span, message));
        }
        if matches!(self.token(), Token::Sign("(")) {
            matching.include = self.labels()?;
        }
        Ok((return_bool, matching))
    }

    /// `(a, b)`
    fn labels(&mut self) -> Parsed<Vec<String>> {
        let open = self.open("(", "label names in parentheses")?;
        let mut found = Vec::new();
        while !matches!(self.token(), Token::Sign(")")) {
            match self.token().clone() {
                Token::Name(name) if !words::is_number(&name) => found.push(name),
                Token::Text(name) if !name.is_empty() => found.push(name),
                Token::End => break,
                _ => return Err(self.unexpected("a label name")),
            }
            self.take();
            if !self.take_sign(",") && !matches!(self.token(), Token::Sign(")") | Token::End) {
                return Err(self.unexpected("',' or ')'"));
            }
        }
        self.close(")", open)?;
        Ok(found)
    }
}

/// Tokens.
impl Parser<'_> {
    fn token(&self) -> &Token {
        &self.reader.peek().token
    }

    fn here(&self) -> Span {
        let Spanned { at, length, .. } = self.reader.peek();
        Span { from: *at, to: at + length }
    }

    fn take(&mut self) -> Span {
        self.last = self.here();
        self.last_word = match self.reader.take().token {
            Token::Name(word) => Some(word),
            _ => None,
        };
        self.last
    }

    fn take_sign(&mut self, wanted: &str) -> bool {
        let found = matches!(self.token(), Token::Sign(sign) if *sign == wanted);
        if found {
            self.take();
        }
        found
    }

    fn is_word(&self, wanted: &str) -> bool {
        matches!(self.token(), Token::Name(word) if word.eq_ignore_ascii_case(wanted))
    }

    fn take_word(&mut self, wanted: &str) -> bool {
        let found = self.is_word(wanted);
        if found {
            self.take();
        }
        found
    }

    fn is_called(&self) -> bool {
        matches!(self.reader.peek_second(), Token::Sign("("))
    }

    fn operator(&self) -> Option<(BinaryOp, u8)> {
        match self.token() {
            Token::Sign(sign) => words::operator(sign),
            Token::Name(word) => words::operator(word),
            _ => None,
        }
    }

    fn open(&mut self, sign: &'static str, wanted: &str) -> Parsed<Span> {
        let span = self.here();
        if self.take_sign(sign) { Ok(span) } else { Err(self.unexpected(wanted)) }
    }

    /// The closing sign of what was opened at `open`.
    fn close(&mut self, sign: &'static str, open: Span) -> Parsed<()> {
        if self.take_sign(sign) {
            return Ok(());
        }
        if !matches!(self.token(), Token::End) {
            return Err(self.unexpected(&format!("an operator or '{sign}'")));
        }
        let opened = self.excerpt(open.from);
        Err(SyntaxFault::new(self.last, format!("'{sign}' is expected after this, to close '{opened}'")))
    }

    /// What begins at `from`, as much as a message can hold.
    fn excerpt(&self, from: usize) -> String {
        let rest = &self.text[from..self.last.to.max(from)];
        let mut chars = rest.chars();
        let start: String = chars.by_ref().take(EXCERPT_CHARS).collect();
        if chars.next().is_some() { format!("{start}…") } else { start }
    }

    fn bounded(&self, levels: usize) -> Parsed<()> {
        if levels <= DEPTH_MAX {
            return Ok(());
        }
        let message = format!("the expression is nested deeper than {DEPTH_MAX} levels; record a part of it by a rule");
        Err(SyntaxFault::new(self.here(), message))
    }

    /// The fault of a token that is not what is expected here, or of the misspelt word before it.
    fn unexpected(&self, wanted: &str) -> SyntaxFault {
        let here = self.here();
        if let Some(word) = &self.last_word
            && let Some(meant) = meant(word)
        {
            return SyntaxFault::new(self.last, format!("'{word}' is no word of the language")).near(Some(meant));
        }
        let found = match self.token() {
            Token::End => return SyntaxFault::new(self.last, format!("{wanted} is expected after this")),
            Token::Name(word) => {
                let meant =
                    near(word, words::BETWEEN).filter(|meant| word.len() > 2 && !meant.eq_ignore_ascii_case(word));
                return SyntaxFault::new(here, format!("{wanted} is expected here, not '{word}'")).near(meant);
            }
            Token::Sign("=") => return SyntaxFault::new(here, "values are compared by '=='"),
            Token::Sign(sign @ ("=~" | "!~")) => {
                return SyntaxFault::new(here, format!("'{sign}' compares labels, within {{…}}"));
            }
            Token::Sign(sign) => format!("'{sign}'"),
            Token::Text(_) => "a string".to_owned(),
            Token::Binding(name) => {
                return SyntaxFault::new(
                    here,
                    format!("'${name}' is not known here; in a rule file values are written out"),
                );
            }
            Token::Number(_) => "a number".to_owned(),
            Token::NoNumber(written) => format!("'{written}'"),
        };
        SyntaxFault::new(here, format!("{wanted} is expected here, not {found}"))
    }
}

/// The word of the language that a misspelt one is near to; of short ones everything is near to something.
fn meant(word: &str) -> Option<String> {
    near(word, words::BETWEEN)
        .filter(|meant| word.len() > 2 && !words::is_word(word) && !meant.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests;
