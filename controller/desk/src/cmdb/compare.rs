//! The items of a section as told against the items as known: what came, what changed, what went.

use std::collections::{BTreeMap, BTreeSet};

use super::ci::{Ci, Digest, Held, Lifecycle, SectionMark, Want};
use super::classes::{Attribute, Class};
use super::facts::{Added, AttributeChange, Changed, Named, SectionFact};
use super::found::{Found, Reading, section_hash};
use super::graph::Graph;
use super::relations::Source;
use super::section::{Note, Plan};
use crate::ids::CiId;

/// (class, key): an item of the host.
pub(super) type Place = (Class, String);

/// What is known of the section's items, and what is being concluded.
pub(super) struct Comparison<'a> {
    pub graph: &'a Graph,
    pub host: &'a Ci,
    pub section: &'a str,
    pub order: u64,
    pub fact: SectionFact,
    pub notes: Vec<(CiId, Note)>,
    /// Items that this message brings (back), with their ids.
    pub arrived: BTreeMap<Place, CiId>,
    pub leaving: BTreeSet<CiId>,
    /// Items whose relations this message tells anew, or ends.
    pub spoken: BTreeSet<CiId>,
}

impl<'a> Comparison<'a> {
    /// Items that the section named so far, with their digests.
    pub fn members(&self) -> BTreeMap<Place, (CiId, Digest)> {
        let all = self.graph.all_on(self.host.id).chain(std::iter::once(self.host));
        let named = all.filter_map(|ci| Some((ci, ci.named_by.get(self.section)?)));
        named.map(|(ci, digest)| ((ci.class, found_key(ci)), (ci.id, *digest))).collect()
    }

