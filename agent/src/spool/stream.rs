//! One numbered stream over its segment files.

use std::collections::VecDeque;

use watchkeep_protocol::Span;

use super::record::{self, HEAD, Tag};
use super::{Disk, SpoolError, failed};

/// A file of records whose numbers rise by one from `first`.
struct Segment {
    file: String,
    first: u64,
    /// Where each record begins.
    offsets: Vec<u32>,
    /// Length of what is whole.
    bytes: u64,
    /// Appended to since it was last synced.
    dirty: bool,
    /// What follows `bytes` in the file is not ours to count on: nothing more is appended.
    closed: bool,
}

impl Segment {
    fn next(&self) -> u64 {
        self.first + self.offsets.len() as u64
    }
}

pub struct Stream {
    tag: Tag,
    segments: VecDeque<Segment>,
    /// Numbers below are no longer held.
    pub first: u64,
    /// The number that the next record gets.
    pub next: u64,
    /// Numbers below are durable.
    pub synced: u64,
    /// Records from `synced` on, kept until a sync succeeds: after one that failed they are written again elsewhere.
    pending: VecDeque<Vec<u8>>,
    sequence: u64,
}

impl Stream {
    /// Reads the stream's segments, cutting what is torn or damaged; `mark` is the first number that is still wanted.
    pub fn open<D: Disk>(
        disk: &mut D,
        tag: Tag,
        files: &[String],
        mark: u64,
        repairs: &mut Vec<String>,
    ) -> Result<Self, SpoolError> {
        let mut stream = Self {
            tag,
            segments: VecDeque::new(),
            first: mark,
            next: mark,
            synced: mark,
            pending: VecDeque::new(),
            sequence: 0,
        };
        let mut names: Vec<(u64, &String)> =
            files.iter().filter_map(|file| Some((sequence(tag, file)?, file))).collect();
        names.sort();
        for (sequence, file) in names {
            stream.sequence = sequence + 1;
            let bytes = disk.read(file).map_err(failed("read", file))?;
            let segment = scan(tag, file, &bytes);
            if segment.bytes < bytes.len() as u64 {
                repairs.push(format!(
                    "{file}: cut {} bytes from byte {} on",
                    bytes.len() as u64 - segment.bytes,
                    segment.bytes
                ));
                disk.truncate(file, segment.bytes).map_err(failed("cut", file))?;
            }
            stream.adopt(disk, segment)?;
        }
        Ok(stream)
    }

    /// Takes a segment that was read. A later one may begin with numbers of the one before, where a sync had failed: the
    /// records are the same, the later ones count.
    fn adopt<D: Disk>(&mut self, disk: &mut D, segment: Segment) -> Result<(), SpoolError> {
        if segment.offsets.is_empty() || segment.next() <= self.first {
            return disk.remove(&segment.file).map_err(failed("remove", &segment.file));
        }
        if let Some(before) = self.segments.back_mut() {
            let keep = usize::try_from(segment.first.saturating_sub(before.first)).unwrap_or(usize::MAX);
            before.offsets.truncate(keep);
            before.closed = true;
        }
        if self.segments.is_empty() {
            self.first = self.first.max(segment.first);
        }
        self.next = self.next.max(segment.next());
        // Written by a process that may have gone down before it synced.
        self.segments.push_back(Segment { dirty: true, ..segment });
        Ok(())
    }

    /// Appends a record and returns its number; after an error it is not held.
    pub fn append<D: Disk>(&mut self, disk: &mut D, payload: &[u8], segment_bytes: u64) -> Result<u64, SpoolError> {
        // Numbers rise by one on disk as well: what a failed sync made doubtful comes first.
        self.rewrite_pending(disk, segment_bytes)?;
        let number = self.next;
        let bytes = record::encode(self.tag, number, payload);
        self.write(disk, number, &bytes, segment_bytes)?;
        self.next = number + 1;
        if self.tag == Tag::Matters {
            self.pending.push_back(bytes);
        }
        Ok(number)
    }

    fn write<D: Disk>(
        &mut self,
        disk: &mut D,
        number: u64,
        bytes: &[u8],
        segment_bytes: u64,
    ) -> Result<(), SpoolError> {
        let fits = self
            .segments
            .back()
            .is_some_and(|last| !last.closed && last.bytes < segment_bytes && last.next() == number);
        if !fits {
            let file = format!("{}-{:012x}.seg", self.tag.word(), self.sequence);
            self.sequence += 1;
            let offsets = Vec::new();
            self.segments.push_back(Segment { file, first: number, offsets, bytes: 0, dirty: false, closed: false });
        }
        let last = self.segments.back_mut().expect("there is one, or it was made above");
        match disk.append(&last.file, bytes) {
            Ok(()) => {
                last.offsets.push(u32::try_from(last.bytes).unwrap_or(u32::MAX));
                last.bytes += bytes.len() as u64;
                last.dirty = true;
                Ok(())
            }
            Err(error) => {
                let failed = failed("append", &last.file)(error);
                last.closed = disk.truncate(&last.file, last.bytes).is_err();
                if last.offsets.is_empty() {
                    let empty = self.segments.pop_back().expect("it was there");
                    let _ = disk.remove(&empty.file); // Where it stays, the next start finds it empty.
                }
                Err(failed)
            }
        }
    }

