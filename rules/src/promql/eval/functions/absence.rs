//! `absent` and `absent_over_time`: one element where there is none.

use std::collections::BTreeSet;

use super::super::node::Evaluator;
use super::super::steps::{Steps, Vectors};
use super::super::{EvalError, Sample};
use crate::promql::ast::{Expr, ExprKind};
use crate::promql::labels::{Labels, NAME};
use crate::selector::{MatchOp, Matcher};

pub(super) fn absent(evaluator: &mut Evaluator<'_>, arg: &Expr, steps: Steps) -> Result<Vectors, EvalError> {
    let vectors = evaluator.vectors(arg, steps)?;
    Ok(where_none(arg, vectors.iter().map(|vector| !vector.is_empty())))
}

pub(super) fn absent_over_time(evaluator: &mut Evaluator<'_>, arg: &Expr, steps: Steps) -> Result<Vectors, EvalError> {
    let windows = evaluator.windows(arg, steps)?;
    let present = |step| {
        windows
            .series
            .iter()
            .any(|series| windows.window(series, step).is_some() || !windows.histograms(series, step).0.is_empty())
    };
    Ok(where_none(arg, steps.iter().map(present)))
}

fn where_none(arg: &Expr, present: impl Iterator<Item = bool>) -> Vectors {
    let labels = labels_of(arg);
    let element = |is_present: bool| match is_present {
        true => Vec::new(),
        false => vec![Sample::new(labels.clone(), 1.0)],
    };
    present.map(element).collect()
}

/// The labels that a selector asks for by `=`, once; of anything else none.
fn labels_of(arg: &Expr) -> Labels {
    let matchers = match &arg.kind {
        ExprKind::Paren(inner) => return labels_of(inner),
        ExprKind::Vector(selector) | ExprKind::Matrix { selector, .. } => &selector.matchers.matchers,
        _ => return Labels::default(),
    };
    let mut labels: Vec<(&str, &str)> = Vec::new();
    let mut equalled = BTreeSet::new();
    for Matcher { label, op, value } in matchers.iter().filter(|matcher| matcher.label != NAME) {
        // A second matcher of the label takes it away again; only an earlier pattern does no harm, as in Prometheus.
        if *op == MatchOp::Equal && equalled.insert(label) {
            labels.push((label, value));
        } else {
            labels.retain(|(name, _)| name != label);
        }
    }
    Labels::new(labels)
}
