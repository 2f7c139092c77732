//! Facts taken into the graph: the one way in which state changes, live and when the past is told again.
//!
//! Nothing is judged here. What the deciding parts conclude becomes a fact first, and the fact is all that is applied, so
//! that a fold over the ledger gives the state of any instant.

use std::collections::BTreeMap;

use super::ci::{Ci, Dispute, Held, Lifecycle};
use super::classes::{Class, Value};
use super::facts::{Added, AttributeChange, Changed, CmdbFact, Conflict, Edge, SectionFact};
use super::few::Few;
use super::graph::Graph;
use super::relations::{LINK_CLAIM, RelationKind, Source, When};
use crate::ids::CiId;

/// Who claims that what is in a host's inventory runs on it: whichever section names it.
const PLACE_CLAIM: &str = "inventory";

impl Graph {
    /// Takes one fact in.
    pub fn take(&mut self, fact: &CmdbFact, when: When) {
        match fact {
            CmdbFact::Registered { item, source } => self.add(item, *source, when),
            CmdbFact::Section(section) => self.take_section(section, when),
            CmdbFact::Set { ci, source, changes } => self.set_attributes(*ci, changes, *source, when),
            CmdbFact::Lifecycle { ci, to, also, .. } => {
                for id in std::iter::once(ci).chain(also) {
                    self.enter(*id, *to, when);
                }
            }
            CmdbFact::Related { edge, source } => self.relate(edge.key(), *source, &edge.by, when),
            CmdbFact::Unrelated { edge } => self.unrelate(edge.key(), &edge.by, when),
            CmdbFact::Followed { came, went } => {
                // What one lets go of another may take up: first what comes.
                came.iter().for_each(|edge| self.relate(edge.key(), Source::Agent, &edge.by, when));
                went.iter().for_each(|edge| self.unrelate(edge.key(), &edge.by, when));
            }
            CmdbFact::Judged { from, kind, to, verdict } => self.judge_relation((*from, *kind, *to), *verdict, when),
            CmdbFact::Merged { kept, dropped, agent, .. } => self.merge(*kept, *dropped, agent, when),
            CmdbFact::Conflict(conflict) => self.dispute(conflict),
            CmdbFact::ConflictEnded { ci, with, over } => {
                for (side, other) in [(*ci, *with), (*with, *ci)] {
                    let dispute = Dispute { with: other, over: over.clone() };
                    self.edit(side, |ci| _ = ci.conflicts.remove(&dispute));
                }
            }
        }
    }

    fn take_section(&mut self, section: &SectionFact, when: When) {
        for item in &section.added {
            self.add(item, Source::Agent, when);
            self.place(item.ci, when);
        }
        for changed in &section.changed {
            self.change(changed, when);
        }
        for edge in &section.unrelated {
            self.unrelate(edge.key(), &edge.by, when);
        }
        for named in &section.removed {
            self.enter(named.ci, Lifecycle::Missing, when);
        }
        for edge in &section.related {
            self.relate(edge.key(), Source::Agent, &edge.by, when);
        }
    }

    fn add(&mut self, item: &Added, source: Source, when: When) {
        let mut ci = Ci {
            id: item.ci,
            class: item.class,
            name: name_of(item.class, &item.key, &item.attributes),
            key: item.key.clone(),
            host: item.host,
            agent: item.agent.clone(),
            attributes: item.attributes.iter().map(|(name, value)| (name.clone(), held(value, source, when))).collect(),
            measurements: Few::default(),
            changes: Vec::new(),
            lifecycle: Lifecycle::InUse,
            lifecycle_since: when,
            first_seen: when.happened,
            last_seen: when.learned,
            identifiers: Vec::new(),
            conflicts: Default::default(),
            merged_into: None,
            sections: BTreeMap::new(),
            links: BTreeMap::new(),
            named_by: Few::default(),
            wants: Default::default(),
        };
        if ci.class == Class::Host {
            ci.identifiers = super::identify::identifiers_of(&ci);
        }
        self.insert(ci);
    }

    /// What was found on a host runs on it.
    fn place(&mut self, id: CiId, when: When) {
        if let Some(host) = self.get(id).and_then(|ci| ci.host) {
            self.relate((id, RelationKind::RunsOn, host), Source::Agent, PLACE_CLAIM, when);
        }
    }

    fn change(&mut self, changed: &Changed, when: When) {
        self.set_attributes(changed.ci, &changed.attributes, Source::Agent, when);
        if changed.back_from.is_some() {
            self.enter(changed.ci, Lifecycle::InUse, when);
            self.place(changed.ci, when);
        }
    }

