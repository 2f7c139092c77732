//! The record of a silence, and what happens to it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use watchkeep_rules::selector::Selector;

use crate::Millis;
use crate::ids::SilenceId;
use crate::words::words;

/// What the setting of a silence begins with; its id follows.
const PREFIX: &str = "silence/";

words! {
    /// How a silence stands.
    SilenceState "state of a silence" {
        Pending = "pending",
        Active = "active",
        Expired = "expired",
    }
}

/// One silence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    pub id: SilenceId,
    /// All must hold for an alert's labels; at least one refuses the empty text.
    pub matchers: Selector,
    pub starts_at: Millis,
    pub ends_at: Millis,
    /// As the client names the author.
    pub author: String,
    /// The id of the person whose token set it.
    pub by: String,
    pub comment: String,
    pub updated_at: Millis,
}

/// Facts about a silence, and about the alerts that it holds back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum SilenceFact {
    Set {
        silence: Silence,
        /// The one that ended for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instead_of: Option<SilenceId>,
    },
    /// Its end, its beginning or its words are other ones now.
    Changed { silence: Silence },
    /// A person ended it.
    Expired { note: String },
    /// Its time is over.
    Ended,
    /// An alert fired and is held back.
    Suppressed { rule: String, labels: BTreeMap<String, String> },
    /// An alert that was held back is over.
    Cleared { rule: String, labels: BTreeMap<String, String> },
    /// An alert that was held back fires still, and no silence takes it any more.
    Released { rule: String, labels: BTreeMap<String, String> },
}

impl Silence {
    pub fn state(&self, at: Millis) -> SilenceState {
        if at >= self.ends_at {
            SilenceState::Expired
        } else if at < self.starts_at {
            SilenceState::Pending
        } else {
            SilenceState::Active
        }
    }

    /// Whether it holds back an alert with these labels at that time.
    pub fn takes(&self, labels: &BTreeMap<String, String>, at: Millis) -> bool {
        self.state(at) == SilenceState::Active && self.matchers.matches(labels)
    }

    /// The silence that a setting keeps; none where it is another setting.
    pub(crate) fn of_setting(name: &str, value: &Value) -> Option<Self> {
        name.strip_prefix(PREFIX)?;
        serde_json::from_value(value.clone()).ok()
    }
}

/// The setting that keeps a silence.
pub(super) fn setting_of(id: SilenceId) -> String {
    format!("{PREFIX}{id}")
}
