//! How a session begins and is kept going: hello, ack, resync.

use prost::Message;

/// The numbers `first..next` that a stream still holds; `first == next` says that it holds none.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Span {
    #[prost(uint64, tag = "1")]
    pub first: u64,
    #[prost(uint64, tag = "2")]
    pub next: u64,
}

/// The agent's first message of a session, and again whenever what it says changes.
#[derive(Clone, PartialEq, Message)]
pub struct Hello {
    /// The random id of the spool (16 bytes) under which both streams are numbered.
    #[prost(bytes = "vec", tag = "1")]
    pub spool: Vec<u8>,
    #[prost(message, required, tag = "2")]
    pub matters: Span,
    #[prost(message, required, tag = "3")]
    pub samples: Span,
    /// The agent's clock, UTC milliseconds; the controller fixes the offset for the session from it.
    #[prost(sint64, tag = "4")]
    pub clock_ms: i64,
    #[prost(uint32, tag = "5")]
    pub interval_ms: u32,
    #[prost(string, tag = "6")]
    pub version: String,
    #[prost(string, tag = "7")]
    pub hostname: String,
    /// Commands are bound to this nonce (16 bytes, drawn by `act`); empty where nothing may be done to this host.
    /// A command's expiry counts in milliseconds from the instant it was drawn, on the agent's monotonic clock.
    #[prost(bytes = "vec", tag = "8")]
    pub command_nonce: Vec<u8>,
    /// The highest epoch that this host has taken a command of.
    #[prost(uint64, tag = "9")]
    pub epoch: u64,
    /// SHA-256 of the host's policy file; the controller shows it, and cannot change it.
    #[prost(bytes = "vec", tag = "10")]
    pub policy_hash: Vec<u8>,
    /// Not in use: keys are agreed on before hello, see [`crate::agreement`].
    #[prost(bytes = "vec", tag = "11")]
    pub key_share: Vec<u8>,
    /// Labels that the host gives itself: claims, never used by rights, guards or routing.
    #[prost(btree_map = "string, string", tag = "12")]
    pub claims: std::collections::BTreeMap<String, String>,
    /// The kernel's boot id (`/proc/sys/kernel/random/boot_id`).
    #[prost(string, tag = "13")]
    pub boot_id: String,
    /// Until the controller has answered: from where on nothing was ever sent under this spool id, by this process or by
    /// those before it that were not answered. A controller that has taken something from there on took it from another
    /// past: the host was put back to a snapshot, or cloned. Without it that holds from the ends of both streams on.
    #[prost(message, optional, tag = "14")]
    pub unsent: Option<Unsent>,
}

/// Numbers of both streams from which on nothing was sent.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Unsent {
    #[prost(uint64, tag = "1")]
    pub matters: u64,
    #[prost(uint64, tag = "2")]
    pub samples: u64,
}

impl Hello {
    /// As in [`Hello::unsent`], also where it is absent.
    pub fn unsent_from(&self) -> Unsent {
        self.unsent.unwrap_or(Unsent { matters: self.matters.next, samples: self.samples.next })
    }
}

/// What the controller has taken, and how much more it takes.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Ack {
    #[prost(bytes = "vec", tag = "1")]
    pub spool: Vec<u8>,
    /// Matters below this number are committed and may be deleted.
    #[prost(uint64, tag = "2")]
    pub matters: u64,
    /// Reports below this number need not be sent again …
    #[prost(uint64, tag = "3")]
    pub taken: u64,
    /// … and below this one may be deleted.
    #[prost(uint64, tag = "4")]
    pub sealed: u64,
    /// Messages that may be under way unacknowledged.
    #[prost(uint32, tag = "5")]
    pub credit: u32,
    /// The controller's clock, UTC milliseconds.
    #[prost(sint64, tag = "6")]
    pub now_ms: i64,
    /// Not in use: keys are agreed on before hello, see [`crate::agreement`].
    #[prost(bytes = "vec", tag = "7")]
    pub key_share: Vec<u8>,
}

/// What the controller asks an agent to say again.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Resync {
    /// Layout ids that it does not know.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub layouts: Vec<Vec<u8>>,
    /// Inventory sections to send whole; `*` asks for all.
    #[prost(string, repeated, tag = "2")]
    pub sections: Vec<String>,
    /// The spool was seen with other content under the same numbers (restored or cloned host): draw a new spool id and
    /// number again what is held, losing nothing.
    #[prost(bool, tag = "3")]
    pub new_spool: bool,
    /// No hello of this session is known (the controller started again): say hello.
    #[prost(bool, tag = "4")]
    pub hello: bool,
    /// A sentence for the agent's log.
    #[prost(string, tag = "5")]
    pub reason: String,
    /// Reports that were lost on the way. The agent sends those of them again that it holds; the report after what it does
    /// not hold says so ([`crate::Report::skipped`]).
    #[prost(message, repeated, tag = "6")]
    pub reports: Vec<Span>,
}
