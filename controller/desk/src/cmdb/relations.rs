//! How configuration items stand to each other, and who said so.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::shared::Shared;
use crate::Millis;
use crate::ids::CiId;

/// Who said something of a configuration item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// An agent on the host.
    Agent,
    /// A file or another system.
    Import,
    /// A person, or the operator's word in an enrolment token.
    Hand,
}

impl Source {
    pub fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Import => "import",
            Self::Hand => "hand",
        }
    }
}

/// An instant in both times: when it was so, and when the controller learned it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct When {
    pub happened: Millis,
    pub learned: Millis,
}

/// The kinds of relation. Written `from kind to`: `nginx.service runs_on web-1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelationKind {
    RunsOn,
    HostedOn,
    Contains,
    ListensOn,
    ConnectsTo,
    DependsOn,
    MemberOf,
    Uses,
    OwnedBy,
    LocatedIn,
    SuppliedBy,
}

/// Which end of a relation goes down with the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depends {
    /// `from` needs `to`: what runs on a host goes down with it.
    FromOnTo,
    /// `to` needs `from`: a service goes down with its members, an endpoint with the process behind it.
    ToOnFrom,
    /// Each needs the other: a unit and its processes.
    Both,
    Neither,
}

/// All kinds with their word and what depends on what: the one list.
pub const RELATION_KINDS: [(RelationKind, &str, Depends); 11] = [
    (RelationKind::RunsOn, "runs_on", Depends::FromOnTo),
    (RelationKind::HostedOn, "hosted_on", Depends::FromOnTo),
    (RelationKind::Contains, "contains", Depends::Both),
    (RelationKind::ListensOn, "listens_on", Depends::ToOnFrom),
    (RelationKind::ConnectsTo, "connects_to", Depends::FromOnTo),
    (RelationKind::DependsOn, "depends_on", Depends::FromOnTo),
    (RelationKind::MemberOf, "member_of", Depends::ToOnFrom),
    (RelationKind::Uses, "uses", Depends::FromOnTo),
    (RelationKind::OwnedBy, "owned_by", Depends::Neither),
    (RelationKind::LocatedIn, "located_in", Depends::FromOnTo),
    (RelationKind::SuppliedBy, "supplied_by", Depends::FromOnTo),
];

impl RelationKind {
    pub fn word(self) -> &'static str {
        RELATION_KINDS[self as usize].1
    }

    pub fn depends(self) -> Depends {
        RELATION_KINDS[self as usize].2
    }

    /// The kind of that word; `None` where there is none.
    pub fn parse(word: &str) -> Option<Self> {
        RELATION_KINDS.iter().find(|(_, known, _)| *known == word).map(|(kind, ..)| *kind)
    }
}

impl fmt::Display for RelationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The claim of an observed connection; between services, followed by the host that has it.
pub(super) const LINK_CLAIM: &str = "observed connection";
/// The claim of a person who pinned a relation.
pub(super) const HAND_CLAIM: &str = "hand";

/// A person's word on a relation, whatever was observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It holds.
    Pinned,
    /// It does not hold.
    Denied,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Denied => "denied",
        }
    }
}

/// One relation, current or ended. One record for `from kind to`; its history is in the facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    pub from: CiId,
    pub kind: RelationKind,
    pub to: CiId,
    pub source: Source,
    /// Who claims it: sections of the agent's inventory, connections, a token, a person. It ends with the last claim; a denied
    /// one keeps its claims and does not hold.
    pub claims: Shared<BTreeSet<String>>,
    pub since: When,
    /// None: it holds.
    pub until: Option<When>,
    /// Observed ones: since when neither end says that it is used. A view, never a fact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen_since: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

impl Relation {
    /// `from kind to`, unique.
    pub fn key(&self) -> String {
        format!("{} {} {}", self.from, self.kind, self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_stands_in_the_order_of_the_kinds() {
        for (at, (kind, word, _)) in RELATION_KINDS.iter().enumerate() {
            assert_eq!(*kind as usize, at, "{word}");
            assert_eq!(RelationKind::parse(word), Some(*kind));
            assert_eq!(serde_json::to_value(kind).ok(), Some(serde_json::Value::from(*word)));
        }
    }
}
