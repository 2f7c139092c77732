//! Detection: what events, samples and silence mean under the rules in force.
//!
//! A [`HostDetection`] belongs to one host and lives in its shard. Event rules run in `watchkeep_rules`' engine, and so do
//! rules over samples that one host's series suffice for, at the instant of each report; conditions that runs wait for are
//! evaluated over the newest samples; an agent's silence is an alert of its own, and holds what fired before it. What others
//! detect and send belongs to no host: [`outside`].

pub mod kept;
pub mod metrics;
pub mod outside;
pub mod silence;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchkeep_desk::input::{AlertChange, AlertState};
use watchkeep_desk::{InputBody, Millis};
use watchkeep_rules::events::{Event, EventEngine, EventRules, HostState, Transition, What};

use metrics::{HostMetrics, MetricGroups, RuleHealth, Standing};

use crate::generation::Generation;
use crate::samples::HostSeries;

pub use silence::AGENT_DOWN;
pub use watch::Watches;
use watch::Watching;

/// What shards detect by: the rules of one generation.
#[derive(Debug, Default)]
pub struct Rules {
    events: Arc<EventRules>,
    pub metrics: MetricGroups,
}

impl Rules {
    pub fn new(generation: &Generation) -> Self {
        let events = EventRules::new(&generation.config.rules.event_rules);
        let metrics = MetricGroups::new(&generation.config.rules, &generation.installation);
        let checked = "a generation holds only rules that were checked";
        let events = events.expect(checked).installed(&generation.installation);
        Self { events: Arc::new(events), metrics: metrics.expect(checked) }
    }
}

/// What stands where an agent's name does, for events of hosts that have none: they are told apart by their own `instance`.
/// No agent can be called so.
pub const OUTSIDE: &str = "(outside)";

/// The agent of that name; none for [`OUTSIDE`].
fn named(agent: &str) -> Option<&str> {
    Some(agent).filter(|agent| *agent != OUTSIDE)
}

/// Detection of one host.
#[derive(Debug)]
pub struct HostDetection {
    engine: EventEngine,
    metrics: HostMetrics,
    /// Since when the agent is silent, and why.
    silent: Option<silence::Silent>,
    watching: Watching,
    /// Whether what is kept changed since [`HostDetection::kept_if_changed`] was last asked.
    changed: bool,
}

/// What is kept of a host's detection between inputs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    pub events: HostState,
    #[serde(default)]
    pub metrics: metrics::Kept,
    /// Of the rules across hosts, in the row that stands for them all.
    #[serde(default, skip_serializing_if = "metrics::KeptFleet::is_empty")]
    pub fleet: metrics::KeptFleet,
    /// In the same row: of the rules over series that others write.
    #[serde(default, skip_serializing_if = "metrics::KeptFleet::is_empty")]
    pub foreign: metrics::KeptFleet,
    pub silent: Option<silence::Silent>,
}

impl HostDetection {
    pub fn new(agent: &str, rules: &Rules) -> Self {
        Self::restore(agent, rules, Kept::default())
    }

    /// Goes on from what was kept. Whoever restores owes a [`HostDetection::reload`], since the rules may be others now.
    pub fn restore(agent: &str, rules: &Rules, kept: Kept) -> Self {
        let instance = named(agent).map(str::to_owned);
        let engine = EventEngine::restore(instance, Arc::clone(&rules.events), kept.events);
        let metrics = HostMetrics::restore(&rules.metrics, kept.metrics);
        Self { engine, metrics, silent: kept.silent, watching: Watching::default(), changed: false }
    }

    /// The labels under which rules see an event that others saw: an agent's host is called as the agent is.
    pub fn labels_of(&self, agent: &str, mut labels: BTreeMap<String, String>) -> BTreeMap<String, String> {
        labels.extend(named(agent).map(|agent| ("instance".to_owned(), agent.to_owned())));
        labels
    }

    /// Judges one event, with the labels that rules see.
    pub fn event(&mut self, agent: &str, event: &Event<'_>) -> Vec<AlertChange> {
        let transitions = self.engine.event(event);
        self.told(agent, transitions)
    }

    /// A report of the host, read at `at` and newer than all before it, was taken into `samples`.
    pub fn report(
        &mut self,
        agent: &str,
        samples: &mut HostSeries,
        watches: &Watches,
        at: Millis,
        now: Millis,
        health: &mut RuleHealth,
    ) -> Vec<InputBody> {
        let mut inputs = self.watching.report(agent, samples, watches);
        let (changes, changed) = self.metrics.report(agent, samples, at, now, health);
        self.changed |= changed;
        inputs.extend(changes.into_iter().map(InputBody::Alert));
        inputs
    }

