//! Histograms added, subtracted, multiplied.
//!
//! Those of two standard schemas meet at the coarser one, and at the wider zero bucket; those with bounds of their own at
//! the bounds that both have. Standard and own bounds do not meet.

use super::{Bucket, Histogram, ResetHint};

/// One has bounds of its own, the other has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incompatible;

/// What is to be said of two histograms that met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Met {
    /// One says that its counter was reset, the other that its was not.
    pub hints_collide: bool,
    /// Their own bounds differed; what was not common to both is gone.
    pub bounds_differ: bool,
}

impl Met {
    pub fn and(self, other: Self) -> Self {
        Self {
            hints_collide: self.hints_collide || other.hints_collide,
            bounds_differ: self.bounds_differ || other.bounds_differ,
        }
    }
}

impl Histogram {
    /// Adds `other` to this one.
    ///
    /// # Errors
    /// [`Incompatible`]; this one is as it was.
    pub fn add(&mut self, other: &Self) -> Result<Met, Incompatible> {
        self.join(other, 1.0)
    }

    /// Takes `other` away from this one, which is a gauge from then on.
    ///
    /// # Errors
    /// [`Incompatible`]; this one is as it was.
    pub fn subtract(&mut self, other: &Self) -> Result<Met, Incompatible> {
        let met = self.join(other, -1.0)?;
        self.hint = ResetHint::Gauge;
        Ok(met)
    }

    /// Multiplies all counts and the sum. What is turned negative is a gauge.
    pub fn scale(&mut self, factor: f64) {
        self.each(|value| value * factor);
        if factor < 0.0 {
            self.hint = ResetHint::Gauge;
        }
    }

    /// Divides all counts and the sum. Division by zero leaves no bucket, as there is no telling which would be filled.
    pub fn divide(&mut self, by: f64) {
        self.each(|value| value / by);
        if by == 0.0 {
            self.positive.clear();
            self.negative.clear();
        }
        if by < 0.0 {
            self.hint = ResetHint::Gauge;
        }
    }

    fn each(&mut self, change: impl Fn(f64) -> f64) {
        let buckets = self.positive.iter_mut().chain(&mut self.negative).map(|bucket| &mut bucket.count);
        for value in buckets.chain([&mut self.count, &mut self.sum, &mut self.zero_count]) {
            *value = change(*value);
        }
        self.drop_empty();
    }

    fn drop_empty(&mut self) {
        self.positive.retain(|bucket| bucket.count != 0.0);
        self.negative.retain(|bucket| bucket.count != 0.0);
    }

    fn join(&mut self, other: &Self, sign: f64) -> Result<Met, Incompatible> {
        if self.is_custom() != other.is_custom() {
            return Err(Incompatible);
        }
        let mut other = other.clone();
        let bounds_differ = self.is_custom() && self.bounds != other.bounds;
        if bounds_differ {
            let common: Vec<f64> = self.bounds.iter().copied().filter(|bound| other.bounds.contains(bound)).collect();
            self.rebound(&common);
            other.rebound(&common);
        }
        if !self.is_custom() {
            self.meet_at_zero(&mut other);
            let schema = self.schema.min(other.schema);
            self.coarsen(schema);
            other.coarsen(schema);
        }
        self.positive = merged(&self.positive, &other.positive, sign);
        self.negative = merged(&self.negative, &other.negative, sign);
        self.zero_count += sign * other.zero_count;
        self.count += sign * other.count;
        self.sum += sign * other.sum;
        let hints_collide = self.meet_hints(other.hint);
        Ok(Met { hints_collide, bounds_differ })
    }

    fn meet_hints(&mut self, other: ResetHint) -> bool {
        use ResetHint::{Gauge, Unknown};
        let (hint, collide) = match (self.hint, other) {
            (one, other) if one == other => (one, false),
            (Gauge, _) | (_, Gauge) => (Gauge, false),
            (Unknown, _) | (_, Unknown) => (Unknown, false),
            _ => (Unknown, true),
        };
        self.hint = hint;
        collide
    }

    /// Widens the narrower zero bucket until both are of one width: a bucket that the edge would cut goes in whole.
    fn meet_at_zero(&mut self, other: &mut Self) {
        while self.zero_threshold != other.zero_threshold {
            if self.zero_threshold > other.zero_threshold {
                other.widen_zero(self.zero_threshold);
            } else {
                self.widen_zero(other.zero_threshold);
            }
        }
    }

    pub(super) fn widen_zero(&mut self, at_least: f64) {
        let both = self.positive.iter().chain(&self.negative);
        let ends = both.map(|bucket| self.ends(bucket.index));
        let cut = ends.filter(|(lower, upper)| *lower < at_least && *upper > at_least).map(|(_, upper)| upper);
        let threshold = cut.fold(at_least, f64::max);
        let swallowed = |bucket: &Bucket| super::bound(self.schema, bucket.index) <= threshold;
        let gone: f64 = self
            .positive
            .iter()
            .chain(&self.negative)
            .filter(|bucket| swallowed(bucket))
            .map(|bucket| bucket.count)
            .sum();
        let schema = self.schema;
        self.positive.retain(|bucket| super::bound(schema, bucket.index) > threshold);
        self.negative.retain(|bucket| super::bound(schema, bucket.index) > threshold);
        self.zero_count += gone;
        self.zero_threshold = threshold;
    }

    /// To a schema with wider buckets; a finer one cannot be had.
    pub(crate) fn coarsen(&mut self, schema: i32) {
        let steps = self.schema - schema;
        if steps <= 0 {
            return;
        }
        let wider = |index: i32| (index.saturating_sub(1) >> steps) + 1;
        self.positive = regrouped(&self.positive, wider);
        self.negative = regrouped(&self.negative, wider);
        self.schema = schema;
    }

    /// To bounds that are some of its own.
    fn rebound(&mut self, common: &[f64]) {
        let place = |index: i32| {
            let upper = self.ends(index).1;
            i32::try_from(common.partition_point(|bound| *bound < upper)).unwrap_or(i32::MAX)
        };
        self.positive = regrouped(&self.positive, place);
        self.bounds = common.to_vec();
    }
}

/// `place` never falls where the index rises.
fn regrouped(buckets: &[Bucket], place: impl Fn(i32) -> i32) -> Vec<Bucket> {
    let mut found: Vec<Bucket> = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        let index = place(bucket.index);
        match found.last_mut() {
            Some(last) if last.index == index => last.count += bucket.count,
            _ => found.push(Bucket { index, count: bucket.count }),
        }
    }
    found.retain(|bucket| bucket.count != 0.0);
    found
}

fn merged(one: &[Bucket], other: &[Bucket], sign: f64) -> Vec<Bucket> {
    let mut found = Vec::with_capacity(one.len() + other.len());
    let (mut one, mut other) = (one.iter().copied().peekable(), other.iter().copied().peekable());
    while let Some(index) = [one.peek(), other.peek()].into_iter().flatten().map(|bucket| bucket.index).min() {
        let mut count = one.next_if(|bucket| bucket.index == index).map_or(0.0, |bucket| bucket.count);
        if let Some(bucket) = other.next_if(|bucket| bucket.index == index) {
            count += sign * bucket.count;
        }
        found.push(Bucket { index, count });
    }
    found.retain(|bucket| bucket.count != 0.0);
    found
}
