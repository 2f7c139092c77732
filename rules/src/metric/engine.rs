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
        self.eval_beside(at, samples, None).0
    }

    /// As [`MetricEngine::eval`], and gives the same; but what `stream` knows is not evaluated: that a rule without alerts gives
    /// nothing, and what a rule records. How many rules these were is given, too. The engine's rules stand in the stream from
    /// place `first` on, and the stream has all of the host's rows until `at`.
    pub fn eval_streaming(&mut self, at: i64, samples: &dyn Samples, stream: &Stream, first: usize) -> (Output, usize) {
        let is_current = self.settings.query_offset == 0;
        self.eval_beside(at, samples, is_current.then_some((stream, first)))
    }

    fn eval_beside(&mut self, at: i64, samples: &dyn Samples, stream: Option<(&Stream, usize)>) -> (Output, usize) {
        let mut overlay = Overlay::new(samples);
        let (mut output, mut streamed) = (Output::default(), 0);
        let rules = Arc::clone(&self.rules);
        for (place, ready) in rules.ready.iter().enumerate() {
            let is_idle = self.state.rules.get(&ready.key).is_none_or(RuleState::is_idle);
            let known =
                stream.and_then(|(stream, first)| known(ready, is_idle, stream, first + place, at, &self.settings));
            streamed += usize::from(known.is_some());
            if is_idle && known.as_ref().is_some_and(Vec::is_empty) {
                continue;
            }
            let (key, mut state) = self.state.take(&ready.key, ready.rule.name());
            let stepped = match known {
                Some(series) => {
                    let series = followed(ready, &mut state, series, at, &overlay, &self.settings);
                    Ok((Stepped::default(), series))
                }
                None => evaluated(ready, &mut state, at, &overlay, &self.settings, &rules.installation),
            };
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
        (output, streamed)
    }

    /// Adds annotations to the alert of that rule with these labels, if there is one: those that [`MetricRules::answered`] gave.
    /// They stay until they are given anew.
    pub fn annotate(&mut self, rule: &str, labels: &BTreeMap<String, String>, annotations: &BTreeMap<String, String>) {
        let of_rule = self.state.rules.values_mut().filter(|state| state.rule == rule);
        let alerts = of_rule.flat_map(|state| state.alerts.values_mut()).filter(|alert| alert.labels == *labels);
        for alert in alerts {
            alert.annotations.extend(annotations.iter().map(|(name, text)| (name.clone(), text.clone())));
        }
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
    series = followed(ready, state, series, at, samples, settings);
    Ok((stepped, series))
}

/// What the rule writes, as the stream at its `place` knows it; none where it is to be evaluated. Of an alert rule that has
/// alerts the stream does not say what becomes of them.
fn known(
    ready: &Ready,
    is_idle: bool,
    stream: &Stream,
    place: usize,
    at: i64,
    settings: &Settings,
) -> Option<Vec<Written>> {
    if matches!(ready.rule, Rule::Alert(_)) {
        return (is_idle && stream.verdict(place, at) == Verdict::Quiet).then(Vec::new);
    }
    let recorded = stream.recorded(place, at)?;
    let is_within = recorded.len() <= RESULTS_MAX && (settings.limit == 0 || recorded.len() <= settings.limit);
    is_within.then(|| recorded.into_iter().map(|(labels, value)| Written { labels, at, value }).collect())
}

/// The series that a rule writes, and the ends of those that it does not write any more.
fn followed(
    ready: &Ready,
    state: &mut RuleState,
    mut series: Vec<Written>,
    at: i64,
    samples: &dyn Samples,
    settings: &Settings,
) -> Vec<Written> {
    // Mostly they are those of last time.
    if series.iter().map(|written| &written.labels).eq(&state.written) {
        return series;
    }
    let now: BTreeSet<&Labels> = series.iter().map(|written| &written.labels).collect();
    let before = std::mem::take(&mut state.written);
    let gone = before.into_iter().filter(|labels| !now.contains(labels));
    let (held, gone): (Vec<_>, Vec<_>) = gone.partition(|labels| is_missing(ready, labels, at, samples, settings));
    state.written = series.iter().map(|written| written.labels.clone()).chain(held).collect();
    series.extend(ended(gone, at.saturating_sub(settings.query_offset)));
    series
}

/// Whether a recorded series is not written any more only because samples are missing: it has not ended then, or the alerts
/// that are made of it would resolve.
fn is_missing(ready: &Ready, labels: &Labels, at: i64, samples: &dyn Samples, settings: &Settings) -> bool {
    if matches!(ready.rule, Rule::Alert(_)) {
        return false;
    }
    let mut result = labels.to_map();
    result.retain(|name, _| !ready.rule.labels().contains_key(name));
    let absence = alerts::judge(ready, &result, at, samples, settings);
    matches!(absence, Absence::Stopped { .. } | Absence::Missing { .. } | Absence::Refilling { .. })
}

/// Stale markers.
fn ended(series: Vec<Labels>, at: i64) -> impl Iterator<Item = Written> {
    series.into_iter().map(move |labels| Written { labels, at, value: f64::from_bits(STALE) })
}

fn results(ready: &Ready, at: i64, samples: &dyn Samples, settings: &Settings) -> Result<Vec<Sample>, String> {
    let evaluated = eval::instant(&ready.expr, samples, at, &settings.evaluation).map_err(|error| error.to_string())?;
    let results = match evaluated.value {
        Value::Vector(results) => results,
        Value::Scalar(value) => vec![Sample::new(Labels::default(), value)],
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
        if sample.histogram.is_some() {
            return Err(format!(
                "{} is a native histogram; such are taken in and asked, not recorded: record a number of it, for example \
                 histogram_quantile(0.9, …)",
                sample.labels
            ));
        }
        let labels = recorded_labels(&sample.labels, ready.rule.name(), ready.rule.labels());
        if !seen.insert(labels.clone()) {
            return Err(format!("two results have the same labels once the rule's are applied: {labels}"));
        }
        found.push(Written { labels, at, value: sample.value });
    }
    Ok(found)
}

/// The labels of the series that a result is recorded as: the metric's name, and the rule's own over those of the result.
pub fn recorded_labels(result: &Labels, name: &str, own: &BTreeMap<String, String>) -> Labels {
    own.iter().fold(result.with(NAME, name), |labels, (label, value)| labels.with(label, value))
}
