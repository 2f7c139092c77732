//! `topk`, `bottomk` and `count_values`.

use std::cmp::Ordering;

use super::aggregate::groups;
use super::node::{Evaluator, text};
use super::numbers::written;
use super::steps::{Steps, Vectors};
use super::{EvalError, Sample};
use crate::promql::ast::{Expr, Grouping, Span};
use crate::promql::labels::Labels;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Rising,
    Falling,
}

impl Order {
    /// NaN comes last either way.
    pub fn compare(self, one: f64, other: f64) -> Ordering {
        let ordering = one.partial_cmp(&other).map(|ordering| match self {
            Self::Rising => ordering,
            Self::Falling => ordering.reverse(),
        });
        ordering.unwrap_or_else(|| one.is_nan().cmp(&other.is_nan()))
    }
}

impl Evaluator<'_> {
    /// The first `k` of each group, with their own labels; of equal ones the first by label.
    pub fn ranked(
        &mut self,
        param: &Expr,
        inner: &Expr,
        grouping: &Grouping,
        steps: Steps,
        order: Order,
    ) -> Result<Vectors, EvalError> {
        let counts = self.scalars(param, steps)?;
        let mut vectors = self.vectors(inner, steps)?;
        let op = if order == Order::Falling { "topk" } else { "bottomk" };
        self.floats_alone(inner.span, op, &mut vectors);
        if counts.iter().all(|count| *count < 1.0) {
            return Ok(vec![Vec::new(); steps.count()]);
        }
        counts.iter().try_for_each(|count| check_count(param.span, *count))?;
        let ranked = vectors.iter().zip(counts).map(|(vector, count)| {
            let groups = groups(grouping, vector).into_values();
            let first = groups.flat_map(|mut group| {
                group.sort_by(|one, other| order.compare(one.value, other.value));
                group.truncate(count.max(0.0) as usize);
                group
            });
            first.cloned().collect()
        });
        Ok(ranked.collect())
    }

    /// How often each value comes in each group; the value becomes the label that the parameter names.
    pub fn count_values(
        &mut self,
        param: &Expr,
        inner: &Expr,
        grouping: &Grouping,
        steps: Steps,
    ) -> Result<Vectors, EvalError> {
        let label = text(param)?;
        if label.is_empty() {
            return Err(EvalError::new(param.span, "invalid label name \"\" for count_values"));
        }
        let grouping = match grouping {
            Grouping::Only(names) => Grouping::Only([names.as_slice(), &[label.to_owned()]].concat()),
            Grouping::Except(names) => Grouping::Except(names.clone()),
        };
        let counted = self.vectors(inner, steps)?.into_iter().map(|vector| {
            let labelled = vector.into_iter();
            let labelled: Vec<Sample> = labelled
                .map(|sample| Sample { labels: sample.labels.with(label, &shown(&sample)), ..sample })
                .collect();
            let groups = groups(&grouping, &labelled).into_values();
            let counted = groups.map(|group| Sample {
                labels: group[0].labels.filtered(|name| grouping.counts(name)),
                value: group.len() as f64,
                histogram: None,
            });
            counted.collect()
        });
        Ok(counted.collect())
    }
}

impl Evaluator<'_> {
    /// `limitk`: the first `k` of each group by label, whatever their values.
    pub fn limited(
        &mut self,
        param: &Expr,
        inner: &Expr,
        grouping: &Grouping,
        steps: Steps,
    ) -> Result<Vectors, EvalError> {
        let counts = self.scalars(param, steps)?;
        counts.iter().try_for_each(|count| check_count(param.span, *count))?;
        let vectors = self.vectors(inner, steps)?;
        let limited = vectors.iter().zip(counts).map(|(vector, count)| {
            let groups = groups(grouping, vector).into_values();
            groups.flat_map(|group| group.into_iter().take(count.max(0.0) as usize)).cloned().collect()
        });
        Ok(limited.collect())
    }

    /// `limit_ratio`: each series has its place between 0 and 1 by its labels; those below the ratio are taken, of a
    /// negative one those that its positive counterpart leaves.
    pub fn sampled(&mut self, param: &Expr, inner: &Expr, steps: Steps) -> Result<Vectors, EvalError> {
        let ratios = self.scalars(param, steps)?;
        for ratio in &ratios {
            if ratio.is_nan() {
                return Err(EvalError::new(param.span, "the ratio is NaN; it says what part to keep"));
            }
            let capped = ratio.clamp(-1.0, 1.0);
            if capped != *ratio {
                let [got, capped] = [*ratio, capped].map(crate::number::shortest);
                let warning = format!("ratio value should be between -1 and 1, got {got}, capping to {capped}");
                self.warnings.add(param.span, warning);
            }
        }
        let mut vectors = self.vectors(inner, steps)?;
        for (vector, ratio) in vectors.iter_mut().zip(ratios) {
            vector.retain(|sample| {
                let place = place_of(&sample.labels);
                if ratio >= 0.0 { place < ratio } else { place >= 1.0 + ratio }
            });
        }
        Ok(vectors)
    }
}

fn shown(sample: &Sample) -> String {
    sample.histogram.as_ref().map_or_else(|| written(sample.value), |histogram| histogram.to_string())
}

/// Between 0 and 1, even over many series, the same for the same labels (FNV-1a, its bits mixed once more).
fn place_of(labels: &Labels) -> f64 {
    let bytes = labels.iter().flat_map(|(name, value)| [name.as_bytes(), &[0xff], value.as_bytes(), &[0xff]].concat());
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

/// Prometheus takes k as a 64-bit integer and refuses what is none.
fn check_count(span: Span, count: f64) -> Result<(), EvalError> {
    if count.is_nan() {
        return Err(EvalError::new(span, "the parameter is NaN; it says how many elements to keep"));
    }
    if count.abs() >= 9_223_372_036_854_775_808.0 {
        return Err(EvalError::new(span, format!("the parameter {} overflows int64", written(count))));
    }
    Ok(())
}
