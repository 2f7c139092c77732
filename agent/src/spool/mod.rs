//! What the agent has to say, kept on disk until it was heard.
//!
//! Two numbered streams under one random spool id. *Matters* are durable before they are sent, and held until the controller has
//! committed them. *Samples* (reports) are held until sealed; they are not forced to disk, and the oldest are given up where
//! they would take more than their share, which is said as `skipped a..b`.
//!
//! On disk: segment files `matters-SEQ.seg` and `samples-SEQ.seg`, append-only, of records (see [`record`]), `state`
//! (see [`state`]) and `layout-ID`, replaced atomically. Invariants:
//!
//! 1. A number that was handed out to be sent never stands for other content under the same spool id. Matters are sendable
//!    once synced; sample numbers are reserved in `state` before use, so that a crash leaves a gap instead of reuse.
//! 2. A segment goes when all its records lie below the mark, and only after the mark is durable.
//! 3. `state` says from where on no number was ever sent, until the controller answers: by that it tells a host that was put
//!    back to a snapshot, whose numbers others had before.
//! 4. A record does not know the spool's id: [`Spool::renumber`] is one atomic replacement of `state` and keeps all that is
//!    held, each under its number, in the new spool.
//!
//! It is a step function over [`Disk`]: no clock, no chance, no thread. A disk that hangs hangs the agent, which is seen as
//! silence; what cannot be made durable must not be said.

pub mod disk;
mod layouts;
pub mod memory;
mod record;
mod state;
mod stream;

use prost::Message as _;
use watchkeep_protocol::{Block, Matter, MatterBody, Report, Span, Status, Unsent, limits};

pub use disk::{Disk, FolderDisk};
use layouts::Layouts;
use record::Tag;
pub(crate) use record::crc32;
use state::State;
use stream::Stream;

/// Sample numbers that are reserved at a time; at most so many are skipped by a crash.
const RESERVED: u64 = 256;

/// Sizes of a spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A segment is closed once it is this large.
    pub segment_bytes: u64,
    /// Samples beyond this are given up, oldest first, a segment at a time.
    pub samples_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { segment_bytes: 1 << 20, samples_bytes_max: 128 << 20 }
    }
}

/// Why the spool could not do what was asked. What it holds is unharmed; asking again later is right.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("{doing} in the spool, file \"{file}\"")]
    Disk { doing: &'static str, file: String, source: std::io::Error },
    #[error("a record of {found} bytes, at most {most} are kept")]
    TooLarge { found: usize, most: usize },
}

/// The spool.
pub struct Spool<D> {
    disk: D,
    limits: Limits,
    state: State,
    matters: Stream,
    samples: Stream,
    layouts: Layouts,
    skipped: Option<Span>,
    /// What was cut or repaired at open, for the log.
    pub repairs: Vec<String>,
}

impl<D: Disk> Spool<D> {
    /// Opens what is there, cutting torn tails; `fresh` (16 random bytes) becomes the spool's id where there is none, or
    /// where `state` is damaged.
    ///
    /// # Errors
    /// Only what the disk says; damage is repaired and told in `repairs`.
    pub fn open(mut disk: D, limits: Limits, fresh: [u8; 16]) -> Result<Self, SpoolError> {
        let mut repairs = Vec::new();
        let files = disk.list().map_err(failed("list files", "."))?;
        let found = state::read(&mut disk, &files)?;
        let mut state = found.clone().unwrap_or_else(|| State::new(fresh));
        let mut matters = Stream::open(&mut disk, Tag::Matters, &files, state.matters, &mut repairs)?;
        let mut samples = Stream::open(&mut disk, Tag::Samples, &files, state.samples, &mut repairs)?;
        if found.is_none() && (matters.next > 0 || samples.next > 0) {
            repairs.push("the spool's state was lost: all that is held goes under a new spool id".to_owned());
        }
        let layouts = Layouts::of(&files);
        let mut skipped = None;
        if samples.next < state.samples_reserved {
            if !state.clean {
                skipped = Some(Span { first: samples.next, next: state.samples_reserved });
            }
            samples.next = state.samples_reserved;
        }
        matters.sync(&mut disk, limits.segment_bytes)?;
        state.clean = false;
        state.samples_reserved = samples.next;
        state.unsent.get_or_insert(Unsent { matters: matters.next, samples: samples.next });
        state::write(&mut disk, &state)?;
        Ok(Self { disk, limits, state, matters, samples, layouts, skipped, repairs })
    }

