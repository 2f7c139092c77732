//! What agent and controller say to each other.
//!
//! Messages travel over MQTT as an [`Envelope`] around one protobuf message; the topic's kind says which
//! (`watchkeep/v1/<shard>/<agent>/up|down/<kind>`, see [`topic`]). This crate does no I/O, reads no clock and draws no
//! chance: keys, nonces and times are handed in, and the signature primitive is the caller's (ring in the agent,
//! aws-lc-rs in the controller).
//!
//! Compatibility: tags are never reused; unknown fields are skipped; the golden files in `tests/golden` bind from 0.1.0.

pub mod agreement;
pub mod check;
pub mod command;
pub mod envelope;
pub mod inventory;
pub mod layout;
pub mod limits;
pub mod mac;
pub mod matter;
pub mod renewal;
pub mod session;
pub mod token;
pub mod topic;

pub use agreement::{Agreement, Offer, Open, Proof};
pub use check::Check;
pub use command::{Action, Command, CommandBody, CommandResult, Outcome, Signature};
pub use envelope::{Envelope, WireError};
pub use inventory::{Inventory, Item, Relation};
pub use layout::{Block, Layout, LayoutChange, Metric, MetricKind, Report, Row, Template};
pub use mac::{CounterWindow, SessionKey};
pub use matter::{Event, Matter, MatterBody, Status, Will};
pub use session::{Ack, Hello, Resync, Span, Unsent};
