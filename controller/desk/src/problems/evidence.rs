//! What two incidents have in common, weighed.
//!
//! Each piece of evidence has a weight in hundredths of log odds (natural logarithm: 230 makes a common cause ten times as
//! likely) and a sentence that says it. Weights add up. That both opened within minutes of each other weighs nothing: in a
//! busy hour everything does. The weights are judgements, chosen so that what alone makes a common cause more likely than
//! not is at 400, the default of the setting `joins_from`, and what is merely alike never gets there without a second reason.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Surroundings, history};
use crate::Millis;
use crate::cmdb::{Class, Graph, PeerKind};
use crate::ids::{CiId, IncidentId};
use crate::incidents::Incident;
use crate::time::spoken as length;
use crate::words::words;
use crate::work::Work;

words! {
    /// What kind of thing two incidents have in common.
    EvidenceKind "kind of evidence" {
        /// One's item needs the other's.
        Topology = "topology",
        /// Both items need a third.
        CommonDependency = "common_dependency",
        /// The same change came to both, or to what they need.
        SameChange = "same_change",
        /// The same rule on hosts of one service, rack, subnet or hypervisor.
        Peers = "peers",
        Likeness = "likeness",
        /// Their keys opened together before.
        History = "history",
        /// The key belongs to the problem.
        SameKey = "same_key",
        /// A person says so.
        Hand = "hand",
    }
}

/// One reason for a common cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    pub kind: EvidenceKind,
    /// Hundredths of log odds.
    pub weight: i64,
    pub sentence: String,
}

/// Two incidents and why they stand together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The earlier by number.
    pub a: IncidentId,
    pub b: IncidentId,
    /// The sum of its evidence.
    pub weight: i64,
    /// Heaviest first.
    pub evidence: Vec<Evidence>,
}

impl Link {
    /// A link of evidence, whichever way round the two are named.
    pub(super) fn new(one: IncidentId, other: IncidentId, mut evidence: Vec<Evidence>) -> Self {
        evidence.sort_by_key(|known| (std::cmp::Reverse(known.weight), known.kind));
        let weight = evidence.iter().map(|known| known.weight).sum();
        Self { a: one.min(other), b: one.max(other), weight, evidence }
    }

    /// The incident at the other end.
    pub fn other(&self, of: IncidentId) -> IncidentId {
        if self.a == of { self.b } else { self.a }
    }
}

/// One item needs the other; far away it is still enough, as the one goes down with the other.
const TOPOLOGY: i64 = 600;
const TOPOLOGY_STEP: i64 = 25;
const TOPOLOGY_LEAST: i64 = 400;
/// Two incidents of the same item …
const SAME_ITEM: i64 = 450;
/// … unless that is a host, where so much comes together that even alike labels on top do not make it enough.
const SAME_WHOLE_HOST: i64 = 290;
/// Both need a third that has no incident of its own …
const COMMON: i64 = 330;
const COMMON_STEP: i64 = 40;
const COMMON_LEAST: i64 = 60;
/// … or only live on one host.
const SAME_HOST: i64 = 200;
/// The same change, if every host saw it; twice as much for each halving of the hosts that did.
const CHANGE: i64 = 350;
const HALVING: i64 = 69;
const CHANGE_MOST: i64 = 700;
const PEERS: [(PeerKind, i64); 4] =
    [(PeerKind::Service, 200), (PeerKind::Hypervisor, 200), (PeerKind::Rack, 180), (PeerKind::Subnet, 120)];
const PEERS_MORE: i64 = 40;
const PEERS_MOST: i64 = 280;
const LIKENESS: i64 = 50;
const LIKENESS_MOST: i64 = 100;
/// Labels that are alike in half the fleet.
const COMMONPLACE: [&str; 9] =
    ["alertname", "severity", "instance", "job", "service", "environment", "env", "cluster", "region"];

/// Weighs pairs of incidents within one decision; what concerns one change of the fleet is looked up once.
pub(super) struct Scales<'w> {
    graph: &'w Graph,
    histories: &'w BTreeMap<String, serde_json::Value>,
    changed_within: i64,
    joins_from: i64,
    at: Millis,
    /// Under what the key of the one that is weighed is remembered.
    known: Option<Option<String>>,
    hosts: Option<usize>,
    spread: BTreeMap<String, usize>,
}

