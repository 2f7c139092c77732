//! What the tests across the crates stand on: real hosts, the built programs, and receivers that check what they get.
//!
//! Everything here is synchronous, starts on free ports and in temporary folders, and takes down what it started, also
//! when a test panics.

pub mod agent;
pub mod bench;
pub mod between;
pub mod built;
pub mod captured;
pub mod chance;
pub mod controller;
pub mod fleet;
pub mod host;
pub mod inside;
pub mod ledger;
pub mod mosquitto;
pub mod process;
pub mod reading;
pub mod rulebook;
pub mod simulation;
pub mod wait;
pub mod webhook;

pub use agent::Agent;
pub use controller::{Controller, Setup};
pub use host::Host;
