//! What the tests across the crates stand on: real hosts, the built programs, and receivers that check what they get.
//!
//! Everything here is synchronous, starts on free ports and in temporary folders, and takes down what it started, also
//! when a test panics.

pub mod built;
pub mod host;
pub mod wait;
pub mod webhook;

pub use host::Host;
