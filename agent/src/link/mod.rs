//! The way to the controller: what is said, when, and again.
//!
//! [`Link`] is a step function: it is told what happened (connected, a message came, time passed, something was spooled)
//! with the time and chance of the moment, and answers with what to do (connect, publish, reconnect). It owns no socket and
//! reads no clock; [`runtime`] carries it over MQTT, simulations over a model broker.
//!
//! 1. After connecting it says hello and waits for an ack, which gives the marks to send from and the credit.
//! 2. Then both streams flow from the marks, never more than `credit` messages unacknowledged. Delivery is ours: everything
//!    goes at QoS 0, and what is not acknowledged in time is sent again from the mark, at growing intervals.
//! 3. A link on which nothing comes back is dropped and made anew, whether or not the network says that it is broken.
//! 4. A layout goes once a connection before the first report that names it, and whenever the controller asks for it.
//! 5. Through a broker that is not the controller's own, a key is agreed on before hello, and everything carries its MAC.

mod layouts;
pub mod line;
mod machine;
pub mod runtime;
mod seal;
mod sealed;

use std::collections::BTreeMap;

use watchkeep_protocol::Command;

use crate::spool::Spool;
pub use machine::Link;
pub use seal::Credentials;

/// What the link needs to know of this agent; the rest of a hello comes from the spool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Greeting {
    pub interval_ms: u32,
    pub version: String,
    pub hostname: String,
    pub boot_id: String,
    /// Drawn by `act`; empty where nothing may be done to this host.
    pub command_nonce: Vec<u8>,
    pub epoch: u64,
    pub policy_hash: Vec<u8>,
    pub claims: BTreeMap<String, String>,
}

/// What happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// The broker took us and our subscription.
    Connected,
    /// The connection ended, or did not come about.
    Disconnected,
    /// A message came down.
    Incoming { topic: &'a str, payload: &'a [u8] },
    /// Something was spooled.
    Available,
    /// Time passed; due at [`Link::next_due`].
    Tick,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Connect, after so many milliseconds.
    Connect { after_ms: u64 },
    /// Drop the connection at once, then connect after so many milliseconds.
    Reconnect { after_ms: u64, why: &'static str },
    /// Publish at QoS 0.
    Publish { topic: String, payload: Vec<u8> },
    /// Hand this to `act`.
    Command(Command),
    /// Report these sections of the inventory whole; `*` asks for all.
    Sections(Vec<String>),
    /// The controller's marks moved; matters may have been let go.
    Acked,
    /// For the log.
    Note(String),
}

/// Time, chance and disk of one step.
pub struct World<'a, D> {
    /// Monotonic milliseconds.
    pub now: u64,
    /// UTC milliseconds.
    pub wall_ms: i64,
    /// 64 random bits a call.
    pub chance: &'a mut dyn FnMut() -> u64,
    pub spool: &'a mut Spool<D>,
}

impl<D> World<'_, D> {
    /// 16 random bytes.
    fn draw(&mut self) -> [u8; 16] {
        let (high, low) = ((self.chance)(), (self.chance)());
        (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
    }
}

/// The MQTT client id: `<agent>/<16 hexadecimal digits of the session>`.
pub fn client_id(agent: &str, session: &[u8; 16]) -> String {
    let incarnation: String = session[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{agent}/{incarnation}")
}

#[cfg(test)]
mod sealed_tests;
#[cfg(test)]
mod tests;
