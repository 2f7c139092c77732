//! Signed checkpoints of the ledger: who may have signed them, and when one is due.

use crate::access::hex;
use crate::access::keys::{SigningKey, verify};
use crate::ledger::checkpoint;
use crate::store::{StoreError, Tx};

use super::committer::CHAIN;
use watchkeep_desk::Millis;

/// A checkpoint is signed after this many facts …
pub const FACTS: u64 = 1_000;
/// … or this long after the last one, milliseconds, where anything came since.
pub const EVERY_MS: i64 = 60_000;

/// The public half, for whoever verifies.
#[derive(Clone, Debug)]
pub struct CheckpointKey {
    id: String,
    public: Vec<u8>,
}

impl CheckpointKey {
    pub fn of(key: &SigningKey) -> Self {
        Self { id: hex(&key.id()), public: key.public_key().to_vec() }
    }

    /// Whether the key of that id signed the message.
    pub fn signed(&self, id: &str, message: &[u8], signature: &[u8]) -> bool {
        id == self.id && verify(&self.public, message, signature)
    }
}

/// Signs the head of the chain where that is due.
#[derive(Debug, Default)]
pub struct Due {
    seq: u64,
    at: Millis,
}

impl Due {
    pub fn is(&self, head: u64, now: Millis) -> bool {
        head >= self.seq + FACTS || (head > self.seq && now.since(self.at) >= EVERY_MS)
    }

    /// The head was signed.
    pub fn done(&mut self, head: u64, now: Millis) {
        *self = Self { seq: head, at: now };
    }
}

/// Signs the head as it stands in this transaction.
pub fn sign(tx: &mut dyn Tx, key: &SigningKey, now: Millis) -> Result<(), StoreError> {
    checkpoint::sign(tx, CHAIN, now, &hex(&key.id()), &|message| key.sign(message)).map(drop)
}
