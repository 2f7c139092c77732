//! One alert rule at one instant: results become alerts, alerts take a step.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::render::Sight;
use super::rules::Ready;
use super::state::{ActiveAlert, RuleState};
use super::{Settings, Written};
use crate::absence::{Absence, absence};
use crate::alert::{AlertState, Change};
use crate::duration;
use crate::events::{Transition, What};
use crate::promql::ast::ExprKind;
use crate::promql::eval::Sample;
use crate::promql::labels::{Labels, NAME};
use crate::promql::series::Samples;

/// What a step of a rule's alerts gave.
#[derive(Debug, Default)]
pub(super) struct Stepped {
    pub transitions: Vec<Transition>,
    /// The rule has more alerts than its group's limit, and therefore none.
    pub beyond: Option<String>,
}

/// Steps all alerts of a rule.
///
/// # Errors
/// Two results have the same labels; the state stays as it was.
pub(super) fn step(
    ready: &Ready,
    state: &mut RuleState,
    results: Vec<Sample>,
    sight: &Sight<'_>,
    settings: &Settings,
) -> Result<Stepped, String> {
    let (at, samples) = (sight.at, sight.samples);
    let mut results = results_by_labels(ready, results, sight, settings)?;
    let mut alerts = std::mem::take(&mut state.alerts);
    let mut transitions = Vec::new();
    let mut kept = BTreeMap::new();
    for (key, mut alert) in std::mem::take(&mut alerts) {
        let keeps = match results.remove(&key) {
            Some(result) => {
                seen(ready, &mut alert, result, at, &mut transitions);
                true
            }
            None => missed(ready, &mut alert, at, samples, settings, &mut transitions),
        };
        if keeps {
            kept.insert(key, alert);
        }
    }
    for (key, mut alert) in results {
        advance(ready, &mut alert, true, at, String::new, &mut transitions);
        kept.insert(key, alert);
    }
    let limit = settings.limit;
    if limit > 0 && kept.len() > limit {
        let beyond = format!("{} alerts exceed the group's limit of {limit}", kept.len());
        let transitions = none_beyond_the_limit(ready, &kept, transitions, at, &beyond);
        return Ok(Stepped { transitions, beyond: Some(beyond) });
    }
    state.alerts = kept;
    transitions.sort_by(|one, other| one.labels.cmp(&other.labels));
    Ok(Stepped { transitions, beyond: None })
}

/// As in Prometheus a rule beyond its limit has no alerts at all; whoever heard one fire hears that it is over.
fn none_beyond_the_limit(
    ready: &Ready,
    alerts: &BTreeMap<String, ActiveAlert>,
    mut transitions: Vec<Transition>,
    at: i64,
    beyond: &str,
) -> Vec<Transition> {
    let unheard: BTreeSet<BTreeMap<String, String>> =
        transitions.iter().filter(|one| one.what == What::Firing).map(|one| one.labels.clone()).collect();
    transitions.retain(|one| one.what == What::Resolved);
    let heard = alerts.values().filter(|alert| alert.is_firing() && !unheard.contains(&alert.labels));
    transitions.extend(heard.map(|alert| transition(ready, alert, What::Resolved, at, beyond.to_owned())));
    transitions.sort_by(|one, other| one.labels.cmp(&other.labels));
    transitions
}

fn results_by_labels(
    ready: &Ready,
    results: Vec<Sample>,
    sight: &Sight<'_>,
    settings: &Settings,
) -> Result<BTreeMap<String, ActiveAlert>, String> {
    let mut found = BTreeMap::new();
    for sample in results {
        let result = sample.labels.to_map();
        let mut labels = result.clone();
        labels.remove(NAME);
        labels.extend(ready.labels.rendered(ready.rule.name(), &result, sample.value, sight));
        labels.insert("alertname".to_owned(), ready.rule.name().to_owned());
        labels.retain(|_, value| !value.is_empty());
        let annotations = match settings.asks_later {
            true => ready.annotations.rendered_of(false, ready.rule.name(), (&result, sample.value), sight),
            false => ready.annotations.rendered(ready.rule.name(), &result, sample.value, sight),
        };
        let key = serde_json::to_string(&labels).expect("a map of texts is JSON");
        let shown = Labels::new(labels.clone());
        let alert = ActiveAlert {
            labels,
            result,
            annotations,
            value: sample.value,
            active_since: 0,
            state: AlertState::Inactive,
            held: None,
        };
        if found.insert(key, alert).is_some() {
            return Err(format!("two results have the same labels once the rule's are applied: {shown}"));
        }
    }
    Ok(found)
}

/// The expression gave a result for the labels of an alert that is known.
fn seen(ready: &Ready, alert: &mut ActiveAlert, result: ActiveAlert, at: i64, transitions: &mut Vec<Transition>) {
    alert.value = result.value;
    let before = std::mem::replace(&mut alert.annotations, result.annotations);
    ready.annotations.keep_asked(before, &mut alert.annotations);
    alert.result = result.result;
    let was_held = alert.held.take();
    let fired = advance(ready, alert, true, at, String::new, transitions);
    if was_held.is_some() && alert.is_firing() && !fired {
        let reason = format!("samples are back, and {} holds still", ready.rule.expr().trim());
        transitions.push(transition(ready, alert, What::FiringAgain, at, reason));
    }
}

