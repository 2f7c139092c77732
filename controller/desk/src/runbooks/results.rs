//! What comes back from a step: a result, a verdict on a watched condition, or nothing in time; and what follows from it.

use super::record::OUTPUT_BYTES;
use super::steps::{advance, is_stepping, names_now, tell};
use super::{Action, Run, RunFact, State, StepState, end, flow, template};
use crate::ids::RunId;
use crate::incidents;
use crate::input::{CommandOutcome, Outcome};
use crate::time::spoken as length;
use crate::work::Work;
use crate::{Actor, FactBody, Reason, Subject, TimerKind};

/// How often a step is sent again that the host did not begin, or whose outcome is unknown and may be repeated.
const RESENDS_MAX: u32 = 2;
/// Refusals by which the host says that it did not begin, and would have a moment later.
const NOT_BEGUN: &[&str] = &["expired", "nonce", "epoch"];

/// A command's result came in: news for the run that ordered it, or a stray.
pub(crate) fn result(work: &mut Work<'_>, result: &CommandOutcome) {
    let ordered = work.desk.index.ordered_by(result.command);
    let ours = ordered.filter(|(run, _)| work.desk.runs.get(run).is_some_and(|run| run.agent == result.agent));
    let Some((id, step)) = ours else {
        let agent = result.agent.clone();
        let reason = Reason::new("stray", "this controller does not wait for a result of that command from that agent");
        let (subject, body) = (Subject::Agent(agent.clone()), FactBody::StrayResult(result.clone()));
        work.tell_seen(result.finished_at, subject, Actor::Agent(agent), vec![reason], body);
        return;
    };
    if !is_awaited(work, id, step, result) {
        let fact = RunFact::LateResult { step, result: result.clone() };
        tell_seen(work, id, result, fact);
        return;
    }
    let attempt = work.desk.runs[&id].journal[step].attempts;
    work.clear_timer(&TimerKind::StepOverdue { run: id, step, attempt });
    take_in(work, id, step, result);
    ended(work, id, step, result.outcome, refusal_of(result));
}

/// Whether the run waits for this result: the newest attempt of the step whose turn it is. That the host refuses what it has
/// seen before is no news of how the first one ended.
fn is_awaited(work: &Work<'_>, id: RunId, step: usize, result: &CommandOutcome) -> bool {
    let Some(run) = work.desk.runs.get(&id) else { return false };
    let journal = &run.journal[step];
    let newest = journal.commands.last() == Some(&result.command);
    let open = match run.state {
        State::Running | State::RollingBack => journal.state == StepState::Sent,
        State::Unknown => journal.state == StepState::Unknown && result.outcome != Outcome::Unknown,
        _ => false,
    };
    run.step == step && newest && open && result.refusal.as_deref() != Some("replayed")
}

/// The host's refusal as a reason, the policy line in it.
fn refusal_of(result: &CommandOutcome) -> Option<(String, String)> {
    (result.outcome == Outcome::Refused).then(|| (result.refusal.clone().unwrap_or_default(), result.reason.clone()))
}

/// Journals a result.
fn take_in(work: &mut Work<'_>, id: RunId, step: usize, result: &CommandOutcome) {
    let at = work.at;
    let Some(run) = work.run_mut(id) else { return };
    if run.state == State::Unknown {
        run.state = flow::FLOW.step(run.state, Action::Settle).unwrap_or(run.state);
        run.outcome = None;
    }
    let journal = &mut run.journal[step];
    let kept = |text: &str| text[..text.floor_char_boundary(OUTPUT_BYTES)].to_owned();
    journal.outcome = Some(result.outcome);
    journal.exit = result.exit;
    journal.changed = result.changed;
    journal.stdout = kept(&result.stdout);
    journal.stderr = kept(&result.stderr);
    journal.reason.clone_from(&result.reason);
    journal.ended_at = Some(at);
    let fact = RunFact::StepEnded {
        step,
        name: journal.name.clone(),
        attempt: journal.attempts,
        command: result.command,
        outcome: result.outcome,
        exit: result.exit,
        stdout: result.stdout.clone(),
        stderr: result.stderr.clone(),
        cut: result.cut,
        started_at: result.started_at,
        finished_at: result.finished_at,
        changed: result.changed,
        refusal: result.refusal.clone(),
        reason: result.reason.clone(),
    };
    tell_seen(work, id, result, fact);
}

