//! What was taken, begun, ended and handed over: `journal` in `act`'s own directory, append-only lines of JSON with a checksum,
//! each synced before it counts; and `epoch`.
//!
//! A line: CRC-32 of the rest in eight hexadecimal digits, a space, the entry. A torn last line is cut at open. Commands that were
//! begun and not ended are ended as `Unknown` then. At open the journal is written anew without what is settled and old.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use serde::{Deserialize, Serialize};
use watchkeep_protocol::{CommandResult, Outcome};

use crate::spool::crc32;

/// Ids that are remembered over a start. Older commands answer to no nonce of this process anyway.
const REMEMBERED: usize = 10_000;
/// Results that wait to be handed over at most; with more, nothing new is begun.
pub const WAITING: usize = 256;

#[derive(Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
enum Entry {
    /// Written before the action.
    Begun {
        id: String,
        epoch: u64,
        result: String,
    },
    Ended {
        ticket: u64,
        result: String,
    },
    Kept {
        ticket: u64,
    },
}

/// The journal, open.
pub struct Journal {
    file: File,
    path: PathBuf,
    seen: HashSet<Vec<u8>>,
    /// In the order in which they were taken.
    order: Vec<(Vec<u8>, u64)>,
    open: BTreeMap<Vec<u8>, CommandResult>,
    waiting: BTreeMap<u64, CommandResult>,
    next_ticket: u64,
    epoch: u64,
    /// A write failed and could not be undone: nothing more is begun.
    broken: bool,
}

