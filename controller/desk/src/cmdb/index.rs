//! The indexes over the graph's items: where each is found again, by what it is and by what it says.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use super::ci::{Ci, Identifier, Lifecycle};
use super::classes::{Class, Value};
use super::peers;
use super::slab::{self, Blocks, Number, Slab};
use crate::ids::CiId;

/// All items, by number and by id.
#[derive(Clone, Default)]
pub(super) struct Items {
    slab: Slab<Ci>,
    by_id: Blocks,
}

impl Items {
    pub fn number(&self, id: CiId) -> Option<Number> {
        self.by_id.find(id.block(), self.by(id))
    }

    pub fn get(&self, id: CiId) -> Option<&Ci> {
        self.number(id).map(|number| &self.slab[number])
    }

    pub fn at(&self, number: Number) -> &Ci {
        &self.slab[number]
    }

    pub fn at_mut(&mut self, number: Number) -> &mut Ci {
        &mut self.slab[number]
    }

    /// Puts in an item whose id none of them has.
    pub fn push(&mut self, ci: Ci) -> Number {
        let id = ci.id;
        let number = self.slab.push(ci);
        let slab = &self.slab;
        self.by_id.insert(id.block(), number, |known| slab[*known].id.cmp(&id));
        number
    }

    /// By id.
    pub fn iter(&self) -> impl Iterator<Item = &Ci> {
        self.by_id.iter().map(|number| &self.slab[number])
    }

    fn by(&self, id: CiId) -> impl Fn(&Number) -> Ordering {
        move |known| self.slab[*known].id.cmp(&id)
    }

    fn by_place(&self, class: Class, key: &str) -> impl Fn(&Number) -> Ordering {
        move |known| {
            let known = &self.slab[*known];
            known.class.cmp(&class).then_with(|| known.key.as_str().cmp(key))
        }
    }
}

/// By id, whatever numbers they have.
impl fmt::Debug for Items {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Where to look for items.
#[derive(Clone, Default)]
pub(super) struct Indexes {
    /// Agent → the host that it speaks for.
    pub agents: BTreeMap<String, CiId>,
    /// Host, or none → what is on it, by class and key.
    places: BTreeMap<Option<CiId>, Vec<Number>>,
    classes: BTreeMap<Class, Blocks>,
    /// Hosts by what they are recognised by.
    pub identifiers: BTreeMap<Identifier, BTreeSet<CiId>>,
    /// Class → naming or identifying attribute → value.
    values: BTreeMap<(Class, &'static str), BTreeMap<Value, BTreeSet<CiId>>>,
    /// Host → class → key of what is not there → who would have a relation to it.
    pub wanted: BTreeMap<CiId, BTreeMap<(Class, String), BTreeSet<CiId>>>,
    /// Address → the hosts that others reach by it.
    pub addresses: BTreeMap<IpAddr, BTreeSet<CiId>>,
    /// Address → the hosts with a connection there.
    pub clients: BTreeMap<IpAddr, BTreeSet<CiId>>,
    /// Identity of a change → the items that saw it.
    pub changed: BTreeMap<String, BTreeSet<CiId>>,
}

impl Indexes {
    /// What is on a host, or on none, by class and key.
    pub fn on(&self, host: Option<CiId>) -> &[Number] {
        self.places.get(&host).map_or(&[], Vec::as_slice)
    }

    /// The item of that class and key on a host, or on none.
    pub fn place(&self, items: &Items, host: Option<CiId>, class: Class, key: &str) -> Option<Number> {
        let numbers = self.on(host);
        numbers.binary_search_by(items.by_place(class, key)).ok().map(|at| numbers[at])
    }

    /// What is of a class on a host, by key.
    pub fn of_class_on<'a>(&'a self, items: &Items, host: CiId, class: Class) -> &'a [Number] {
        let numbers = self.on(Some(host));
        let from = numbers.partition_point(|number| items.at(*number).class < class);
        let to = numbers.partition_point(|number| items.at(*number).class <= class);
        &numbers[from..to]
    }

