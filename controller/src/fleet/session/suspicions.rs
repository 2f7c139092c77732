//! How often a suspicion is told: the first of its kind at once, then the newest with how many there were, once a minute.

use std::collections::BTreeMap;

use watchkeep_desk::Millis;

/// One kind is told again after this, milliseconds.
const AGAIN: i64 = 60_000;

#[derive(Debug, Default)]
pub struct Suspicions {
    told: BTreeMap<&'static str, Told>,
}

#[derive(Debug)]
struct Told {
    at: Millis,
    /// Counted, not told.
    since: u64,
    /// The newest of them.
    newest: String,
}

impl Suspicions {
    /// The sentence to tell now; none where one of this kind was told a short while ago, and this one is only counted.
    pub fn note(&mut self, kind: &'static str, detail: &str, now: Millis) -> Option<String> {
        let Some(told) = self.told.get_mut(kind) else {
            self.told.insert(kind, Told { at: now, since: 0, newest: String::new() });
            return Some(detail.to_owned());
        };
        told.since += 1;
        detail.clone_into(&mut told.newest);
        told.due(now)
    }

    /// What was counted and may be told by now.
    pub fn due(&mut self, now: Millis) -> Vec<String> {
        self.told.values_mut().filter_map(|told| told.due(now)).collect()
    }

    /// When the next of what was counted may be told.
    pub fn next_due(&self) -> Option<Millis> {
        self.told.values().filter(|told| told.since > 0).map(|told| told.at.plus(AGAIN)).min()
    }
}

impl Told {
    fn due(&mut self, now: Millis) -> Option<String> {
        if self.since == 0 || now.since(self.at) < AGAIN {
            return None;
        }
        self.at = now;
        let newest = std::mem::take(&mut self.newest);
        Some(match std::mem::take(&mut self.since) {
            1 => newest,
            more => format!("{newest} ({} more of the kind before it)", more - 1),
        })
    }
}
