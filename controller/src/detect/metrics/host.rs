//! Rules over samples, of one host: evaluated at the instant of each report that brings something newer.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchkeep_desk::Millis;
use watchkeep_desk::input::{AlertChange, AlertState};
use watchkeep_rules::metric::{MetricEngine, MetricState, Output};

use super::super::change;
use super::fingerprint;
use super::health::{Failing, RuleHealth};
use super::rules::{MetricGroups, PRESENCE, RuleGroup};
use super::standing::Standing;
use super::streamed::{HostStream, StreamRules};
use crate::samples::HostSeries;

/// A report that is older than this when it comes is late: what fires in it waits until it is known whether it still does.
pub const LATE: i64 = 30_000;
/// … but no longer than this by the controller's clock, so that a host that always lags is not unheard.
const WAIT: i64 = 120_000;
/// How often a silent host is written down as `up 0`.
const SILENT_EVERY: i64 = 15_000;

/// Engines of one host's rules, and how far they are.
#[derive(Debug, Default)]
pub struct HostMetrics {
    engines: Vec<(String, Group)>,
    streaming: Arc<StreamRules>,
    stream: HostStream,
    kept: Progress,
    /// When `up` was last written.
    up_at: i64,
    failing: Failing,
}

#[derive(Debug)]
struct Group {
    engine: MetricEngine,
    /// Reads nothing but `up`.
    is_presence: bool,
    /// Where in the host's stream its rules begin; none where they are not streamed.
    first: Option<usize>,
}

/// What is kept of it between inputs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// By group, `file;name`.
    groups: BTreeMap<String, MetricState>,
    progress: Progress,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Progress {
    /// The newest instant at which rules were evaluated: what comes again after a restart is passed over.
    judged: i64,
    /// Alerts that late reports made fire, not told yet, each with when it fired by the controller's clock.
    untold: Vec<(AlertChange, i64)>,
}

impl HostMetrics {
    /// Goes on from what was kept, under these rules; whoever restores owes a [`HostMetrics::reload`].
    pub fn restore(groups: &MetricGroups, kept: Kept) -> Self {
        let mut states = kept.groups;
        let mut engines: Vec<(String, Group)> = Vec::new();
        for (group, is_presence, first) in all(groups) {
            let key = key(group, is_presence);
            let state = states.remove(&key).unwrap_or_default();
            let engine = MetricEngine::restore(group.rules.clone(), group.settings, state);
            engines.push((key, Group { engine, is_presence, first }));
        }
        // Groups that are gone since it was kept: the reload resolves what they left.
        engines.extend(states.into_iter().map(|(key, state)| {
            let engine = MetricEngine::restore(Default::default(), Default::default(), state);
            (key, Group { engine, is_presence: false, first: None })
        }));
        let streaming = Arc::clone(&groups.streaming);
        Self { engines, streaming, kept: kept.progress, ..Self::default() }
    }

    pub fn kept(&self) -> Kept {
        let states = self.engines.iter().map(|(key, group)| (key.clone(), group.engine.state().clone()));
        let groups = states.filter(|(_, state)| !state.is_empty()).collect();
        Kept { groups, progress: self.kept.clone() }
    }

    /// A report of the host was taken into `series`, read at `at` by the corrected clock. Tells what follows, and whether what
    /// is to be kept changed.
    pub fn report(
        &mut self,
        agent: &str,
        series: &mut HostSeries,
        at: Millis,
        now: Millis,
        health: &mut RuleHealth,
    ) -> (Vec<AlertChange>, bool) {
        if at.0 <= self.kept.judged {
            return (Vec::new(), false);
        }
        self.kept.judged = at.0;
        self.up_at = at.0;
        series.write_up(at.0, 1.0);
        let before = self.fingerprint();
        let mut changes = self.judge(agent, series, at, health);
        let held = self.kept.untold.len();
        if now.since(at) > LATE {
            changes = self.wait(changes, now);
        } else {
            let told = std::mem::take(&mut self.kept.untold).into_iter().map(|(change, _)| change);
            changes = told.chain(changes).collect();
        }
        let changed = !changes.is_empty() || held != self.kept.untold.len() || before != self.fingerprint();
        (changes, changed)
    }

    /// Time passed: a silent host is written down as such, and late alerts do not wait for ever.
    pub fn tick(
        &mut self,
        agent: &str,
        series: &mut HostSeries,
        is_silent: bool,
        now: Millis,
        health: &mut RuleHealth,
    ) -> (Vec<AlertChange>, bool) {
        let (mut changes, mut changed) = (Vec::new(), false);
        let waited_long = |(_, since): &(AlertChange, i64)| now.0.saturating_sub(*since) > WAIT;
        if self.kept.untold.iter().any(waited_long) {
            changes.extend(std::mem::take(&mut self.kept.untold).into_iter().map(|(change, _)| change));
        }
        if is_silent && now.0.saturating_sub(self.up_at) >= SILENT_EVERY {
            self.up_at = now.0;
            series.write_up(now.0, 0.0);
            let before = self.fingerprint();
            changes.extend(self.eval(agent, series, now, |group| group.is_presence, health));
            changed = before != self.fingerprint();
        }
        changed |= !changes.is_empty();
        (changes, changed)
    }

    /// The agent went silent: what fires is held, but for what reads nothing but `up` where that goes on (`is_up_told`).
    pub fn lost(&mut self, agent: &str, reason: &str, is_up_told: bool, now: Millis) -> Vec<AlertChange> {
        let without_data = self.engines.iter_mut().filter(|(_, group)| !(group.is_presence && is_up_told));
        let held = without_data.flat_map(|(_, group)| group.engine.hold(now.0, reason));
        held.map(|transition| change(Some(agent), transition)).collect()
    }

