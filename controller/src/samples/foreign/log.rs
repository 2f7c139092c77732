//! The log of what others wrote and no block file has yet: segments of records, each what came in one request.
//!
//! ```text
//! bytes of the body   u32, little-endian
//! CRC-32C of kind and body   u32
//! kind                1 byte, the caller's
//! body                as it came
//! ```
//!
//! A record that is torn or damaged ends its segment: what follows it was never acknowledged, or the disk has lost it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::ledger::crc32c;

/// A larger body is damage.
const BODY_MAX: usize = 64 << 20;
pub const HEAD: usize = 9;

/// The open segment.
#[derive(Debug)]
pub struct Log {
    folder: PathBuf,
    number: u64,
    segment: File,
    bytes: u64,
}

/// The caller's kind, and the body.
pub type Record = (u8, Vec<u8>);

/// What a segment held.
#[derive(Debug, Default)]
pub struct Replayed {
    pub records: Vec<Record>,
    /// Why the rest of a segment was left out, a sentence for the log.
    pub faults: Vec<String>,
}

impl Log {
    /// Opens the folder's log: reads what is there, and goes on in a segment of its own.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn open(folder: &Path) -> io::Result<(Self, Replayed)> {
        std::fs::create_dir_all(folder)?;
        let mut replayed = Replayed::default();
        let numbers = numbers(folder)?;
        for number in &numbers {
            replayed.read(&path(folder, *number))?;
        }
        let number = numbers.last().map_or(1, |last| last + 1);
        let segment = begin(folder, number)?;
        Ok((Self { folder: folder.to_owned(), number, segment, bytes: 0 }, replayed))
    }

    /// Writes one record, and returns once the disk has it.
    ///
    /// # Errors
    /// What the disk says. The record may be there all the same; whoever sends it again does no harm.
    pub fn append(&mut self, kind: u8, body: &[u8]) -> io::Result<()> {
        let record = framed(kind, body)?;
        let written = self.segment.write_all(&record).and_then(|()| self.segment.sync_data());
        if written.is_err() {
            // What is there of it must not stand before what comes next.
            self.segment.set_len(self.bytes)?;
        } else {
            self.bytes += record.len() as u64;
        }
        written
    }

    /// Begins a new segment; returns the number of the first that is still needed, once all before it is in block files.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn rotate(&mut self) -> io::Result<u64> {
        if self.bytes > 0 {
            self.segment = begin(&self.folder, self.number + 1)?;
            (self.number, self.bytes) = (self.number + 1, 0);
        }
        Ok(self.number)
    }

    /// Removes segments before `first`.
    ///
    /// # Errors
    /// One cannot be removed.
    pub fn forget(&self, first: u64) -> io::Result<()> {
        for number in numbers(&self.folder)?.into_iter().filter(|number| *number < first) {
            std::fs::remove_file(path(&self.folder, number))?;
        }
        Ok(())
    }
}

impl Replayed {
    fn read(&mut self, path: &Path) -> io::Result<()> {
        let bytes = std::fs::read(path)?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let Some((record, after)) = record(rest) else {
                let (at, length) = (bytes.len() - rest.len(), bytes.len());
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                self.faults.push(format!(
                    "segment \"{name}\" does not read from byte {at} of {length} on; the rest is left out"
                ));
                return Ok(());
            };
            self.records.push(record);
            rest = after;
        }
        Ok(())
    }
}

/// A record as it is written.
///
/// # Errors
/// It is too large.
pub fn framed(kind: u8, body: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(body.len()).ok().filter(|length| *length as usize <= BODY_MAX);
    let length = length.ok_or_else(|| io::Error::other(format!("a record of {} bytes is too large", body.len())))?;
    let mut record = Vec::with_capacity(HEAD + body.len());
    record.extend_from_slice(&length.to_le_bytes());
    record.extend_from_slice(&crc32c(&[&[kind], body]).to_le_bytes());
    record.push(kind);
    record.extend_from_slice(body);
    Ok(record)
}

/// Bytes and kind of the record that begins with this head; none where it is damaged.
pub fn head(head: [u8; HEAD]) -> Option<(usize, u8)> {
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    (length <= BODY_MAX).then_some((HEAD + length, head[8]))
}

/// The first record, and what is behind it.
pub fn record(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let length = u32::from_le_bytes(head[..4].try_into().ok()?) as usize;
    let checksum = u32::from_le_bytes(head[4..8].try_into().ok()?);
    let kind = head[8];
    let (body, after) = rest.split_at_checked(length).filter(|_| length <= BODY_MAX)?;
    (crc32c(&[&[kind], body]) == checksum).then(|| ((kind, body.to_vec()), after))
}

pub fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:010}.log"))
}

pub fn begin(folder: &Path, number: u64) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let segment = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path(folder, number))?;
    File::open(folder)?.sync_all()?;
    Ok(segment)
}

/// Segments that are there, in order.
pub fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        numbers.extend(name.strip_suffix(".log").and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(folder: &Path) -> (Vec<Record>, usize) {
        let (_, replayed) = Log::open(folder).expect("it opens");
        (replayed.records, replayed.faults.len())
    }

    #[test]
    fn what_was_written_is_read_again_until_it_is_forgotten() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let (mut log, replayed) = Log::open(folder.path()).expect("it opens");
        assert_eq!(replayed.records, []);
        log.append(1, b"one").expect("written");
        let first = log.rotate().expect("a new segment");
        log.append(2, b"two").expect("written");
        assert_eq!(read(folder.path()).0, [(1, b"one".to_vec()), (2, b"two".to_vec())]);
        log.forget(first).expect("removed");
        assert_eq!(read(folder.path()).0, [(2, b"two".to_vec())]);
    }

    #[test]
    fn a_record_that_is_torn_or_damaged_ends_its_segment() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let (mut log, _) = Log::open(folder.path()).expect("it opens");
        log.append(1, b"first").expect("written");
        log.append(1, b"second").expect("written");
        drop(log);
        let segment = path(folder.path(), 1);
        let whole = std::fs::read(&segment).expect("it is there");
        for cut in 1..whole.len() {
            std::fs::write(&segment, &whole[..cut]).expect("written");
            let (records, faults) = read(folder.path());
            let due = usize::from(cut >= HEAD + 5);
            assert_eq!((records.len(), faults), (due, usize::from(cut != HEAD + 5)), "cut at {cut}");
        }
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x21;
            std::fs::write(&segment, &damaged).expect("written");
            assert_eq!(read(folder.path()).0.len(), usize::from(place >= HEAD + 5), "byte {place} is damaged");
        }
    }
}
