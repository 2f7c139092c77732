//! Rules of one host, judged as its rows come in.
//!
//! An expression is compiled once for the series that a host has: selectors become places of columns, label matching becomes
//! pairs and groups of places. With each row the newest points and the windows move on; a rule is then judged without a
//! label, a hash or an allocation.
//!
//! What is asked of an alert is whether it gives anything at all ([`Verdict`]). Mostly it does not, and then nothing else is to
//! be done; where it does, the plain evaluator ([`crate::promql::eval`]) says what. What a rule records is read off its plan.
//! The plain evaluator decides what is right: the numbers come from its own functions, in its order, so that the two agree
//! to the bit, and tests hold every element of every plan against it.
//!
//! Plans name no labels, and hosts alike share them ([`Shapes`]). A host has for itself the newest value of each series and,
//! of those that are asked for a range, rows ([`recent`]).
//!
//! A part that is not compiled (`offset`, `@`, subqueries, ranked aggregations, long ranges …) may stand behind `and` or
//! `unless`: it is asked only while what stands before it gives something. Whatever could make the plain evaluator fail (two
//! series with the same labels, two partners of one) is never compiled, so that no failure goes unseen.

mod compile;
mod ends;
mod eval;
mod plan;
mod recent;
mod shapes;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::metric::{recorded_labels, selectors};
use crate::model::RuleBook;
use crate::promql::ast::{Expr, ExprKind};
use crate::promql::labels::Labels;
use crate::promql::series::{Point, Samples};
use crate::selector::Selector;

use compile::{Compiler, Placed};
use eval::{Machine, Pool};
use plan::Plans;
use recent::{Table, TableShape};

pub use shapes::Shapes;

/// The longest range whose points are kept beside the samples, ms: a value takes 8 bytes.
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

/// The rules of all groups over one host's columns: running state, and plans that it shares with hosts alike.
#[derive(Debug)]
pub struct Stream {
    plans: Arc<Plans>,
    /// In the order of the plans' tables.
    tables: Vec<Table>,
    /// Of rules that record, by the rule's place: what each element's series is written as.
    records: BTreeMap<usize, Box<[Labels]>>,
    lookback: i64,
    /// By the rule's place, of each element of its vector.
    #[cfg(test)]
    labels: Vec<Vec<Labels>>,
}

/// A rule for a stream.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub expr: &'a Expr,
    /// Of a rule that records: the metric, and the labels that it sets.
    pub records: Option<(&'a str, &'a BTreeMap<String, String>)>,
}

thread_local! {
    /// Buffers to use again, for whichever host is judged on this thread.
    static POOL: RefCell<Pool> = RefCell::default();
}

