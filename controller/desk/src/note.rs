//! What the body did, by itself or for a person, and what no practice decides: it stands in the ledger, and changes nothing.

use serde::{Deserialize, Serialize};

use crate::work::Work;
use crate::{Actor, FactBody, Subject};

/// One thing that was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Note {
    /// An input could not be kept however often it was tried, for a reason of its own, and stands aside so that the others
    /// can go on. A matter is acknowledged with it: the agent need not bring it again.
    SetAside {
        /// The agent it came from; none for what came from elsewhere.
        agent: Option<String>,
        /// What it was: `event 17 of spool 5a…`, `act of admin`.
        input: String,
        /// The error, with its causes.
        why: String,
    },
    /// A token for the API was made; never the token itself.
    TokenCreated {
        id: String,
        name: String,
        role: String,
    },
    TokenRevoked {
        id: String,
    },
    /// A token with which hosts enrol was made or taken back.
    EnrolmentTokenCreated {
        id: String,
        uses: u32,
    },
    EnrolmentTokenRevoked {
        id: String,
    },
    /// Somebody who logs in was added, under this id; the name stands in the table alone.
    UserAdded {
        id: String,
        role: String,
    },
    UserRoleSet {
        id: String,
        role: String,
    },
    /// The password was set; sessions ended.
    UserPasswordSet {
        id: String,
    },
    /// A link that logs them in once was made; never the link itself.
    UserLinkMade {
        id: String,
    },
    UserRemoved {
        id: String,
    },
    /// A notice is sent again.
    SentAgain {
        id: String,
        /// Where to.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        channels: Vec<String>,
        /// The incident or the problem that it tells of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        about: Option<Subject>,
    },
    /// A notice that tells of nothing was sent on a channel, to see whether it arrives.
    ChannelTested {
        channel: String,
        /// Why it did not; empty: it was taken.
        error: String,
    },
    /// What was older than its term was erased: `kind` is `events`, `inputs`, `outputs_of_runs`,
    /// `attachments`, `facts_of_output`, `outbox` or `facts`.
    Erased {
        kind: String,
        count: u64,
        before: crate::Millis,
    },
}

impl Note {
    /// As a sentence, without who did it.
    pub fn sentence(&self) -> String {
        match self {
            Self::SetAside { input, why, .. } => format!("set aside {input}, which cannot be kept: {why}"),
            Self::TokenCreated { name, role, .. } => format!("the token \"{name}\" was made, with the role {role}"),
            Self::TokenRevoked { id } => format!("the token {id} was revoked"),
            Self::EnrolmentTokenCreated { id, uses } => format!("the enrolment token {id} was made, for {uses} hosts"),
            Self::EnrolmentTokenRevoked { id } => format!("the enrolment token {id} was revoked"),
            Self::UserAdded { id, role } => format!("user {id} was added, with the role {role}"),
            Self::UserRoleSet { id, role } => format!("user {id} has the role {role} now"),
            Self::UserPasswordSet { id } => format!("the password of user {id} was set"),
            Self::UserLinkMade { id } => format!("a link that logs user {id} in once was made"),
            Self::UserRemoved { id } => format!("user {id} was removed"),
            Self::SentAgain { id, channels, .. } if channels.is_empty() => {
                format!("what was given up under {id} is sent again")
            }
            Self::SentAgain { id, channels, .. } => {
                format!("notice {} is sent again, to {}", &id[..id.floor_char_boundary(8)], channels.join(", "))
            }
            Self::ChannelTested { channel, error } if error.is_empty() => {
                format!("channel \"{channel}\" was tested, and took the notice")
            }
            Self::ChannelTested { channel, error } => format!("channel \"{channel}\" was tested, and failed: {error}"),
            Self::Erased { kind, count, .. } => {
                format!("{count} {} were erased, their term being over", kind.replace('_', " "))
            }
        }
    }
}

/// Notes it, as done by `by`.
pub(crate) fn note(work: &mut Work<'_>, by: &Actor, note: &Note) {
    let subject = match note {
        Note::SetAside { agent: Some(agent), .. } => Subject::Agent(agent.clone()),
        Note::SentAgain { about: Some(about), .. } => about.clone(),
        _ => Subject::Controller,
    };
    work.tell(subject, by.clone(), Vec::new(), FactBody::Note(note.clone()));
}
