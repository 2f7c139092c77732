//! What people do to incidents.

use super::alert::tell;
use super::{
    Action, Awaiting, Incident, IncidentFact, Priority, Resolution, ResolutionCode, State, flow, notice, open, resolve,
};
use crate::ids::IncidentId;
use crate::input::ActBody;
use crate::work::Work;
use crate::{Actor, Reason, Refusal, problems};

/// Does one of the incident acts.
///
/// Errors: `unknown`, `not_allowed_in_state`, `missing`, `invalid`; then nothing was changed.
pub(crate) fn act(work: &mut Work<'_>, who: &str, act: &ActBody) -> Result<(), Refusal> {
    match act {
        ActBody::IncidentAcknowledge { incident, note } => moves(work, who, *incident, Action::Acknowledge, None, note),
        ActBody::IncidentProgress { incident, note } => moves(work, who, *incident, Action::Progress, None, note),
        ActBody::IncidentHold { incident, awaiting, note } => {
            let awaiting: Awaiting = awaiting.parse().map_err(invalid)?;
            moves(work, who, *incident, Action::Hold, Some(awaiting), note)
        }
        ActBody::IncidentAssign { incident, assignee, group, note } => {
            assign(work, who, *incident, assignee.as_ref(), group.as_ref(), note)
        }
        ActBody::IncidentResolve { incident, code, note } => resolves(work, who, *incident, code, note),
        ActBody::IncidentReopen { incident, note } => reopen(work, who, *incident, note),
        ActBody::IncidentClose { incident, note } => {
            allowed(work, *incident, Action::Close, note)?;
            resolve::close(work, *incident, Action::Close, person(who), note.clone(), Vec::new());
            Ok(())
        }
        ActBody::IncidentCancel { incident, note } => {
            allowed(work, *incident, Action::Cancel, note)?;
            resolve::close(work, *incident, Action::Cancel, person(who), note.clone(), Vec::new());
            Ok(())
        }
        ActBody::IncidentNote { incident, note } => {
            allowed(work, *incident, Action::Note, note)?;
            tell(work, *incident, person(who), Vec::new(), IncidentFact::Noted { note: note.clone() });
            Ok(())
        }
        ActBody::IncidentPriority { incident, priority, note } => prioritise(work, who, *incident, *priority, note),
        other => Err(Refusal::new("invalid", format!("{other:?} is not an act on an incident"))),
    }
}

fn person(who: &str) -> Actor {
    Actor::Person(who.to_owned())
}

fn invalid(error: crate::UnknownWord) -> Refusal {
    Refusal::new("invalid", error.to_string())
}

/// The incident, and the state after the action, where it is allowed and what it needs is filled in.
fn allowed<'w>(
    work: &'w Work<'_>,
    id: IncidentId,
    action: Action,
    note: &str,
) -> Result<(&'w Incident, State), Refusal> {
    let Some(incident) = work.desk.incidents.get(&id) else {
        let sentence = format!("no incident {id} is open or lately resolved; closed ones stay as they are");
        return Err(Refusal::new("unknown", sentence));
    };
    let line = flow::FLOW
        .line(incident.state, action)
        .map_err(|error| Refusal::new("not_allowed_in_state", format!("{id}: {error}")))?;
    if line.needs.contains(&"note") && note.trim().is_empty() {
        return Err(Refusal::new("missing", format!("{id}: say in a note why, to {action} it")));
    }
    Ok((incident, line.to.unwrap_or(incident.state)))
}

fn moves(
    work: &mut Work<'_>,
    who: &str,
    id: IncidentId,
    action: Action,
    awaiting: Option<Awaiting>,
    note: &str,
) -> Result<(), Refusal> {
    let (incident, to) = allowed(work, id, action, note)?;
    let from = incident.state;
    if let Some(incident) = work.incident_mut(id) {
        incident.state = to;
        incident.awaiting = awaiting;
    }
    let body = IncidentFact::Moved { action, from, to, awaiting, note: note.to_owned() };
    tell(work, id, person(who), Vec::new(), body);
    resolve::reconsider(work, id);
    Ok(())
}

fn assign(
    work: &mut Work<'_>,
    who: &str,
    id: IncidentId,
    assignee: Option<&String>,
    group: Option<&String>,
    note: &str,
) -> Result<(), Refusal> {
    allowed(work, id, Action::Assign, note)?;
    if assignee.is_none() && group.is_none() {
        return Err(Refusal::new("missing", format!("{id}: name an assignee or a group")));
    }
    if let Some(incident) = work.incident_mut(id) {
        incident.assignee = assignee.cloned().or_else(|| incident.assignee.take());
        incident.group = group.cloned().or_else(|| incident.group.take());
        incident.assigned_by = Some(who.to_owned());
    }
    let body = IncidentFact::Assigned { assignee: assignee.cloned(), group: group.cloned(), note: note.to_owned() };
    tell(work, id, person(who), Vec::new(), body);
    resolve::reconsider(work, id);
    Ok(())
}

fn resolves(work: &mut Work<'_>, who: &str, id: IncidentId, code: &str, note: &str) -> Result<(), Refusal> {
    allowed(work, id, Action::Resolve, note)?;
    if code.trim().is_empty() {
        let codes: Vec<&str> = ResolutionCode::ALL.iter().map(|code| code.word()).collect();
        return Err(Refusal::new("missing", format!("{id}: give a code, one of {}", codes.join(", "))));
    }
    let code: ResolutionCode = code.parse().map_err(invalid)?;
    let resolution = Resolution { code, note: note.to_owned(), by: person(who), at: work.at, run: None };
    resolve::resolve(work, id, Action::Resolve, resolution, Vec::new());
    Ok(())
}

fn reopen(work: &mut Work<'_>, who: &str, id: IncidentId, note: &str) -> Result<(), Refusal> {
    let (incident, to) = allowed(work, id, Action::Reopen, note)?;
    let newest = work.desk.index.incident_of(&incident.key);
    if let Some(newer) = newest.filter(|newest| *newest != id) {
        let sentence =
            format!("{id}: {newer} of the same key came after it; there is one open incident a key, so work on that");
        return Err(Refusal::new("not_allowed_in_state", sentence));
    }
    let at = work.at;
    work.edit_incident(id, |incident| open::reopen(incident, to, at));
    work.clear_timer(&crate::TimerKind::IncidentClose { incident: id });
    tell(work, id, person(who), Vec::new(), IncidentFact::Reopened { note: note.to_owned() });
    problems::incident_reopened(work, id);
    notice::page(work, id, "reopened", None);
    Ok(())
}

fn prioritise(work: &mut Work<'_>, who: &str, id: IncidentId, level: u8, note: &str) -> Result<(), Refusal> {
    let (incident, _) = allowed(work, id, Action::Prioritise, note)?;
    if !(1..=5).contains(&level) {
        return Err(Refusal::new("invalid", format!("{id}: priority {level} is none of 1 (worst) to 5")));
    }
    let was = &incident.priority;
    let from = was.level;
    let reason = Reason::new("priority", format!("set to P{level} by hand: {note}"));
    let to = Priority { level, reasons: vec![reason.clone()], set_by: Some(who.to_owned()), ..was.clone() };
    if let Some(incident) = work.incident_mut(id) {
        incident.priority = to.clone();
    }
    tell(work, id, person(who), vec![reason], IncidentFact::PriorityChanged { from, to });
    problems::incident_changed(work, id);
    Ok(())
}
