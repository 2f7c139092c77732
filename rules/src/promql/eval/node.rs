//! Expressions, node by node.

use super::functions;
use super::grouping::nameless;
use super::native;
use super::notes::Notes;
use super::steps::{Steps, Vectors};
use super::{EvalError, Evaluated, Sample, Settings, Value};
use crate::promql::ast::{Expr, ExprKind, Span};
use crate::promql::labels::Labels;
use crate::promql::series::Samples;

/// One evaluation: where samples come from, what it may use, and what it has to remark.
pub(super) struct Evaluator<'a> {
    pub samples: &'a dyn Samples,
    pub settings: &'a Settings,
    /// The steps asked for: `start()` and `end()` are theirs, in subqueries too.
    pub asked: Steps,
    pub warnings: Notes,
    pub infos: Notes,
    points_left: usize,
}

impl<'a> Evaluator<'a> {
    pub fn new(samples: &'a dyn Samples, settings: &'a Settings, asked: Steps) -> Self {
        let points_left = settings.points_max;
        Self { samples, settings, asked, warnings: Notes::default(), infos: Notes::default(), points_left }
    }

    pub fn finish(self, value: Value) -> Evaluated {
        Evaluated { value, warnings: self.warnings.into_vec(), infos: self.infos.into_vec() }
    }

    /// Counts points that were looked at or are about to be made.
    pub fn spend(&mut self, points: usize, span: Span) -> Result<(), EvalError> {
        self.points_left = self.points_left.checked_sub(points).ok_or_else(|| {
            let most = self.settings.points_max;
            let wrong =
                format!("the expression looks at more than {most} points; select fewer series or a shorter range");
            EvalError::new(span, wrong)
        })?;
        Ok(())
    }

    /// One number for each step.
    pub fn scalars(&mut self, expr: &Expr, steps: Steps) -> Result<Vec<f64>, EvalError> {
        self.spend(steps.count(), expr.span)?;
        match &expr.kind {
            ExprKind::Number(value) | ExprKind::Duration(value) => Ok(vec![*value; steps.count()]),
            ExprKind::Plus(inner) | ExprKind::Paren(inner) => self.scalars(inner, steps),
            ExprKind::Negate(inner) => Ok(self.scalars(inner, steps)?.into_iter().map(|value| -value).collect()),
            ExprKind::Binary(binary) => self.scalar_operation(binary, steps),
            ExprKind::Call { function, args } => functions::scalars(self, expr.span, function.name, args, steps),
            _ => Err(mistyped(expr, "a scalar")),
        }
    }

    /// One instant vector for each step, no labels twice in any.
    pub fn vectors(&mut self, expr: &Expr, steps: Steps) -> Result<Vectors, EvalError> {
        self.spend(steps.count(), expr.span)?;
        match &expr.kind {
            ExprKind::Vector(selector) => self.newest(expr.span, selector, steps, |point| point.value),
            ExprKind::Plus(inner) | ExprKind::Paren(inner) => self.vectors(inner, steps),
            ExprKind::Negate(inner) => self.negated(inner, steps),
            ExprKind::Binary(binary) => self.operation(expr.span, binary, steps),
            ExprKind::Aggregate { op, param, expr: inner, grouping } => {
                self.aggregation(expr.span, *op, param.as_deref(), inner, grouping, steps)
            }
            ExprKind::Call { function, args } => functions::vectors(self, expr.span, function.name, args, steps),
            _ => Err(mistyped(expr, "an instant vector")),
        }
    }

    fn negated(&mut self, inner: &Expr, steps: Steps) -> Result<Vectors, EvalError> {
        let vectors = self.vectors(inner, steps)?;
        relabelled(inner.span, vectors, |sample| match &sample.histogram {
            None => Sample::new(nameless(&sample.labels), -sample.value),
            Some(histogram) => native::scaled(nameless(&sample.labels), histogram, -1.0),
        })
    }
}

/// The text of a string literal.
pub(super) fn text(expr: &Expr) -> Result<&str, EvalError> {
    match &expr.kind {
        ExprKind::String(text) => Ok(text),
        ExprKind::Paren(inner) => text(inner),
        _ => Err(mistyped(expr, "a string")),
    }
}

/// Expressions from the parser are of the right types; others can be made by hand.
fn mistyped(expr: &Expr, wanted: &str) -> EvalError {
    EvalError::new(expr.span, format!("{wanted} is expected here"))
}

/// Each element made anew by `make`. Two series that come to the same labels are an error, even if they never meet at
/// one step.
pub(super) fn relabelled(span: Span, vectors: Vectors, make: impl Fn(&Sample) -> Sample) -> Result<Vectors, EvalError> {
    let made: Vectors = vectors.iter().map(|vector| vector.iter().map(&make).collect()).collect();
    let sources = vectors.iter().flatten().map(|sample| &sample.labels);
    unique(span, made.iter().flatten().map(|sample| &sample.labels).zip(sources).collect())?;
    Ok(made)
}

/// Refuses labels that come twice in one vector.
pub(super) fn unique_each(span: Span, vectors: &Vectors) -> Result<(), EvalError> {
    vectors.iter().try_for_each(|vector| {
        unique(span, vector.iter().enumerate().map(|(place, sample)| (&sample.labels, place)).collect())
    })
}

/// Refuses labels that come from two sources; pairs of (labels, source), of which the same pair may come often.
pub(super) fn unique<T: Ord>(span: Span, mut pairs: Vec<(&Labels, T)>) -> Result<(), EvalError> {
    // Mostly they come in order, then nothing is to be sorted.
    if pairs.windows(2).all(|pair| pair[0].0 < pair[1].0) {
        return Ok(());
    }
    pairs.sort();
    pairs.dedup();
    match pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        None => Ok(()),
        Some(pair) => Err(same_labelset(span, pair[0].0)),
    }
}

pub(super) fn same_labelset(span: Span, labels: &Labels) -> EvalError {
    let wrong = format!(
        "vector cannot contain metrics with the same labelset: {labels} comes twice; \
         select one metric name, or aggregate by labels that differ"
    );
    EvalError::new(span, wrong)
}
