//! What waits for one store, on disk: segments of records as in [`crate::samples::foreign::log`], numbered upwards.
//!
//! A record is a request, ready to be sent, or says how [`marks`](super::marks) stand; each segment begins with all marks, so that
//! those before it may go. `position` says how far it is sent: number of the segment, offset in it, and a CRC-32C of both, 8, 8
//! and 4 bytes, little-endian. Past its bytes the oldest segment is dropped, and what was not sent of it counted.

mod segment;

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use prost::Message as _;
use tokio::sync::Notify;

use self::segment::{
    MARKS, REQUEST, REQUEST_HEAD, Records, Segment, begin, i64_at, look_through, path, u32_at, u64_at,
};
use super::marks::Marks;
use crate::ledger::crc32c;
use crate::samples::foreign::log;

/// A larger segment is the last of its kind; of a small queue it is an eighth.
const SEGMENT_BYTES: u64 = 8 << 20;
const POSITION: &str = "position";

/// A request as it is queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub samples: u32,
    /// The newest instant of its samples, ms.
    pub newest: i64,
    /// `WriteRequest`, packed by snappy.
    pub body: Vec<u8>,
}

/// A request that is to be sent, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    pub request: Request,
    segment: u64,
    offset: u64,
    after: u64,
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    pub samples: u64,
    /// Of all segments, what is sent of the oldest included.
    pub bytes: u64,
    /// Samples that were dropped since the start, as there was no room.
    pub dropped: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    /// Rings when there is something new.
    pub bell: Notify,
}

#[derive(Debug)]
struct State {
    folder: PathBuf,
    /// The oldest first; there is always one, in which `tail` writes.
    segments: VecDeque<Segment>,
    tail: File,
    /// Where in the oldest the next record begins.
    offset: u64,
    /// Samples of the oldest that were sent.
    sent: u64,
    position: File,
    bytes_max: u64,
    dropped: u64,
    marks: Marks,
}

