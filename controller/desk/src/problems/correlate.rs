//! An incident opens: which others it stands together with.
//!
//! Only those are weighed that share an item, a change or a rule with it, by index and newest first, at most
//! [`SHARING_MOST`] for each thing shared: the cost of one opening does not grow with how many incidents are open.

use std::collections::BTreeSet;

use super::evidence::Scales;
use super::{Evidence, EvidenceKind, Link, Origin, history, members, surroundings, unite};
use crate::ids::{CiId, IncidentId};
use crate::incidents::{self, Incident, IncidentFact, IncidentKey};
use crate::index::Around;
use crate::time::spoken as length;
use crate::work::Work;
use crate::{Actor, FactBody, Millis, Reason, Subject};

/// Incidents looked at for one thing that they share, the newest.
const SHARING_MOST: usize = 16;
/// Keys that an opening is remembered with.
const BEFORE_MOST: usize = 16;
/// Incidents of a host looked at again when something is learned of it.
const AGAIN_MOST: usize = 32;

/// An incident opened, or opened again: looks around it, joins it with others, and remembers its key.
pub(crate) fn incident_opened(work: &mut Work<'_>, id: IncidentId) {
    let Some(incident) = work.desk.incidents.get(&id).cloned() else { return };
    let before = opened_before(work, &incident);
    surroundings::look(work, &incident);
    correlate(work, id);
    history::note(work, id, &incident.key, &before);
    recur(work, id, &incident.key);
}

/// An alert of an open incident fires that did not before. What opened while it was clear was not linked with it.
pub(crate) fn fires_again(work: &mut Work<'_>, id: IncidentId) {
    correlate(work, id);
}

/// Something was learned of a host: what changed, or what needs what. Incidents around it that opened lately are looked at
/// again, as a failure may be reported before the change behind it.
pub(crate) fn surroundings_changed(work: &mut Work<'_>, host: CiId) {
    let since = Millis(work.at.0.saturating_sub(work.config.settings.correlate_within));
    let again: Vec<IncidentId> = work.desk.index.around(&Around::Needs(host), since).take(AGAIN_MOST).collect();
    for id in again {
        let Some(incident) = work.desk.incidents.get(&id).cloned() else { continue };
        if incident.state.is_open() && surroundings::look(work, &incident) {
            correlate(work, id);
        }
    }
}

fn opened_before(work: &Work<'_>, incident: &Incident) -> Vec<IncidentKey> {
    let since = Millis(work.at.0.saturating_sub(work.config.settings.correlate_within));
    let lately = work.desk.index.opened_since(since).filter(|id| *id != incident.id).take(BEFORE_MOST);
    lately.filter_map(|id| work.desk.incidents.get(&id)).map(|other| other.key.clone()).collect()
}

fn correlate(work: &mut Work<'_>, id: IncidentId) {
    let Some(incident) = work.desk.incidents.get(&id) else { return };
    let (links, above) = links_of(work, incident);
    if let Some(above) = above {
        follow(work, id, above);
    }
    unite::unite(work, id, links);
}

/// The links of an incident that are strong enough, strongest first; and the nearest open incident of what it needs.
fn links_of(work: &Work<'_>, incident: &Incident) -> (Vec<Link>, Option<IncidentId>) {
    let settings = &work.config.settings;
    let mut scales = Scales::of(work);
    let above = incident_above(work, incident);
    let near = near(work, incident).into_iter().filter_map(|id| work.desk.incidents.get(&id));
    let mut links: Vec<Link> = near
        .filter(|other| !kept_apart(incident, other) && fail_together(incident, other))
        .filter(|other| other.since.since(incident.since).abs() <= settings.correlate_within)
        .map(|other| scales.weigh(incident, other))
        .filter(|link| link.weight >= settings.joins_from)
        .collect();
    // What it needs has failed, however long ago, or what stands in a problem needs it: that is a dependency and wants no
    // threshold.
    let depending = above.into_iter().chain(members_below(work, incident));
    for other in depending.filter_map(|id| work.desk.incidents.get(&id)).filter(|other| !kept_apart(incident, other)) {
        if !links.iter().any(|link| link.other(incident.id) == other.id) {
            links.push(scales.weigh(incident, other));
        }
    }
    links.sort_by_key(|link| (std::cmp::Reverse(link.weight), link.other(incident.id)));
    (links, above)
}

