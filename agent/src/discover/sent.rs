//! What was sent of each section, so that only news travels.
//!
//! Format: `STATE/inventory.json`, section → SHA-256 of the section in hexadecimal, replaced as a whole. The items' own
//! hashes live in memory only: after a restart a section that changed travels whole.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use watchkeep_protocol::inventory::ItemRef;
use watchkeep_protocol::{Inventory, limits};

use super::packed::{Entry, Packed};
use crate::observe::memory::write_whole;

/// Bytes of a difference at most, far enough below the envelope's; a larger one is told as the whole.
const DIFFERENCE_BYTES: usize = limits::ENVELOPE_BYTES / 2;
/// Bytes of one part of a whole section: small, since each is in memory several times on its way.
const PART_BYTES: usize = 16 << 10;
/// Parts of one section, well below what the controller takes; those of a larger section are larger.
const PARTS_MAX: usize = 48;

pub struct Sent {
    path: PathBuf,
    /// By section: what the controller has, or is sure to get.
    known: BTreeMap<String, Known>,
    /// What the last look found, until it is kept.
    pending: BTreeMap<String, Known>,
    /// What the last look found that is news, until it is taken.
    leaving: VecDeque<Leaving>,
}

#[derive(Clone, Debug, PartialEq)]
struct Known {
    hash: [u8; 32],
    /// By identity; `None` where only the section's hash is known.
    items: Option<Vec<Entry>>,
}

/// A section on its way.
struct Leaving {
    section: &'static str,
    hash: [u8; 32],
    /// What a difference starts from; empty for the whole.
    base: Vec<u8>,
    packed: Packed,
    gone: Vec<ItemRef>,
    /// Places of the entries that are told, a list a part; the first is the next.
    parts: VecDeque<Vec<usize>>,
    parts_in_all: usize,
}

impl Sent {
    /// A file that is not there or is damaged says that nothing was sent.
    pub fn open(state: &Path) -> Self {
        let path = state.join("inventory.json");
        let hashes: BTreeMap<String, String> =
            std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let read = |(section, hash): (String, String)| Some((section, Known { hash: from_hex(&hash)?, items: None }));
        let known = hashes.into_iter().filter_map(read).collect();
        Self { path, known, pending: BTreeMap::new(), leaving: VecDeque::new() }
    }

    /// A look begins; what was left of the one before is dropped.
    pub fn begin(&mut self) {
        self.pending.clear();
        self.leaving.clear();
    }

    /// Takes a section as it is now.
    pub fn take(&mut self, section: &'static str, mut packed: Packed) {
        let hash = packed.seal();
        let before = self.known.get(section);
        let mut items = None;
        if before.is_none_or(|known| known.hash != hash) {
            items = Some(packed.entries().to_vec());
            self.leaving.push_back(Leaving::new(section, hash, before, packed));
        } else if before.is_none_or(|known| known.items.is_none()) {
            items = Some(packed.into_entries());
        }
        // Where nothing changed, what is known stays known.
        if items.is_some() {
            self.pending.insert(section.to_owned(), Known { hash, items });
        }
    }

    /// The next message that brings the controller from what it has to what was found.
    pub fn next_news(&mut self) -> Option<Inventory> {
        let leaving = self.leaving.front_mut()?;
        let message = leaving.next_part();
        if leaving.parts.is_empty() {
            self.leaving.pop_front();
        }
        Some(message)
    }

    /// All news of the look is durable.
    pub fn kept(&mut self) {
        let changed =
            self.pending.iter().any(|(name, now)| self.known.get(name).is_none_or(|had| had.hash != now.hash));
        self.known.append(&mut self.pending);
        if changed {
            self.write();
        }
    }

    /// The next look brings these sections whole; `*` stands for all.
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

impl Leaving {
    /// The difference where it fits one message and is smaller, else the whole in as many parts as it needs.
    fn new(section: &'static str, hash: [u8; 32], before: Option<&Known>, packed: Packed) -> Self {
        let difference = before.and_then(|known| difference(known, &packed));
        let (base, gone, parts) = match difference {
            Some((base, came, gone)) => (base, gone, VecDeque::from([came])),
            None => (Vec::new(), Vec::new(), parts_of(&packed)),
        };
        let parts_in_all = parts.len();
        Self { section, hash, base, packed, gone, parts, parts_in_all }
    }

