//! What begins with a word: functions, aggregations, metrics.

use super::{Built, Parsed, Parser, SyntaxFault, words};
use crate::near::near;
use crate::promql::ast::{AggregateOp, Expr, ExprKind, Grouping, Span};
use crate::promql::features::FUNCTIONS;
use crate::promql::{functions, types};
use crate::selector::Token;

impl Parser<'_> {
    pub(super) fn named(&mut self, word: &str) -> Parsed<Built> {
        if let Some(op) = words::aggregate(word)
            && self.is_aggregated()
        {
            return self.aggregate(op);
        }
        if self.is_called() {
            return self.call(word);
        }
        if words::is_reserved(word) {
            let message = format!("'{word}' is a word of the language; as a metric's name write {{\"{word}\"}}");
            return Err(SyntaxFault::new(self.here(), message));
        }
        self.selector()
    }

    /// Whether the word here is followed by what makes it an aggregation rather than a metric's name.
    fn is_aggregated(&self) -> bool {
        match self.reader.peek_second() {
            Token::Sign("(") => true,
            Token::Name(word) => word.eq_ignore_ascii_case("by") || word.eq_ignore_ascii_case("without"),
            _ => false,
        }
    }

    /// `sum by (a) (x)` or `sum(x) by (a)`
    fn aggregate(&mut self, op: AggregateOp) -> Parsed<Built> {
        let name = self.take();
        let before = self.grouping()?;
        let (mut args, height) = self.args()?;
        let grouping = match before {
            Some(grouping) => Some(grouping),
            None => self.grouping()?,
        };
        let wanted = if op.has_param() { 2 } else { 1 };
        if args.len() != wanted {
            let takes = if op.has_param() { "a parameter and a vector" } else { "1 argument" };
            let message = format!("'{}' takes {takes}, not {}", op.as_str(), args.len());
            return Err(SyntaxFault::new(name, message));
        }
        let expr = Box::new(args.pop().expect("it has one or two"));
        let param = args.pop().map(Box::new);
        self.faults.extend(types::aggregate(op, param.as_deref(), &expr));
        if op.is_experimental() {
            self.check_enabled(op.as_str(), name);
        }
        let grouping = grouping.unwrap_or(Grouping::Only(Vec::new()));
        let span = Span { from: name.from, to: self.last.to };
        Ok(Built { expr: Expr { kind: ExprKind::Aggregate { op, param, expr, grouping }, span }, height })
    }

    fn grouping(&mut self) -> Parsed<Option<Grouping>> {
        if self.take_word("by") {
            return self.labels().map(|labels| Some(Grouping::Only(labels)));
        }
        if self.take_word("without") {
            return self.labels().map(|labels| Some(Grouping::Except(labels)));
        }
        Ok(None)
    }

    fn call(&mut self, word: &str) -> Parsed<Built> {
        let name = self.take();
        let told = self.faults.len();
        let (args, height) = self.args()?;
        if word == "info" {
            self.check_info(&args, told);
        }
        let function = match functions::function_named(word) {
            Some(function) => {
                self.faults.extend(types::call(function, &args, name));
                if function.experimental {
                    self.check_enabled(word, name);
                }
                function
            }
            None => {
                self.faults.push(unknown(word, name));
                &types::UNKNOWN
            }
        };
        let span = Span { from: name.from, to: self.last.to };
        Ok(Built { expr: Expr { kind: ExprKind::Call { function, args }, span }, height })
    }

    /// The second argument of `info` is matchers of labels, which may take everything: they select among the infos of a
    /// series. `told` is how many faults there were before its arguments.
    fn check_info(&mut self, args: &[Expr], told: usize) {
        let Some(selector) = args.get(1) else { return };
        let is_braces =
            matches!(selector.kind, ExprKind::Vector(_)) && self.text[selector.span.from..].starts_with('{');
        if is_braces {
            let own = self.faults.split_off(told);
            self.faults.extend(own.into_iter().filter(|fault| fault.span != selector.span));
        } else {
            let message = "the second argument of 'info' is matchers in braces, for example {version=~\".+\"}";
            self.faults.push(SyntaxFault::new(selector.span, message));
        }
    }

    fn check_enabled(&mut self, word: &str, span: Span) {
        if !self.features.functions {
            let message = format!("'{word}' is experimental in Prometheus; --enable-feature={FUNCTIONS} takes it");
            self.faults.push(SyntaxFault::new(span, message));
        }
    }

    /// `(a, b)`, and the levels of the call.
    fn args(&mut self) -> Parsed<(Vec<Expr>, usize)> {
        let open = self.open("(", "arguments in parentheses")?;
        let mut found = Vec::new();
        let mut height = 0;
        if self.take_sign(")") {
            return Ok((found, 1));
        }
        loop {
            let built = self.expression(0)?;
            height = built.height.max(height);
            found.push(built.expr);
            if !self.take_sign(",") {
                break;
            }
        }
        self.close(")", open)?;
        self.bounded(height + 1)?;
        Ok((found, height + 1))
    }
}

fn unknown(word: &str, span: Span) -> SyntaxFault {
    if let Some(why) = functions::refused(&word.to_ascii_lowercase()) {
        return SyntaxFault::new(span, format!("'{word}' {why}"));
    }
    SyntaxFault::new(span, format!("unknown function '{word}'")).near(near(word, words::called()))
}
