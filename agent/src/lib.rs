//! The agent: what runs on every host.
//!
//! [`enrol`] gives it an identity.

pub mod enrol;