    /// Makes every record durable.
    pub fn sync<D: Disk>(&mut self, disk: &mut D, segment_bytes: u64) -> Result<(), SpoolError> {
        self.rewrite_pending(disk, segment_bytes)?;
        for place in 0..self.segments.len() {
            let segment = &mut self.segments[place];
            if !segment.dirty {
                continue;
            }
            if let Err(error) = disk.sync(&segment.file) {
                // What the system did with the pages is unknown: nothing of it counts any more, and it is written again.
                let failed = failed("sync", &segment.file)(error);
                self.distrust();
                return Err(failed);
            }
            segment.dirty = false;
        }
        self.synced = self.next;
        self.pending.clear();
        Ok(())
    }

    /// Forgets where the records from `synced` on were written. Their files stay until the next start, which counts the
    /// later copy.
    fn distrust(&mut self) {
        if self.tag == Tag::Samples {
            return;
        }
        let synced = self.synced;
        self.segments.retain(|segment| segment.first < synced);
        if let Some(last) = self.segments.back_mut() {
            last.offsets.truncate(usize::try_from(synced - last.first).unwrap_or(usize::MAX));
            last.closed = true;
            last.dirty = false;
        }
    }

    fn rewrite_pending<D: Disk>(&mut self, disk: &mut D, segment_bytes: u64) -> Result<(), SpoolError> {
        if self.tag == Tag::Samples {
            return Ok(());
        }
        let written = self.segments.back().map_or(self.synced, Segment::next).max(self.synced);
        for number in written..self.next {
            let place = usize::try_from(number - self.synced).unwrap_or(usize::MAX);
            let Some(bytes) = self.pending.get(place).cloned() else { break };
            self.write(disk, number, &bytes, segment_bytes)?;
        }
        Ok(())
    }

    /// The payload of this number; `None` where no whole record of it is held.
    pub fn read<D: Disk>(&mut self, disk: &mut D, number: u64) -> Result<Option<Vec<u8>>, SpoolError> {
        let Some(segment) =
            self.segments.iter().rev().find(|segment| segment.first <= number && number < segment.next())
        else {
            return Ok(None);
        };
        let place = usize::try_from(number - segment.first).unwrap_or(usize::MAX);
        let begin = u64::from(segment.offsets[place]);
        let end = segment.offsets.get(place + 1).map_or(segment.bytes, |end| u64::from(*end));
        let length = usize::try_from(end - begin).unwrap_or(usize::MAX);
        let bytes = disk.read_at(&segment.file, begin, length).map_err(failed("read", &segment.file))?;
        let found = record::decode(self.tag, &bytes).filter(|(found, _)| *found == number);
        Ok(found.map(|(_, payload)| payload.to_vec()))
    }

    /// The first number held that is `number` or more.
    pub fn held_from(&self, number: u64) -> Option<u64> {
        let segment = self.segments.iter().find(|segment| number < segment.next())?;
        Some(number.max(segment.first))
    }

    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// The numbers of the oldest segment.
    pub fn oldest(&self) -> Option<Span> {
        self.segments.front().map(|segment| Span { first: segment.first, next: segment.next() })
    }

    /// Whether a segment lies wholly below the mark and is not the one that is appended to.
    pub fn has_removable(&self) -> bool {
        self.segments.len() > 1 && self.oldest().is_some_and(|oldest| oldest.next <= self.first)
    }

    /// Removes segments that lie wholly below the mark, but the one that is appended to: an idle stream whose every
    /// record is acknowledged at once makes no new file for each.
    pub fn remove_below<D: Disk>(&mut self, disk: &mut D) -> Result<(), SpoolError> {
        while self.has_removable() {
            self.remove_oldest(disk)?;
        }
        Ok(())
    }

    /// Removes the oldest segment, whatever it is; its numbers are no longer held.
    pub fn remove_oldest<D: Disk>(&mut self, disk: &mut D) -> Result<(), SpoolError> {
        let Some(segment) = self.segments.front() else { return Ok(()) };
        disk.remove(&segment.file).map_err(failed("remove", &segment.file))?;
        self.first = self.first.max(segment.next());
        self.segments.pop_front();
        Ok(())
    }
}

/// The sequence in a segment's name; `None` where it is none of this stream.
fn sequence(tag: Tag, file: &str) -> Option<u64> {
    let digits = file.strip_prefix(tag.word())?.strip_prefix('-')?.strip_suffix(".seg")?;
    u64::from_str_radix(digits, 16).ok()
}

/// The whole records at the beginning of a file.
fn scan(tag: Tag, file: &str, bytes: &[u8]) -> Segment {
    let mut segment =
        Segment { file: file.to_owned(), first: 0, offsets: Vec::new(), bytes: 0, dirty: false, closed: false };
    let mut rest = bytes;
    while let Some((number, payload)) = record::decode(tag, rest) {
        if segment.offsets.is_empty() {
            segment.first = number;
        } else if number != segment.next() {
            break;
        }
        segment.offsets.push(u32::try_from(segment.bytes).unwrap_or(u32::MAX));
        segment.bytes += (HEAD + payload.len()) as u64;
        rest = &rest[HEAD + payload.len()..];
    }
    segment
}
