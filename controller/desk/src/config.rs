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
    /// A CI unseen for this long is missing …
    pub missing_after: i64,
    /// … and for this long retired.
    pub retired_after: i64,
    /// "Succeeded but came back" within this long counts as failure.
    pub came_back_within: i64,
}

impl Default for Settings {
    fn default() -> Self {
        const MINUTE: i64 = 60_000;
        const DAY: i64 = 24 * 60 * MINUTE;
        Self {
            reopen_within: 30 * MINUTE,
            close_after: 3 * DAY,
            missing_after: 45_000,
            retired_after: 30 * DAY,
            came_back_within: 60 * MINUTE,
        }
    }
}
