//! Which series an expression reads, and how far back.

use crate::promql::ast::{Expr, ExprKind, VectorSelector};

/// A selector of an expression.
#[derive(Clone, Copy, Debug)]
pub struct Read<'a> {
    pub selector: &'a VectorSelector,
    /// The ranges and offsets around it, ms; ranges within ranges add up.
    around: i64,
    /// It is the newest point that counts, so long as it is no older than the lookback.
    is_instant: bool,
}

impl Read<'_> {
    /// How far before the instant of evaluation the oldest point may lie that counts, ms.
    pub fn back(&self, lookback: i64) -> i64 {
        let lookback = if self.is_instant { lookback } else { 0 };
        self.around.saturating_add(lookback).saturating_add(self.selector.when.offset.max(0))
    }
}

/// Every selector of an expression, in the order in which they stand.
pub fn selectors(expr: &Expr) -> Vec<Read<'_>> {
    let mut found = Vec::new();
    within(expr, 0, &mut found);
    found
}

fn within<'a>(expr: &'a Expr, around: i64, found: &mut Vec<Read<'a>>) {
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::Duration(_) | ExprKind::String(_) => {}
        ExprKind::Vector(selector) => found.push(Read { selector, around, is_instant: true }),
        ExprKind::Matrix { selector, range } => {
            found.push(Read { selector, around: around.saturating_add(*range), is_instant: false });
        }
        ExprKind::Subquery { expr, range, when, .. } => {
            within(expr, around.saturating_add(*range).saturating_add(when.offset.max(0)), found);
        }
        ExprKind::Call { args, .. } => args.iter().for_each(|arg| within(arg, around, found)),
        ExprKind::Aggregate { param, expr, .. } => {
            param.iter().for_each(|param| within(param, around, found));
            within(expr, around, found);
        }
        ExprKind::Binary(binary) => {
            within(&binary.lhs, around, found);
            within(&binary.rhs, around, found);
        }
        ExprKind::Negate(expr) | ExprKind::Plus(expr) | ExprKind::Paren(expr) => within(expr, around, found),
    }
}
