//! Expressions as text that parses to the same expression.

use std::fmt::{self, Write as _};

use super::ast::{AggregateOp, At, Binary, Card, Expr, ExprKind, Grouping, Matching, VectorSelector, When};
use super::labels::NAME;
use super::parse::words;
use crate::duration;
use crate::selector::{MatchOp, Matcher, Selector, is_label_name, quoted};

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Written { expr: self, text: None }.fmt(f)
    }
}

/// An expression on one line.
pub(super) struct Written<'e> {
    pub expr: &'e Expr,
    /// What it was read from: numbers are then spelled as they are there (`0.10`, `1e9`, `5m`).
    pub text: Option<&'e str>,
}

impl<'e> Written<'e> {
    /// A part of it.
    pub fn part(&self, expr: &'e Expr) -> Self {
        Self { expr, text: self.text }
    }

    fn number(&self, f: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
        let spelled = self.text.and_then(|text| text.get(self.expr.span.from..self.expr.span.to));
        match spelled {
            Some(spelled) => spelled.chars().filter(|c| !c.is_whitespace()).try_for_each(|c| f.write_char(c)),
            None => number(f, value),
        }
    }
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.expr.kind {
            ExprKind::Number(value) => self.number(f, *value),
            ExprKind::String(text) => f.write_str(&quoted(text)),
            ExprKind::Vector(selector) => {
                selector.fmt(f)?;
                selector.when.fmt(f)
            }
            ExprKind::Matrix { selector, range } => {
                write!(f, "{selector}[{}]{}", duration::format(*range), selector.when)
            }
            ExprKind::Subquery { expr, range, step, when } => {
                write!(f, "{}{}", self.part(expr), Looked { range: *range, step: *step, when })
            }
            ExprKind::Call { function, args } => {
                f.write_str(function.name)?;
                self.list(f, args)
            }
            ExprKind::Aggregate { op, param, expr, grouping } => {
                write!(f, "{}", Opening { op: *op, grouping })?;
                match param {
                    Some(param) => write!(f, "({}, {})", self.part(param), self.part(expr)),
                    None => write!(f, "({})", self.part(expr)),
                }
            }
            ExprKind::Binary(binary) => {
                write!(f, "{} {} {}", self.part(&binary.lhs), Operator(binary), self.part(&binary.rhs))
            }
            ExprKind::Negate(expr) => write!(f, "-{}", self.part(expr)),
            ExprKind::Paren(expr) => write!(f, "({})", self.part(expr)),
        }
    }
}

/// `sum by (a) `, what stands before the parenthesis of an aggregation.
pub(super) struct Opening<'e> {
    pub op: AggregateOp,
    pub grouping: &'e Grouping,
}

impl fmt::Display for Opening<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.op.as_str())?;
        match self.grouping {
            Grouping::Only(labels) if labels.is_empty() => Ok(()),
            Grouping::Only(named) => write!(f, " by {} ", Labels(named)),
            Grouping::Except(named) => write!(f, " without {} ", Labels(named)),
        }
    }
}

/// `[1h:5m] offset 1d`, what stands behind the expression of a subquery.
pub(super) struct Looked<'e> {
    pub range: i64,
    pub step: Option<i64>,
    pub when: &'e When,
}

impl fmt::Display for Looked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = self.step.map(duration::format).unwrap_or_default();
        write!(f, "[{}:{step}]{}", duration::format(self.range), self.when)
    }
}

/// As Prometheus's own numbers are written, so that each reads back as itself.
fn number(f: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
    match value {
        _ if value.is_nan() => f.write_str("NaN"),
        f64::INFINITY => f.write_str("Inf"),
        f64::NEG_INFINITY => f.write_str("-Inf"),
        _ if value != 0.0 && !(1e-6..1e15).contains(&value.abs()) => write!(f, "{value:e}"),
        _ => write!(f, "{value}"),
    }
}

impl<'e> Written<'e> {
    fn list(&self, f: &mut fmt::Formatter<'_>, args: &'e [Expr]) -> fmt::Result {
        f.write_str("(")?;
        for (place, arg) in args.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { ", " })?;
            write!(f, "{}", self.part(arg))?;
        }
        f.write_str(")")
    }
}

/// `> bool on (a)`, an operator with how its sides are matched.
pub(super) struct Operator<'e>(pub &'e Binary);

impl fmt::Display for Operator<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let return_bool = if self.0.return_bool { " bool" } else { "" };
        write!(f, "{}{return_bool}{}", self.0.op.as_str(), self.0.matching)
    }
}

impl fmt::Display for Matching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.grouping {
            Grouping::Except(labels) if labels.is_empty() && self.card == Card::OneToOne => {}
            Grouping::Only(labels) => write!(f, " on {}", Labels(labels))?,
            Grouping::Except(labels) => write!(f, " ignoring {}", Labels(labels))?,
        }
        match self.card {
            Card::OneToOne => Ok(()),
            Card::ManyToOne => write!(f, " group_left {}", Labels(&self.include)),
            Card::OneToMany => write!(f, " group_right {}", Labels(&self.include)),
        }
    }
}

/// `(a, b)`
struct Labels<'a>(&'a [String]);

impl fmt::Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |label: &String| {
            if is_label_name(label) && !words::is_number(label) { label.clone() } else { quoted(label) }
        };
        write!(f, "({})", self.0.iter().map(shown).collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Display for VectorSelector {
    /// Without `offset` and `@`, which stand behind a range.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((name, others)) = plain_name(&self.matchers) else { return self.matchers.fmt(f) };
        f.write_str(name)?;
        if others.is_empty() { Ok(()) } else { Selector { matchers: others.to_vec() }.fmt(f) }
    }
}

/// The name that may stand before the braces, and the other matchers.
fn plain_name(selector: &Selector) -> Option<(&str, &[Matcher])> {
    let (first, others) = selector.matchers.split_first()?;
    let name = first.value.as_str();
    let is_plain = first.label == NAME
        && first.op == MatchOp::Equal
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
        && !words::is_word(name)
        && others.iter().all(|other| other.label != NAME);
    is_plain.then_some((name, others))
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            None => {}
            Some(At::Start) => f.write_str(" @ start()")?,
            Some(At::End) => f.write_str(" @ end()")?,
            Some(At::Time(ms)) => {
                let sign = if ms < 0 { "-" } else { "" };
                let ms = ms.unsigned_abs();
                write!(f, " @ {sign}{}.{:03}", ms / 1000, ms % 1000)?;
            }
        }
        if self.offset == 0 { Ok(()) } else { write!(f, " offset {}", duration::format(self.offset)) }
    }
}
