//! The agent: what runs on every host.
//!
//! [`collect`] reads metrics, [`observe`] hears of events, [`discover`] lists what is there.
//! [`scrape`] asks exporters that are here already, [`checks`] look at what should answer, [`logs`] follow what is written,
//! [`usage`] tells who uses the host; [`gather`] does it all at their pace, and brings what they say into the layout.
//! [`enrol`] gives it an identity; [`spool`] keeps what it has to say until it was heard; [`link`] says it.
//! [`act`] does what the controller ordered and [`policy`] allows, in a process of its own.
//! [`run`] is the life of the agent, and [`event`] the door for events from other programs of the host.

pub mod act;
pub mod certificate;
pub mod checks;
pub mod cli;
pub mod collect;
pub mod config;
pub mod discover;
pub mod enrol;
pub mod event;
pub mod gather;
pub mod glob;
pub mod http;
pub mod link;
pub mod logs;
pub mod observe;
pub mod policy;
pub mod root;
pub mod run;
pub mod scrape;
pub mod spool;
pub mod usage;
pub mod yaml;
