//! Walks along dependency edges: what an item needs, and what needs it.
//!
//! Breadth first, over what is there (in use, or missing and expected back), in the order of kinds and ids: the same graph
//! gives the same answer. Both ways are bounded, and an answer that was cut short says so.

use std::collections::{BTreeMap, VecDeque};

use super::ci::Ci;
use super::classes::Class;
use super::graph::{Graph, RelationKey};
use super::relations::{Depends, RelationKind};
use crate::ids::CiId;

/// Steps that a walk goes from its beginning …
pub const STEPS_MOST: usize = 8;
/// … and items that it comes to; further ones are not looked at, and the answer says so.
pub const ITEMS_MOST: usize = 10_000;

/// One item that a walk came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    pub ci: CiId,
    /// Steps from the beginning; 1 is next to it.
    pub distance: usize,
    /// The item before it on the way.
    pub via: CiId,
    /// The relation of the last step; with a second one where the step goes by what runs on a host.
    by: (RelationKey, Option<RelationKey>),
}

/// All that a walk came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Where it began; not itself among the items.
    pub from: CiId,
    /// Nearest first.
    order: Vec<Reached>,
    places: BTreeMap<CiId, usize>,
    /// More than [`ITEMS_MOST`] items or [`STEPS_MOST`] steps: there are more.
    pub was_cut: bool,
}

impl Reach {
    fn new(from: CiId) -> Self {
        Self { from, order: Vec::new(), places: BTreeMap::new(), was_cut: false }
    }

    /// Items, nearest first; of the same distance in the order of the relations that lead there.
    pub fn iter(&self) -> impl Iterator<Item = &Reached> {
        self.order.iter()
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub fn get(&self, ci: CiId) -> Option<&Reached> {
        self.places.get(&ci).and_then(|place| self.order.get(*place))
    }

    /// Steps to an item: 0 for the beginning itself, none where the walk did not come there.
    pub fn distance(&self, ci: CiId) -> Option<usize> {
        if ci == self.from { Some(0) } else { self.get(ci).map(|reached| reached.distance) }
    }

    /// The relations on the way to an item, in the order in which they were walked.
    pub(super) fn relations_to(&self, ci: CiId) -> Vec<RelationKey> {
        let mut way = Vec::new();
        let mut at = ci;
        while let Some(reached) = self.get(at) {
            way.extend(reached.by.1);
            way.push(reached.by.0);
            at = reached.via;
        }
        way.reverse();
        way
    }

    /// `false` where there is no more room.
    fn take(&mut self, reached: Reached) -> bool {
        if self.order.len() == ITEMS_MOST {
            self.was_cut = true;
            return false;
        }
        self.places.insert(reached.ci, self.order.len());
        self.order.push(reached);
        true
    }
}

/// A step from an item: where to, and by which relations.
type Step = (CiId, RelationKey, Option<RelationKey>);

impl Graph {
    /// What an item depends on, near and far. For a host, that includes what things on it need elsewhere.
    pub fn upstream(&self, ci: CiId) -> Reach {
        self.walk(ci, Self::needs)
    }

    /// What goes down with an item, near and far. For a thing on a host, that includes the services of the host.
    pub fn downstream(&self, ci: CiId) -> Reach {
        self.walk(ci, Self::needed_by)
    }

    /// The way on which an item depends on another, each step in words (`shop.service depends_on postgresql.service`);
    /// none where it does not. Empty for an item and itself.
    pub fn path(&self, ci: CiId, needed: CiId) -> Option<Vec<String>> {
        let up = self.upstream(ci);
        up.distance(needed).map(|_| self.way(&up, needed))
    }

    /// The steps of a walk to an item, in words.
    pub fn way(&self, reach: &Reach, to: CiId) -> Vec<String> {
        reach.relations_to(to).iter().map(|key| self.words(*key)).collect()
    }

    /// What both depend on, nearest first by steps from both together; one of the two itself where the other needs it.
    pub fn common_upstream(&self, a: CiId, b: CiId) -> Vec<Common> {
        common(&self.upstream(a), &self.upstream(b))
    }

    fn walk(&self, from: CiId, next: fn(&Self, CiId, bool) -> Vec<Step>) -> Reach {
        let mut reach = Reach::new(from);
        let mut queue = VecDeque::from([(from, 0)]);
        while let Some((id, distance)) = queue.pop_front() {
            let is_new = |to: &CiId| *to != from && !reach.places.contains_key(to);
            let steps: Vec<Step> = next(self, id, distance == 0).into_iter().filter(|(to, ..)| is_new(to)).collect();
            if distance == STEPS_MOST {
                reach.was_cut |= !steps.is_empty();
                continue;
            }
            for (to, first, second) in steps {
                if reach.places.contains_key(&to) {
                    continue;
                }
                if !reach.take(Reached { ci: to, distance: distance + 1, via: id, by: (first, second) }) {
                    return reach;
                }
                queue.push_back((to, distance + 1));
            }
        }
        reach
    }

