//! The controller and the operator's command line.
//!
//! The body around [`watchkeep_desk`]: what comes in ([`fleet`], [`ingest`], [`detect`], [`api`]), where it is kept
//! ([`store`], [`ledger`]), what goes out ([`notify`], [`fleet`]) and who may ([`access`]). [`core`] ties them into one
//! step function; the runtime around it is thin.

pub mod access;
pub mod api;
pub mod brokers;
pub mod cli;
pub mod controller;
pub mod core;
pub mod detect;
pub mod fleet;
pub mod generation;
pub mod ingest;
pub mod ledger;
pub mod metrics;
pub mod notify;
pub mod remote_write;
pub mod replay;
pub mod samples;
pub mod store;
pub mod up;
