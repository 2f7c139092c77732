//! Agents, network, broker, controller and store in one thread, with every kind of fault from one seed.
//!
//! As many seeds as two minutes allow, at least 50. `WATCHKEEP_SEED=n` runs one seed, and `WATCHKEEP_SEEDS_FROM=n` begins
//! elsewhere than at 1.

use std::time::{Duration, Instant};

use watchkeep_tests::simulation::{self, End};

const SEEDS_MIN: u64 = 50;
const TIME: Duration = Duration::from_secs(110);

#[test]
fn whatever_goes_wrong_nothing_is_lost_or_done_twice() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("WATCHKEEP_SEED") {
        let end = simulation::run(seed).unwrap_or_else(|failure| panic!("\n{failure}"));
        println!("seed {seed} held: {end:?}");
        return;
    }
    let (began, first) = (Instant::now(), number("WATCHKEEP_SEEDS_FROM").unwrap_or(1));
    let (mut held, mut sum) = (0, End::default());
    while held < SEEDS_MIN || began.elapsed() < TIME {
        sum.add(&simulation::run(first + held).unwrap_or_else(|failure| panic!("\n{failure}")));
        held += 1;
    }
    println!("{held} seeds held in {:.0} s: {sum:?}", began.elapsed().as_secs_f64());
    // A storm in which nothing happened would hold as well.
    let happened =
        [sum.failures, sum.events / 10, sum.incidents, sum.commands, 4 * sum.renumberings, sum.asked, 4 * sum.clones];
    assert!(happened.iter().all(|count| *count > held), "{sum:?}");
}

#[test]
fn a_seed_tells_its_story_again() {
    let once = simulation::run(7).unwrap_or_else(|failure| panic!("\n{failure}"));
    assert_eq!(once, simulation::run(7).unwrap_or_else(|failure| panic!("\n{failure}")));
}
