//! One message about one section of a host, compared with what is known.
//!
//! Everything is concluded first, as one [`SectionFact`] and the bookkeeping beside it, and then taken in. What is compared:
//! the hash of the section, then the digest of each item, then its attributes and relations. An unchanged section costs the
//! hashing and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use super::ci::{Ci, Digest, Held, Lifecycle, Measured, SectionMark, Want};
use super::classes::{Attribute, Class, Value};
use super::facts::{Added, AttributeChange, Changed, Edge, Named, SectionFact};
use super::found::{Found, Reading, section_hash};
use super::graph::Graph;
use super::relations::{RelationKind, Source};
use crate::Millis;
use crate::ids::{CiId, derive};
use crate::input::Fragment;

/// Things on one host; what comes beyond is left out and said.
pub const ITEMS_MOST: usize = 20_000;

/// What a message comes to.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// None: the section is as it was.
    pub fact: Option<SectionFact>,
    notes: Vec<(CiId, Note)>,
    mark: Option<SectionMark>,
}

/// Bookkeeping that makes no fact.
#[derive(Debug)]
enum Note {
    /// The section names the item, with that digest; or does not any more.
    Named(Option<Digest>),
    Wants {
        add: BTreeSet<Want>,
        drop: BTreeSet<Want>,
    },
}

/// (class, key): an item of the host.
type Place = (Class, String);

/// What is known of the section's items, and what is being concluded.
struct Comparison<'a> {
    graph: &'a Graph,
    host: &'a Ci,
    section: &'a str,
    order: u64,
    fact: SectionFact,
    notes: Vec<(CiId, Note)>,
    /// Items that this message brings (back), with their ids.
    arrived: BTreeMap<Place, CiId>,
    leaving: BTreeSet<CiId>,
    /// Items whose relations this message tells anew, or ends.
    spoken: BTreeSet<CiId>,
}

/// Compares a message, already read, with what is known of `host`. `order` is the input's.
pub(super) fn plan(graph: &Graph, host: &Ci, fragment: &Fragment, reading: &mut Reading<'_>, order: u64) -> Plan {
    keep_within_bounds(graph, host, fragment, reading);
    let digests: Vec<Digest> = reading.items.iter().map(Found::digest).collect();
    let known = host.sections.get(&fragment.section);
    if fragment.whole {
        let hash =
            section_hash(reading.items.iter().zip(&digests).map(|(found, digest)| (found.class, found.key, *digest)));
        if known.is_some_and(|mark| mark.hash == hash) {
            return Plan::default();
        }
    }
    let fact = SectionFact { section: fragment.section.clone(), ..SectionFact::default() };
    let (arrived, leaving, spoken) = Default::default();
    let section = fragment.section.as_str();
    let mut comparison = Comparison { graph, host, section, order, fact, notes: Vec::new(), arrived, leaving, spoken };
    let members = comparison.members();
    let gone = if fragment.whole { unnamed(&members, reading) } else { named_as_gone(&members, fragment, reading) };
    let changed = comparison.changed_items(reading, &digests);
    comparison.items(&changed);
    comparison.departures(&gone);
    for (found, _) in &changed {
        comparison.relations_of(found);
    }
    comparison.wishes_fulfilled();
    let after = after(&members, &gone, reading, &digests);
    comparison.conclude(after, known, fragment.happened_at)
}

/// A section's items after the message, with their digests.
fn after<'a>(
    members: &'a BTreeMap<Place, (CiId, Digest)>,
    gone: &BTreeSet<CiId>,
    reading: &'a Reading<'_>,
    digests: &[Digest],
) -> BTreeMap<(Class, &'a str), Digest> {
    let staying = members.iter().filter(|(_, (id, _))| !gone.contains(id));
    let mut after: BTreeMap<_, _> =
        staying.map(|((class, key), (_, digest))| ((*class, key.as_str()), *digest)).collect();
    after.extend(reading.items.iter().zip(digests).map(|(found, digest)| ((found.class, found.key), *digest)));
    after
}

