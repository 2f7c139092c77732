//! What an agent sends of one section, read against the classes: what fits is taken, what does not is left out and said.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::ci::{Digest, hex};
use super::classes::{Attribute, Class, Nature, Schema};
use super::relations::RelationKind;
use crate::Reason;
use crate::input::{FoundItem, Fragment};

/// Sentences kept of what was left out of one message; the rest is counted.
const REFUSALS_MOST: usize = 20;
/// Bytes of an attribute's value, as on the wire.
const VALUE_BYTES: usize = 1024;

/// One item that fits its class. Borrowed: an unchanged section is compared without a copy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found<'a> {
    pub class: Class,
    pub key: &'a str,
    /// State and measurements that the class has, by name.
    pub attributes: Vec<(&'a str, &'a str)>,
    /// To things of the same host, by kind, class and key.
    pub relations: Vec<(RelationKind, Class, &'a str)>,
}

/// The items of one message in their order (class, key), and what was left out.
#[derive(Debug, Default)]
pub(super) struct Reading<'a> {
    pub items: Vec<Found<'a>>,
    pub refused: Refused,
}

/// What was left out: sentence → how often.
#[derive(Debug, Default)]
pub(super) struct Refused {
    counts: BTreeMap<String, u64>,
    further: u64,
}

impl Refused {
    pub fn say(&mut self, sentence: String) {
        if self.counts.len() < REFUSALS_MOST || self.counts.contains_key(&sentence) {
            *self.counts.entry(sentence).or_default() += 1;
        } else {
            self.further += 1;
        }
    }

    /// A reason a sentence, for the fact.
    pub fn reasons(&self) -> Vec<Reason> {
        let times = |count: &u64| if *count == 1 { String::new() } else { format!(" ({count} times)") };
        let said =
            self.counts.iter().map(|(what, count)| Reason::new("schema", format!("left out: {what}{}", times(count))));
        let further = (self.further > 0).then(|| Reason::new("schema", format!("left out: {} more", self.further)));
        said.chain(further).collect()
    }

    /// How many things were left out.
    pub fn count(&self) -> u64 {
        self.counts.values().sum::<u64>() + self.further
    }
}

/// Reads the items of a message. The order in which they came does not matter.
pub(super) fn read(fragment: &Fragment) -> Reading<'_> {
    let mut reading = Reading::default();
    reading.items.reserve(fragment.items.len());
    for item in &fragment.items {
        if let Some(found) = read_item(item, &mut reading.refused) {
            reading.items.push(found);
        }
    }
    if !reading.items.is_sorted() {
        reading.items.sort();
    }
    let before = reading.items.len();
    reading.items.dedup_by(|a, b| (a.class, a.key) == (b.class, b.key));
    if reading.items.len() < before {
        reading.refused.say(format!("{} items that the message names twice", before - reading.items.len()));
    }
    reading
}

fn read_item<'a>(item: &'a FoundItem, refused: &mut Refused) -> Option<Found<'a>> {
    let Some(class) = Class::parse(&item.class) else {
        refused.say(format!("items of the unknown class \"{}\"", short(&item.class)));
        return None;
    };
    let schema = class.schema();
    if schema.section.is_none() {
        refused.say(format!("items of class {class}, which no agent reports"));
        return None;
    }
    // The host is one, whatever it is called.
    let key = if class == Class::Host { "" } else { item.key.as_str() };
    if (key.is_empty() && class != Class::Host) || key.len() > VALUE_BYTES {
        refused.say(format!("items of class {class} whose key is empty or longer than {VALUE_BYTES} bytes"));
        return None;
    }
    let attributes = item.attributes.iter().filter(|(name, value)| fits(schema, name, value, refused));
    let attributes = attributes.map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut relations: Vec<_> = item.relations.iter().filter_map(|named| read_relation(named, refused)).collect();
    if !relations.is_sorted() {
        relations.sort_unstable();
    }
    relations.dedup();
    Some(Found { class, key, attributes, relations })
}

