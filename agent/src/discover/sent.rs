//! What was sent of each section, so that only news travels.
//!
//! Format: `STATE/inventory.json`, section → SHA-256 of the section in hexadecimal, replaced as a whole. The items' own
//! hashes live in memory only: after a restart a section that changed travels whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use prost::Message as _;
use sha2::{Digest as _, Sha256};
use watchkeep_protocol::inventory::{Item, ItemRef, section_hash};
use watchkeep_protocol::{Inventory, limits};

use crate::observe::memory::write_whole;

/// Bytes of items in one message, far enough below the envelope's.
const PART_BYTES: usize = limits::ENVELOPE_BYTES / 2;

pub struct Sent {
    path: PathBuf,
    /// By section: what the controller has, or is sure to get.
    known: BTreeMap<String, Known>,
    /// What the last look found, until it is kept.
    pending: BTreeMap<String, Known>,
}

#[derive(Clone, Debug, PartialEq)]
struct Known {
    hash: [u8; 32],
    /// Identity → the beginning of the item's hash; `None` where only the section's hash is known.
    items: Option<BTreeMap<(String, String), u64>>,
}

impl Sent {
    /// A file that is not there or is damaged says that nothing was sent.
    pub fn open(state: &Path) -> Self {
        let path = state.join("inventory.json");
        let hashes: BTreeMap<String, String> =
            std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let read = |(section, hash): (String, String)| Some((section, Known { hash: from_hex(&hash)?, items: None }));
        Self { path, known: hashes.into_iter().filter_map(read).collect(), pending: BTreeMap::new() }
    }

