//! What changed lately around an item, as evidence for why it fails.
//!
//! A change is an attribute of the setup (see [`Nature::Setup`]) that went from one value to another, or a package that came to
//! or went from a host already known. The first sight of a thing is no change, and neither is how it fares. Each change has
//! an identity that does not name the host, so that one change across a fleet is known as one.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ci::{Ci, Lifecycle};
use super::classes::{Class, Nature, Value};
use super::facts::AttributeChange;
use super::graph::Graph;
use super::reach::Reach;
use super::relations::When;
use crate::Millis;
use crate::ids::CiId;

/// Changes kept of one item: the last of each attribute.
const KEPT_MOST: usize = 8;
/// Changes named in one answer, nearest first …
pub const CHANGES_MOST: usize = 1_000;
/// … and hosts whose packages are looked at for it.
const HOSTS_MOST: usize = 100;
/// Who comes or goes by somebody's doing. A process or an endpoint that goes is a symptom.
const INSTALLED: [Class; 2] = [Class::SoftwarePackage, Class::Certificate];
/// Of a network interface.
const ADDRESSES: &str = "addresses";
/// What concerns all that runs on a host.
const WHOLE_HOST: [Class; 5] =
    [Class::OperatingSystem, Class::Disk, Class::Filesystem, Class::NetworkInterface, Class::SoftwarePackage];

/// The last time that an attribute of an item's setup went from one value to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    pub attribute: String,
    pub from: Value,
    pub to: Value,
    pub when: When,
}

/// One change near an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentChange {
    /// What changed.
    pub ci: CiId,
    pub attribute: String,
    /// None: it was not there, and came.
    pub from: Option<Value>,
    /// None: it went.
    pub to: Option<Value>,
    /// By the host's corrected time.
    pub happened_at: Millis,
    pub learned_at: Millis,
    /// Steps from the item asked about: 0 for itself, 1 for its host and what it needs, and so on. What is on a host and
    /// concerns the whole of it is a step further than the host.
    pub distance: usize,
    /// The same for the same change on any host: `package openssl 3.0.1→3.0.2`.
    pub identity: String,
}

/// One address in the place of another is somebody's doing. One that goes, or comes back, is how the host fares: a boot, a
/// cable.
fn is_renumbered(from: &Value, to: &Value) -> bool {
    let words = |value: &Value| match value {
        Value::Text(text) => text.split_ascii_whitespace().map(str::to_owned).collect(),
        _ => BTreeSet::new(),
    };
    let (from, to): (BTreeSet<String>, BTreeSet<String>) = (words(from), words(to));
    !from.is_subset(&to) && !to.is_subset(&from)
}

impl Ci {
    /// Keeps the changes of its setup, the last of each attribute.
    pub(super) fn remember(&mut self, changes: &[AttributeChange], when: When) {
        for change in changes {
            let schema = self.class.schema().attribute(&change.name);
            let (Some(from), Some(to)) = (&change.from, &change.to) else { continue };
            if from == to || schema.is_none_or(|schema| schema.nature != Nature::Setup) {
                continue;
            }
            if change.name == ADDRESSES && !is_renumbered(from, to) {
                continue;
            }
            self.more_mut().changes.retain(|turn| turn.attribute != change.name);
            let turn = Turn { attribute: change.name.clone(), from: from.clone(), to: to.clone(), when };
            self.more_mut().changes.push(turn);
        }
        let surplus = self.more().changes.len().saturating_sub(KEPT_MOST);
        if surplus > 0 {
            self.more_mut().changes.drain(..surplus);
        }
    }

    /// The identities of its remembered changes.
    pub(super) fn identities(&self) -> impl Iterator<Item = String> {
        self.more().changes.iter().map(|turn| identity(self, &turn.attribute, Some(&turn.from), Some(&turn.to)))
    }
}

impl Graph {
    /// What changed since `since` (the host's time) of an item, of its host and of what it depends on; nearest first, then
    /// newest. At most [`CHANGES_MOST`].
    ///
    /// Of its own host all things count; of hosts further away the host itself and what concerns the whole of it.
    pub fn recent_changes(&self, ci: CiId, since: Millis) -> Vec<RecentChange> {
        let up = self.upstream(ci);
        let mut near: BTreeMap<CiId, usize> = up.iter().map(|reached| (reached.ci, reached.distance)).collect();
        near.insert(ci, 0);
        for (host, distance) in self.hosts_near(ci, &up) {
            let is_own = self.get(ci).is_some_and(|known| known.host.unwrap_or(ci) == host);
            let on_it = self.all_on(host).filter(|on_it| is_own || WHOLE_HOST.contains(&on_it.class));
            for on_it in on_it.filter(|on_it| is_touched(on_it, since)) {
                near.entry(on_it.id).or_insert(distance + 1);
            }
        }
        let known = near.into_iter().filter_map(|(id, distance)| Some((self.get(id)?, distance)));
        let mut changes: Vec<RecentChange> =
            known.flat_map(|(ci, distance)| self.changes_of(ci, distance, since)).collect();
        changes.sort_by(|a, b| {
            let place = |change: &RecentChange| (change.distance, std::cmp::Reverse(change.happened_at));
            place(a).cmp(&place(b)).then_with(|| (&a.identity, a.ci).cmp(&(&b.identity, b.ci)))
        });
        changes.truncate(CHANGES_MOST);
        changes
    }

