//! The broker's gate: who may connect, and the way of what they publish into the shards.

use std::sync::Arc;

use prost::bytes::Bytes;
use watchkeep_protocol::topic::Topic;

use super::engine::Inlet;
use super::registry::Registry;
use crate::fleet::gate::{ForeignGate, Gate, Gone, Peer, PublishVerdict, Refusal, Suspicion};
use crate::ingest::Incoming;

/// The controller as the broker sees it.
pub struct CoreGate {
    pub inlet: Inlet,
    pub registry: Arc<Registry>,
}

impl Gate for CoreGate {
    fn connect(&self, peer: &Peer) -> Result<(), Refusal> {
        self.registry.admit(&peer.agent, &peer.serial)
    }

    fn connected(&self, peer: &Peer) {
        self.inlet.hand_over(&peer.agent, Incoming::Connected(peer.clone()));
    }

    fn publish(&self, client: &str, topic: Topic, payload: Bytes) -> PublishVerdict {
        let (agent, kind) = (topic.agent, topic.kind);
        let message = Incoming::Message { agent: agent.clone(), client: client.to_owned(), kind, payload };
        if self.inlet.hand_over(&agent, message) { PublishVerdict::Taken } else { PublishVerdict::Full }
    }

    fn gone(&self, peer: &Peer, how: Gone) {
        self.inlet.hand_over(&peer.agent, Incoming::Gone { peer: peer.clone(), how });
    }

    fn suspicious(&self, what: Suspicion) {
        let agent = what.agent.clone();
        self.inlet.hand_over(&agent, Incoming::Suspicious(what));
    }
}

impl ForeignGate for CoreGate {
    fn is_enrolled(&self, agent: &str) -> bool {
        self.registry.has(agent)
    }

    fn hinted_gone(&self, agent: &str, session: [u8; 16]) {
        self.inlet.hand_over(agent, Incoming::Hint { agent: agent.to_owned(), session });
    }

    fn hears(&self, hears: bool) {
        self.inlet.hears(hears);
    }
}
