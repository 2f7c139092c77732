//! Doing what the controller ordered, as far as this host allows: the privileged half of the agent.
//!
//! `watchkeep-act` is a process of its own that never touches the network. The network process hands it commands over a unix
//! socket and carries its results back; it can drop and delay them, not make or change one, since `act` itself holds the
//! controller's public keys, draws the nonces, and reads the host's policy.
//!
//! A command passes [`judge`] (shape, signature, agent, nonce, expiry, epoch, seen before, policy: in this order), is
//! written into the [`journal`] and synced, and only then carried out ([`carry`]). A command that was begun when `act` or the host went
//! down is reported at the next start as `Unknown`. Results are kept until the network process says that they are in its spool.

pub mod carry;
pub mod client;
pub mod frame;
pub mod journal;
pub mod judge;
pub mod programs;
pub mod server;

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds since boot, time asleep included: a command must not outlive its expiry in a suspended laptop, as it
/// would on the plain monotonic clock, and nobody can set this clock.
pub fn since_boot_ms() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
}

/// UTC milliseconds.
pub fn wall_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
