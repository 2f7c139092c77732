//! The graph in memory: items, relations and the indexes over them. Storage only: it judges nothing.
//!
//! Items change in [`Graph::edit`] alone and relations in [`Graph::relate`] and [`Graph::unrelate`] alone, so that indexes
//! cannot fall behind. All maps are ordered; the same records give the same graph, in whatever order they come.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::ci::{Ci, Identifier, Lifecycle};
use super::classes::{Class, Value};
use super::relations::{HAND_CLAIM, Relation, RelationKind, Source, Verdict, When};
use super::{identify, peers};
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

/// All configuration items and relations.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    items: BTreeMap<CiId, Ci>,
    relations: BTreeMap<RelationKey, Relation>,
    /// `to` → the relations that hold towards it.
    towards: BTreeMap<CiId, BTreeSet<(RelationKind, CiId)>>,
    /// Agent → the host that it speaks for.
    agents: BTreeMap<String, CiId>,
    /// Host, or none → class → key.
    places: BTreeMap<Option<CiId>, BTreeMap<Class, BTreeMap<String, CiId>>>,
    classes: BTreeMap<Class, BTreeSet<CiId>>,
    /// Hosts by what they are recognised by.
    identifiers: BTreeMap<Identifier, BTreeSet<CiId>>,
    /// Class → naming or identifying attribute → value.
    values: BTreeMap<(Class, &'static str), BTreeMap<Value, BTreeSet<CiId>>>,
    /// Host → class → key of what is not there → who would have a relation to it.
    wanted: BTreeMap<CiId, BTreeMap<(Class, String), BTreeSet<CiId>>>,
    /// Address → the hosts that others reach by it.
    addresses: BTreeMap<IpAddr, BTreeSet<CiId>>,
    /// Address → the hosts with a connection there.
    clients: BTreeMap<IpAddr, BTreeSet<CiId>>,
    /// Identity of a change → the items that saw it.
    changed: BTreeMap<String, BTreeSet<CiId>>,
    pub(super) touched: Touched,
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
        let items = self.items.values().cloned().map(Record::Ci);
        items.chain(self.relations.values().cloned().map(Record::Relation))
    }

    pub fn get(&self, ci: CiId) -> Option<&Ci> {
        self.items.get(&ci)
    }

    /// All items, by id.
    pub fn items(&self) -> impl Iterator<Item = &Ci> {
        self.items.values()
    }

    /// All items of a class, retired ones among them.
    pub fn of_class(&self, class: Class) -> impl Iterator<Item = &Ci> {
        self.classes.get(&class).into_iter().flatten().filter_map(|id| self.items.get(id))
    }

    /// The host that an agent speaks for.
    pub fn host_of(&self, agent: &str) -> Option<&Ci> {
        self.agents.get(agent).and_then(|id| self.items.get(id))
    }

    /// What is on a host under (class, key), whatever its state; for class `host`, the host itself.
    pub(super) fn on_host(&self, host: CiId, class: Class, key: &str) -> Option<&Ci> {
        let id = if class == Class::Host { &host } else { self.places.get(&Some(host))?.get(&class)?.get(key)? };
        self.items.get(id)
    }

    /// What is on no host under (class, key).
    pub(super) fn by_itself(&self, class: Class, key: &str) -> Option<&Ci> {
        self.places.get(&None)?.get(&class)?.get(key).and_then(|id| self.items.get(id))
    }

    /// All that was ever found on a host, whatever its state.
    pub(super) fn all_on(&self, host: CiId) -> impl Iterator<Item = &Ci> {
        let keys = self.places.get(&Some(host)).into_iter().flat_map(BTreeMap::values);
        keys.flat_map(BTreeMap::values).filter_map(|id| self.items.get(id))
    }

    /// What was ever found of a class on a host, whatever its state.
    pub(super) fn of_class_on(&self, host: CiId, class: Class) -> impl Iterator<Item = &Ci> {
        let keys = self.places.get(&Some(host)).and_then(|classes| classes.get(&class));
        keys.into_iter().flat_map(BTreeMap::values).filter_map(|id| self.items.get(id))
    }

    /// How many things were ever found on a host.
    pub(super) fn count_on(&self, host: CiId) -> usize {
        self.places.get(&Some(host)).into_iter().flat_map(BTreeMap::values).map(BTreeMap::len).sum()
    }

    /// Hosts with that identifier, merged ones left out.
    pub(super) fn identified_by(&self, identifier: &Identifier) -> impl Iterator<Item = &Ci> {
        self.identifiers.get(identifier).into_iter().flatten().filter_map(|id| self.items.get(id))
    }

    /// Items whose naming or identifying attribute has that value; `None` where the attribute has no index.
    pub(super) fn by_value(&self, class: Class, name: &str, value: &Value) -> Option<Vec<&Ci>> {
        let attribute = indexed(class).find(|indexed| *indexed == name)?;
        let ids = self.values.get(&(class, attribute)).and_then(|by_value| by_value.get(value));
        Some(ids.into_iter().flatten().filter_map(|id| self.items.get(id)).collect())
    }

    /// Who would have a relation to (class, key) of that host, were it there.
    pub(super) fn wanting(&self, host: CiId, class: Class, key: &str) -> impl Iterator<Item = &Ci> {
        let at = self.wanted.get(&host).and_then(|wanted| wanted.get(&(class, key.to_owned())));
        at.into_iter().flatten().filter_map(|id| self.items.get(id))
    }

    /// Items that remember a change of that identity.
    pub(super) fn with_change(&self, identity: &str) -> impl Iterator<Item = &Ci> {
        self.changed.get(identity).into_iter().flatten().filter_map(|id| self.items.get(id))
    }

    /// Hosts with that address.
    pub(super) fn hosts_at(&self, address: IpAddr) -> impl Iterator<Item = &Ci> {
        self.addresses.get(&address).into_iter().flatten().filter_map(|id| self.items.get(id))
    }

    /// Hosts with a connection to that address.
    pub(super) fn clients_of(&self, address: IpAddr) -> impl Iterator<Item = CiId> {
        self.clients.get(&address).into_iter().flatten().copied()
    }

    /// A relation, whether it holds, ended or is denied.
    pub fn relation(&self, key: RelationKey) -> Option<&Relation> {
        self.relations.get(&key)
    }

    /// Relations that hold, from an item.
    pub fn relations_from(&self, from: CiId) -> impl Iterator<Item = &Relation> {
        let first = (from, RelationKind::RunsOn, CiId([0; 16]));
        let from_here = self.relations.range(first..).take_while(move |(key, _)| key.0 == from);
        from_here.map(|(_, relation)| relation).filter(|relation| relation.until.is_none())
    }

    /// Relations that hold, towards an item.
    pub fn relations_to(&self, to: CiId) -> impl Iterator<Item = &Relation> {
        let keys = self.towards.get(&to).into_iter().flatten();
        keys.filter_map(move |(kind, from)| self.relations.get(&(*from, *kind, to)))
    }

    /// All relations, ended ones among them.
    pub fn relations(&self) -> impl Iterator<Item = &Relation> {
        self.relations.values()
    }

    /// The records that changed since the last call.
    pub(super) fn take_touched(&mut self) -> Vec<Record> {
        let touched = std::mem::take(&mut self.touched);
        let items = touched.items.iter().filter_map(|id| self.items.get(id)).cloned().map(Record::Ci);
        let relations = touched.relations.iter().filter_map(|key| self.relations.get(key));
        items.chain(relations.cloned().map(Record::Relation)).collect()
    }

    pub(super) fn insert(&mut self, ci: Ci) {
        let id = ci.id;
        if let Some(before) = self.items.remove(&id) {
            self.unindex(&before);
        }
        self.index(&ci);
        self.items.insert(id, ci);
        self.touched.items.insert(id);
    }

    /// Changes one item and its places in the indexes; nothing where it is not known.
    pub(super) fn edit(&mut self, id: CiId, change: impl FnOnce(&mut Ci)) {
        let Some(mut ci) = self.items.remove(&id) else { return };
        self.unindex(&ci);
        change(&mut ci);
        if ci.class == Class::Host {
            ci.identifiers = identify::identifiers_of(&ci);
        }
        self.index(&ci);
        self.items.insert(id, ci);
        self.touched.items.insert(id);
    }

    /// Changes what no index reads (last_seen, measurements, marks, digests).
    pub(super) fn note(&mut self, id: CiId, change: impl FnOnce(&mut Ci)) {
        if let Some(ci) = self.items.get_mut(&id) {
            change(ci);
            self.touched.items.insert(id);
        }
    }

    /// One more claim on a relation; it begins, or begins again, with the first.
    pub(super) fn relate(&mut self, key: RelationKey, source: Source, claim: &str, when: When) {
        let mut relation = self.relations.remove(&key).unwrap_or_else(|| new_relation(key, source, when));
        let is_denied = relation.verdict == Some(Verdict::Denied);
        if !is_denied && relation.until.take().is_some() {
            (relation.since, relation.source) = (when, source);
        }
        relation.claims.insert(claim.to_owned());
        self.put_relation(relation);
    }

    /// One claim less on a relation; it ends with the last.
    pub(super) fn unrelate(&mut self, key: RelationKey, claim: &str, when: When) {
        let Some(mut relation) = self.relations.remove(&key) else { return };
        relation.claims.remove(claim);
        if relation.claims.is_empty() && relation.until.is_none() {
            relation.until = Some(when);
        }
        self.put_relation(relation);
    }

    /// A person's word on a relation: pinned, denied, or neither any more, and only the other claims count.
    pub(super) fn judge_relation(&mut self, key: RelationKey, verdict: Option<Verdict>, when: When) {
        let mut relation = self.relations.remove(&key).unwrap_or_else(|| new_relation(key, Source::Hand, when));
        relation.verdict = verdict;
        relation.claims.remove(HAND_CLAIM);
        let others = if relation.claims.is_empty() { relation.source } else { Source::Agent };
        relation.source = if verdict.is_some() { Source::Hand } else { others };
        if verdict == Some(Verdict::Pinned) {
            relation.claims.insert(HAND_CLAIM.to_owned());
        }
        let holds = verdict != Some(Verdict::Denied) && !relation.claims.is_empty();
        if !holds {
            relation.until.get_or_insert(when);
        } else if relation.until.take().is_some() {
            relation.since = when;
        }
        self.put_relation(relation);
    }

    /// Since when a relation is not seen, if it is not: a view.
    pub(super) fn see(&mut self, key: RelationKey, unseen_since: Option<Millis>) {
        let Some(relation) = self.relations.get_mut(&key).filter(|relation| relation.unseen_since != unseen_since)
        else {
            return;
        };
        relation.unseen_since = unseen_since;
        self.touched.relations.insert(key);
    }

    fn put_relation(&mut self, relation: Relation) {
        let key = (relation.from, relation.kind, relation.to);
        let towards = self.towards.entry(relation.to).or_default();
        if relation.until.is_none() {
            towards.insert((relation.kind, relation.from));
        } else {
            towards.remove(&(relation.kind, relation.from));
        }
        self.relations.insert(key, relation);
        self.touched.relations.insert(key);
    }

    fn index(&mut self, ci: &Ci) {
        self.classes.entry(ci.class).or_default().insert(ci.id);
        for (name, value) in indexed_values(ci) {
            let by_value = self.values.entry((ci.class, name)).or_default();
            by_value.entry(value.clone()).or_default().insert(ci.id);
        }
        for identity in ci.identities() {
            self.changed.entry(identity).or_default().insert(ci.id);
        }
        if ci.merged_into.is_some() {
            return;
        }
        if ci.class == Class::Host {
            self.agents.extend(ci.agent.clone().map(|agent| (agent, ci.id)));
        } else {
            self.places.entry(ci.host).or_default().entry(ci.class).or_default().insert(ci.key.clone(), ci.id);
        }
        for identifier in &ci.identifiers {
            self.identifiers.entry(identifier.clone()).or_default().insert(ci.id);
        }
        for want in &ci.wants {
            let wanted = self.wanted.entry(ci.host.unwrap_or(ci.id)).or_default();
            wanted.entry((want.class, want.key.clone())).or_default().insert(ci.id);
        }
        for (address, host) in reachable_at(ci) {
            self.addresses.entry(address).or_default().insert(host);
        }
        for link in ci.links.values() {
            self.clients.entry(link.remote.ip()).or_default().insert(ci.id);
        }
    }

    fn unindex(&mut self, ci: &Ci) {
        drop_from(&mut self.classes, &ci.class, ci.id);
        for (name, value) in indexed_values(ci) {
            if let Some(by_value) = self.values.get_mut(&(ci.class, name)) {
                drop_from(by_value, value, ci.id);
            }
        }
        for identity in ci.identities() {
            drop_from(&mut self.changed, &identity, ci.id);
        }
        if ci.merged_into.is_some() {
            return;
        }
        if ci.class == Class::Host {
            if let Some(agent) = ci.agent.as_deref().filter(|agent| self.agents.get(*agent) == Some(&ci.id)) {
                self.agents.remove(agent);
            }
        } else if let Some(keys) = self.places.get_mut(&ci.host).and_then(|classes| classes.get_mut(&ci.class)) {
            keys.remove(&ci.key);
        }
        for identifier in &ci.identifiers {
            drop_from(&mut self.identifiers, identifier, ci.id);
        }
        if let Some(wanted) = self.wanted.get_mut(&ci.host.unwrap_or(ci.id)) {
            for want in &ci.wants {
                drop_from(wanted, &(want.class, want.key.clone()), ci.id);
            }
        }
        for (address, host) in reachable_at(ci) {
            drop_from(&mut self.addresses, &address, host);
        }
        for link in ci.links.values() {
            drop_from(&mut self.clients, &link.remote.ip(), ci.id);
        }
    }
}

