//! What people do: refused with a sentence, or done once.

use serde_json::{Value, json};

use crate::cmdb::Verdict;
use crate::ids::CiId;
use crate::input::{Act, ActBody, AgentEvent};
use crate::work::Work;
use crate::{Actor, Desk, FactBody, Refusal, Subject, incidents, problems, runbooks, silences};

/// The setting that holds the stop switch while it is on.
pub(crate) const STOP_SWITCH: &str = "stop_switch";
/// The setting that holds the requests done last, each with the order of its input, and how many it remembers.
const REQUESTS: &str = "requests";
const REQUESTS_MAX: usize = 256;

impl Refusal {
    pub(crate) fn new(code: &str, sentence: impl Into<String>) -> Self {
        Self { code: code.to_owned(), sentence: sentence.into() }
    }
}

/// Does what a person asks for. The same request of the same person a second time changes nothing.
///
/// Errors: why it may not be done; then nothing was changed.
pub(crate) fn act(work: &mut Work<'_>, act: &Act) -> Result<(), Refusal> {
    if done_at(work.desk, &act.who, &act.request).is_some() {
        return Ok(());
    }
    let who = Actor::Person(act.who.clone());
    match &act.act {
        ActBody::RunStart { runbook, incident, agent, params } => {
            runbooks::start_by_hand(work, &act.who, runbook, *incident, agent.as_deref(), params)?;
        }
        ActBody::RunApprove { run, plan_hash } => runbooks::approve(work, &act.who, *run, plan_hash)?,
        ActBody::RunReject { run, note } => runbooks::reject(work, &act.who, *run, note)?,
        ActBody::RunStop { run, note } => runbooks::stop(work, &act.who, *run, note)?,
        ActBody::StopSwitch { on, note } => stop_switch(work, who, *on, note)?,
        ActBody::CiRetire { ci, note } => {
            let outcome = work.estate(|estate, moment| estate.retire(*ci, &act.who, note, moment))?;
            work.take_estate(outcome);
        }
        ActBody::CiSet { ci, name, value, note } => {
            let outcome = work.estate(|estate, moment| estate.set(*ci, (name, value), &act.who, note, moment))?;
            work.take_estate(outcome);
        }
        ActBody::RelationPin { from, to, note } => {
            relation(work, &act.who, (*from, *to), Some(Verdict::Pinned), note)?;
        }
        ActBody::RelationDeny { from, to, note } => {
            relation(work, &act.who, (*from, *to), Some(Verdict::Denied), note)?;
        }
        ActBody::RelationForget { from, to, note } => relation(work, &act.who, (*from, *to), None, note)?,
        ActBody::AgentRevoke { agent, note } => revoke(work, &act.who, agent, note)?,
        ActBody::SilenceSet { silence, matchers, starts_at, ends_at, author, note } => {
            let (silence, starts_at, ends_at) = (*silence, *starts_at, *ends_at);
            let wanted = silences::Wanted { silence, matchers, starts_at, ends_at, author, comment: note };
            silences::set(work, &act.who, &wanted)?;
        }
        ActBody::SilenceExpire { silence, note } => silences::expire(work, &act.who, *silence, note)?,
        of_problem @ (ActBody::ProblemCreate { .. }
        | ActBody::ProblemJoin { .. }
        | ActBody::ProblemMerge { .. }
        | ActBody::ProblemSplit { .. }
        | ActBody::ProblemInvestigate { .. }
        | ActBody::ProblemKnownError { .. }
        | ActBody::ProblemAssign { .. }
        | ActBody::ProblemFix { .. }
        | ActBody::ProblemResolve { .. }
        | ActBody::ProblemReopen { .. }
        | ActBody::ProblemClose { .. }
        | ActBody::ProblemCancel { .. }
        | ActBody::ProblemNote { .. }) => problems::act(work, &act.who, of_problem)?,
        of_incident => incidents::act(work, &act.who, of_incident)?,
    }
    remember(work, act);
    Ok(())
}

/// The order of the input that did this request of `who`; none where it is not among those remembered.
pub(crate) fn done_at(desk: &Desk, who: &str, request: &str) -> Option<u64> {
    if request.is_empty() {
        return None;
    }
    let done = desk.settings.get(REQUESTS)?.as_array()?;
    done.iter().find(|known| known["who"] == who && known["request"] == request)?["order"].as_u64()
}

fn remember(work: &mut Work<'_>, act: &Act) {
    if act.request.is_empty() {
        return;
    }
    let mut done = work.setting(REQUESTS).and_then(Value::as_array).cloned().unwrap_or_default();
    done.push(json!({"who": act.who, "request": act.request, "order": work.input.order}));
    let surplus = done.len().saturating_sub(REQUESTS_MAX);
    done.drain(..surplus);
    work.set_setting(REQUESTS, done.into());
}

fn stop_switch(work: &mut Work<'_>, who: Actor, on: bool, note: &str) -> Result<(), Refusal> {
    if note.trim().is_empty() {
        return Err(Refusal::new("missing", "say why in a note: the stop switch concerns everybody who runs runbooks"));
    }
    if work.desk.is_stopped() == on {
        let stands = if on { "on" } else { "off" };
        return Err(Refusal::new("not_allowed_in_state", format!("the stop switch is {stands} already")));
    }
    let value = if on { json!({ "note": note, "by": who, "at": work.at }) } else { Value::Null };
    work.set_setting(STOP_SWITCH, value);
    let body = FactBody::StopSwitch { on, note: note.to_owned() };
    work.tell(Subject::Controller, who, Vec::new(), body);
    if !on {
        runbooks::wake_all(work);
    }
    Ok(())
}

fn relation(
    work: &mut Work<'_>,
    who: &str,
    ends: (CiId, CiId),
    verdict: Option<Verdict>,
    note: &str,
) -> Result<(), Refusal> {
    let outcome = work.estate(|estate, moment| estate.judge(ends, verdict, who, note, moment))?;
    work.take_estate(outcome);
    Ok(())
}

fn revoke(work: &mut Work<'_>, who: &str, name: &str, note: &str) -> Result<(), Refusal> {
    let Some(agent) = work.desk.agents.get(name) else {
        let sentence = format!("no agent \"{name}\" is enrolled; `watchkeep agent list` names those that are");
        return Err(Refusal::new("unknown", sentence));
    };
    if agent.revoked {
        return Err(Refusal::new(
            "not_allowed_in_state",
            format!("the certificate of agent \"{name}\" is revoked already"),
        ));
    }
    let what = AgentEvent::Revoked { serial: agent.serial.clone(), by: who.to_owned(), reason: note.to_owned() };
    let change = crate::input::AgentChange { agent: name.to_owned(), happened_at: work.at, what };
    crate::agents::change(work, &change);
    Ok(())
}
