//! The fleet's side of the controller: the broker that agents connect to, how they enrol, what is known of their sessions,
//! and how commands are signed and sent to them.
//!
//! - [`broker`]: the embedded MQTT broker behind [`gate::Gate`]; nothing of its library leaves that folder.
//! - [`foreign`]: a broker of another make behind the same gate; every message through it is sealed.
//! - [`acl`]: which topics are an agent's own. Plain functions.
//! - [`enrol`]: the HTTPS listener where a host becomes an agent.
//! - [`session`]: what is known of each agent's session; a step function.
//! - [`sign`], [`dispatch`]: from an order in the outbox to a signed command under way; step functions.

pub mod acl;
pub mod broker;
pub mod dispatch;
pub mod enrol;
pub mod foreign;
pub mod gate;
pub mod session;
pub mod sign;
