//! The model broker: one connection an agent as each side believes in it, last wills, and a network that loses, delays,
//! doubles and reorders, or is cut without a word.

use std::net::SocketAddr;

use watchkeep::fleet::gate::Peer;

use crate::chance::Chance;

/// A connection of which nothing was heard for so long is over: one and a half keep-alives.
pub const KEEP_ALIVE: u64 = 30_000;
/// Between the end of a connection and its will.
pub const WILL_DELAY: u64 = 5_000;

/// What the broker knows of one agent, and the line between them.
#[derive(Default)]
pub struct Line {
    /// The connection that stands, as the broker believes.
    pub taken: Option<Taken>,
    /// Cut until then: nothing passes, and nobody is told.
    pub cut_until: u64,
}

/// One connection at the broker.
#[derive(Clone, Debug)]
pub struct Taken {
    pub connection: u64,
    pub peer: Peer,
    pub session: [u8; 16],
    pub heard_at: u64,
}

/// How bad the network is, drawn once a seed; each of a thousand.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    pub lost: u64,
    pub doubled: u64,
    /// Most of the delay, ms; messages overtake each other within it.
    pub delay: u64,
}

impl Weather {
    pub fn drawn(chance: &mut Chance) -> Self {
        Self { lost: chance.below(120), doubled: chance.below(80), delay: 5 + chance.below(900) }
    }

    pub const CALM: Self = Self { lost: 0, doubled: 0, delay: 20 };

    /// When each copy of a message arrives, ms from now; none: it is lost.
    pub fn arrivals(&self, chance: &mut Chance) -> Vec<u64> {
        if chance.below(1_000) < self.lost {
            return Vec::new();
        }
        let copies = if chance.below(1_000) < self.doubled { 2 } else { 1 };
        (0..copies).map(|_| 1 + chance.below(self.delay)).collect()
    }
}

/// Who connects, as the broker's gate would tell it.
pub fn peer(agent: &str, serial: &str, client: &str, connection: u64) -> Peer {
    let incarnation = client.rsplit('/').next().unwrap_or_default().to_owned();
    let remote = Some(SocketAddr::from(([127, 0, 0, 1], 10_000 + (connection % 50_000) as u16)));
    Peer { agent: agent.to_owned(), serial: serial.to_owned(), client: client.to_owned(), incarnation, remote }
}
