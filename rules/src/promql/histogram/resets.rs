//! Whether a counter began anew between two histograms.

use super::{Bucket, Histogram, ResetHint};

impl Histogram {
    /// Whether this one, which came after `before`, does not go on from it: any count fell, or the layout can no longer
    /// hold what was counted. A hint decides before anything is compared.
    pub fn is_reset_after(&self, before: &Self) -> bool {
        match self.hint {
            ResetHint::Reset => return true,
            ResetHint::NotReset | ResetHint::Gauge => return false,
            ResetHint::Unknown => {}
        }
        if self.count < before.count || self.is_custom() != before.is_custom() || self.bounds != before.bounds {
            return true;
        }
        if self.is_custom() {
            return any_fell(&before.positive, &self.positive);
        }
        // Resolution is only ever given up, never won, while a counter lives.
        if self.schema > before.schema || self.zero_threshold < before.zero_threshold {
            return true;
        }
        let mut before = before.clone();
        before.widen_zero(self.zero_threshold);
        if before.zero_threshold != self.zero_threshold || self.zero_count < before.zero_count {
            return true;
        }
        before.coarsen(self.schema);
        any_fell(&before.positive, &self.positive) || any_fell(&before.negative, &self.negative)
    }
}

fn any_fell(before: &[Bucket], after: &[Bucket]) -> bool {
    before.iter().any(|old| {
        let now = after.binary_search_by_key(&old.index, |bucket| bucket.index);
        now.map_or(0.0, |place| after[place].count) < old.count
    })
}
