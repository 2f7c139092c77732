//! The agent: what runs on every host.
//!
//! [`enrol`] gives it an identity; [`spool`] keeps what it has to say until it was heard.

pub mod enrol;
pub mod spool;
