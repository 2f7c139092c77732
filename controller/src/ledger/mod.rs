//! The ledger: one chain a writer, gapless in commit order, each entry's hash over the one before.
//!
//! | to | call |
//! |---|---|
//! | append an input's facts, in its transaction | [`append`] |
//! | sign a chain's head | [`checkpoint::sign`] |
//! | erase a body, leaving its hash | [`erase()`], [`erase_before`] |
//! | walk it all and find what does not hold | [`verify()`] |
//! | read it: a feed with a cursor, a subject's story | [`facts`], [`story`] |
//! | keep inputs for replay | [`inputs::InputLog`] |
//!
//! **How an entry is hashed.** SHA-256 over the text `watchkeep ledger 1` and then the entry's columns in the order of the
//! table: chain, seq, happened_at, learned_at, subject_kind, subject_id, actor, kind, cause, ordinal, generation,
//! body_hash, prev. Text and bytes stand behind their length (8 bytes, big-endian); a number is 8 bytes, big-endian, two's
//! complement, behind the length 8. `prev` is the hash of the entry before, 32 zeros for the first.
//!
//! **The body** is the fact as JSON, kept beside the entry with its salt. `body_hash` is HMAC-SHA256 of the body under the
//! salt, so that a body can be erased, salt and all, and its hash tells nobody what it was. The salt is the first half of
//! HMAC-SHA256 of (chain, seq) under a secret of the installation, [`LedgerSecret`]: replaying inputs gives the same
//! bytes, and who has the database without the secret cannot guess. Who has the secret can test guesses of what was
//! erased: it stays in a file of its own, never in the database or its backups.

mod append;
pub mod checkpoint;
mod entry;
mod erase;
pub mod inputs;
mod read;
mod report;
mod secret;
mod verify;

pub use append::{Head, append, head};
pub use erase::{erase, erase_before, erase_output};
pub(crate) use inputs::crc32c;
pub use read::{Cursor, CursorError, Direction, Entry, Filter, LIMIT_MAX, NEWEST, SubjectRef, bodies, facts, story};
pub use report::{ChainReport, Fault, Field, Report};
pub use secret::LedgerSecret;
pub use verify::{SignedBy, verify, walk};

/// The chain that the desk writes.
pub const DESK: &str = "desk";