    fn set_attributes(&mut self, id: CiId, changes: &[AttributeChange], source: Source, when: When) {
        if changes.is_empty() {
            return;
        }
        self.edit(id, |ci| {
            ci.remember(changes, when);
            for change in changes {
                match &change.to {
                    Some(value) => _ = ci.attributes.insert(change.name.clone(), held(value, source, when)),
                    None => _ = ci.attributes.remove(&change.name),
                }
            }
            if ci.class != Class::Host {
                let values = ci.attributes.iter().map(|(name, held)| (name.clone(), held.value.clone())).collect();
                ci.name = name_of(ci.class, &ci.key, &values);
            }
            ci.last_seen = ci.last_seen.max(when.learned);
        });
    }

    /// Brings an item to a state. What an agent said of the relations of one that is gone ends; what people said stays, and so
    /// does what follows from connections while it may come back: those have an age of their own.
    fn enter(&mut self, id: CiId, to: Lifecycle, when: When) {
        self.edit(id, |ci| (ci.lifecycle, ci.lifecycle_since) = (to, when));
        let is_host = self.get(id).is_some_and(|ci| ci.class == Class::Host);
        let gone = match to {
            Lifecycle::Missing => !is_host,
            Lifecycle::Retired | Lifecycle::Disposed => true,
            Lifecycle::Planned | Lifecycle::InStock | Lifecycle::InUse => false,
        };
        if gone {
            self.end_relations(id, to == Lifecycle::Missing, when);
        }
    }

    fn end_relations(&mut self, id: CiId, may_come_back: bool, when: When) {
        let both = self.relations_from(id).chain(self.relations_to(id));
        let observed = both.filter(|relation| relation.source == Source::Agent);
        let ending: Vec<_> = observed.map(|r| ((r.from, r.kind, r.to), r.claims.clone())).collect();
        for (key, claims) in ending {
            for claim in claims.iter().filter(|claim| !(may_come_back && claim.starts_with(LINK_CLAIM))) {
                self.unrelate(key, claim, when);
            }
        }
    }

    /// `dropped` goes over into `kept`: its agent, and what people said of its relations. What was found on it is found
    /// anew on `kept` by the section facts that follow.
    fn merge(&mut self, kept: CiId, dropped: CiId, agent: &str, when: When) {
        let by_people = self.relations_from(dropped).filter(|relation| relation.source != Source::Agent);
        let by_people: Vec<_> = by_people.cloned().collect();
        let theirs: Vec<(CiId, CiId)> = self.all_on(dropped).map(|ci| (ci.id, self.twin(kept, ci))).collect();
        for (id, into) in theirs.into_iter().chain([(dropped, kept)]) {
            self.drop_into(id, into, when);
        }
        self.edit(kept, |ci| {
            (ci.agent, ci.key, ci.name) = (Some(agent.to_owned()), agent.to_owned(), agent.to_owned());
        });
        let found: Vec<CiId> = self.all_on(kept).map(|ci| ci.id).collect();
        for id in found {
            self.edit(id, |ci| ci.agent = Some(agent.to_owned()));
        }
        for relation in by_people {
            for claim in &relation.claims {
                self.relate((kept, relation.kind, relation.to), relation.source, claim, when);
            }
        }
    }

    /// The same thing on another host, or that host where it has none.
    fn twin(&self, host: CiId, ci: &Ci) -> CiId {
        self.on_host(host, ci.class, &ci.key).map_or(host, |twin| twin.id)
    }

    fn drop_into(&mut self, id: CiId, into: CiId, when: When) {
        self.end_relations(id, false, when);
        let by_people: Vec<_> = self.relations_from(id).cloned().collect();
        for relation in by_people {
            for claim in &relation.claims {
                self.unrelate((relation.from, relation.kind, relation.to), claim, when);
            }
        }
        self.edit(id, |ci| {
            (ci.lifecycle, ci.lifecycle_since, ci.merged_into) = (Lifecycle::Retired, when, Some(into));
        });
    }

    fn dispute(&mut self, conflict: &Conflict) {
        let [ours, theirs] = &conflict.sides;
        for (side, other) in [(ours, theirs), (theirs, ours)] {
            let dispute = Dispute { with: other.ci, over: conflict.over.clone() };
            self.edit(side.ci, |ci| _ = ci.conflicts.insert(dispute));
        }
    }
}

impl Edge {
    pub(super) fn key(&self) -> (CiId, RelationKind, CiId) {
        (self.from, self.kind, self.to)
    }
}

fn held(value: &Value, source: Source, when: When) -> Held {
    Held { value: value.clone(), source, happened_at: when.happened, learned_at: when.learned }
}

/// What people call an item: its class's naming attribute where it has one with text in it, else its key.
fn name_of(class: Class, key: &str, attributes: &BTreeMap<String, Value>) -> String {
    match class.schema().name.and_then(|name| attributes.get(name)) {
        Some(Value::Text(name)) if !name.is_empty() => name.clone(),
        _ => key.to_owned(),
    }
}