impl Queue {
    /// Opens what is there. What a process that died left half written is cut off.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn open(folder: &Path, bytes_max: u64) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut marks = Marks::default();
        let mut segments = VecDeque::new();
        for number in log::numbers(folder)? {
            segments.push_back(look_through(folder, number, &mut marks)?);
        }
        marks.start();
        let number = segments.back().map_or(1, |last| last.number + 1);
        let (tail, bytes) = begin(folder, number, &mut marks)?;
        segments.push_back(Segment { number, bytes, samples: 0 });
        let position = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(folder.join(POSITION))?;
        let (offset, dropped) = (0, 0);
        let mut state =
            State { folder: folder.to_owned(), segments, tail, offset, sent: 0, position, bytes_max, dropped, marks };
        state.go_on()?;
        Ok(Self { state: Mutex::new(state), bell: Notify::new() })
    }

    /// Keeps so many bytes at most from now on.
    pub fn bound(&self, bytes_max: u64) {
        self.locked().bytes_max = bytes_max;
    }

    /// Asks the marks something.
    pub fn marks<T>(&self, ask: impl FnOnce(&Marks) -> T) -> T {
        ask(&self.locked().marks)
    }

    /// Queues requests, durably, with the marks as `note` leaves them; it returns the agents that it noted something of.
    ///
    /// # Errors
    /// The disk did not take them; none is queued, and the marks say otherwise.
    pub fn append(&self, requests: &[Request], note: impl FnOnce(&mut Marks) -> Vec<String>) -> io::Result<()> {
        let mut state = self.locked();
        let noted = note(&mut state.marks);
        let mut bytes = Vec::new();
        for request in requests {
            let head = [&request.samples.to_le_bytes()[..], &request.newest.to_le_bytes()].concat();
            bytes.extend(log::framed(REQUEST, &[&head, request.body.as_slice()].concat())?);
        }
        let marks = state.marks.of_agents(&noted);
        bytes.extend(log::framed(MARKS, &marks.encode_to_vec())?);
        state.append(&bytes, requests.iter().map(|request| u64::from(request.samples)).sum())?;
        state.make_room();
        drop(state);
        self.bell.notify_one();
        Ok(())
    }

    /// The oldest request that is not sent; none where all are. Reads from disk.
    ///
    /// # Errors
    /// The disk does not give it.
    pub fn next(&self) -> io::Result<Option<Next>> {
        self.locked().next()
    }

    /// It needs not be sent any more.
    pub fn done(&self, next: &Next) {
        let mut state = self.locked();
        if state.is_at(next) {
            state.offset = next.after;
            state.sent += u64::from(next.request.samples);
            state.note_position();
        }
    }

    /// Whether it was not dropped since.
    pub fn holds(&self, next: &Next) -> bool {
        self.locked().is_at(next)
    }

    pub fn waiting(&self) -> Waiting {
        let state = self.locked();
        let all: u64 = state.segments.iter().map(|segment| segment.samples).sum();
        Waiting { samples: all.saturating_sub(state.sent), bytes: state.bytes(), dropped: state.dropped }
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    fn oldest(&self) -> Segment {
        self.segments.front().copied().expect("there is always the one that is written")
    }

    fn is_at(&self, next: &Next) -> bool {
        self.oldest().number == next.segment && self.offset == next.offset
    }

    /// Goes on where `position` says, as far as that makes sense; what lies before is counted as sent.
    fn go_on(&mut self) -> io::Result<()> {
        let mut bytes = [0; 20];
        let number = match self.position.read_exact_at(&mut bytes, 0) {
            Ok(()) if crc32c(&[&bytes[..16]]).to_le_bytes() == bytes[16..] => u64_at(&bytes, 0),
            _ => return Ok(()),
        };
        while self.segments.len() > 1 && self.oldest().number < number {
            self.remove_oldest()?;
        }
        if self.oldest().number == number {
            let until = u64_at(&bytes, 8).min(self.oldest().bytes);
            let mut records = Records::of(&path(&self.folder, number))?;
            while self.offset < until
                && let Some((length, kind)) = records.head(self.offset)?
            {
                self.sent += if kind == REQUEST { u64::from(records.samples(self.offset)?) } else { 0 };
                self.offset += length;
            }
        }
        Ok(())
    }

    fn append(&mut self, bytes: &[u8], samples: u64) -> io::Result<()> {
        let newest = self.segments.back().copied().expect("there is always the one that is written");
        if newest.bytes >= SEGMENT_BYTES.min(self.bytes_max / 8) {
            let number = newest.number + 1;
            let (tail, bytes) = begin(&self.folder, number, &mut self.marks)?;
            self.tail = tail;
            self.segments.push_back(Segment { number, bytes, samples: 0 });
        }
        let segment = self.segments.back_mut().expect("there is always the one that is written");
        let written = self.tail.write_all(bytes).and_then(|()| self.tail.sync_data());
        if let Err(error) = written {
            // What is there of it must not stand before what comes next.
            self.tail.set_len(segment.bytes)?;
            return Err(error);
        }
        segment.bytes += bytes.len() as u64;
        segment.samples += samples;
        Ok(())
    }

    fn make_room(&mut self) {
        while self.bytes() > self.bytes_max && self.segments.len() > 1 {
            let lost = self.oldest().samples.saturating_sub(self.sent);
            self.dropped += lost;
            if let Err(error) = self.remove_oldest() {
                tracing::warn!(%error, folder = %self.folder.display(), "an old segment cannot be removed");
            }
        }
    }

    /// Goes on with the next segment; there must be one.
    fn remove_oldest(&mut self) -> io::Result<()> {
        let oldest = self.segments.pop_front().expect("there is always one");
        (self.offset, self.sent) = (0, 0);
        std::fs::remove_file(path(&self.folder, oldest.number))
    }

    fn next(&mut self) -> io::Result<Option<Next>> {
        loop {
            let oldest = self.oldest();
            if self.offset >= oldest.bytes {
                if self.segments.len() == 1 {
                    return Ok(None);
                }
                self.remove_oldest()?;
                self.note_position();
                continue;
            }
            let mut records = Records::of(&path(&self.folder, oldest.number))?;
            let Some((after, record)) = records.whole(self.offset)? else {
                self.leave_damaged(oldest)?;
                continue;
            };
            match record {
                (REQUEST, body) if body.len() >= REQUEST_HEAD => {
                    let samples = u32_at(&body, 0);
                    let request = Request { samples, newest: i64_at(&body, 4), body: body[REQUEST_HEAD..].to_vec() };
                    return Ok(Some(Next { request, segment: oldest.number, offset: self.offset, after }));
                }
                _ => self.offset = after,
            }
        }
    }

    /// What follows in a segment that is damaged cannot be found: it is lost.
    fn leave_damaged(&mut self, oldest: Segment) -> io::Result<()> {
        let (lost, file) = (oldest.samples.saturating_sub(self.sent), path(&self.folder, oldest.number));
        tracing::error!(file = %file.display(), offset = self.offset, lost, "what waits to be sent is damaged from here on");
        self.dropped += lost;
        if self.segments.len() == 1 {
            let (tail, bytes) = begin(&self.folder, oldest.number + 1, &mut self.marks)?;
            self.tail = tail;
            self.segments.push_back(Segment { number: oldest.number + 1, bytes, samples: 0 });
        }
        self.remove_oldest()
    }

    fn note_position(&self) {
        let (number, offset) = (self.oldest().number.to_le_bytes(), self.offset.to_le_bytes());
        let place = [number, offset].concat();
        let bytes = [place.as_slice(), &crc32c(&[&place]).to_le_bytes()].concat();
        if let Err(error) = self.position.write_all_at(&bytes, 0) {
            tracing::warn!(%error, folder = %self.folder.display(), "a restart would send again what is sent");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOMY: u64 = 1 << 30;

    fn request(number: u8, bytes: usize) -> Request {
        Request { samples: u32::from(number), newest: i64::from(number) * 1_000, body: vec![number; bytes] }
    }

    fn put(queue: &Queue, number: u8, bytes: usize) {
        let note = |marks: &mut Marks| {
            marks.note("web-1", b"spool", u64::from(number), 1);
            vec!["web-1".to_owned()]
        };
        queue.append(&[request(number, bytes)], note).expect("the disk takes it");
    }

    fn next(queue: &Queue) -> Option<Next> {
        queue.next().expect("the disk gives it")
    }

    fn drain(queue: &Queue) -> Vec<u8> {
        let mut found = Vec::new();
        while let Some(next) = next(queue) {
            found.push(next.request.body[0]);
            queue.done(&next);
        }
        found
    }

    #[test]
    fn what_is_queued_comes_in_order_and_again_until_it_is_done() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let queue = Queue::open(folder.path(), ROOMY).expect("it opens");
        assert_eq!(next(&queue), None);
        (1..=3).for_each(|number| put(&queue, number, 10));
        let first = next(&queue).expect("one waits");
        assert_eq!((&first.request, next(&queue).as_ref()), (&request(1, 10), Some(&first)));
        assert_eq!(queue.waiting().samples, 6);
        queue.done(&first);
        assert!(!queue.holds(&first));
        queue.done(&first);
        assert_eq!(queue.waiting().samples, 5, "a second time changes nothing");
        assert_eq!(drain(&queue), [2, 3]);
        assert_eq!(queue.waiting().samples, 0);
    }

    #[test]
    fn a_start_goes_on_where_it_was_with_its_marks() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let open = || Queue::open(folder.path(), ROOMY).expect("it opens");
        let queue = open();
        (1..=4).for_each(|number| put(&queue, number, 10));
        for _ in 0..2 {
            queue.done(&next(&queue).expect("one waits"));
        }
        drop(queue);
        let queue = open();
        assert_eq!(queue.waiting().samples, 7);
        assert!(queue.marks(|marks| marks.has("web-1", b"spool", 4) && !marks.has("web-1", b"spool", 5)));
        put(&queue, 5, 10);
        assert_eq!(drain(&queue), [3, 4, 5]);
        drop(queue);
        let queue = open();
        assert_eq!((drain(&queue), queue.waiting().samples), (Vec::new(), 0));
        assert!(queue.marks(|marks| marks.has("web-1", b"spool", 5)), "though its request is gone");
        drop(queue);
        std::fs::write(folder.path().join(POSITION), [7; 20]).expect("written");
        put(&open(), 6, 10);
        assert_eq!(drain(&open()), [6], "a position that makes no sense loses nothing");
    }

    #[test]
    fn past_its_bytes_the_oldest_go_and_are_counted() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let queue = Queue::open(folder.path(), 80_000).expect("it opens");
        (1..=4).for_each(|number| put(&queue, number, 12_000));
        let first = next(&queue).expect("one waits");
        queue.done(&first);
        let second = next(&queue).expect("one waits");
        (5..=10).for_each(|number| put(&queue, number, 12_000));
        let waiting = queue.waiting();
        assert!(waiting.bytes <= 80_000, "{waiting:?}");
        assert!(!queue.holds(&second));
        queue.done(&second);
        assert_eq!(queue.waiting(), waiting, "who was at it changes nothing");
        let left = drain(&queue);
        assert_eq!(left.last(), Some(&10));
        let lost: u64 = (2..u64::from(left[0])).sum();
        assert_eq!((waiting.dropped, lost > 0), (lost, true));
        assert!(queue.marks(|marks| marks.has("web-1", b"spool", 1)), "dropped is dropped");
    }

    #[test]
    fn what_is_torn_is_cut_off_and_what_is_damaged_counted_as_lost() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let queue = Queue::open(folder.path(), ROOMY).expect("it opens");
        (1..=3).for_each(|number| put(&queue, number, 100));
        drop(queue);
        let segment = path(folder.path(), 1);
        let whole = std::fs::read(&segment).expect("it is there");
        for cut in [whole.len() - 1, whole.len() - 150, 120, 1] {
            let copy = tempfile::tempdir().expect("a folder for the test");
            std::fs::write(path(copy.path(), 1), &whole[..cut]).expect("written");
            let queue = Queue::open(copy.path(), ROOMY).expect("it opens");
            put(&queue, 9, 10);
            let found = drain(&queue);
            assert_eq!(found.last(), Some(&9), "cut at {cut}");
            assert!([1, 2, 3, 9].starts_with(&found[..found.len() - 1]), "cut at {cut}: {found:?}");
        }
        let mut damaged = whole.clone();
        let second = whole.iter().position(|byte| *byte == 2).expect("its body");
        let second = second + whole[second..].iter().position(|byte| *byte == 2).expect("its body");
        damaged[second + 120] ^= 1;
        std::fs::write(&segment, damaged).expect("written");
        let queue = Queue::open(folder.path(), ROOMY).expect("it opens");
        put(&queue, 9, 10);
        let found = drain(&queue);
        let lost = [1_u64, 2, 3].iter().filter(|number| !found.contains(&(**number as u8))).sum::<u64>();
        assert_eq!((queue.waiting().dropped, found.last()), (lost, Some(&9)), "{found:?}");
        assert!(lost > 0, "{found:?}");
    }
}
