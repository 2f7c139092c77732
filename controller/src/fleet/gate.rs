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
    /// With `client` it tells one connection from the next.
    pub remote: SocketAddr,
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
