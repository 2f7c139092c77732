//! What the network process and `act` say to each other: frames of a length (4 bytes, big-endian) and a message.

use std::io;

use prost::{Message, Oneof};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use watchkeep_protocol::{Command, CommandResult};

/// The largest frame, bytes: a result with both outputs full fits.
pub const FRAME_BYTES: usize = 256 << 10;

/// To `act`.
#[derive(Clone, PartialEq, Message)]
pub struct Request {
    #[prost(oneof = "RequestBody", tags = "1, 2, 3")]
    pub body: Option<RequestBody>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum RequestBody {
    /// Draw a nonce for a hello, and say what else a hello says.
    #[prost(message, tag = "1")]
    Greet(Greet),
    #[prost(message, tag = "2")]
    Command(Command),
    /// The result of this ticket is durable in the spool.
    #[prost(message, tag = "3")]
    Kept(Kept),
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Greet {}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Kept {
    #[prost(uint64, tag = "1")]
    pub ticket: u64,
}

/// From `act`.
#[derive(Clone, PartialEq, Message)]
pub struct Answer {
    #[prost(oneof = "AnswerBody", tags = "1, 2")]
    pub body: Option<AnswerBody>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum AnswerBody {
    #[prost(message, tag = "1")]
    Greeting(ActGreeting),
    #[prost(message, tag = "2")]
    Outcome(Delivery),
}

/// What `act` adds to a hello.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ActGreeting {
    /// 16 bytes, drawn now.
    #[prost(bytes = "vec", tag = "1")]
    pub nonce: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub epoch: u64,
    /// SHA-256 of the policy file; empty where it cannot be read.
    #[prost(bytes = "vec", tag = "3")]
    pub policy_hash: Vec<u8>,
}

/// A result, delivered again until it is said to be kept.
#[derive(Clone, PartialEq, Message)]
pub struct Delivery {
    #[prost(uint64, tag = "1")]
    pub ticket: u64,
    #[prost(message, required, tag = "2")]
    pub result: CommandResult,
}

/// Reads one frame; `None` at the end of the stream.
///
/// # Errors
/// A frame that is too large, is cut, or does not decode: the other side is not ours, close.
pub async fn read<T: Message + Default>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    let length = u32::from_be_bytes(length) as usize;
    if length > FRAME_BYTES {
        return Err(io::Error::other(format!("a frame of {length} bytes, at most {FRAME_BYTES} are taken")));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).await?;
    T::decode(bytes.as_slice()).map(Some).map_err(|_| io::Error::other("a frame does not decode"))
}

/// Writes one frame.
///
/// # Errors
/// What the stream says; a message larger than a frame.
pub async fn write(to: &mut (impl AsyncWrite + Unpin), message: &impl Message) -> io::Result<()> {
    let bytes = message.encode_to_vec();
    if bytes.len() > FRAME_BYTES {
        return Err(io::Error::other(format!("a frame of {} bytes, at most {FRAME_BYTES} are sent", bytes.len())));
    }
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?.to_be_bytes();
    to.write_all(&[&length[..], &bytes].concat()).await?;
    to.flush().await
}
