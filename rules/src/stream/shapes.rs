//! Plans that hosts share.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::plan::Plans;

/// The plans that hosts of one set of rules have, each once: hosts with as many instances of the same templates have the
/// same, whatever the instances are called, so long as they stand in the same order.
#[derive(Debug, Default)]
pub struct Shapes(Mutex<BTreeMap<u64, Vec<Weak<Plans>>>>);

impl Shapes {
    /// Those that equal `plans`.
    pub(super) fn shared(&self, plans: Plans) -> Arc<Plans> {
        let mut hasher = DefaultHasher::new();
        plans.hash(&mut hasher);
        let hash = hasher.finish();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let alike = known.get(&hash).into_iter().flatten().filter_map(Weak::upgrade).find(|known| **known == plans);
        if let Some(alike) = alike {
            return alike;
        }
        // One more comes seldom; those of no host go then.
        known.retain(|_, alike| {
            alike.retain(|plans| plans.strong_count() > 0);
            !alike.is_empty()
        });
        let new = Arc::new(plans);
        known.entry(hash).or_default().push(Arc::downgrade(&new));
        new
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().flatten().filter(|plans| plans.strong_count() > 0).count()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
