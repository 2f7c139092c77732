//! Where the host's files are: below `/`, or below another folder in tests.

use std::path::{Path, PathBuf};

/// The folder that `/proc`, `/sys`, `/etc` … are below.
#[derive(Clone, Debug)]
pub struct Root(PathBuf);

impl Default for Root {
    fn default() -> Self {
        Self(PathBuf::from("/"))
    }
}

impl Root {
    /// The host's files below another folder.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// A file by its path without the leading `/`: `proc/stat`.
    pub fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        self.0.join(path)
    }

    /// A small text file; empty where it cannot be read.
    pub fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.join(path)).unwrap_or_default()
    }

    /// The first line of a small text file, trimmed; `None` where it cannot be read or says nothing.
    pub fn line(&self, path: &str) -> Option<String> {
        let text = self.text(path);
        let line = text.lines().next()?.trim();
        (!line.is_empty()).then(|| line.to_owned())
    }

    /// The kernel's id of this boot; empty where it cannot be read.
    pub fn boot_id(&self) -> String {
        self.line("proc/sys/kernel/random/boot_id").unwrap_or_default()
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::Root;

    /// Files that a test writes.
    pub struct TempFiles(tempfile::TempDir);

    impl TempFiles {
        pub fn new() -> Self {
            Self(tempfile::tempdir().expect("a temporary directory"))
        }

        pub fn root(&self) -> Root {
            Root::at(self.0.path())
        }

        pub fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("is made");
            std::fs::write(path, text).expect("is written");
        }
    }
}
