//! `metric{label="value"}`

use super::{Built, Parsed, Parser, SyntaxFault};
use crate::promql::ast::{Expr, ExprKind, Span, VectorSelector, When};
use crate::promql::labels::NAME;
use crate::selector::{Bindings, MatchOp, Matcher, Selector, Token, matchers};

impl Parser<'_> {
    /// A metric's name, matchers in braces, or both.
    pub(super) fn selector(&mut self) -> Parsed<Built> {
        let from = self.here().from;
        let name = self.metric_name()?;
        let is_named = name.is_some();
        let mut matchers = Selector::default();
        if matches!(self.token(), Token::Sign("{")) {
            matchers = self.matchers()?;
        }
        let span = Span { from, to: self.last.to };
        let named = matchers.matchers.iter().find(|matcher| matcher.label == NAME);
        if let (Some(name), Some(again)) = (&name, named) {
            let message = format!("the metric's name is said twice: {name} and {}", again.value);
            self.faults.push(SyntaxFault::new(span, message));
        }
        if let Some(value) = name {
            matchers.matchers.insert(0, Matcher { label: NAME.to_owned(), op: MatchOp::Equal, value });
        }
        if matchers.takes_everything() {
            let message = "a selector needs a name or a matcher that refuses the empty value; this takes every series";
            self.faults.push(SyntaxFault::new(span, message));
        }
        let kind = ExprKind::Vector(VectorSelector { matchers, is_named, when: When::default() });
        Ok(Built { expr: Expr { kind, span }, height: 1 })
    }

    /// A colon may begin a name too.
    fn metric_name(&mut self) -> Parsed<Option<String>> {
        let colon = self.here();
        let has_colon = self.take_sign(":");
        match self.token().clone() {
            Token::Name(name) if has_colon && self.here().from == colon.to => {
                self.take();
                Ok(Some(format!(":{name}")))
            }
            _ if has_colon => Err(SyntaxFault::new(colon, "an expression is expected here, not ':'")),
            Token::Name(name) => {
                self.take();
                Ok(Some(name))
            }
            _ => Ok(None),
        }
    }

    /// What is in braces; a fault there is told, and reading goes on behind them.
    fn matchers(&mut self) -> Parsed<Selector> {
        let read = matchers(&mut self.reader, Bindings::Refused);
        let error = match read {
            Ok(found) => {
                self.last.to = self.reader.last_end();
                self.last_word = None;
                return Ok(found);
            }
            Err(error) => SyntaxFault::from(error),
        };
        while !matches!(self.token(), Token::Sign("}")) {
            if matches!(self.token(), Token::End) {
                return Err(error);
            }
            self.take();
        }
        self.take();
        self.faults.push(error);
        let refused = Matcher { label: "fault".to_owned(), op: MatchOp::Equal, value: "told".to_owned() };
        Ok(Selector { matchers: vec![refused] })
    }
}
