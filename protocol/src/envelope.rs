//! The envelope of every message: version, session, counter and MAC around one body.

use prost::Message;

use crate::limits;

/// The version this code speaks. A peer with another major version is refused with a sentence.
pub const WIRE_VERSION: u32 = 1;

/// What is published: one body with the session it belongs to.
///
/// Shape: at most [`limits::ENVELOPE_BYTES`] encoded. `session` is 16 bytes. `mac` is HMAC-SHA256 (32 bytes) over
/// version, topic, session, counter and body; it is empty through the embedded broker, where the TLS session already
/// names the sender.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Envelope {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    /// The session nonce that the agent drew at its start; every message both ways names it.
    #[prost(bytes = "vec", tag = "2")]
    pub session: Vec<u8>,
    /// Rises by one with each message of a direction in a session; with the MAC it shows replays.
    #[prost(uint64, tag = "3")]
    pub counter: u64,
    #[prost(bytes = "vec", tag = "4")]
    pub body: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub mac: Vec<u8>,
}

/// Why bytes from the wire were not taken. Never carries the bytes themselves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("{what} is {found} bytes long, at most {most} are taken")]
    TooLarge { what: &'static str, found: usize, most: usize },
    #[error("{what} does not decode as protobuf")]
    Garbage { what: &'static str },
    #[error("wire version {found} is not spoken here, only {WIRE_VERSION}; upgrade the older side")]
    Version { found: u32 },
    #[error("{what}: {found}")]
    Invalid { what: &'static str, found: String },
    #[error("the message's MAC is not that of its content; it is no input")]
    Forged,
    #[error("counter {counter} of this session was taken before; it is no input")]
    Replayed { counter: u64 },
}

impl Envelope {
    /// Wraps `body` for `session`, without a MAC.
    pub fn new(session: [u8; 16], counter: u64, body: &impl Message) -> Self {
        Self { version: WIRE_VERSION, session: session.to_vec(), counter, body: body.encode_to_vec(), mac: Vec::new() }
    }

    /// Reads an envelope from the wire: size first, then structure, then version.
    pub fn read(bytes: &[u8]) -> Result<Self, WireError> {
        let envelope: Self = read_limited("envelope", bytes, limits::ENVELOPE_BYTES)?;
        if envelope.version != WIRE_VERSION {
            return Err(WireError::Version { found: envelope.version });
        }
        if envelope.session.len() != 16 {
            return Err(WireError::Invalid {
                what: "session",
                found: format!("{} bytes, not 16", envelope.session.len()),
            });
        }
        Ok(envelope)
    }

    /// Reads the body as `T`; `what` names the kind in the error.
    pub fn open<T: Message + Default>(&self, what: &'static str) -> Result<T, WireError> {
        read_limited(what, &self.body, limits::ENVELOPE_BYTES)
    }
}

fn read_limited<T: Message + Default>(what: &'static str, bytes: &[u8], most: usize) -> Result<T, WireError> {
    if bytes.len() > most {
        return Err(WireError::TooLarge { what, found: bytes.len(), most });
    }
    T::decode(bytes).map_err(|_| WireError::Garbage { what })
}