    /// The id under which both streams are numbered.
    pub fn id(&self) -> [u8; 16] {
        self.state.id
    }

    /// Matters held: `first` is not yet committed at the controller, those below `next` may be sent (they are durable).
    pub fn matters(&self) -> Span {
        Span { first: self.matters.first, next: self.matters.synced }
    }

    /// Reports held. There may be gaps: see [`Spool::report_from`].
    pub fn samples(&self) -> Span {
        Span { first: self.samples.first, next: self.samples.next }
    }

    /// From where on nothing of what is held, or comes, was sent under this id; `None` once the controller has answered.
    pub fn unsent(&self) -> Option<Unsent> {
        let unsent = self.state.unsent?;
        let held = |number: u64, Span { first, next }: Span| number.clamp(first, next);
        Some(Unsent { matters: held(unsent.matters, self.matters()), samples: held(unsent.samples, self.samples()) })
    }

    /// The controller has answered: from now on numbers are sent.
    ///
    /// # Errors
    /// What the disk says; it is written with what is written next, and a process that begins before that may have all
    /// that it holds numbered anew.
    pub fn answered(&mut self) -> Result<(), SpoolError> {
        match self.state.unsent.take() {
            Some(_) => self.put_state(self.state.clone()),
            None => Ok(()),
        }
    }

    /// Bytes on disk, matters and samples.
    pub fn bytes(&self) -> (u64, u64) {
        (self.matters.bytes(), self.samples.bytes())
    }

    /// Appends a matter and returns its number. It is not durable, and not to be sent, before the next [`Spool::sync`].
    /// Where the disk is full, samples are given up for it.
    ///
    /// # Errors
    /// The disk refused it even so, or it is too large: it is not held.
    pub fn add_matter(&mut self, at_ms: i64, body: MatterBody) -> Result<u64, SpoolError> {
        let payload = Matter { spool: Vec::new(), number: 0, at_ms, body: Some(body) }.encode_to_vec();
        fits(&payload)?;
        loop {
            match self.matters.append(&mut self.disk, &payload, self.limits.segment_bytes) {
                Err(error) if error.is_full() && self.give_up_oldest()? => {}
                other => return other,
            }
        }
    }

    /// Makes every matter that was added durable. Call it once for a group.
    ///
    /// # Errors
    /// None of the new ones is durable yet; call it again.
    pub fn sync(&mut self) -> Result<(), SpoolError> {
        self.matters.sync(&mut self.disk, self.limits.segment_bytes)
    }

    /// Appends a report (its spool and number are set here) and returns its number.
    ///
    /// # Errors
    /// The disk refused it: it is not held.
    pub fn add_report(&mut self, report: Report) -> Result<u64, SpoolError> {
        let payload = Report { spool: Vec::new(), number: 0, ..report }.encode_to_vec();
        fits(&payload)?;
        if self.samples.next >= self.state.samples_reserved {
            let reserved = State { samples_reserved: self.samples.next + RESERVED, ..self.state.clone() };
            self.put_state(reserved)?;
        }
        let number = self.samples.append(&mut self.disk, &payload, self.limits.segment_bytes)?;
        while self.samples.bytes() > self.limits.samples_bytes_max && self.samples.segments() > 1 {
            if !self.give_up_oldest()? {
                break;
            }
        }
        Ok(number)
    }

    /// Keeps the layout that reports from now on name, and returns its id. Keeping a known one costs nothing.
    ///
    /// # Errors
    /// What the disk says.
    pub fn put_layout(&mut self, blocks: &[Block]) -> Result<[u8; 32], SpoolError> {
        self.layouts.put(&mut self.disk, blocks)
    }

    /// The blocks of a layout that was kept; `None` where it is not held (any more).
    ///
    /// # Errors
    /// What the disk says.
    pub fn layout(&mut self, id: &[u8]) -> Result<Option<Vec<Block>>, SpoolError> {
        self.layouts.get(&mut self.disk, id)
    }

    /// The matter of this number, as it travels; `None` outside [`Spool::matters`]. Where its record was damaged on disk,
    /// a status `lost` stands in its place, so that the stream goes on and the loss is known.
    ///
    /// # Errors
    /// What the disk says.
    pub fn matter(&mut self, number: u64) -> Result<Option<Matter>, SpoolError> {
        if number < self.matters.first || number >= self.matters.synced {
            return Ok(None);
        }
        let payload = self.matters.read(&mut self.disk, number)?;
        let read = payload.and_then(|payload| Matter::decode(payload.as_slice()).ok());
        let matter = read.unwrap_or_else(|| lost(number));
        Ok(Some(Matter { spool: self.state.id.to_vec(), number, ..matter }))
    }

