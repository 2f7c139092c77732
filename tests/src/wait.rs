//! Waiting for a state, with a bound.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// Between two looks. Short beside anything that a test measures.
const BETWEEN: Duration = Duration::from_millis(20);

/// Looks again and again until `look` succeeds, and returns what it saw.
///
/// Errors: after `bound`, says `what` was awaited and what was seen last (the last error of `look`).
pub fn until<T>(bound: Duration, what: &str, mut look: impl FnMut() -> Result<T>) -> Result<T> {
    let begun = Instant::now();
    loop {
        let seen = match look() {
            Ok(found) => return Ok(found),
            Err(seen) => seen,
        };
        if begun.elapsed() >= bound {
            return Err(anyhow!("waited {bound:?} for {what}; last seen: {seen:#}"));
        }
        sleep(BETWEEN);
    }
}

/// Sees that something stays so for the whole of `length`; the first look that fails is the error.
pub fn throughout(length: Duration, what: &str, mut look: impl FnMut() -> Result<()>) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < length {
        look().map_err(|seen| anyhow!("{what} held for {:?} only: {seen:#}", begun.elapsed()))?;
        sleep(BETWEEN);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_last_seen_is_said_when_the_bound_is_over() {
        let mut looks = 0;
        let error = until(Duration::from_millis(50), "three incidents", || -> Result<()> {
            looks += 1;
            Err(anyhow!("{} of 3", looks.min(2)))
        })
        .expect_err("it never succeeds");
        assert_eq!(error.to_string(), "waited 50ms for three incidents; last seen: 2 of 3");
    }

    #[test]
    fn the_first_success_ends_the_waiting() {
        let mut looks = 0;
        let seen = until(Duration::from_secs(5), "the third look", || {
            looks += 1;
            if looks == 3 { Ok(looks) } else { Err(anyhow!("look {looks}")) }
        });
        assert_eq!(seen.expect("the third look succeeds"), 3);
    }
}
