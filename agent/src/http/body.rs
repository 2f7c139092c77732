//! The body of an answer: by its length, in chunks, or until the other end closes (RFC 9112, 6).

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{Head, Taker};

/// The longest line that says a chunk's size.
const SIZE_LINE: usize = 1 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

pub enum Fault {
    /// The taker wants no more.
    Refused(String),
    Broken(io::Error),
}

impl Framing {
    /// How the body of the answer to this method ends.
    pub fn of(head: &Head, method: &str) -> Result<Self, String> {
        if method == "HEAD" || matches!(head.status, 204 | 304) {
            return Ok(Self::Length(0));
        }
        if let Some(coding) = head.header("transfer-encoding") {
            let known = coding.eq_ignore_ascii_case("chunked");
            return if known { Ok(Self::Chunked) } else { Err(format!("transfer-encoding \"{coding}\"")) };
        }
        match head.header("content-length") {
            Some(length) => length.parse().map(Self::Length).map_err(|_| format!("content-length \"{length}\"")),
            None => Ok(Self::UntilClose),
        }
    }
}

pub struct Body {
    framing: Framing,
    /// Bytes until the chunk ends; of the whole body where its length is known.
    left: u64,
    /// The line break behind a chunk is due.
    is_behind_chunk: bool,
    has_ended: bool,
}

impl Body {
    pub fn new(framing: Framing) -> Self {
        let left = if let Framing::Length(length) = framing { length } else { 0 };
        Self { framing, left, is_behind_chunk: false, has_ended: framing == Framing::Length(0) }
    }

    /// Hands the body on to its end; `buffer` is what was read of it already.
    pub async fn read<S: AsyncRead + Unpin>(
        mut self,
        stream: &mut S,
        mut buffer: Vec<u8>,
        taker: &mut dyn Taker,
    ) -> Result<(), Fault> {
        loop {
            let used = self.take(&buffer, taker)?;
            buffer.drain(..used);
            if self.has_ended {
                return Ok(());
            }
            let read = match stream.read_buf(&mut buffer).await {
                Ok(read) => read,
                // TLS that ends without saying so: whether something is missing the framing says.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
                Err(error) => return Err(Fault::Broken(error)),
            };
            if read == 0 {
                let whole = self.framing == Framing::UntilClose;
                let cut = || Fault::Broken(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends too early"));
                return if whole { Ok(()) } else { Err(cut()) };
            }
        }
    }

    /// Hands on what is there; how many bytes are done with.
    fn take(&mut self, bytes: &[u8], taker: &mut dyn Taker) -> Result<usize, Fault> {
        let mut used = 0;
        while used < bytes.len() && !self.has_ended {
            let rest = &bytes[used..];
            if self.framing == Framing::Chunked && self.left == 0 {
                match self.size_line(rest)? {
                    Some(length) => used += length,
                    None => break,
                }
                continue;
            }
            let most = if self.framing == Framing::UntilClose { rest.len() as u64 } else { self.left };
            let part = &rest[..usize::try_from(most).unwrap_or(usize::MAX).min(rest.len())];
            taker.body(part).map_err(Fault::Refused)?;
            used += part.len();
            self.left = self.left.saturating_sub(part.len() as u64);
            if self.left == 0 {
                self.is_behind_chunk = self.framing == Framing::Chunked;
                self.has_ended = matches!(self.framing, Framing::Length(_));
            }
        }
        Ok(used)
    }

    /// Reads the line before a chunk, with the line break behind the one before; `None` where it is not whole yet.
    fn size_line(&mut self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        let broken = |found: &str| Fault::Broken(io::Error::new(io::ErrorKind::InvalidData, found.to_owned()));
        let skip = if self.is_behind_chunk { 2 } else { 0 };
        if self.is_behind_chunk && !b"\r\n".starts_with(&bytes[..bytes.len().min(2)]) {
            return Err(broken("a chunk is longer than it says"));
        }
        let line = bytes.get(skip..).unwrap_or_default();
        match httparse::parse_chunk_size(line) {
            Ok(httparse::Status::Complete((length, size))) => {
                self.is_behind_chunk = false;
                // What may follow the last chunk (trailers) is of no interest, and the connection is closed.
                self.has_ended = size == 0;
                self.left = size;
                Ok(Some(skip + length))
            }
            Ok(httparse::Status::Partial) if line.len() < SIZE_LINE => Ok(None),
            _ => Err(broken("a chunk without its size")),
        }
    }
}
