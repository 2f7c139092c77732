//! How the configuration directory stands to what runs.

use std::path::Path;

use super::{Generation, read_dir};

/// What a reload would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnDisk {
    /// Nothing: the files are what runs.
    InForce,
    /// It would take them up.
    Waiting,
    /// It would refuse them, for these faults: a line each as a rule.
    Faulty(String),
}

impl Generation {
    /// Looks at the files of `dir`, and checks them only where they are not those that run.
    pub fn on_disk(&self, dir: &Path) -> OnDisk {
        let files = match read_dir(dir) {
            Ok(files) => files,
            Err(error) => return OnDisk::Faulty(crate::core::engine::chain(&error)),
        };
        let ours = self.files.iter().filter(|(path, _)| !path.starts_with("packs/"));
        if files.iter().eq(ours) {
            return OnDisk::InForce;
        }
        match Self::check(files) {
            Ok(_) => OnDisk::Waiting,
            Err(error) => OnDisk::Faulty(crate::core::engine::chain(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::generation::SETTINGS_FILE;

    #[test]
    fn a_directory_is_in_force_waits_or_is_faulty() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let settings = |text: &str| fs::write(dir.path().join(SETTINGS_FILE), text).expect("it can be written");
        settings("packs:\n  - use: systemd\n");
        let files = read_dir(dir.path()).expect("it can be read");
        let running = Generation::check(files).expect("it is good");
        assert_eq!(running.on_disk(dir.path()), OnDisk::InForce);

        settings("packs:\n  - use: linux-host\n");
        assert_eq!(running.on_disk(dir.path()), OnDisk::Waiting);
        settings("packs:\n  - use: systemd\n");
        fs::create_dir(dir.path().join("rules")).expect("it can be made");
        fs::write(dir.path().join("rules/own.yaml"), "groups: []\n").expect("it can be written");
        assert_eq!(running.on_disk(dir.path()), OnDisk::Waiting, "a file more");

        settings("packs:\n  - use: sistemd\n");
        let OnDisk::Faulty(told) = running.on_disk(dir.path()) else { panic!("a pack that is not there is a fault") };
        assert!(told.starts_with("watchkeep.yaml:2:10: "), "{told}");
    }
}
