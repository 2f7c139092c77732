//! Ingest: what agents publish becomes proposals for the desk.
//!
//! A [`Shard`] owns its hosts and shares nothing: their spool marks, their newest samples, their rules' states. It is a
//! step function: one message or tick in, one [`Proposal`] out, with the time handed in. Its memory is ahead of the store
//! until the proposal is committed; acknowledgements therefore travel inside the proposal and go out after the commit. If a
//! commit fails, shards are dropped and read back ([`Shard::restore`]).

mod arrived;
mod host;
mod inventory;
mod marks;
mod matter;
mod proposal;
mod report;
mod shard;

pub use host::{Host, HostRow, KeptHost};
pub use marks::{Mark, Numbered};
pub use matter::{hexadecimal, unhexadecimal};
pub use proposal::{Down, Proposal};
pub use shard::{Incoming, Shard};

#[cfg(test)]
mod recovery_tests;
#[cfg(test)]
mod tests;
