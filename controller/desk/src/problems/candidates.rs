//! What may be the cause, ranked, each with its reasons.
//!
//! An item is a candidate where incidents are about it or need it; a change where incidents saw it. Ranked by how many of the
//! incidents each explains, whether it failed itself and how early, whether nobody hears from it, and whether it just
//! changed. A guess with reasons: people judge.

use std::collections::{BTreeMap, BTreeSet};

use super::Candidate;
use super::evidence::{hosts, spread};
use crate::cmdb::Class;
use crate::ids::{CiId, IncidentId};
use crate::incidents::Incident;
use crate::time::spoken as length;
use crate::work::Work;
use crate::{Millis, Reason};

/// Incidents looked at, and candidates kept.
const INCIDENTS_MOST: usize = 128;
const CANDIDATES_MOST: usize = 5;

/// For explaining all of them; part of it for a part.
const ALL: i64 = 1_000;
const FAILED_ITSELF: i64 = 300;
const FAILED_FIRST: i64 = 150;
const NOT_HEARD: i64 = 250;
const CHANGED: i64 = 200;
/// A change is somebody's doing, and what came to few hosts says more.
const A_CHANGE: i64 = 350;
const HALVING: i64 = 69;
const STEP: i64 = 20;

#[derive(Default)]
struct Tally {
    explains: BTreeSet<IncidentId>,
    steps: i64,
    /// Incidents about the very item, with when it failed.
    own: Vec<(Millis, IncidentId)>,
}

/// What may be behind these incidents, likeliest first.
pub(super) fn rank(work: &Work<'_>, incidents: &[&Incident]) -> Vec<Candidate> {
    let incidents = &incidents[..incidents.len().min(INCIDENTS_MOST)];
    let mut candidates = items(work, incidents);
    candidates.extend(changes(work, incidents));
    // What explains one alone explains nothing of what they have in common.
    let least = candidates.iter().map(|one| one.explains).max().unwrap_or(0).min(2);
    candidates.retain(|one| one.explains >= least);
    candidates.sort_by(|a, b| b.score.cmp(&a.score).then_with(|| (&a.what, a.ci).cmp(&(&b.what, b.ci))));
    candidates.truncate(CANDIDATES_MOST);
    candidates
}

/// What people call a problem with these candidates.
pub(super) fn title(candidates: &[Candidate], incidents: &[&Incident]) -> String {
    match (candidates.first(), incidents.first()) {
        (Some(Candidate { change: Some(change), .. }), _) => format!("Several failures after {change}"),
        (Some(candidate), _) => format!("Several failures around {}", candidate.what),
        (None, Some(incident)) => format!("Several failures like: {}", incident.title),
        (None, None) => "A problem without incidents".to_owned(),
    }
}

fn share(part: usize, all: usize) -> i64 {
    let (part, all) = (i64::try_from(part).unwrap_or(0), i64::try_from(all.max(1)).unwrap_or(1));
    ALL * part / all
}

fn reason(sentence: String) -> Reason {
    Reason::new("cause", sentence)
}

fn explained(explains: &BTreeSet<IncidentId>, all: usize, how: &str) -> Reason {
    let named: Vec<String> = explains.iter().take(5).map(ToString::to_string).collect();
    let more = if explains.len() > 5 { format!(" and {} more", explains.len() - 5) } else { String::new() };
    reason(format!("{} of {all} incidents {how}: {}{more}", explains.len(), named.join(", ")))
}

fn items(work: &Work<'_>, incidents: &[&Incident]) -> Vec<Candidate> {
    let mut tallies: BTreeMap<CiId, Tally> = BTreeMap::new();
    for incident in incidents {
        for need in &incident.surroundings.needs {
            let tally = tallies.entry(need.ci).or_default();
            tally.explains.insert(incident.id);
            tally.steps += i64::from(need.steps);
            if need.steps == 0 {
                tally.own.push((incident.first_seen, incident.id));
            }
        }
    }
    let first = incidents.iter().map(|incident| (incident.first_seen, incident.id)).min();
    tallies.into_iter().map(|(ci, tally)| item(work, incidents, ci, &tally, first)).collect()
}

