//! What a rule says about its incidents, whichever kind of rule it is.

use watchkeep_rules::model::{IncidentSpec, RunbookUse};

use crate::Config;

/// The part of a rule that the desk reads.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleView<'a> {
    pub incident: std::borrow::Cow<'a, IncidentSpec>,
    pub runbook: Option<&'a RunbookUse>,
}

impl<'a> RuleView<'a> {
    /// The rule of that name; an alert from outside, or of a rule that is no longer there, has the defaults.
    pub fn of(config: &'a Config, name: &str) -> Self {
        let events = config.rules.event_rules.iter().map(|rule| (&rule.name, &rule.incident, &rule.runbook));
        let alerts = config.rules.alert_rules.iter().map(|rule| (&rule.name, &rule.incident, &rule.runbook));
        match events.chain(alerts).find(|(known, ..)| *known == name) {
            Some((_, incident, runbook)) => {
                Self { incident: std::borrow::Cow::Borrowed(incident), runbook: runbook.as_ref() }
            }
            None => Self { incident: std::borrow::Cow::Owned(IncidentSpec::default()), runbook: None },
        }
    }
}
