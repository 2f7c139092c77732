//! What agents say of themselves and of their hosts.

use crate::ids::CiId;
use crate::input::{AgentChange, AgentEvent, Fragment};
use crate::problems;
use crate::runbooks;
use crate::work::Work;
use crate::{Actor, FactBody, Subject, TimerKind};

/// Takes a section of a host's inventory into the CMDB.
pub(crate) fn inventory(work: &mut Work<'_>, fragment: &Fragment) {
    let outcome = work.estate(|estate, moment| estate.apply(fragment, moment));
    let is_news = !outcome.facts.is_empty();
    work.take_estate(outcome);
    let host = work.desk.cmdb.host_of(&fragment.agent);
    if let Some(host) = host.filter(|_| is_news) {
        problems::surroundings_changed(work, host);
    }
    if host.is_some() && work.desk.agents.get(&fragment.agent).is_some_and(|agent| agent.ci != host) {
        work.agent_mut(&fragment.agent).ci = host;
    }
}

/// A CI was not seen for too long.
pub(crate) fn unseen(work: &mut Work<'_>, ci: CiId) {
    let outcomes = work.estate(|estate, moment| estate.due(ci, moment));
    outcomes.into_iter().for_each(|outcome| work.take_estate(outcome));
}

/// An agent enrolled, came, went, or said something of itself.
pub(crate) fn change(work: &mut Work<'_>, change: &AgentChange) {
    let actor = match &change.what {
        AgentEvent::Revoked { by, .. } => Actor::Person(by.clone()),
        AgentEvent::Said { .. }
        | AgentEvent::Connected { .. }
        | AgentEvent::Acts { .. }
        | AgentEvent::Renewed { .. }
        | AgentEvent::Renumbered { .. } => Actor::Agent(change.agent.clone()),
        AgentEvent::Enrolled { .. } | AgentEvent::Lost { .. } | AgentEvent::Suspicious { .. } => Actor::Controller,
    };
    enter(work, &change.agent, &change.what);
    let subject = Subject::Agent(change.agent.clone());
    work.tell_seen(change.happened_at, subject, actor, Vec::new(), FactBody::Agent(change.what.clone()));
    let outcome = work.estate(|estate, moment| estate.agent(&change.agent, &change.what, moment));
    work.take_estate(outcome);
    watch_host(work, &change.agent);
    if matches!(change.what, AgentEvent::Enrolled { .. }) {
        runbooks::enrolled_again(work, &change.agent);
    }
    if matches!(change.what, AgentEvent::Connected { .. } | AgentEvent::Enrolled { .. }) {
        runbooks::wake_host(work, &change.agent);
    }
}

/// Ties the agent to its host; where it has just gone away, its host is missing after a while.
fn watch_host(work: &mut Work<'_>, name: &str) {
    let Some(host) = work.desk.cmdb.host_of(name) else { return };
    let missing_at = work.at.plus(work.config.settings.missing_after);
    let at = work.at;
    let agent = work.agent_mut(name);
    agent.ci = Some(host);
    if agent.lost.is_some() && agent.since == at {
        work.set_timer(missing_at, TimerKind::CiUnseen { ci: host });
    }
}

/// Takes the change into the agent's record.
fn enter(work: &mut Work<'_>, name: &str, what: &AgentEvent) {
    let at = work.at;
    let agent = work.agent_mut(name);
    match what {
        AgentEvent::Enrolled { serial, labels, .. } => {
            agent.serial.clone_from(serial);
            agent.labels.clone_from(labels);
            agent.revoked = false;
            // Both went with the certificate that was in force.
            agent.lost.take_if(|reason| matches!(reason.as_str(), "quarantined" | "revoked"));
            agent.since = at;
        }
        // What was revoked or enrolled again since has no place to be taken.
        AgentEvent::Renewed { serial, before } if agent.serial == *before && !agent.revoked => {
            agent.serial.clone_from(serial);
        }
        AgentEvent::Revoked { serial, .. } if agent.serial == *serial || agent.serial.is_empty() => {
            agent.revoked = true;
            agent.session = None;
            agent.lost = Some("revoked".to_owned());
            agent.since = at;
        }
        AgentEvent::Connected { session, version, .. } => {
            agent.session = Some(session.clone());
            agent.version.clone_from(version);
            agent.lost = None;
            agent.since = at;
        }
        // The end of an older session says nothing about the one that lives.
        AgentEvent::Lost { session, reason } if agent.session.as_ref().is_none_or(|live| live == session) => {
            agent.session = None;
            agent.lost = Some(reason.clone());
            agent.since = at;
        }
        AgentEvent::Acts { able } => agent.cannot_act = !able,
        AgentEvent::Renewed { .. }
        | AgentEvent::Revoked { .. }
        | AgentEvent::Lost { .. }
        | AgentEvent::Renumbered { .. }
        | AgentEvent::Suspicious { .. }
        | AgentEvent::Said { .. } => {}
    }
}