/// It gave none. Whether the alert is still pending or fires.
fn missed(
    ready: &Ready,
    alert: &mut ActiveAlert,
    at: i64,
    samples: &dyn Samples,
    settings: &Settings,
    transitions: &mut Vec<Transition>,
) -> bool {
    let why = match judge(ready, &alert.result, at, samples, settings) {
        Absence::False => {
            alert.held = None;
            let reason = || "its condition is false".to_owned();
            advance(ready, alert, false, at, reason, transitions);
            return alert.state != AlertState::Inactive;
        }
        Absence::Ended { series } => {
            if alert.is_firing() {
                let reason = format!("{series} has ended");
                transitions.push(transition(ready, alert, What::Resolved, at, reason));
            }
            return false;
        }
        Absence::Stopped { series } => format!("{series} ended as its host's agent was stopped"),
        Absence::Missing { selector } => format!("no samples of {selector} for longer than the lookback"),
        Absence::Refilling { selector } => format!("too few samples of {selector} since they are back"),
    };
    if alert.held.is_none() && alert.is_firing() {
        transitions.push(transition(ready, alert, What::Stale, at, why.clone()));
    }
    alert.held = Some(why);
    true
}

/// What it means that the expression gives nothing for the labels of a result that it gave before.
pub(super) fn judge(
    ready: &Ready,
    result: &BTreeMap<String, String>,
    at: i64,
    samples: &dyn Samples,
    settings: &Settings,
) -> Absence {
    if !settings.hold_missing || !result.contains_key("instance") {
        return Absence::False;
    }
    let mut labels = result.clone();
    labels.remove(NAME);
    let looked_at = at.saturating_sub(settings.query_offset);
    let found = absence(&ready.expr, &labels, samples, looked_at, settings.evaluation.lookback);
    found.unwrap_or_else(|error| Absence::Missing { selector: format!("this rule ({error})") })
}

/// One step of the alert's states; whether it began to fire.
fn advance(
    ready: &Ready,
    alert: &mut ActiveAlert,
    is_active: bool,
    at: i64,
    why: impl FnOnce() -> String,
    transitions: &mut Vec<Transition>,
) -> bool {
    let holds = ready.holds();
    if alert.state == AlertState::Inactive {
        alert.active_since = at;
    }
    let (state, change) = alert.state.step(is_active, at, holds);
    alert.state = state;
    match change {
        Change::Fired => {
            let expr = ready.rule.expr().trim();
            let reason = match holds.hold {
                0 => format!("{expr} holds"),
                hold => format!("{expr} has held for {}", duration::format(hold)),
            };
            transitions.push(transition(ready, alert, What::Firing, at, reason));
            true
        }
        Change::Resolved => {
            transitions.push(transition(ready, alert, What::Resolved, at, why()));
            false
        }
        Change::None | Change::Pending | Change::Dropped => false,
    }
}

pub(super) fn transition(ready: &Ready, alert: &ActiveAlert, what: What, at: i64, reason: String) -> Transition {
    Transition {
        rule: ready.rule.name().to_owned(),
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        what,
        at,
        reason,
        evidence: vec![evidence(ready, alert, at)],
    }
}

/// What the alert was concluded from: the result with its value, the expression, and the threshold where it is a number.
fn evidence(ready: &Ready, alert: &ActiveAlert, at: i64) -> Value {
    let mut found = json!({
        "at": at,
        "labels": alert.result,
        "value": number(alert.value),
        "expr": ready.rule.expr().trim(),
        "since": alert.active_since,
    });
    if let ExprKind::Binary(binary) = &ready.expr.kind
        && binary.op.is_comparison()
        && let ExprKind::Number(threshold) | ExprKind::Duration(threshold) = binary.rhs.kind
    {
        found["threshold"] = json!({"op": binary.op.as_str(), "value": number(threshold)});
    }
    found
}

/// JSON has no numbers for NaN and the infinities: they are texts.
fn number(value: f64) -> Value {
    if value.is_finite() { json!(value) } else { json!(value.to_string()) }
}

/// `ALERTS` and `ALERTS_FOR_STATE` of the alerts that are pending or fire.
pub(super) fn series(state: &RuleState, at: i64) -> Vec<Written> {
    let mut found = Vec::with_capacity(2 * state.alerts.len());
    for alert in state.alerts.values() {
        let shown = if alert.is_firing() { "firing" } else { "pending" };
        let labels = Labels::new(alert.labels.clone());
        let alerts = labels.with(NAME, "ALERTS").with("alertstate", shown);
        found.push(Written { labels: alerts, at, value: 1.0 });
        let since = alert.active_since.div_euclid(1000);
        found.push(Written { labels: labels.with(NAME, "ALERTS_FOR_STATE"), at, value: since as f64 });
    }
    found
}