    pub(super) fn known(&self, class: Class, key: &str) -> Option<&'a Ci> {
        self.graph.on_host(self.host.id, class, key)
    }

    /// Items of the message that are not as they were.
    pub fn changed_items<'b>(&self, reading: &'b Reading<'b>, digests: &[Digest]) -> Vec<(&'b Found<'b>, Digest)> {
        let both = reading.items.iter().zip(digests);
        let changed = both.filter(|(found, digest)| {
            let known = self.known(found.class, found.key);
            let same = known.and_then(|ci| ci.named_by.get(self.section)).is_some_and(|before| before == *digest);
            !same || known.is_some_and(|ci| ci.class != Class::Host && ci.lifecycle != Lifecycle::InUse)
        });
        changed.map(|(found, digest)| (found, *digest)).collect()
    }

    pub fn items(&mut self, changed: &[(&Found<'_>, Digest)]) {
        for (found, digest) in changed {
            let id = match self.known(found.class, found.key) {
                Some(ci) => self.known_item(ci, found),
                None => self.new_item(found),
            };
            self.spoken.insert(id);
            self.notes.push((id, Note::Named(Some(*digest))));
        }
    }

    fn new_item(&mut self, found: &Found<'_>) -> CiId {
        let host = self.host.id;
        let named = [&self.order.to_be_bytes()[..], &host.0, found.class.word().as_bytes(), found.key.as_bytes()];
        let ci = CiId::on(host, &named);
        let attributes = found.state();
        let attributes = attributes
            .filter_map(|(attribute, text)| Some((attribute.name.to_owned(), attribute.kind.read(text).ok()?)));
        self.fact.added.push(Added {
            ci,
            class: found.class,
            key: found.key.to_owned(),
            host: Some(host),
            agent: self.host.agent.as_deref().map(str::to_owned),
            attributes: attributes.collect(),
        });
        self.arrived.insert((found.class, found.key.to_owned()), ci);
        ci
    }

    fn known_item(&mut self, ci: &Ci, found: &Found<'_>) -> CiId {
        let is_back = ci.class != Class::Host && ci.lifecycle != Lifecycle::InUse;
        let mut attributes: Vec<AttributeChange> =
            found.state().filter_map(|(schema, text)| change(ci, schema, text)).collect();
        attributes.extend(self.withdrawn(ci, found));
        if is_back {
            self.arrived.insert((found.class, found.key.to_owned()), ci.id);
        }
        if is_back || !attributes.is_empty() {
            let back_from = is_back.then_some(ci.lifecycle);
            self.fact.changed.push(Changed { ci: ci.id, class: ci.class, key: ci.key.clone(), attributes, back_from });
        }
        ci.id
    }

    /// State that the agent said before and says no more. Only the section that owns the class can take it back.
    fn withdrawn(&self, ci: &Ci, found: &Found<'_>) -> Vec<AttributeChange> {
        if !self.owns(ci) && ci.named_by.keys().any(|by| by != self.section) {
            return Vec::new();
        }
        let said = |name: &str| found.attributes.iter().any(|(known, _)| *known == name);
        said_before(ci).filter(|change| !said(&change.name)).collect()
    }

    fn owns(&self, ci: &Ci) -> bool {
        ci.class.schema().section == Some(self.section)
    }

    /// Items that the section names no more: gone where no other names them.
    pub fn departures(&mut self, gone: &BTreeSet<CiId>) {
        for id in gone {
            let Some(ci) = self.graph.get(*id) else { continue };
            self.spoken.insert(*id);
            self.notes.push((*id, Note::Named(None)));
            let drop: BTreeSet<Want> = ci.more().wants.iter().filter(|want| want.by == self.section).cloned().collect();
            self.notes.push((*id, Note::Wants { add: BTreeSet::new(), drop }));
            if ci.named_by.keys().any(|by| by != self.section) {
                self.fact.unrelated.extend(self.claims(ci));
                let attributes: Vec<AttributeChange> = said_before(ci).filter(|_| self.owns(ci)).collect();
                if !attributes.is_empty() {
                    let (class, key) = (ci.class, ci.key.clone());
                    self.fact.changed.push(Changed { ci: *id, class, key, attributes, back_from: None });
                }
                continue;
            }
            self.leaving.insert(*id);
            if ci.lifecycle == Lifecycle::InUse {
                let from = ci.lifecycle;
                self.fact.removed.push(Named { ci: *id, class: ci.class, key: ci.key.clone(), from });
            }
        }
        let leaving = std::mem::take(&mut self.leaving);
        for id in &leaving {
            self.wish_back(*id, &leaving);
        }
        self.leaving = leaving;
    }

    /// `mark` is what will be known of the section, but for its hash and its number of items.
    pub fn conclude(
        mut self,
        after: BTreeMap<(Class, &str), Digest>,
        known: Option<&SectionMark>,
        mark: SectionMark,
    ) -> Plan {
        let hash = section_hash(after.iter().map(|((class, key), digest)| (*class, *key, *digest)));
        let is_same = known.is_some_and(|known| known.hash == hash);
        let mark = SectionMark { hash: hash.clone(), items: after.len(), ..mark };
        (self.fact.hash, self.fact.items) = (hash, after.len());
        for edges in [&mut self.fact.related, &mut self.fact.unrelated] {
            edges.sort();
            edges.dedup();
        }
        let is_news = !is_same || !self.fact.is_empty();
        Plan { fact: is_news.then_some(self.fact), notes: self.notes, mark: Some(mark) }
    }
}

/// The key that a message gives an item; a host is one, whatever it is called.
fn found_key(ci: &Ci) -> String {
    if ci.class == Class::Host { String::new() } else { ci.key.clone() }
}

/// All state that the agent said of an item, as if it said none of it any more.
fn said_before(ci: &Ci) -> impl Iterator<Item = AttributeChange> {
    let said = ci.attributes().filter(|(_, held)| held.source == Source::Agent);
    said.map(|(name, held)| AttributeChange { name: name.to_owned(), from: Some(held.value.clone()), to: None })
}

/// What the agent's word makes of an attribute; `None` where it stays as it is.
pub(super) fn change(ci: &Ci, schema: &Attribute, text: &str) -> Option<AttributeChange> {
    let to = schema.kind.read(text).ok()?;
    let held = ci.held(schema.name);
    if held.is_some_and(|held| *held.value == to || !admits(ci, schema, held, Source::Agent)) {
        return None;
    }
    Some(AttributeChange { name: schema.name.to_owned(), from: held.map(|held| held.value.clone()), to: Some(to) })
}

/// Whether `source` may overwrite what an attribute holds: a higher or equal rank may; a lower one only what an agent said of
/// something that it sees no more. What people and imports said does not age.
pub(super) fn admits(ci: &Ci, schema: &Attribute, held: Held<'_>, source: Source) -> bool {
    let rank = |source: Source| schema.sources.iter().position(|known| *known == source);
    let is_stale = held.source == Source::Agent && ci.lifecycle != Lifecycle::InUse;
    rank(source) <= rank(held.source) || is_stale
}
