//! Snapshots of the desk beside the input log, so that old inputs may go and the rest can still be replayed.
//!
//! A snapshot is what a desk is restored from, as the store had it when one input was committed: replaying what follows that
//! input from it gives the facts that the ledger has. It is only ever an aid: no decision is made from it, and while every
//! input since the first is kept none is needed.
//!
//! **On disk.** `inputs/00000123.snapshot`, named by the last input that is in it; a line that names the format, then frames
//! as in the log ([`super::frame`]): a head `{order, at, records}`, then one frame a record, in the store's order. Written
//! under another name, synced, and put in place whole.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use watchkeep_desk::{Millis, Record};

use super::frame::{self, Frame};
use super::{InputLogError, files, reader};

/// The first line of each file.
const FORMAT: &[u8] = b"watchkeep snapshot 1\n";
/// More than the format and a head take.
const HEAD_BYTES: u64 = 1_024;
/// How files end.
const ENDING: &str = "snapshot";

/// What a desk is restored from.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The last input that is in it.
    pub order: u64,
    /// When that one was judged.
    pub at: Millis,
    /// All that are live.
    pub records: Vec<Record>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Head {
    order: u64,
    at: Millis,
    records: usize,
}

/// What [`forget`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Inputs that are gone.
    pub inputs: u64,
    /// The input before which nothing is left; 0 where all are still there.
    pub up_to: u64,
}

impl Snapshot {
    /// Writes it into the folder of the input log.
    ///
    /// # Errors
    /// The disk refuses, or a record is larger than a frame takes; what was there stays.
    pub fn save(&self, folder: &Path) -> Result<(), InputLogError> {
        files::make_folder(folder)?;
        let head = Head { order: self.order, at: self.at, records: self.records.len() };
        let bodies = std::iter::once(serde_json::to_vec(&head)).chain(self.records.iter().map(serde_json::to_vec));
        let path = path_of(folder, self.order);
        let beside = path.with_extension("new");
        let failed = |cause| InputLogError::io("write", &beside, cause);
        let mut file = BufWriter::new(files::make_anew(&beside)?);
        file.write_all(FORMAT).map_err(failed)?;
        for body in bodies {
            let body = body.expect("a record is plain data with text for keys");
            if body.len() > frame::BODY_MAX {
                return Err(InputLogError::TooLarge { order: self.order, bytes: body.len() });
            }
            let mut bytes = Vec::new();
            frame::encode(&body, &mut bytes);
            file.write_all(&bytes).map_err(failed)?;
        }
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        files::put_in_place(folder, &beside, &path)
    }
}

/// The snapshots in `folder` by the input that each is of, oldest first.
///
/// # Errors
/// The folder cannot be read; one that is not there has none.
pub fn list(folder: &Path) -> Result<Vec<u64>, InputLogError> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    Ok(files::list_ending(folder, ENDING)?.into_iter().map(|(order, _)| order).collect())
}

/// The one that is of input `order`.
///
/// # Errors
/// It is not there, or not whole.
pub fn load(folder: &Path, order: u64) -> Result<Snapshot, InputLogError> {
    let mut frames = Bodies::open(path_of(folder, order), u64::MAX)?;
    let head: Head = frames.next()?;
    let mut records = Vec::new();
    for _ in 0..head.records {
        records.push(frames.next()?);
    }
    Ok(Snapshot { order: head.order, at: head.at, records })
}

/// Where a replay of all that is kept begins: from nothing (none) while the first input is there, else from the oldest
/// snapshot that the rest follows.
///
/// # Errors
/// The folder or the snapshot cannot be read.
pub fn beginning(folder: &Path) -> Result<Option<Snapshot>, InputLogError> {
    let first = first_kept(folder)?;
    if first == Some(1) {
        return Ok(None);
    }
    let found = list(folder)?.into_iter().find(|order| first.is_none_or(|first| order + 1 >= first));
    found.map(|order| load(folder, order)).transpose()
}