    /// Time passed: alerts that clear by themselves, conditions that did not hold in time, a host that stays silent.
    pub fn tick(
        &mut self,
        agent: &str,
        samples: &mut HostSeries,
        watches: &Watches,
        now: Millis,
        health: &mut RuleHealth,
    ) -> Vec<InputBody> {
        let mut inputs = self.watching.tick(agent, watches, now);
        let (changes, changed) = self.metrics.tick(agent, samples, self.silent.is_some(), now, health);
        self.changed |= changed;
        inputs.extend(changes.into_iter().map(InputBody::Alert));
        if self.engine.next_due().is_some_and(|due| due <= now.0) {
            let transitions = self.engine.tick(now.0);
            inputs.extend(self.told(agent, transitions).into_iter().map(InputBody::Alert));
        }
        inputs
    }

    /// Takes another generation's rules up; the states of rules that did not change stay.
    pub fn reload(
        &mut self,
        agent: &str,
        samples: &mut HostSeries,
        rules: &Rules,
        now: Millis,
        health: &mut RuleHealth,
    ) -> Vec<InputBody> {
        let transitions = self.engine.reload(Arc::clone(&rules.events), now.0);
        let mut changes = self.told(agent, transitions);
        changes.extend(self.metrics.reload(agent, &rules.metrics, samples, now, health));
        changes.into_iter().map(InputBody::Alert).collect()
    }

    /// The agent went silent; a goodbye is no alert and ends the host's series, but what fired goes stale all the same.
    pub fn lost(&mut self, agent: &str, samples: &mut HostSeries, reason: &str, now: Millis) -> Vec<AlertChange> {
        let stale = self.engine.state().firing().map(|labels| silence::stale(agent, labels, now));
        let mut changes: Vec<AlertChange> = stale.collect();
        let silent = silence::Silent::begin(reason, now);
        // A silent host is told of by `up` from now on; of one whose agent was stopped there is no `up`.
        let held = self.metrics.lost(agent, &silence::in_words(reason), silent.is_some(), now);
        self.changed |= !held.is_empty();
        changes.extend(held);
        match silent {
            Some(silent) => {
                changes.push(silent.alert(agent, AlertState::Firing, now));
                self.silent = Some(silent);
                self.changed = true;
            }
            None => samples.end(now.0),
        }
        changes
    }

    /// The agent is back.
    pub fn back(&mut self, agent: &str, now: Millis) -> Vec<AlertChange> {
        let silent = self.silent.take();
        self.changed |= silent.is_some();
        silent.map(|silent| silent.alert(agent, AlertState::Resolved, now)).into_iter().collect()
    }

    /// What to keep, where it changed since this was last asked.
    pub fn kept_if_changed(&mut self) -> Option<Kept> {
        std::mem::take(&mut self.changed).then(|| Kept {
            events: self.engine.state().clone(),
            metrics: self.metrics.kept(),
            silent: self.silent.clone(),
            ..Kept::default()
        })
    }

    /// Adds how its rules over samples stand.
    pub fn add_standing(&self, standing: &mut Standing) {
        self.metrics.add_standing(standing);
    }

    /// Adds annotations to an alert of a rule over samples that was told of.
    pub fn annotate(&mut self, change: &AlertChange, annotations: &BTreeMap<String, String>) {
        self.metrics.annotate(change, annotations);
        self.changed = true;
    }

    /// Whether there is something new to keep.
    pub fn is_changed(&self) -> bool {
        self.changed
    }

    /// Something else that is kept beside this changed.
    pub fn touch(&mut self) {
        self.changed = true;
    }

    fn told(&mut self, agent: &str, transitions: Vec<Transition>) -> Vec<AlertChange> {
        // A match that only counts towards an alert changes the state without a transition.
        self.changed = true;
        transitions.into_iter().map(|transition| change(named(agent), transition)).collect()
    }
}

/// A transition of a rule as the desk takes it.
fn change(agent: Option<&str>, transition: Transition) -> AlertChange {
    AlertChange {
        rule: transition.rule,
        labels: transition.labels,
        annotations: transition.annotations,
        state: match transition.what {
            What::Firing | What::FiringAgain => AlertState::Firing,
            What::Stale => AlertState::Stale,
            What::Resolved => AlertState::Resolved,
        },
        happened_at: Millis(transition.at),
        agent: agent.map(str::to_owned),
        reason: transition.reason,
        evidence: transition.evidence,
    }
}

/// Labels of an alert of our own about an agent.
fn own_labels(alertname: &str, agent: &str, severity: &str) -> BTreeMap<String, String> {
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    BTreeMap::from([label("alertname", alertname), label("instance", agent), label("severity", severity)])
}
