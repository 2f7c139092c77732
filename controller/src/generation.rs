//! Generations: what runs is a set of files by content hash.
//!
//! A configuration directory holds `watchkeep.yaml` (packs, notices, settings), `rules/*.yaml` and `runbooks/*.yaml`. All of
//! it is read and checked together; with any fault nothing is taken up and what ran goes on running. The hash covers the
//! paths and texts of the files, those of shipped packs included, so that replay can name exactly what was in force.

mod on_disk;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use watchkeep_desk::Config;
use watchkeep_desk::config::Settings;
use watchkeep_rules::load::{self, InstallationSettings, PackUse, RemoteWrite, Retention};
use watchkeep_rules::metric::Installation;
use watchkeep_rules::model::RuleBook;
use watchkeep_rules::packs;

use crate::ingest::hexadecimal;
use crate::notify::Channel;
use crate::notify::channel::{self, Written};
pub use on_disk::OnDisk;

/// The name of the settings file in the configuration directory.
pub const SETTINGS_FILE: &str = "watchkeep.yaml";

/// One checked set of files.
#[derive(Clone, Debug)]
pub struct Generation {
    /// SHA-256 over the files, hexadecimal.
    pub hash: String,
    /// Shown path → text, as checked.
    pub files: BTreeMap<String, String>,
    pub config: Config,
    /// Where notices go.
    pub notify: Vec<Channel>,
    /// What templates of rules know of where they run.
    pub installation: Arc<Installation>,
    /// How long each kind of record is kept.
    pub retention: Retention,
    /// The stores that are told all samples.
    pub remote_write: Vec<RemoteWrite>,
}

/// `watchkeep.yaml`. Packs with their overrides, the installation and the terms of keeping are read by the rule language,
/// which points at each fault.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SettingsFile {
    #[serde(rename = "packs")]
    _packs: serde::de::IgnoredAny,
    #[serde(rename = "external_url")]
    _external_url: serde::de::IgnoredAny,
    #[serde(rename = "external_labels")]
    _external_labels: serde::de::IgnoredAny,
    #[serde(rename = "retention")]
    _retention: serde::de::IgnoredAny,
    #[serde(rename = "remote_write")]
    _remote_write: serde::de::IgnoredAny,
    notify: Vec<Written>,
    settings: Settings,
}

/// Why a directory is no generation.
#[derive(Debug, thiserror::Error)]
pub enum GenerationError {
    #[error("read \"{path}\"")]
    Read {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    /// All faults of all files, each with file, line, column and reason.
    #[error("{0}")]
    Faults(String),
}

/// The texts of a configuration directory by path relative to it.
pub fn read_dir(dir: &Path) -> Result<BTreeMap<String, String>, GenerationError> {
    let mut files = BTreeMap::new();
    let mut take = |path: PathBuf, shown: String| {
        let text = std::fs::read_to_string(&path).map_err(|cause| GenerationError::Read { path, cause })?;
        files.insert(shown, text);
        Ok::<(), GenerationError>(())
    };
    let settings = dir.join(SETTINGS_FILE);
    if settings.exists() {
        take(settings, SETTINGS_FILE.to_owned())?;
    }
    for folder in ["rules", "runbooks"] {
        let path = dir.join(folder);
        if !path.is_dir() {
            continue;
        }
        let read = |cause| GenerationError::Read { path: path.clone(), cause };
        for entry in std::fs::read_dir(&path).map_err(read)? {
            let name = entry.map_err(read)?.file_name().to_string_lossy().into_owned();
            if (name.ends_with(".yaml") || name.ends_with(".yml")) && !name.starts_with('.') {
                take(path.join(&name), format!("{folder}/{name}"))?;
            }
        }
    }
    Ok(files)
}

impl Generation {
    /// Checks `files` (as [`read_dir`] gives them, or as the store kept them) with the packs that they take up.
    ///
    /// # Errors
    /// Every fault of every file.
    pub fn check(files: BTreeMap<String, String>) -> Result<Self, GenerationError> {
        let text = files.get(SETTINGS_FILE).map_or("", String::as_str);
        let mut faults = Vec::new();
        let packs = load::pack_uses(Path::new(SETTINGS_FILE), text).unwrap_or_else(|found| {
            faults.push(found.to_string());
            None
        });
        let packs = packs.unwrap_or_default();
        let told = load::installation_settings(Path::new(SETTINGS_FILE), text).unwrap_or_else(|found| {
            faults.push(found.to_string());
            InstallationSettings::default()
        });
        // A file that is no YAML is the same fault to each of them.
        faults.dedup();
        // What cannot be read as YAML was told by the line above already.
        let settings = if faults.is_empty() { read_settings(text) } else { Ok(SettingsFile::default()) };
        let settings = settings.unwrap_or_else(|fault| {
            faults.push(fault);
            SettingsFile::default()
        });
        let texts = with_packs(files, &packs);
        let mut rules = load::load(&sources(&texts)).unwrap_or_else(|found| {
            faults.push(found.to_string());
            RuleBook::default()
        });
        if faults.is_empty() {
            let found = packs.iter().flat_map(|pack| load::apply_overrides(&mut rules, &pack.overrides));
            faults.extend(found.map(|fault| fault.to_string()));
        }
        let notify = channel::named(settings.notify).unwrap_or_else(|fault| {
            faults.push(format!("{SETTINGS_FILE}: {fault}"));
            Vec::new()
        });
        if !faults.is_empty() {
            return Err(GenerationError::Faults(faults.join("\n")));
        }
        let config = Config { rules, settings: settings.settings };
        let InstallationSettings { installation, retention, remote_write } = told;
        let installation = Arc::new(installation);
        Ok(Self { hash: hash(&texts), files: texts, config, notify, installation, retention, remote_write })
    }

