//! Expressions as text that parses to the same expression.

use std::fmt;

use super::ast::{At, Binary, Card, Expr, ExprKind, Grouping, Matching, VectorSelector, When};
use super::labels::NAME;
use super::parse::words;
use crate::duration;
use crate::selector::{MatchOp, Matcher, Selector, is_label_name, quoted};

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number(value) => number(f, *value),
            ExprKind::String(text) => f.write_str(&quoted(text)),
            ExprKind::Vector(selector) => {
                selector.fmt(f)?;
                selector.when.fmt(f)
            }
            ExprKind::Matrix { selector, range } => {
                write!(f, "{selector}[{}]{}", duration::format(*range), selector.when)
            }
            ExprKind::Subquery { expr, range, step, when } => {
                let step = step.map(duration::format).unwrap_or_default();
                write!(f, "{expr}[{}:{step}]{when}", duration::format(*range))
            }
            ExprKind::Call { function, args } => {
                f.write_str(function.name)?;
                list(f, args)
            }
            ExprKind::Aggregate { op, param, expr, grouping } => {
                f.write_str(op.as_str())?;
                match grouping {
                    Grouping::Only(labels) if labels.is_empty() => {}
                    Grouping::Only(named) => write!(f, " by {} ", Labels(named))?,
                    Grouping::Except(named) => write!(f, " without {} ", Labels(named))?,
                }
                match param {
                    Some(param) => write!(f, "({param}, {expr})"),
                    None => write!(f, "({expr})"),
                }
            }
            ExprKind::Binary(binary) => binary.fmt(f),
            ExprKind::Negate(expr) => write!(f, "-{expr}"),
            ExprKind::Paren(expr) => write!(f, "({expr})"),
        }
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

fn list(f: &mut fmt::Formatter<'_>, args: &[Expr]) -> fmt::Result {
    f.write_str("(")?;
    for (place, arg) in args.iter().enumerate() {
        f.write_str(if place == 0 { "" } else { ", " })?;
        write!(f, "{arg}")?;
    }
    f.write_str(")")
}

impl fmt::Display for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = self.op.as_str();
        let return_bool = if self.return_bool { " bool" } else { "" };
        write!(f, "{} {op}{return_bool}{} {}", self.lhs, self.matching, self.rhs)
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
