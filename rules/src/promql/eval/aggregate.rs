//! Aggregations that make one number of each group: `sum`, `avg`, `count`, `min`, `max`, `group`, `stddev`, `stdvar`,
//! `quantile`. The others: [`super::ranked`].

use std::collections::BTreeMap;

use super::grouping::Signature;
use super::native;
use super::node::Evaluator;
use super::steps::{Steps, Vectors};
use super::{EvalError, Sample, sums};
use crate::promql::ast::{AggregateOp, Expr, Grouping, Span};

impl Evaluator<'_> {
    pub fn aggregation(
        &mut self,
        span: Span,
        op: AggregateOp,
        param: Option<&Expr>,
        inner: &Expr,
        grouping: &Grouping,
        steps: Steps,
    ) -> Result<Vectors, EvalError> {
        let needed =
            || param.ok_or_else(|| EvalError::new(span, "this aggregation takes a parameter before its vector"));
        match op {
            AggregateOp::Topk => self.ranked(needed()?, inner, grouping, steps, super::ranked::Order::Falling),
            AggregateOp::Bottomk => self.ranked(needed()?, inner, grouping, steps, super::ranked::Order::Rising),
            AggregateOp::Limitk => self.limited(needed()?, inner, grouping, steps),
            AggregateOp::LimitRatio => self.sampled(needed()?, inner, steps),
            AggregateOp::CountValues => self.count_values(needed()?, inner, grouping, steps),
            AggregateOp::Quantile => {
                let phis = self.scalars(needed()?, steps)?;
                for warning in phis.iter().filter_map(|phi| sums::quantile_warning(*phi)) {
                    self.warnings.add(needed()?.span, warning);
                }
                self.reduced(span, op, inner, grouping, steps, |step, values| sums::quantile(phis[step], values))
            }
            op => self.reduced(span, op, inner, grouping, steps, |_, values| reduced(op, values.into_iter())),
        }
    }

    fn reduced(
        &mut self,
        span: Span,
        op: AggregateOp,
        inner: &Expr,
        grouping: &Grouping,
        steps: Steps,
        reduce: impl Fn(usize, Vec<f64>) -> f64,
    ) -> Result<Vectors, EvalError> {
        let mut vectors = self.vectors(inner, steps)?;
        match op {
            AggregateOp::Count | AggregateOp::Group => {}
            AggregateOp::Sum | AggregateOp::Avg if native::any(&vectors) => {
                return Ok(self.totals(span, op, grouping, &vectors));
            }
            op => self.floats_alone(span, op.as_str(), &mut vectors),
        }
        let reduced = vectors.iter().enumerate().map(|(step, vector)| {
            let groups = groups(grouping, vector).into_values();
            let reduced = groups.map(|group| Sample {
                labels: group[0].labels.filtered(|name| grouping.counts(name)),
                value: reduce(step, group.iter().map(|sample| sample.value).collect()),
                histogram: None,
            });
            reduced.collect()
        });
        Ok(reduced.collect())
    }
}

/// The elements by what they have in common; each group has at least one, in the vector's order.
pub(super) fn groups<'a>(grouping: &Grouping, vector: &'a [Sample]) -> BTreeMap<Signature<'a>, Vec<&'a Sample>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for sample in vector {
        groups.entry(grouping.signature(&sample.labels)).or_default().push(sample);
    }
    groups
}

/// `values` has at least one.
pub(super) fn reduced(op: AggregateOp, values: impl Iterator<Item = f64>) -> f64 {
    match op {
        AggregateOp::Sum => sums::sum(values),
        AggregateOp::Avg => sums::mean(values),
        AggregateOp::Count => values.count() as f64,
        AggregateOp::Group => 1.0,
        AggregateOp::Min => {
            values.fold(f64::NAN, |least, value| if least > value || least.is_nan() { value } else { least })
        }
        AggregateOp::Max => {
            values.fold(f64::NAN, |most, value| if most < value || most.is_nan() { value } else { most })
        }
        AggregateOp::Stdvar => sums::variance(values),
        AggregateOp::Stddev => sums::variance(values).sqrt(),
        // These have a parameter and a function of their own.
        AggregateOp::Topk
        | AggregateOp::Bottomk
        | AggregateOp::Limitk
        | AggregateOp::LimitRatio
        | AggregateOp::CountValues
        | AggregateOp::Quantile => f64::NAN,
    }
}
