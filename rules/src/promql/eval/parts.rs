//! What else evaluates expressions takes these parts from here, so that it comes to the same bits.

pub(crate) use super::functions::{Kind, OfWindow, Sampled, of_number, of_window, predict, stretch};
pub(crate) use super::grouping::nameless;
pub(crate) use super::windows::Window;

use super::grouping::Signature;
use crate::promql::ast::{AggregateOp, Binary, BinaryOp, Grouping};
use crate::promql::labels::Labels;

/// An operator that is no set operator on two values; none where a comparison filters. One that holds gives `kept`.
pub(crate) fn apply(op: BinaryOp, lhs: f64, rhs: f64, return_bool: bool, kept: f64) -> Option<f64> {
    op.apply(lhs, rhs).value(return_bool, kept)
}

/// An aggregation without a parameter, of at least one value.
pub(crate) fn reduced(op: AggregateOp, values: impl Iterator<Item = f64>) -> f64 {
    super::aggregate::reduced(op, values)
}

/// A sum that keeps the digits which additions lose.
pub(crate) fn sum(values: impl Iterator<Item = f64>) -> f64 {
    super::sums::sum(values)
}

/// The labels that count, by name.
pub(crate) fn signature<'a>(grouping: &Grouping, labels: &'a Labels) -> Signature<'a> {
    grouping.signature(labels)
}

/// The labels of a pair's result.
pub(crate) fn matched_labels(binary: &Binary, many: &Labels, one: &Labels) -> Labels {
    super::matching::labels(binary, many, one)
}
