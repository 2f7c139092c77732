//! One host's steps.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::rules::{EventRules, Ready};
use super::state::{Alert, Firing, HostState, Identity, RuleState};
use super::{ALERTS_PER_HOST_MAX, Event, Transition, What};
use crate::duration;

/// The rules at work on one host.
#[derive(Clone, Debug)]
pub struct EventEngine {
    /// The host's name, which every alert carries; none: each carries that of its event, if it has one.
    instance: Option<String>,
    rules: Arc<EventRules>,
    state: HostState,
}

impl EventEngine {
    pub fn new(instance: impl Into<String>, rules: Arc<EventRules>) -> Self {
        Self { instance: Some(instance.into()), rules, state: HostState::default() }
    }

    /// Goes on from a stored state. Rules may have changed since: call [`EventEngine::reload`] with the same rules to
    /// resolve what they no longer know.
    pub fn restore(instance: Option<String>, rules: Arc<EventRules>, state: HostState) -> Self {
        Self { instance, rules, state }
    }

    /// What to store after a step.
    pub fn state(&self) -> &HostState {
        &self.state
    }

    /// Judges one event by every rule. Alerts that `clear_after` clears before it are resolved first.
    pub fn event(&mut self, event: &Event<'_>) -> Vec<Transition> {
        let mut transitions = self.tick(event.at);
        let mut labels = event.labels.clone();
        labels.extend(self.instance.iter().map(|instance| ("instance".to_owned(), instance.clone())));
        let event = Event { labels: &labels, ..*event };
        let rules = Arc::clone(&self.rules);
        for ready in rules.by_name.values() {
            if ready.clear.as_ref().is_some_and(|clear| clear.matches(event.labels)) {
                transitions.extend(self.clear(ready, &event));
            } else if ready.matches.matches(event.labels) {
                transitions.extend(self.matched(ready, &event));
            }
        }
        transitions
    }

    /// Resolves what `clear_after` has cleared by `now`, each at the instant it was due.
    pub fn tick(&mut self, now: i64) -> Vec<Transition> {
        let mut transitions = Vec::new();
        let rules = Arc::clone(&self.rules);
        for (name, state) in &mut self.state.rules {
            let Some(ready) = rules.by_name.get(name) else { continue };
            let within = ready.rule.within;
            state.alerts.retain(|_, alert| match due(ready, alert).filter(|due| *due <= now) {
                Some(due) => {
                    let after = duration::format(ready.rule.clear_after.unwrap_or(0));
                    let reason = format!("no further event in {after}");
                    transitions.extend(resolved(name, alert, due, reason, Vec::new()));
                    false
                }
                None => !alert.is_past(now, within),
            });
        }
        self.state.forget_empty();
        transitions.sort_by_key(|transition| transition.at);
        transitions
    }

    /// When the next alert clears by itself; a [`EventEngine::tick`] is owed then.
    pub fn next_due(&self) -> Option<i64> {
        let alerts = self.state.rules.iter().filter_map(|(name, state)| Some((self.rules.by_name.get(name)?, state)));
        alerts.flat_map(|(ready, state)| state.alerts.values().filter_map(move |alert| due(ready, alert))).min()
    }

    /// Takes up another generation's rules. Alerts of rules that tell them apart as before stay as they are, with their
    /// counts; those of rules that are gone, or tell them apart otherwise, are resolved, and the reason says so.
    pub fn reload(&mut self, rules: Arc<EventRules>, now: i64) -> Vec<Transition> {
        let mut transitions = Vec::new();
        self.state.rules.retain(|name, state| {
            let reason = match rules.by_name.get(name) {
                None => "the rule was removed",
                Some(ready) if Identity::of(ready) != state.identity => "the rule's labels were changed",
                Some(_) => return true,
            };
            let gone = state.alerts.values();
            transitions.extend(gone.filter_map(|alert| resolved(name, alert, now, reason.to_owned(), Vec::new())));
            false
        });
        self.rules = rules;
        transitions
    }