    /// Takes another generation's rules up; the states of rules that did not change stay.
    pub fn reload(
        &mut self,
        agent: &str,
        groups: &MetricGroups,
        series: &mut HostSeries,
        now: Millis,
        health: &mut RuleHealth,
    ) -> Vec<AlertChange> {
        self.failing.reloaded(health);
        let mut old: BTreeMap<String, Group> = std::mem::take(&mut self.engines).into_iter().collect();
        let mut output = Vec::new();
        (self.streaming, self.stream) = (Arc::clone(&groups.streaming), HostStream::default());
        for (group, is_presence, first) in all(groups) {
            let key = key(group, is_presence);
            let engine = match old.remove(&key) {
                Some(mut known) => {
                    output.push(known.engine.reload(group.rules.clone(), group.settings, now.0));
                    known.engine
                }
                None => MetricEngine::new(group.rules.clone(), group.settings),
            };
            self.engines.push((key, Group { engine, is_presence, first }));
        }
        for (_, mut gone) in old {
            output.push(gone.engine.reload(Default::default(), Default::default(), now.0));
        }
        let changes = output.into_iter().flat_map(|output| take(agent, series, output));
        changes.collect()
    }

    /// Adds annotations to an alert that was told of.
    pub fn annotate(&mut self, change: &AlertChange, annotations: &BTreeMap<String, String>) {
        for (_, group) in &mut self.engines {
            group.engine.annotate(&change.rule, &change.labels, annotations);
        }
    }

    /// Adds how its rules stand.
    pub fn add_standing(&self, standing: &mut Standing) {
        let evaluated_at = (self.kept.judged > 0).then_some(self.kept.judged);
        for (key, group) in &self.engines {
            standing.add(key, group.engine.state(), evaluated_at, None);
        }
    }

    /// Evaluates all rules at the instant of the newest report, as a stream where they can be.
    fn judge(&mut self, agent: &str, series: &mut HostSeries, at: Millis, health: &mut RuleHealth) -> Vec<AlertChange> {
        let stream = self.stream.follow(&self.streaming, series, at.0);
        let mut changes = Vec::new();
        for (key, group) in &mut self.engines {
            let (output, streamed) = match (stream, group.first) {
                (Some(stream), Some(first)) => group.engine.eval_streaming(at.0, &*series, stream, first),
                _ => (group.engine.eval(at.0, &*series), 0),
            };
            health.judged(group.engine.rules().len(), streamed);
            self.failing.evaluated(Some(agent), key, &output.errors, health);
            changes.extend(take(agent, series, output));
        }
        changes
    }

    fn eval(
        &mut self,
        agent: &str,
        series: &mut HostSeries,
        at: Millis,
        wanted: impl Fn(&Group) -> bool,
        health: &mut RuleHealth,
    ) -> Vec<AlertChange> {
        let mut changes = Vec::new();
        for (key, group) in self.engines.iter_mut().filter(|(_, group)| wanted(group)) {
            let output = group.engine.eval(at.0, &*series);
            self.failing.evaluated(Some(agent), key, &output.errors, health);
            changes.extend(take(agent, series, output));
        }
        changes
    }

    /// Late alerts wait: what fired and cleared meanwhile is of the past, what still fires is told once reports are fresh.
    fn wait(&mut self, changes: Vec<AlertChange>, now: Millis) -> Vec<AlertChange> {
        let mut told = Vec::new();
        for change in changes {
            let waiting = self
                .kept
                .untold
                .iter()
                .position(|(known, _)| (&known.rule, &known.labels) == (&change.rule, &change.labels));
            match (change.state, waiting) {
                (AlertState::Firing, None) => self.kept.untold.push((change, now.0)),
                (AlertState::Resolved, Some(place)) => {
                    let (fired, _) = self.kept.untold.remove(place);
                    let until = change.happened_at;
                    told.push(AlertChange { state: AlertState::Past { until }, ..fired });
                }
                (_, Some(_)) => {}
                (_, None) => told.push(change),
            }
        }
        told
    }

    /// Of which alerts there are and which fire: what changes it must be kept.
    fn fingerprint(&self) -> u64 {
        fingerprint(self.engines.iter().map(|(_, group)| group.engine.state()))
    }
}

/// Every group, whether it reads nothing but `up`, and where in a stream its rules begin.
fn all(groups: &MetricGroups) -> impl Iterator<Item = (&RuleGroup, bool, Option<usize>)> {
    let firsts = groups.streaming.firsts().into_iter().map(Some).chain(std::iter::repeat(None));
    let hosts = groups.hosts.iter().zip(firsts).map(|(group, first)| (&**group, false, first));
    hosts.chain(groups.presence.iter().map(|group| (&**group, true, None)))
}

/// Both parts of a group have an engine.
fn key(group: &RuleGroup, is_presence: bool) -> String {
    let part = if is_presence { PRESENCE } else { "" };
    format!("{}{part}", group.key)
}

/// Writes down what rules derived, and gives the alerts as the desk takes them.
fn take(agent: &str, series: &mut HostSeries, output: Output) -> Vec<AlertChange> {
    for written in &output.series {
        series.write(&written.labels, written.at, written.value);
    }
    output.transitions.into_iter().map(|transition| change(Some(agent), transition)).collect()
}
