//! The whole system in one thread, from one seed: agents, their spools and disks, the network, the broker, the controller
//! with its store, and everything that can go wrong with them, under a virtual clock.
//!
//! What runs is the product's own code: the agent's `Link` and `Spool`, `act`'s judge and journal, the controller's
//! `Shard`, `Committer`, `Dispatcher`, input log, desk and ledger over SQLite. What is modelled is what lies between: the
//! broker and its connections ([`broker`]), the disk (the agent's own model of one), actions that only take time ([`act`]),
//! and the loops around the step functions ([`host`], [`controller`]), which follow `agent::run` and `core::engine`.
//!
//! A storm of faults is followed by calm; [`invariants`] are checked all the while, and what must be true in the end once
//! everybody has said everything. The same seed gives the same story, told by a [`timeline`] where an invariant breaks.

mod act;
mod broker;
mod controller;
mod host;
mod invariants;
mod shared;
mod timeline;
mod world;

pub use invariants::End;
pub use world::{Failure, run};
