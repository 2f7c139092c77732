//! The way down: what shards and the desk send to agents.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use prost::Message as _;
use watchkeep_protocol::topic::{Kind, Topic};
use watchkeep_protocol::{Command, Envelope};

use super::live::LiveSessions;
use crate::fleet::gate::{Delivery, Line, SendError};
use crate::ingest::Down;

/// Where messages to agents go. Never waits: what cannot be sent is lost, and asked for again by the protocol.
pub trait Outlet: Send + Sync {
    /// Publishes an encoded envelope.
    fn publish(&self, topic: &Topic, payload: Vec<u8>);

    /// Cuts a client's connection.
    fn kick(&self, client: &str, reason: &str);
}

/// The broker as outlet; what is sent before it runs is lost, as on any broken line.
#[derive(Default)]
pub struct BrokerOutlet(OnceLock<Arc<dyn Line>>);

impl BrokerOutlet {
    pub fn set(&self, line: Arc<dyn Line>) {
        if self.0.set(line).is_err() {
            tracing::error!("the broker was set twice; the first stays");
        }
    }

    /// Cuts every connection of an agent.
    pub fn kick_agent(&self, agent: &str) {
        self.with(|line| line.kick_agent(agent));
    }

    fn with(&self, send: impl FnOnce(&dyn Line) -> Result<(), SendError>) {
        if let Some(Err(error)) = self.0.get().map(|line| send(line.as_ref())) {
            tracing::debug!(%error, "a message to an agent was not taken by the broker");
        }
    }
}

impl Outlet for BrokerOutlet {
    fn publish(&self, topic: &Topic, payload: Vec<u8>) {
        let delivery = if topic.kind == Kind::Command { Delivery::AtLeastOnce } else { Delivery::AtMostOnce };
        self.with(|line| line.publish(topic, payload, delivery));
    }

    fn kick(&self, client: &str, reason: &str) {
        tracing::info!(client, reason, "cutting a connection");
        self.with(|line| line.kick(client));
    }
}

/// The outlet, with the live sessions and a counter for each.
pub struct Downlinks {
    outlet: Arc<dyn Outlet>,
    pub live: LiveSessions,
    counters: Mutex<BTreeMap<String, ([u8; 16], u64)>>,
}

impl Downlinks {
    pub fn new(outlet: Arc<dyn Outlet>) -> Self {
        Self { outlet, live: LiveSessions::default(), counters: Mutex::default() }
    }

    /// Sends what a shard has for an agent.
    pub fn send(&self, agent: &str, down: Down) {
        match down {
            Down::Ack { session, ack } | Down::Taken { session, ack } => self.publish(agent, session, Kind::Ack, &ack),
            Down::Resync { session, resync } => self.publish(agent, session, Kind::Resync, &resync),
            Down::Live(live) => self.live.take(agent, live.map(|live| *live)),
            Down::Kick { client, reason } => self.outlet.kick(&client, &reason),
        }
    }

    /// Sends a signed command under the agent's live session.
    pub fn send_command(&self, agent: &str, session: [u8; 16], command: &Command) {
        self.publish(agent, session, Kind::Command, command);
    }

    fn publish(&self, agent: &str, session: [u8; 16], kind: Kind, body: &impl prost::Message) {
        let envelope = Envelope::new(session, self.count(agent, session), body);
        self.outlet.publish(&Topic::new(agent, kind), envelope.encode_to_vec());
    }

    /// The number of the next message down in this session, from 1.
    fn count(&self, agent: &str, session: [u8; 16]) -> u64 {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let counter = counters.entry(agent.to_owned()).or_insert((session, 0));
        if counter.0 != session {
            *counter = (session, 0);
        }
        counter.1 += 1;
        counter.1
    }
}