/// Incidents that share something with this one and opened lately.
fn near(work: &Work<'_>, incident: &Incident) -> BTreeSet<IncidentId> {
    let since = Millis(incident.since.0.saturating_sub(work.config.settings.correlate_within));
    let needs = incident.surroundings.needs.iter().map(|need| Around::Needs(need.ci));
    let changes = incident.surroundings.changes.iter().map(|change| Around::Change(change.identity.clone()));
    let shared = needs.chain(changes).chain([Around::Rule(incident.rule.clone())]);
    let mut near: BTreeSet<IncidentId> =
        shared.flat_map(|thing| work.desk.index.around(&thing, since).take(SHARING_MOST)).collect();
    near.remove(&incident.id);
    near
}

/// The open incident of the nearest item that this one's item needs.
fn incident_above(work: &Work<'_>, incident: &Incident) -> Option<IncidentId> {
    let needed = incident.surroundings.needs.iter().filter(|need| need.steps > 0);
    let mut failed = needed.filter_map(|need| {
        let of_it = work.desk.index.around(&Around::Own(need.ci), Millis(i64::MIN)).take(SHARING_MOST);
        of_it
            .filter_map(|id| work.desk.incidents.get(&id))
            .find(|other| other.state.is_open() && other.id != incident.id && fail_together(incident, other))
    });
    failed.next().map(|other| other.id)
}

/// Failing incidents of open problems that need the very thing that this one is about: it is why they go on. A whole host,
/// where so much comes together, says no more than what opened lately.
fn members_below(work: &Work<'_>, incident: &Incident) -> Vec<IncidentId> {
    let own = incident.surroundings.own().and_then(|own| work.desk.cmdb.graph().get(own));
    let Some(own) = own.filter(|own| !own.class.is_place()) else { return Vec::new() };
    let needing = work.desk.index.around(&Around::Needs(own.id), Millis(i64::MIN)).take(SHARING_MOST);
    let known = needing.filter_map(|id| work.desk.incidents.get(&id)).filter(|other| other.id != incident.id);
    let of_problem = known.filter(|other| {
        let problem = other.problem.and_then(|problem| work.desk.problems.get(&problem));
        problem.is_some_and(|problem| problem.state.is_open())
    });
    of_problem.filter(|other| other.state.is_open() && fail_together(incident, other)).map(|other| other.id).collect()
}

/// Neither was over when the other began: what is mended is not behind what fails after.
fn fail_together(a: &Incident, b: &Incident) -> bool {
    let over_before = |one: &Incident, other: &Incident| one.over_since().is_some_and(|over| over <= other.began());
    !over_before(a, b) && !over_before(b, a)
}

/// A person has taken one of the two out of a problem with the other.
fn kept_apart(a: &Incident, b: &Incident) -> bool {
    a.apart.contains(&b.id) || b.apart.contains(&a.id)
}

/// Marks an incident as following from another.
fn follow(work: &mut Work<'_>, id: IncidentId, above: IncidentId) {
    let follows = incidents::Link { kind: "follows".to_owned(), incident: above };
    let (Some(incident), Some(other)) = (work.desk.incidents.get(&id), work.desk.incidents.get(&above)) else { return };
    if kept_apart(incident, other) || incident.links.contains(&follows) {
        return;
    }
    let item = other.ci.map(|ci| work.desk.cmdb.graph().describe(ci)).unwrap_or_default();
    let sentence = format!("what it is about needs {item}, and {above} of that is open: {}", other.title);
    if let Some(incident) = work.incident_mut(id) {
        incident.links.push(follows);
    }
    let body = FactBody::Incident(IncidentFact::Follows { incident: above });
    work.tell(Subject::Incident(id), Actor::Controller, vec![Reason::new("dependency", sentence)], body);
}

/// The same key again and again is a problem of its own.
fn recur(work: &mut Work<'_>, id: IncidentId, key: &IncidentKey) {
    let (count, within) = (work.config.settings.recurs_count, work.config.settings.recurs_within);
    let mut again = history::openings(work, key, within);
    again.dedup();
    if again.len() < count.max(2) || members::live_problem_of(work, id).is_some() {
        return;
    }
    if members::any_apart(work, id, &again) {
        return;
    }
    let times = again.len();
    let sentence = format!("{key} opened {times} times within {}", length(within));
    let evidence =
        Evidence { kind: EvidenceKind::SameKey, weight: work.config.settings.joins_from, sentence: sentence.clone() };
    let pairs = again.windows(2).map(|pair| Link::new(pair[0], pair[1], vec![evidence.clone()])).collect();
    let title = format!("{key} comes back again and again");
    let beginning = members::Beginning { title: Some(title), note: &sentence, ..members::Beginning::default() };
    members::open(work, Origin::Recurrence, &again, pairs, Actor::Controller, beginning);
}
