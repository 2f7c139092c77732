//! Sums, means, variances and quantiles, to the bit as Prometheus reckons them.

/// Kahan's sum in Neumaier's form: the digits lost by each addition are kept beside it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    pub fn add(&mut self, value: f64) {
        let next = self.sum + value;
        self.lost = if next.is_infinite() {
            0.0
        } else if self.sum.abs() >= value.abs() {
            self.lost + ((self.sum - next) + value)
        } else {
            self.lost + ((value - next) + self.sum)
        };
        self.sum = next;
    }

    pub fn total(self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.lost }
    }

    fn scaled(self, factor: f64) -> Self {
        Self { sum: self.sum * factor, lost: self.lost * factor }
    }
}

pub(super) fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let mut sum = Sum::default();
    values.for_each(|value| sum.add(value));
    sum.total()
}

/// The sum divided by the count; from where the sum would overflow on, each value moves the mean instead.
pub(super) fn mean(mut values: impl Iterator<Item = f64>) -> f64 {
    let Some(first) = values.next() else { return f64::NAN };
    let mut sum = Sum { sum: first, lost: 0.0 };
    let mut count = 1.0;
    let mut mean: Option<Sum> = None;
    for value in values {
        count += 1.0;
        if mean.is_none() {
            let mut next = sum;
            next.add(value);
            if !next.sum.is_infinite() {
                sum = next;
                continue;
            }
        }
        let before = mean.unwrap_or(Sum { sum: sum.sum / (count - 1.0), lost: sum.lost / (count - 1.0) });
        let mut moved = before.scaled((count - 1.0) / count);
        moved.add(value / count);
        mean = Some(moved);
    }
    match mean {
        Some(mean) => mean.sum + mean.lost,
        None => sum.sum / count + sum.lost / count,
    }
}

/// The population's variance by Welford, both running values as Kahan's sums: `stdvar_over_time`.
pub(super) fn variance_over_time(values: impl Iterator<Item = f64>) -> f64 {
    let (mut mean, mut squares) = (Sum::default(), Sum::default());
    let mut count = 0.0;
    for value in values {
        count += 1.0;
        let delta = value - (mean.sum + mean.lost);
        mean.add(delta / count);
        squares.add(delta * (value - (mean.sum + mean.lost)));
    }
    (squares.sum + squares.lost) / count
}

/// The population's variance by plain Welford: the aggregation `stdvar`. NaN where the first value is not finite.
pub(super) fn variance(mut values: impl Iterator<Item = f64>) -> f64 {
    let Some(mut mean) = values.next() else { return f64::NAN };
    let mut squares = if mean.is_finite() { 0.0 } else { f64::NAN };
    let mut count = 1.0;
    for value in values {
        count += 1.0;
        let delta = value - mean;
        mean += delta / count;
        squares += delta * (value - mean);
    }
    squares / count
}

/// The φ-quantile, between two values by weight; NaN sorts first. φ below 0 is -Inf, above 1 +Inf.
pub(super) fn quantile(phi: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || phi.is_nan() {
        return f64::NAN;
    }
    if phi < 0.0 {
        return f64::NEG_INFINITY;
    }
    if phi > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan())));
    let last = values.len() - 1;
    let rank = phi * last as f64;
    let lower = rank.floor();
    let weight = rank - lower;
    let lower = (lower as usize).min(last);
    let upper = (lower + 1).min(last);
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// What is said of a φ outside 0 to 1.
pub(super) fn quantile_warning(phi: f64) -> Option<String> {
    let inside = (0.0..=1.0).contains(&phi);
    (!inside).then(|| format!("quantile value should be between 0 and 1, got {}", crate::number::shortest(phi)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: f64, expected: f64) {
        assert!(found == expected || found.is_nan() && expected.is_nan(), "{found} is not {expected}");
    }

    #[test]
    fn a_sum_keeps_the_digits_that_additions_lose() {
        check(sum([1.0, 1e100, 1.0, -1e100].into_iter()), 2.0);
        check([1.0, 1e100, 1.0, -1e100].iter().sum(), 0.0);
        check(sum([0.1; 10].into_iter()), 1.0);
        check(sum([f64::INFINITY, 1.0].into_iter()), f64::INFINITY);
        check(sum([f64::INFINITY, f64::NEG_INFINITY].into_iter()), f64::NAN);
        check(sum([f64::NAN, 1.0].into_iter()), f64::NAN);
        assert!(sum([f64::MAX, f64::MAX].into_iter()).is_infinite());
    }

    #[test]
    fn a_mean_does_not_overflow() {
        check(mean([1.0, 1e100, 1.0, -1e100].into_iter()), 0.5);
        let part = mean([f64::MAX; 4].into_iter()) / f64::MAX;
        assert!((part - 1.0).abs() < 1e-15, "{part}");
        let part = mean([f64::MAX, -f64::MAX, f64::MAX, f64::MAX, 0.0].into_iter()) / f64::MAX;
        assert!((part - 0.4).abs() < 1e-15, "{part}");
        check(mean([f64::INFINITY, 1.0].into_iter()), f64::INFINITY);
        check(mean([f64::INFINITY, f64::NEG_INFINITY].into_iter()), f64::NAN);
        check(mean([f64::NAN, 1.0].into_iter()), f64::NAN);
    }

    #[test]
    fn variances_are_of_the_population() {
        for variance in [variance([2.0, 4.0, 6.0].into_iter()), variance_over_time([2.0, 4.0, 6.0].into_iter())] {
            check(variance, 8.0 / 3.0);
        }
        check(variance([5.0].into_iter()), 0.0);
        check(variance([f64::INFINITY].into_iter()), f64::NAN);
        check(variance([1.0, f64::INFINITY].into_iter()), f64::NAN);
        check(variance_over_time([1.0, f64::NAN].into_iter()), f64::NAN);
        let values = [1.596_012_4, 0.000_1, 1e-9, 3.0];
        let exact: f64 = {
            let mean = values.iter().sum::<f64>() / 4.0;
            values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 4.0
        };
        assert!((variance_over_time(values.into_iter()) - exact).abs() < 1e-15);
    }

    #[test]
    fn a_quantile_lies_between_its_neighbours() {
        check(quantile(0.5, vec![3.0, 1.0, 2.0]), 2.0);
        check(quantile(0.5, vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        check(quantile(0.0, vec![3.0, 1.0]), 1.0);
        check(quantile(1.0, vec![3.0, 1.0]), 3.0);
        check(quantile(0.9, vec![7.0]), 7.0);
        check(quantile(-0.1, vec![7.0]), f64::NEG_INFINITY);
        check(quantile(1.1, vec![7.0]), f64::INFINITY);
        check(quantile(f64::NAN, vec![7.0]), f64::NAN);
        check(quantile(0.5, vec![]), f64::NAN);
        check(quantile(0.0, vec![1.0, f64::NAN]), f64::NAN);
        check(quantile(1.0, vec![1.0, f64::NAN, 2.0]), 2.0);
    }
}
