//! The engine: one step after the other, each planned again before it is sent, each journalled.

use serde_json::{Value, json};

use super::plan::{action, all_steps, hash_of, names_of, plan};
use super::sight::Sight;
use super::{Plan, PlannedAction, Run, RunFact, State, StepRun, StepState, Watch, end, guards, template};
use crate::decision::{Action, Order};
use crate::ids::{CommandId, RunId, derive};
use crate::work::Work;
use crate::{Actor, Effect, FactBody, Reason, Subject, TimerKind};

/// States a fact of a run.
pub(super) fn tell(work: &mut Work<'_>, id: RunId, actor: Actor, reasons: Vec<Reason>, fact: RunFact) {
    work.tell(Subject::Run(id), actor, reasons, FactBody::Run(fact));
}

/// Goes on with the step whose turn it is, until something must be waited for. The only place that sends a step.
pub(super) fn advance(work: &mut Work<'_>, id: RunId) {
    // Bounded by the steps: each turn sends, ends the run, or goes one step on.
    while let Some(run) = work.desk.runs.get(&id).filter(|run| is_stepping(run)) {
        let rolling_back = run.state == State::RollingBack;
        let Some(step) = run.plan.steps.get(run.step).filter(|step| step.rollback == rolling_back) else {
            return end::steps_done(work, id);
        };
        if let Some(wait) = guards::held_between_steps(work, run) {
            return super::wait(work, id, wait);
        }
        if let Err(why) = as_planned(work, run) {
            return end::fail(work, id, Reason::new("plan", why));
        }
        let (skipped, when) = (step.skipped, step.when.clone());
        let skip = match (skipped, when) {
            (true, _) => Ok(Some("when".to_owned())),
            (false, Some(when)) => template::holds(&when, &names_now(work, run)).map(|holds| (!holds).then_some(when)),
            (false, None) => Ok(None),
        };
        match skip {
            Err(fault) => return end::step_failed(work, id, Reason::new("step", fault)),
            Ok(Some(when)) => pass_over(work, id, when),
            Ok(None) => return send(work, id),
        }
    }
}

pub(super) fn is_stepping(run: &Run) -> bool {
    matches!(run.state, State::Running | State::RollingBack)
}

/// Whether planning again gives the plan that was started and, where it was needed, approved.
fn as_planned(work: &Work<'_>, run: &Run) -> Result<(), String> {
    let again = plan_again(work, run)?;
    let hash = hash_of(&again);
    if hash == run.plan_hash {
        return Ok(());
    }
    Err(format!(
        "planning again gives another plan ({} was {}): {}",
        &hash[..12],
        &run.plan_hash[..12],
        differs(&run.plan, &again)
    ))
}

fn plan_again(work: &Work<'_>, run: &Run) -> Result<Plan, String> {
    let runbook = work.config.rules.runbooks.get(&run.runbook);
    let runbook = runbook.ok_or_else(|| format!("runbook \"{}\" is no longer loaded", run.runbook))?;
    let sight = Sight::of(work.desk, run.incident, run.alert.as_ref(), Some(&run.agent));
    plan(runbook, &run.plan.params, &sight, Some(&run.agent)).map_err(|error| error.to_string())
}

/// The first thing that differs, for people.
fn differs(was: &Plan, is: &Plan) -> String {
    if was.steps.len() != is.steps.len() {
        return format!("{} steps were {}", is.steps.len(), was.steps.len());
    }
    match was.steps.iter().zip(&is.steps).find(|(was, is)| was != is) {
        Some((was, is)) => {
            format!("step \"{}\" is not what it was ({} was {})", is.name, json!(is.action), json!(was.action))
        }
        None => "its guards or its parameters".to_owned(),
    }
}

/// What templates see now, results of earlier steps included.
pub(super) fn names_now(work: &Work<'_>, run: &Run) -> template::Names {
    let sight = Sight::of(work.desk, run.incident, run.alert.as_ref(), Some(&run.agent));
    let mut names = names_of(&run.plan.params, &sight);
    if let Some(host) = sight.hosts.get(&run.agent) {
        names.insert("host".to_owned(), minijinja::Value::from(minijinja::value::Serde(host)));
    }
    for (step, journal) in run.plan.steps.iter().zip(&run.journal) {
        if let Some(name) = &step.register {
            names.insert(name.clone(), minijinja::Value::from(minijinja::value::Serde(result_of(journal))));
        }
    }
    names
}

fn result_of(journal: &StepRun) -> Value {
    json!({
        "stdout": journal.stdout,
        "stderr": journal.stderr,
        "exit": journal.exit,
        "changed": journal.changed,
        "outcome": journal.outcome.map_or_else(|| json!(journal.state), |outcome| json!(outcome)),
        "reason": journal.reason,
    })
}