/// States what a result reports of a run, at the host's time.
fn tell_seen(work: &mut Work<'_>, id: RunId, result: &CommandOutcome, fact: RunFact) {
    let actor = Actor::Agent(result.agent.clone());
    let allowed = (!result.policy.is_empty()).then(|| Reason::new("policy", result.policy.clone()));
    work.tell_seen(result.finished_at, Subject::Run(id), actor, Vec::from_iter(allowed), FactBody::Run(fact));
}

/// What follows from how an attempt ended.
fn ended(work: &mut Work<'_>, id: RunId, step: usize, outcome: Outcome, refusal: Option<(String, String)>) {
    let not_begun = refusal.as_ref().is_some_and(|(word, _)| NOT_BEGUN.contains(&word.as_str()));
    let Some(run) = work.run_mut(id) else { return };
    let (planned, journal) = (&run.plan.steps[step], &mut run.journal[step]);
    let again = match outcome {
        Outcome::Done => return done(work, id, step),
        Outcome::Refused | Outcome::Unknown => {
            journal.resends += 1;
            (not_begun || (outcome == Outcome::Unknown && planned.idempotent)) && journal.resends <= RESENDS_MAX
        }
        Outcome::Failed | Outcome::TimedOut => {
            journal.failures += 1;
            journal.failures <= planned.retries
        }
    };
    if again {
        journal.state = StepState::Pending;
        return advance(work, id);
    }
    let why = why_failed(run, step, outcome, refusal);
    if outcome == Outcome::Unknown && run.state == State::Running && !run.plan.steps[step].idempotent {
        return end::lose_track(work, id, Reason::new("unknown", why));
    }
    run.journal[step].state = StepState::Failed;
    end::step_failed(work, id, Reason::new(if outcome == Outcome::Refused { "policy" } else { "step" }, why));
}

/// `step 2 of 4 "reload" exited 1 after 3.2 s: …`
fn why_failed(run: &Run, step: usize, outcome: Outcome, refusal: Option<(String, String)>) -> String {
    let (planned, journal) = (&run.plan.steps[step], &run.journal[step]);
    let took = journal.sent_at.zip(journal.ended_at).map_or(0, |(sent, ended)| ended.since(sent));
    let what = match (outcome, refusal) {
        (_, Some((word, reason))) => format!("was refused by the host ({word}): {reason}"),
        (Outcome::TimedOut, _) => format!("did not end within {}", length(planned.timeout)),
        (Outcome::Unknown, _) if planned.idempotent => {
            format!("has no known outcome after {} attempts", journal.attempts)
        }
        (Outcome::Unknown, _) => {
            "was begun and nobody knows how it ended; it is not idempotent, so it is not sent again".to_owned()
        }
        _ => match journal.exit {
            Some(exit) => format!("exited {exit} after {}", length(took)),
            None => format!("failed after {}", length(took)),
        },
    };
    let detail = if journal.reason.is_empty() || outcome == Outcome::Refused {
        String::new()
    } else {
        format!(": {}", journal.reason)
    };
    format!("step {} of {} \"{}\" {what}{detail}", step + 1, run.plan.steps.len(), planned.name)
}

fn done(work: &mut Work<'_>, id: RunId, step: usize) {
    let Some(run) = work.run_mut(id) else { return };
    run.journal[step].state = StepState::Done;
    run.step += 1;
    attach(work, id, step);
    advance(work, id);
}