fn item(
    work: &Work<'_>,
    incidents: &[&Incident],
    ci: CiId,
    tally: &Tally,
    first: Option<(Millis, IncidentId)>,
) -> Candidate {
    let all = incidents.len();
    let explains = tally.explains.len();
    let mut score = share(explains, all) - STEP * tally.steps / i64::try_from(explains.max(1)).unwrap_or(1);
    let mut reasons = vec![explained(&tally.explains, all, "are about it or need it")];
    if let Some((_, own)) = tally.own.iter().min() {
        score += FAILED_ITSELF;
        reasons.push(reason(format!("{own} says that it failed itself")));
    }
    if tally.own.iter().any(|own| Some(*own) == first) {
        score += FAILED_FIRST;
        reasons.push(reason("it failed first".to_owned()));
    }
    if let Some((since, why)) = not_heard(work, ci) {
        score += NOT_HEARD;
        let ago = length(work.at.since(since).max(0));
        reasons.push(reason(format!("nobody has heard from it for {ago}: {}", why.replace('_', " "))));
    }
    let changed: BTreeSet<&str> = incidents
        .iter()
        .flat_map(|incident| &incident.surroundings.changes)
        .filter(|change| change.ci == ci)
        .map(|change| change.identity.as_str())
        .collect();
    if let Some(change) = changed.first() {
        score += CHANGED;
        reasons.push(reason(format!("it just changed: {change}")));
    }
    let what = work.desk.cmdb.graph().describe(ci);
    Candidate { what, ci: Some(ci), change: None, explains, score, reasons }
}

/// Since when nobody hears from a host, and why.
fn not_heard<'w>(work: &'w Work<'_>, ci: CiId) -> Option<(Millis, &'w str)> {
    let host = work.desk.cmdb.graph().get(ci).filter(|ci| ci.class == Class::Host)?;
    let agent = work.desk.agents.get(host.agent.as_deref()?)?;
    agent.lost.as_deref().filter(|_| agent.session.is_none()).map(|why| (agent.since, why))
}

fn changes(work: &Work<'_>, incidents: &[&Incident]) -> Vec<Candidate> {
    let mut seen: BTreeMap<&str, (BTreeSet<IncidentId>, Millis)> = BTreeMap::new();
    for incident in incidents {
        for change in &incident.surroundings.changes {
            let (explains, first) = seen.entry(&change.identity).or_insert((BTreeSet::new(), change.happened_at));
            explains.insert(incident.id);
            *first = (*first).min(change.happened_at);
        }
    }
    let graph = work.desk.cmdb.graph();
    // The spread is looked up for those alone that may come to be shown.
    let most = seen.values().map(|(explains, _)| explains.len()).max().unwrap_or(0);
    let shown = seen.into_iter().filter(|(_, (explains, _))| explains.len() == most).take(CANDIDATES_MOST);
    let failed = incidents.iter().map(|incident| incident.first_seen).min().unwrap_or(work.at);
    let within = work.config.settings.changed_within.saturating_mul(2);
    let change = |(identity, (explains, first)): (&str, (BTreeSet<IncidentId>, Millis))| {
        let all_hosts = hosts(graph);
        let spread = spread(graph, identity, Millis(work.at.0.saturating_sub(within))).max(1);
        let halvings = i64::from((all_hosts / spread).max(1).ilog2());
        let when = match failed.since(first) {
            before if before >= 0 => format!("{} before the first failure", length(before)),
            after => format!("{} after the first failure", length(-after)),
        };
        let reasons = vec![
            explained(&explains, incidents.len(), "saw it"),
            reason(format!("it came {when}, to {spread} of {all_hosts} hosts")),
        ];
        Candidate {
            what: identity.to_owned(),
            ci: None,
            change: Some(identity.to_owned()),
            explains: explains.len(),
            score: share(explains.len(), incidents.len()) + A_CHANGE + HALVING * halvings,
            reasons,
        }
    };
    shown.map(change).collect()
}
