//! What a distribution tells: quantiles, fractions, variance.
//!
//! Within a bucket of a standard schema values are taken as spread evenly by their logarithm; within the zero bucket and
//! between own bounds evenly.

use super::{Histogram, Interval};

impl Histogram {
    /// The value below which the part φ lies; NaN where there is nothing. φ below 0 is -Inf, above 1 +Inf.
    pub fn quantile(&self, phi: f64) -> f64 {
        if phi < 0.0 {
            return f64::NEG_INFINITY;
        }
        if phi > 1.0 {
            return f64::INFINITY;
        }
        if self.count == 0.0 || phi.is_nan() {
            return f64::NAN;
        }
        // From the nearer end, so that few digits are lost; what is no number is counted behind the highest.
        let rising = self.sum.is_nan() || phi < 0.5;
        let rank = if rising { phi * self.count } else { (1.0 - phi) * self.count };
        let mut intervals = self.intervals();
        if !rising {
            intervals.reverse();
        }
        let mut seen = 0.0;
        let mut found = None;
        for interval in intervals {
            seen += interval.count;
            found = Some(interval);
            if seen >= rank {
                break;
            }
        }
        let Some(found) = found else { return f64::NAN };
        let found = self.cut_at_zero(found);
        if self.is_custom() && found.lower == f64::NEG_INFINITY {
            return found.upper;
        }
        if self.is_custom() && found.upper == f64::INFINITY {
            return found.lower;
        }
        let seen = seen.min(self.count);
        if seen < rank {
            return if self.sum.is_nan() { f64::NAN } else { found.upper };
        }
        let within = if rising { rank - (seen - found.count) } else { seen - rank };
        self.value_at(&found, within / found.count)
    }

    /// The part between two values; NaN where there is nothing.
    pub fn fraction(&self, lower: f64, upper: f64) -> f64 {
        if self.count == 0.0 || lower.is_nan() || upper.is_nan() {
            return f64::NAN;
        }
        if lower >= upper {
            return 0.0;
        }
        (self.rank_of(upper) - self.rank_of(lower)) / self.count
    }

    /// The population's variance, each value taken as at its bucket's middle.
    pub fn variance(&self) -> f64 {
        let mean = self.sum / self.count;
        let squares = self.intervals().into_iter().map(|interval| {
            let distance = self.middle(&interval) - mean;
            interval.count * distance * distance
        });
        crate::promql::eval::parts::sum(squares) / self.count
    }

    fn middle(&self, interval: &Interval) -> f64 {
        if self.is_custom() {
            (interval.upper + interval.lower) / 2.0
        } else if interval.lower <= 0.0 && interval.upper >= 0.0 {
            0.0
        } else {
            (interval.upper * interval.lower).sqrt().copysign(interval.upper)
        }
    }

    /// Where all values are on one side of zero, the bucket around zero begins or ends there; so does the lowest one with
    /// own bounds.
    fn cut_at_zero(&self, interval: Interval) -> Interval {
        if !(interval.lower < 0.0 && interval.upper > 0.0) {
            return interval;
        }
        match (self.negative.is_empty(), self.positive.is_empty()) {
            (true, false) => Interval { lower: 0.0, ..interval },
            (false, true) => Interval { upper: 0.0, ..interval },
            _ => interval,
        }
    }

    fn is_even(&self, interval: &Interval) -> bool {
        self.is_custom() || (interval.lower <= 0.0 && interval.upper >= 0.0)
    }

    /// At a part, 0 to 1, of the way through an interval.
    fn value_at(&self, interval: &Interval, part: f64) -> f64 {
        if self.is_even(interval) {
            return interval.lower + (interval.upper - interval.lower) * part;
        }
        let (lower, upper) = (interval.lower.abs().log2(), interval.upper.abs().log2());
        if interval.lower > 0.0 {
            (lower + (upper - lower) * part).exp2()
        } else {
            -(upper + (lower - upper) * (1.0 - part)).exp2()
        }
    }

    /// How many lie below the value.
    fn rank_of(&self, value: f64) -> f64 {
        let mut rank = 0.0;
        for interval in self.intervals() {
            let interval = self.cut_at_zero(interval);
            if interval.lower >= value {
                return f64::min(rank, self.count);
            }
            if interval.upper > value {
                return f64::min(rank + interval.count * self.part_below(&interval, value), self.count);
            }
            rank += interval.count;
        }
        self.count
    }

    fn part_below(&self, interval: &Interval, value: f64) -> f64 {
        if interval.lower == f64::NEG_INFINITY {
            return 1.0;
        }
        if self.is_even(interval) {
            return (value - interval.lower) / (interval.upper - interval.lower);
        }
        let [lower, upper, value_log] = [interval.lower, interval.upper, value].map(|value| value.abs().log2());
        if value > 0.0 { (value_log - lower) / (upper - lower) } else { 1.0 - (value_log - upper) / (lower - upper) }
    }
}
