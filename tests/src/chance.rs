//! Chance from a seed: the same seed, the same test.

use std::time::{Duration, SystemTime};

/// SplitMix64; good enough to choose moments and faults with.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// From `WATCHKEEP_SEED` where it is set, else from the clock; printed either way, so that a failure can be run again.
    pub fn of_today() -> Self {
        let given = std::env::var("WATCHKEEP_SEED").ok().and_then(|text| text.parse().ok());
        let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |now| now.as_nanos() as u64);
        let seed = given.unwrap_or_else(clock);
        println!("WATCHKEEP_SEED={seed}");
        Self(seed)
    }

    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number of `0..bound`; `bound` is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }

    /// A length of time between the two, to the microsecond.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from((most - least).as_micros()).unwrap_or(u64::MAX).max(1);
        least + Duration::from_micros(self.below(span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_says_everything() {
        let (mut one, mut other) = (Chance::of(7), Chance::of(7));
        let drawn: Vec<_> = (0..4).map(|_| one.below(1000)).collect();
        assert_eq!(drawn, (0..4).map(|_| other.below(1000)).collect::<Vec<_>>());
        assert_ne!(one.draw(), Chance::of(8).draw());
        let (least, most) = (Duration::from_millis(5), Duration::from_millis(9));
        assert!((0..100).all(|_| (least..most).contains(&one.between(least, most))));
    }
}
