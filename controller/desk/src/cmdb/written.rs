//! A configuration item as records keep it: one flat object, whatever is shared or left out in memory.

use std::collections::{BTreeMap, BTreeSet};

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ci::{Ci, Digest, Dispute, Identifier, Lifecycle, Measured, SectionMark, Want};
use super::classes::{Class, Value};
use super::few::Few;
use super::links::Link;
use super::recent::Turn;
use super::relations::{Source, When};
use super::shared::Text;
use crate::Millis;
use crate::ids::CiId;

/// As written; what is empty is left out where an item without it is the rule.
#[derive(Serialize)]
struct Written<'a> {
    id: CiId,
    class: Class,
    name: &'a str,
    key: &'a str,
    host: Option<CiId>,
    agent: Option<&'a str>,
    attributes: Attributes<'a>,
    #[serde(skip_serializing_if = "Few::is_empty")]
    measurements: &'a Few<Measured>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: &'a Vec<Turn>,
    lifecycle: Lifecycle,
    lifecycle_since: When,
    first_seen: Millis,
    last_seen: Millis,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    identifiers: &'a Vec<Identifier>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    conflicts: &'a BTreeSet<Dispute>,
    #[serde(skip_serializing_if = "Option::is_none")]
    merged_into: Option<CiId>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    sections: &'a BTreeMap<String, SectionMark>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    links: &'a BTreeMap<String, Link>,
    #[serde(skip_serializing_if = "Few::is_empty")]
    named_by: &'a Few<Digest>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    wants: &'a BTreeSet<Want>,
}

struct Attributes<'a>(&'a Ci);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let attributes = self.0.attributes();
        let mut map = serializer.serialize_map(Some(attributes.len()))?;
        for (name, held) in attributes {
            map.serialize_entry(name, &held)?;
        }
        map.end()
    }
}

impl Serialize for Ci {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let more = self.more();
        let written = Written {
            id: self.id,
            class: self.class,
            name: &self.name,
            key: &self.key,
            host: self.host,
            agent: self.agent.as_deref(),
            attributes: Attributes(self),
            measurements: &self.measurements,
            changes: &more.changes,
            lifecycle: self.lifecycle,
            lifecycle_since: self.lifecycle_since,
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            identifiers: &more.identifiers,
            conflicts: &more.conflicts,
            merged_into: more.merged_into,
            sections: &more.sections,
            links: &more.links,
            named_by: &self.named_by,
            wants: &more.wants,
        };
        written.serialize(serializer)
    }
}

/// As read: the same fields, owned.
#[derive(Deserialize)]
struct Read {
    id: CiId,
    class: Class,
    name: String,
    key: String,
    host: Option<CiId>,
    agent: Option<Text>,
    attributes: BTreeMap<String, ReadHeld>,
    #[serde(default)]
    measurements: Few<Measured>,
    #[serde(default)]
    changes: Vec<Turn>,
    lifecycle: Lifecycle,
    lifecycle_since: When,
    first_seen: Millis,
    last_seen: Millis,
    #[serde(default)]
    identifiers: Vec<Identifier>,
    #[serde(default)]
    conflicts: BTreeSet<Dispute>,
    #[serde(default)]
    merged_into: Option<CiId>,
    #[serde(default)]
    sections: BTreeMap<String, SectionMark>,
    #[serde(default)]
    links: BTreeMap<String, Link>,
    #[serde(default)]
    named_by: Few<Digest>,
    #[serde(default)]
    wants: BTreeSet<Want>,
}

#[derive(Deserialize)]
struct ReadHeld {
    value: Value,
    source: Source,
    happened_at: Millis,
    learned_at: Millis,
}

impl<'de> Deserialize<'de> for Ci {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Read::deserialize(deserializer)?;
        let mut ci = Self::new((read.id, read.class, &read.key), read.host, read.agent, read.lifecycle_since);
        for (name, held) in read.attributes {
            let when = When { happened: held.happened_at, learned: held.learned_at };
            ci.hold(&name, held.value, held.source, when);
        }
        let said = ci.said_mut();
        (said.name, said.named_by) = (read.name, read.named_by);
        let more = ci.more_mut();
        (more.changes, more.identifiers, more.conflicts) = (read.changes, read.identifiers, read.conflicts);
        (more.merged_into, more.sections, more.links) = (read.merged_into, read.sections, read.links);
        more.wants = read.wants;
        ci.settle();
        ci.measurements = read.measurements;
        (ci.lifecycle, ci.lifecycle_since) = (read.lifecycle, read.lifecycle_since);
        (ci.first_seen, ci.last_seen) = (read.first_seen, read.last_seen);
        Ok(ci)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_read_as_it_was_written_byte_for_byte() {
        let plain = r#"{"id":"000102030405060708090a0b0c0d0e0f","class":"software_package","name":"openssl","key":"openssl/amd64","host":"00010203040500000000000000000000","agent":"web-1","attributes":{"name":{"value":"openssl","source":"agent","happened_at":7,"learned_at":9},"version":{"value":"3.0.2","source":"agent","happened_at":7,"learned_at":9}},"lifecycle":"in_use","lifecycle_since":{"happened":7,"learned":9},"first_seen":7,"last_seen":9,"named_by":{"package":"0f0e0d0c0b0a09080706050403020100"}}"#;
        let full = r#"{"id":"00010203040500000000000000000000","class":"host","name":"web-1","key":"web-1","host":null,"agent":"web-1","attributes":{"cpus":{"value":4,"source":"agent","happened_at":1,"learned_at":2},"environment":{"value":"test","source":"hand","happened_at":5,"learned_at":5},"kernel":{"value":"6.2","source":"agent","happened_at":1,"learned_at":2}},"measurements":{"uptime_seconds":{"value":90,"happened_at":8}},"changes":[{"attribute":"kernel","from":"6.1","to":"6.2","when":{"happened":1,"learned":2}}],"lifecycle":"missing","lifecycle_since":{"happened":8,"learned":8},"first_seen":1,"last_seen":7,"identifiers":[{"kind":"agent","value":"web-1"}],"conflicts":[{"with":"000102030405060708090a0b0c0d0e0f","over":{"kind":"fqdn","value":"web-1.example"}}],"merged_into":"000102030405060708090a0b0c0d0e0f","sections":{"host":{"hash":"ab","items":1,"happened_at":1,"first":1}},"links":{"a>b":{"process":"a","protocol":"tcp","remote":"10.0.0.1:80","since":3}},"wants":[{"by":"service","kind":"uses","class":"software_package","key":"nginx/amd64"}]}"#;
        for written in [plain, full] {
            let read: Ci = serde_json::from_str(written).expect("an item");
            assert_eq!(serde_json::to_string(&read).expect("an item"), written);
        }
    }
}
