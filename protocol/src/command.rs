//! Commands and their results.
//!
//! A command is signed over [`SIGNING_CONTEXT`] followed by the exact bytes of its body, so that both sides agree on what
//! was signed without a canonical encoding. It is bound to one agent, run, step and attempt, to the nonce that the agent's
//! `act` drew, and to an epoch; it expires on the agent's monotonic clock.

use std::collections::BTreeMap;

use prost::{Message, Oneof};

/// Goes before the body in what is signed.
pub const SIGNING_CONTEXT: &[u8] = b"watchkeep command v1\0";

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Command {
    /// An encoded [`CommandBody`].
    #[prost(bytes = "vec", tag = "1")]
    pub body: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    pub signatures: Vec<Signature>,
}

/// An Ed25519 signature (64 bytes) by the key of this id (the first 8 bytes of SHA-256 of the public key).
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Signature {
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub signature: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct CommandBody {
    /// 16 bytes, derived from run, step, attempt and target; an agent never carries out the same id twice.
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
    /// The agent's name, as in its certificate.
    #[prost(string, tag = "2")]
    pub agent: String,
    /// For people and the ledger: `RUN-12`.
    #[prost(string, tag = "3")]
    pub run: String,
    #[prost(uint32, tag = "4")]
    pub step: u32,
    /// From 1.
    #[prost(uint32, tag = "5")]
    pub attempt: u32,
    #[prost(bytes = "vec", tag = "6")]
    pub plan_hash: Vec<u8>,
    #[prost(uint64, tag = "7")]
    pub epoch: u64,
    #[prost(bytes = "vec", tag = "8")]
    pub session_nonce: Vec<u8>,
    /// Milliseconds after the nonce was drawn, on the agent's monotonic clock, from which on this is refused.
    #[prost(uint64, tag = "9")]
    pub expires_after_ms: u64,
    /// How long the action itself may take.
    #[prost(uint64, tag = "10")]
    pub timeout_ms: u64,
    #[prost(oneof = "Action", tags = "11, 12, 13, 14, 15")]
    pub action: Option<Action>,
}

/// What may be done to a host.
#[derive(Clone, PartialEq, Eq, Oneof)]
pub enum Action {
    #[prost(message, tag = "11")]
    Run(Run),
    #[prost(message, tag = "12")]
    Service(Service),
    #[prost(message, tag = "13")]
    Script(Script),
    #[prost(message, tag = "14")]
    Package(Package),
    #[prost(message, tag = "15")]
    File(File),
}

/// A program with its arguments; never a shell. `argv[0]` without a slash resolves on the host's fixed PATH.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Run {
    #[prost(string, repeated, tag = "1")]
    pub argv: Vec<String>,
    #[prost(btree_map = "string, string", tag = "2")]
    pub environment: BTreeMap<String, String>,
}

/// A systemd unit brought to a state: `started`, `stopped`, `restarted`, `reloaded`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Service {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub state: String,
}

/// A script, which its interpreter reads from a file: `argv` is the interpreter and its options, the file's path and `arguments`
/// follow. What varies travels in the arguments, so that the content has one hash, which a policy can name.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Script {
    /// As of [`Run`].
    #[prost(string, repeated, tag = "1")]
    pub argv: Vec<String>,
    #[prost(string, tag = "2")]
    pub content: String,
    #[prost(string, repeated, tag = "3")]
    pub arguments: Vec<String>,
}

/// Packages of the host's own package manager brought to a state: `present`, `latest`, `absent`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Package {
    #[prost(string, repeated, tag = "1")]
    pub names: Vec<String>,
    #[prost(string, tag = "2")]
    pub state: String,
}

/// A file brought to a state: `file`, `directory`, `absent`. What is not said is left as it is, and of a new one as the system
/// makes it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct File {
    /// Absolute, without `.` and `..`.
    #[prost(string, tag = "1")]
    pub path: String,
    #[prost(string, tag = "2")]
    pub state: String,
    /// Of a file: the whole of it.
    #[prost(string, optional, tag = "3")]
    pub content: Option<String>,
    /// Permission bits, at most 0o7777.
    #[prost(uint32, optional, tag = "4")]
    pub mode: Option<u32>,
    /// A user's name or number.
    #[prost(string, tag = "5")]
    pub owner: String,
    /// A group's name or number.
    #[prost(string, tag = "6")]
    pub group: String,
}

/// What became of a command; a matter, so it is never lost.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CommandResult {
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
    #[prost(enumeration = "Outcome", tag = "2")]
    pub outcome: i32,
    /// The exit status where a process ended; negative: the signal that ended it.
    #[prost(sint32, optional, tag = "3")]
    pub exit: Option<i32>,
    #[prost(bytes = "vec", tag = "4")]
    pub stdout: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub stderr: Vec<u8>,
    /// Bytes of output that were cut.
    #[prost(uint64, tag = "6")]
    pub cut: u64,
    #[prost(sint64, tag = "7")]
    pub started_ms: i64,
    #[prost(sint64, tag = "8")]
    pub finished_ms: i64,
    /// For `Refused`: the reason, with the policy line that said no; for `Failed`: what went wrong.
    #[prost(string, tag = "9")]
    pub reason: String,
    /// A stable word for a refusal: `signature`, `agent`, `replayed`, `expired`, `epoch`, `nonce`, `policy`, `malformed`.
    #[prost(string, tag = "10")]
    pub refusal: String,
    /// Whether the host was changed: `service` started what was already running is `false`.
    #[prost(bool, tag = "11")]
    pub changed: bool,
    /// What the command said of itself, so that a refusal of something never ordered can still be told.
    #[prost(string, tag = "12")]
    pub run: String,
    #[prost(uint32, tag = "13")]
    pub step: u32,
    #[prost(uint32, tag = "14")]
    pub attempt: u32,
    /// The line of the host's policy that allowed it (`policy.yaml:4 allows service nginx.service restarted`); empty where
    /// it was refused, or where the agent does not say.
    #[prost(string, tag = "15")]
    pub policy: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Outcome {
    /// It was started and nobody knows how it ended (the host or `act` went down in the middle).
    Unknown = 0,
    Done = 1,
    Failed = 2,
    TimedOut = 3,
    /// It was not started; `refusal` and `reason` say why.
    Refused = 4,
}

/// What is signed: the context, then the body as it travels.
pub fn signed_bytes(body: &[u8]) -> Vec<u8> {
    [SIGNING_CONTEXT, body].concat()
}
