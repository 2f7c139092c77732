//! One segment on disk and the records in it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use prost::Message as _;

use crate::remote_write::marks::{Marks, Written};
use crate::samples::foreign::log::{self, HEAD};

/// Kinds of records.
pub(super) const REQUEST: u8 = 1;
pub(super) const MARKS: u8 = 2;
/// In front of a request's body: samples and the newest instant.
pub(super) const REQUEST_HEAD: usize = 12;

/// How much a segment holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Segment {
    pub number: u64,
    pub bytes: u64,
    pub samples: u64,
}

/// Begins a segment; how long it is with the marks at its head.
pub(super) fn begin(folder: &Path, number: u64, marks: &mut Marks) -> io::Result<(File, u64)> {
    let mut segment = log::begin(folder, number)?;
    let head = log::framed(MARKS, &marks.all().encode_to_vec())?;
    segment.write_all(&head)?;
    Ok((segment, head.len() as u64))
}

/// What a segment holds, and its marks; what is torn at its end is cut off.
pub(super) fn look_through(folder: &Path, number: u64, marks: &mut Marks) -> io::Result<Segment> {
    let file = path(folder, number);
    let mut records = Records::of(&file)?;
    let mut segment = Segment { number, ..Segment::default() };
    while let Some((length, kind)) = records.head(segment.bytes)? {
        match kind {
            REQUEST => segment.samples += u64::from(records.samples(segment.bytes)?),
            _ => {
                let found = records.whole(segment.bytes)?;
                let written = found.and_then(|(_, (_, body))| Written::decode(body.as_slice()).ok());
                written.into_iter().for_each(|written| marks.take(written));
            }
        }
        segment.bytes += length;
    }
    if records.length > segment.bytes {
        OpenOptions::new().write(true).open(file)?.set_len(segment.bytes)?;
    }
    Ok(segment)
}

/// Records of a segment, by offset.
pub(super) struct Records {
    file: File,
    length: u64,
}

impl Records {
    pub fn of(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { file, length })
    }

    /// Length and kind of the record that begins at `offset`; none where there is no whole one.
    pub fn head(&mut self, offset: u64) -> io::Result<Option<(u64, u8)>> {
        if offset + HEAD as u64 > self.length {
            return Ok(None);
        }
        let mut head = [0; HEAD];
        self.file.read_exact_at(&mut head, offset)?;
        let found = log::head(head).map(|(length, kind)| (length as u64, kind));
        Ok(found.filter(|(length, _)| offset + length <= self.length))
    }

    /// Samples of the request that begins at `offset`.
    pub fn samples(&mut self, offset: u64) -> io::Result<u32> {
        let mut samples = [0; 4];
        self.file.read_exact_at(&mut samples, offset + HEAD as u64)?;
        Ok(u32::from_le_bytes(samples))
    }

    /// The record at `offset`, and where the next one begins; none where it is damaged.
    pub fn whole(&mut self, offset: u64) -> io::Result<Option<(u64, log::Record)>> {
        let Some((length, _)) = self.head(offset)? else { return Ok(None) };
        let mut bytes = vec![0; length as usize];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(log::record(&bytes).map(|(record, _)| (offset + length, record)))
    }
}

pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    log::path(folder, number)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

pub(super) fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
