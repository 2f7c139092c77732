//! A configuration item as it now stands.
//!
//! Of these there are hundreds a host, so each is small: what it has alike with its twins on other hosts ([`Said`]) is one
//! value for all of them, and what few items have ([`More`]) takes no room in the others.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use serde::{Deserialize, Serialize};

use super::classes::{Class, Value};
use super::few::Few;
use super::links::Link;
use super::recent::Turn;
use super::relations::{RelationKind, Source, When};
use super::shared::{Shared, Text};
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Held<'a> {
    pub value: &'a Value,
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

/// What is said of an item, whichever host it is on: of a package in one version the same on all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Said {
    /// Unique within class and host; within the class for what is on no host. A host's is its agent's name.
    pub key: String,
    /// What people call it.
    pub name: String,
    /// State, and who said it; when, [`Ci::held`] knows.
    values: Few<(Value, Source)>,
    /// Things on a host: section that names it → digest of what it says.
    pub named_by: Few<Digest>,
}

/// What few items have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct More {
    /// The last changes of its setup, oldest first, one an attribute.
    pub changes: Vec<Turn>,
    /// Hosts: what they are recognised by, most certain first.
    pub identifiers: Vec<Identifier>,
    /// Hosts: open conflicts over who they are.
    pub conflicts: BTreeSet<Dispute>,
    /// It turned out to be this other item, which lives on.
    pub merged_into: Option<CiId>,
    /// Hosts: section → what was last taken in of it.
    pub sections: BTreeMap<String, SectionMark>,
    /// Hosts: connections to others that its processes opened, by the agent's key. A view: what follows from them is facts.
    pub links: BTreeMap<String, Link>,
    /// Relations that it would have, were their other end there.
    pub wants: BTreeSet<Want>,
    /// Attributes that were said at another time than the first.
    times: BTreeMap<Text, When>,
}

static NO_MORE: More = More {
    changes: Vec::new(),
    identifiers: Vec::new(),
    conflicts: BTreeSet::new(),
    merged_into: None,
    sections: BTreeMap::new(),
    links: BTreeMap::new(),
    wants: BTreeSet::new(),
    times: BTreeMap::new(),
};

/// One configuration item. It reads as what is [`Said`] of it, too: `ci.name`, `ci.key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ci {
    pub id: CiId,
    pub class: Class,
    /// The host that it was found on; none for a host itself and for what is on none.
    pub host: Option<CiId>,
    /// The agent that speaks for it, by its certificate's name.
    pub agent: Option<Text>,
    pub(super) said: Shared<Said>,
    more: Option<Box<More>>,
    pub measurements: Few<Measured>,
    /// When the first of its attributes was said, and all that have no time of their own.
    said_at: When,
    pub lifecycle: Lifecycle,
    /// Since when it is in that state.
    pub lifecycle_since: When,
    pub first_seen: Millis,
    /// When this record was last confirmed. A view, never a fact; [`super::Graph::last_seen`] knows better for things on a live host.
    pub last_seen: Millis,
}

impl Deref for Ci {
    type Target = Said;

    fn deref(&self) -> &Said {
        &self.said
    }
}

/// An open conflict, from one side: with whom, over which identifier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Dispute {
    pub with: CiId,
    pub over: Identifier,
}

impl Ci {
    /// An item that came into use, and of which nothing is said yet.
    pub(super) fn new(
        (id, class, key): (CiId, Class, &str),
        host: Option<CiId>,
        agent: Option<Text>,
        when: When,
    ) -> Self {
        let said = Said { key: key.to_owned(), name: key.to_owned(), ..Said::default() };
        Self {
            id,
            class,
            host,
            agent,
            said: Shared::from(said),
            more: None,
            measurements: Few::default(),
            said_at: when,
            lifecycle: Lifecycle::InUse,
            lifecycle_since: when,
            first_seen: when.happened,
            last_seen: when.learned,
        }
    }

    /// What is said of it, to be changed.
    pub(super) fn said_mut(&mut self) -> &mut Said {
        self.said.make_mut()
    }

    /// What few items have, of this one.
    pub fn more(&self) -> &More {
        self.more.as_deref().unwrap_or(&NO_MORE)
    }

    /// What few items have, to be changed; [`Self::settle`] takes back what stays empty.
    pub(super) fn more_mut(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// Lets go of room that nothing is in, so that equal items are kept alike.
    pub(super) fn settle(&mut self) {
        let first = self.attributes().next();
        let said_at =
            first.map_or(When::default(), |(_, held)| When { happened: held.happened_at, learned: held.learned_at });
        if said_at != self.said_at {
            let times = self.attributes().map(|(name, held)| {
                let when = When { happened: held.happened_at, learned: held.learned_at };
                (Text::from(name), when)
            });
            let times = times.filter(|(_, when)| *when != said_at).collect();
            self.said_at = said_at;
            self.more_mut().times = times;
        }
        self.more.take_if(|more| **more == NO_MORE);
    }

    /// What an attribute holds, with who said it and when.
    pub fn held(&self, name: &str) -> Option<Held<'_>> {
        self.values.get(name).map(|said| self.holding(name, said))
    }

    /// All attributes by name, as [`Self::held`].
    pub fn attributes(&self) -> impl ExactSizeIterator<Item = (&str, Held<'_>)> {
        self.values.iter().map(|(name, said)| (name, self.holding(name, said)))
    }

    fn holding<'a>(&self, name: &str, (value, source): &'a (Value, Source)) -> Held<'a> {
        let when = self.more().times.get(name).unwrap_or(&self.said_at);
        Held { value, source: *source, happened_at: when.happened, learned_at: when.learned }
    }

    /// Enters what an attribute holds from now on.
    pub(super) fn hold(&mut self, name: &str, value: Value, source: Source, when: When) {
        let said = self.said_mut();
        said.values.insert(Text::from(name), (value, source));
        if said.values.len() == 1 {
            self.said_at = when;
        }
        if when != self.said_at {
            self.more_mut().times.insert(Text::from(name), when);
        } else if self.more().times.contains_key(name) {
            self.more_mut().times.remove(name);
        }
    }

    /// Drops an attribute.
    pub(super) fn let_go(&mut self, name: &str) {
        self.said_mut().values.remove(name);
        if self.more().times.contains_key(name) {
            self.more_mut().times.remove(name);
        }
    }

    /// What an attribute or a measurement holds.
    pub fn attribute(&self, name: &str) -> Option<&Value> {
        let held = self.values.get(name).map(|(value, _)| value);
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
