//! The input log: every input of the desk in files beside the database, for replay.
//!
//! **Order of writing.** An input is written and synced here before its facts are committed, so that no fact lacks its
//! input. What stands here beyond the last committed order was never decided; [`InputLog::cut`] takes it away at start and
//! whenever a commit failed.
//!
//! **On disk.** `inputs/00000001.log`, each file named by the order of its first input, at least 8 digits; a line that
//! names the format, then frames ([`frame`]): length, checksum, JSON. A file that has reached its size, or is a day old, is
//! followed by a new one. Old files go where a snapshot of the desk stands in for them ([`snapshot`]). A write that was cut short by a crash leaves a broken frame at the end of the newest file: it is cut off on
//! opening. A broken frame anywhere else is damage, and is named by file and offset.

mod error;
mod files;
mod frame;
mod reader;
pub mod snapshot;

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use watchkeep_desk::{Input, Millis};

pub use error::InputLogError;
pub(crate) use frame::crc32c;
pub use reader::{Inputs, read};

/// The first line of each file.
const FORMAT: &[u8] = b"watchkeep inputs 1\n";

/// Bytes after which a file is followed by a new one, by default.
pub const FILE_BYTES: u64 = 64 << 20;
/// So long after its first input a file is followed by a new one as well, ms: whole files are forgotten, by age.
const FILE_AGE: i64 = 86_400_000;

/// The log, open for appending.
pub struct InputLog {
    folder: PathBuf,
    file_bytes: u64,
    /// The order of the last input; 0 before the first.
    last: u64,
    /// The newest file; none before the first input.
    tail: Option<Tail>,
}

struct Tail {
    path: PathBuf,
    file: File,
    /// Bytes that are whole.
    length: u64,
    /// When its first input was judged.
    began: Millis,
    /// A write failed and could not be taken back: what is on disk is unknown until the log is opened again.
    unknown: bool,
}

/// What [`InputLog::cut`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Inputs taken away.
    pub taken: u64,
    /// Committed inputs that the log does not have: they cannot be replayed.
    pub missing: u64,
}

impl InputLog {
    /// Opens the log in `folder`, which is made where there is none, and cuts off what a crash left half-written.
    pub fn open(folder: &Path) -> Result<Self, InputLogError> {
        Self::open_with(folder, FILE_BYTES)
    }

    /// Opens with another size of files, bytes.
    pub fn open_with(folder: &Path, file_bytes: u64) -> Result<Self, InputLogError> {
        files::make_folder(folder)?;
        let mut log = Self { folder: folder.to_owned(), file_bytes, last: 0, tail: None };
        log.find_tail()?;
        Ok(log)
    }

    /// The order of the last input; 0 before the first.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Appends inputs, whose orders follow the last one, and syncs them to disk: they are durable when this returns.
    ///
    /// Errors: one that leaves the log as it was may be followed by another try; [`InputLogError::Unknown`] asks for the
    /// log to be opened again.
    pub fn append(&mut self, inputs: &[Input]) -> Result<(), InputLogError> {
        let mut frames = Vec::new();
        for (expected, input) in (self.last + 1..).zip(inputs) {
            if input.order != expected {
                return Err(InputLogError::Order { expected, found: input.order });
            }
            let body = serde_json::to_vec(input).expect("an input is plain data with text for keys");
            if body.len() > frame::BODY_MAX {
                return Err(InputLogError::TooLarge { order: input.order, bytes: body.len() });
            }
            frame::encode(&body, &mut frames);
        }
        let (Some(oldest), Some(newest)) = (inputs.first(), inputs.last()) else { return Ok(()) };
        let file_bytes = self.file_bytes;
        let is_full = |tail: &Tail| tail.length >= file_bytes || oldest.at.since(tail.began) >= FILE_AGE;
        if self.tail.as_ref().is_none_or(is_full) {
            self.tail = Some(Tail::create(&self.folder, self.last + 1, oldest.at)?);
        }
        self.tail.as_mut().expect("there is one by now").write(&frames)?;
        self.last = newest.order;
        Ok(())
    }

    /// Takes away every input after `order`, the last committed one. The next to be appended is `order + 1`, also where
    /// the log ends before `order` ([`Cut::missing`]).
    pub fn cut(&mut self, order: u64) -> Result<Cut, InputLogError> {
        let cut = Cut { taken: self.last.saturating_sub(order), missing: order.saturating_sub(self.last) };
        self.tail = None;
        if cut.taken > 0 {
            // The newest first, so that a crash in between leaves a log without a gap.
            for (first, path) in files::list(&self.folder)?.into_iter().rev().take_while(|(first, _)| *first > order) {
                files::remove(&self.folder, &path)?;
                tracing::debug!(first, path = %path.display(), "removed inputs that were never decided");
            }
            if let Some((_, path)) = files::list(&self.folder)?.pop() {
                let keep = reader::length_up_to(&path, order)?;
                files::truncate(&path, keep)?;
            }
        }
        self.find_tail()?;
        if cut.missing > 0 {
            self.last = order;
            // What follows begins a file of its own, named by its order: the gap is then plain to see.
            self.tail = None;
        }
        Ok(cut)
    }

    /// Finds the newest file's whole frames, cuts off a broken end, and the last order.
    fn find_tail(&mut self) -> Result<(), InputLogError> {
        self.tail = None;
        self.last = 0;
        while let Some((first, path)) = files::list(&self.folder)?.pop() {
            let whole = reader::whole_part(&path)?;
            let Some(last) = whole.last else {
                // Made, and nothing written yet: the file before it has the end.
                files::remove(&self.folder, &path)?;
                self.last = first - 1;
                continue;
            };
            if let Some(broken) = &whole.broken {
                tracing::warn!(path = %path.display(), offset = whole.length, %broken, "cut off the end of the input log");
                files::truncate(&path, whole.length)?;
            }
            self.last = last;
            self.tail = Some(Tail::open(path, whole.length)?);
            return Ok(());
        }
        Ok(())
    }
}

impl Tail {
    fn create(folder: &Path, first: u64, began: Millis) -> Result<Self, InputLogError> {
        let path = folder.join(files::name(first));
        let file = files::create(folder, &path, FORMAT)?;
        Ok(Self { path, file, length: FORMAT.len() as u64, began, unknown: false })
    }

    fn open(path: PathBuf, length: u64) -> Result<Self, InputLogError> {
        let file = files::open(&path)?;
        let began = reader::first_instant(&path)?.unwrap_or_default();
        Ok(Self { path, file, length, began, unknown: false })
    }

    fn write(&mut self, frames: &[u8]) -> Result<(), InputLogError> {
        if self.unknown {
            return Err(InputLogError::Unknown { path: self.path.clone() });
        }
        let written = self
            .file
            .seek(SeekFrom::Start(self.length))
            .and_then(|_| self.file.write_all(frames))
            .and_then(|()| self.file.sync_data());
        if let Err(cause) = written {
            // After a failed sync nobody knows what is on disk; taking it back must itself be seen to reach the disk.
            self.unknown = self.file.set_len(self.length).and_then(|()| self.file.sync_data()).is_err();
            return Err(InputLogError::io("write to", &self.path, cause));
        }
        self.length += frames.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
