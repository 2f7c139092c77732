//! How often a suspicion is told: the first of its kind at once, then what was counted, now and again.

use std::collections::BTreeMap;

use watchkeep_desk::Millis;

/// One kind is told again after this, milliseconds.
const AGAIN: i64 = 10 * 60_000;

#[derive(Debug, Default)]
pub struct Suspicions {
    told: BTreeMap<&'static str, Told>,
}

#[derive(Debug)]
struct Told {
    at: Millis,
    since: u64,
}

impl Suspicions {
    /// The sentence to tell now; none where one of this kind was told a short while ago, and this one is only counted.
    pub fn note(&mut self, kind: &'static str, detail: &str, now: Millis) -> Option<String> {
        let Some(told) = self.told.get_mut(kind) else {
            self.told.insert(kind, Told { at: now, since: 0 });
            return Some(detail.to_owned());
        };
        if now.since(told.at) < AGAIN {
            told.since += 1;
            return None;
        }
        let since = std::mem::take(&mut told.since);
        told.at = now;
        Some(if since == 0 { detail.to_owned() } else { format!("{detail} ({since} more of the kind before it)") })
    }
}
