//! Rules over samples, live.

mod asked;
mod fleet;
mod health;
mod host;
mod rules;
mod standing;
mod streamed;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use watchkeep_rules::metric::MetricState;

pub use asked::Asking;
pub use fleet::{FleetMetrics, FleetStep, KeptFleet};
pub use health::{Failing, FailingRule, RuleHealth};
pub use host::{HostMetrics, Kept, LATE};
pub use rules::{INTERVAL, MetricGroups, RuleGroup};
pub use standing::{GroupStanding, Standing};
pub use streamed::{Judged, StreamRules};

/// Of which alerts there are and which fire: where it changes, they are to be kept.
fn fingerprint<'a>(states: impl Iterator<Item = &'a MetricState>) -> u64 {
    let mut hash = DefaultHasher::new();
    for (rule, alert) in states.flat_map(MetricState::alerts) {
        (rule, &alert.labels, alert.is_firing(), alert.held.is_some()).hash(&mut hash);
    }
    hash.finish()
}

#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod tests;