    /// The messages that bring the controller from what it has to these sections.
    pub fn news(&mut self, sections: Vec<(&'static str, Vec<Item>)>) -> Vec<Inventory> {
        self.pending.clear();
        let mut messages = Vec::new();
        for (section, items) in sections {
            let hash = section_hash(&items);
            let hashes = items.iter().map(|item| ((item.class.clone(), item.key.clone()), item_hash(item))).collect();
            let before = self.known.get(section);
            if before.is_none_or(|known| known.hash != hash) {
                messages.extend(step(section, before, hash, items, &hashes));
            }
            self.pending.insert(section.to_owned(), Known { hash, items: Some(hashes) });
        }
        messages
    }

    /// The last news is durable.
    pub fn kept(&mut self) {
        let changed =
            self.pending.iter().any(|(name, now)| self.known.get(name).is_none_or(|had| had.hash != now.hash));
        self.known.append(&mut self.pending);
        if changed {
            self.write();
        }
    }

    /// The next news brings these sections whole; `*` stands for all.
    pub fn forget(&mut self, sections: &[String]) {
        self.known.retain(|known, _| !sections.iter().any(|section| section == known || section == "*"));
        self.pending.clear();
    }

    fn write(&self) {
        let hashes: BTreeMap<&String, String> =
            self.known.iter().map(|(name, known)| (name, hex(&known.hash))).collect();
        let written = serde_json::to_vec(&hashes).map_err(std::io::Error::other);
        if let Err(fault) = written.and_then(|bytes| write_whole(&self.path, &bytes)) {
            let path = self.path.display();
            tracing::warn!(%path, %fault, "what was sent is not remembered; after a restart it is sent again");
        }
    }
}

/// The difference where it fits one message and is smaller, else the whole in as many parts as it needs.
fn step(
    section: &str,
    before: Option<&Known>,
    hash: [u8; 32],
    items: Vec<Item>,
    hashes: &BTreeMap<(String, String), u64>,
) -> Vec<Inventory> {
    if let Some((base, had)) = before.and_then(|known| Some((known.hash, known.items.as_ref()?))) {
        let identity = |item: &Item| (item.class.clone(), item.key.clone());
        let came = |item: &&Item| had.get(&identity(item)) != hashes.get(&identity(item));
        let came: Vec<Item> = items.iter().filter(came).cloned().collect();
        let gone = had.keys().filter(|identity| !hashes.contains_key(*identity));
        let gone: Vec<ItemRef> = gone.map(|(class, key)| ItemRef { class: class.clone(), key: key.clone() }).collect();
        let bytes: usize = came.iter().map(Item::encoded_len).sum();
        if came.len() + gone.len() < items.len().min(limits::ITEMS) && bytes < PART_BYTES {
            let (hash, base) = (hash.to_vec(), base.to_vec());
            return vec![Inventory { section: section.to_owned(), hash, base, items: came, gone, part: 0, parts: 1 }];
        }
    }
    whole(section, hash, items)
}

fn whole(section: &str, hash: [u8; 32], items: Vec<Item>) -> Vec<Inventory> {
    let mut parts: Vec<Vec<Item>> = vec![Vec::new()];
    let mut bytes = 0;
    for item in items {
        bytes += item.encoded_len();
        let full =
            parts.last().is_some_and(|part| part.len() >= limits::ITEMS || (bytes > PART_BYTES && !part.is_empty()));
        if full {
            bytes = item.encoded_len();
            parts.push(Vec::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push(item);
        }
    }
    let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    let message = |(part, items)| {
        let (hash, base, gone) = (hash.to_vec(), Vec::new(), Vec::new());
        Inventory { section: section.to_owned(), hash, base, items, gone, part, parts: count }
    };
    (0..).zip(parts).map(message).collect()
}

fn item_hash(item: &Item) -> u64 {
    let digest = Sha256::digest(item.encode_to_vec());
    u64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let byte = |place: usize| u8::from_str_radix(text.get(place * 2..place * 2 + 2)?, 16).ok();
    let bytes: Vec<u8> = (0..32).map_while(byte).collect();
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::super::item;
    use super::*;

    fn packages(versions: &[(&str, &str)]) -> Vec<(&'static str, Vec<Item>)> {
        let package = |(name, version): &(&str, &str)| {
            item("software_package", *name, vec![("version", Some((*version).to_owned()))])
        };
        vec![("package", versions.iter().map(package).collect())]
    }

    fn sent() -> (tempfile::TempDir, Sent) {
        let state = tempfile::tempdir().expect("a temporary directory");
        let sent = Sent::open(state.path());
        (state, sent)
    }

    #[test]
    fn first_whole_then_nothing_then_the_difference() {
        let (_state, mut sent) = sent();
        let first = sent.news(packages(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")]));
        assert_eq!((first.len(), first[0].items.len(), first[0].base.len()), (1, 4, 0));
        sent.kept();
        assert!(sent.news(packages(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")])).is_empty());
        sent.kept();
        let step = sent.news(packages(&[("a", "1"), ("b", "2"), ("c", "1")]));
        assert_eq!((step.len(), step[0].items.len()), (1, 1));
        assert_eq!((step[0].items[0].key.as_str(), step[0].gone[0].key.as_str()), ("b", "d"));
        assert_eq!(step[0].base, first[0].hash);
        assert_ne!(step[0].hash, first[0].hash);
    }

    #[test]
    fn what_was_not_kept_comes_again_from_the_same_base() {
        let (_state, mut sent) = sent();
        sent.news(packages(&[("a", "1"), ("b", "1"), ("c", "1")]));
        sent.kept();
        let lost = sent.news(packages(&[("a", "2"), ("b", "1"), ("c", "1")]));
        let again = sent.news(packages(&[("a", "2"), ("b", "1"), ("c", "1")]));
        assert_eq!(lost, again);
    }

    #[test]
    fn after_a_restart_only_what_changed_travels_whole() {
        let (state, mut sent) = sent();
        sent.news(packages(&[("a", "1"), ("b", "1"), ("c", "1")]));
        sent.kept();
        let mut restarted = Sent::open(state.path());
        assert!(restarted.news(packages(&[("a", "1"), ("b", "1"), ("c", "1")])).is_empty());
        let mut restarted = Sent::open(state.path());
        let changed = restarted.news(packages(&[("a", "2"), ("b", "1"), ("c", "1")]));
        assert_eq!((changed[0].items.len(), changed[0].base.len()), (3, 0));
    }

    #[test]
    fn what_is_asked_for_comes_whole() {
        let (_state, mut sent) = sent();
        sent.news(packages(&[("a", "1")]));
        sent.kept();
        sent.forget(&["host".to_owned()]);
        assert!(sent.news(packages(&[("a", "1")])).is_empty());
        sent.forget(&["*".to_owned()]);
        assert_eq!(sent.news(packages(&[("a", "1")])).len(), 1);
    }

    #[test]
    fn a_large_section_travels_in_parts() {
        let (_state, mut sent) = sent();
        let names: Vec<String> = (0..limits::ITEMS * 2 + 1).map(|number| format!("package-{number}")).collect();
        let versions: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
        let parts = sent.news(packages(&versions));
        assert_eq!(parts.iter().map(|part| (part.part, part.parts)).collect::<Vec<_>>(), [(0, 3), (1, 3), (2, 3)]);
        assert_eq!(parts.iter().map(|part| part.items.len()).sum::<usize>(), names.len());
        assert!(parts.iter().all(|part| part.encoded_len() < limits::ENVELOPE_BYTES));
    }
}
