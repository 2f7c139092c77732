//! Annotations that ask for samples of the whole fleet, of alerts that rules of single hosts gave.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchkeep_desk::input::{AlertChange, AlertState};
use watchkeep_rules::metric::Concluded;
use watchkeep_rules::promql::series::Samples;

use super::rules::RuleGroup;

/// The groups whose rules have such annotations.
#[derive(Clone, Debug, Default)]
pub struct Asking(Vec<Arc<RuleGroup>>);

impl Asking {
    pub(super) fn of<'a>(groups: impl Iterator<Item = &'a Arc<RuleGroup>>) -> Self {
        Self(groups.filter(|group| group.rules.ask()).cloned().collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What `samples` answer for an alert that fires or has fired; empty where it has no annotation that asks.
    pub fn annotations(&self, change: &AlertChange, samples: &dyn Samples) -> BTreeMap<String, String> {
        if !matches!(change.state, AlertState::Firing | AlertState::Past { .. }) {
            return BTreeMap::new();
        }
        let Some(alert) = Concluded::of_evidence(&change.rule, &change.labels, &change.evidence) else {
            return BTreeMap::new();
        };
        let asked = self.0.iter().map(|group| group.rules.answered(&alert, samples, &group.settings.evaluation));
        asked.into_iter().find(|annotations| !annotations.is_empty()).unwrap_or_default()
    }
}
