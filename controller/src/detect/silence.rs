//! An agent's silence: an alert of its own, with its reason.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use watchkeep_desk::Millis;
use watchkeep_desk::input::{AlertChange, AlertState};

use super::own_labels;

/// The alert's name.
pub const AGENT_DOWN: &str = "AgentDown";

/// Since when an agent is silent, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silent {
    pub reason: String,
    pub since: Millis,
}

impl Silent {
    /// Silence for this reason; none for a clean goodbye and for what a person did.
    pub fn begin(reason: &str, since: Millis) -> Option<Self> {
        matches!(reason, "agent_down" | "link_down" | "quarantined").then(|| Self { reason: reason.to_owned(), since })
    }

    /// Whether the host's series end when its agent is lost for this reason: it said so itself.
    pub fn ends_series(reason: &str) -> bool {
        reason == "goodbye"
    }

    pub fn alert(&self, agent: &str, state: AlertState, now: Millis) -> AlertChange {
        let summary = format!("{agent} is not heard of: {}", in_words(&self.reason));
        AlertChange {
            rule: AGENT_DOWN.to_owned(),
            labels: own_labels(AGENT_DOWN, agent, "critical"),
            annotations: BTreeMap::from([("summary".to_owned(), summary)]),
            state,
            happened_at: now,
            agent: Some(agent.to_owned()),
            reason: String::new(),
            evidence: vec![json!({"reason": self.reason, "since": self.since})],
        }
    }
}

/// Why an agent is silent, for people.
pub fn in_words(reason: &str) -> String {
    match reason {
        "agent_down" => "its agent ended without a goodbye".to_owned(),
        "link_down" => "the link to its agent broke".to_owned(),
        "goodbye" => "its agent was stopped".to_owned(),
        "quarantined" => "two live agents used its name".to_owned(),
        other => other.replace('_', " "),
    }
}

/// An alert that is held for want of data.
pub fn stale(agent: &str, labels: &BTreeMap<String, String>, now: Millis) -> AlertChange {
    AlertChange {
        rule: labels.get("alertname").cloned().unwrap_or_default(),
        labels: labels.clone(),
        annotations: BTreeMap::new(),
        state: AlertState::Stale,
        happened_at: now,
        agent: Some(agent.to_owned()),
        reason: String::new(),
        evidence: Vec::new(),
    }
}