    fn next_part(&mut self) -> Inventory {
        let part = self.parts_in_all - self.parts.len();
        let places = self.parts.pop_front().unwrap_or_default();
        let entries = self.packed.entries();
        Inventory {
            section: self.section.to_owned(),
            hash: self.hash.to_vec(),
            base: self.base.clone(),
            items: places.into_iter().map(|place| self.packed.unpack(&entries[place])).collect(),
            gone: std::mem::take(&mut self.gone),
            part: u32::try_from(part).unwrap_or(u32::MAX),
            parts: u32::try_from(self.parts_in_all).unwrap_or(u32::MAX),
        }
    }
}

/// The hash before, the places of what came or changed, and what is gone.
fn difference(before: &Known, packed: &Packed) -> Option<(Vec<u8>, Vec<usize>, Vec<ItemRef>)> {
    let had = before.items.as_ref()?;
    let entries = packed.entries();
    let same = |one: &Entry, other: &Entry| one.identity.cmp(&other.identity);
    let came = |entry: &Entry| match had.binary_search_by(|known| same(known, entry)) {
        Ok(place) => had[place].hash != entry.hash,
        Err(_) => true,
    };
    let came: Vec<usize> = (0..entries.len()).filter(|place| came(&entries[*place])).collect();
    let gone = had.iter().filter(|known| entries.binary_search_by(|entry| same(entry, known)).is_err());
    let gone: Vec<ItemRef> = gone.map(|known| known.identity.reference()).collect();
    let bytes: usize = came.iter().map(|place| packed.bytes_of(&entries[*place]).len()).sum();
    let is_smaller = came.len() + gone.len() < entries.len().min(limits::ITEMS) && bytes < DIFFERENCE_BYTES;
    is_smaller.then(|| (before.hash.to_vec(), came, gone))
}

/// All places, part by part; one empty part for an empty section.
fn parts_of(packed: &Packed) -> VecDeque<Vec<usize>> {
    let sizes = packed.entries().iter().map(|entry| packed.bytes_of(entry).len());
    let part_bytes = PART_BYTES.max(sizes.clone().sum::<usize>().div_ceil(PARTS_MAX));
    let (mut parts, mut bytes) = (VecDeque::from([Vec::new()]), 0);
    for (place, size) in sizes.enumerate() {
        bytes += size;
        let full = parts.back().is_some_and(|part: &Vec<usize>| part.len() >= limits::ITEMS || bytes > part_bytes);
        if full && place > 0 {
            bytes = size;
            parts.push_back(Vec::new());
        }
        if let Some(part) = parts.back_mut() {
            part.push(place);
        }
    }
    parts
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
    use prost::Message as _;
    use watchkeep_protocol::inventory::{Item, section_hash};

    use super::super::item;
    use super::*;

    fn packages(versions: &[(&str, &str)]) -> Vec<Item> {
        let package = |(name, version): &(&str, &str)| {
            item("software_package", *name, vec![("version", Some((*version).to_owned()))])
        };
        versions.iter().map(package).collect()
    }

    /// The messages of a look that finds these packages.
    fn look(sent: &mut Sent, items: Vec<Item>) -> Vec<Inventory> {
        let mut packed = Packed::default();
        items.into_iter().for_each(|item| packed.add(item));
        sent.begin();
        sent.take("package", packed);
        std::iter::from_fn(|| sent.next_news()).collect()
    }

    fn sent() -> (tempfile::TempDir, Sent) {
        let state = tempfile::tempdir().expect("a temporary directory");
        let sent = Sent::open(state.path());
        (state, sent)
    }

    #[test]
    fn first_whole_then_nothing_then_the_difference() {
        let (_state, mut sent) = sent();
        let first = look(&mut sent, packages(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")]));
        assert_eq!((first.len(), first[0].items.len(), first[0].base.len()), (1, 4, 0));
        sent.kept();
        assert!(look(&mut sent, packages(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")])).is_empty());
        sent.kept();
        let step = look(&mut sent, packages(&[("a", "1"), ("b", "2"), ("c", "1")]));
        assert_eq!((step.len(), step[0].items.len()), (1, 1));
        assert_eq!((step[0].items[0].key.as_str(), step[0].gone[0].key.as_str()), ("b", "d"));
        assert_eq!(step[0].base, first[0].hash);
        assert_ne!(step[0].hash, first[0].hash);
    }

    #[test]
    fn what_was_not_kept_comes_again_from_the_same_base() {
        let (_state, mut sent) = sent();
        look(&mut sent, packages(&[("a", "1"), ("b", "1"), ("c", "1")]));
        sent.kept();
        let lost = look(&mut sent, packages(&[("a", "2"), ("b", "1"), ("c", "1")]));
        let again = look(&mut sent, packages(&[("a", "2"), ("b", "1"), ("c", "1")]));
        assert_eq!(lost, again);
    }

    #[test]
    fn after_a_restart_only_what_changed_travels_whole() {
        let (state, mut sent) = sent();
        look(&mut sent, packages(&[("a", "1"), ("b", "1"), ("c", "1")]));
        sent.kept();
        let mut restarted = Sent::open(state.path());
        assert!(look(&mut restarted, packages(&[("a", "1"), ("b", "1"), ("c", "1")])).is_empty());
        let mut restarted = Sent::open(state.path());
        let changed = look(&mut restarted, packages(&[("a", "2"), ("b", "1"), ("c", "1")]));
        assert_eq!((changed[0].items.len(), changed[0].base.len()), (3, 0));
    }

    #[test]
    fn what_is_asked_for_comes_whole() {
        let (_state, mut sent) = sent();
        look(&mut sent, packages(&[("a", "1")]));
        sent.kept();
        sent.forget(&["host".to_owned()]);
        assert!(look(&mut sent, packages(&[("a", "1")])).is_empty());
        sent.forget(&["*".to_owned()]);
        assert_eq!(look(&mut sent, packages(&[("a", "1")])).len(), 1);
    }

    #[test]
    fn a_large_section_travels_in_parts_that_the_controller_takes() {
        for (count, parts_most) in [(700, 8), (20_000, 64)] {
            let (_state, mut sent) = sent();
            let names: Vec<String> = (0..count).map(|number| format!("package-{number}")).collect();
            let versions: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
            let parts = look(&mut sent, packages(&versions));
            let count = parts.len() as u32;
            assert!((2..=parts_most).contains(&count), "{count} parts");
            let numbers: Vec<(u32, u32)> = parts.iter().map(|part| (part.part, part.parts)).collect();
            assert_eq!(numbers, (0..count).map(|part| (part, count)).collect::<Vec<_>>());
            assert!(parts.iter().all(|part| part.encoded_len() < limits::ENVELOPE_BYTES / 2));
            assert!(parts.iter().all(|part| part.items.len() <= limits::ITEMS));
            let hash = section_hash(parts.iter().flat_map(|part| &part.items));
            assert!(parts.iter().all(|part| part.hash == hash));
            assert_eq!(parts.iter().map(|part| part.items.len()).sum::<usize>(), names.len());
        }
    }

    #[test]
    fn a_section_that_became_empty_says_so() {
        let (_state, mut sent) = sent();
        look(&mut sent, packages(&[("a", "1")]));
        sent.kept();
        let news = look(&mut sent, Vec::new());
        assert_eq!((news.len(), news[0].items.len(), news[0].parts), (1, 0, 1));
    }

    #[test]
    fn what_was_found_unchanged_after_a_restart_is_the_base_of_the_next_difference() {
        let (state, mut sent) = sent();
        look(&mut sent, packages(&[("a", "1"), ("b", "1"), ("c", "1")]));
        sent.kept();
        let mut restarted = Sent::open(state.path());
        assert!(look(&mut restarted, packages(&[("a", "1"), ("b", "1"), ("c", "1")])).is_empty());
        restarted.kept();
        let step = look(&mut restarted, packages(&[("a", "2"), ("b", "1"), ("c", "1")]));
        assert_eq!((step[0].items.len(), step[0].base.is_empty()), (1, false));
    }
}
