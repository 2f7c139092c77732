//! A disk in memory that fails when told to, for simulations and tests: the n-th operation fails (an append halfway), and
//! a crash loses what was not synced, wholly or from some byte on.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Disk;

/// Clones share the same files, so that whoever drives a spool keeps a hand on its disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk(Arc<Mutex<Files>>);

#[derive(Debug, Default)]
struct Files {
    files: BTreeMap<String, Content>,
    /// Removed since the last sync of anything: a crash may bring them back.
    removed: BTreeMap<String, Content>,
    operations: u64,
    fail_at: Option<u64>,
    full: bool,
}

#[derive(Clone, Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    synced: usize,
}

impl MemoryDisk {
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on the `n`-th operation that changes something (from 1) fails, once; 0 for none.
    pub fn fail_at(&self, n: u64) {
        let mut files = self.files();
        files.operations = 0;
        files.fail_at = (n > 0).then_some(n);
    }

    /// Operations that changed something since [`MemoryDisk::fail_at`].
    pub fn operations(&self) -> u64 {
        self.files().operations
    }

    /// While `full`, appends fail with no byte written; removing still works.
    pub fn set_full(&self, full: bool) {
        self.files().full = full;
    }

    /// The machine goes down: of each file's unsynced bytes a part remains, chosen by `chance`, and removals may be undone.
    pub fn crash(&self, mut chance: u64) {
        let mut files = self.files();
        let mut draw = || {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (chance >> 33) as usize
        };
        if draw().is_multiple_of(2) {
            let removed = std::mem::take(&mut files.removed);
            for (name, content) in removed {
                files.files.entry(name).or_insert(content);
            }
        }
        for content in files.files.values_mut() {
            let loose = content.bytes.len().saturating_sub(content.synced);
            let kept = content.synced.min(content.bytes.len()) + draw() % (loose + 1);
            content.bytes.truncate(kept);
            content.synced = kept;
        }
        files.files.retain(|_, content| !content.bytes.is_empty());
    }

    /// Changes one byte of a file, as a bad sector does.
    pub fn flip(&self, name: &str, place: usize) {
        if let Some(byte) = self.files().files.get_mut(name).and_then(|content| content.bytes.get_mut(place)) {
            *byte ^= 0x40;
        }
    }

    /// Another disk with the same content, as a cloned host has.
    pub fn cloned(&self) -> Self {
        let files = self.files().files.clone();
        Self(Arc::new(Mutex::new(Files { files, ..Files::default() })))
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one operation and says whether it is the one to fail.
    fn step(files: &mut Files) -> bool {
        files.operations += 1;
        files.fail_at == Some(files.operations)
    }
}

fn fault() -> io::Error {
    io::Error::other("the disk was told to fail here")
}

fn absent() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for MemoryDisk {
    fn list(&mut self) -> io::Result<Vec<String>> {
        Ok(self.files().files.keys().cloned().collect())
    }

    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        self.files().files.get(name).map(|content| content.bytes.clone()).ok_or_else(absent)
    }

    fn read_at(&mut self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let files = self.files();
        let bytes = &files.files.get(name).ok_or_else(absent)?.bytes;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        Ok(bytes[from..bytes.len().min(from + length)].to_vec())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut files = self.files();
        let fails = Self::step(&mut files);
        if files.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let content = files.files.entry(name.to_owned()).or_default();
        let written = if fails { bytes.len() / 2 } else { bytes.len() };
        content.bytes.extend_from_slice(&bytes[..written]);
        if fails { Err(fault()) } else { Ok(()) }
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        let mut files = self.files();
        if Self::step(&mut files) {
            return Err(fault());
        }
        let content = files.files.get_mut(name).ok_or_else(absent)?;
        content.bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        content.synced = content.synced.min(content.bytes.len());
        Ok(())
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let mut files = self.files();
        if Self::step(&mut files) {
            return Err(fault());
        }
        files.removed.clear();
        let content = files.files.get_mut(name).ok_or_else(absent)?;
        content.synced = content.bytes.len();
        Ok(())
    }

    fn replace(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut files = self.files();
        if Self::step(&mut files) {
            return Err(fault());
        }
        files.removed.clear();
        files.files.insert(name.to_owned(), Content { bytes: bytes.to_vec(), synced: bytes.len() });
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut files = self.files();
        if Self::step(&mut files) {
            return Err(fault());
        }
        if let Some(content) = files.files.remove(name) {
            files.removed.insert(name.to_owned(), content);
        }
        Ok(())
    }
}
