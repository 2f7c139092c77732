//! The gate: what the broker asks of the controller and tells it.
//!
//! The broker calls these from its connections' tasks, so none of them may wait: a stalled call starves that connection's
//! pings. What comes in is handed over to a bounded queue, or dropped and counted; the missing ack slows the agent.

use std::net::SocketAddr;

use prost::bytes::Bytes;
use watchkeep_protocol::topic::Topic;

/// Who is at the other end of a connection, by its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The certificate's common name: the agent's name.
    pub agent: String,
    /// The certificate's serial, 32 lower-case hexadecimal digits.
    pub serial: String,
    /// The client id `<agent>/<incarnation>`; one process keeps it over reconnects.
    pub client: String,
    /// The 16 hexadecimal digits of the client id: which process of the agent this is.
    pub incarnation: String,
    /// With `client` it tells one connection from the next; none through a foreign broker, where nobody who could be
    /// believed tells of connections.
    pub remote: Option<SocketAddr>,
}

/// Why a connection is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gone {
    /// The agent said DISCONNECT.
    Goodbye,
    /// The socket was closed or reset by the other side: the process ended.
    Closed,
    /// Nothing came for one and a half keep-alive intervals, or nothing went through: the link, or the whole host.
    KeepAlive,
    /// The same client id connected anew.
    TakenOver,
    /// We ended it: revoked, quarantined, the broker stops.
    Kicked,
    /// It broke the protocol: what it did, in the broker's words.
    Fault(String),
}

/// Why a connection is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the certificate with serial {serial} was revoked")]
    Revoked { serial: String },
    #[error("the certificate with serial {serial} is not the one in force for this agent")]
    NotInForce { serial: String },
    #[error("two live sessions used this name; enrol one of the hosts again")]
    Quarantined,
    #[error("no agent of this name is enrolled")]
    Unknown,
    #[error("the controller is not ready")]
    NotReady,
}

/// What became of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishVerdict {
    /// Handed over.
    Taken,
    /// The queue is full; dropped and counted.
    Full,
}

/// Something that an honest agent does not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspicion {
    /// The certificate's common name, as far as it is a name.
    pub agent: String,
    /// A stable word: `publish`, `subscribe`, `will`, `client_id`, `protocol`.
    pub kind: &'static str,
    /// What was done, quoted and cut.
    pub detail: String,
}

/// What the controller is to the broker. Nothing here may block.
pub trait Gate: Send + Sync + 'static {
    /// Whether `peer` may connect; its certificate, client id and will were judged before.
    fn connect(&self, peer: &Peer) -> Result<(), Refusal>;

    /// The connection stands.
    fn connected(&self, peer: &Peer);

    /// A publish to one of the agent's own `up/` topics, by the process with client id `client`; a will, too, when the
    /// broker publishes it.
    fn publish(&self, client: &str, topic: Topic, payload: Bytes) -> PublishVerdict;

    /// The connection is over.
    fn gone(&self, peer: &Peer, how: Gone);

    /// Something was refused that an honest agent does not do.
    fn suspicious(&self, what: Suspicion);
}

/// What the controller is to a broker that is not its own, beyond a [`Gate`]. Nothing here may block.
pub trait ForeignGate: Gate {
    /// Whether an agent of this name is enrolled. What is published in other names is passed over.
    fn is_enrolled(&self, agent: &str) -> bool;

    /// Somebody says that this session is gone. Not to be believed, only to be looked into.
    fn hinted_gone(&self, agent: &str, session: [u8; 16]);

    /// Whether the broker can be heard at all. While it cannot, nobody's silence counts.
    fn hears(&self, hears: bool);
}

/// How a message goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// QoS 0: what is said again anyhow (ack, resync).
    AtMostOnce,
    /// QoS 1: commands.
    AtLeastOnce,
}

/// The message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    #[error("as many messages as it takes already wait for the broker")]
    Full,
    #[error("the broker has stopped, or is not reached")]
    Stopped,
    #[error("no key is agreed on with this session")]
    NoKey,
}

/// The way down to agents, whichever broker carries it. Never waits.
pub trait Line: Send + Sync {
    /// Hands a message for an agent to the broker. An agent that is not connected does not get it: what must arrive is sent
    /// again by who owes it.
    ///
    /// # Errors
    /// [`SendError`]: it was not handed over.
    fn publish(&self, topic: &Topic, payload: Vec<u8>, delivery: Delivery) -> Result<(), SendError>;

    /// Ends the session with this client id.
    ///
    /// # Errors
    /// [`SendError`]: the broker was not told.
    fn kick(&self, client: &str) -> Result<(), SendError>;

    /// Ends all sessions of this agent, whatever their client id.
    ///
    /// # Errors
    /// [`SendError`]: the broker was not told.
    fn kick_agent(&self, agent: &str) -> Result<(), SendError>;
}
