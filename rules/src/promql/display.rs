//! Expressions as text that parses to the same expression: as Prometheus writes them, or near to how they were written.

use std::fmt::{self, Write as _};

use super::ast::{AggregateOp, At, Binary, Card, Expr, ExprKind, Grouping, Matching, VectorSelector, When};
use super::labels::NAME;
use super::parse::words;
use crate::duration;
use crate::number::special;
use crate::quote::quoted;
use crate::selector::{MatchOp, Matcher, Selector, is_label_name};

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Written { expr: self, text: None }.fmt(f)
    }
}

/// An expression on one line.
pub(super) struct Written<'e> {
    pub expr: &'e Expr,
    /// What it was read from: numbers are then spelled as they are there (`0.10`, `1e9`, `5m`), and matchers keep their order.
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
            None => f.write_str(&special(value).unwrap_or_else(|| value.to_string())),
        }
    }

    fn duration(&self, f: &mut fmt::Formatter<'_>, seconds: f64) -> fmt::Result {
        match self.text {
            Some(_) => self.number(f, seconds),
            // It was read from milliseconds.
            None => f.write_str(&duration::format((seconds * 1000.0).round() as i64)),
        }
    }

    /// Without `offset` and `@`, which stand behind a range.
    fn selector(&self, f: &mut fmt::Formatter<'_>, selector: &VectorSelector) -> fmt::Result {
        if self.text.is_some() {
            return fmt::Display::fmt(selector, f);
        }
        let (name, others) = match selector.matchers.matchers.split_first() {
            Some((name, others)) if selector.is_named => (name.value.as_str(), others),
            _ => ("", selector.matchers.matchers.as_slice()),
        };
        let mut others: Vec<String> = others.iter().map(ToString::to_string).collect();
        others.sort();
        f.write_str(name)?;
        if others.is_empty() && !name.is_empty() { Ok(()) } else { write!(f, "{{{}}}", others.join(",")) }
    }
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.expr.kind {
            ExprKind::Number(value) => self.number(f, *value),
            ExprKind::Duration(seconds) => self.duration(f, *seconds),
            ExprKind::String(text) => f.write_str(&quoted(text)),
            ExprKind::Vector(selector) => {
                self.selector(f, selector)?;
                selector.when.fmt(f)
            }
            ExprKind::Matrix { selector, range } => {
                self.selector(f, selector)?;
                write!(f, "[{}]{}", duration::format(*range), selector.when)
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
            ExprKind::Plus(expr) => write!(f, "+{}", self.part(expr)),
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
        let Some((name, others)) = plain_name(self) else { return self.matchers.fmt(f) };
        f.write_str(name)?;
        if others.is_empty() { Ok(()) } else { Selector { matchers: others.to_vec() }.fmt(f) }
    }
}

/// The name that may stand before the braces, and the other matchers.
fn plain_name(selector: &VectorSelector) -> Option<(&str, &[Matcher])> {
    let (first, others) = selector.matchers.matchers.split_first()?;
    let name = first.value.as_str();
    let is_plain = first.label == NAME
        && first.op == MatchOp::Equal
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | ':'))
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
        && (selector.is_named || !words::is_word(name))
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
