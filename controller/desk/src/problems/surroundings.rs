//! What an incident needs, and what changed around it, as it stood when the incident opened.
//!
//! Kept with the incident, so that a later one is compared with what was so then, without walking the graph again, and so
//! that the desk restored from its records decides as the one that went on.

use serde::{Deserialize, Serialize};

use crate::cmdb::{Class, Graph};
use crate::ids::CiId;
use crate::incidents::Incident;
use crate::work::Work;
use crate::{Config, Millis};

/// Items kept of what an incident's item needs, the nearest.
const NEEDS_MOST: usize = 32;
/// Changes kept, the nearest and newest.
const SUSPECTS_MOST: usize = 16;
/// How long after a failure began the change behind it may be seen at the latest, in milliseconds: agents look around once a
/// minute. What changes later is another matter, perhaps the remedy.
const SEEN_LATE: i64 = 120_000;
/// Labels that name a thing smaller than a host. An incident with one of them, for which only the host was found, is about
/// something on the host, not about the host.
const PARTS: [&str; 5] = ["unit", "mountpoint", "device", "name", "path"];

/// What stands around an incident.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Surroundings {
    /// Its item and what that depends on, nearest first.
    pub needs: Vec<Need>,
    /// What changed there lately, nearest first, then newest.
    pub changes: Vec<Suspect>,
}

/// One item that an incident's item depends on; 0 steps: the item itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    pub ci: CiId,
    pub steps: u32,
}

/// A change that may be behind an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    /// The same on every host that saw the same change: `package openssl 3.0.1→3.0.2`.
    pub identity: String,
    /// What changed.
    pub ci: CiId,
    /// By the host's time.
    pub happened_at: Millis,
    /// Steps from the incident's item.
    pub steps: u32,
}

impl Surroundings {
    /// Nothing is known around it.
    pub fn is_empty(&self) -> bool {
        self.needs.is_empty() && self.changes.is_empty()
    }

    /// Steps to an item; none where it is not among what is needed.
    pub fn steps_to(&self, ci: CiId) -> Option<u32> {
        self.needs.iter().find(|need| need.ci == ci).map(|need| need.steps)
    }

    /// The item that the incident is about, where it is known exactly.
    pub fn own(&self) -> Option<CiId> {
        self.needs.first().filter(|need| need.steps == 0).map(|need| need.ci)
    }
}

/// What stands around an incident now.
pub(super) fn around(graph: &Graph, config: &Config, incident: &Incident) -> Surroundings {
    let Some(ci) = incident.ci.and_then(|ci| graph.resolve(ci)) else { return Surroundings::default() };
    let is_part = ci.class == Class::Host && names_a_part(incident);
    let further = u32::from(is_part);
    let own = Need { ci: ci.id, steps: further };
    let up = graph.upstream(ci.id);
    // Of what things on the host need elsewhere nothing is known to be needed by the part.
    let needed = up.iter().filter(|_| !is_part);
    let needed = needed.map(|reached| Need { ci: reached.ci, steps: steps(reached.distance) + further });
    let since = Millis(incident.since.0.saturating_sub(config.settings.changed_within));
    let until = incident.began().plus(SEEN_LATE);
    let changes = graph.recent_changes(ci.id, since).into_iter().filter(|change| change.happened_at <= until);
    let suspect = |change: crate::cmdb::RecentChange| Suspect {
        identity: change.identity,
        ci: change.ci,
        happened_at: change.happened_at,
        steps: steps(change.distance),
    };
    Surroundings {
        needs: std::iter::once(own).chain(needed).take(NEEDS_MOST).collect(),
        changes: changes.map(suspect).take(SUSPECTS_MOST).collect(),
    }
}

fn names_a_part(incident: &Incident) -> bool {
    let labels = incident.alerts.first().map(|alert| &alert.labels);
    labels.is_some_and(|labels| PARTS.iter().any(|name| labels.get(*name).is_some_and(|value| !value.is_empty())))
}

fn steps(distance: usize) -> u32 {
    u32::try_from(distance).unwrap_or(u32::MAX)
}

/// Looks around an incident, and keeps what it finds; whether that is something new.
pub(super) fn look(work: &mut Work<'_>, incident: &Incident) -> bool {
    let found = around(work.desk.cmdb.graph(), work.config, incident);
    if found == incident.surroundings {
        return false;
    }
    work.edit_incident(incident.id, |incident| incident.surroundings = found);
    true
}
