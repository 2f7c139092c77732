//! What a shard is stepped with.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::bytes::Bytes;
use tokio::sync::oneshot;
use watchkeep_protocol::topic::Kind;

use crate::detect::{Rules, Watches};
use crate::fleet::gate::{Gone, Peer, Suspicion};
use crate::samples::foreign::otlp_logs::Logged;

/// What a shard is stepped with.
#[derive(Debug)]
pub enum Incoming {
    /// A publish that the broker's gate let through, by the process with client id `client`.
    Message {
        agent: String,
        client: String,
        kind: Kind,
        payload: Bytes,
    },
    Connected(Peer),
    Gone {
        peer: Peer,
        how: Gone,
    },
    Suspicious(Suspicion),
    /// Through a foreign broker somebody says that this session is gone.
    Hint {
        agent: String,
        session: [u8; 16],
    },
    /// A new generation's rules.
    Rules(Arc<Rules>),
    /// What runs wait for now, of this shard's agents.
    Watches(Arc<Watches>),
    /// The labels that the operator gave an agent when it enrolled.
    Labels {
        agent: String,
        labels: BTreeMap<String, String>,
    },
    /// The CMDB has retired this agent's host with all that is on it.
    Retired {
        agent: String,
    },
    /// Events that somebody else saw on this agent's host, or ([`OUTSIDE`](crate::detect::OUTSIDE)) on one that has no agent;
    /// who waits is told once they are durable.
    Logged {
        agent: String,
        events: Vec<Logged>,
        answer: oneshot::Sender<()>,
    },
    /// Time passed. `behind`: messages still wait to be read, so nobody's silence counts.
    Tick {
        behind: bool,
    },
}

impl Incoming {
    /// Whether the desk has to commit what follows from it.
    pub fn is_matter(&self) -> bool {
        let of_matters = |kind| matches!(kind, Kind::Event | Kind::Inventory | Kind::Result | Kind::Status);
        matches!(self, Self::Logged { .. }) || matches!(self, Self::Message { kind, .. } if of_matters(*kind))
    }
}
