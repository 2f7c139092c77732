//! The core: shards, the desk and the store, tied into one loop.
//!
//! - [`committer::Committer`]: the desk with its store; takes a group of work, decides it and commits it in one
//!   transaction. A step function: the simulation drives it as the engine does.
//! - [`engine`]: the threads around it: a worker for each share of the shards, one thread for the desk.
//! - [`handle::Handle`]: what the rest of the controller asks of it.
//! - [`outlet`]: the way down to agents.
//! - [`outside`]: the way in for alerts that others make.
//!
//! - [`retention`]: what is older than its term is erased.
//! - [`rule_board`]: which rules fail, for everybody to see.
//! - [`aside`]: input that makes commits fail is found and set aside.
//!
//! A failed commit leaves memory ahead of the store, so everything in memory is dropped and read back. Where that does not
//! help, or another controller took over, the engine ends, and the controller with it.

mod across;
pub mod aside;
pub mod carrier;
pub mod checkpoints;
pub mod clock;
pub mod committer;
pub mod engine;
pub mod gate;
pub mod handle;
mod hosts;
pub mod live;
pub mod outlet;
pub mod outside;
pub mod registry;
pub mod retention;
pub mod rule_board;

#[cfg(test)]
mod tests;
