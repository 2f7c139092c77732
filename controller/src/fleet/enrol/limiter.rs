//! How often may be asked: a budget for each address, and one for all together. A step function over the time handed in.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// Requests that an address may make at once …
const BURST: f64 = 30.0;
/// … and how many more come back each second.
const PER_SECOND: f64 = 0.5;
/// The same for all addresses together.
const ALL_BURST: f64 = 300.0;
const ALL_PER_SECOND: f64 = 50.0;
/// Addresses that are remembered; past it the one that asked longest ago is forgotten.
const ADDRESSES: usize = 4_096;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: i64,
}

impl Bucket {
    fn full(size: f64, now: i64) -> Self {
        Self { left: size, at: now }
    }

    fn take(&mut self, size: f64, per_second: f64, now: i64) -> bool {
        let passed = now.saturating_sub(self.at).max(0) as f64 / 1_000.0;
        self.left = (self.left + passed * per_second).min(size);
        self.at = now.max(self.at);
        let enough = self.left >= 1.0;
        if enough {
            self.left -= 1.0;
        }
        enough
    }
}

/// The budgets as they stand.
#[derive(Debug)]
pub struct Limiter {
    of: BTreeMap<IpAddr, Bucket>,
    all: Bucket,
}

impl Limiter {
    pub fn new(now: i64) -> Self {
        Self { of: BTreeMap::new(), all: Bucket::full(ALL_BURST, now) }
    }

    /// Whether `address` may ask at `now`, UTC milliseconds; takes from its budget where it may.
    pub fn allow(&mut self, address: IpAddr, now: i64) -> bool {
        if !self.of.contains_key(&address) && self.of.len() >= ADDRESSES {
            self.forget_one();
        }
        let own = self.of.entry(address).or_insert_with(|| Bucket::full(BURST, now));
        own.take(BURST, PER_SECOND, now) && self.all.take(ALL_BURST, ALL_PER_SECOND, now)
    }

    fn forget_one(&mut self) {
        let oldest = self.of.iter().min_by_key(|(_, bucket)| bucket.at).map(|(address, _)| *address);
        if let Some(address) = oldest {
            self.of.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn an_address_that_asks_too_often_waits_and_others_do_not() {
        let mut limiter = Limiter::new(0);
        let allowed = (0..100).filter(|_| limiter.allow(address(1), 0)).count();
        assert_eq!(allowed, BURST as usize);
        assert!(limiter.allow(address(2), 0));
        assert!(!limiter.allow(address(1), 1_999));
        assert!(limiter.allow(address(1), 4_000));
    }

    #[test]
    fn all_together_have_a_budget_and_the_table_a_bound() {
        let mut limiter = Limiter::new(0);
        let allowed = (0..10_000).filter(|number| limiter.allow(address(*number), 0)).count();
        assert_eq!(allowed, ALL_BURST as usize);
        assert!(limiter.of.len() <= ADDRESSES);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let mut limiter = Limiter::new(1_000_000);
        while limiter.allow(address(1), 1_000_000) {}
        assert!(!limiter.allow(address(1), 0));
        assert!(!limiter.allow(address(1), 1_000_000));
    }
}
