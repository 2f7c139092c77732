//! Native histograms in operators and aggregations; functions over them: [`super::functions`].
//!
//! What floats do and histograms cannot gives nothing for them, and a remark in Prometheus's words.

use std::sync::Arc;

use super::Sample;
use super::aggregate::{groups, reduced};
use super::node::Evaluator;
use super::steps::Vectors;
use crate::promql::ast::{AggregateOp, Binary, BinaryOp, Grouping, Span};
use crate::promql::histogram::{Histogram, Incompatible, Met};
use crate::promql::labels::Labels;

/// A number, or (beside a 0) a histogram.
pub(super) type Either = (f64, Option<Arc<Histogram>>);

/// What is to be said once all elements are made.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    warnings: Vec<String>,
    infos: Vec<String>,
}

impl Remarks {
    fn warn(&mut self, message: String) {
        if !self.warnings.contains(&message) {
            self.warnings.push(message);
        }
    }

    fn inform(&mut self, message: String) {
        if !self.infos.contains(&message) {
            self.infos.push(message);
        }
    }

    /// Of two histograms that met by `operation`: addition, subtraction or aggregation.
    pub fn met(&mut self, met: Met, operation: &str) {
        if met.hints_collide {
            self.warn(format!("conflicting counter resets during histogram {operation}"));
        }
        if met.bounds_differ {
            self.inform(format!("mismatched custom buckets were reconciled during {operation}"));
        }
    }
}

impl Evaluator<'_> {
    pub fn tell(&mut self, span: Span, remarks: Remarks) {
        remarks.warnings.into_iter().for_each(|message| self.warnings.add(span, message));
        remarks.infos.into_iter().for_each(|message| self.infos.add(span, message));
    }

    /// Leaves out histograms, which `aggregation` does not take, and says so.
    pub fn floats_alone(&mut self, span: Span, aggregation: &str, vectors: &mut Vectors) {
        if drop_all(vectors) {
            self.infos.add(span, format!("ignored histogram in {aggregation} aggregation"));
        }
    }

    /// `sum` and `avg` where histograms are among the elements.
    pub fn totals(&mut self, span: Span, op: AggregateOp, grouping: &Grouping, vectors: &Vectors) -> Vectors {
        let mut remarks = Remarks::default();
        let totals = vectors.iter().map(|vector| {
            let groups = groups(grouping, vector).into_values();
            let totals = groups.filter_map(|group| {
                let (value, histogram) = total(op, &group, &mut remarks)?;
                Some(Sample { labels: group[0].labels.filtered(|name| grouping.counts(name)), value, histogram })
            });
            totals.collect()
        });
        let totals = totals.collect();
        self.tell(span, remarks);
        totals
    }
}

/// Of one group; none where floats and histograms, or histograms of both kinds, are in it.
fn total(op: AggregateOp, group: &[&Sample], remarks: &mut Remarks) -> Option<Either> {
    let histograms: Vec<&Histogram> = group.iter().filter_map(|sample| sample.histogram.as_deref()).collect();
    if histograms.is_empty() {
        return Some((reduced(op, group.iter().map(|sample| sample.value)), None));
    }
    if histograms.len() < group.len() {
        remarks.warn("encountered a mix of histograms and floats for aggregation".to_owned());
        return None;
    }
    match sum(&histograms) {
        Ok((mut total, met)) => {
            remarks.met(met, "aggregation");
            if op == AggregateOp::Avg {
                total.divide(histograms.len() as f64);
            }
            Some((0.0, Some(Arc::new(total))))
        }
        Err(Incompatible) => {
            remarks.warn(
                "vector contains a mix of histograms with exponential and custom buckets schemas for aggregation"
                    .to_owned(),
            );
            None
        }
    }
}

/// Of at least one.
pub(super) fn sum(histograms: &[&Histogram]) -> Result<(Histogram, Met), Incompatible> {
    let [first, rest @ ..] = histograms else { return Ok((Histogram::default(), Met::default())) };
    let mut total = (*first).clone();
    let met = rest.iter().try_fold(Met::default(), |met, other| Ok(met.and(total.add(other)?)))?;
    Ok((total, met))
}

