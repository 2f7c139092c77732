//! What stands behind an operand: ranges, subqueries, `offset` and `@`.

use super::length::seconds;
use super::{Built, Parsed, Parser, SyntaxFault};
use crate::promql::ast::{At, Expr, ExprKind, Span, When};
use crate::promql::types;
use crate::selector::Token;

/// Seconds since 1970 that an instant may have, as in Prometheus: their number fits 63 bits.
const INSTANT_MAX: f64 = 9_223_372_036_854_775_808.0;

impl Parser<'_> {
    /// Takes everything that binds to the operand `built`.
    pub(super) fn postfix(&mut self, mut built: Built) -> Parsed<Built> {
        loop {
            if matches!(self.token(), Token::Sign("[")) {
                built = self.range(built)?;
            } else if self.is_word("offset") {
                let keyword = self.take();
                let offset = self.offset()?;
                self.set_offset(&mut built.expr, offset, keyword)?;
            } else if matches!(self.token(), Token::Sign("@")) {
                let keyword = self.take();
                let at = self.at(built.expr.span)?;
                self.set_at(&mut built.expr, at, keyword)?;
            } else if self.is_word("anchored") || self.is_word("smoothed") {
                let message = "'anchored' and 'smoothed' are experimental in Prometheus \
                               (promql-extended-range-selectors) and not taken here";
                return Err(SyntaxFault::new(self.here(), message));
            } else {
                return Ok(built);
            }
            built.expr.span.to = self.last.to;
        }
    }

    /// `[5m]`, `[1h:5m]` or `[1h:]`
    fn range(&mut self, built: Built) -> Parsed<Built> {
        let open = self.take();
        let range = self.positive("a range, for example [5m],")?;
        let step = match self.take_sign(":") {
            true if matches!(self.token(), Token::Sign("]")) => Some(None),
            true => Some(Some(self.positive("a step or ']'")?)),
            false => None,
        };
        self.close("]", open)?;
        let span = Span { from: built.expr.span.from, to: self.last.to };
        let Some(step) = step else { return Ok(self.matrix(built, range, open, span)) };
        if let Some(found) = types::is_no_vector(&built.expr) {
            self.faults.push(SyntaxFault::new(
                built.expr.span,
                format!("a subquery looks back over an instant vector, not {found}"),
            ));
        }
        let height = built.height + 1;
        self.bounded(height)?;
        let kind = ExprKind::Subquery { expr: Box::new(built.expr), range, step, when: When::default() };
        Ok(Built { expr: Expr { kind, span }, height })
    }

    fn matrix(&mut self, built: Built, range: i64, open: Span, span: Span) -> Built {
        let brackets = Span { from: open.from, to: span.to };
        let height = built.height;
        let kind = match built.expr.kind {
            ExprKind::Vector(selector) => {
                if selector.when != When::default() {
                    let message = "the range stands before 'offset' and '@': write m[5m] offset 1h";
                    self.faults.push(SyntaxFault::new(brackets, message));
                }
                ExprKind::Matrix { selector, range }
            }
            other => {
                let message = "a range belongs to a selector; of an expression a subquery takes one, as in [5m:1m]";
                self.faults.push(SyntaxFault::new(brackets, message));
                other
            }
        };
        Built { expr: Expr { kind, span }, height }
    }

    fn set_offset(&mut self, expr: &mut Expr, offset: i64, keyword: Span) -> Parsed<()> {
        let span = Span { from: expr.span.from, to: keyword.to };
        let Some(when) = when(expr) else { return Err(misplaced("offset", span)) };
        if when.offset != 0 {
            self.faults.push(SyntaxFault::new(span, "this has an 'offset', and is given a second one"));
        }
        when.offset = offset;
        Ok(())
    }

    fn set_at(&mut self, expr: &mut Expr, at: At, keyword: Span) -> Parsed<()> {
        let span = Span { from: expr.span.from, to: keyword.to };
        let Some(when) = when(expr) else { return Err(misplaced("@", span)) };
        if when.at.is_some() {
            self.faults.push(SyntaxFault::new(span, "this has an '@', and is given a second one"));
        }
        when.at = Some(at);
        Ok(())
    }

    /// What stands behind the `@` of the selector or subquery at `of`.
    fn at(&mut self, of: Span) -> Parsed<At> {
        for (word, at) in [("start", At::Start), ("end", At::End)] {
            if self.is_word(word) {
                self.take();
                let open = self.open("(", &format!("'()' after '{word}'"))?;
                self.close(")", open)?;
                return Ok(at);
            }
        }
        let is_negative = self.signed();
        let span = self.here();
        let seconds = match self.token() {
            Token::Number(seconds) => *seconds,
            Token::NoNumber(written) => seconds(written, span)?,
            Token::Name(word) if word.eq_ignore_ascii_case("inf") => f64::INFINITY,
            Token::Name(word) if word.eq_ignore_ascii_case("nan") => f64::NAN,
            _ => return Err(self.unexpected("seconds since 1970, start() or end() after '@'")),
        };
        self.take();
        if seconds.is_nan() || seconds >= INSTANT_MAX {
            let span = Span { from: of.from, to: self.last.to };
            return Err(SyntaxFault::new(span, "what stands after '@' is no instant: it is too far away or no number"));
        }
        // Beyond what milliseconds count, the conversion stays at the end of time.
        let ms = (seconds * 1000.0).round() as i64;
        Ok(At::Time(if is_negative { -ms } else { ms }))
    }
}

fn when(expr: &mut Expr) -> Option<&mut When> {
    match &mut expr.kind {
        ExprKind::Vector(selector) | ExprKind::Matrix { selector, .. } => Some(&mut selector.when),
        ExprKind::Subquery { when, .. } => Some(when),
        _ => None,
    }
}

fn misplaced(what: &str, span: Span) -> SyntaxFault {
    SyntaxFault::new(span, format!("'{what}' stands right after a selector, its range, or a subquery"))
}
