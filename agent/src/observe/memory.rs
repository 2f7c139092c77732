//! What was reported failed, kept across restarts of the agent, so that each failure is told once a boot.
//!
//! Format: `STATE/observed.json`, `{"boot": "<boot id>", "failed": {"<unit>": "<result>"}}`, replaced as a whole.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The file, and what it says.
#[derive(Debug)]
pub struct Memory {
    path: Option<PathBuf>,
    boot: String,
    remembered: Remembered,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    boot: String,
    failed: BTreeMap<String, String>,
}

impl Memory {
    /// Reads what was kept in `state`. A file that is not there or is damaged counts as empty: what failed is told again.
    pub fn open(state: &Path, boot: &str) -> Self {
        let path = state.join("observed.json");
        let remembered = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|fault| {
                tracing::warn!(path = %path.display(), %fault, "damaged; failed units are reported once more");
                Remembered::default()
            }),
            Err(_) => Remembered::default(),
        };
        Self { path: Some(path), boot: boot.to_owned(), remembered }
    }

    /// Remembers nothing and writes nothing.
    pub fn none() -> Self {
        Self { path: None, boot: String::new(), remembered: Remembered::default() }
    }

    /// Units reported failed in this boot and not recovered since: unit and result.
    pub fn of_this_boot(&self) -> Vec<(String, String)> {
        let same = self.remembered.boot == self.boot;
        let failed = self.remembered.failed.iter().filter(|_| same);
        failed.map(|(unit, result)| (unit.clone(), result.clone())).collect()
    }

    /// Units reported failed before the host started anew, and not recovered then.
    pub fn of_another_boot(&self) -> Vec<String> {
        if self.remembered.boot == self.boot { Vec::new() } else { self.remembered.failed.keys().cloned().collect() }
    }

    /// Replaces what is remembered. Nothing is written where nothing changed.
    pub fn keep<'a>(&mut self, failed: impl Iterator<Item = (&'a str, &'a str)>) -> io::Result<()> {
        let failed = failed.map(|(unit, result)| (unit.to_owned(), result.to_owned())).collect();
        let next = Remembered { boot: self.boot.clone(), failed };
        if next == self.remembered {
            return Ok(());
        }
        let Some(path) = &self.path else { return Ok(()) };
        write_whole(path, &serde_json::to_vec(&next).map_err(io::Error::other)?)?;
        self.remembered = next;
        Ok(())
    }
}

/// Replaces a small file so that a crash leaves the old or the new one.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_remembered_for_its_boot_only() {
        let state = tempfile::tempdir().expect("a temporary directory");
        let mut memory = Memory::open(state.path(), "boot-1");
        memory.keep([("a.service", "signal")].into_iter()).expect("is written");

        let again = Memory::open(state.path(), "boot-1");
        assert_eq!(again.of_this_boot(), [("a.service".to_owned(), "signal".to_owned())]);
        assert!(again.of_another_boot().is_empty());

        let after_reboot = Memory::open(state.path(), "boot-2");
        assert!(after_reboot.of_this_boot().is_empty());
        assert_eq!(after_reboot.of_another_boot(), ["a.service"]);
    }

    #[test]
    fn a_damaged_file_counts_as_empty() {
        let state = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(state.path().join("observed.json"), "{torn").expect("is written");
        assert!(Memory::open(state.path(), "boot-1").of_this_boot().is_empty());
    }
}