impl Journal {
    /// Opens `DIRECTORY/journal`; `now_ms` is when commands that nobody ended are said to have ended.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(directory: &Path, now_ms: i64) -> io::Result<Self> {
        let path = directory.join("journal");
        let mut text = String::new();
        match File::open(&path) {
            Ok(mut file) => drop(file.read_to_string(&mut text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        let mut journal = Self {
            file,
            path,
            seen: HashSet::new(),
            order: Vec::new(),
            open: BTreeMap::new(),
            waiting: BTreeMap::new(),
            next_ticket: 0,
            epoch: 0,
            broken: false,
        };
        for entry in text.split_inclusive('\n').map_while(parse) {
            journal.replay(entry);
        }
        journal.compact()?;
        journal.end_the_unknown(now_ms)?;
        Ok(journal)
    }

    fn replay(&mut self, entry: Entry) {
        match entry {
            Entry::Begun { id, epoch, result } => {
                let (Some(id), Some(result)) = (bytes(&id), decode(&result)) else { return };
                self.epoch = self.epoch.max(epoch);
                self.take(id.clone(), epoch);
                self.open.insert(id, result);
            }
            Entry::Ended { ticket, result } => {
                let Some(result) = decode(&result) else { return };
                self.open.remove(&result.id);
                self.waiting.insert(ticket, result);
                self.next_ticket = self.next_ticket.max(ticket + 1);
            }
            Entry::Kept { ticket } => {
                self.waiting.remove(&ticket);
                self.next_ticket = self.next_ticket.max(ticket + 1);
            }
        }
    }

    fn take(&mut self, id: Vec<u8>, epoch: u64) {
        if self.seen.insert(id.clone()) {
            self.order.push((id, epoch));
        }
    }

    /// Writes the journal anew with what still counts, and puts it in place.
    fn compact(&mut self) -> io::Result<()> {
        if self.order.len() > REMEMBERED {
            let old = self.order.len() - REMEMBERED;
            for (id, _) in self.order.drain(..old) {
                self.seen.remove(&id);
            }
        }
        let beside = self.path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        let mut lines = String::new();
        for (place, (id, epoch)) in self.order.iter().enumerate() {
            // The newest carries the highest epoch, whatever went with older ones.
            let epoch = if place + 1 == self.order.len() { self.epoch } else { *epoch };
            let result = self.open.get(id).cloned().unwrap_or_else(|| settled(id));
            lines.push_str(&line(&Entry::Begun { id: text(id), epoch, result: encode(&result) }));
            if !self.open.contains_key(id) {
                // Ended before: told so by a ticket that was kept, unless its result still waits below.
                lines.push_str(&line(&Entry::Ended { ticket: 0, result: encode(&result) }));
                lines.push_str(&line(&Entry::Kept { ticket: 0 }));
            }
        }
        if let Some(last) = self.next_ticket.checked_sub(1) {
            lines.push_str(&line(&Entry::Kept { ticket: last }));
        }
        for (ticket, result) in &self.waiting {
            lines.push_str(&line(&Entry::Ended { ticket: *ticket, result: encode(result) }));
        }
        file.write_all(lines.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.path)?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        Ok(())
    }

    fn end_the_unknown(&mut self, now_ms: i64) -> io::Result<()> {
        for mut result in self.open.values().cloned().collect::<Vec<_>>() {
            result.outcome = Outcome::Unknown as i32;
            result.finished_ms = now_ms;
            result.reason = "act or the host went down while it was carried out; nobody knows how it ended".to_owned();
            self.ended(result)?;
        }
        Ok(())
    }

    /// Whether a command of this id was taken before.
    pub fn has_seen(&self, id: &[u8]) -> bool {
        self.seen.contains(id)
    }

    /// The highest epoch of a command that was taken.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether another command may be begun.
    pub fn has_room(&self) -> bool {
        !self.broken && self.waiting.len() + self.open.len() < WAITING
    }

    /// Durably notes that the command of `result` is about to be carried out. After an error it must not be.
    ///
    /// # Errors
    /// What the disk says.
    pub fn begun(&mut self, epoch: u64, result: &CommandResult) -> io::Result<()> {
        self.append(&Entry::Begun { id: text(&result.id), epoch, result: encode(result) })?;
        self.epoch = self.epoch.max(epoch);
        self.take(result.id.clone(), epoch);
        self.open.insert(result.id.clone(), result.clone());
        Ok(())
    }

    /// Durably notes how it ended; the result waits to be handed over.
    ///
    /// # Errors
    /// What the disk says. The result waits all the same; after a start it would be `Unknown`.
    pub fn ended(&mut self, result: CommandResult) -> io::Result<()> {
        let written = self.append(&Entry::Ended { ticket: self.next_ticket, result: encode(&result) });
        self.open.remove(&result.id);
        self.wait(result);
        written
    }

    /// A refusal waits to be handed over; nothing was done, so nothing is written. Dropped where too many wait.
    pub fn refused(&mut self, result: CommandResult) -> bool {
        let room = self.has_room();
        if room {
            self.wait(result);
        }
        room
    }

    fn wait(&mut self, result: CommandResult) {
        self.waiting.insert(self.next_ticket, result);
        self.next_ticket += 1;
    }

    /// Results that wait, from ticket `from` on.
    pub fn waiting_from(&self, from: u64) -> Option<(u64, &CommandResult)> {
        self.waiting.range(from..).next().map(|(ticket, result)| (*ticket, result))
    }

    /// The result of this ticket was taken over.
    ///
    /// # Errors
    /// What the disk says; then it may be handed over once more after a start.
    pub fn kept(&mut self, ticket: u64) -> io::Result<()> {
        match self.waiting.remove(&ticket) {
            Some(result) if result.outcome != Outcome::Refused as i32 => self.append(&Entry::Kept { ticket }),
            _ => Ok(()),
        }
    }

    fn append(&mut self, entry: &Entry) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("an earlier write failed; start act again"));
        }
        let before = self.file.metadata()?.len();
        let written = self.file.write_all(line(entry).as_bytes()).and_then(|()| self.file.sync_data());
        if written.is_err() {
            // What lies behind `before` is unknown; where it cannot be cut, no later line would be read.
            self.broken = self.file.set_len(before).and_then(|()| self.file.sync_data()).is_err();
        }
        written
    }
}

fn settled(id: &[u8]) -> CommandResult {
    CommandResult { id: id.to_vec(), ..CommandResult::default() }
}

