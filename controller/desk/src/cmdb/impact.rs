//! What depends on an item, and how much that matters.

use std::collections::{BTreeMap, VecDeque};

use super::ci::Ci;
use super::classes::Class;
use super::graph::Graph;
use super::relations::{Depends, RelationKind};
use crate::Reason;
use crate::ids::CiId;

/// Impact where nothing that matters depends on an item.
pub const LOWEST: u8 = 3;
/// Edges followed from the item …
const DEPTH_MOST: usize = 8;
/// … and items looked at; further ones are not, and the answer says so.
const ITEMS_MOST: usize = 10_000;
/// Services named in the reasons.
const REASONS_MOST: usize = 5;

/// How an item was reached: from which, and by what words.
type Steps = BTreeMap<CiId, (CiId, String)>;

impl Graph {
    /// The impact of an item's failure, 1 (highest) to 3, and why: the highest criticality among the item and the services
    /// that depend on it, reached along dependency edges; 3 where there is none.
    ///
    /// A member of a service carries it with what runs on it: the failure of a unit on a member reaches the service, too.
    pub fn impact(&self, ci: CiId) -> (u8, Vec<Reason>) {
        let Some(known) = self.get(ci) else { return (LOWEST, vec![nothing("it is not in the CMDB")]) };
        let (steps, was_cut) = self.dependents(known);
        let reached = steps.keys().copied().chain([ci]).filter_map(|id| self.get(id));
        let mut services: Vec<(u8, &Ci)> = reached.filter_map(|ci| Some((ci.criticality()?, ci))).collect();
        services.sort_by(|(a, one), (b, other)| (a, &one.name, one.id).cmp(&(b, &other.name, other.id)));
        let level = services.first().map_or(LOWEST, |(level, _)| *level);
        let mut reasons: Vec<Reason> =
            services.iter().take(REASONS_MOST).map(|(_, service)| self.why(service, ci, &steps)).collect();
        if reasons.is_empty() {
            reasons.push(nothing(&format!("no service depends on {}", self.describe(ci))));
        }
        if services.len() > REASONS_MOST {
            reasons.push(Reason::new(
                "impact",
                format!("{} further services depend on it", services.len() - REASONS_MOST),
            ));
        }
        if was_cut {
            let sentence = format!("only {ITEMS_MOST} items and {DEPTH_MOST} steps were looked at; there are more");
            reasons.push(Reason::new("impact", sentence));
        }
        (level, reasons)
    }

    /// All that goes down with an item, nearest first by steps, and whether the walk was cut short.
    fn dependents(&self, from: &Ci) -> (Steps, bool) {
        let mut steps = Steps::new();
        let mut queue = VecDeque::from([(from.id, 0)]);
        let mut was_cut = false;
        while let Some((id, depth)) = queue.pop_front() {
            let next = self.depending_on(id, depth == 0).into_iter();
            let next: Vec<_> = next.filter(|(to, _)| *to != from.id && !steps.contains_key(to)).collect();
            if depth == DEPTH_MOST {
                was_cut |= !next.is_empty();
                continue;
            }
            for (to, words) in next {
                if steps.len() == ITEMS_MOST {
                    return (steps, true);
                }
                if steps.insert(to, (id, words)).is_none() {
                    queue.push_back((to, depth + 1));
                }
            }
        }
        (steps, was_cut)
    }

    /// What depends on an item directly, with the words that say so. `is_start`: the item that failed itself.
    fn depending_on(&self, id: CiId, is_start: bool) -> Vec<(CiId, String)> {
        let mut found = Vec::new();
        let name = |id: CiId| self.get(id).map_or("?", |ci| ci.name.as_str());
        for relation in self.relations_to(id) {
            if matches!(relation.kind.depends(), Depends::FromOnTo | Depends::Both) {
                found.push((relation.from, format!("{} {} {}", name(relation.from), relation.kind, name(id))));
            }
        }
        for relation in self.relations_from(id) {
            let words = || format!("{} {} {}", name(id), relation.kind, name(relation.to));
            match relation.kind {
                kind if matches!(kind.depends(), Depends::ToOnFrom | Depends::Both) => {
                    found.push((relation.to, words()))
                }
                RelationKind::RunsOn | RelationKind::HostedOn if is_start => {
                    let services = self.services_of(relation.to);
                    found.extend(services.map(|(service, theirs)| (service, format!("{}, and {theirs}", words()))));
                }
                _ => {}
            }
        }
        found.retain(|(to, _)| self.get(*to).is_some_and(Ci::is_current));
        found
    }

    /// The services that a host is a member of.
    fn services_of(&self, host: CiId) -> impl Iterator<Item = (CiId, String)> {
        let members = self.relations_from(host).filter(|relation| relation.kind == RelationKind::MemberOf);
        members.filter_map(move |relation| {
            let (host, service) = (self.get(host)?, self.get(relation.to)?);
            let words = format!("{} member_of {}", host.name, service.name);
            (service.class == Class::BusinessService).then_some((service.id, words))
        })
    }

    fn why(&self, service: &Ci, from: CiId, steps: &Steps) -> Reason {
        let mut words = Vec::new();
        let mut at = service.id;
        while let Some((before, said)) = steps.get(&at).filter(|_| at != from) {
            words.push(said.clone());
            at = *before;
        }
        words.reverse();
        let level = service.criticality().unwrap_or(LOWEST);
        let path = if words.is_empty() { "it is that service itself".to_owned() } else { words.join(", and ") };
        Reason::new("impact", format!("service {} has criticality {level}: {path}", service.name))
    }

    /// Items that an item stands in relation to, both ways, that are there: (kind, whether it leads away from the item, other).
    pub fn neighbours(&self, ci: CiId) -> Vec<(RelationKind, bool, &Ci)> {
        let away = self.relations_from(ci).map(|relation| (relation.kind, true, relation.to));
        let towards = self.relations_to(ci).map(|relation| (relation.kind, false, relation.from));
        let known = away.chain(towards).filter_map(|(kind, is_away, id)| Some((kind, is_away, self.get(id)?)));
        known.filter(|(_, _, other)| other.is_current()).collect()
    }
}

fn nothing(why: &str) -> Reason {
    Reason::new("impact", format!("impact {LOWEST}: {why}"))
}
