//! A file of the kernel that is read again and again: kept open, read into one buffer.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::PathBuf;

use super::CollectError;

/// Files of the kernel longer than this are cut; /proc/stat of 4,096 cores has 400 kB.
const BYTES_MAX: u64 = 4 << 20;

pub struct ProcText {
    path: PathBuf,
    file: Option<File>,
    buffer: Vec<u8>,
}

impl ProcText {
    /// Opens nothing yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, file: None, buffer: Vec::new() }
    }

    /// The text as it is now. Bytes that are not UTF-8 (a mount point may have them) are replaced.
    pub fn read(&mut self) -> Result<Cow<'_, str>, CollectError> {
        if let Err(source) = self.fill() {
            self.file = None;
            return Err(CollectError::Read { path: self.path.clone(), source });
        }
        Ok(String::from_utf8_lossy(&self.buffer))
    }

    /// The same of a file that not every kernel has: where it is not there, it is calmly told.
    pub fn read_if_there(&mut self) -> Result<Cow<'_, str>, CollectError> {
        match self.fill() {
            Ok(()) => Ok(String::from_utf8_lossy(&self.buffer)),
            Err(source) => {
                self.file = None;
                let path = self.path.clone();
                Err(match source.kind() {
                    io::ErrorKind::NotFound => {
                        CollectError::Unavailable(format!("this kernel has no \"{}\"", path.display()))
                    }
                    _ => CollectError::Read { path, source },
                })
            }
        }
    }

    /// What a parser found at `line` (from 1) that it cannot take.
    pub fn unexpected(&self, line: usize, found: impl Into<String>) -> CollectError {
        CollectError::Unexpected { path: self.path.clone(), line, found: found.into() }
    }

    fn fill(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => {
                file.rewind()?;
                file
            }
            none => none.insert(File::open(&self.path)?),
        };
        self.buffer.clear();
        file.take(BYTES_MAX).read_to_end(&mut self.buffer).map(|_| ())
    }
}