    /// All items of a class, by id.
    pub fn of_class(&self, class: Class) -> impl Iterator<Item = Number> + '_ {
        self.classes.get(&class).into_iter().flat_map(Blocks::iter)
    }

    /// Items whose naming or identifying attribute has that value; `None` where the attribute has no index.
    pub fn by_value(&self, class: Class, name: &str, value: &Value) -> Option<impl Iterator<Item = CiId> + '_> {
        let attribute = indexed(class).find(|indexed| *indexed == name)?;
        let ids = self.values.get(&(class, attribute)).and_then(|by_value| by_value.get(value));
        Some(ids.into_iter().flatten().copied())
    }

    /// What is in them, with ids for numbers.
    pub fn show(&self, items: &Items, f: &mut fmt::DebugStruct<'_, '_>) {
        let ids = |numbers: &mut dyn Iterator<Item = Number>| numbers.map(|at| items.at(at).id).collect::<Vec<_>>();
        let places = self.places.iter().map(|(host, numbers)| (*host, ids(&mut numbers.iter().copied())));
        let classes = self.classes.iter().map(|(class, blocks)| (*class, ids(&mut blocks.iter())));
        f.field("places", &places.collect::<BTreeMap<_, _>>()).field("classes", &classes.collect::<BTreeMap<_, _>>());
        f.field("agents", &self.agents).field("identifiers", &self.identifiers).field("values", &self.values);
        f.field("wanted", &self.wanted).field("addresses", &self.addresses).field("clients", &self.clients);
        f.field("changed", &self.changed);
    }

    /// Enters an item that is in none of them.
    pub fn enter(&mut self, items: &Items, number: Number) {
        let ci = items.at(number);
        self.classes.entry(ci.class).or_default().insert(ci.id.block(), number, items.by(ci.id));
        for (name, value) in indexed_values(ci) {
            add_to(self.values.entry((ci.class, name)).or_default(), value, ci.id);
        }
        for identity in ci.identities() {
            self.changed.entry(identity).or_default().insert(ci.id);
        }
        if ci.more().merged_into.is_some() {
            return;
        }
        if ci.class == Class::Host {
            self.agents.extend(ci.agent.as_deref().map(|agent| (agent.to_owned(), ci.id)));
        } else {
            let place = self.places.entry(ci.host).or_default();
            slab::insert(place, number, items.by_place(ci.class, &ci.key));
        }
        for identifier in &ci.more().identifiers {
            self.identifiers.entry(identifier.clone()).or_default().insert(ci.id);
        }
        for want in &ci.more().wants {
            let wanted = self.wanted.entry(ci.host.unwrap_or(ci.id)).or_default();
            wanted.entry((want.class, want.key.clone())).or_default().insert(ci.id);
        }
        for (address, host) in reachable_at(ci) {
            self.addresses.entry(address).or_default().insert(host);
        }
        for link in ci.more().links.values() {
            self.clients.entry(link.remote.ip()).or_default().insert(ci.id);
        }
    }

    /// Takes an item out of all of them, as it now stands.
    pub fn leave(&mut self, items: &Items, number: Number) {
        let ci = items.at(number);
        if let Some(numbers) = self.classes.get_mut(&ci.class) {
            numbers.remove(ci.id.block(), items.by(ci.id));
        }
        for (name, value) in indexed_values(ci) {
            if let Some(by_value) = self.values.get_mut(&(ci.class, name)) {
                drop_from(by_value, value, ci.id);
            }
        }
        for identity in ci.identities() {
            drop_from(&mut self.changed, &identity, ci.id);
        }
        if ci.more().merged_into.is_some() {
            return;
        }
        if ci.class == Class::Host {
            if let Some(agent) = ci.agent.as_deref().filter(|agent| self.agents.get(*agent) == Some(&ci.id)) {
                self.agents.remove(agent);
            }
        } else if let Some(place) = self.places.get_mut(&ci.host) {
            slab::remove(place, items.by_place(ci.class, &ci.key));
        }
        for identifier in &ci.more().identifiers {
            drop_from(&mut self.identifiers, identifier, ci.id);
        }
        if let Some(wanted) = self.wanted.get_mut(&ci.host.unwrap_or(ci.id)) {
            for want in &ci.more().wants {
                drop_from(wanted, &(want.class, want.key.clone()), ci.id);
            }
        }
        for (address, host) in reachable_at(ci) {
            drop_from(&mut self.addresses, &address, host);
        }
        for link in ci.more().links.values() {
            drop_from(&mut self.clients, &link.remote.ip(), ci.id);
        }
    }
}

/// The addresses of an interface that is there, each with its host.
fn reachable_at(ci: &Ci) -> impl Iterator<Item = (IpAddr, CiId)> {
    let is_there = ci.class == Class::NetworkInterface && ci.lifecycle == Lifecycle::InUse;
    let host = ci.host.filter(|_| is_there);
    host.into_iter().flat_map(move |host| peers::addresses(ci).into_iter().map(move |address| (address, host)))
}

fn add_to<K: Ord + Clone>(index: &mut BTreeMap<K, BTreeSet<CiId>>, key: &K, id: CiId) {
    match index.get_mut(key) {
        Some(ids) => _ = ids.insert(id),
        None => _ = index.insert(key.clone(), BTreeSet::from([id])),
    }
}

fn drop_from<K: Ord>(index: &mut BTreeMap<K, BTreeSet<CiId>>, key: &K, id: CiId) {
    if let Some(ids) = index.get_mut(key) {
        ids.remove(&id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}

/// The attributes of a class that have an index: what names or identifies its items, each once.
fn indexed(class: Class) -> impl Iterator<Item = &'static str> {
    let schema = class.schema();
    let named = schema.name.filter(|name| !schema.identifiers.contains(name));
    let named = schema.identifiers.iter().copied().chain(named);
    named.filter(|name| schema.attribute(name).is_some())
}

fn indexed_values(ci: &Ci) -> impl Iterator<Item = (&'static str, &Value)> {
    indexed(ci.class).filter_map(|name| Some((name, ci.attribute(name)?)))
}
