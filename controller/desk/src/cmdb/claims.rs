//! Relations that sections claim, to things that come and go.
//!
//! A claim on something that is not there is kept as a wish on the item that has it, and becomes a relation when the other
//! end arrives; so the order in which sections come does not matter.

use std::collections::BTreeSet;

use super::Lifecycle;
use super::ci::{Ci, Want};
use super::classes::Class;
use super::compare::Comparison;
use super::facts::Edge;
use super::found::Found;
use super::relations::{LINK_CLAIM, RelationKind, Source};
use super::section::Note;
use crate::ids::CiId;

impl Comparison<'_> {
    /// What others claim of a thing that goes, they claim again when it is back.
    pub(super) fn wish_back(&mut self, id: CiId, leaving: &BTreeSet<CiId>) {
        let Some(ci) = self.graph.get(id) else { return };
        for relation in self.graph.relations_to(id) {
            let is_claimed = relation.source == Source::Agent && relation.kind != RelationKind::RunsOn;
            if !is_claimed || leaving.contains(&relation.from) {
                continue;
            }
            let want = |by: &String| Want { by: by.clone(), kind: relation.kind, class: ci.class, key: ci.key.clone() };
            let told = |by: &&String| *by == self.section && self.spoken.contains(&relation.from);
            let of_section = relation.claims.iter().filter(|by| !by.starts_with(LINK_CLAIM));
            let add = of_section.filter(|by| !told(by)).map(want).collect();
            self.notes.push((relation.from, Note::Wants { add, drop: BTreeSet::new() }));
        }
    }

    /// What this section claims of an item's relations now.
    pub(super) fn claims(&self, ci: &Ci) -> Vec<Edge> {
        let observed = self.graph.relations_from(ci.id).filter(|relation| relation.kind != RelationKind::RunsOn);
        let ours = observed.filter(|relation| relation.claims.contains(self.section));
        ours.map(|r| Edge { from: r.from, kind: r.kind, to: r.to, by: self.section.to_owned() }).collect()
    }

    /// Brings what the section claims of an item's relations to what it now says.
    pub(super) fn relations_of(&mut self, found: &Found<'_>) {
        let known = self.known(found.class, found.key);
        let arrived = self.arrived.get(&(found.class, found.key.to_owned())).copied();
        let Some(from) = arrived.or(known.map(|ci| ci.id)) else { return };
        let claimed: BTreeSet<Edge> = known.map(|ci| self.claims(ci)).unwrap_or_default().into_iter().collect();
        let wanted: BTreeSet<Want> = known.map(|ci| ci.more().wants.clone()).unwrap_or_default();
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
    pub(super) fn wishes_fulfilled(&mut self) {
        let arrived = std::mem::take(&mut self.arrived);
        for ((class, key), to) in &arrived {
            for from in self.graph.wanting(self.host.id, *class, key) {
                let fits = |want: &&Want| (want.class, &want.key) == (*class, key);
                let drop: BTreeSet<Want> = from.more().wants.iter().filter(fits).cloned().collect();
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
}