fn fits(schema: &Schema, name: &str, value: &str, refused: &mut Refused) -> bool {
    let Some(attribute) = schema.attribute(name) else {
        refused.say(format!("attribute \"{}\", which class {} does not have", short(name), schema.class));
        return false;
    };
    if value.len() > VALUE_BYTES {
        refused.say(format!("{}.{name} of more than {VALUE_BYTES} bytes", schema.class));
        return false;
    }
    match attribute.kind.check(value) {
        Ok(()) => true,
        Err(what) => {
            refused.say(format!("{}.{name}: {what}", schema.class));
            false
        }
    }
}

fn read_relation<'a>(
    (kind, class, key): &'a (String, String, String),
    refused: &mut Refused,
) -> Option<(RelationKind, Class, &'a str)> {
    match (RelationKind::parse(kind), Class::parse(class)) {
        // That what is found on a host runs on it is ours to say, for all of it.
        (Some(RelationKind::RunsOn), Some(Class::Host)) => None,
        (Some(kind), Some(class)) => Some((kind, class, key)),
        (None, _) => {
            refused.say(format!("relations of the unknown kind \"{}\"", short(kind)));
            None
        }
        (_, None) => {
            refused.say(format!("relations to the unknown class \"{}\"", short(class)));
            None
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

impl Found<'_> {
    /// Over what the agent says of the item's state: measurements are left out.
    pub fn digest(&self) -> Digest {
        let mut hash = Sha256::new();
        self.feed(&mut hash);
        half(hash)
    }

    fn feed(&self, hash: &mut Sha256) {
        for (attribute, value) in self.state() {
            part(hash, attribute.name.as_bytes());
            part(hash, value.as_bytes());
        }
        hash.update((self.relations.len() as u32).to_be_bytes());
        for (kind, class, key) in &self.relations {
            part(hash, kind.word().as_bytes());
            part(hash, class.word().as_bytes());
            part(hash, key.as_bytes());
        }
    }

    /// The measurements among its attributes.
    pub fn measurements(&self) -> impl Iterator<Item = (&'static Attribute, &str)> {
        let schema = self.class.schema();
        let known = self.attributes.iter().filter_map(move |(name, value)| Some((schema.attribute(name)?, *value)));
        known.filter(|(attribute, _)| !is_state(attribute))
    }

    /// The state among its attributes.
    pub fn state(&self) -> impl Iterator<Item = (&'static Attribute, &str)> {
        let schema = self.class.schema();
        let known = self.attributes.iter().filter_map(move |(name, value)| Some((schema.attribute(name)?, *value)));
        known.filter(|(attribute, _)| is_state(attribute))
    }
}

fn is_state(attribute: &Attribute) -> bool {
    attribute.nature != Nature::Measurement
}

impl Reading<'_> {
    /// Over all of a whole section in one go, so that an unchanged one costs no digest for each item.
    pub fn digest(&self) -> Digest {
        let mut hash = Sha256::new();
        for found in &self.items {
            part(&mut hash, found.class.word().as_bytes());
            part(&mut hash, found.key.as_bytes());
            found.feed(&mut hash);
        }
        half(hash)
    }
}

fn half(hash: Sha256) -> Digest {
    let whole: [u8; 32] = hash.finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(&whole[..16]);
    Digest(half)
}

/// SHA-256 of a section's content: its items in their order, each by class, key and digest.
pub(super) fn section_hash<'a>(items: impl Iterator<Item = (Class, &'a str, Digest)>) -> String {
    let mut hash = Sha256::new();
    for (class, key, digest) in items {
        part(&mut hash, class.word().as_bytes());
        part(&mut hash, key.as_bytes());
        hash.update(digest.0);
    }
    hex(&hash.finalize())
}

fn part(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u32).to_be_bytes());
    hash.update(bytes);
}