impl Stream {
    /// Compiles rules for the host's `blocks` of columns (none: a column of which no rule reads the name) and takes up what
    /// `samples` hold until `at`. What is `derived` is written by rules, not by rows: who reads it is not compiled. Plans are
    /// those of `shapes` where it knows the like.
    ///
    /// # Errors
    /// The samples cannot be read.
    pub fn new<'a>(
        rules: impl Iterator<Item = Asked<'a>>,
        blocks: &[Vec<Option<Labels>>],
        samples: &dyn Samples,
        derived: &Derived,
        shapes: &Shapes,
        (lookback, at): (i64, i64),
    ) -> Result<Self, String> {
        let judged: Vec<Result<Asked<'a>, String>> =
            rules.map(|asked| check(asked.expr, derived).map(|_| asked)).collect();
        let past = past(judged.iter().flatten().map(|asked| asked.expr), samples, lookback, at)?;
        let mut compiler = Compiler::new(blocks, past.keys());
        let (mut vectors, mut records, mut labels) = (Vec::with_capacity(judged.len()), BTreeMap::new(), Vec::new());
        for (place, asked) in judged.into_iter().enumerate() {
            let compiled = asked.and_then(|asked| Ok((compiler.rule(asked.expr)?, asked.records)));
            if let Ok((compiled, Some(recorded))) = &compiled {
                records.extend(written_as(&compiled.labels, *recorded).map(|labels| (place, labels)));
            }
            if cfg!(test) {
                labels.push(compiled.as_ref().map_or_else(|_| Vec::new(), |(compiled, _)| compiled.labels.clone()));
            }
            vectors.push(compiled.map(|(compiled, _)| compiled.vector));
        }
        let (plans, placed) = compiler.finish(vectors);
        Ok(Self {
            tables: filled(&plans.tables, &placed, &past),
            plans: shapes.shared(plans),
            records,
            lookback,
            #[cfg(test)]
            labels,
        })
    }

    /// A row of a block came; `value` gives that of each of the block's columns, none where nothing was read. Rows of a block
    /// come in rising order of time; after one that does not, or a change of the columns, a new stream is to be made.
    pub fn row(&mut self, block: usize, at: i64, value: impl Fn(usize) -> Option<f64>) {
        let shapes = &self.plans.tables;
        let first = shapes.partition_point(|shape| shape.block.is_some_and(|of| (of as usize) < block));
        for (shape, table) in shapes.iter().zip(&mut self.tables).skip(first) {
            if shape.block.is_none_or(|of| of as usize != block) {
                break;
            }
            table.push(shape.range, at, |cell| value(shape.columns[cell] as usize));
        }
    }

    /// Judges the rule at this place, at the instant of the newest row or later.
    pub fn verdict(&self, rule: usize, at: i64) -> Verdict {
        let speaks = self.evaluated(rule, at, |values| values.iter().any(Option::is_some));
        match speaks {
            None => Verdict::Unknown,
            Some(true) => Verdict::Speaks,
            Some(false) => Verdict::Quiet,
        }
    }

    /// What the rule at this place, which records, writes at this instant, in the order of its results; none where the plain
    /// evaluator must be asked.
    pub fn recorded(&self, rule: usize, at: i64) -> Option<Vec<(Labels, f64)>> {
        let labels = self.records.get(&rule)?;
        self.evaluated(rule, at, |values| {
            let both = labels.iter().zip(values);
            both.filter_map(|(labels, value)| value.map(|value| (labels.clone(), value))).collect()
        })
    }

    fn evaluated<T>(&self, rule: usize, at: i64, take: impl FnOnce(&[Option<f64>]) -> T) -> Option<T> {
        let Some(Ok(vector)) = self.plans.rules.get(rule) else { return None };
        POOL.with_borrow_mut(|pool| {
            let (tables, slots) = (&self.tables, &self.plans.slots);
            let mut machine = Machine { tables, slots, at, lookback: self.lookback, pool };
            let values = machine.vector(vector)?;
            let taken = take(&values);
            machine.done(values);
            Some(taken)
        })
    }

    /// Why the rule at this place is not compiled.
    pub fn refused(&self, rule: usize) -> Option<&str> {
        self.plans.rules.get(rule)?.as_ref().err().map(String::as_str)
    }

    /// Bytes in memory of this host alone, about.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.tables.iter().map(Table::bytes).sum::<usize>()
    }
}

/// The series that rules read, with what they hold as far back as is read; each metric is asked for once.
fn past<'a>(
    exprs: impl Iterator<Item = &'a Expr>,
    samples: &dyn Samples,
    lookback: i64,
    at: i64,
) -> Result<BTreeMap<Labels, Vec<Point>>, String> {
    let mut backs: BTreeMap<&str, i64> = BTreeMap::new();
    for read in exprs.flat_map(selectors) {
        let Some(name) = read.selector.matchers.metric() else { continue };
        // What looks further back is not compiled.
        let back = backs.entry(name).or_default();
        *back = (*back).max(read.back(lookback).min(RANGE_MAX));
    }
    let mut past = BTreeMap::new();
    for (name, back) in backs {
        let found = samples.select(&Selector::of_metric(name), at.saturating_sub(back), at)?;
        past.extend(found.into_iter().map(|series| (series.labels, series.points)));
    }
    Ok(past)
}

/// Tables with what was before.
fn filled(shapes: &[TableShape], placed: &Placed, past: &BTreeMap<Labels, Vec<Point>>) -> Vec<Table> {
    let mut columns: Vec<Vec<&[Point]>> = shapes.iter().map(|shape| vec![&[][..]; shape.columns.len()]).collect();
    for (labels, place) in placed {
        columns[place.table as usize][place.cell as usize] = past.get(labels).map_or(&[], Vec::as_slice);
    }
    shapes.iter().zip(columns).map(|(shape, columns)| Table::filled(shape, &columns)).collect()
}

/// What the results of a rule that records are written as; none where two would be the same.
fn written_as(results: &[Labels], (name, own): (&str, &BTreeMap<String, String>)) -> Option<Box<[Labels]>> {
    let labels: Vec<Labels> = results.iter().map(|result| recorded_labels(result, name, own)).collect();
    let unique = labels.iter().collect::<BTreeSet<_>>().len() == labels.len();
    unique.then(|| labels.into())
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
    let mut names = Vec::new();
    for read in selectors(expr) {
        match read.selector.matchers.metric() {
            None => return Err(format!("{} names no metric", read.selector)),
            Some(name) if derived.contains(name) => return Err(format!("'{name}' is written by rules")),
            Some(name) => names.push(name),
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
