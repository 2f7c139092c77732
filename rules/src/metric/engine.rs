//! Steps of all rules of a group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::alerts::{self, Stepped};
use super::overlay::Overlay;
use super::render::Sight;
use super::rules::{MetricRules, Ready, Rule};
use super::state::{MetricState, RuleState};
use super::{Installation, Output, RESULTS_MAX, RuleError, Settings, Written};
use crate::absence::Absence;
use crate::events::{Transition, What};
use crate::promql::eval::{self, Sample, Value};
use crate::promql::labels::{Labels, NAME};
use crate::promql::series::{STALE, Samples};
use crate::stream::{Stream, Verdict};

/// Rules at work, for one host or for all.
#[derive(Clone, Debug)]
pub struct MetricEngine {
    rules: Arc<MetricRules>,
    settings: Settings,
    state: MetricState,
}

impl MetricEngine {
    pub fn new(rules: Arc<MetricRules>, settings: Settings) -> Self {
        Self::restore(rules, settings, MetricState::default())
    }

    /// Goes on from a kept state. Rules may have changed since: call [`MetricEngine::reload`] with the same rules to resolve
    /// what they no longer know.
    pub fn restore(rules: Arc<MetricRules>, settings: Settings, state: MetricState) -> Self {
        Self { rules, settings, state }
    }

    /// What to keep after a step.
    pub fn state(&self) -> &MetricState {
        &self.state
    }

    pub fn rules(&self) -> &MetricRules {
        &self.rules
    }

    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Evaluates every rule at `at`, UTC milliseconds, in order. Instants rise from call to call.
    ///
    /// A rule that fails changes nothing and writes nothing, but for an alert rule beyond its group's limit, whose alerts are
    /// over; the others go on.
    pub fn eval(&mut self, at: i64, samples: &dyn Samples) -> Output {
        self.eval_unless(at, samples, &mut |_| false)
    }

    /// As [`MetricEngine::eval`], and gives the same; but a rule that has no alerts and of which `stream` knows that it gives
    /// nothing is not evaluated. How many these were is given, too. The engine's rules stand in the stream from place `first` on,
    /// and the stream has all of the host's rows until `at`.
    pub fn eval_streaming(
        &mut self,
        at: i64,
        samples: &dyn Samples,
        stream: &mut Stream,
        first: usize,
    ) -> (Output, usize) {
        if self.settings.query_offset != 0 {
            return (self.eval(at, samples), 0);
        }
        let mut quiet = 0;
        let output = self.eval_unless(at, samples, &mut |place| {
            let is_quiet = stream.verdict(first + place, at) == Verdict::Quiet;
            quiet += usize::from(is_quiet);
            is_quiet
        });
        (output, quiet)
    }

    fn eval_unless(&mut self, at: i64, samples: &dyn Samples, is_quiet: &mut dyn FnMut(usize) -> bool) -> Output {
        let mut overlay = Overlay::new(samples);
        let mut output = Output::default();
        let rules = Arc::clone(&self.rules);
        for (place, ready) in rules.ready.iter().enumerate() {
            if self.state.rules.get(&ready.key).is_none_or(RuleState::is_idle) && is_quiet(place) {
                continue;
            }
            let (key, mut state) = self.state.take(&ready.key, ready.rule.name());
            let stepped = evaluated(ready, &mut state, at, &overlay, &self.settings, &rules.installation);
            if !state.is_idle() {
                self.state.rules.insert(key.unwrap_or_else(|| ready.key.clone()), state);
            }
            match stepped {
                Ok((mut stepped, series)) => {
                    series.iter().for_each(|written| overlay.write(written));
                    output.transitions.append(&mut stepped.transitions);
                    output.series.extend(series);
                    output.errors.extend(stepped.beyond.map(|message| error(ready, message)));
                }
                Err(message) => output.errors.push(error(ready, message)),
            }
        }
        output
    }

    /// Holds every alert that fires, as samples are missing: it neither resolves nor fires until they are back. Those that are
    /// held already stay so, and say nothing.
    pub fn hold(&mut self, at: i64, reason: &str) -> Vec<Transition> {
        let mut transitions = Vec::new();
        for ready in &self.rules.ready {
            let Some(state) = self.state.rules.get_mut(&ready.key) else { continue };
            for alert in state.alerts.values_mut().filter(|alert| alert.is_firing() && alert.held.is_none()) {
                transitions.push(alerts::transition(ready, alert, What::Stale, at, reason.to_owned()));
                alert.held = Some(reason.to_owned());
            }
        }
        transitions
    }

    /// Takes up another generation's rules and settings. Alerts of rules with the same name and labels stay as they are;
    /// those of rules that are gone are resolved, and the series they wrote end.
    pub fn reload(&mut self, rules: Arc<MetricRules>, settings: Settings, at: i64) -> Output {
        let known: BTreeSet<&str> = rules.ready.iter().map(|ready| ready.key.as_str()).collect();
        let names: BTreeSet<&str> = rules.ready.iter().map(|ready| ready.rule.name()).collect();
        let old = Arc::clone(&self.rules);
        let written_at = at.saturating_sub(self.settings.query_offset);
        let mut output = Output::default();
        self.state.rules.retain(|key, state| {
            if known.contains(key.as_str()) {
                return true;
            }
            let reason = match names.contains(state.rule.as_str()) {
                true => "the rule's labels were changed",
                false => "the rule was removed",
            };
            let ready = old.ready.iter().find(|ready| ready.key == *key);
            output.transitions.extend(removed(state, ready, at, reason));
            output.series.extend(ended(std::mem::take(&mut state.written), written_at));
            false
        });
        self.rules = rules;
        self.settings = settings;
        output
    }
}

