//! The graph's relations, by both ends.

use std::collections::BTreeSet;
use std::fmt;

use super::graph::RelationKey;
use super::relations::{Relation, RelationKind, Source, When};
use super::shared::{Pool, Shared};
use super::slab::{Blocks, Number, Slab};
use crate::Millis;
use crate::ids::CiId;

/// All relations. None ever goes; one that ended says so.
#[derive(Clone, Default)]
pub(super) struct Relations {
    slab: Slab<Relation>,
    /// By `from kind to`.
    from: Blocks,
    /// Those that hold, by `to kind from`.
    towards: Blocks,
    /// Who claims relations, each set once.
    claims: Pool<BTreeSet<String>>,
}

/// In their two orders, whatever numbers they have.
impl fmt::Debug for Relations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter())
            .entries(self.towards.iter().map(|number| turned(&self.slab[number])))
            .finish()
    }
}

const NOBODY: CiId = CiId([0; 16]);

fn key(relation: &Relation) -> RelationKey {
    (relation.from, relation.kind, relation.to)
}

fn turned(relation: &Relation) -> RelationKey {
    (relation.to, relation.kind, relation.from)
}

impl Relations {
    fn number(&self, (from, kind, to): RelationKey) -> Option<Number> {
        self.from.find(from.block(), |known| key(&self.slab[*known]).cmp(&(from, kind, to)))
    }

    pub fn get(&self, key: RelationKey) -> Option<&Relation> {
        self.number(key).map(|number| &self.slab[number])
    }

    /// All from an item, by kind and other end; ended ones among them.
    pub fn from(&self, from: CiId) -> impl Iterator<Item = &Relation> {
        let first = (from, RelationKind::RunsOn, NOBODY);
        let numbers = self.from.from(from.block(), |known| key(&self.slab[*known]) < first);
        numbers.iter().map(|number| &self.slab[*number]).take_while(move |relation| relation.from == from)
    }

    /// Those that hold towards an item, by kind and other end.
    pub fn towards(&self, to: CiId) -> impl Iterator<Item = &Relation> {
        let first = (to, RelationKind::RunsOn, NOBODY);
        let numbers = self.towards.from(to.block(), |known| turned(&self.slab[*known]) < first);
        numbers.iter().map(|number| &self.slab[*number]).take_while(move |relation| relation.to == to)
    }

    /// By `from kind to`.
    pub fn iter(&self) -> impl Iterator<Item = &Relation> {
        self.from.iter().map(|number| &self.slab[number])
    }

    /// Enters a relation as it stands.
    pub fn put(&mut self, relation: Relation) {
        let anew = (relation.source, relation.since);
        self.change(key(&relation), anew, |known| *known = relation);
    }

    /// Changes a relation; one that is not known begins with nobody's claim.
    pub fn change(&mut self, key: RelationKey, anew: (Source, When), change: impl FnOnce(&mut Relation)) {
        let known = self.number(key);
        let number = known.unwrap_or_else(|| self.push(key, anew));
        let relation = &mut self.slab[number];
        let held = known.is_some() && relation.until.is_none();
        change(relation);
        self.claims.share(&mut relation.claims);
        let (holds, (from, kind, to)) = (relation.until.is_none(), key);
        let slab = &self.slab;
        let place = |known: &Number| turned(&slab[*known]).cmp(&(to, kind, from));
        match (held, holds) {
            (false, true) => self.towards.insert(to.block(), number, place),
            (true, false) => self.towards.remove(to.block(), place),
            _ => {}
        }
    }

    /// Says since when a relation is not seen; whether that is news.
    pub fn see(&mut self, key: RelationKey, unseen_since: Option<Millis>) -> bool {
        let Some(number) = self.number(key) else { return false };
        let before = std::mem::replace(&mut self.slab[number].unseen_since, unseen_since);
        before != unseen_since
    }

    fn push(&mut self, (from, kind, to): RelationKey, (source, since): (Source, When)) -> Number {
        let claims = Shared::default();
        let relation =
            Relation { from, kind, to, source, claims, since, until: None, unseen_since: None, verdict: None };
        let number = self.slab.push(relation);
        let slab = &self.slab;
        self.from.insert(from.block(), number, |known| key(&slab[*known]).cmp(&(from, kind, to)));
        number
    }
}
