//! An incident clears, resolves, and closes; and what runbooks do to it on the way.

use super::alert::{is, tell, tell_seen};
use super::record::{ATTACHMENT_BYTES, ATTACHMENTS_MAX};
use super::{
    Action, AlertStanding, Attachment, IncidentFact, Resolution, ResolutionCode, State, earlier, flow, notice,
};
use crate::ids::{IncidentId, RunId};
use crate::input::AlertChange;
use crate::time::spoken as length;
use crate::work::Work;
use crate::{Actor, Millis, Reason, TimerKind, problems, runbooks};

/// An alert's condition is false.
pub(super) fn cleared(work: &mut Work<'_>, id: IncidentId, alert: &AlertChange) {
    let at = work.at;
    let Some(incident) = work.incident_mut(id) else { return };
    let standing = |known: &&mut super::MemberAlert| is(known, alert) && !known.is_clear();
    let Some(known) = incident.alerts.iter_mut().find(standing) else { return };
    known.standing = AlertStanding::Cleared;
    if incident.all_clear() {
        incident.clear_since = Some(at);
    }
    reconsider(work, id);
    let resolves_at = work.desk.timers.find(&TimerKind::IncidentResolve { incident: id }).map(|timer| timer.due);
    let why = if alert.reason.is_empty() { "its condition is false" } else { &alert.reason };
    let sentence = match resolves_at {
        Some(due) => format!("{why}; the incident resolves in {} unless it fires again", length(due.since(at))),
        None => why.to_owned(),
    };
    let reasons = vec![Reason { evidence: alert.evidence.clone().into(), ..Reason::new("clear", sentence) }];
    let (rule, labels, reason) = (alert.rule.clone(), alert.labels.clone(), alert.reason.clone());
    let body = IncidentFact::AlertCleared { rule, labels, resolves_at, reason };
    tell_seen(work, id, alert, Actor::Rule(alert.rule.clone()), reasons, body);
    runbooks::condition_changed(work, id);
}

/// Sets or takes back the timer by which it resolves, after anything that bears on it.
pub(super) fn reconsider(work: &mut Work<'_>, id: IncidentId) {
    let timer = TimerKind::IncidentResolve { incident: id };
    let due = resolves_at(work, id);
    match (due, work.desk.timers.find(&timer)) {
        (Some(due), Some(set)) if set.due == due => {}
        (due, _) => {
            work.clear_timer(&timer);
            if let Some(due) = due {
                work.set_timer(due, timer);
            }
        }
    }
}

/// When the incident resolves by itself; none where it does not.
fn resolves_at(work: &Work<'_>, id: IncidentId) -> Option<Millis> {
    let incident = work.desk.incidents.get(&id)?;
    let may =
        flow::FLOW.step(incident.state, Action::Recover).is_ok() && !incident.taken_over() && incident.all_clear();
    let since = incident.clear_since.filter(|_| may)?;
    Some(since.plus(incident.resolve_after))
}

/// `resolve_after` is over: resolves the incident, unless a run is still on it; then the end of the run does.
pub(crate) fn recover(work: &mut Work<'_>, id: IncidentId) {
    let Some(due) = resolves_at(work, id) else { return };
    if due > work.at {
        work.set_timer(due, TimerKind::IncidentResolve { incident: id });
        return;
    }
    if runbooks::is_going_on(work, id) {
        return;
    }
    let Some(incident) = work.desk.incidents.get(&id) else { return };
    let clear_for = incident.clear_since.map_or(0, |since| work.at.since(since));
    let mended = runbooks::mended_by(work, id);
    let (code, how) = match mended {
        Some(run) => (ResolutionCode::FixedByRunbook, format!("{run} succeeded on it since the alert fired")),
        None => (ResolutionCode::Recovered, "no run on it succeeded since the alert fired".to_owned()),
    };
    let reasons = vec![
        Reason::new(
            "auto-resolve",
            format!("all its alerts have been clear for {} and nobody took it over", length(clear_for)),
        ),
        Reason::new("resolution", format!("{how}: {code}")),
    ];
    let resolution = Resolution { code, note: String::new(), by: Actor::Controller, at: work.at, run: mended };
    resolve(work, id, Action::Recover, resolution, reasons);
}

/// A run on the incident ended: what waited for it may go on.
pub(crate) fn run_ended(work: &mut Work<'_>, id: IncidentId) {
    if resolves_at(work, id).is_some_and(|due| due <= work.at) {
        work.clear_timer(&TimerKind::IncidentResolve { incident: id });
        recover(work, id);
    }
}

