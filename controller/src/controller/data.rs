//! The data directory, and that it is held by one process at a time.
//!
//! | path | what |
//! |---|---|
//! | `config/` | `watchkeep.yaml`, `rules/`, `runbooks/` |
//! | `watchkeep.db` | the database, where no other is named |
//! | `inputs/` | the input log |
//! | `samples/` | block files of what was measured |
//! | `foreign/` | the log of what others wrote and no block file has yet |
//! | `remote_write/` | what waits for other stores, a folder each |
//! | `ca/`, `keys/`, `ledger.secret` | identity; back these up |
//! | `token` | the first administrator's token, mode 0600 |
//! | `lock` | held while a controller runs; says which |

use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::store::lease::Holder;

/// The paths below the data directory, which has mode 0700.
#[derive(Clone, Debug)]
pub struct DataDir(pub PathBuf);

/// A data directory that this process holds until the value is dropped, or the process dies in any way.
#[derive(Debug)]
pub struct Claimed {
    pub dir: DataDir,
    /// Locked.
    file: File,
    who: String,
}

/// Another process holds the directory.
#[derive(Debug, thiserror::Error)]
#[error(
    "the data directory \"{path}\" is in use by {who}; stop that controller first (--take-over does not help here: two \
     controllers cannot share a data directory)"
)]
pub struct DirInUse {
    path: PathBuf,
    who: String,
}

impl DataDir {
    /// Makes the directory, for its owner alone.
    pub fn make(path: &Path) -> std::io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Ok(Self(path.canonicalize()?))
    }

    /// Makes the directory where it is not there, and holds it: two controllers on one would cut each other's input log.
    ///
    /// # Errors
    /// It cannot be made or locked; another process holds it ([`DirInUse`]).
    pub fn claim(path: &Path) -> anyhow::Result<Claimed> {
        let dir = Self::make(path).with_context(|| format!("make \"{}\"", path.display()))?;
        let lock = dir.0.join("lock");
        let doing = || format!("lock \"{}\"", lock.display());
        let mut file = File::options().create(true).truncate(false).write(true).open(&lock).with_context(doing)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let said = fs::read_to_string(&lock).unwrap_or_default();
                let who = said.lines().next().filter(|who| !who.is_empty()).unwrap_or("another controller").to_owned();
                return Err(DirInUse { path: dir.0, who }.into());
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(doing),
        }
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let who = format!("process {} on host \"{}\"", std::process::id(), host.trim());
        let written = file.set_len(0).and_then(|()| writeln!(file, "{who}"));
        written.with_context(|| format!("write \"{}\"", lock.display()))?;
        Ok(Claimed { dir, file, who })
    }

    pub fn config(&self) -> PathBuf {
        self.0.join("config")
    }

    pub fn inputs(&self) -> PathBuf {
        self.0.join("inputs")
    }

    pub fn samples(&self) -> PathBuf {
        self.0.join("samples")
    }

    pub fn foreign(&self) -> PathBuf {
        self.0.join("foreign")
    }

    pub fn remote_write(&self) -> PathBuf {
        self.0.join("remote_write")
    }

    pub fn token(&self) -> PathBuf {
        self.0.join("token")
    }

    pub fn database(&self) -> String {
        format!("sqlite:{}", self.0.join("watchkeep.db").display())
    }

    pub fn ledger_secret(&self) -> PathBuf {
        self.0.join("ledger.secret")
    }
}

impl Claimed {
    /// As whom this process takes leases.
    ///
    /// Its place is the lock itself: device and inode of the file, under this boot of the kernel. Whoever has locked that file
    /// knows that the process which had it before is dead, also across containers, where process numbers say nothing; a copy
    /// of the directory, or a clone of the machine, is another place.
    pub fn holder(&self) -> anyhow::Result<Holder> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let lock = self.file.metadata().context("look at the lock of the data directory")?;
        // Without a boot id no place is the same as another, and every lease is waited out.
        let place = (!boot.is_empty()).then(|| format!("{}/{}/{}", boot.trim(), lock.dev(), lock.ino()));
        let words = format!("{} with its data in \"{}\"", self.who, self.dir.0.display());
        Ok(Holder { words, place: place.unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_in_use_says_by_whom_and_is_free_when_its_holder_is_gone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let first = DataDir::claim(folder.path()).expect("nobody holds it");
        let refused = DataDir::claim(folder.path()).expect_err("it is held").to_string();
        assert!(refused.contains(&format!("is in use by process {} on host", std::process::id())), "{refused}");
        let place = first.holder().expect("it has a place").place;
        drop(first);
        let again = DataDir::claim(folder.path()).expect("it is free again").holder().expect("it has a place");
        assert_eq!(again.place, place, "the same place, whoever holds it");
        let other = tempfile::tempdir().expect("a temporary folder");
        let other = DataDir::claim(other.path()).expect("nobody holds it").holder().expect("it has a place");
        assert_ne!(other.place, place);
    }
}
