//! Topics: `watchkeep/v1/<shard>/<agent>/up|down/<kind>`.

use std::fmt;

use sha2::{Digest, Sha256};

/// Shards are a constant of the wire, so that plain subscriptions divide a fleet.
pub const SHARDS: u32 = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    Up,
    Down,
}

/// What a topic carries. Up: hello, layout, report, event, inventory, result, status, will, open, proof. Down: ack, resync,
/// command, offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Hello,
    Layout,
    Report,
    Event,
    Inventory,
    Result,
    Status,
    Will,
    Ack,
    Resync,
    Command,
    /// Open, offer, proof: see [`crate::agreement`]; through a foreign broker alone.
    Open,
    Offer,
    Proof,
}

/// All kinds with their word and direction: the one list.
pub const KINDS: [(Kind, &str, Direction); 14] = [
    (Kind::Hello, "hello", Direction::Up),
    (Kind::Layout, "layout", Direction::Up),
    (Kind::Report, "report", Direction::Up),
    (Kind::Event, "event", Direction::Up),
    (Kind::Inventory, "inventory", Direction::Up),
    (Kind::Result, "result", Direction::Up),
    (Kind::Status, "status", Direction::Up),
    (Kind::Will, "will", Direction::Up),
    (Kind::Ack, "ack", Direction::Down),
    (Kind::Resync, "resync", Direction::Down),
    (Kind::Command, "command", Direction::Down),
    (Kind::Open, "open", Direction::Up),
    (Kind::Offer, "offer", Direction::Down),
    (Kind::Proof, "proof", Direction::Up),
];

/// A topic, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub agent: String,
    pub kind: Kind,
}

impl Kind {
    pub fn word(self) -> &'static str {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, word, _)| word)
    }

    pub fn direction(self) -> Direction {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or(Direction::Up, |(.., direction)| *direction)
    }
}

impl Topic {
    pub fn new(agent: impl Into<String>, kind: Kind) -> Self {
        Self { agent: agent.into(), kind }
    }

    /// Reads a topic name; `None` where it is not one of ours, names the wrong shard or the wrong direction.
    pub fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('/');
        let (root, version, shard) = (parts.next()?, parts.next()?, parts.next()?);
        let (agent, direction, word) = (parts.next()?, parts.next()?, parts.next()?);
        if root != "watchkeep" || version != "v1" || parts.next().is_some() || !is_agent_name(agent) {
            return None;
        }
        if shard != shard_of(agent).to_string() {
            return None;
        }
        let (kind, _, of) = KINDS.iter().find(|(_, known, _)| *known == word)?;
        (direction == if *of == Direction::Up { "up" } else { "down" }).then(|| Self::new(agent, *kind))
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.kind.direction() == Direction::Up { "up" } else { "down" };
        write!(f, "watchkeep/v1/{}/{}/{way}/{}", shard_of(&self.agent), self.agent, self.kind.word())
    }
}

/// The filter that an agent subscribes to: everything that comes down to it.
pub fn down_filter(agent: &str) -> String {
    format!("watchkeep/v1/{}/{agent}/down/+", shard_of(agent))
}

/// The shard of an agent: the first byte of SHA-256 of its name.
pub fn shard_of(agent: &str) -> u32 {
    u32::from(Sha256::digest(agent.as_bytes())[0]) % SHARDS
}

/// A name fit for a certificate, a topic and a label: lower-case letters, digits, dots and hyphens, not at the ends.
pub fn is_agent_name(name: &str) -> bool {
    let edge = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    !name.is_empty()
        && name.len() <= crate::limits::AGENT_BYTES
        && name.bytes().all(|b| edge(&b) || b == b'.' || b == b'-')
        && name.as_bytes().first().is_some_and(edge)
        && name.as_bytes().last().is_some_and(edge)
}
