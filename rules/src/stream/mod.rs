//! Rules of one host, judged as its rows come in.
//!
//! An expression is compiled once for the series that a host has: selectors become places of columns, label matching becomes
//! pairs and groups of places. With each row the newest points and the windows move on; a rule is then judged without a
//! label, a hash or an allocation.
//!
//! What is asked is whether the rule gives anything at all ([`Verdict`]). Mostly it does not, and then nothing else is to be
//! done. Where it does, the plain evaluator ([`crate::promql::eval`]) says what: it stays the one source of every value
//! that is shown or recorded. The numbers on the way come from the plain evaluator's own functions, in its order, so that the
//! two agree to the bit on which side of a threshold a value lies.
//!
//! A part that is not compiled (`offset`, `@`, subqueries, ranked aggregations, long ranges …) may stand behind `and` or
//! `unless`: it is asked only while what stands before it gives something. Whatever could make the plain evaluator fail (two
//! series with the same labels, two partners of one) is never compiled, so that no failure goes unseen.

mod compile;
mod eval;
mod plan;
mod recent;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::metric::selectors;
use crate::model::RuleBook;
use crate::promql::ast::{Expr, ExprKind};
use crate::promql::labels::{Labels, NAME};
use crate::promql::series::{Point, Samples};
use crate::selector::{MatchOp, Matcher};

use compile::Compiler;
use eval::Machine;
use plan::Vector;
use recent::Recent;

/// The longest range whose points are kept beside the samples, ms: a point takes 16 bytes.
pub const RANGE_MAX: i64 = 3_600_000;

/// What a rule gives at an instant, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing, and without a fault.
    Quiet,
    /// Something; the plain evaluator says what.
    Speaks,
    /// The plain evaluator must be asked.
    Unknown,
}

/// The rules of all groups over one host's columns.
#[derive(Debug)]
pub struct Stream {
    /// By the rule's place; why it is not compiled where it is not.
    plans: Vec<Result<Plan, String>>,
    /// The slot of each column; none where no rule reads it.
    slots: Vec<Option<u32>>,
    recent: Recent,
    lookback: i64,
    /// Buffers to use again.
    pool: Vec<Vec<Option<f64>>>,
}

#[derive(Debug)]
struct Plan {
    vector: Vector,
    /// Of each element, in order.
    #[cfg(test)]
    labels: Vec<Labels>,
}

impl Stream {
    /// Compiles rules for the host's `columns` (none: a column of which no rule reads the name) and takes up what `samples` hold
    /// until `at`. What is `derived` is written by rules, not by rows: who reads it is not compiled.
    ///
    /// # Errors
    /// The samples cannot be read.
    pub fn new<'a>(
        rules: impl Iterator<Item = &'a Expr>,
        columns: &[Option<Labels>],
        samples: &dyn Samples,
        derived: &Derived,
        lookback: i64,
        at: i64,
    ) -> Result<Self, String> {
        let mut past: BTreeMap<Labels, Vec<Point>> = BTreeMap::new();
        let judged: Vec<Result<&Expr, String>> = rules.map(|expr| check(expr, derived).map(|_| expr)).collect();
        for expr in judged.iter().flatten() {
            for read in selectors(expr) {
                // What looks further back is not compiled.
                let back = read.back(lookback).min(RANGE_MAX);
                for series in samples.select(&read.selector.matchers, at.saturating_sub(back), at)? {
                    let known = past.entry(series.labels).or_default();
                    if known.first().is_none_or(|first| series.points.first().is_some_and(|point| point.at < first.at))
                    {
                        *known = series.points;
                    }
                }
            }
        }
        let mut compiler = Compiler::new(columns, past.keys());
        let plans = judged.into_iter().map(|expr| compiler.rule(expr?)).collect();
        let (slots, mut recent) = compiler.finish();
        for (labels, slot) in slots.by_labels {
            past.get(&labels).into_iter().flatten().for_each(|point| recent.push(slot, *point));
        }
        Ok(Self { plans, slots: slots.of_columns, recent, lookback, pool: Vec::new() })
    }

    /// A row came: values of the columns from `first` on, none where nothing was read. Rows of a column come in rising order
    /// of time; after one that does not, or a change of the columns, a new stream is to be made.
    pub fn row(&mut self, first: usize, at: i64, values: impl Iterator<Item = Option<f64>>) {
        for (slot, value) in self.slots.iter().skip(first).zip(values) {
            if let (Some(slot), Some(value)) = (slot, value) {
                self.recent.push(*slot, Point { at, value });
            }
        }
    }

    /// Judges the rule at this place, at the instant of the newest row or later.
    pub fn verdict(&mut self, rule: usize, at: i64) -> Verdict {
        let Some(Ok(plan)) = self.plans.get(rule) else { return Verdict::Unknown };
        let mut machine = Machine { recent: &self.recent, at, lookback: self.lookback, pool: &mut self.pool };
        match machine.vector(&plan.vector) {
            None => Verdict::Unknown,
            Some(values) => {
                let speaks = values.iter().any(Option::is_some);
                machine.done(values);
                if speaks { Verdict::Speaks } else { Verdict::Quiet }
            }
        }
    }

    /// Why the rule at this place is not compiled.
    pub fn refused(&self, rule: usize) -> Option<&str> {
        self.plans.get(rule)?.as_ref().err().map(String::as_str)
    }
}

/// Names of series that are written of a host beside what it reports: `up`, `ALERTS`, and what rules record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Derived(BTreeSet<String>);

impl Derived {
    /// Under the rules of this book.
    pub fn of(book: &RuleBook) -> Self {
        let recorded = book.recording_rules.iter().map(|rule| rule.name.as_str());
        Self(["up", "ALERTS", "ALERTS_FOR_STATE"].into_iter().chain(recorded).map(str::to_owned).collect())
    }

    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

/// The metrics that a compiled expression reads.
///
/// # Errors
/// Why it can never be compiled, whatever series a host has.
pub fn reads<'a>(expr: &'a Expr, derived: &Derived) -> Result<Vec<&'a str>, String> {
    let names = check(expr, derived)?;
    Compiler::new(&[], std::iter::empty()).rule(expr)?;
    Ok(names)
}

/// The metrics that are read, each by its name.
fn check<'a>(expr: &'a Expr, derived: &Derived) -> Result<Vec<&'a str>, String> {
    let name = |matcher: &&'a Matcher| matcher.label == NAME && matcher.op == MatchOp::Equal;
    let mut names = Vec::new();
    for read in selectors(expr) {
        match read.selector.matchers.matchers.iter().find(name) {
            None => return Err(format!("{} names no metric", read.selector)),
            Some(name) if derived.contains(&name.value) => return Err(format!("'{}' is written by rules", name.value)),
            Some(name) => names.push(name.value.as_str()),
        }
    }
    Ok(names)
}

/// Within parentheses.
fn bare(expr: &Expr) -> &Expr {
    match &expr.kind {
        ExprKind::Paren(inner) => bare(inner),
        _ => expr,
    }
}