    fn matched(&mut self, ready: &Ready, event: &Event<'_>) -> Option<Transition> {
        let (key, by) = identity(ready, event.labels);
        let is_known = self.state.rules.get(&ready.rule.name).is_some_and(|state| state.alerts.contains_key(&key));
        if !is_known && self.state.len() >= ALERTS_PER_HOST_MAX {
            self.state.refused = self.state.refused.saturating_add(1);
            return None;
        }
        let state = self.state.rules.entry(ready.rule.name.clone());
        let state = state.or_insert_with(|| RuleState { identity: Identity::of(ready), alerts: BTreeMap::new() });
        let alert = state.alerts.entry(key).or_insert_with(|| Alert { by, ..Alert::default() });
        alert.see(event, ready.rule.count, ready.rule.within);
        fire(ready, alert, event)
    }

    fn clear(&mut self, ready: &Ready, event: &Event<'_>) -> Option<Transition> {
        let (key, _) = identity(ready, event.labels);
        let state = self.state.rules.get_mut(&ready.rule.name)?;
        let newest = state.alerts.get(&key)?.seen.back().copied();
        if newest.is_some_and(|newest| newest > event.at) {
            // A late recovery: what failed has failed again since.
            return None;
        }
        let alert = state.alerts.remove(&key)?;
        self.state.forget_empty();
        let evidence = vec![json!({"at": event.at, "labels": event.labels, "text": event.text})];
        let kind = event.labels.get("kind").map_or("an event", String::as_str);
        resolved(&ready.rule.name, &alert, event.at, format!("cleared by {kind}"), evidence)
    }
}

/// The key and the `by` labels of the alert that an event speaks of.
fn identity(ready: &Ready, labels: &BTreeMap<String, String>) -> (String, BTreeMap<String, String>) {
    let value = |name: &String| (name.clone(), labels.get(name).cloned().unwrap_or_default());
    let mut by: BTreeMap<String, String> = ready.rule.by.iter().map(value).collect();
    by.extend(labels.get("instance").map(|instance| ("instance".to_owned(), instance.clone())));
    let values: Vec<&String> = by.values().collect();
    (serde_json::to_string(&values).expect("a list of texts is JSON"), by)
}

/// The transition that a match brings: the first firing once enough were seen, or firing again.
fn fire(ready: &Ready, alert: &mut Alert, event: &Event<'_>) -> Option<Transition> {
    let count = ready.rule.count;
    let newest = vec![alert.evidence.back().cloned().unwrap_or_default()];
    let (firing, what, evidence) = match &mut alert.firing {
        Some(firing) => {
            firing.last = firing.last.max(event.at);
            firing.annotations = ready.annotations(&firing.labels, event.labels, alert.seen.len());
            (firing, What::FiringAgain, newest)
        }
        None if alert.seen.len() < usize::try_from(count).unwrap_or(usize::MAX) => return None,
        none => {
            let labels = ready.labels(&alert.by);
            let annotations = ready.annotations(&labels, event.labels, alert.seen.len());
            let last = alert.seen.back().copied().unwrap_or(event.at);
            let firing = none.insert(Firing { labels, annotations, since: event.at, last });
            (firing, What::Firing, alert.evidence.iter().cloned().collect())
        }
    };
    Some(Transition {
        rule: ready.rule.name.clone(),
        labels: firing.labels.clone(),
        annotations: firing.annotations.clone(),
        what,
        at: event.at,
        reason: reason(ready, what),
        evidence,
    })
}

fn reason(ready: &Ready, what: What) -> String {
    match (what, ready.rule.count) {
        (What::FiringAgain, _) => "a further event while it fires".to_owned(),
        (_, 1) => format!("an event matched {}", ready.rule.matches),
        (_, count) => {
            format!("{count} events matched {} within {}", ready.rule.matches, duration::format(ready.rule.within))
        }
    }
}

fn due(ready: &Ready, alert: &Alert) -> Option<i64> {
    let firing = alert.firing.as_ref()?;
    Some(firing.last.saturating_add(ready.rule.clear_after?))
}

/// None for an alert that never fired.
fn resolved(
    rule: &str,
    alert: &Alert,
    at: i64,
    reason: String,
    evidence: Vec<serde_json::Value>,
) -> Option<Transition> {
    let firing = alert.firing.clone()?;
    let (labels, annotations) = (firing.labels, firing.annotations);
    Some(Transition { rule: rule.to_owned(), labels, annotations, what: What::Resolved, at, reason, evidence })
}