fn pass_over(work: &mut Work<'_>, id: RunId, when: String) {
    let Some(run) = work.run_mut(id) else { return };
    let step = run.step;
    run.journal[step].state = StepState::Skipped;
    run.step += 1;
    let name = run.journal[step].name.clone();
    tell(work, id, Actor::Run(id), Vec::new(), RunFact::StepSkipped { step, name, when });
}

/// Renders the step with what is known now, journals it, and sends it or begins to watch.
fn send(work: &mut Work<'_>, id: RunId) {
    let Some(run) = work.desk.runs.get(&id) else { return };
    let step = run.step;
    let runbook = work.config.rules.runbooks.get(&run.runbook);
    let written = runbook.and_then(|runbook| all_steps(runbook).nth(step)).map(|(step, _)| &step.action);
    let Some(written) = written else { return };
    match action(written, &names_now(work, run), &run.plan.params, &run.agent) {
        Err(fault) => end::step_failed(work, id, Reason::new("step", fault)),
        Ok(PlannedAction::Host(action)) => order(work, id, step, action),
        Ok(PlannedAction::WaitFor { text, held, .. }) => watch(work, id, step, text, held),
    }
}

/// Ids never come back, not even where a controller begins anew with RUN-1: the instant the run was opened is in them.
fn command_id(run: &Run, step: usize, attempt: u32) -> CommandId {
    let parts: [&[u8]; 5] = [
        &run.id.0.to_be_bytes(),
        &run.opened_at.0.to_be_bytes(),
        &(step as u64).to_be_bytes(),
        &attempt.to_be_bytes(),
        run.agent.as_bytes(),
    ];
    CommandId(derive("command", &parts))
}

/// Why a command to that host would wait in vain.
fn nobody_acts(work: &Work<'_>, agent: &str) -> Option<Reason> {
    work.desk.agents.get(agent).filter(|agent| agent.cannot_act)?;
    let sentence =
        format!("nobody on {agent} carries out commands: watchkeep-act does not answer there, or has no policy");
    Some(Reason::new("act", sentence))
}

fn order(work: &mut Work<'_>, id: RunId, step: usize, action: Action) {
    let agent = work.desk.runs.get(&id).map(|run| run.agent.clone()).unwrap_or_default();
    if let Some(reason) = nobody_acts(work, &agent) {
        return end::step_failed(work, id, reason);
    }
    let (at, valid_for_ms, grace) =
        (work.at, work.config.settings.command_valid_for, work.config.settings.result_grace);
    let Some(run) = work.run_mut(id) else { return };
    run.waiting = None;
    let planned = &run.plan.steps[step];
    let (name, timeout_ms) = (planned.name.clone(), planned.timeout);
    let attempt = run.journal[step].attempts + 1;
    let command = command_id(run, step, attempt);
    let journal = &mut run.journal[step];
    journal.state = StepState::Sent;
    journal.attempts = attempt;
    journal.commands.push(command);
    journal.sent_at = Some(at);
    let (agent, plan_hash) = (run.agent.clone(), run.plan_hash.clone());
    let overdue = at.plus(valid_for_ms).plus(timeout_ms).plus(grace);
    work.set_timer(overdue, TimerKind::StepOverdue { run: id, step, attempt });
    let planned = PlannedAction::Host(action.clone());
    let fact = RunFact::StepSent { step, name, attempt, command, agent: agent.clone(), action: planned };
    tell(work, id, Actor::Run(id), Vec::new(), fact);
    work.owe(Effect::Command(Order {
        command,
        agent,
        run: id,
        step,
        attempt,
        plan_hash,
        action,
        valid_for_ms,
        timeout_ms,
    }));
}

fn watch(work: &mut Work<'_>, id: RunId, step: usize, condition: String, held: i64) {
    let (at, grace) = (work.at, work.config.settings.result_grace);
    let Some(run) = work.run_mut(id) else { return };
    run.waiting = None;
    let (name, until) = (run.plan.steps[step].name.clone(), at.plus(run.plan.steps[step].timeout));
    let journal = &mut run.journal[step];
    journal.state = StepState::Watching;
    journal.attempts += 1;
    journal.sent_at = Some(at);
    let attempt = journal.attempts;
    work.set_timer(until.plus(grace), TimerKind::StepOverdue { run: id, step, attempt });
    tell(work, id, Actor::Run(id), Vec::new(), RunFact::WatchBegun { step, name, condition, held, until });
}

/// The condition that a run waits for now.
pub(crate) fn watch_of(run: &Run) -> Option<Watch> {
    let (planned, journal) = (run.plan.steps.get(run.step)?, run.journal.get(run.step)?);
    let PlannedAction::WaitFor { metric, selector, op, value, held, .. } = &planned.action else { return None };
    let from = journal.sent_at.filter(|_| journal.state == StepState::Watching && is_stepping(run))?;
    Some(Watch {
        run: run.id,
        step: run.step,
        agent: run.agent.clone(),
        metric: metric.clone(),
        selector: selector.clone(),
        op: op.clone(),
        value: *value,
        held: *held,
        from,
        until: from.plus(planned.timeout),
    })
}