    /// The first report held whose number is `number` or more, as it travels; `None` where there is none.
    ///
    /// # Errors
    /// What the disk says.
    pub fn report_from(&mut self, number: u64) -> Result<Option<Report>, SpoolError> {
        let mut number = number.max(self.samples.first);
        while let Some(held) = self.samples.held_from(number) {
            let payload = self.samples.read(&mut self.disk, held)?;
            if let Some(report) = payload.and_then(|payload| Report::decode(payload.as_slice()).ok()) {
                return Ok(Some(Report { spool: self.state.id.to_vec(), number: held, ..report }));
            }
            number = held + 1;
        }
        Ok(None)
    }

    /// Takes the controller's marks: matters below `matters` are committed, reports below `sealed` may go. Marks never move
    /// back, and not beyond what is held. Segments wholly below them are deleted.
    ///
    /// # Errors
    /// What the disk says; the marks hold in memory all the same, and what could not be deleted goes with a later ack.
    pub fn acked(&mut self, matters: u64, sealed: u64) -> Result<(), SpoolError> {
        self.matters.first = self.matters.first.max(matters.min(self.matters.synced));
        self.samples.first = self.samples.first.max(sealed.min(self.samples.next));
        if self.matters.has_removable() || self.samples.has_removable() {
            self.put_state(self.state.clone())?;
            self.matters.remove_below(&mut self.disk)?;
            self.samples.remove_below(&mut self.disk)?;
        }
        Ok(())
    }

    /// Puts all that is held under a new spool id (16 random bytes), atomically.
    ///
    /// # Errors
    /// What the disk says; the old id is in force then.
    pub fn renumber(&mut self, id: [u8; 16]) -> Result<(), SpoolError> {
        self.put_state(State { id, unsent: Some(Unsent::default()), ..self.state.clone() })
    }

    /// The reports that were given up since this was last asked.
    pub fn take_skipped(&mut self) -> Option<Span> {
        self.skipped.take()
    }

    /// Says a clean goodbye: everything is synced, and no number is skipped at the next start.
    ///
    /// # Errors
    /// What the disk says; the next start then skips a few sample numbers.
    pub fn close(mut self) -> Result<(), SpoolError> {
        self.sync()?;
        self.samples.sync(&mut self.disk, self.limits.segment_bytes)?;
        self.put_state(State { clean: true, samples_reserved: self.samples.next, ..self.state.clone() })
    }

    fn put_state(&mut self, state: State) -> Result<(), SpoolError> {
        let state = State { matters: self.matters.first, samples: self.samples.first, ..state };
        state::write(&mut self.disk, &state)?;
        self.state = state;
        Ok(())
    }

    /// Gives up the oldest segment of samples; false where there is none.
    fn give_up_oldest(&mut self) -> Result<bool, SpoolError> {
        let Some(span) = self.samples.oldest() else { return Ok(false) };
        let first = span.first.max(self.samples.first);
        self.samples.remove_oldest(&mut self.disk)?;
        if first < span.next {
            let first = self.skipped.map_or(first, |before| before.first.min(first));
            self.skipped = Some(Span { first, next: span.next });
        }
        Ok(true)
    }
}

impl SpoolError {
    /// Whether the disk has no room.
    fn is_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::Disk { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded))
    }
}

fn lost(number: u64) -> Matter {
    let detail = format!("the record of matter {number} was damaged on this host's disk");
    let status = Status { what: "lost".to_owned(), detail, skipped: None };
    Matter { at_ms: 0, body: Some(MatterBody::Status(status)), ..Matter::default() }
}

fn fits(payload: &[u8]) -> Result<(), SpoolError> {
    // The envelope around it takes some bytes of its own.
    let most = limits::ENVELOPE_BYTES - 512;
    if payload.len() > most { Err(SpoolError::TooLarge { found: payload.len(), most }) } else { Ok(()) }
}

fn failed(doing: &'static str, file: &str) -> impl FnOnce(std::io::Error) -> SpoolError {
    let file = file.to_owned();
    move |source| SpoolError::Disk { doing, file, source }
}

#[cfg(test)]
mod anomaly_tests;
#[cfg(test)]
mod tests;
