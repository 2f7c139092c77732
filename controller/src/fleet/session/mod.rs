//! What is known of one agent's sessions: who speaks for it, whether it is there, and why it is not.
//!
//! A step function over what the broker tells and what the agent says, with the time handed in. A process of an agent is an
//! incarnation; its session nonce begins with the same 8 bytes that its client id ends with. The newest incarnation speaks
//! for the agent. One that a newer followed and that still speaks a while after is a clone: both are quarantined, since
//! nobody can tell which is the host that was enrolled.
//!
//! | lost because | when |
//! |---|---|
//! | `goodbye` | it said DISCONNECT |
//! | `agent_down` | its socket was closed and it is not back after 5 s; or its last will came; or it is connected and silent |
//! | `link_down` | its keep-alive ran out; or it is silent, and not connected either |
//! | `quarantined` | two live sessions |
//!
//! Through a foreign broker the agent's own sealed messages are all there is: `goodbye` is one of them, everything else is
//! `link_down` by silence. A will that comes there may be anybody's and only shortens the patience to one interval.
//!
//! Silence is three missed intervals, and is not judged while the controller has just started or is behind.

mod presence;
mod suspicions;
#[cfg(test)]
mod tests;

use watchkeep_desk::Millis;
use watchkeep_desk::input::AgentEvent;
use watchkeep_protocol::Hello;

use super::gate::{Gone, Peer, Suspicion};

pub use presence::Presence;

/// What happened to an agent.
#[derive(Clone, Copy, Debug)]
pub enum Heard<'a> {
    /// The broker let a connection in.
    Connected(&'a Peer),
    /// The broker says that a connection is over.
    Gone { peer: &'a Peer, how: &'a Gone },
    /// A message came: the client id that the broker vouches for (none through a foreign broker), and the session that the
    /// message names.
    Message { client: Option<&'a str>, session: [u8; 16] },
    /// The same, and it was a hello.
    Hello { client: Option<&'a str>, session: [u8; 16], hello: &'a Hello },
    /// The broker sent the last will of this session.
    Will { session: [u8; 16] },
    /// Through a foreign broker somebody says that this session is gone.
    Hint { session: [u8; 16] },
    /// The broker refused something that an honest agent does not do.
    Suspicious(&'a Suspicion),
    /// Time passed. `behind`: the controller has not yet read what came in, so nobody's silence counts.
    Tick { behind: bool },
}

/// What follows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Whether the message may be taken; one that is not gets no answer.
    pub taken: bool,
    /// For the desk, in this order, with the instant of the step.
    pub events: Vec<AgentEvent>,
    /// Connections to end.
    pub kicks: Vec<Kick>,
}

/// A connection to end, by its client id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kick {
    pub client: String,
    pub reason: &'static str,
}

/// A session that has said hello and is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    pub session: [u8; 16],
    /// Commands are bound to it; empty where nothing may be done to this host.
    pub nonce: Vec<u8>,
    /// When this nonce was first heard of.
    pub nonce_at: Millis,
    /// The highest epoch that the host has taken a command of.
    pub epoch: u64,
    /// Added to the agent's times; fixed at the session's first hello.
    pub offset_ms: i64,
    pub interval_ms: i64,
    /// Hexadecimal.
    pub spool: String,
    pub version: String,
}