impl<'w> Scales<'w> {
    pub fn of(work: &'w Work<'_>) -> Self {
        Self {
            graph: work.desk.cmdb.graph(),
            histories: &work.desk.settings,
            changed_within: work.config.settings.changed_within,
            joins_from: work.config.settings.joins_from,
            at: work.at,
            known: None,
            hosts: None,
            spread: BTreeMap::new(),
        }
    }

    /// All that speaks for a common cause of two incidents; `one` is the same in all calls.
    pub fn weigh(&mut self, one: &Incident, other: &Incident) -> Link {
        // The same sentence whichever came first.
        let (a, b) = if one.id < other.id { (one, other) } else { (other, one) };
        let mut evidence: Vec<Evidence> = Vec::new();
        evidence.extend(self.topology(a, b).or_else(|| self.common_dependency(a, b)));
        evidence.extend(self.same_change(a, b));
        evidence.extend(self.peers(a, b));
        evidence.extend(likeness(a, b));
        // What history could not lift over the threshold, nor has to, is not asked for.
        let weight: i64 = evidence.iter().map(|known| known.weight).sum();
        if weight < self.joins_from && weight + history::HISTORY_MOST >= self.joins_from {
            let known = self.known.get_or_insert_with(|| history::known(self.histories, &one.key));
            evidence.extend(known.as_ref().and_then(|known| history::together(self.histories, known, &other.key)));
        }
        Link::new(a.id, b.id, evidence)
    }

    fn topology(&self, a: &Incident, b: &Incident) -> Option<Evidence> {
        let reaches = |down: &Incident, up: &Incident| {
            let target = up.surroundings.own()?;
            Some((down.surroundings.steps_to(target)?, down.id, down.surroundings.needs.first()?.ci, target))
        };
        let (steps, down, from, to) = match (reaches(a, b), reaches(b, a)) {
            (Some(one), Some(other)) => one.min(other),
            (one, other) => one.or(other)?,
        };
        let name = |ci| self.graph.describe(ci);
        if steps == 0 {
            let is_host = self.graph.get(to).is_some_and(|known| known.class == Class::Host);
            let weight = if is_host { SAME_WHOLE_HOST } else { SAME_ITEM };
            let sentence = format!("both are about {}", name(to));
            return Some(Evidence { kind: EvidenceKind::Topology, weight, sentence });
        }
        let weight = (TOPOLOGY - TOPOLOGY_STEP * (i64::from(steps) - 1)).max(TOPOLOGY_LEAST);
        let way = self.graph.path(from, to).filter(|way| !way.is_empty()).map(|way| format!(" ({})", way.join(", ")));
        let way = way.unwrap_or_default();
        let what = if from == to { format!("something on {}", name(from)) } else { name(from) };
        let sentence = format!("{what} of {down} needs {}{way}", name(to));
        Some(Evidence { kind: EvidenceKind::Topology, weight, sentence })
    }

    fn common_dependency(&self, a: &Incident, b: &Incident) -> Option<Evidence> {
        let (ours, theirs) = (&a.surroundings, &b.surroundings);
        let both = ours.needs.iter().filter_map(|need| Some((need.ci, need.steps, theirs.steps_to(need.ci)?)));
        let weighed = both.map(|(ci, from_a, from_b)| (self.weight_of_common(ci, from_a + from_b), ci));
        // The heaviest; of several the one with the least id, whichever way round they came.
        let (weight, ci) = weighed.max_by_key(|(weight, ci)| (*weight, std::cmp::Reverse(*ci)))?;
        let sentence = format!("both need {}", self.graph.describe(ci));
        Some(Evidence { kind: EvidenceKind::CommonDependency, weight, sentence })
    }

    fn weight_of_common(&self, ci: CiId, steps: u32) -> i64 {
        match self.graph.get(ci) {
            Some(known) if known.class.is_place() => SAME_HOST,
            _ => (COMMON - COMMON_STEP * (i64::from(steps) - 2).max(0)).max(COMMON_LEAST),
        }
    }