    /// The items that saw the same change since `since`, by id: the fleet's part in `package openssl 3.0.1→3.0.2`.
    pub fn changed_alike(&self, identity: &str, since: Millis) -> Vec<CiId> {
        let saw = |ci: &&Ci| {
            let turns = ci.more().changes.iter().filter(|turn| turn.when.happened >= since);
            turns
                .into_iter()
                .any(|turn| self::identity(ci, &turn.attribute, Some(&turn.from), Some(&turn.to)) == identity)
        };
        self.with_change(identity).filter(saw).map(|ci| ci.id).collect()
    }

    /// Hosts among what an item depends on, nearest first, and the item where it is one.
    fn hosts_near(&self, ci: CiId, up: &Reach) -> Vec<(CiId, usize)> {
        let near = std::iter::once((ci, 0)).chain(up.iter().map(|reached| (reached.ci, reached.distance)));
        let hosts = near.filter(|(id, _)| self.get(*id).is_some_and(|ci| ci.class == Class::Host));
        let own = self.get(ci).and_then(|ci| ci.host).map(|host| (host, 1));
        let mut seen = BTreeSet::new();
        own.into_iter().chain(hosts).filter(|(host, _)| seen.insert(*host)).take(HOSTS_MOST).collect()
    }

    fn changes_of(&self, ci: &Ci, distance: usize, since: Millis) -> Vec<RecentChange> {
        let change = |attribute: &str, from: Option<&Value>, to: Option<&Value>, when: When| RecentChange {
            ci: ci.id,
            attribute: attribute.to_owned(),
            from: from.cloned(),
            to: to.cloned(),
            happened_at: when.happened,
            learned_at: when.learned,
            distance,
            identity: identity(ci, attribute, from, to),
        };
        let turns = ci.more().changes.iter().filter(|turn| turn.when.happened >= since);
        let mut changes: Vec<RecentChange> =
            turns.map(|turn| change(&turn.attribute, Some(&turn.from), Some(&turn.to), turn.when)).collect();
        if INSTALLED.contains(&ci.class) && ci.lifecycle_since.happened >= since {
            let said = ci.class.schema().attributes.iter().find(|schema| schema.nature == Nature::Setup);
            let held = said.and_then(|schema| Some((schema.name, ci.attribute(schema.name)?)));
            match (held, ci.lifecycle) {
                (Some((name, value)), Lifecycle::InUse) if self.is_later_than_its_section(ci) => {
                    changes.push(change(name, None, Some(value), ci.lifecycle_since));
                }
                (Some((name, value)), Lifecycle::Missing) => {
                    changes.push(change(name, Some(value), None, ci.lifecycle_since));
                }
                _ => {}
            }
        }
        changes
    }

    /// Whether an item came after its host's section was first told, so that its coming is news of the host.
    fn is_later_than_its_section(&self, ci: &Ci) -> bool {
        let host = ci.host.and_then(|host| self.get(host));
        let mark = host.zip(ci.class.schema().section).and_then(|(host, section)| host.more().sections.get(section));
        mark.and_then(|mark| mark.first).is_some_and(|first| ci.lifecycle_since.happened > first)
    }
}

fn is_touched(ci: &Ci, since: Millis) -> bool {
    ci.lifecycle_since.happened >= since || ci.more().changes.iter().any(|turn| turn.when.happened >= since)
}

/// `package openssl 3.0.1→3.0.2`, `service_unit nginx.service user www→nginx`, `host kernel 6.1→6.2`.
fn identity(ci: &Ci, attribute: &str, from: Option<&Value>, to: Option<&Value>) -> String {
    let class = if ci.class == Class::SoftwarePackage { "package" } else { ci.class.word() };
    // A host's name is the host's own.
    let name = if ci.class == Class::Host { String::new() } else { format!(" {}", ci.name) };
    let attribute = if attribute == "version" { String::new() } else { format!(" {attribute}") };
    match (from, to) {
        (Some(from), Some(to)) => format!("{class}{name}{attribute} {from}→{to}"),
        (None, Some(to)) => format!("{class}{name}{attribute} {to} installed"),
        (Some(from), None) => format!("{class}{name}{attribute} {from} removed"),
        (None, None) => format!("{class}{name}{attribute}"),
    }
}
