//! How much depends on an item.

use super::ci::Ci;
use super::graph::Graph;
use super::reach::{ITEMS_MOST, Reach, STEPS_MOST};
use super::relations::RelationKind;
use crate::Reason;
use crate::ids::CiId;

/// Impact where nothing that matters depends on an item.
pub const LOWEST: u8 = 3;
/// Services named in the reasons.
const REASONS_MOST: usize = 5;

impl Graph {
    /// The impact of an item's failure, 1 (highest) to 3, and why: the highest criticality among the item and the services
    /// that depend on it, reached along dependency edges; 3 where there is none.
    ///
    /// A member of a service carries it with what runs on it: the failure of a unit on a member reaches the service, too.
    pub fn impact(&self, ci: CiId) -> (u8, Vec<Reason>) {
        if self.get(ci).is_none() {
            return (LOWEST, vec![nothing("it is not in the CMDB")]);
        }
        let reach = self.downstream(ci);
        let reached = reach.iter().map(|reached| reached.ci).chain([ci]).filter_map(|id| self.get(id));
        let mut services: Vec<(u8, &Ci)> = reached.filter_map(|ci| Some((ci.criticality()?, ci))).collect();
        services.sort_by(|(a, one), (b, other)| (a, &one.name, one.id).cmp(&(b, &other.name, other.id)));
        let level = services.first().map_or(LOWEST, |(level, _)| *level);
        let mut reasons: Vec<Reason> =
            services.iter().take(REASONS_MOST).map(|(_, service)| self.why(service, &reach)).collect();
        if reasons.is_empty() {
            reasons.push(nothing(&format!("no service depends on {}", self.describe(ci))));
        }
        if services.len() > REASONS_MOST {
            reasons.push(Reason::new(
                "impact",
                format!("{} further services depend on it", services.len() - REASONS_MOST),
            ));
        }
        if reach.was_cut {
            let sentence = format!("only {ITEMS_MOST} items and {STEPS_MOST} steps were looked at; there are more");
            reasons.push(Reason::new("impact", sentence));
        }
        (level, reasons)
    }

    fn why(&self, service: &Ci, reach: &Reach) -> Reason {
        let words = self.way(reach, service.id);
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