    fn same_change(&mut self, a: &Incident, b: &Incident) -> Option<Evidence> {
        let shared: Vec<&str> = shared_changes(&a.surroundings, &b.surroundings);
        let first = *shared.first()?;
        let (spread, hosts) = (self.spread_of(first), self.hosts());
        let halvings = i64::from((hosts / spread.max(1)).max(1).ilog2());
        let weight = (CHANGE + HALVING * halvings).min(CHANGE_MOST);
        let more = if shared.len() > 1 { format!(", with {} more", shared.len() - 1) } else { String::new() };
        let within = length(self.changed_within);
        let sentence = format!("{first}{more} came to both within {within} before; {spread} of {hosts} hosts saw it");
        Some(Evidence { kind: EvidenceKind::SameChange, weight, sentence })
    }

    fn spread_of(&mut self, identity: &str) -> usize {
        if let Some(known) = self.spread.get(identity) {
            return *known;
        }
        let spread = spread(self.graph, identity, self.since()).max(1);
        self.spread.insert(identity.to_owned(), spread);
        spread
    }

    /// Twice the window: the earlier of two incidents saw its changes before the later one opened.
    fn since(&self) -> Millis {
        Millis(self.at.0.saturating_sub(self.changed_within.saturating_mul(2)))
    }

    fn hosts(&mut self) -> usize {
        *self.hosts.get_or_insert_with(|| hosts(self.graph))
    }

    fn peers(&self, a: &Incident, b: &Incident) -> Option<Evidence> {
        if a.rule != b.rule {
            return None;
        }
        let (one, other) = (a.surroundings.needs.first()?.ci, b.surroundings.needs.first()?.ci);
        let peers = self.graph.peers(one, other);
        let weight_of = |kind| PEERS.iter().find(|(known, _)| *known == kind).map_or(0, |(_, weight)| *weight);
        let best = peers.iter().max_by_key(|peer| (weight_of(peer.kind), std::cmp::Reverse(&peer.sentence)))?;
        let more = i64::try_from(peers.len() - 1).unwrap_or(0).saturating_mul(PEERS_MORE);
        let weight = (weight_of(best.kind) + more).min(PEERS_MOST);
        let sentence = format!("rule {} fired for both, and {}", a.rule, best.sentence);
        Some(Evidence { kind: EvidenceKind::Peers, weight, sentence })
    }
}

/// The hosts that saw a change since then.
pub(super) fn spread(graph: &Graph, identity: &str, since: Millis) -> usize {
    let items = graph.changed_alike(identity, since);
    let hosts = items.into_iter().filter_map(|ci| graph.get(ci)).map(|ci| ci.host.unwrap_or(ci.id));
    hosts.collect::<std::collections::BTreeSet<_>>().len()
}

/// The hosts that are there.
pub(super) fn hosts(graph: &Graph) -> usize {
    graph.of_class(Class::Host).filter(|host| host.is_current()).count().max(1)
}

/// Identities of changes that both know of, the nearest first.
fn shared_changes<'a>(a: &'a Surroundings, b: &Surroundings) -> Vec<&'a str> {
    let nearest = |surroundings: &Surroundings, identity: &str| {
        surroundings.changes.iter().filter(|change| change.identity == identity).map(|change| change.steps).min()
    };
    let both = a.changes.iter().filter_map(|change| {
        let steps = nearest(a, &change.identity)? + nearest(b, &change.identity)?;
        Some((steps, change.identity.as_str()))
    });
    let mut both: Vec<_> = both.collect();
    both.sort_unstable();
    both.dedup();
    both.into_iter().map(|(_, identity)| identity).collect()
}

fn likeness(a: &Incident, b: &Incident) -> Option<Evidence> {
    let (ours, theirs) = (&a.alerts.first()?.labels, &b.alerts.first()?.labels);
    let telling = ours.iter().filter(|(name, value)| !COMMONPLACE.contains(&name.as_str()) && !value.is_empty());
    let alike: Vec<String> = telling
        .filter(|(name, value)| theirs.get(*name) == Some(*value))
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    if alike.is_empty() {
        return None;
    }
    let weight = i64::try_from(alike.len()).unwrap_or(i64::MAX).saturating_mul(LIKENESS).min(LIKENESS_MOST);
    let sentence = format!("their alerts are alike in {}", alike.join(", "));
    Some(Evidence { kind: EvidenceKind::Likeness, weight, sentence })
}
