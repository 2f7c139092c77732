//! Matters: what is acknowledged when committed, and never dropped while there is disk.

use std::collections::BTreeMap;

use prost::{Message, Oneof};
use sha2::{Digest, Sha256};

use crate::topic::Kind;
use crate::{CommandResult, Inventory};

/// One numbered matter of a spool. Published under the topic kind of its body (`event`, `inventory`, `result`, `status`).
#[derive(Clone, PartialEq, Message)]
pub struct Matter {
    #[prost(bytes = "vec", tag = "1")]
    pub spool: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub number: u64,
    /// When it was so, by the agent's clock, UTC milliseconds.
    #[prost(sint64, tag = "3")]
    pub at_ms: i64,
    #[prost(oneof = "MatterBody", tags = "4, 5, 6, 7")]
    pub body: Option<MatterBody>,
}

impl Matter {
    /// SHA-256 of when and what, without the spool's id and the number. A number that comes back with another hash shows a
    /// restored or cloned host; the same matter numbered anew has the same hash.
    pub fn content_hash(&self) -> [u8; 32] {
        let bare = Self { spool: Vec::new(), number: 0, ..self.clone() };
        Sha256::digest(bare.encode_to_vec()).into()
    }

    /// The topic kind that it travels under; `None` where a newer peer sent a body that is unknown here.
    pub fn kind(&self) -> Option<Kind> {
        self.body.as_ref().map(|body| match body {
            MatterBody::Event(_) => Kind::Event,
            MatterBody::Inventory(_) => Kind::Inventory,
            MatterBody::Result(_) => Kind::Result,
            MatterBody::Status(_) => Kind::Status,
        })
    }
}

/// The four bodies of a matter.
#[derive(Clone, PartialEq, Oneof)]
pub enum MatterBody {
    #[prost(message, tag = "4")]
    Event(Event),
    #[prost(message, tag = "5")]
    Inventory(Inventory),
    #[prost(message, tag = "6")]
    Result(CommandResult),
    #[prost(message, tag = "7")]
    Status(Status),
}

/// Something that happened on the host. `labels` always has `kind`, as rules select on it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Event {
    /// Label names match `[a-zA-Z_][a-zA-Z0-9_]*`; at most [`crate::limits::LABELS`].
    #[prost(btree_map = "string, string", tag = "1")]
    pub labels: BTreeMap<String, String>,
    /// A sentence for people; not matched by rules.
    #[prost(string, tag = "2")]
    pub text: String,
}

/// What the agent says of itself: its life, what it gave up, what it could not read.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Status {
    /// `started`, `stopping` (a clean goodbye), `skipped`, `renumbered`, `lost` (a record damaged on disk), `collector_stuck`,
    /// `policy_changed`.
    #[prost(string, tag = "1")]
    pub what: String,
    #[prost(string, tag = "2")]
    pub detail: String,
    /// For `skipped`: the reports `first..next` that were given up for want of disk.
    #[prost(message, optional, tag = "3")]
    pub skipped: Option<crate::Span>,
}

/// The last will: that this session is gone. Not a matter (the broker sends it); under the topic kind `will`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Will {
    #[prost(bytes = "vec", tag = "1")]
    pub session: Vec<u8>,
}