fn new_relation((from, kind, to): RelationKey, source: Source, when: When) -> Relation {
    let claims = BTreeSet::new();
    Relation { from, kind, to, source, claims, since: when, until: None, unseen_since: None, verdict: None }
}

/// The addresses of an interface that is there, each with its host.
fn reachable_at(ci: &Ci) -> impl Iterator<Item = (IpAddr, CiId)> {
    let is_there = ci.class == Class::NetworkInterface && ci.lifecycle == Lifecycle::InUse;
    let host = ci.host.filter(|_| is_there);
    host.into_iter().flat_map(move |host| peers::addresses(ci).into_iter().map(move |address| (address, host)))
}

fn drop_from<K: Ord>(index: &mut BTreeMap<K, BTreeSet<CiId>>, key: &K, id: CiId) {
    if let Some(ids) = index.get_mut(key) {
        ids.remove(&id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}

/// The attributes of a class that have an index: what names or identifies its items.
fn indexed(class: Class) -> impl Iterator<Item = &'static str> {
    let schema = class.schema();
    let named = schema.identifiers.iter().chain(&schema.name).copied();
    named.filter(|name| schema.attribute(name).is_some()).collect::<BTreeSet<_>>().into_iter()
}

fn indexed_values(ci: &Ci) -> impl Iterator<Item = (&'static str, &Value)> {
    indexed(ci.class).filter_map(|name| Some((name, ci.attribute(name)?)))
}
