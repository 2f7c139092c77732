//! Where block files lie: a folder whose files are written once, whole, and then only read or removed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// What is not whole yet; never read.
const UNFINISHED: &str = ".tmp";
/// What could not be read, kept for a person.
const ASIDE: &str = ".damaged";

/// A folder on disk. Clones share it.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    /// Tests: the process dies before the n-th step of writing, from 1.
    #[cfg(test)]
    pub dies_at: std::sync::Arc<std::sync::atomic::AtomicI64>,
}

impl Folder {
    /// Opens the folder, for its owner alone, making it where it is not there.
    ///
    /// # Errors
    /// It cannot be made or read.
    pub fn open(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Ok(Self {
            path: path.to_owned(),
            #[cfg(test)]
            dies_at: std::sync::Arc::default(),
        })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Names of whole files, in order.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !name.ends_with(UNFINISHED) && !name.ends_with(ASIDE) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Removes what a process that died left unfinished. Nobody may be writing.
    ///
    /// # Errors
    /// The folder cannot be read or a file not removed.
    pub fn tidy(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().ends_with(UNFINISHED) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Writes a file: it is there whole and durable, or not at all.
    ///
    /// # Errors
    /// What the disk says. The file may be there all the same where only the last step failed.
    pub fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let unfinished = self.path(&format!("{name}{UNFINISHED}"));
        let outcome = self.write(name, &unfinished, bytes);
        if outcome.is_err() && !self.is_dead() {
            // On a full disk each attempt would leave as much behind as had room.
            let _best_effort = std::fs::remove_file(unfinished);
        }
        outcome
    }

    fn write(&self, name: &str, unfinished: &Path, bytes: &[u8]) -> io::Result<()> {
        self.step()?;
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(unfinished)?;
        let (half, rest) = bytes.split_at(bytes.len() / 2);
        file.write_all(half)?;
        self.step()?;
        file.write_all(rest)?;
        self.step()?;
        file.sync_all()?;
        self.step()?;
        std::fs::rename(unfinished, self.path(name))?;
        self.step()?;
        File::open(&self.path)?.sync_all()
    }

    /// Bytes of a file.
    ///
    /// # Errors
    /// It is not there.
    pub fn length(&self, name: &str) -> io::Result<u64> {
        Ok(std::fs::metadata(self.path(name))?.len())
    }

    /// `length` bytes from `offset` on.
    ///
    /// # Errors
    /// What the disk says; the file ends before them.
    pub fn read(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.path(name))?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = vec![0; length];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Takes a damaged file out of the way; a person may look at it.
    ///
    /// # Errors
    /// It cannot be renamed.
    pub fn set_aside(&self, name: &str) -> io::Result<()> {
        std::fs::rename(self.path(name), self.path(&format!("{name}{ASIDE}")))
    }

    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path(name))
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "tests let the process die here")]
    fn step(&self) -> io::Result<()> {
        Ok(())
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "tests let the process die")]
    fn is_dead(&self) -> bool {
        false
    }

    /// Whether the step before was the last.
    #[cfg(test)]
    fn is_dead(&self) -> bool {
        self.dies_at.load(std::sync::atomic::Ordering::Relaxed) == 0
    }

    #[cfg(test)]
    fn step(&self) -> io::Result<()> {
        use std::sync::atomic::Ordering;
        match self.dies_at.fetch_sub(1, Ordering::Relaxed) {
            1 => Err(io::Error::other("the process dies here")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_whole_leaves_nothing_behind() {
        let dir = tempfile::tempdir().expect("a folder for the test");
        let folder = Folder::open(dir.path()).expect("it is there");
        // Nothing can be put over a folder in which there is something.
        std::fs::create_dir_all(folder.path("1-0.block/in/the/way")).expect("it can be made");
        folder.put("1-0.block", b"samples").expect_err("something is in its way");
        assert_eq!(folder.list().expect("readable"), ["1-0.block"]);
        let all = std::fs::read_dir(dir.path()).expect("readable").count();
        assert_eq!(all, 1, "what was written of it is gone");
    }
}
