//! The graph in memory: items, relations and the indexes over them. Storage only: it judges nothing.
//!
//! Items change in [`Graph::edit`] alone and relations in [`Graph::relate`] and [`Graph::unrelate`] alone, so that indexes
//! cannot fall behind. All maps are ordered; the same records give the same graph, in whatever order they come.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use super::ci::{Ci, Identifier, Said};
use super::classes::{Class, Value};
use super::edges::Relations;
use super::identify;
use super::index::{Indexes, Items};
use super::relations::{HAND_CLAIM, Relation, RelationKind, Source, Verdict, When};
use super::shared::{Pool, Text};
use super::slab::Number;
use crate::config::Settings;
use crate::ids::CiId;
use crate::{Fact, Millis, Record, Timer};

/// What a decision of the CMDB is made by, beside what is known.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The input's place at the desk; ids derive from it.
    pub order: u64,
    /// When the controller learned it.
    pub at: Millis,
    pub settings: &'a Settings,
    /// Whether that agent has a live session: two live agents of one identity are clones, not one host under a new name.
    pub live: &'a dyn Fn(&str) -> bool,
}

/// What a change of the CMDB brings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// In the order they follow from each other.
    pub facts: Vec<Fact>,
    /// Records as they now stand, each once. There may be some without a fact: measurements, last_seen.
    pub changed: Vec<Record>,
    /// Things in an agent's message that fit no class, or are too many: left out.
    pub left_out: u64,
    /// Wake-ups that the desk should set; [`Graph::due`] answers them.
    pub timers: Vec<Timer>,
}

/// `from kind to`.
pub type RelationKey = (CiId, RelationKind, CiId);

/// Records that changed since somebody last asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Touched {
    pub items: BTreeSet<CiId>,
    pub relations: BTreeSet<RelationKey>,
}

/// All configuration items and relations. None ever goes; what is gone says so.
#[derive(Clone, Default)]
pub struct Graph {
    items: Items,
    indexes: Indexes,
    relations: Relations,
    /// What is said of items, each once.
    said: Pool<Said>,
    /// Names of measurements.
    names: Pool<str>,
    pub(super) touched: Touched,
}

/// As it stands, in whatever order it came to it.
impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Graph");
        shown.field("items", &self.items).field("relations", &self.relations).field("touched", &self.touched);
        self.indexes.show(&self.items, &mut shown);
        shown.finish()
    }
}

impl Graph {
    /// The graph as its records left it; other records are passed over.
    pub fn restore(records: impl IntoIterator<Item = Record>) -> Self {
        let mut graph = Self::default();
        for record in records {
            match record {
                Record::Ci(ci) => graph.insert(ci),
                Record::Relation(relation) => graph.put_relation(relation),
                _ => {}
            }
        }
        graph.touched = Touched::default();
        graph
    }