    /// The names of the channels that notices go out on.
    pub fn channels(&self) -> Vec<String> {
        self.notify.iter().map(|channel| channel.name.clone()).collect()
    }

    /// File → hash of its text, for the ledger.
    pub fn file_hashes(&self) -> BTreeMap<String, String> {
        self.files.iter().map(|(path, text)| (path.clone(), hexadecimal(&Sha256::digest(text.as_bytes())))).collect()
    }
}

fn read_settings(text: &str) -> Result<SettingsFile, String> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(SettingsFile::default());
    }
    serde_yaml::from_str(text).map_err(|fault| {
        let place = fault.location().map(|at| format!("{}:{}:", at.line(), at.column())).unwrap_or_default();
        format!("{SETTINGS_FILE}:{place} {}", fault.without_snippet())
    })
}

/// The files with those of the packs beside them, under `packs/NAME/`. What the store kept wins: a replay reads a pack as it
/// was, not as this binary ships it.
fn with_packs(mut files: BTreeMap<String, String>, uses: &[PackUse]) -> BTreeMap<String, String> {
    let taken = packs::shipped().iter().filter(|pack| uses.iter().any(|chosen| chosen.name == pack.name));
    for (path, text) in taken.flat_map(packs::Pack::sources) {
        files.entry(path.display().to_string()).or_insert(text);
    }
    files
}

fn sources(files: &BTreeMap<String, String>) -> Vec<(PathBuf, String)> {
    let rules = files.iter().filter(|(path, _)| path.as_str() != SETTINGS_FILE);
    rules.map(|(path, text)| (PathBuf::from(path), text.clone())).collect()
}

fn hash(files: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    for (path, text) in files {
        for part in [path, text] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
    }
    hexadecimal(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use watchkeep_rules::load::QueueConfig;

    use super::*;

    fn checked(text: &str) -> Result<Generation, String> {
        let files = BTreeMap::from([(SETTINGS_FILE.to_owned(), text.to_owned())]);
        Generation::check(files).map_err(|error| error.to_string())
    }

    #[test]
    fn the_example_that_ships_is_good_and_tells_the_values_that_hold_without_it() {
        let example = checked(include_str!("../../packaging/watchkeep.yaml")).expect("the example is good");
        let nothing = checked("").expect("nothing need be said");
        assert_eq!(example.retention, nothing.retention);
        assert_eq!(example.config.settings, nothing.config.settings);
        assert_eq!(example.installation.external_url, "https://watch.example.com");
        assert_eq!(*nothing.installation, Installation::default());
        assert_eq!(example.channels(), ["pager"]);
        assert_eq!(example.remote_write, nothing.remote_write);
        let with_stores = include_str!("../../packaging/watchkeep.yaml")
            .replace("#remote_write:", "remote_write:")
            .replace("\n#  ", "\n  ");
        let with_stores = checked(&with_stores).expect("what is commented out is good as well");
        assert_eq!(with_stores.remote_write[0].queue, QueueConfig::default());
    }

    #[test]
    fn the_settings_in_the_readme_are_taken_as_they_stand() {
        let readme = include_str!("../../README.md");
        let blocks = readme.split("\n\n").filter(|block| block.lines().all(|line| line.starts_with("    ")));
        let (mut overridden, mut channels, mut stores) = (0, Vec::new(), Vec::new());
        for block in blocks {
            let first = block.trim_start().lines().next().unwrap_or_default();
            if !["packs:", "notify:", "external_labels: {site: fra1}"].contains(&first) {
                continue;
            }
            let text: String = block.lines().map(|line| format!("{}\n", &line[4..])).collect();
            let taken = checked(&text).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
            channels.extend(taken.channels());
            stores
                .extend(taken.remote_write.iter().map(|store| (store.name.clone(), store.queue.disk_bytes_max >> 30)));
            overridden += usize::from(text.contains("overrides:") && !taken.config.rules.alert_rules.is_empty());
        }
        assert_eq!((overridden, channels), (1, vec!["pager".to_owned()]), "both examples are there");
        assert_eq!(stores, [("long-term".to_owned(), 8)], "and the third");
    }

    #[test]
    fn all_faults_of_the_settings_come_with_their_places() {
        let cases: [(&str, &[&str]); 4] = [
            (
                "packs:\n  - use: sistemd\nexternal_url: nowhere\nretention: {facts: 3}\n",
                &["watchkeep.yaml:2:10: ", "watchkeep.yaml:3:15: ", "watchkeep.yaml:4:20: "],
            ),
            ("settings:\n  close_aftr: 5\n", &["watchkeep.yaml:2:3: ", "close_aftr"]),
            ("notify:\n  - webhook: {url: x}\n", &["watchkeep.yaml:2:", "secret_file"]),
            ("packs: [\n", &["watchkeep.yaml:"]),
        ];
        for (text, told) in cases {
            let said = checked(text).map(|_| ()).expect_err(text);
            for word in told {
                assert!(said.contains(word), "not told: {word}\n{said}");
            }
        }
        let said = checked("packs: [\n").map(|_| ()).expect_err("no YAML");
        assert_eq!(said.matches("watchkeep.yaml:").count(), 1, "told once: {said}");
    }
}