fn line(entry: &Entry) -> String {
    let json = serde_json::to_string(entry).expect("texts and numbers are JSON");
    format!("{:08x} {json}\n", crc32(json.as_bytes()))
}

fn parse(line: &str) -> Option<Entry> {
    let (sum, json) = line.strip_suffix('\n')?.split_once(' ')?;
    let same = u32::from_str_radix(sum, 16).ok()? == crc32(json.as_bytes());
    same.then(|| serde_json::from_str(json).ok()).flatten()
}

fn text(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

fn encode(result: &CommandResult) -> String {
    text(&result.encode_to_vec())
}

fn decode(result: &str) -> Option<CommandResult> {
    CommandResult::decode(bytes(result)?.as_slice()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(id: u8) -> CommandResult {
        CommandResult {
            id: vec![id; 16],
            run: "RUN-1".into(),
            outcome: Outcome::Done as i32,
            ..CommandResult::default()
        }
    }

    fn waiting(journal: &Journal) -> Vec<(u64, u8, i32)> {
        journal.waiting.iter().map(|(ticket, result)| (*ticket, result.id[0], result.outcome)).collect()
    }

    #[test]
    fn what_was_begun_and_not_ended_is_unknown_after_a_start_and_told_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut journal = Journal::open(folder.path(), 1).expect("opens");
        journal.begun(3, &result(1)).expect("written");
        journal.begun(5, &result(2)).expect("written");
        journal.ended(result(2)).expect("written");
        drop(journal);
        let mut journal = Journal::open(folder.path(), 9).expect("opens");
        assert!(journal.has_seen(&[1; 16]) && journal.has_seen(&[2; 16]) && !journal.has_seen(&[3; 16]));
        assert_eq!(journal.epoch(), 5);
        assert_eq!(waiting(&journal), [(0, 2, Outcome::Done as i32), (1, 1, Outcome::Unknown as i32)]);
        journal.kept(1).expect("written");
        drop(journal);
        let mut journal = Journal::open(folder.path(), 9).expect("opens");
        assert_eq!(waiting(&journal), [(0, 2, Outcome::Done as i32)]);
        journal.kept(0).expect("written");
        journal.begun(5, &result(4)).expect("written");
        journal.ended(result(4)).expect("written");
        assert_eq!(waiting(&journal), [(2, 4, Outcome::Done as i32)], "a ticket is given once");
        drop(journal);
        let journal = Journal::open(folder.path(), 9).expect("opens");
        assert!(journal.has_seen(&[1; 16]) && journal.has_seen(&[4; 16]));
        assert_eq!(journal.epoch(), 5);
    }

    #[test]
    fn cut_at_any_byte_it_forgets_at_most_the_last_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut journal = Journal::open(folder.path(), 1).expect("opens");
        for id in 1..4 {
            journal.begun(2, &result(id)).expect("written");
            journal.ended(result(id)).expect("written");
        }
        drop(journal);
        let path = folder.path().join("journal");
        let whole = std::fs::read(&path).expect("a file");
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).expect("cut");
            let journal = Journal::open(folder.path(), 9).expect("opens");
            let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(journal.seen.len(), lines.div_ceil(2), "cut at {cut}");
            assert_eq!(journal.waiting.len(), lines.div_ceil(2), "each that was begun has an outcome, cut at {cut}");
        }
    }

    #[test]
    fn refusals_wait_in_memory_and_not_without_bound() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut journal = Journal::open(folder.path(), 1).expect("opens");
        let refusal = CommandResult { outcome: Outcome::Refused as i32, ..result(1) };
        let taken = (0..2 * WAITING).filter(|_| journal.refused(refusal.clone())).count();
        assert_eq!(taken, WAITING);
        assert!(!journal.has_seen(&[1; 16]), "what was refused was not taken");
        assert_eq!(std::fs::metadata(folder.path().join("journal")).expect("a file").len(), 0);
    }
}
