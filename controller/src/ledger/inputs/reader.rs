//! Reading inputs back, in order.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use watchkeep_desk::{Input, Millis};

use super::frame::{self, Frame, HEAD};
use super::{FORMAT, InputLogError, files};

/// The inputs in `folder` from the order `from` on, in order, read as they are asked for.
///
/// A broken end of the newest file ends the reading, as it does on opening; damage elsewhere, or a gap between the orders,
/// is an error, after which nothing more comes.
pub fn read(folder: &Path, from: u64) -> Result<Inputs, InputLogError> {
    let mut files = files::list(folder)?;
    // The file that holds `from` is the last one that begins at or before it.
    let begin = files.iter().rposition(|(first, _)| *first <= from).unwrap_or(0);
    files.drain(..begin);
    let mut rest: Vec<PathBuf> = files.into_iter().map(|(_, path)| path).collect();
    rest.reverse();
    Ok(Inputs { rest, current: None, from, last: None })
}

/// Iterates over inputs; see [`read`].
pub struct Inputs {
    /// The next file last.
    rest: Vec<PathBuf>,
    current: Option<Frames>,
    from: u64,
    last: Option<u64>,
}

impl Iterator for Inputs {
    type Item = Result<Input, InputLogError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.advance() {
                Ok(Some(input)) if input.order < self.from => {}
                Ok(input) => return input.map(Ok),
                Err(error) => {
                    self.rest.clear();
                    self.current = None;
                    return Some(Err(error));
                }
            }
        }
    }
}

impl Inputs {
    fn advance(&mut self) -> Result<Option<Input>, InputLogError> {
        loop {
            if self.current.is_none() {
                let Some(path) = self.rest.pop() else { return Ok(None) };
                self.current = Some(Frames::open(&path)?);
            }
            let frames = self.current.as_mut().expect("opened above");
            match frames.next()? {
                Next::Body(body) => return self.in_order(&body).map(Some),
                Next::Broken(_) if self.rest.is_empty() => return Ok(None),
                Next::Broken(found) => return Err(frames.damaged(found)),
                Next::End => self.current = None,
            }
        }
    }

    fn in_order(&mut self, body: &[u8]) -> Result<Input, InputLogError> {
        let frames = self.current.as_ref().expect("the body came from it");
        let input: Input = serde_json::from_slice(body).map_err(|error| frames.damaged(error.to_string()))?;
        if let Some(last) = self.last.filter(|last| input.order != last + 1) {
            return Err(InputLogError::Order { expected: last + 1, found: input.order });
        }
        self.last = Some(input.order);
        Ok(input)
    }
}

/// The frames of one file.
struct Frames {
    path: PathBuf,
    file: BufReader<File>,
    /// Where the last frame that was asked for begins.
    offset: u64,
    /// Where the next one does.
    next: u64,
}

enum Next {
    Body(Vec<u8>),
    End,
    Broken(String),
}

impl Frames {
    fn open(path: &Path) -> Result<Self, InputLogError> {
        let failed = |cause| InputLogError::io("read", path, cause);
        let mut file = BufReader::new(File::open(path).map_err(failed)?);
        let begin = FORMAT.len() as u64;
        let mut format = Vec::new();
        file.by_ref().take(begin).read_to_end(&mut format).map_err(failed)?;
        // A crash may leave a beginning of the first line; anything else is not ours.
        if !FORMAT.starts_with(&format) {
            return Err(InputLogError::Format { path: path.to_owned(), format: "watchkeep inputs 1" });
        }
        Ok(Self { path: path.to_owned(), file, offset: begin, next: begin })
    }

    fn next(&mut self) -> Result<Next, InputLogError> {
        self.offset = self.next;
        let mut bytes = Vec::new();
        self.take(HEAD, &mut bytes)?;
        if let Some(length) = bytes.first_chunk::<4>().filter(|_| bytes.len() == HEAD) {
            let length = u32::from_le_bytes(*length) as usize;
            self.take(length.min(frame::BODY_MAX), &mut bytes)?;
        }
        Ok(match frame::decode(&bytes) {
            Frame::End => Next::End,
            Frame::Broken(found) => Next::Broken(found),
            Frame::Whole(_) => {
                self.next += bytes.len() as u64;
                bytes.drain(..HEAD);
                Next::Body(bytes)
            }
        })
    }

    fn take(&mut self, count: usize, into: &mut Vec<u8>) -> Result<(), InputLogError> {
        let taken = self.file.by_ref().take(count as u64).read_to_end(into);
        taken.map(drop).map_err(|cause| InputLogError::io("read", &self.path, cause))
    }

    fn damaged(&self, found: impl Into<String>) -> InputLogError {
        InputLogError::Damaged { path: self.path.clone(), offset: self.offset, found: found.into() }
    }
}

/// Of a file, what is whole from its beginning.
pub(super) struct WholePart {
    /// Bytes.
    pub(super) length: u64,
    /// The order of the last input in it.
    pub(super) last: Option<u64>,
    /// What comes after, where there is something.
    pub(super) broken: Option<String>,
}

/// What every input begins with, as far as the log itself needs it.
#[derive(Deserialize)]
struct Place {
    order: u64,
    at: Millis,
}

pub(super) fn whole_part(path: &Path) -> Result<WholePart, InputLogError> {
    let mut frames = Frames::open(path)?;
    let mut last = None;
    loop {
        match frames.next()? {
            Next::Body(body) => last = Some(place(&frames, &body)?.order),
            Next::End => return Ok(WholePart { length: frames.next, last, broken: None }),
            Next::Broken(found) => return Ok(WholePart { length: frames.next, last, broken: Some(found) }),
        }
    }
}

/// Bytes of the file up to and with the input `order`.
pub(super) fn length_up_to(path: &Path, order: u64) -> Result<u64, InputLogError> {
    let mut frames = Frames::open(path)?;
    loop {
        match frames.next()? {
            Next::Body(body) if place(&frames, &body)?.order <= order => {}
            Next::Body(_) | Next::End | Next::Broken(_) => return Ok(frames.offset),
        }
    }
}

/// When the first input of the file was judged; none where there is none.
pub(super) fn first_instant(path: &Path) -> Result<Option<Millis>, InputLogError> {
    let mut frames = Frames::open(path)?;
    match frames.next()? {
        Next::Body(body) => Ok(Some(place(&frames, &body)?.at)),
        Next::End | Next::Broken(_) => Ok(None),
    }
}

fn place(frames: &Frames, body: &[u8]) -> Result<Place, InputLogError> {
    serde_json::from_slice(body).map_err(|error| frames.damaged(error.to_string()))
}
