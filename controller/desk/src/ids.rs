//! Every id is its own type, declared in one list.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Why a text is no id of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{found}\" is not the id of {a_kind}; it looks like {example}")]
pub struct IdError {
    pub found: String,
    pub a_kind: &'static str,
    pub example: &'static str,
}

macro_rules! numbered {
    ($($name:ident $prefix:literal $a_kind:literal;)*) => {$(
        #[doc = concat!("The number of ", $a_kind, ", from 1, given serially at the desk; written `", $prefix, "-7`.")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "-{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            /// Takes `PREFIX-7` in either case, and the bare number.
            fn from_str(text: &str) -> Result<Self, IdError> {
                let upper = text.to_ascii_uppercase();
                let digits = upper.strip_prefix(concat!($prefix, "-")).unwrap_or(&upper);
                digits.parse().map(Self).map_err(|_| IdError {
                    found: text.to_owned(), a_kind: $a_kind, example: concat!($prefix, "-7"),
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

numbered! {
    IncidentId "INC" "an incident";
    ProblemId "PRB" "a problem";
    ChangeId "CHG" "a change";
    RunId "RUN" "a run";
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

macro_rules! derived {
    ($($name:ident $a_kind:literal;)*) => {$(
        #[doc = concat!("The id of ", $a_kind, ": 16 bytes, derived by [`derive`], written as 32 hexadecimal digits.")]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Digit by digit into one text: a decision names hundreds of them.
                let mut text = [0; 32];
                for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
                    pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
                }
                f.write_str(std::str::from_utf8(&text).expect("hexadecimal digits are text"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let wrong = || IdError { found: text.to_owned(), a_kind: $a_kind, example: "32 hexadecimal digits" };
                let digits = text.as_bytes();
                if digits.len() != 32 {
                    return Err(wrong());
                }
                let mut id = [0u8; 16];
                for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
                    let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
                    *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
                }
                Ok(Self(id))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

derived! {
    CiId "a configuration item";
    CommandId "a command";
    NoticeId "a notice";
    SilenceId "a silence";
}

/// Bytes with which the ids of a host and of all that is found on it begin.
const SHARED: usize = 6;

/// With what the ids of a host and of all that is found on it begin.
pub type Block = [u8; SHARED];

impl CiId {
    /// The id of a thing found on a host, derived from what names it there.
    ///
    /// It begins as the host's does, so that what comes, changes and is asked for together lies together wherever items stand
    /// in the order of their ids: an arriving host fills a few pages of each table instead of touching hundreds.
    pub fn on(host: Self, parts: &[&[u8]]) -> Self {
        let mut id = derive("ci", parts);
        id[..SHARED].copy_from_slice(&host.0[..SHARED]);
        Self(id)
    }

    /// How the id begins, and those of all that is on the same host.
    pub fn block(self) -> Block {
        std::array::from_fn(|at| self.0[at])
    }
}

/// 16 bytes from what names the thing (an input's order and an ordinal in it; a run, step, attempt and target): the first
/// half of SHA-256 over the parts, each behind its length.
pub fn derive(kind: &str, parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in std::iter::once(&kind.as_bytes()).chain(parts) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    id
}
