//! A file of the kernel that is read again and again: kept open, read into one buffer with `pread` from its start.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use super::CollectError;

/// Files of the kernel longer than this are cut; /proc/stat of 4,096 cores has 400 kB.
const BYTES_MAX: usize = 4 << 20;
/// What the buffer has at first; most files are shorter.
const BYTES_FIRST: usize = 256;

pub struct ProcText {
    path: PathBuf,
    file: Option<File>,
    /// Grows to the longest text that was there.
    buffer: Vec<u8>,
    length: usize,
}

impl ProcText {
    /// Opens nothing yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, file: None, buffer: Vec::new(), length: 0 }
    }

    /// The text as it is now. Bytes that are not UTF-8 (a mount point may have them) are replaced.
    pub fn read(&mut self) -> Result<Cow<'_, str>, CollectError> {
        if let Err(source) = self.fill() {
            self.file = None;
            return Err(CollectError::Read { path: self.path.clone(), source });
        }
        Ok(String::from_utf8_lossy(&self.buffer[..self.length]))
    }

    /// The same of a file that not every kernel has: where it is not there, it is calmly told.
    pub fn read_if_there(&mut self) -> Result<Cow<'_, str>, CollectError> {
        match self.fill() {
            Ok(()) => Ok(String::from_utf8_lossy(&self.buffer[..self.length])),
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

    /// The kernel gives a text in pieces of its own size, so only a read of nothing is the end.
    fn fill(&mut self) -> io::Result<()> {
        self.length = 0;
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::open(&self.path)?),
        };
        loop {
            if self.length == self.buffer.len() {
                if self.length >= BYTES_MAX {
                    return Ok(());
                }
                self.buffer.resize((self.length * 2).clamp(BYTES_FIRST, BYTES_MAX), 0);
            }
            match file.read_at(&mut self.buffer[self.length..], self.length as u64)? {
                0 => return Ok(()),
                read => self.length += read,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::TempFiles;

    #[test]
    fn a_text_is_read_anew_whole_and_no_further_than_it_goes() {
        let files = TempFiles::new();
        let mut text = ProcText::new(files.root().join("x"));
        for length in [10, BYTES_FIRST, BYTES_FIRST + 1, 100_000, 0, 3, BYTES_MAX] {
            files.write("x", &"a".repeat(length));
            assert_eq!(text.read().expect("is read").len(), length);
        }
        files.write("x", &"a".repeat(BYTES_MAX + 1));
        assert_eq!(text.read().expect("is read").len(), BYTES_MAX, "what is longer is cut");
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let files = TempFiles::new();
        std::fs::write(files.root().join("x"), b"a\xffb").expect("is written");
        assert_eq!(ProcText::new(files.root().join("x")).read().expect("is read"), "a\u{fffd}b");
    }
}
