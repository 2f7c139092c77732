//! What an agent found on its host: sections of items with identifiers, attributes and relations.

use std::collections::BTreeMap;

use prost::Message;
use sha2::{Digest, Sha256};

/// One section of what is on the host (`os`, `package`, `service`, `listener`, `connection`), whole or as a difference.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Inventory {
    #[prost(string, tag = "1")]
    pub section: String,
    /// SHA-256 of the whole section after this message; the controller compares and asks again where they part.
    #[prost(bytes = "vec", tag = "2")]
    pub hash: Vec<u8>,
    /// The hash that this difference starts from; empty for a whole section.
    #[prost(bytes = "vec", tag = "3")]
    pub base: Vec<u8>,
    /// Items that came or changed; all of them where `base` is empty.
    #[prost(message, repeated, tag = "4")]
    pub items: Vec<Item>,
    /// Identities (class and key) of items that are gone.
    #[prost(message, repeated, tag = "5")]
    pub gone: Vec<ItemRef>,
    /// Part `part` of `parts` of a section larger than one message; 0 of 0 or 0 of 1 is whole.
    #[prost(uint32, tag = "6")]
    pub part: u32,
    #[prost(uint32, tag = "7")]
    pub parts: u32,
}

/// One configuration item as the agent sees it. The host itself is the item of class `host`.
///
/// An item of class `connection` is none, but what relations are made of: `process` (a key of class `process`) opened it
/// to `remote` (`10.0.0.5:5432`) by `protocol` (`tcp`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Message)]
pub struct Item {
    /// A class of the CMDB: `host`, `operating_system`, `software_package`, `service_unit`, `process`, `listening_endpoint` …
    #[prost(string, tag = "1")]
    pub class: String,
    /// Unique on this host within the class: a unit's name, `nginx/amd64`, `tcp/0.0.0.0:80`. Never a PID.
    #[prost(string, tag = "2")]
    pub key: String,
    #[prost(btree_map = "string, string", tag = "3")]
    pub attributes: BTreeMap<String, String>,
    #[prost(message, repeated, tag = "4")]
    pub relations: Vec<Relation>,
}

/// An item of the same host by identity.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Message)]
pub struct ItemRef {
    #[prost(string, tag = "1")]
    pub class: String,
    #[prost(string, tag = "2")]
    pub key: String,
}

/// An edge from the item to another item of this host.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Message)]
pub struct Relation {
    /// `runs_on`, `hosted_on`, `contains`, `listens_on`, `uses` …
    #[prost(string, tag = "1")]
    pub kind: String,
    #[prost(message, required, tag = "2")]
    pub to: ItemRef,
}

/// SHA-256 of a whole section: its items in the order of class and key, each with its relations sorted and each once.
/// In whatever order an agent found them, the same content has the same hash.
pub fn section_hash<'a>(items: impl IntoIterator<Item = &'a Item>) -> [u8; 32] {
    let mut items: Vec<&Item> = items.into_iter().collect();
    items.sort_by(|a, b| (&a.class, &a.key).cmp(&(&b.class, &b.key)));
    let mut hash = Sha256::new();
    for item in items {
        let mut item = item.clone();
        item.relations.sort();
        item.relations.dedup();
        hash.update(item.encode_length_delimited_to_vec());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(key: &str, relations: &[&str]) -> Item {
        let to = |key: &&str| Relation {
            kind: "uses".into(),
            to: ItemRef { class: "software_package".into(), key: (*key).into() },
        };
        Item {
            class: "service_unit".into(),
            key: key.into(),
            attributes: BTreeMap::new(),
            relations: relations.iter().map(to).collect(),
        }
    }

    #[test]
    fn a_section_hash_does_not_depend_on_the_order_of_finding() {
        let (a, b) = (item("a", &["x", "y"]), item("b", &[]));
        let (a_again, b_again) = (item("a", &["y", "x", "y"]), item("b", &[]));
        assert_eq!(section_hash([&a, &b]), section_hash([&b_again, &a_again]));
        assert_ne!(section_hash([&a]), section_hash([&b]));
        assert_ne!(section_hash([&a]), section_hash([&item("a", &["x"])]));
    }
}
