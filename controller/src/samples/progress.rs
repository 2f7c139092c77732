//! How far a row of chunks is in block files.

use std::sync::Arc;

use super::chunk::Chunk;

/// While no file can be written, memory keeps so much more.
const UNSEALED_MS: i64 = 3 * 3_600_000;

/// How many of the oldest chunks are in block files, and how many were handed over to be put there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    sealed: usize,
    handed: usize,
}

impl Progress {
    /// The chunks that are in no file yet; from now on they are handed over.
    pub fn hand_over<'a>(&mut self, chunks: &'a [Arc<Chunk>]) -> &'a [Arc<Chunk>] {
        self.handed = chunks.len();
        &chunks[self.sealed..]
    }

    /// What was handed over is in a file.
    pub fn sealed(&mut self) {
        self.sealed = self.handed.max(self.sealed);
    }

    /// Bytes that were handed over and are in no file.
    pub fn unsealed(&self, chunks: &[Arc<Chunk>]) -> usize {
        let handed = self.handed.max(self.sealed);
        chunks[self.sealed..handed].iter().map(|chunk| chunk.bytes()).sum()
    }

    /// Drops what is in a file and ends before `before`, and what could not be put into one for [`UNSEALED_MS`] more; whether
    /// there was any.
    pub fn forget(&mut self, chunks: &mut Vec<Arc<Chunk>>, before: i64) -> bool {
        let (was, count) = (*self, chunks.len());
        let mut place = 0;
        chunks.retain(|chunk| {
            let sealed = place < was.sealed;
            let gone = chunk.until < if sealed { before } else { before.saturating_sub(UNSEALED_MS) };
            if gone {
                self.sealed -= usize::from(sealed);
                self.handed -= usize::from(place < was.handed);
            }
            place += 1;
            !gone
        });
        chunks.len() < count
    }

    /// All of these came from files.
    pub fn restored(&mut self, chunks: &[Arc<Chunk>]) {
        (self.sealed, self.handed) = (chunks.len(), chunks.len());
    }
}
