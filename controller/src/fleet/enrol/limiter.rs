//! How often may be guessed: a budget of refusals for each address, and one for all together. A step function over the time
//! handed in.
//!
//! Only what a stranger can do is counted: a token that is not known, a request that does not read. A host with a good token
//! costs nothing, so that ten thousand hosts behind one address enrol on one morning; they are counted by the uses of the
//! token. An address whose budget is gone is answered before its request is read.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Refusals that an address may bring upon itself at once …
const BURST: f64 = 30.0;
/// … and how many more come back each second.
const PER_SECOND: f64 = 0.5;
/// The same for all addresses together. Past it only those that were never refused lately are heard.
const ALL_BURST: f64 = 300.0;
const ALL_PER_SECOND: f64 = 50.0;
/// Addresses that are remembered; past it the one that was refused longest ago is forgotten.
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

    /// What is there at `now`; a clock that went back brings nothing.
    fn fill(&mut self, size: f64, per_second: f64, now: i64) -> f64 {
        let passed = now.saturating_sub(self.at).max(0) as f64 / 1_000.0;
        self.left = (self.left + passed * per_second).min(size);
        self.at = now.max(self.at);
        self.left
    }

    /// Takes one; a bucket never owes more than one.
    fn take(&mut self) {
        self.left = (self.left - 1.0).max(-1.0);
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

    /// Whether `address` is heard at `now`, UTC milliseconds.
    ///
    /// # Errors
    /// How long it has to wait, in whole seconds.
    pub fn hears(&mut self, address: IpAddr, now: i64) -> Result<(), Duration> {
        let Some(own) = self.of.get_mut(&address) else { return Ok(()) };
        let own = missing(own.fill(BURST, PER_SECOND, now), PER_SECOND);
        let all = missing(self.all.fill(ALL_BURST, ALL_PER_SECOND, now), ALL_PER_SECOND);
        if own == 0.0 && all == 0.0 { Ok(()) } else { Err(Duration::from_secs(own.max(all).ceil() as u64)) }
    }

    /// `address` was refused at `now`, as a stranger is.
    pub fn refused(&mut self, address: IpAddr, now: i64) {
        if !self.of.contains_key(&address) && self.of.len() >= ADDRESSES {
            self.forget_one();
        }
        let own = self.of.entry(address).or_insert_with(|| Bucket::full(BURST, now));
        own.fill(BURST, PER_SECOND, now);
        own.take();
        self.all.fill(ALL_BURST, ALL_PER_SECOND, now);
        self.all.take();
    }

    fn forget_one(&mut self) {
        let oldest = self.of.iter().min_by_key(|(_, bucket)| bucket.at).map(|(address, _)| *address);
        if let Some(address) = oldest {
            self.of.remove(&address);
        }
    }
}

/// Seconds until a bucket with so much in it has one to take.
fn missing(left: f64, per_second: f64) -> f64 {
    (1.0 - left).max(0.0) / per_second
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    /// Asks again and again at one instant, and is refused each time that it is heard; how often it was.
    fn guesses(limiter: &mut Limiter, address: IpAddr, times: usize, now: i64) -> usize {
        let heard = |_: &usize| limiter.hears(address, now).is_ok().then(|| limiter.refused(address, now)).is_some();
        (0..times).filter(heard).count()
    }

    #[test]
    fn an_address_that_guesses_waits_and_others_do_not() {
        let mut limiter = Limiter::new(0);
        assert_eq!(guesses(&mut limiter, address(1), 100, 0), BURST as usize);
        assert_eq!(limiter.hears(address(2), 0), Ok(()));
        assert_eq!(limiter.hears(address(1), 0), Err(Duration::from_secs(2)));
        assert_eq!(limiter.hears(address(1), 1_999), Err(Duration::from_secs(1)));
        assert_eq!(limiter.hears(address(1), 4_000), Ok(()));
    }

    #[test]
    fn whoever_is_not_refused_is_heard_as_often_as_it_asks() {
        let mut limiter = Limiter::new(0);
        limiter.refused(address(1), 0);
        assert!((0..10_000).all(|_| limiter.hears(address(1), 0).is_ok()));
    }

    #[test]
    fn strangers_from_everywhere_have_one_budget_and_the_table_a_bound() {
        let mut limiter = Limiter::new(0);
        (0..10_000).for_each(|number| limiter.refused(address(number), 0));
        assert!(limiter.of.len() <= ADDRESSES);
        let last = address(9_999);
        assert_eq!(limiter.hears(last, 0), Err(Duration::from_secs(1)), "all together have spent theirs");
        assert_eq!(limiter.hears(address(77_777), 0), Ok(()), "a host that was never refused is heard all the same");
        assert_eq!(limiter.hears(last, 1_000), Ok(()));
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let mut limiter = Limiter::new(1_000_000);
        guesses(&mut limiter, address(1), 100, 1_000_000);
        assert!(limiter.hears(address(1), 0).is_err());
        assert!(limiter.hears(address(1), 1_000_000).is_err());
    }
}