    /// All records, items first: what [`Self::restore`] takes.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let items = self.items.iter().cloned().map(Record::Ci);
        items.chain(self.relations.iter().cloned().map(Record::Relation))
    }

    pub fn get(&self, ci: CiId) -> Option<&Ci> {
        self.items.get(ci)
    }

    /// All items, by id.
    pub fn items(&self) -> impl Iterator<Item = &Ci> {
        self.items.iter()
    }

    fn known<'a>(&'a self, ids: impl IntoIterator<Item = &'a CiId>) -> impl Iterator<Item = &'a Ci> {
        ids.into_iter().filter_map(|id| self.items.get(*id))
    }

    /// All items of a class, retired ones among them.
    pub fn of_class(&self, class: Class) -> impl Iterator<Item = &Ci> {
        self.indexes.of_class(class).map(|number| self.items.at(number))
    }

    /// The host that an agent speaks for.
    pub fn host_of(&self, agent: &str) -> Option<&Ci> {
        self.indexes.agents.get(agent).and_then(|id| self.items.get(*id))
    }

    /// What is on a host under (class, key), whatever its state; for class `host`, the host itself.
    pub(super) fn on_host(&self, host: CiId, class: Class, key: &str) -> Option<&Ci> {
        if class == Class::Host {
            return self.items.get(host);
        }
        self.indexes.place(&self.items, Some(host), class, key).map(|number| self.items.at(number))
    }

    /// What is on no host under (class, key).
    pub(super) fn by_itself(&self, class: Class, key: &str) -> Option<&Ci> {
        self.indexes.place(&self.items, None, class, key).map(|number| self.items.at(number))
    }

    /// All that was ever found on a host, whatever its state, by class and key.
    pub(super) fn all_on(&self, host: CiId) -> impl Iterator<Item = &Ci> {
        self.indexes.on(Some(host)).iter().map(|number| self.items.at(*number))
    }

    /// What was ever found of a class on a host, whatever its state, by key.
    pub(super) fn of_class_on(&self, host: CiId, class: Class) -> impl Iterator<Item = &Ci> {
        self.indexes.of_class_on(&self.items, host, class).iter().map(|number| self.items.at(*number))
    }

    /// How many things were ever found on a host.
    pub(super) fn count_on(&self, host: CiId) -> usize {
        self.indexes.on(Some(host)).len()
    }

    /// Hosts with that identifier, merged ones left out.
    pub(super) fn identified_by(&self, identifier: &Identifier) -> impl Iterator<Item = &Ci> {
        self.known(self.indexes.identifiers.get(identifier).into_iter().flatten())
    }

    /// Items whose naming or identifying attribute has that value; `None` where the attribute has no index.
    pub(super) fn by_value(&self, class: Class, name: &str, value: &Value) -> Option<Vec<&Ci>> {
        let ids = self.indexes.by_value(class, name, value)?;
        Some(ids.filter_map(|id| self.items.get(id)).collect())
    }

    /// Who would have a relation to (class, key) of that host, were it there.
    pub(super) fn wanting(&self, host: CiId, class: Class, key: &str) -> impl Iterator<Item = &Ci> {
        let wanted = self.indexes.wanted.get(&host).filter(|wanted| !wanted.is_empty());
        self.known(wanted.and_then(|wanted| wanted.get(&(class, key.to_owned()))).into_iter().flatten())
    }

    /// Items that remember a change of that identity.
    pub(super) fn with_change(&self, identity: &str) -> impl Iterator<Item = &Ci> {
        self.known(self.indexes.changed.get(identity).into_iter().flatten())
    }

    /// Hosts with that address.
    pub(super) fn hosts_at(&self, address: IpAddr) -> impl Iterator<Item = &Ci> {
        self.known(self.indexes.addresses.get(&address).into_iter().flatten())
    }

    /// Hosts with a connection to that address.
    pub(super) fn clients_of(&self, address: IpAddr) -> impl Iterator<Item = CiId> {
        self.indexes.clients.get(&address).into_iter().flatten().copied()
    }

    /// A relation, whether it holds, ended or is denied.
    pub fn relation(&self, key: RelationKey) -> Option<&Relation> {
        self.relations.get(key)
    }

    /// Relations that hold, from an item.
    pub fn relations_from(&self, from: CiId) -> impl Iterator<Item = &Relation> {
        self.relations.from(from).filter(|relation| relation.until.is_none())
    }

    /// Relations that hold, towards an item.
    pub fn relations_to(&self, to: CiId) -> impl Iterator<Item = &Relation> {
        self.relations.towards(to)
    }

    /// All relations, ended ones among them.
    pub fn relations(&self) -> impl Iterator<Item = &Relation> {
        self.relations.iter()
    }

    /// The records that changed since the last call.
    pub(super) fn take_touched(&mut self) -> Vec<Record> {
        let touched = std::mem::take(&mut self.touched);
        let items = touched.items.iter().filter_map(|id| self.items.get(*id)).cloned().map(Record::Ci);
        let relations = touched.relations.iter().filter_map(|key| self.relations.get(*key));
        items.chain(relations.cloned().map(Record::Relation)).collect()
    }

    pub(super) fn insert(&mut self, mut ci: Ci) {
        let host = ci.host.and_then(|host| self.items.get(host)).and_then(|host| host.agent.clone());
        if host == ci.agent {
            ci.agent = host;
        }
        self.said.share(&mut ci.said);
        let id = ci.id;
        let number = match self.items.number(id) {
            Some(number) => {
                self.indexes.leave(&self.items, number);
                *self.items.at_mut(number) = ci;
                number
            }
            None => self.items.push(ci),
        };
        self.indexes.enter(&self.items, number);
        self.touched.items.insert(id);
    }

    /// Changes one item and its places in the indexes; nothing where it is not known.
    pub(super) fn edit(&mut self, id: CiId, change: impl FnOnce(&mut Ci)) {
        let Some(number) = self.items.number(id) else { return };
        self.indexes.leave(&self.items, number);
        self.alter(number, |ci| {
            change(ci);
            if ci.class == Class::Host {
                ci.more_mut().identifiers = identify::identifiers_of(ci);
            }
        });
        self.indexes.enter(&self.items, number);
        self.touched.items.insert(id);
    }

    /// Changes what no index reads (last_seen, measurements, marks, digests).
    pub(super) fn note(&mut self, id: CiId, change: impl FnOnce(&mut Ci)) {
        if let Some(number) = self.items.number(id) {
            self.alter(number, change);
            self.touched.items.insert(id);
        }
    }

    fn alter(&mut self, number: Number, change: impl FnOnce(&mut Ci)) {
        let ci = self.items.at_mut(number);
        let before = ci.said.clone();
        change(ci);
        if !ci.said.is(&before) {
            self.said.share(&mut ci.said);
        }
        ci.settle();
    }

    /// The name of a measurement, as all items have it.
    pub(super) fn measurement(&mut self, name: &str) -> Text {
        self.names.text(name)
    }

    /// One more claim on a relation; it begins, or begins again, with the first.
    pub(super) fn relate(&mut self, key: RelationKey, source: Source, claim: &str, when: When) {
        self.relations.change(key, (source, when), |relation| {
            let is_denied = relation.verdict == Some(Verdict::Denied);
            if !is_denied && relation.until.take().is_some() {
                (relation.since, relation.source) = (when, source);
            }
            relation.claims.make_mut().insert(claim.to_owned());
        });
        self.touched.relations.insert(key);
    }

    /// One claim less on a relation; it ends with the last.
    pub(super) fn unrelate(&mut self, key: RelationKey, claim: &str, when: When) {
        let Some(known) = self.relations.get(key) else { return };
        self.relations.change(key, (known.source, when), |relation| {
            relation.claims.make_mut().remove(claim);
            if relation.claims.is_empty() && relation.until.is_none() {
                relation.until = Some(when);
            }
        });
        self.touched.relations.insert(key);
    }

    /// A person's word on a relation: pinned, denied, or neither any more, and only the other claims count.
    pub(super) fn judge_relation(&mut self, key: RelationKey, verdict: Option<Verdict>, when: When) {
        self.relations.change(key, (Source::Hand, when), |relation| {
            relation.verdict = verdict;
            let claims = relation.claims.make_mut();
            claims.remove(HAND_CLAIM);
            let others = if claims.is_empty() { relation.source } else { Source::Agent };
            relation.source = if verdict.is_some() { Source::Hand } else { others };
            if verdict == Some(Verdict::Pinned) {
                claims.insert(HAND_CLAIM.to_owned());
            }
            let holds = verdict != Some(Verdict::Denied) && !claims.is_empty();
            if !holds {
                relation.until.get_or_insert(when);
            } else if relation.until.take().is_some() {
                relation.since = when;
            }
        });
        self.touched.relations.insert(key);
    }

    /// Since when a relation is not seen, if it is not: a view.
    pub(super) fn see(&mut self, key: RelationKey, unseen_since: Option<Millis>) {
        if self.relations.see(key, unseen_since) {
            self.touched.relations.insert(key);
        }
    }

    fn put_relation(&mut self, relation: Relation) {
        self.touched.relations.insert((relation.from, relation.kind, relation.to));
        self.relations.put(relation);
    }
}
