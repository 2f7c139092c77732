//! Annotations that ask for samples, of alerts that were concluded from one host's.
//!
//! A template's `query` sees all samples, as in Prometheus, though the rule needs those of one host only. So such annotations
//! are left out while the rule is evaluated ([`Settings::asks_later`](super::Settings)) and rendered where its alert is told
//! of, from what the alert was concluded from.

use std::collections::BTreeMap;

use serde_json::Value;

use super::render::Sight;
use super::rules::{MetricRules, Ready, Rule};
use super::state::ActiveAlert;
use crate::promql::eval;
use crate::promql::series::Samples;

/// What an alert was concluded from: what its templates see.
#[derive(Clone, Debug, PartialEq)]
pub struct Concluded<'a> {
    pub rule: &'a str,
    /// The rule's expression as it is written.
    pub expr: Option<&'a str>,
    /// Those of the alert.
    pub labels: &'a BTreeMap<String, String>,
    /// Those of the result, `__name__` included.
    pub result: BTreeMap<String, String>,
    pub value: f64,
    /// UTC milliseconds.
    pub at: i64,
}

impl<'a> Concluded<'a> {
    /// As a transition's evidence has it; none where it has no such thing.
    pub fn of_evidence(rule: &'a str, labels: &'a BTreeMap<String, String>, evidence: &'a [Value]) -> Option<Self> {
        let told = evidence.first()?;
        let value = match &told["value"] {
            Value::String(text) => text.parse().ok()?,
            number => number.as_f64()?,
        };
        let result = told["labels"].as_object()?.iter();
        let result = result.map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        let (expr, at) = (told["expr"].as_str(), told["at"].as_i64()?);
        Some(Self { rule, expr, labels, result: result.collect::<Option<_>>()?, value, at })
    }

    /// Of an alert as it stands, looked at `at`.
    pub fn of_alert(rule: &'a str, alert: &'a ActiveAlert, at: i64) -> Self {
        Self { rule, expr: None, labels: &alert.labels, result: alert.result.clone(), value: alert.value, at }
    }
}

impl MetricRules {
    /// Whether annotations of one of the alert rules ask for samples.
    pub fn ask(&self) -> bool {
        self.ready.iter().any(|ready| ready.annotations.ask())
    }

    /// The annotations that ask for samples, of an alert that one of the rules gave, as `samples` answer them; empty where it
    /// is of no rule that has such.
    pub fn answered(
        &self,
        alert: &Concluded<'_>,
        samples: &dyn Samples,
        evaluation: &eval::Settings,
    ) -> BTreeMap<String, String> {
        let sight = Sight { at: alert.at, samples, evaluation, installation: &self.installation };
        let ready = self.ready.iter().find(|ready| ready.annotations.ask() && gave(ready, alert, &sight));
        let result = (&alert.result, alert.value);
        ready.map(|ready| ready.annotations.rendered_of(true, alert.rule, result, &sight)).unwrap_or_default()
    }
}

/// Whether the alert is the rule's: of rules of one name the labels tell.
fn gave(ready: &Ready, alert: &Concluded<'_>, sight: &Sight<'_>) -> bool {
    let Rule::Alert(rule) = &ready.rule else { return false };
    if rule.name != alert.rule || alert.expr.is_some_and(|expr| expr != rule.expr.trim()) {
        return false;
    }
    let labels = ready.labels.rendered(alert.rule, &alert.result, alert.value, sight);
    labels.iter().all(|(name, text)| alert.labels.get(name).map_or("", String::as_str) == text)
}
