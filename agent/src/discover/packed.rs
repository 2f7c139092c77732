//! A section as it was found, small: each item as the bytes that travel, in the order of class and key.
//!
//! An item in memory takes ten times the room of its bytes, and a host has thousands of packages. So a section is read item
//! by item, each is packed at once, and only those of one message are unpacked together.

use prost::Message as _;
use sha2::{Digest as _, Sha256};
use watchkeep_protocol::inventory::{Item, ItemRef};

/// Items by identity, and the bytes of all of them.
#[derive(Default)]
pub struct Packed {
    entries: Vec<Entry>,
    bytes: Vec<u8>,
}

/// An item: who it is, what it says, and where its bytes are (length first).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub identity: Identity,
    /// The beginning of the SHA-256 of its bytes.
    pub hash: u64,
    begin: u32,
    end: u32,
}

/// Class and key in one string, with a byte between them that neither has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity(Box<str>);

const BETWEEN: char = '\0';

impl Identity {
    fn of(item: &Item) -> Self {
        Self(format!("{}{BETWEEN}{}", item.class, item.key).into())
    }

    pub fn reference(&self) -> ItemRef {
        let (class, key) = self.0.split_once(BETWEEN).unwrap_or_default();
        ItemRef { class: class.to_owned(), key: key.to_owned() }
    }
}

impl Packed {
    /// Adds an item; past 4 GiB of them the rest is left out.
    pub fn add(&mut self, mut item: Item) {
        item.relations.sort();
        item.relations.dedup();
        let begin = self.bytes.len();
        if item.encode_length_delimited(&mut self.bytes).is_err() {
            return;
        }
        let (Ok(from), Ok(end)) = (u32::try_from(begin), u32::try_from(self.bytes.len())) else {
            self.bytes.truncate(begin);
            return;
        };
        let digest = Sha256::digest(&self.bytes[begin..]);
        let hash = u64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes"));
        self.entries.push(Entry { identity: Identity::of(&item), hash, begin: from, end });
    }

    /// Everything is added: puts it into its order, and says the section's hash
    /// ([`watchkeep_protocol::inventory::section_hash`]).
    pub fn seal(&mut self) -> [u8; 32] {
        self.entries.sort_by(|a, b| a.identity.cmp(&b.identity));
        self.entries.shrink_to_fit();
        self.bytes.shrink_to_fit();
        let mut hash = Sha256::new();
        for entry in &self.entries {
            hash.update(self.bytes_of(entry));
        }
        hash.finalize().into()
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Bytes of an item, with their length before them.
    pub fn bytes_of(&self, entry: &Entry) -> &[u8] {
        &self.bytes[entry.begin as usize..entry.end as usize]
    }

    pub fn unpack(&self, entry: &Entry) -> Item {
        Item::decode_length_delimited(self.bytes_of(entry)).expect("what was encoded is decoded")
    }

    /// Lets the bytes go and keeps what tells a later state from this one.
    pub fn into_entries(self) -> Vec<Entry> {
        self.entries
    }
}

#[cfg(test)]
mod tests {
    use watchkeep_protocol::inventory::section_hash;

    use super::super::{item, relation};
    use super::*;

    #[test]
    fn what_is_packed_comes_out_in_order_under_the_section_s_hash() {
        let mut web = item("process", "/usr/sbin/nginx", vec![("executable", Some("/usr/sbin/nginx".to_owned()))]);
        web.relations = vec![
            relation("uses", "software_package", "nginx/amd64"),
            relation("listens_on", "listening_endpoint", "tcp/0.0.0.0:80"),
            relation("uses", "software_package", "nginx/amd64"),
        ];
        let endpoint = item("listening_endpoint", "tcp/0.0.0.0:80", vec![("port", Some("80".to_owned()))]);
        let mut packed = Packed::default();
        packed.add(web.clone());
        packed.add(endpoint.clone());
        assert_eq!(packed.seal(), section_hash([&web, &endpoint]));
        let unpacked: Vec<Item> = packed.entries().iter().map(|entry| packed.unpack(entry)).collect();
        web.relations.sort();
        web.relations.dedup();
        assert_eq!(unpacked, [endpoint, web]);
        let reference = packed.entries()[1].identity.reference();
        assert_eq!((reference.class.as_str(), reference.key.as_str()), ("process", "/usr/sbin/nginx"));
    }

    #[test]
    fn a_key_sorts_after_its_own_beginning() {
        let keys = ["gcc/amd64", "gcc-12/amd64", "gcc", "g++/amd64"];
        let items: Vec<Item> = keys.iter().map(|key| item("software_package", *key, Vec::new())).collect();
        let mut packed = Packed::default();
        items.iter().cloned().for_each(|item| packed.add(item));
        assert_eq!(packed.seal(), section_hash(&items));
    }
}