fn error(ready: &Ready, message: String) -> RuleError {
    RuleError { rule: ready.rule.name().to_owned(), message }
}

fn removed(state: &RuleState, ready: Option<&Ready>, at: i64, reason: &str) -> Vec<Transition> {
    let firing = state.alerts.values().filter(|alert| alert.is_firing());
    let gone = firing.map(|alert| match ready {
        Some(ready) => alerts::transition(ready, alert, What::Resolved, at, reason.to_owned()),
        None => Transition {
            rule: state.rule.clone(),
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            what: What::Resolved,
            at,
            reason: reason.to_owned(),
            evidence: Vec::new(),
        },
    });
    gone.collect()
}

/// One rule's step: its transitions, and all that it writes.
fn evaluated(
    ready: &Ready,
    state: &mut RuleState,
    at: i64,
    samples: &dyn Samples,
    settings: &Settings,
    installation: &Installation,
) -> Result<(Stepped, Vec<Written>), String> {
    let looked_at = at.saturating_sub(settings.query_offset);
    let results = results(ready, looked_at, samples, settings)?;
    let (stepped, mut series) = match &ready.rule {
        Rule::Alert(_) => {
            let sight = Sight { at, samples, evaluation: &settings.evaluation, installation };
            let stepped = alerts::step(ready, state, results, &sight, settings)?;
            (stepped, alerts::series(state, looked_at))
        }
        Rule::Record(_) => (Stepped::default(), recorded(ready, results, looked_at, settings)?),
    };
    let now: BTreeSet<&Labels> = series.iter().map(|written| &written.labels).collect();
    let before = std::mem::take(&mut state.written);
    let gone = before.into_iter().filter(|labels| !now.contains(&Labels::new(labels.clone())));
    let (held, gone): (Vec<_>, Vec<_>) = gone.partition(|labels| is_missing(ready, labels, at, samples, settings));
    state.written = series.iter().map(|written| written.labels.to_map()).chain(held).collect();
    series.extend(ended(gone, looked_at));
    Ok((stepped, series))
}

/// Whether a recorded series is not written any more only because samples are missing: it has not ended then, or the alerts
/// that are made of it would resolve.
fn is_missing(
    ready: &Ready,
    labels: &BTreeMap<String, String>,
    at: i64,
    samples: &dyn Samples,
    settings: &Settings,
) -> bool {
    if matches!(ready.rule, Rule::Alert(_)) {
        return false;
    }
    let mut result = labels.clone();
    result.retain(|name, _| !ready.rule.labels().contains_key(name));
    let absence = alerts::judge(ready, &result, at, samples, settings);
    matches!(absence, Absence::Stopped { .. } | Absence::Missing { .. } | Absence::Refilling { .. })
}

/// Stale markers.
fn ended(series: Vec<BTreeMap<String, String>>, at: i64) -> impl Iterator<Item = Written> {
    series.into_iter().map(move |labels| Written { labels: Labels::new(labels), at, value: f64::from_bits(STALE) })
}

fn results(ready: &Ready, at: i64, samples: &dyn Samples, settings: &Settings) -> Result<Vec<Sample>, String> {
    let evaluated = eval::instant(&ready.expr, samples, at, &settings.evaluation).map_err(|error| error.to_string())?;
    let results = match evaluated.value {
        Value::Vector(results) => results,
        Value::Scalar(value) => vec![Sample { labels: Labels::default(), value }],
        Value::String(_) => return Err("the expression gives a string, not a vector or scalar".to_owned()),
        Value::Matrix(_) => return Err("the expression gives a range vector, not a vector or scalar".to_owned()),
    };
    if results.len() > RESULTS_MAX {
        return Err(format!("{} results are more than {RESULTS_MAX}", results.len()));
    }
    Ok(results)
}

fn recorded(ready: &Ready, results: Vec<Sample>, at: i64, settings: &Settings) -> Result<Vec<Written>, String> {
    if settings.limit > 0 && results.len() > settings.limit {
        return Err(format!("{} series exceed the group's limit of {}", results.len(), settings.limit));
    }
    let mut seen = BTreeSet::new();
    let mut found = Vec::with_capacity(results.len());
    for sample in results {
        let mut labels = sample.labels.to_map();
        labels.insert(NAME.to_owned(), ready.rule.name().to_owned());
        labels.extend(ready.rule.labels().clone());
        let labels = Labels::new(labels);
        if !seen.insert(labels.clone()) {
            return Err(format!("two results have the same labels once the rule's are applied: {labels}"));
        }
        found.push(Written { labels, at, value: sample.value });
    }
    Ok(found)
}