pub(super) fn any(vectors: &Vectors) -> bool {
    vectors.iter().flatten().any(|sample| sample.histogram.is_some())
}

/// Takes all histograms out; whether there was one.
pub(super) fn drop_all(vectors: &mut Vectors) -> bool {
    let found = any(vectors);
    if found {
        vectors.iter_mut().for_each(|vector| vector.retain(|sample| sample.histogram.is_none()));
    }
    found
}

pub(super) fn scaled(labels: Labels, histogram: &Histogram, factor: f64) -> Sample {
    let mut scaled = histogram.clone();
    scaled.scale(factor);
    Sample { labels, value: 0.0, histogram: Some(Arc::new(scaled)) }
}

pub(super) fn either(sample: &Sample) -> Either {
    (sample.value, sample.histogram.clone())
}

/// An operator between an element that is a histogram and a scalar.
pub(super) fn with_scalar(
    binary: &Binary,
    sample: Sample,
    number: f64,
    scalar_left: bool,
    remarks: &mut Remarks,
) -> Option<Sample> {
    let (element, scalar) = (either(&sample), (number, None));
    let (lhs, rhs) = if scalar_left { (&scalar, &element) } else { (&element, &scalar) };
    let (value, histogram) = apply(binary, lhs, rhs, remarks)?;
    Some(Sample { value, histogram, ..sample })
}

/// An operator that is no set operator, a histogram on one side at least.
pub(super) fn apply(binary: &Binary, lhs: &Either, rhs: &Either, remarks: &mut Remarks) -> Option<Either> {
    let op = binary.op;
    match (&lhs.1, &rhs.1) {
        (Some(one), Some(other)) => of_two(binary, one, other, remarks),
        (Some(histogram), None) if matches!(op, BinaryOp::Mul | BinaryOp::Div) => {
            let mut made = Histogram::clone(histogram);
            if op == BinaryOp::Mul {
                made.scale(rhs.0);
            } else {
                made.divide(rhs.0);
            }
            Some((0.0, Some(Arc::new(made))))
        }
        (None, Some(histogram)) if op == BinaryOp::Mul => {
            let mut made = Histogram::clone(histogram);
            made.scale(lhs.0);
            Some((0.0, Some(Arc::new(made))))
        }
        _ => refused(op, lhs, rhs, remarks),
    }
}

fn of_two(binary: &Binary, one: &Arc<Histogram>, other: &Arc<Histogram>, remarks: &mut Remarks) -> Option<Either> {
    let op = binary.op;
    let compared = |holds: bool| match (binary.return_bool, holds) {
        (true, holds) => Some((f64::from(u8::from(holds)), None)),
        (false, true) => Some((0.0, Some(Arc::clone(one)))),
        (false, false) => None,
    };
    match op {
        BinaryOp::Add | BinaryOp::Sub => {
            let mut made = Histogram::clone(one);
            let (met, operation) = match op {
                BinaryOp::Add => (made.add(other), "addition"),
                _ => (made.subtract(other), "subtraction"),
            };
            let Ok(met) = met else {
                let word = op.as_str();
                remarks.warn(format!("incompatible bucket layout encountered for binary operator {word}"));
                return None;
            };
            remarks.met(met, operation);
            Some((0.0, Some(Arc::new(made))))
        }
        BinaryOp::Equal => compared(one.counts_alike(other)),
        BinaryOp::NotEqual => compared(!one.counts_alike(other)),
        op => refused(op, &(0.0, Some(Arc::clone(one))), &(0.0, Some(Arc::clone(other))), remarks),
    }
}

fn refused(op: BinaryOp, lhs: &Either, rhs: &Either, remarks: &mut Remarks) -> Option<Either> {
    let kind = |either: &Either| if either.1.is_some() { "histogram" } else { "float" };
    let (lhs, rhs, op) = (kind(lhs), kind(rhs), op.as_str());
    remarks.inform(format!("incompatible sample types encountered for binary operator \"{op}\": {lhs} {op} {rhs}"));
    None
}
