//! Rules over samples of no one host: those that look across hosts, and all others where series of others are concerned.
//! Evaluated at intervals, as Prometheus does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use watchkeep_desk::Millis;
use watchkeep_desk::input::AlertChange;
use watchkeep_rules::metric::{MetricEngine, MetricState, Output, Written};
use watchkeep_rules::promql::series::Samples;

use super::super::change;
use super::asked::Asking;
use super::fingerprint;
use super::health::{Failing, RuleHealth};
use super::rules::{INTERVAL, RuleGroup};
use super::standing::Standing;

/// Engines of rules that are evaluated together.
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
    /// The instant that it was last evaluated at, and how long that took.
    evaluated: Option<(i64, Duration)>,
    missed: Option<Missed>,
}

/// Instants at which a group was not evaluated, since no controller was there: what its rules record of them is made up for.
#[derive(Debug)]
struct Missed {
    next: i64,
    engine: MetricEngine,
}

/// Instants that are made up for at most, the newest.
const MISSED_MAX: i64 = 240;
/// … and in one step.
const MISSED_AT_ONCE: usize = 8;

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
    /// Whether what is to be kept changed.
    pub is_changed: bool,
    /// Whether a group was evaluated.
    pub is_evaluated: bool,
}

impl FleetMetrics {
    /// Goes on from what was kept, under these rules; whoever restores owes a [`FleetMetrics::reload`].
    pub fn restore(groups: &[Arc<RuleGroup>], kept: KeptFleet) -> Self {
        let mut states = kept.0;
        let restore = |group: &Arc<RuleGroup>| {
            let state = states.remove(&group.key).unwrap_or_default();
            let engine = MetricEngine::restore(group.rules.clone(), group.settings, state);
            Timed {
                key: group.key.clone(),
                interval: group.interval,
                engine,
                next: i64::MIN,
                evaluated: None,
                missed: None,
            }
        };
        let mut groups: Vec<Timed> = groups.iter().map(restore).collect();
        // Groups that are gone since it was kept: the reload resolves what they left.
        groups.extend(states.into_iter().map(|(key, state)| {
            let engine = MetricEngine::restore(Arc::default(), Default::default(), state);
            Timed { key, interval: INTERVAL, engine, next: i64::MAX, evaluated: None, missed: None }
        }));
        Self { groups, failing: Failing::default() }
    }

    pub fn kept(&self) -> KeptFleet {
        let states = self.groups.iter().map(|group| (group.key.clone(), group.engine.state().clone()));
        KeptFleet(states.filter(|(_, state)| !state.is_empty()).collect())
    }

    /// No rule recorded anything since `since`: it is made up for by the next steps, as far as `now`, before they go on.
    pub fn missed(&mut self, since: i64, now: Millis) {
        for group in &mut self.groups {
            let recording = group.engine.rules().recording();
            if !recording.is_empty() {
                let whole = |at: i64| at.div_euclid(group.interval) * group.interval;
                let next = whole(since).max(whole(now.0) - MISSED_MAX * group.interval);
                let engine = MetricEngine::new(Arc::new(recording), group.engine.settings());
                group.missed = Some(Missed { next, engine });
            }
        }
    }

    /// Evaluates the groups that are due, each at the last whole multiple of its interval; what they give to be written down
    /// goes to `write` at once.
    pub fn step(
        &mut self,
        samples: &dyn Samples,
        now: Millis,
        write: &mut dyn FnMut(&Written),
        health: &mut RuleHealth,
    ) -> FleetStep {
        let mut step = FleetStep::default();
        let before = self.fingerprint();
        for group in self.groups.iter_mut().filter(|group| group.next <= now.0) {
            let at = now.0.div_euclid(group.interval) * group.interval;
            if group.make_up(at, samples, write) {
                continue;
            }
            group.next = at.saturating_add(group.interval);
            let began = Instant::now();
            let output = group.engine.eval(at, samples);
            group.evaluated = Some((at, began.elapsed()));
            step.is_evaluated = true;
            self.failing.evaluated(None, &group.key, &output.errors, health);
            step.take(output, write);
        }
        step.is_changed = !step.changes.is_empty() || before != self.fingerprint();
        step
    }

    /// Adds to the changes of a step, and to their alerts, the annotations that ask for samples: `samples` are all.
    pub fn annotate(&mut self, step: &mut FleetStep, asking: &Asking, samples: &dyn Samples) {
        for change in &mut step.changes {
            let annotations = asking.annotations(change, samples);
            for group in self.groups.iter_mut().filter(|_| !annotations.is_empty()) {
                group.engine.annotate(&change.rule, &change.labels, &annotations);
            }
            change.annotations.extend(annotations);
        }
    }

    /// Takes another generation's rules up; the states of rules that did not change stay.
    pub fn reload(
        &mut self,
        groups: &[Arc<RuleGroup>],
        now: Millis,
        write: &mut dyn FnMut(&Written),
        health: &mut RuleHealth,
    ) -> FleetStep {
        self.failing.reloaded(health);
        let before = self.kept();
        let old = std::mem::take(&mut self.groups).into_iter().map(|group| (group.key.clone(), group));
        let mut old: BTreeMap<String, Timed> = old.collect();
        let mut step = FleetStep::default();
        for group in groups {
            let timed = match old.remove(&group.key) {
                Some(mut known) => {
                    step.take(known.engine.reload(group.rules.clone(), group.settings, now.0), write);
                    Timed { interval: group.interval, next: i64::MIN, ..known }
                }
                None => {
                    let engine = MetricEngine::new(group.rules.clone(), group.settings);
                    Timed {
                        key: group.key.clone(),
                        interval: group.interval,
                        engine,
                        next: i64::MIN,
                        evaluated: None,
                        missed: None,
                    }
                }
            };
            self.groups.push(timed);
        }
        for mut gone in old.into_values() {
            step.take(gone.engine.reload(Arc::default(), Default::default(), now.0), write);
        }
        step.is_changed = !step.changes.is_empty() || before != self.kept();
        step
    }

    /// Adds how its rules stand.
    pub fn add_standing(&self, standing: &mut Standing) {
        for group in &self.groups {
            let (at, took) = group.evaluated.unzip();
            standing.add(&group.key, group.engine.state(), at, took);
        }
    }

    fn fingerprint(&self) -> u64 {
        fingerprint(self.groups.iter().map(|group| group.engine.state()))
    }

    /// Whether there is nothing to evaluate.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

impl Timed {
    /// Records what was missed before `at`, a few instants at a time; whether there is more.
    fn make_up(&mut self, at: i64, samples: &dyn Samples, write: &mut dyn FnMut(&Written)) -> bool {
        let Some(missed) = &mut self.missed else { return false };
        for _ in 0..MISSED_AT_ONCE {
            if missed.next >= at {
                self.missed = None;
                return false;
            }
            let output = missed.engine.eval(missed.next, samples);
            output.series.iter().for_each(&mut *write);
            missed.next = missed.next.saturating_add(self.interval);
        }
        true
    }
}

impl FleetStep {
    fn take(&mut self, output: Output, write: &mut dyn FnMut(&Written)) {
        self.changes.extend(output.transitions.into_iter().map(|transition| change(None, transition)));
        output.series.iter().for_each(write);
    }
}
