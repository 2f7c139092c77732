//! What is remembered of one host.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::rules::Ready;
use super::{EVIDENCE_MAX, Event};

/// All alerts of one host. Plain data; bounded by [`super::ALERTS_PER_HOST_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostState {
    /// By rule, then by the values of its `by` labels.
    pub(super) rules: BTreeMap<String, RuleState>,
    /// Alerts that were refused because the host had too many.
    pub(super) refused: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct RuleState {
    /// What the identities of its alerts were made by; where a reload changes it, they are other alerts.
    pub identity: Identity,
    pub alerts: BTreeMap<String, Alert>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    by: Vec<String>,
    labels: BTreeMap<String, String>,
}

/// One alert, firing or counting towards it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Alert {
    pub by: BTreeMap<String, String>,
    /// When matches were seen, rising; at most as many as the rule counts.
    pub seen: VecDeque<i64>,
    /// Copies of the newest of them.
    pub evidence: VecDeque<Value>,
    pub firing: Option<Firing>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Firing {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub since: i64,
    /// The newest match.
    pub last: i64,
}

impl Identity {
    pub fn of(ready: &Ready) -> Self {
        Self { by: ready.rule.by.clone(), labels: ready.rule.labels.clone() }
    }
}

impl HostState {
    /// Alerts, those that only count included.
    pub fn len(&self) -> usize {
        self.rules.values().map(|rule| rule.alerts.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.rules.values().all(|rule| rule.alerts.is_empty())
    }

    /// Alerts that were refused because the host had [`super::ALERTS_PER_HOST_MAX`] already, since its state began.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The labels of every alert that fires.
    pub fn firing(&self) -> impl Iterator<Item = &BTreeMap<String, String>> {
        let alerts = self.rules.values().flat_map(|rule| rule.alerts.values());
        alerts.filter_map(|alert| alert.firing.as_ref().map(|firing| &firing.labels))
    }

    pub(super) fn forget_empty(&mut self) {
        self.rules.retain(|_, rule| !rule.alerts.is_empty());
    }
}

impl Alert {
    /// Takes a match into account and drops what `within` has passed. Late events find their place.
    pub fn see(&mut self, event: &Event<'_>, count: u32, within: i64) {
        let place = self.seen.partition_point(|at| *at <= event.at);
        self.seen.insert(place, event.at);
        let newest = self.seen.back().copied().unwrap_or(event.at);
        while self.seen.front().is_some_and(|at| *at <= newest.saturating_sub(within)) {
            self.seen.pop_front();
        }
        let most = usize::try_from(count).unwrap_or(usize::MAX);
        while self.seen.len() > most {
            self.seen.pop_front();
        }
        self.evidence.push_back(json!({"at": event.at, "labels": event.labels, "text": event.text}));
        while self.evidence.len() > EVIDENCE_MAX.min(self.seen.len().max(1)) {
            self.evidence.pop_front();
        }
    }

    /// Whether nothing of it matters at `now` any more.
    pub fn is_past(&self, now: i64, within: i64) -> bool {
        self.firing.is_none() && self.seen.back().is_none_or(|at| *at <= now.saturating_sub(within))
    }
}
