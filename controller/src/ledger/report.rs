//! What `watchkeep audit verify` says.

use std::fmt;

use serde::Serialize;

use super::Head;

/// What was found on walking the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub chains: Vec<ChainReport>,
    /// The first place of each chain that does not hold, and what belongs to no chain; empty: all of it holds.
    pub faults: Vec<Fault>,
}

/// One chain, as far as it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChainReport {
    /// The last entry that holds.
    pub head: Head,
    /// Entries that hold.
    pub entries: u64,
    /// Those whose body was erased; their hash stands.
    pub erased: u64,
    /// Signed heads that hold.
    pub checkpoints: u64,
}

/// A place that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    pub chain: String,
    /// The entry's sequence, as found.
    pub seq: i64,
    pub field: Field,
    /// What was found there, as the rest of a sentence.
    pub found: String,
}

/// Which part of an entry does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// An entry is missing, or stands where none belongs.
    Sequence,
    /// It does not follow the entry before.
    Link,
    /// A column of the entry, or its hash.
    Header,
    /// The body or its salt.
    Body,
    /// A signed head.
    Checkpoint,
}

impl Report {
    pub fn holds(&self) -> bool {
        self.faults.is_empty()
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sequence => "sequence",
            Self::Link => "link",
            Self::Header => "header",
            Self::Body => "body",
            Self::Checkpoint => "checkpoint",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chain \"{}\", entry {}, {}: {}", self.chain, self.seq, self.field, self.found)
    }
}

impl fmt::Display for ChainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |number: u64, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
        write!(
            f,
            "chain \"{}\": {} to {}",
            self.head.chain,
            count(self.entries, "entry", "entries"),
            self.head.short()
        )?;
        if self.erased > 0 {
            write!(f, ", {} erased and their hashes kept", count(self.erased, "body", "bodies"))?;
        }
        match self.checkpoints {
            0 => f.write_str(", no signed checkpoint"),
            number => write!(f, ", {}", count(number, "signed checkpoint", "signed checkpoints")),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.holds(), self.chains.is_empty()) {
            (true, true) => "the ledger is empty",
            (true, false) => "the ledger holds",
            (false, _) => "the ledger does not hold",
        })?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))?;
        let as_far = if self.holds() { "" } else { "holds as far as: " };
        self.chains.iter().try_for_each(|chain| write!(f, "\n  {as_far}{chain}"))
    }
}
