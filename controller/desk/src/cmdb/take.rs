//! Facts taken into the graph: the one way in which state changes, live and when the past is told again.
//!
//! Nothing is judged here. What the deciding parts conclude becomes a fact first, and the fact is all that is applied, so
//! that a fold over the ledger gives the state of any instant.

use super::ci::{Ci, Dispute, Lifecycle};
use super::classes::{Class, Value};
use super::facts::{Added, AttributeChange, Changed, CmdbFact, Conflict, Edge, SectionFact};
use super::graph::Graph;
use super::relations::{LINK_CLAIM, RelationKind, Source, When};
use super::shared::Text;
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
                    self.edit(side, |ci| _ = ci.more_mut().conflicts.remove(&dispute));
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
        let agent = item.agent.as_deref().map(Text::from);
        let mut ci = Ci::new((item.ci, item.class, &item.key), item.host, agent, when);
        for (name, value) in &item.attributes {
            ci.hold(name, value.clone(), source, when);
        }
        ci.rename();
        if ci.class == Class::Host {
            ci.more_mut().identifiers = super::identify::identifiers_of(&ci);
        }
        ci.settle();
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
                    Some(value) => ci.hold(&change.name, value.clone(), source, when),
                    None => ci.let_go(&change.name),
                }
            }
            ci.rename();
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
        let agent = Text::from(agent);
        self.edit(kept, |ci| {
            ci.agent = Some(agent.clone());
            let said = ci.said_mut();
            (said.key, said.name) = (agent.to_string(), agent.to_string());
        });
        let found: Vec<CiId> = self.all_on(kept).map(|ci| ci.id).collect();
        for id in found {
            self.edit(id, |ci| ci.agent = Some(agent.clone()));
        }
        for relation in by_people {
            for claim in relation.claims.iter() {
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
            for claim in relation.claims.iter() {
                self.unrelate((relation.from, relation.kind, relation.to), claim, when);
            }
        }
        self.edit(id, |ci| {
            (ci.lifecycle, ci.lifecycle_since) = (Lifecycle::Retired, when);
            ci.more_mut().merged_into = Some(into);
        });
    }

    fn dispute(&mut self, conflict: &Conflict) {
        let [ours, theirs] = &conflict.sides;
        for (side, other) in [(ours, theirs), (theirs, ours)] {
            let dispute = Dispute { with: other.ci, over: conflict.over.clone() };
            self.edit(side.ci, |ci| _ = ci.more_mut().conflicts.insert(dispute));
        }
    }
}

impl Edge {
    pub(super) fn key(&self) -> (CiId, RelationKind, CiId) {
        (self.from, self.kind, self.to)
    }
}

impl Ci {
    /// Calls it what people do: its class's naming attribute where it has one with text in it, else its key. A host is called
    /// as its agent.
    fn rename(&mut self) {
        let naming = self.class.schema().name.and_then(|name| self.held(name));
        let name = match naming.map(|held| held.value) {
            Some(Value::Text(name)) if !name.is_empty() => name,
            _ => &self.key,
        };
        if self.class != Class::Host && *name != self.name {
            let name = name.clone();
            self.said_mut().name = name;
        }
    }
}
