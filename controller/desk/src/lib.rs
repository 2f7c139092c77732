//! Every decision of the controller, pure.
//!
//! [`Desk::decide`] takes one [`Input`] and what is known, and returns a [`Decision`]: facts for the ledger, effects owed
//! to the world, and the records that changed. Time, order and configuration are handed in with the input; ids derive from
//! (input, ordinal); maps are walked in order. The same inputs give the same bytes.
//!
//! A folder a practice: [`incidents`], [`problems`], [`changes`], [`runbooks`], [`silences`], [`cmdb`]. They speak to each other through facts and the
//! narrow functions named in each folder's `mod.rs`, never through each other's fields.

// What a pure decision may not touch, and what to use instead, is in clippy.toml beside Cargo.toml.
#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

mod acts;
mod agents;
pub mod changes;
pub mod cmdb;
pub mod config;
pub mod decision;
pub mod desk;
mod estate;
pub mod explain;
pub mod fact;
pub mod flow;
pub mod ids;
pub mod incidents;
mod index;
pub mod input;
pub mod note;
pub mod problems;
pub mod runbooks;
pub mod silences;
pub mod time;
mod timers;
mod words;
mod work;

pub use config::Config;
pub use decision::{Decision, Effect, Record, Refusal, Timer, TimerKind};
pub use desk::Desk;
pub use fact::{Actor, Fact, FactBody, Reason, Subject};
pub use input::{Input, InputBody};
pub use note::Note;
pub use time::Millis;
pub use words::UnknownWord;
