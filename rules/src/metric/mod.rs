//! Rules over samples: alert and recording rules, evaluated at one instant, as a pure step function.
//!
//! [`MetricRules`] are rules made ready, in the order in which they are evaluated; [`MetricEngine`] holds their alerts.
//! [`MetricEngine::eval`] is handed the instant and the samples, and gives transitions, the series to write and what went
//! wrong; a rule sees at once what the rules before it wrote. [`MetricState`] is plain data, to be kept with whatever
//! follows and given back to [`MetricEngine::restore`].
//!
//! Semantics are Prometheus's to the letter: `for` counts from the first evaluation that gave a result, a label's changed
//! value is another alert, label templates see the labels of the result as they were, and two results with equal labels
//! fail the rule. What Prometheus lacks is said by [`Settings::hold_missing`]: of a host that is silent nothing resolves.

mod alerts;
mod asked;
mod engine;
mod overlay;
mod reads;
mod render;
mod rules;
mod scope;
mod state;

pub use asked::Concluded;
pub use engine::{MetricEngine, recorded_labels};
pub use overlay::Overlay;
pub use reads::{Read, selectors};
pub use rules::{MetricRules, Rule};
pub use scope::{Across, Scope, analyse};
pub use state::{ActiveAlert, MetricState};

use std::collections::BTreeMap;

use crate::events::Transition;
use crate::promql::eval;
use crate::promql::labels::Labels;

/// Results that one rule may give at one instant; beyond it the rule fails.
pub const RESULTS_MAX: usize = 50_000;

/// How rules are evaluated.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    pub evaluation: eval::Settings,
    /// The group's `query_offset`, ms: rules look so far back, and what they write is as old.
    pub query_offset: i64,
    /// The group's `limit`: alerts or series that one rule may bring; 0: no limit.
    pub limit: usize,
    /// Whether an alert that carries an `instance` is held, neither resolved nor fired, where its result is absent because
    /// samples are missing ([`crate::absence`]). Off, every absence is a false condition, as in Prometheus.
    pub hold_missing: bool,
    /// Whether annotations that ask for samples (`query`) are left out, since these samples are of one host and a template
    /// sees all: whoever evaluates adds them where an alert fires ([`MetricRules::answered`], [`MetricEngine::annotate`]).
    pub asks_later: bool,
}

/// What templates of rules know of the installation that they run in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installation {
    /// `$externalLabels`
    pub external_labels: BTreeMap<String, String>,
    /// `$externalURL`
    pub external_url: String,
}

/// What one evaluation of all rules gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// In the order of the rules, then of labels.
    pub transitions: Vec<Transition>,
    /// What the rules recorded, `ALERTS`, `ALERTS_FOR_STATE`, and stale markers for series that ended.
    pub series: Vec<Written>,
    pub errors: Vec<RuleError>,
}

/// One point to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// With `__name__`.
    pub labels: Labels,
    /// UTC milliseconds.
    pub at: i64,
    /// A stale marker has the bits of [`crate::promql::series::STALE`].
    pub value: f64,
}

/// Why a rule gave nothing at this instant. Its alerts stay as they were.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule '{rule}': {message}")]
pub struct RuleError {
    pub rule: String,
    pub message: String,
}

#[cfg(test)]
mod tests;