/// Puts what the step's `attach` names onto the incident.
fn attach(work: &mut Work<'_>, id: RunId, step: usize) {
    let Some(run) = work.desk.runs.get(&id) else { return };
    let (Some(expression), Some(incident)) = (run.plan.steps[step].attach.clone(), run.incident) else { return };
    match template::evaluate(&expression, &names_now(work, run)) {
        Ok(value) => incidents::attach(work, incident, id, &expression, &value.to_string()),
        Err(fault) => incidents::attach(work, incident, id, &expression, &format!("could not be attached: {fault}")),
    }
}

/// No result in time: nobody knows how it ended. For a watched condition: nobody said that it held.
pub(crate) fn overdue(work: &mut Work<'_>, id: RunId, step: usize, attempt: u32) {
    let Some(run) = work.desk.runs.get(&id) else { return };
    if run.step != step || !is_stepping(run) || run.journal[step].attempts != attempt {
        return;
    }
    match run.journal[step].state {
        StepState::Watching => watched(work, id, step, false, "nobody could tell in time whether it held"),
        StepState::Sent => unanswered(work, id, step, ""),
        _ => {}
    }
}

/// The agent was enrolled again: by another host than the one that was sent commands, for all that is known, which could not
/// tell them from new ones. They are not sent any more, and nobody knows how they ended.
pub(crate) fn enrolled_again(work: &mut Work<'_>, agent: &str) {
    let is_sent = |run: &Run| {
        let journal = run.journal.get(run.step).filter(|_| is_stepping(run));
        journal.is_some_and(|journal| journal.state == StepState::Sent)
    };
    let runs = work.desk.index.runs_on(agent).filter_map(|id| work.desk.runs.get(&id));
    let sent: Vec<(RunId, usize)> = runs.filter(|run| is_sent(run)).map(|run| (run.id, run.step)).collect();
    for (id, step) in sent {
        let attempt = work.desk.runs[&id].journal[step].attempts;
        work.clear_timer(&TimerKind::StepOverdue { run: id, step, attempt });
        unanswered(work, id, step, "the host was enrolled again after it was sent, and may be another");
    }
}

/// Gives up waiting for the result of the newest attempt, which was sent; an empty `why`: it did not come in time.
fn unanswered(work: &mut Work<'_>, id: RunId, step: usize, why: &str) {
    let at = work.at;
    let Some(run) = work.run_mut(id) else { return };
    let journal = &mut run.journal[step];
    let Some(command) = journal.commands.last().copied() else { return };
    let (name, attempt) = (journal.name.clone(), journal.attempts);
    journal.state = StepState::Unknown;
    journal.outcome = Some(Outcome::Unknown);
    if why.is_empty() { "no result came in time" } else { why }.clone_into(&mut journal.reason);
    journal.ended_at = Some(at);
    let fact = RunFact::StepOverdue { step, name, attempt, command, why: why.to_owned() };
    tell(work, id, Actor::Controller, Vec::new(), fact);
    ended(work, id, step, Outcome::Unknown, None);
}

/// A watched condition held for long enough, or did not in time.
pub(crate) fn watched(work: &mut Work<'_>, id: RunId, step: usize, held: bool, detail: &str) {
    let at = work.at;
    let Some(run) = work.desk.runs.get(&id) else { return };
    let watching = run.journal.get(step).is_some_and(|journal| journal.state == StepState::Watching);
    if run.step != step || !is_stepping(run) || !watching {
        return;
    }
    let attempt = run.journal[step].attempts;
    work.clear_timer(&TimerKind::StepOverdue { run: id, step, attempt });
    let Some(run) = work.run_mut(id) else { return };
    let journal = &mut run.journal[step];
    journal.ended_at = Some(at);
    detail.clone_into(&mut journal.reason);
    let name = journal.name.clone();
    tell(work, id, Actor::Controller, Vec::new(), RunFact::WatchEnded { step, name, held, detail: detail.to_owned() });
    ended(work, id, step, if held { Outcome::Done } else { Outcome::TimedOut }, None);
}