    /// What an item needs directly. `is_start`: it is the one asked about.
    fn needs(&self, id: CiId, is_start: bool) -> Vec<Step> {
        let away = self.relations_from(id).filter(|r| matches!(r.kind.depends(), Depends::FromOnTo | Depends::Both));
        let towards = self.relations_to(id).filter(|r| matches!(r.kind.depends(), Depends::ToOnFrom | Depends::Both));
        let away = away.map(|r| (r.to, (r.from, r.kind, r.to), None));
        let mut found: Vec<Step> = away.chain(towards.map(|r| (r.from, (r.from, r.kind, r.to), None))).collect();
        if is_start && self.get(id).is_some_and(|ci| ci.class == Class::Host) {
            found.extend(self.needs_of_things_on(id));
        }
        found.retain(|(to, ..)| self.get(*to).is_some_and(Ci::is_current));
        found
    }

    /// What things on a host need elsewhere.
    fn needs_of_things_on(&self, host: CiId) -> impl Iterator<Item = Step> {
        let on_it = self.relations_to(host).filter(|r| matches!(r.kind, RelationKind::RunsOn | RelationKind::HostedOn));
        on_it.flat_map(move |on| {
            let reaching = [RelationKind::ConnectsTo, RelationKind::DependsOn];
            let theirs = self.relations_from(on.from).filter(move |r| reaching.contains(&r.kind));
            let elsewhere = theirs.filter(move |r| self.get(r.to).is_some_and(|to| to.host != Some(host)));
            elsewhere.map(|r| (r.to, (on.from, on.kind, on.to), Some((r.from, r.kind, r.to))))
        })
    }

    /// What needs an item directly. `is_start`: it is the one asked about.
    fn needed_by(&self, id: CiId, is_start: bool) -> Vec<Step> {
        let mut found: Vec<Step> = Vec::new();
        for r in self.relations_to(id) {
            if matches!(r.kind.depends(), Depends::FromOnTo | Depends::Both) {
                found.push((r.from, (r.from, r.kind, r.to), None));
            }
        }
        for r in self.relations_from(id) {
            let key = (r.from, r.kind, r.to);
            match r.kind {
                kind if matches!(kind.depends(), Depends::ToOnFrom | Depends::Both) => found.push((r.to, key, None)),
                // A member of a service carries it with what runs on it.
                RelationKind::RunsOn | RelationKind::HostedOn if is_start => {
                    found.extend(self.services_of(r.to).map(|member| (member.2, key, Some(member))));
                }
                _ => {}
            }
        }
        found.retain(|(to, ..)| self.get(*to).is_some_and(Ci::is_current));
        found
    }

    /// The memberships of a host in services.
    pub(super) fn services_of(&self, host: CiId) -> impl Iterator<Item = RelationKey> {
        let members = self.relations_from(host).filter(|r| r.kind == RelationKind::MemberOf);
        let of_service = members.filter(|r| self.get(r.to).is_some_and(|ci| ci.class == Class::BusinessService));
        of_service.map(|r| (r.from, r.kind, r.to))
    }

    /// `nginx.service runs_on web-1`.
    pub(super) fn words(&self, (from, kind, to): RelationKey) -> String {
        let name = |id: CiId| self.get(id).map_or("?", |ci| ci.name.as_str());
        format!("{} {kind} {}", name(from), name(to))
    }
}

/// Something that two items depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Common {
    pub ci: CiId,
    /// Steps from each; 0 for the item itself.
    pub from_a: usize,
    pub from_b: usize,
}

/// What two walks both came to, nearest first; their beginnings count as come to.
pub fn common(a: &Reach, b: &Reach) -> Vec<Common> {
    let of_a = a.iter().map(|reached| (reached.ci, reached.distance)).chain([(a.from, 0)]);
    let both = of_a.filter_map(|(ci, from_a)| Some(Common { ci, from_a, from_b: b.distance(ci)? }));
    let mut both: Vec<Common> = both.collect();
    both.sort_by_key(|one| (one.from_a + one.from_b, one.from_a.max(one.from_b), one.ci));
    both
}
