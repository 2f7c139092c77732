//! How rules stand, for whoever asks: which alerts are pending or fire, and when they were last evaluated.

use std::collections::BTreeMap;
use std::time::Duration;

use watchkeep_rules::metric::{ActiveAlert, MetricState};

use super::rules::group_of;

/// The groups of one place: of a worker's hosts, or of the rules across hosts. Plain data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// By `file;name`.
    pub groups: BTreeMap<String, GroupStanding>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupStanding {
    /// By the rule's identity.
    pub alerts: BTreeMap<String, Vec<ActiveAlert>>,
    /// The newest instant that it was evaluated at, UTC milliseconds; none: not yet.
    pub evaluated_at: Option<i64>,
    /// How long that took; none where it is not measured: a rule on one host runs with each of its reports.
    pub took: Option<Duration>,
}

impl Standing {
    /// Adds what the engine of that key remembers.
    pub fn add(&mut self, engine: &str, state: &MetricState, evaluated_at: Option<i64>, took: Option<Duration>) {
        let group = self.groups.entry(group_of(engine).to_owned()).or_default();
        for (rule, alerts) in state.by_rule() {
            let mut alerts = alerts.cloned().peekable();
            if alerts.peek().is_some() {
                let unnumbered = rule.trim_end_matches(|c: char| c.is_ascii_digit()).strip_suffix('#');
                let rule = unnumbered.filter(|identity| identity.ends_with('}')).unwrap_or(rule);
                group.alerts.entry(rule.to_owned()).or_default().extend(alerts);
            }
        }
        group.evaluated_at = group.evaluated_at.max(evaluated_at);
        group.took = [group.took, took].into_iter().flatten().reduce(|sum, one| sum + one);
    }

    /// Adds what another place has.
    pub fn merge(&mut self, other: Self) {
        for (key, of_other) in other.groups {
            let group = self.groups.entry(key).or_default();
            for (rule, alerts) in of_other.alerts {
                group.alerts.entry(rule).or_default().extend(alerts);
            }
            group.evaluated_at = group.evaluated_at.max(of_other.evaluated_at);
            group.took = [group.took, of_other.took].into_iter().flatten().reduce(|sum, one| sum + one);
        }
    }
}
