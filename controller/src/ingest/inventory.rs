//! Inventory sections on their way to the CMDB: parts are put together, differences are checked against their base.

use std::collections::BTreeMap;

use prost::Message as _;
use watchkeep_desk::Millis;
use watchkeep_desk::input::{FoundItem, Fragment};
use watchkeep_protocol::{Inventory, Item};

use super::matter::{hexadecimal, unhexadecimal};

/// Parts of one section that may wait for the rest; a section larger than this many messages is refused.
const PARTS: u32 = 64;

/// Bytes of one section's parts together; it becomes one input, and the input log takes 16 MiB a record, as JSON.
const SECTION_BYTES: usize = 4 << 20;

/// What is known of a host's sections: the hash each stands at, and parts that wait for the rest.
#[derive(Debug, Default)]
pub struct Sections {
    hashes: BTreeMap<String, Vec<u8>>,
    waiting: BTreeMap<String, Vec<Inventory>>,
}

/// What a message of a section came to.
#[derive(Debug, PartialEq)]
pub enum Took {
    Fragment(Fragment),
    /// More parts are to come.
    Waiting,
    /// It starts from another state than ours: ask for the section whole.
    Unknown,
}

impl Sections {
    /// Takes one message; `agent` and `at` are for the fragment.
    pub fn take(&mut self, agent: &str, message: Inventory, at: Millis) -> Took {
        let section = message.section.clone();
        let message = match self.assemble(message) {
            Assembled::Whole(message) => message,
            Assembled::Waiting => return Took::Waiting,
            Assembled::Broken => return Took::Unknown,
        };
        let whole = message.base.is_empty();
        if !whole && self.hashes.get(&section) != Some(&message.base) {
            return Took::Unknown;
        }
        self.hashes.insert(section.clone(), message.hash);
        Took::Fragment(Fragment {
            agent: agent.to_owned(),
            section,
            whole,
            items: message.items.into_iter().map(found).collect(),
            gone: message.gone.into_iter().map(|item| (item.class, item.key)).collect(),
            happened_at: at,
        })
    }

    /// Joins the parts of one section. A first part starts it over, so that a resend cannot mix two states; any other part
    /// that does not follow is of a state whose beginning is not here.
    fn assemble(&mut self, message: Inventory) -> Assembled {
        if message.parts <= 1 {
            self.waiting.remove(&message.section);
            return Assembled::Whole(message);
        }
        let parts = self.waiting.entry(message.section.clone()).or_default();
        if message.part == 0 {
            parts.clear();
        }
        let follows = parts.last().map_or(message.part == 0, |last| {
            last.part + 1 == message.part && last.hash == message.hash && last.parts == message.parts
        });
        let bytes: usize = parts.iter().map(prost::Message::encoded_len).sum::<usize>() + message.encoded_len();
        if !follows || message.parts > PARTS || bytes > SECTION_BYTES {
            self.waiting.remove(&message.section);
            return Assembled::Broken;
        }
        let last = message.part + 1 == message.parts;
        parts.push(message);
        if !last {
            return Assembled::Waiting;
        }
        let mut parts = std::mem::take(parts).into_iter();
        let Some(mut whole) = parts.next() else { return Assembled::Broken };
        self.waiting.remove(&whole.section);
        for part in parts {
            whole.items.extend(part.items);
            whole.gone.extend(part.gone);
        }
        Assembled::Whole(whole)
    }

    /// The hash that each section stands at, hexadecimal; kept with the host so that a restart asks for nothing again.
    pub fn hashes(&self) -> BTreeMap<String, String> {
        self.hashes.iter().map(|(section, hash)| (section.clone(), hexadecimal(hash))).collect()
    }

    /// Sections as [`Sections::hashes`] kept them.
    pub fn restore(hashes: &BTreeMap<String, String>) -> Self {
        Self {
            hashes: hashes.iter().map(|(section, hash)| (section.clone(), unhexadecimal(hash))).collect(),
            waiting: BTreeMap::new(),
        }
    }
}

enum Assembled {
    Whole(Inventory),
    Waiting,
    Broken,
}

fn found(item: Item) -> FoundItem {
    FoundItem {
        class: item.class,
        key: item.key,
        attributes: item.attributes,
        relations: item.relations.into_iter().map(|edge| (edge.kind, edge.to.class, edge.to.key)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(part: u32, parts: u32, base: &[u8], hash: &[u8], key: &str) -> Inventory {
        Inventory {
            section: "package".to_owned(),
            hash: hash.to_vec(),
            base: base.to_vec(),
            items: vec![Item { class: "software_package".into(), key: key.into(), ..Item::default() }],
            gone: Vec::new(),
            part,
            parts,
        }
    }

    fn keys(took: Took) -> Vec<String> {
        match took {
            Took::Fragment(fragment) => fragment.items.into_iter().map(|item| item.key).collect(),
            other => vec![format!("{other:?}")],
        }
    }

    #[test]
    fn parts_are_joined_in_order() {
        let mut sections = Sections::default();
        assert_eq!(sections.take("web-1", part(0, 2, b"", b"h1", "a"), Millis(1)), Took::Waiting);
        assert_eq!(keys(sections.take("web-1", part(1, 2, b"", b"h1", "b"), Millis(1))), ["a", "b"]);
    }

    #[test]
    fn a_resend_that_starts_over_does_not_mix_two_states() {
        let mut sections = Sections::default();
        assert_eq!(sections.take("web-1", part(0, 2, b"", b"h1", "a"), Millis(1)), Took::Waiting);
        assert_eq!(sections.take("web-1", part(0, 2, b"", b"h2", "c"), Millis(1)), Took::Waiting);
        assert_eq!(sections.take("web-1", part(1, 2, b"", b"h1", "b"), Millis(1)), Took::Unknown);
        assert_eq!(sections.take("web-1", part(0, 2, b"", b"h2", "c"), Millis(1)), Took::Waiting);
        assert_eq!(keys(sections.take("web-1", part(1, 2, b"", b"h2", "d"), Millis(1))), ["c", "d"]);
    }

    #[test]
    fn a_difference_from_another_state_is_asked_for_whole() {
        let mut sections = Sections::default();
        assert_eq!(sections.take("web-1", part(0, 1, b"h0", b"h1", "a"), Millis(1)), Took::Unknown);
        assert_eq!(keys(sections.take("web-1", part(0, 1, b"", b"h1", "a"), Millis(1))), ["a"]);
        assert_eq!(keys(sections.take("web-1", part(0, 1, b"h1", b"h2", "b"), Millis(1))), ["b"]);
    }
}