fn keep_within_bounds(graph: &Graph, host: &Ci, fragment: &Fragment, reading: &mut Reading<'_>) {
    if reading.items.iter().any(|found| found.class == Class::Host) && fragment.section != "host" {
        reading.items.retain(|found| found.class != Class::Host);
        reading.refused.say("the host itself, outside of section \"host\"".to_owned());
    }
    let hosts = reading.items.iter().filter(|found| found.class == Class::Host).count();
    if hosts > 1 {
        let mut first = true;
        reading.items.retain(|found| found.class != Class::Host || std::mem::take(&mut first));
        reading.refused.say(format!("{} further items of class host: a host is one", hosts - 1));
    }
    let mut room = ITEMS_MOST.saturating_sub(graph.count_on(host.id));
    if reading.items.len() <= room {
        return;
    }
    let before = reading.items.len();
    reading.items.retain(|found| {
        let is_known = graph.on_host(host.id, found.class, found.key).is_some();
        let fits = is_known || room > 0;
        room -= usize::from(fits && !is_known);
        fits
    });
    if reading.items.len() < before {
        let beyond = before - reading.items.len();
        reading.refused.say(format!("{beyond} items beyond the {ITEMS_MOST} that one host may have"));
    }
}

/// Members that a whole section does not name. The host itself never goes this way.
fn unnamed(members: &BTreeMap<Place, (CiId, Digest)>, reading: &Reading<'_>) -> BTreeSet<CiId> {
    let named: BTreeSet<(Class, &str)> = reading.items.iter().map(|found| (found.class, found.key)).collect();
    let missing = members.iter().filter(|((class, key), _)| !named.contains(&(*class, key.as_str())));
    missing.filter(|((class, _), _)| *class != Class::Host).map(|(_, (id, _))| *id).collect()
}

fn named_as_gone(
    members: &BTreeMap<Place, (CiId, Digest)>,
    fragment: &Fragment,
    reading: &Reading<'_>,
) -> BTreeSet<CiId> {
    let is_named = |class: Class, key: &str| {
        reading.items.binary_search_by(|found| (found.class, found.key).cmp(&(class, key))).is_ok()
    };
    let places = fragment.gone.iter().filter_map(|(class, key)| Some((Class::parse(class)?, key.clone())));
    let places = places.filter(|(class, key)| *class != Class::Host && !is_named(*class, key));
    places.filter_map(|place| members.get(&place)).map(|(id, _)| *id).collect()
}

/// The key that a message gives an item; a host is one, whatever it is called.
fn found_key(ci: &Ci) -> String {
    if ci.class == Class::Host { String::new() } else { ci.key.clone() }
}

impl<'a> Comparison<'a> {
    /// Items that the section named so far, with their digests.
    fn members(&self) -> BTreeMap<Place, (CiId, Digest)> {
        let all = self.graph.all_on(self.host.id).chain(std::iter::once(self.host));
        let named = all.filter_map(|ci| Some((ci, ci.named_by.get(self.section)?)));
        named.map(|(ci, digest)| ((ci.class, found_key(ci)), (ci.id, *digest))).collect()
    }

