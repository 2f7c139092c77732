//! Rules over samples that look across hosts: evaluated at intervals, as Prometheus does.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchkeep_desk::Millis;
use watchkeep_desk::input::AlertChange;
use watchkeep_rules::metric::{MetricEngine, MetricState, Output, Written};
use watchkeep_rules::promql::series::Samples;

use super::super::change;
use super::fingerprint;
use super::health::{Failing, RuleHealth};
use super::rules::{INTERVAL, MetricGroups, RuleGroup};

/// Engines of all rules across hosts.
#[derive(Debug, Default)]
pub struct FleetMetrics {
    groups: Vec<Timed>,
    failing: Failing,
}

#[derive(Debug)]
struct Timed {
    key: String,
    interval: i64,
    engine: MetricEngine,
    /// When it is evaluated next: a whole number of intervals.
    next: i64,
}

/// What is kept of it between evaluations, by group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KeptFleet(BTreeMap<String, MetricState>);

impl KeptFleet {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What one step gave.
#[derive(Debug, Default)]
pub struct FleetStep {
    pub changes: Vec<AlertChange>,
    /// Series to be written down.
    pub written: Vec<Written>,
    /// Whether what is to be kept changed.
    pub is_changed: bool,
}

impl FleetMetrics {
    /// Goes on from what was kept, under these rules; whoever restores owes a [`FleetMetrics::reload`].
    pub fn restore(groups: &MetricGroups, kept: KeptFleet) -> Self {
        let mut states = kept.0;
        let restore = |group: &Arc<RuleGroup>| {
            let state = states.remove(&group.key).unwrap_or_default();
            let engine = MetricEngine::restore(group.rules.clone(), group.settings, state);
            Timed { key: group.key.clone(), interval: group.interval, engine, next: i64::MIN }
        };
        let mut groups: Vec<Timed> = groups.fleet.iter().map(restore).collect();
        // Groups that are gone since it was kept: the reload resolves what they left.
        groups.extend(states.into_iter().map(|(key, state)| {
            let engine = MetricEngine::restore(Arc::default(), Default::default(), state);
            Timed { key, interval: INTERVAL, engine, next: i64::MAX }
        }));
        Self { groups, failing: Failing::default() }
    }

    pub fn kept(&self) -> KeptFleet {
        let states = self.groups.iter().map(|group| (group.key.clone(), group.engine.state().clone()));
        KeptFleet(states.filter(|(_, state)| !state.is_empty()).collect())
    }

    /// Evaluates the groups that are due, each at the last whole multiple of its interval.
    pub fn step(&mut self, samples: &dyn Samples, now: Millis, health: &mut RuleHealth) -> FleetStep {
        let mut step = FleetStep::default();
        let before = self.fingerprint();
        for group in self.groups.iter_mut().filter(|group| group.next <= now.0) {
            let at = now.0.div_euclid(group.interval) * group.interval;
            group.next = at.saturating_add(group.interval);
            let output = group.engine.eval(at, samples);
            self.failing.evaluated(None, &group.key, &output.errors, health);
            step.take(output);
        }
        step.is_changed = !step.changes.is_empty() || before != self.fingerprint();
        step
    }

    /// Takes another generation's rules up; the states of rules that did not change stay.
    pub fn reload(&mut self, groups: &MetricGroups, now: Millis, health: &mut RuleHealth) -> FleetStep {
        self.failing.reloaded(health);
        let before = self.kept();
        let old = std::mem::take(&mut self.groups).into_iter().map(|group| (group.key.clone(), group));
        let mut old: BTreeMap<String, Timed> = old.collect();
        let mut step = FleetStep::default();
        for group in &groups.fleet {
            let timed = match old.remove(&group.key) {
                Some(mut known) => {
                    step.take(known.engine.reload(group.rules.clone(), group.settings, now.0));
                    Timed { interval: group.interval, next: i64::MIN, ..known }
                }
                None => {
                    let engine = MetricEngine::new(group.rules.clone(), group.settings);
                    Timed { key: group.key.clone(), interval: group.interval, engine, next: i64::MIN }
                }
            };
            self.groups.push(timed);
        }
        for mut gone in old.into_values() {
            step.take(gone.engine.reload(Arc::default(), Default::default(), now.0));
        }
        step.is_changed = !step.changes.is_empty() || before != self.kept();
        step
    }

    fn fingerprint(&self) -> u64 {
        fingerprint(self.groups.iter().map(|group| group.engine.state()))
    }

    /// Whether there is nothing to evaluate.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

impl FleetStep {
    fn take(&mut self, output: Output) {
        self.changes.extend(output.transitions.into_iter().map(|transition| change(None, transition)));
        self.written.extend(output.series);
    }
}