/// When the newest snapshot's last input was judged, or, where there is none, the first input that is kept.
///
/// # Errors
/// The folder cannot be read.
pub fn newest_at(folder: &Path) -> Result<Option<Millis>, InputLogError> {
    if let Some(order) = list(folder)?.pop() {
        return Ok(Some(head(folder, order)?.at));
    }
    if !folder.exists() {
        return Ok(None);
    }
    let first = files::list(folder)?.into_iter().next();
    first.map_or(Ok(None), |(_, path)| reader::first_instant(&path))
}

/// Forgets inputs before `before` as far as a snapshot stands in for them: whole files that the newest snapshot of before
/// then covers, and snapshots older than that one. Never the newest file of inputs.
///
/// # Errors
/// The folder cannot be read, or a file not removed; what went before stays gone, and a replay still finds its beginning.
pub fn forget(folder: &Path, before: Millis) -> Result<Forgotten, InputLogError> {
    let mut covered = None;
    for order in list(folder)?.into_iter().rev() {
        if head(folder, order)?.at < before {
            covered = Some(order);
            break;
        }
    }
    let Some(covered) = covered else { return Ok(Forgotten::default()) };
    let mut forgotten = Forgotten::default();
    for pair in files::list(folder)?.windows(2) {
        let ((first, path), next) = (&pair[0], pair[1].0);
        if next > covered + 1 {
            break;
        }
        files::remove(folder, path)?;
        forgotten = Forgotten { inputs: forgotten.inputs + (next - first), up_to: next - 1 };
    }
    // A snapshot that nothing follows any more is of no use; while the first input is there, each is.
    let begins = first_kept(folder)?.unwrap_or(covered + 1);
    for order in list(folder)?.into_iter().filter(|order| *order < covered && order + 1 < begins) {
        files::remove(folder, &path_of(folder, order))?;
    }
    Ok(forgotten)
}

/// The order of the first input that is kept; none in an empty log.
fn first_kept(folder: &Path) -> Result<Option<u64>, InputLogError> {
    if !folder.exists() {
        return Ok(None);
    }
    Ok(files::list(folder)?.first().map(|(first, _)| *first))
}

fn path_of(folder: &Path, order: u64) -> PathBuf {
    folder.join(format!("{order:08}.{ENDING}"))
}

/// The frames of one snapshot, or of its beginning.
struct Bodies {
    path: PathBuf,
    bytes: Vec<u8>,
    offset: usize,
}

impl Bodies {
    /// Reads `bytes_max` at most.
    fn open(path: PathBuf, bytes_max: u64) -> Result<Self, InputLogError> {
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(bytes_max).read_to_end(&mut bytes));
        read.map_err(|cause| InputLogError::io("read", &path, cause))?;
        if !bytes.starts_with(FORMAT) {
            return Err(InputLogError::Format { path, format: "watchkeep snapshot 1" });
        }
        Ok(Self { path, bytes, offset: FORMAT.len() })
    }

    fn next<T: for<'de> Deserialize<'de>>(&mut self) -> Result<T, InputLogError> {
        let offset = self.offset as u64;
        let damaged = |found| InputLogError::Damaged { path: self.path.clone(), offset, found };
        match frame::decode(&self.bytes[self.offset..]) {
            Frame::Whole(body) => {
                let value = serde_json::from_slice(body).map_err(|error| damaged(error.to_string()))?;
                self.offset += frame::HEAD + body.len();
                Ok(value)
            }
            Frame::End => Err(damaged("it ends before its last record".to_owned())),
            Frame::Broken(found) => Err(damaged(found)),
        }
    }
}

