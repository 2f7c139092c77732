//! `info`: the labels of info metrics (`target_info`) beside those of the series they describe.

use std::collections::BTreeMap;

use super::super::node::Evaluator;
use super::super::steps::{Steps, Vectors};
use super::super::{EvalError, Sample};
use crate::promql::ast::{Expr, ExprKind, Span, VectorSelector};
use crate::promql::labels::{Labels, NAME};
use crate::selector::{MatchOp, Matcher, Selector};

/// The info metric where none is named.
const INFO: &str = "target_info";
/// The labels by which a series and its info are the same target's.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// Each element with the labels of its info; a selector says which info metric and which of its labels.
pub(super) fn info(
    evaluator: &mut Evaluator<'_>,
    span: Span,
    arg: &Expr,
    selector: Option<&Expr>,
    steps: Steps,
) -> Result<Vectors, EvalError> {
    let asked = match selector.map(|selector| &selector.kind) {
        None => &[][..],
        Some(ExprKind::Vector(selector)) => &selector.matchers.matchers[..],
        Some(_) => return Err(EvalError::new(span, "the second argument of 'info' is a selector of labels")),
    };
    let (names, data): (Vec<&Matcher>, Vec<&Matcher>) = asked.iter().partition(|matcher| matcher.label == NAME);
    let names = match names.is_empty() {
        true => vec![Matcher { label: NAME.to_owned(), op: MatchOp::Equal, value: INFO.to_owned() }],
        false => names.into_iter().cloned().collect(),
    };
    let matchers = Selector { matchers: names.iter().chain(data.iter().copied()).cloned().collect() };
    let vectors = evaluator.vectors(arg, steps)?;
    let infos = VectorSelector { matchers, ..VectorSelector::default() };
    let infos = evaluator.newest(span, &infos, steps, |point| point.value)?;
    let is_info = Selector { matchers: names };
    // Where a matcher refuses the empty value, an element without info does not match.
    let needs_info = !data.is_empty()
        && !Selector { matchers: data.iter().map(|matcher| (*matcher).clone()).collect() }.takes_everything();
    let wanted = |label: &str| data.is_empty() || data.iter().any(|matcher| matcher.label == label);
    let joined = vectors.into_iter().zip(infos).map(|(vector, infos)| {
        let mut by_target: BTreeMap<Vec<&str>, Vec<&Labels>> = BTreeMap::new();
        for info in &infos {
            by_target.entry(target(&info.labels)).or_default().push(&info.labels);
        }
        let joined = vector.iter().filter_map(|sample| {
            if is_info.matches_by(|label| sample.labels.get(label)) {
                return Some(sample.clone());
            }
            let found = by_target.get(&target(&sample.labels));
            let Some(found) = found.filter(|_| target(&sample.labels).iter().any(|value| !value.is_empty())) else {
                return (!needs_info).then(|| sample.clone());
            };
            let added = found.iter().flat_map(|info| info.iter()).filter(|(label, _)| *label != NAME && wanted(label));
            let labels = added.fold(sample.labels.clone(), |labels, (label, value)| match sample.labels.get(label) {
                Some(_) => labels,
                None => labels.with(label, value),
            });
            Some(Sample { labels, ..sample.clone() })
        });
        joined.collect()
    });
    let joined: Vectors = joined.collect();
    super::super::node::unique_each(span, &joined)?;
    Ok(joined)
}

fn target(labels: &Labels) -> Vec<&str> {
    IDENTIFYING.iter().map(|name| labels.get(name).unwrap_or("")).collect()
}
