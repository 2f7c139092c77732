//! Native histograms: one sample that holds a whole distribution.
//!
//! Source: Prometheus's specification "Native histograms". Buckets of a standard schema (-4 to 8) grow by the factor
//! `2^(2^-schema)`: bucket `i` takes `(factor^(i-1), factor^i]`, on the negative side mirrored; what lies nearer to zero
//! than the threshold is in the zero bucket. The schema [`CUSTOM`] has the bounds that the histogram itself brings.
//!
//! Only buckets that hold something are kept, by index: spans and deltas are forms of the wire. Two histograms that mean the
//! same are thus equal. Counts are floats here, whatever came in.

mod arithmetic;
mod notation;
mod quantile;
mod resets;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::number::shortest;
pub use arithmetic::{Incompatible, Met};

/// The schema of histograms with bounds of their own ("NHCB").
pub const CUSTOM: i32 = -53;
/// Standard schemas; each step up halves the width of the buckets.
pub const SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;
/// Buckets that one histogram may have, both sides together.
pub const BUCKETS_MAX: usize = 10_000;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// One of [`SCHEMAS`], or [`CUSTOM`].
    pub schema: i32,
    /// Half the width of the zero bucket; finite, not negative.
    pub zero_threshold: f64,
    pub zero_count: f64,
    /// All observations. Those that are no number are in no bucket.
    pub count: f64,
    pub sum: f64,
    /// By rising index, none empty.
    pub positive: Vec<Bucket>,
    /// By rising index (thus falling value), none empty; none under [`CUSTOM`].
    pub negative: Vec<Bucket>,
    /// Upper bounds, rising, without the last, which is infinite. Empty but under [`CUSTOM`].
    pub bounds: Vec<f64>,
    pub hint: ResetHint,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    pub index: i32,
    pub count: f64,
}

/// What is known of a reset between the sample before and this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResetHint {
    #[default]
    Unknown,
    Reset,
    NotReset,
    /// Rises and falls as it likes: resets mean nothing.
    Gauge,
}

/// A bucket by its bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub lower: f64,
    pub upper: f64,
    pub count: f64,
    pub with_lower: bool,
    pub with_upper: bool,
}

impl Interval {
    fn new(lower: f64, upper: f64, count: f64) -> Self {
        Self { lower, upper, count, with_lower: lower < 0.0, with_upper: upper > 0.0 }
    }

    /// How Prometheus's API numbers it: 0 open to the left, 1 to the right, 2 both, 3 neither.
    pub fn boundaries(&self) -> u8 {
        match (self.with_lower, self.with_upper) {
            (false, true) => 0,
            (true, false) => 1,
            (false, false) => 2,
            (true, true) => 3,
        }
    }
}

/// The upper bound of bucket `index` under a standard schema.
fn bound(schema: i32, index: i32) -> f64 {
    let (exponent, part) = if schema <= 0 {
        (i64::from(index) << -schema, 0.0)
    } else {
        let parts = 1_i32 << schema;
        (i64::from(index >> schema), f64::from(index & (parts - 1)) / f64::from(parts))
    };
    // The bucket of the largest numbers ends there, not at infinity.
    if exponent == 1024 && part == 0.0 {
        return f64::MAX;
    }
    (exponent as f64).exp2() * part.exp2()
}

impl Histogram {
    pub fn is_custom(&self) -> bool {
        self.schema == CUSTOM
    }

    /// Lower and upper bound of a bucket, of the negative side without their signs.
    fn ends(&self, index: i32) -> (f64, f64) {
        if !self.is_custom() {
            return (bound(self.schema, index.saturating_sub(1)), bound(self.schema, index));
        }
        let at = |place: i32| usize::try_from(place).ok().map(|place| self.bounds.get(place).copied());
        let lower = at(index.saturating_sub(1)).map_or(f64::NEG_INFINITY, |bound| bound.unwrap_or(f64::INFINITY));
        (lower, at(index).flatten().unwrap_or(f64::INFINITY))
    }

    /// All buckets that hold something, by rising value. None reaches into the zero bucket.
    pub fn intervals(&self) -> Vec<Interval> {
        let edge = if self.is_custom() { f64::NEG_INFINITY } else { self.zero_threshold };
        let ends = |bucket: &Bucket| {
            let (lower, upper) = self.ends(bucket.index);
            (if lower < edge && edge < upper { edge } else { lower }, upper)
        };
        let negative = self.negative.iter().rev().map(|bucket| {
            let (lower, upper) = ends(bucket);
            Interval::new(-upper, -lower, bucket.count)
        });
        let zero = (self.zero_count != 0.0).then_some(Interval {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            count: self.zero_count,
            with_lower: true,
            with_upper: true,
        });
        let positive = self.positive.iter().map(|bucket| {
            let (lower, upper) = ends(bucket);
            Interval::new(lower, upper, bucket.count)
        });
        negative.chain(zero).chain(positive).collect()
    }

    /// Whether both hold the same: all but the hint.
    pub fn counts_alike(&self, other: &Self) -> bool {
        let same = |one: f64, other: f64| one.to_bits() == other.to_bits() || one == other;
        let buckets = |one: &[Bucket], other: &[Bucket]| {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| one.index == other.index && same(one.count, other.count))
        };
        let numbers = |of: &Self| [of.zero_threshold, of.zero_count, of.count, of.sum];
        self.schema == other.schema
            && numbers(self).into_iter().zip(numbers(other)).all(|(one, other)| same(one, other))
            && buckets(&self.positive, &other.positive)
            && buckets(&self.negative, &other.negative)
            && self.bounds == other.bounds
    }

    /// How many points it counts for where what an evaluation looks at is bounded.
    pub fn weight(&self) -> usize {
        1 + self.positive.len() + self.negative.len() + self.bounds.len()
    }
}

impl fmt::Display for Histogram {
    /// As Prometheus writes it: `{count:3, sum:4.5, [-0.001,0.001]:1, (1,2]:2}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", shortest(self.count), shortest(self.sum))?;
        for interval in self.intervals() {
            let (open, close) =
                (if interval.with_lower { '[' } else { '(' }, if interval.with_upper { ']' } else { ')' });
            let [lower, upper, count] = [interval.lower, interval.upper, interval.count].map(shortest);
            write!(f, ", {open}{lower},{upper}{close}:{count}")?;
        }
        f.write_str("}")
    }
}
