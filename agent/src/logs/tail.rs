//! One file, followed over rotation, truncation and restarts of the agent.
//!
//! The file is held open, so that what was written before a rotation is read to its end under whatever name it has now. A
//! file that is shorter than what was read of it, or that begins with other bytes than it did, was truncated and is read
//! from its start. After a restart a rotated file is looked for beside its old name, by its inode.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::config::Pattern;
use super::entries::Entries;

/// Read at once, bytes.
const PART: usize = 64 << 10;
/// By so many bytes at its start a file is known again.
const HEAD: usize = 64;
/// Files that are looked at for the one that was rotated away.
const NEIGHBOURS: usize = 1_000;

/// How far a file was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    pub device: u64,
    pub inode: u64,
    pub offset: u64,
    /// Its first bytes, at most [`HEAD`].
    pub head: Vec<u8>,
}

/// One file.
pub struct Tail {
    path: PathBuf,
    open: Option<Open>,
    /// Where to begin when it is opened.
    begin: Begin,
    failing: bool,
}

enum Begin {
    Start,
    End,
    At(Position),
}

struct Open {
    file: File,
    position: Position,
    entries: Entries,
}

impl Tail {
    /// A file that came just now.
    pub fn from_start(path: &Path) -> Self {
        Self { path: path.to_owned(), open: None, begin: Begin::Start, failing: false }
    }

    /// A file that was there before anybody looked.
    pub fn from_end(path: &Path) -> Self {
        Self { begin: Begin::End, ..Self::from_start(path) }
    }

    /// A file that was read as far as that.
    pub fn at(path: &Path, position: Position) -> Self {
        Self { begin: Begin::At(position), ..Self::from_start(path) }
    }

    /// Whether there is a file that may have more to say.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether it was not opened yet, and not from its start: it could not be read until now.
    pub fn is_to_begin(&self) -> bool {
        self.open.is_none() && !matches!(self.begin, Begin::Start)
    }

    /// How far it was read; behind the last whole entry.
    pub fn position(&self) -> Option<Position> {
        match (&self.open, &self.begin) {
            (Some(open), _) => {
                let offset = open.position.offset.saturating_sub(open.entries.pending());
                Some(Position { offset, ..open.position.clone() })
            }
            (None, Begin::At(position)) => Some(position.clone()),
            (None, _) => None,
        }
    }

    /// Reads what is new, at most `left` bytes, of which it takes what it read.
    ///
    /// # Errors
    /// The file cannot be opened or read. One that is not there is none.
    pub fn read(&mut self, begins: Option<&Pattern>, left: &mut u64, out: &mut Vec<String>) -> io::Result<()> {
        if self.open.is_none() {
            self.open = self.begin(begins, left, out)?;
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        open.see_truncation()?;
        let is_read = open.read(begins, left, out)?;
        self.failing = false;
        let now = match std::fs::metadata(&self.path) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if now.as_ref().is_some_and(|now| open.is_of(now)) {
            open.entries.pause(out);
        } else if is_read {
            // Rotated away, and read to its end: what stands there now is read from its start.
            open.entries.flush(out);
            self.open = None;
            self.begin = Begin::Start;
            if now.is_some() && *left > 0 {
                self.open = self.begin(begins, left, out)?;
                self.open.as_mut().map(|open| open.read(begins, left, out)).transpose()?;
            }
        }
        Ok(())
    }

    /// Says once that a file cannot be read.
    pub fn tell(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!("read log \"{}\": {error}", self.path.display());
        }
    }

    /// Opens the file where reading is to begin. What a rotated one still had to say is read first.
    fn begin(&mut self, begins: Option<&Pattern>, left: &mut u64, out: &mut Vec<String>) -> io::Result<Option<Open>> {
        let opened = match File::open(&self.path) {
            Ok(file) => Some(Open::new(file, 0)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        match std::mem::replace(&mut self.begin, Begin::Start) {
            Begin::Start => Ok(opened),
            Begin::End => opened.map(Open::at_end).transpose(),
            Begin::At(position) => match opened {
                Some(open) if open.is_same(&position) => Ok(Some(Open { position, ..open })),
                opened => {
                    if let Some(mut rotated) = rotated(&self.path, &position) {
                        rotated.read(begins, left, out)?;
                        rotated.entries.flush(out);
                    }
                    Ok(opened)
                }
            },
        }
    }
}

impl Open {
    fn new(file: File, offset: u64) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no plain file"));
        }
        let head = head_of(&file)?;
        let position = Position { device: metadata.dev(), inode: metadata.ino(), offset, head };
        Ok(Self { file, position, entries: Entries::default() })
    }

    /// Behind the last whole line that is there.
    fn at_end(mut self) -> io::Result<Self> {
        let length = self.file.metadata()?.len();
        let from = length.saturating_sub(PART as u64);
        let mut last = vec![0; (length - from) as usize];
        let count = self.file.read_at(&mut last, from)?;
        let whole = last[..count].iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
        self.position.offset = if whole == 0 && from > 0 { length } else { from + whole as u64 };
        Ok(self)
    }

    fn is_of(&self, metadata: &Metadata) -> bool {
        (metadata.dev(), metadata.ino()) == (self.position.device, self.position.inode)
    }

    /// Whether it is the file of which so much was read: no other, and not truncated since.
    fn is_same(&self, known: &Position) -> bool {
        let is_long_enough = self.file.metadata().is_ok_and(|metadata| metadata.len() >= known.offset);
        (self.position.device, self.position.inode) == (known.device, known.inode)
            && is_long_enough
            && self.position.head.starts_with(&known.head)
    }

    fn see_truncation(&mut self) -> io::Result<()> {
        let (length, head) = (self.file.metadata()?.len(), head_of(&self.file)?);
        if length < self.position.offset || !head.starts_with(&self.position.head) {
            self.position.offset = 0;
            self.entries = Entries::default();
        }
        self.position.head = head;
        Ok(())
    }

    /// Reads on; whether its end was reached.
    fn read(&mut self, begins: Option<&Pattern>, left: &mut u64, out: &mut Vec<String>) -> io::Result<bool> {
        let mut part = vec![0; PART];
        while *left > 0 {
            let count = match self.file.read_at(&mut part, self.position.offset) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if count == 0 {
                return Ok(true);
            }
            self.entries.take(&part[..count], begins, out);
            self.position.offset += count as u64;
            *left = left.saturating_sub(count as u64);
        }
        Ok(false)
    }
}

fn head_of(file: &File) -> io::Result<Vec<u8>> {
    let mut head = vec![0; HEAD];
    let count = file.read_at(&mut head, 0)?;
    head.truncate(count);
    Ok(head)
}

/// The file beside `path` that has this inode, from where it was read on.
fn rotated(path: &Path, known: &Position) -> Option<Open> {
    for entry in std::fs::read_dir(path.parent()?).ok()?.take(NEIGHBOURS) {
        let entry = entry.ok()?;
        if entry.metadata().is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == (known.device, known.inode)) {
            let open = Open::new(File::open(entry.path()).ok()?, known.offset).ok()?;
            return open.is_same(known).then_some(open);
        }
    }
    None
}