fn head(folder: &Path, order: u64) -> Result<Head, InputLogError> {
    Bodies::open(path_of(folder, order), HEAD_BYTES)?.next()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use watchkeep_desk::{Input, InputBody};

    use super::super::InputLog;
    use super::*;

    const DAY: i64 = 86_400_000;

    /// One input a day; that of day N has the order N.
    fn log(folder: &Path, days: u64) -> InputLog {
        let mut log = InputLog::open(folder).expect("opened");
        for order in 1..=days {
            let at = Millis(order as i64 * DAY);
            let input = Input { order, at, generation: "g".to_owned(), body: InputBody::Due };
            log.append(&[input]).expect("appended");
        }
        log
    }

    fn snapshot(order: u64) -> Snapshot {
        let record = |number: u64| Record::Setting { name: format!("name {number}"), value: json!(number) };
        Snapshot { order, at: Millis(order as i64 * DAY), records: (0..order).map(record).collect() }
    }

    fn first_input(folder: &Path) -> u64 {
        super::super::read(folder, 1).expect("listed").next().expect("one is left").expect("whole").order
    }

    #[test]
    fn a_snapshot_comes_back_as_it_was_saved_and_damage_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        snapshot(3).save(folder.path()).expect("saved");
        snapshot(3).save(folder.path()).expect("saved again");
        assert_eq!(load(folder.path(), 3).expect("whole"), snapshot(3));
        let path = path_of(folder.path(), 3);
        let whole = std::fs::read(&path).expect("read");
        std::fs::write(&path, &whole[..whole.len() - 40]).expect("cut");
        let error = load(folder.path(), 3).expect_err("cut").to_string();
        assert!(error.contains("00000003.snapshot\" at byte "), "{error}");
        std::fs::write(&path, b"watchkeep inputs 1\n").expect("written");
        let error = load(folder.path(), 3).expect_err("no snapshot").to_string();
        assert!(error.contains("does not begin with \"watchkeep snapshot 1\""), "{error}");
    }

    #[test]
    fn inputs_go_only_where_a_snapshot_stands_in_for_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        assert_eq!(forget(&folder.join("nowhere"), Millis(0)).expect("nothing"), Forgotten::default());
        let log = log(folder, 20);
        assert_eq!(files::list(folder).expect("listed").len(), 20, "a file a day");
        assert_eq!(newest_at(folder).expect("read"), Some(Millis(DAY)), "the first input");
        assert_eq!(forget(folder, Millis(15 * DAY)).expect("went"), Forgotten::default(), "no snapshot, nothing goes");
        assert_eq!(beginning(folder).expect("read"), None, "all of it is there");
        for order in [4, 9, 14] {
            snapshot(order).save(folder).expect("saved");
        }
        assert_eq!(newest_at(folder).expect("read"), Some(Millis(14 * DAY)));
        assert_eq!(forget(folder, Millis(12 * DAY)).expect("went"), Forgotten { inputs: 9, up_to: 9 });
        assert_eq!((first_input(folder), list(folder).expect("listed")), (10, vec![9, 14]));
        assert_eq!(beginning(folder).expect("read"), Some(snapshot(9)), "what is left follows it");
        assert_eq!(forget(folder, Millis(14 * DAY)).expect("went"), Forgotten::default(), "14 is not older");
        assert_eq!(forget(folder, Millis(i64::MAX)).expect("went"), Forgotten { inputs: 5, up_to: 14 });
        assert_eq!((first_input(folder), beginning(folder).expect("read")), (15, Some(snapshot(14))));
        assert_eq!(log.last(), 20);
    }

    #[test]
    fn what_a_crash_left_between_files_and_snapshots_still_has_a_beginning() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        log(folder, 6);
        for order in [2, 4] {
            snapshot(order).save(folder).expect("saved");
        }
        for (_, path) in files::list(folder).expect("listed").into_iter().take(4) {
            files::remove(folder, &path).expect("removed");
        }
        assert_eq!(beginning(folder).expect("read"), Some(snapshot(4)));
        forget(folder, Millis(5 * DAY)).expect("went");
        assert_eq!(list(folder).expect("listed"), [4]);
    }
}
