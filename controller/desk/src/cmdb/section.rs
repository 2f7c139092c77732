//! One message about one section of a host, compared with what is known.
//!
//! Everything is concluded first, as one [`SectionFact`] and the bookkeeping beside it, and then taken in. What is compared:
//! the section in one go, then the digest of each item, then its attributes and relations. An unchanged section costs one
//! hash over it and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use super::ci::{Ci, Digest, Measured, SectionMark, Want};
use super::classes::{Class, Value};
use super::compare::{Comparison, Place};
use super::facts::SectionFact;
use super::found::{Found, Reading};
use super::graph::Graph;
use super::shared::Text;
use crate::Millis;
use crate::ids::CiId;
use crate::input::Fragment;

/// Things on one host; what comes beyond is left out and said.
pub const ITEMS_MOST: usize = 20_000;

/// What a message comes to.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// None: the section is as it was.
    pub fact: Option<SectionFact>,
    pub notes: Vec<(CiId, Note)>,
    pub mark: Option<SectionMark>,
}

/// Bookkeeping that makes no fact.
#[derive(Debug)]
pub(super) enum Note {
    /// The section names the item, with that digest; or does not any more.
    Named(Option<Digest>),
    Wants {
        add: BTreeSet<Want>,
        drop: BTreeSet<Want>,
    },
}

/// Compares a message, already read, with what is known of `host`. `order` is the input's.
pub(super) fn plan(graph: &Graph, host: &Ci, fragment: &Fragment, reading: &mut Reading<'_>, order: u64) -> Plan {
    keep_within_bounds(graph, host, fragment, reading);
    let known = host.more().sections.get(&fragment.section);
    let told = fragment.whole.then(|| reading.digest());
    if told.is_some() && known.is_some_and(|mark| mark.told == told) {
        return Plan::default();
    }
    let digests: Vec<Digest> = reading.items.iter().map(Found::digest).collect();
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
    let first = known.map_or(Some(fragment.happened_at), |mark| mark.first);
    let mark = SectionMark { told, happened_at: fragment.happened_at, first, ..SectionMark::default() };
    comparison.conclude(after, known, mark)
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

impl Graph {
    /// Takes in the bookkeeping of a plan whose fact has been taken.
    pub(super) fn keep(&mut self, host: CiId, section: &str, plan: Plan) {
        for (id, note) in plan.notes {
            match note {
                Note::Named(Some(digest)) => {
                    self.note(id, |ci| _ = ci.said_mut().named_by.insert(Text::from(section), digest))
                }
                Note::Named(None) => self.note(id, |ci| _ = ci.said_mut().named_by.remove(section)),
                Note::Wants { add, drop } if add.is_empty() && drop.is_empty() => {}
                Note::Wants { add, drop } => self.edit(id, |ci| {
                    ci.more_mut().wants.retain(|want| !drop.contains(want));
                    ci.more_mut().wants.extend(add);
                }),
            }
        }
        if let Some(mark) = plan.mark {
            self.note(host, |ci| _ = ci.more_mut().sections.insert(section.to_owned(), mark));
        }
    }

    /// Takes the measurements of a message: as last heard, without a fact.
    pub(super) fn measure(&mut self, host: CiId, reading: &Reading<'_>, happened_at: Millis) {
        for found in reading.items.iter().filter(|found| found.measurements().next().is_some()) {
            let Some(ci) = self.on_host(host, found.class, found.key) else { continue };
            let read =
                found.measurements().filter_map(|(schema, text)| Some((schema.name, schema.kind.read(text).ok()?)));
            let news: Vec<(&str, Value)> = read.filter(|(name, value)| ci.attribute(name) != Some(value)).collect();
            let id = ci.id;
            if !news.is_empty() {
                let measured =
                    news.into_iter().map(|(name, value)| (self.measurement(name), Measured { value, happened_at }));
                let measured: Vec<(Text, Measured)> = measured.collect();
                self.note(id, |ci| ci.measurements.extend(measured));
            }
        }
    }
}
