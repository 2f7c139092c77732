//! What happens to configuration items, as the ledger keeps it.
//!
//! Each fact carries what changed, from and to; when it happened is on [`crate::Fact`], when it was learned is the ledger's
//! to say. [`super::Graph::take`] turns facts back into the graph: there is no other way for state to change, so the state
//! at any past time is a fold over the facts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ci::{Identifier, Lifecycle};
use super::classes::{Class, Value};
use super::relations::{RelationKind, Source, Verdict};
use crate::ids::CiId;

/// What happens to a configuration item. The subject of the fact is the item; for a section, its host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum CmdbFact {
    /// An item came into the CMDB by itself: a host by its agent, a business_service by a label.
    Registered {
        item: Added,
        source: Source,
    },
    /// What an agent found in one section of its host, against what was known.
    Section(SectionFact),
    /// Attributes were set by hand or import.
    Set {
        ci: CiId,
        source: Source,
        changes: Vec<AttributeChange>,
    },
    /// The item came or went. `also` went the same way with it: what is on a retired host.
    Lifecycle {
        ci: CiId,
        from: Lifecycle,
        to: Lifecycle,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        also: Vec<CiId>,
    },
    Related {
        edge: Edge,
        source: Source,
    },
    Unrelated {
        edge: Edge,
    },
    /// What follows from connections between hosts: relations came and went. The subject is the host whose news it was.
    Followed {
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        came: Vec<Edge>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        went: Vec<Edge>,
    },
    /// A person pinned or denied a relation, or (none) took that word back. The subject is where it leads from.
    Judged {
        from: CiId,
        kind: RelationKind,
        to: CiId,
        verdict: Option<Verdict>,
    },
    /// Two hosts turned out to be one: `kept` lives on under `agent`, `dropped` is retired. Section facts follow.
    Merged {
        kept: CiId,
        dropped: CiId,
        agent: String,
        matched: Vec<Match>,
        weight: u32,
    },
    /// Identifiers disagree over who a host is. Nothing was merged; a person decides.
    Conflict(Conflict),
    /// A conflict is over: one side no longer claims the identifier.
    ConflictEnded {
        ci: CiId,
        with: CiId,
        over: Identifier,
    },
}

/// The difference that one message made to one section, and the hash of the section after it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SectionFact {
    pub section: String,
    /// SHA-256 of the section's content after it, hexadecimal.
    pub hash: String,
    /// Items in it after it.
    pub items: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<Added>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<Changed>,
    /// No longer named by any section: missing, and retired later. Their relations end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Named>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Edge>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unrelated: Vec<Edge>,
}

/// An item that was not known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Added {
    pub ci: CiId,
    pub class: Class,
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<CiId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    pub attributes: BTreeMap<String, Value>,
}

/// An item that was known otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    pub ci: CiId,
    pub class: Class,
    pub key: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<AttributeChange>,
    /// It is back: the state that it comes back from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_from: Option<Lifecycle>,
}

/// An item by name, so that a fact reads without the graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Named {
    pub ci: CiId,
    pub class: Class,
    pub key: String,
    pub from: Lifecycle,
}

/// `None` says that there is no such attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttributeChange {
    pub name: String,
    pub from: Option<Value>,
    pub to: Option<Value>,
}

/// A relation as one claims it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Edge {
    pub from: CiId,
    pub kind: RelationKind,
    pub to: CiId,
    /// Who claims it: a section, a token, a person.
    pub by: String,
}

/// An identifier that two hosts share, and what that is worth.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Match {
    pub identifier: Identifier,
    pub weight: u32,
}

/// An identifier of which both have one, and not the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub kind: String,
    pub here: String,
    pub there: String,
}

/// Both sides of a disagreement over who a host is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conflict {
    pub kind: ConflictKind,
    pub over: Identifier,
    /// The host whose agent speaks now, then the other.
    pub sides: [Side; 2],
    /// What the two share …
    pub matched: Vec<Match>,
    /// … and what tells them apart.
    pub differ: Vec<Difference>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictKind {
    /// Two live agents share an identifier, and nothing more certain tells them apart: a cloned machine.
    Clone,
    /// One identifier says that two are the same, a more certain one that they are not.
    Disagreement,
    /// Two identifiers point at two different hosts.
    Ambiguous,
}

/// One side of a conflict, as it stood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Side {
    pub ci: CiId,
    pub name: String,
    pub agent: Option<String>,
    pub live: bool,
    pub identifiers: Vec<Identifier>,
}

impl SectionFact {
    /// Whether nothing came, went or changed.
    pub fn is_empty(&self) -> bool {
        let items = self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty();
        items && self.related.is_empty() && self.unrelated.is_empty()
    }
}
