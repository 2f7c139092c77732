//! What happens to incidents, as sentences.

use super::{counted, noted, receiver, short};
use crate::incidents::{IncidentFact, Opening};

pub(super) fn sentence(fact: &IncidentFact) -> String {
    match fact {
        IncidentFact::Opened(opening) => opened(opening),
        IncidentFact::AlertFired { rule, again: true, .. } => format!("an alert of {rule} fires again"),
        IncidentFact::AlertFired { rule, again: false, .. } => format!("an alert of {rule} fires"),
        IncidentFact::AlertCleared { rule, resolves_at, reason, .. } => {
            let last = resolves_at.map_or("", |_| "; no alert of the incident fires any more");
            format!("the alert of {rule} cleared{}{last}", noted(reason))
        }
        IncidentFact::AlertStale { rule, reason, .. } => {
            let whose = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
            format!("no data for the alert of {rule}{whose}: held as it was")
        }
        IncidentFact::PriorityChanged { from, to } => format!("priority went from P{from} to P{}", to.level),
        IncidentFact::Moved { action, to, awaiting, note, .. } => {
            let waits = awaiting.map(|awaiting| format!(", awaiting {awaiting}")).unwrap_or_default();
            let action = action.word();
            format!("{action}: now {}{waits}{}", to.word().replace('_', " "), noted(note))
        }
        IncidentFact::Assigned { assignee, group, note } => {
            format!("assigned to {}{}", receiver(assignee.as_deref(), group.as_deref()), noted(note))
        }
        IncidentFact::Resolved { code, note, run } => {
            let by = run.map(|run| format!(" by {run}")).unwrap_or_default();
            format!("resolved as {code}{by}{}", noted(note))
        }
        IncidentFact::Reopened { note } => format!("opened again{}", noted(note)),
        IncidentFact::Closed { note } => format!("closed{}", noted(note)),
        IncidentFact::Cancelled { note } => format!("cancelled{}", noted(note)),
        IncidentFact::Noted { note } => format!("note: {}", note.trim()),
        IncidentFact::Attached { run, name, text, .. } => {
            let (bytes, lines) = (counted(text.len(), "byte"), counted(text.lines().count(), "line"));
            format!("{run} attached {name}: {bytes} in {lines}")
        }
        IncidentFact::RunNotStarted { runbook, why } => format!("runbook {runbook} was not started: {why}"),
        IncidentFact::HandedOver { why } => format!("handed over to a person: {why}"),
        IncidentFact::Follows { incident } => format!("follows from {incident}"),
        IncidentFact::JoinedProblem { problem, workaround: None } => format!("joined {problem}"),
        IncidentFact::JoinedProblem { problem, workaround: Some(text) } => {
            format!("joined {problem}, a known error; workaround: {text}")
        }
        IncidentFact::LeftProblem { problem, note } => format!("left {problem}{}", noted(note)),
        IncidentFact::WorkaroundKnown { problem, workaround } => {
            format!("{problem} is a known error; workaround: {workaround}")
        }
        IncidentFact::PageHeld { why } => format!("nobody is told by itself of this: {}", news(why)),
        IncidentFact::Told { notice, why, group } => {
            let whom =
                group.as_ref().map_or_else(|| "everybody who listens".to_owned(), |group| format!("group {group}"));
            format!("a notice to {whom} is on its way: {} (notice {})", news(why), short(&notice.to_string()))
        }
    }
}

/// What a notice says, as a sentence.
pub(super) fn news(why: &str) -> String {
    match why {
        "opened" => "the incident opened".to_owned(),
        "reopened" => "the incident opened again".to_owned(),
        "resolved" => "the incident was resolved".to_owned(),
        "handed_over" => "the incident was handed over to a person".to_owned(),
        "approval_wanted" => "a run on the incident waits for approval".to_owned(),
        "run_failed" => "a run on the incident failed".to_owned(),
        other => other.replace('_', " "),
    }
}

fn opened(opening: &Opening) -> String {
    let earlier = opening.earlier.map(|earlier| format!(", after {earlier}")).unwrap_or_default();
    format!("opened as P{}: {}{earlier}", opening.priority.level, opening.title)
}