/// Resolves it. The caller has asked the flow; a pair that it refuses changes nothing.
pub(super) fn resolve(
    work: &mut Work<'_>,
    id: IncidentId,
    action: Action,
    resolution: Resolution,
    reasons: Vec<Reason>,
) {
    let at = work.at;
    let close_at = at.plus(work.config.settings.close_after);
    let Some(incident) = work.incident_mut(id) else { return };
    let Ok(state) = flow::FLOW.step(incident.state, action) else { return };
    incident.state = state;
    incident.awaiting = None;
    incident.resolution = Some(resolution.clone());
    work.clear_timer(&TimerKind::IncidentResolve { incident: id });
    work.set_timer(close_at, TimerKind::IncidentClose { incident: id });
    let Resolution { code, note, by, run, .. } = resolution;
    tell(work, id, by, reasons, IncidentFact::Resolved { code, note, run });
    runbooks::incident_over(work, id);
    notice::page(work, id, "resolved", None);
    problems::incident_over(work, id);
}

/// Resolved for long enough.
pub(crate) fn expire(work: &mut Work<'_>, id: IncidentId) {
    let sentence = format!("it has been resolved for {}", length(work.config.settings.close_after));
    close(work, id, Action::Expire, Actor::Controller, String::new(), vec![Reason::new("close", sentence)]);
}

pub(super) fn close(
    work: &mut Work<'_>,
    id: IncidentId,
    action: Action,
    by: Actor,
    note: String,
    reasons: Vec<Reason>,
) {
    let at = work.at;
    let Some(incident) = work.incident_mut(id) else { return };
    let Ok(state) = flow::FLOW.step(incident.state, action) else { return };
    incident.state = state;
    incident.closed_at = Some(at);
    let key = incident.key.clone();
    earlier::remember(work, &key, id);
    work.clear_timer(&TimerKind::IncidentClose { incident: id });
    work.clear_timer(&TimerKind::IncidentResolve { incident: id });
    let fact = match action {
        Action::Cancel => IncidentFact::Cancelled { note },
        _ => IncidentFact::Closed { note },
    };
    tell(work, id, by, reasons, fact);
    runbooks::incident_over(work, id);
    notice::forget(work, id);
    problems::incident_over(work, id);
}

/// A runbook has done what it could; a person is needed.
pub(crate) fn hand_over(work: &mut Work<'_>, id: IncidentId, actor: Actor, reason: Reason) {
    let why = reason.sentence.clone();
    tell(work, id, actor, vec![reason], IncidentFact::HandedOver { why });
}

/// `record: {incident: {state: …}}` of a runbook. A state that it cannot go to is left as it is, and said.
pub(crate) fn move_by_run(work: &mut Work<'_>, id: IncidentId, run: RunId, word: &str) {
    let Some(from) = work.desk.incidents.get(&id).map(|incident| incident.state) else { return };
    let action = match word.parse() {
        Ok(State::Acknowledged) => Some(Action::Acknowledge),
        Ok(State::InProgress) => Some(Action::Progress),
        Ok(State::Resolved) => Some(Action::Resolve),
        _ => None,
    };
    let step = action.and_then(|action| flow::FLOW.step(from, action).ok().map(|to| (action, to)));
    match step {
        Some((action @ Action::Resolve, _)) => {
            let (code, by) = (ResolutionCode::FixedByRunbook, Actor::Run(run));
            let resolution = Resolution { code, note: String::new(), by, at: work.at, run: Some(run) };
            resolve(work, id, action, resolution, vec![Reason::new("hook", format!("{run} resolves it"))]);
        }
        Some((action, to)) => {
            if let Some(incident) = work.incident_mut(id) {
                incident.state = to;
            }
            let body = IncidentFact::Moved { action, from, to, awaiting: None, note: String::new() };
            tell(work, id, Actor::Run(run), vec![Reason::new("hook", format!("{run} puts it to {to}"))], body);
            reconsider(work, id);
        }
        None => {
            let note = format!("{run} would put it to \"{word}\", which cannot be done from {from}");
            tell(work, id, Actor::Run(run), Vec::new(), IncidentFact::Noted { note });
        }
    }
}

/// Puts a step's output onto the incident: all of it into the ledger, its beginning into the record.
pub(crate) fn attach(work: &mut Work<'_>, id: IncidentId, run: RunId, name: &str, text: &str) {
    let at = work.at;
    let Some(incident) = work.incident_mut(id) else { return };
    let kept = &text[..text.floor_char_boundary(ATTACHMENT_BYTES)];
    let cut = (text.len() - kept.len()) as u64;
    incident.attachments.push(Attachment { name: name.to_owned(), run, at, text: kept.to_owned(), cut });
    let surplus = incident.attachments.len().saturating_sub(ATTACHMENTS_MAX);
    incident.attachments.drain(..surplus);
    let body = IncidentFact::Attached { run, name: name.to_owned(), text: text.to_owned(), cut: 0 };
    tell(work, id, Actor::Run(run), Vec::new(), body);
}