    fn known(&self, class: Class, key: &str) -> Option<&'a Ci> {
        self.graph.on_host(self.host.id, class, key)
    }

    /// Items of the message that are not as they were.
    fn changed_items<'b>(&self, reading: &'b Reading<'b>, digests: &[Digest]) -> Vec<(&'b Found<'b>, Digest)> {
        let both = reading.items.iter().zip(digests);
        let changed = both.filter(|(found, digest)| {
            let known = self.known(found.class, found.key);
            let same = known.and_then(|ci| ci.named_by.get(self.section)).is_some_and(|before| before == *digest);
            !same || known.is_some_and(|ci| ci.class != Class::Host && ci.lifecycle != Lifecycle::InUse)
        });
        changed.map(|(found, digest)| (found, *digest)).collect()
    }

    fn items(&mut self, changed: &[(&Found<'_>, Digest)]) {
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
        let ci = CiId(derive(
            "ci",
            &[&self.order.to_be_bytes(), &host.0, found.class.word().as_bytes(), found.key.as_bytes()],
        ));
        let attributes = found.state();
        let attributes = attributes
            .filter_map(|(attribute, text)| Some((attribute.name.to_owned(), attribute.kind.read(text).ok()?)));
        self.fact.added.push(Added {
            ci,
            class: found.class,
            key: found.key.to_owned(),
            host: Some(host),
            agent: self.host.agent.clone(),
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
    fn departures(&mut self, gone: &BTreeSet<CiId>) {
        for id in gone {
            let Some(ci) = self.graph.get(*id) else { continue };
            self.spoken.insert(*id);
            self.notes.push((*id, Note::Named(None)));
            let drop: BTreeSet<Want> = ci.wants.iter().filter(|want| want.by == self.section).cloned().collect();
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

    /// What others claim of a thing that goes, they claim again when it is back.
    fn wish_back(&mut self, id: CiId, leaving: &BTreeSet<CiId>) {
        let Some(ci) = self.graph.get(id) else { return };
        for relation in self.graph.relations_to(id) {
            if relation.source != Source::Agent
                || relation.kind == RelationKind::RunsOn
                || leaving.contains(&relation.from)
            {
                continue;
            }
            let want = |by: &String| Want { by: by.clone(), kind: relation.kind, class: ci.class, key: ci.key.clone() };
            let told = |by: &&String| *by == self.section && self.spoken.contains(&relation.from);
            let add = relation.claims.iter().filter(|by| !told(by)).map(want).collect();
            self.notes.push((relation.from, Note::Wants { add, drop: BTreeSet::new() }));
        }
    }

    /// What this section claims of an item's relations now.
    fn claims(&self, ci: &Ci) -> Vec<Edge> {
        let observed = self.graph.relations_from(ci.id).filter(|relation| relation.kind != RelationKind::RunsOn);
        let ours = observed.filter(|relation| relation.claims.contains(self.section));
        ours.map(|r| Edge { from: r.from, kind: r.kind, to: r.to, by: self.section.to_owned() }).collect()
    }

    /// Brings what the section claims of an item's relations to what it now says.
    fn relations_of(&mut self, found: &Found<'_>) {
        let known = self.known(found.class, found.key);
        let arrived = self.arrived.get(&(found.class, found.key.to_owned())).copied();
        let Some(from) = arrived.or(known.map(|ci| ci.id)) else { return };
        let claimed: BTreeSet<Edge> = known.map(|ci| self.claims(ci)).unwrap_or_default().into_iter().collect();
        let wanted: BTreeSet<Want> = known.map(|ci| ci.wants.clone()).unwrap_or_default();
        let wanted: BTreeSet<Want> = wanted.into_iter().filter(|want| want.by == self.section).collect();
        let (mut edges, mut wants) = (BTreeSet::new(), BTreeSet::new());
        for (kind, class, key) in &found.relations {
            let by = self.section.to_owned();
            match self.present(*class, key) {
                Some(to) if to == from => {}
                Some(to) => _ = edges.insert(Edge { from, kind: *kind, to, by }),
                None => _ = wants.insert(Want { by, kind: *kind, class: *class, key: (*key).to_owned() }),
            }
        }
        // The relations of what leaves end with it, and need no word of their own.
        let ended = claimed.difference(&edges).filter(|edge| !self.leaving.contains(&edge.to));
        self.fact.unrelated.extend(ended.cloned().collect::<Vec<_>>());
        self.fact.related.extend(edges.difference(&claimed).cloned());
        let add: BTreeSet<Want> = wants.difference(&wanted).cloned().collect();
        let drop: BTreeSet<Want> = wanted.difference(&wants).cloned().collect();
        self.notes.push((from, Note::Wants { add, drop }));
    }

    /// The item under (class, key) as it will be after this message.
    fn present(&self, class: Class, key: &str) -> Option<CiId> {
        if let Some(id) = self.arrived.get(&(class, key.to_owned())) {
            return Some(*id);
        }
        let ci = self.known(class, key)?;
        let is_there = ci.class == Class::Host || ci.lifecycle == Lifecycle::InUse;
        (is_there && !self.leaving.contains(&ci.id)).then_some(ci.id)
    }

    /// Relations that were claimed before the other end was there.
    fn wishes_fulfilled(&mut self) {
        let arrived = std::mem::take(&mut self.arrived);
        for ((class, key), to) in &arrived {
            for from in self.graph.wanting(self.host.id, *class, key) {
                let fits = |want: &&Want| (want.class, &want.key) == (*class, key);
                let drop: BTreeSet<Want> = from.wants.iter().filter(fits).cloned().collect();
                let elsewhere = drop.iter().filter(|want| want.by != self.section || !self.spoken.contains(&from.id));
                let edges: Vec<Edge> = elsewhere
                    .map(|want| Edge { from: from.id, kind: want.kind, to: *to, by: want.by.clone() })
                    .collect();
                if !self.leaving.contains(&from.id) {
                    self.fact.related.extend(edges);
                }
                self.notes.push((from.id, Note::Wants { add: BTreeSet::new(), drop }));
            }
        }
        self.arrived = arrived;
    }

    fn conclude(
        mut self,
        after: BTreeMap<(Class, &str), Digest>,
        known: Option<&SectionMark>,
        happened_at: Millis,
    ) -> Plan {
        let hash = section_hash(after.iter().map(|((class, key), digest)| (*class, *key, *digest)));
        let same = known.is_some_and(|mark| mark.hash == hash);
        let mark = SectionMark { hash: hash.clone(), items: after.len(), happened_at };
        (self.fact.hash, self.fact.items) = (hash, after.len());
        self.fact.related.sort();
        self.fact.related.dedup();
        self.fact.unrelated.sort();
        self.fact.unrelated.dedup();
        let is_news = !same || !self.fact.is_empty();
        Plan { fact: is_news.then_some(self.fact), notes: self.notes, mark: is_news.then_some(mark) }
    }
}

impl SectionFact {
    /// Whether nothing came, went or changed.
    pub fn is_empty(&self) -> bool {
        let items = self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty();
        items && self.related.is_empty() && self.unrelated.is_empty()
    }
}

/// All state that the agent said of an item, as if it said none of it any more.
fn said_before(ci: &Ci) -> impl Iterator<Item = AttributeChange> {
    let said = ci.attributes.iter().filter(|(_, held)| held.source == Source::Agent);
    said.map(|(name, held)| AttributeChange { name: name.clone(), from: Some(held.value.clone()), to: None })
}

/// What the agent's word makes of an attribute; `None` where it stays as it is.
pub(super) fn change(ci: &Ci, schema: &Attribute, text: &str) -> Option<AttributeChange> {
    let to = schema.kind.read(text).ok()?;
    let held = ci.attributes.get(schema.name);
    if held.is_some_and(|held| held.value == to || !admits(ci, schema, held, Source::Agent)) {
        return None;
    }
    Some(AttributeChange { name: schema.name.to_owned(), from: held.map(|held| held.value.clone()), to: Some(to) })
}

/// Whether `source` may overwrite what an attribute holds: a higher or equal rank may; a lower one only what an agent said of
/// something that it sees no more. What people and imports said does not age.
pub(super) fn admits(ci: &Ci, schema: &Attribute, held: &Held, source: Source) -> bool {
    let rank = |source: Source| schema.sources.iter().position(|known| *known == source);
    let is_stale = held.source == Source::Agent && ci.lifecycle != Lifecycle::InUse;
    rank(source) <= rank(held.source) || is_stale
}

impl Graph {
    /// Takes in the bookkeeping of a plan whose fact has been taken.
    pub(super) fn keep(&mut self, host: CiId, section: &str, plan: Plan) {
        for (id, note) in plan.notes {
            match note {
                Note::Named(Some(digest)) => self.note(id, |ci| _ = ci.named_by.insert(section.to_owned(), digest)),
                Note::Named(None) => self.note(id, |ci| _ = ci.named_by.remove(section)),
                Note::Wants { add, drop } if add.is_empty() && drop.is_empty() => {}
                Note::Wants { add, drop } => self.edit(id, |ci| {
                    ci.wants.retain(|want| !drop.contains(want));
                    ci.wants.extend(add);
                }),
            }
        }
        if let Some(mark) = plan.mark {
            self.note(host, |ci| _ = ci.sections.insert(section.to_owned(), mark));
        }
    }

    /// Takes the measurements of a message: as last heard, without a fact.
    pub(super) fn measure(&mut self, host: CiId, reading: &Reading<'_>, happened_at: Millis) {
        for found in &reading.items {
            let Some(ci) = self.on_host(host, found.class, found.key) else { continue };
            let read =
                found.measurements().filter_map(|(schema, text)| Some((schema.name, schema.kind.read(text).ok()?)));
            let news: Vec<(&str, Value)> = read.filter(|(name, value)| ci.attribute(name) != Some(value)).collect();
            if !news.is_empty() {
                let measured = news.into_iter().map(|(name, value)| (name.to_owned(), Measured { value, happened_at }));
                self.note(ci.id, |ci| ci.measurements.extend(measured));
            }
        }
    }
}
