//! What decisions are made by: the checked files of one generation, and settings.

use serde::{Deserialize, Serialize};
use watchkeep_rules::model::RuleBook;

/// One generation, as the desk reads it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Config {
    pub rules: RuleBook,
    pub settings: Settings,
}

/// Defaults of the practices, each settable. Milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A new alert of the key within this long after resolve opens the incident again.
    pub reopen_within: i64,
    /// Resolved incidents are closed after this long.
    pub close_after: i64,
    /// A page waits this long for what opens with it, so that one goes out for all; 0: at once. The incident never waits.
    pub group_wait: i64,
    /// Incidents opened within this long of each other may have a common cause …
    pub correlate_within: i64,
    /// … and are put into one problem where the evidence for it, in hundredths of log odds, comes to this.
    pub joins_from: i64,
    /// What changed within this long before an incident may be behind it.
    pub changed_within: i64,
    /// A key that opens this often …
    pub recurs_count: usize,
    /// … within this long is a problem.
    pub recurs_within: i64,
    /// A CI unseen for this long is missing …
    pub missing_after: i64,
    /// … and for this long retired.
    pub retired_after: i64,
    /// What follows from a connection between hosts ends after it was unseen for this long.
    pub relation_unseen_after: i64,
    /// "Succeeded but came back" within this long counts as failure.
    pub came_back_within: i64,
    /// A change was good if no incident opened on its CIs within this long of its end.
    pub measured_after: i64,
    /// A host may begin a command within this long of its sending …
    pub command_valid_for: i64,
    /// … and its result is overdue this long after the longest that it may take.
    pub result_grace: i64,
    /// A run whose runbook names no time is given up where nobody approved it for this long.
    pub approval_within: i64,
    /// Runs that may wait on one host; further ones are not started, and say so.
    pub runs_waiting_max: usize,
    /// A silence lasts this long at most.
    pub silence_at_most: i64,
    /// An alert from outside that names no end is over when it was not sent again for this long.
    pub resolve_timeout: i64,
}

impl Default for Settings {
    fn default() -> Self {
        const MINUTE: i64 = 60_000;
        const DAY: i64 = 24 * 60 * MINUTE;
        Self {
            reopen_within: 30 * MINUTE,
            close_after: 3 * DAY,
            // Alertmanager waits 30 s; most of what follows from one cause is here within 10 s, and a page is not late then.
            group_wait: 10_000,
            correlate_within: 15 * MINUTE,
            joins_from: 400,
            changed_within: 60 * MINUTE,
            recurs_count: 3,
            recurs_within: 7 * DAY,
            missing_after: 45_000,
            retired_after: 30 * DAY,
            relation_unseen_after: 60 * MINUTE,
            came_back_within: 60 * MINUTE,
            measured_after: DAY,
            command_valid_for: MINUTE,
            result_grace: 30_000,
            approval_within: 60 * MINUTE,
            runs_waiting_max: 100,
            silence_at_most: 30 * DAY,
            resolve_timeout: 5 * MINUTE,
        }
    }
}
