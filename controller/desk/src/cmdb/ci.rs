//! A configuration item as it now stands.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::classes::{Class, Value};
use super::few::Few;
use super::links::Link;
use super::recent::Turn;
use super::relations::{RelationKind, Source, When};
use crate::Millis;
use crate::ids::CiId;

/// Where an item is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lifecycle {
    Planned,
    InStock,
    InUse,
    /// A host unseen for `missing_after`; a thing that its host's agent no longer names.
    Missing,
    /// Missing for `retired_after`, or taken out by hand.
    Retired,
    Disposed,
}

impl Lifecycle {
    pub fn word(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::InStock => "in_stock",
            Self::InUse => "in_use",
            Self::Missing => "missing",
            Self::Retired => "retired",
            Self::Disposed => "disposed",
        }
    }
}

/// A value that an attribute holds, who said it, and when in both times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub value: Value,
    pub source: Source,
    pub happened_at: Millis,
    pub learned_at: Millis,
}

/// A measurement as last heard: a view, never a fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    pub value: Value,
    pub happened_at: Millis,
}

/// What a host may be recognised by. `kind` is one of [`super::identify::KINDS`]; `value` is normalised.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identifier {
    pub kind: String,
    pub value: String,
}

/// The first half of a SHA-256, written as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest(pub [u8; 16]);

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let id: CiId = String::deserialize(d)?.parse().map_err(serde::de::Error::custom)?;
        Ok(Self(id.0))
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A section of an agent's inventory as last taken in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionMark {
    /// SHA-256 over its items' digests, hexadecimal: the same content, however it came, has the same hash.
    pub hash: String,
    pub items: usize,
    pub happened_at: Millis,
    /// When the section was first told: what came later is news of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Millis>,
    /// Over the section as it was last told whole; none where a difference came after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Digest>,
}

/// A relation that an agent named to something that is not in the CMDB (yet, or any more).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Want {
    /// The section that names it.
    pub by: String,
    pub kind: RelationKind,
    pub class: Class,
    pub key: String,
}

/// One configuration item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ci {
    pub id: CiId,
    pub class: Class,
    /// What people call it.
    pub name: String,
    /// Unique within class and host; within the class for what is on no host. A host's is its agent's name.
    pub key: String,
    /// The host that it was found on; none for a host itself and for what is on none.
    pub host: Option<CiId>,
    /// The agent that speaks for it, by its certificate's name.
    pub agent: Option<String>,
    /// State; measurements are beside it.
    pub attributes: Few<Held>,
    #[serde(default, skip_serializing_if = "Few::is_empty")]
    pub measurements: Few<Measured>,
    /// The last changes of its setup, oldest first, one an attribute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Turn>,
    pub lifecycle: Lifecycle,
    /// Since when it is in that state.
    pub lifecycle_since: When,
    pub first_seen: Millis,
    /// When this record was last confirmed. A view, never a fact; [`super::Graph::last_seen`] knows better for things on a live host.
    pub last_seen: Millis,
    /// Hosts: what they are recognised by, most certain first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identifiers: Vec<Identifier>,
    /// Hosts: open conflicts over who they are.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub conflicts: BTreeSet<Dispute>,
    /// It turned out to be this other item, which lives on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<CiId>,
    /// Hosts: section → what was last taken in of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sections: BTreeMap<String, SectionMark>,
    /// Hosts: connections to others that its processes opened, by the agent's key. A view: what follows from them is facts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, Link>,
    /// Things on a host: section that names it → digest of what it says.
    #[serde(default, skip_serializing_if = "Few::is_empty")]
    pub named_by: Few<Digest>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub wants: BTreeSet<Want>,
}

/// An open conflict, from one side: with whom, over which identifier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Dispute {
    pub with: CiId,
    pub over: Identifier,
}

impl Ci {
    /// What an attribute or a measurement holds.
    pub fn attribute(&self, name: &str) -> Option<&Value> {
        let held = self.attributes.get(name).map(|held| &held.value);
        held.or_else(|| self.measurements.get(name).map(|measured| &measured.value))
    }

    /// The text of an attribute; `None` where it is missing or no text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.attribute(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// How much depends on it, 1 (highest) to 3. Only a business_service has one of its own, 3 until somebody says otherwise.
    pub fn criticality(&self) -> Option<u8> {
        match (self.class, self.attribute("criticality")) {
            (Class::BusinessService, Some(Value::Integer(level))) => u8::try_from(*level).ok(),
            (Class::BusinessService, _) => Some(3),
            _ => None,
        }
    }

    /// Whether it counts as being there: in use, or missing and expected back.
    pub fn is_current(&self) -> bool {
        matches!(self.lifecycle, Lifecycle::InUse | Lifecycle::Missing | Lifecycle::Planned | Lifecycle::InStock)
    }
}
