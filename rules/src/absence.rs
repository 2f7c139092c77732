//! Why an expression gives nothing any more for labels that it gave something for: missing is not healthy.
//!
//! Prometheus takes every absence for "the condition is false". Of a host that an agent speaks for more is known: a series
//! that *ended* has its stale marker, one that is *missing* simply has no newer samples, and only where all that the
//! expression reads is there, it is false.

use std::collections::BTreeMap;

use crate::promql::ast::{BinaryOp, Expr, ExprKind, VectorSelector};
use crate::promql::series::{Samples, Series};

/// What an absent result means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absence {
    /// All that the expression reads is there: its condition is false.
    False,
    /// Whoever reports this series says that it has ended.
    Ended { series: String },
    /// Nobody said anything of what this selector takes for longer than the lookback.
    Missing { selector: String },
}

/// How far beyond a selector's own window an end is looked for, ms: longer than any collector pauses.
const BEFORE: i64 = 600_000;

/// What it means that `expr` gives nothing for `labels` at `at`. `lookback` is that of instant selectors, ms.
///
/// What `unless` takes away and what `absent()` asks for may be missing; of `or` one side is enough. Selectors of another time
/// (`offset`, `@`) say nothing of now.
///
/// # Errors
/// The samples cannot be read.
pub fn absence(
    expr: &Expr,
    labels: &BTreeMap<String, String>,
    samples: &dyn Samples,
    at: i64,
    lookback: i64,
) -> Result<Absence, String> {
    Looking { labels, samples, at, lookback }.expr(expr)
}

struct Looking<'a> {
    labels: &'a BTreeMap<String, String>,
    samples: &'a dyn Samples,
    at: i64,
    lookback: i64,
}

impl Looking<'_> {
    fn expr(&self, expr: &Expr) -> Result<Absence, String> {
        match &expr.kind {
            ExprKind::Number(_) | ExprKind::String(_) => Ok(Absence::False),
            ExprKind::Vector(selector) => self.selector(selector, 0),
            ExprKind::Matrix { selector, range } => self.selector(selector, *range),
            ExprKind::Subquery { expr, .. } | ExprKind::Negate(expr) | ExprKind::Paren(expr) => self.expr(expr),
            ExprKind::Call { function, .. } if function.name.starts_with("absent") => Ok(Absence::False),
            ExprKind::Call { args, .. } => {
                args.iter().try_fold(Absence::False, |so_far, arg| Ok(both(so_far, self.expr(arg)?)))
            }
            ExprKind::Aggregate { expr, .. } => self.expr(expr),
            ExprKind::Binary(binary) => {
                let lhs = self.expr(&binary.lhs)?;
                match binary.op {
                    BinaryOp::Unless => Ok(lhs),
                    BinaryOp::Or if lhs == Absence::False => Ok(lhs),
                    BinaryOp::Or => Ok(either(lhs, self.expr(&binary.rhs)?)),
                    _ => Ok(both(lhs, self.expr(&binary.rhs)?)),
                }
            }
        }
    }

    fn selector(&self, selector: &VectorSelector, range: i64) -> Result<Absence, String> {
        if selector.when.at.is_some() || selector.when.offset != 0 {
            return Ok(Absence::False);
        }
        let after = self.at.saturating_sub(self.lookback.max(range)).saturating_sub(BEFORE);
        let mut found = self.samples.select(&selector.matchers, after, self.at)?;
        found.retain(|series| self.is_of_these(series));
        let fresh_after = self.at.saturating_sub(self.lookback);
        let newest = |series: &Series| series.points.last().copied();
        if found.iter().filter_map(newest).any(|point| !point.is_stale() && point.at > fresh_after) {
            return Ok(Absence::False);
        }
        let ended = found.iter().find(|series| newest(series).is_some_and(|point| point.is_stale()));
        Ok(match ended {
            Some(series) => Absence::Ended { series: spoken(series) },
            None => Absence::Missing { selector: selector.matchers.to_string() },
        })
    }

    /// Whether the series agrees with the labels wherever both have one.
    fn is_of_these(&self, series: &Series) -> bool {
        series.labels.iter().all(|(name, value)| self.labels.get(name).is_none_or(|wanted| wanted == value))
    }
}

/// Both are needed: what is worst said of one holds; an end explains a silence.
fn both(one: Absence, other: Absence) -> Absence {
    match (one, other) {
        (Absence::False, other) => other,
        (ended @ Absence::Ended { .. }, _) | (_, ended @ Absence::Ended { .. }) => ended,
        (one, _) => one,
    }
}

/// One is enough.
fn either(one: Absence, other: Absence) -> Absence {
    if other == Absence::False { other } else { both(one, other) }
}

fn spoken(series: &Series) -> String {
    let name = series.labels.get(crate::promql::labels::NAME).unwrap_or_default();
    let rest: Vec<String> = series
        .labels
        .iter()
        .filter(|(label, _)| *label != crate::promql::labels::NAME)
        .map(|(label, value)| format!("{label}={value:?}"))
        .collect();
    format!("{name}{{{}}}", rest.join(", "))
}
