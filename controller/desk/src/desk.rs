//! The desk: what is known, and the one door through which it changes.

use serde::{Deserialize, Serialize};

use crate::runbooks::Watch;
use crate::{Config, Decision, Input, Millis, Record};

/// An agent as the desk knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// The name in its certificate.
    pub name: String,
    pub labels: std::collections::BTreeMap<String, String>,
    /// Serial of the certificate in force, hexadecimal.
    pub serial: String,
    pub revoked: bool,
    pub version: String,
    /// The live session, hexadecimal; none while it is away.
    pub session: Option<String>,
    /// Why it is away.
    pub lost: Option<String>,
    pub since: Millis,
    /// The CI of class `host` that stands for it.
    pub ci: Option<crate::ids::CiId>,
}

/// All open records and the CMDB's graph, as values.
#[derive(Clone, Debug, Default)]
pub struct Desk {}

impl Desk {
    /// The desk as its records left it.
    pub fn restore(_records: impl IntoIterator<Item = Record>) -> Self {
        Self::default()
    }

    /// Decides one input and takes the outcome into what is known. Should the decision not be committed, this desk is
    /// ahead of the ledger: drop it and restore another.
    pub fn decide(&mut self, _config: &Config, _input: &Input) -> Decision {
        Decision::default()
    }

    /// When the earliest timer falls due; an input [`crate::InputBody::Due`] with that instant is owed then.
    pub fn next_due(&self) -> Option<Millis> {
        None
    }

    /// The conditions that runs wait for now; the body watches them and answers with `Watched`.
    pub fn watches(&self) -> Vec<Watch> {
        Vec::new()
    }
}
