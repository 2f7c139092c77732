//! What is remembered between evaluations.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::alert::AlertState;
use crate::promql::labels::Labels;

/// All alerts of an engine's rules, and the series that its rules wrote last. Plain data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricState {
    /// By what tells a rule apart: kind, name and labels. Not of rules that are idle.
    pub(super) rules: BTreeMap<String, RuleState>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct RuleState {
    pub rule: String,
    /// By their labels as JSON.
    pub alerts: BTreeMap<String, ActiveAlert>,
    /// Labels of the series written at the last evaluation: those that are not written again have ended.
    #[serde(with = "maps")]
    pub written: Vec<Labels>,
}

/// An alert that is pending or fires.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActiveAlert {
    /// The identity: those of the result without its name, the rule's own, and `alertname`.
    pub labels: BTreeMap<String, String>,
    /// Those of the result as the expression gave them, `__name__` included.
    pub result: BTreeMap<String, String>,
    /// As rendered at the last evaluation that gave a result.
    pub annotations: BTreeMap<String, String>,
    #[serde(with = "bits")]
    pub value: f64,
    /// The first evaluation that gave a result, UTC milliseconds.
    pub active_since: i64,
    pub state: AlertState,
    /// Why it is held though its result is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
}

impl MetricState {
    /// Takes out what is remembered of the rule with this key, with the key; of most rules that is nothing.
    pub(super) fn take(&mut self, key: &str, name: &str) -> (Option<String>, RuleState) {
        match self.rules.remove_entry(key) {
            Some((key, state)) => (Some(key), state),
            None => (None, RuleState { rule: name.to_owned(), ..RuleState::default() }),
        }
    }

    /// Every alert that is pending or fires, with its rule's name.
    pub fn alerts(&self) -> impl Iterator<Item = (&str, &ActiveAlert)> {
        self.rules.values().flat_map(|state| state.alerts.values().map(|alert| (state.rule.as_str(), alert)))
    }

    /// The same by rule, as [`super::Rule::identity`] tells rules apart. Of rules of a group that nothing tells apart, the later
    /// ones have `#` and a number behind it.
    pub fn by_rule(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &ActiveAlert>)> {
        self.rules.iter().map(|(identity, state)| (identity.as_str(), state.alerts.values()))
    }

    /// How many alerts are pending or fire.
    pub fn len(&self) -> usize {
        self.rules.values().map(|state| state.alerts.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.rules.values().all(|state| state.alerts.is_empty())
    }
}

impl RuleState {
    /// No alert, and no series that would end.
    pub fn is_idle(&self) -> bool {
        self.alerts.is_empty() && self.written.is_empty()
    }
}

impl ActiveAlert {
    pub fn is_firing(&self) -> bool {
        matches!(self.state, AlertState::Firing { .. })
    }
}

/// Labels as plain maps.
mod maps {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use crate::promql::labels::Labels;

    pub fn serialize<S: Serializer>(all: &[Labels], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(all.iter().map(Labels::to_map))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Labels>, D::Error> {
        let all = Vec::<BTreeMap<String, String>>::deserialize(from)?;
        Ok(all.into_iter().map(Labels::new).collect())
    }
}

/// NaN and infinities, which JSON has no numbers for, and every bit of the others.
mod bits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(value.to_bits())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        u64::deserialize(from).map(f64::from_bits)
    }
}
