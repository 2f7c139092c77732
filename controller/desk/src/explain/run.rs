//! What happens to runs, as sentences.

use super::{counted, noted, short};
use crate::Subject;
use crate::input::Outcome;
use crate::runbooks::{Plan, PlannedAction, RunFact};
use crate::time::spoken as length;

pub(super) fn sentence(subject: &Subject, fact: &RunFact) -> String {
    let run = super::subject(subject);
    let said = match fact {
        RunFact::Planned { plan, plan_hash, change, .. } => planned(plan, plan_hash, &change.to_string()),
        RunFact::ApprovalWanted { by, plan_hash, .. } => format!("waits for {by} to approve plan {}", short(plan_hash)),
        RunFact::Approved { plan_hash } => format!("plan {} was approved", short(plan_hash)),
        RunFact::Rejected { note } => format!("was rejected{}", noted(note)),
        RunFact::Expired => "was given up: nobody approved it in time".to_owned(),
        RunFact::Waiting { wait } => format!("waits: {}", wait.reason.sentence),
        RunFact::Started { plan_hash } => format!("began, plan {}", short(plan_hash)),
        RunFact::StepSkipped { step, name, when } => format!("skipped {}: `{when}` is false", step_name(*step, name)),
        RunFact::StepSent { step, name, attempt, agent, action, .. } => {
            let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            format!("sent {} to {agent}{again}: {}", step_name(*step, name), shown(action))
        }
        RunFact::StepEnded { step, name, .. } => format!("{} {}", step_name(*step, name), ended(fact)),
        RunFact::StepOverdue { step, name, why, .. } if why.is_empty() => {
            format!("{}: no result came in time", step_name(*step, name))
        }
        RunFact::StepOverdue { step, name, why, .. } => format!("{}: {why}", step_name(*step, name)),
        RunFact::LateResult { step, result } => late(*step, result),
        RunFact::WatchBegun { step, name, condition, held, .. } => {
            let held = if *held > 0 { format!(" for {}", length(*held)) } else { String::new() };
            format!("{}: waits for {condition}{held}", step_name(*step, name))
        }
        RunFact::WatchEnded { step, name, held: true, .. } => format!("{}: the condition held", step_name(*step, name)),
        RunFact::WatchEnded { step, name, held: false, detail } => {
            format!("{}: the condition did not hold in time{}", step_name(*step, name), noted(detail))
        }
        RunFact::Verifying { .. } => "is done; the condition that opened the incident must become false".to_owned(),
        RunFact::RollbackBegun { steps } => format!("rolls back, {}", counted(*steps, "step")),
        RunFact::Succeeded { verified: true } => {
            "succeeded, and the condition that opened the incident is no longer true".to_owned()
        }
        RunFact::Succeeded { verified: false } => "succeeded".to_owned(),
        RunFact::Failed { why } => format!("failed: {why}"),
        RunFact::OutcomeUnknown { why, .. } => format!("stands: {why}"),
        RunFact::Stopped { note } => format!("was stopped{}", noted(note)),
        RunFact::Cancelled { why } => format!("was cancelled: {why}"),
        RunFact::CameBack { incident, after_ms } => {
            format!("what it mended came back after {} ({incident}), so it counts as failed", length(*after_ms))
        }
    };
    format!("{run} {said}")
}

fn planned(plan: &Plan, hash: &str, change: &str) -> String {
    let steps = plan.steps.iter().filter(|step| !step.rollback).count();
    format!(
        "of runbook {} was planned for {}: {}, plan {}, as {change}",
        plan.runbook,
        plan.agent,
        counted(steps, "step"),
        short(hash)
    )
}

fn step_name(step: usize, name: &str) -> String {
    format!("step {} \"{name}\"", step + 1)
}

/// An action as a person would type it.
fn shown(action: &PlannedAction) -> String {
    match action {
        PlannedAction::Host(action) => action.sentence(),
        PlannedAction::WaitFor { text, .. } => format!("wait for {text}"),
    }
}

fn ended(fact: &RunFact) -> String {
    let RunFact::StepEnded { outcome, exit, started_at, finished_at, refusal, reason, .. } = fact else {
        return String::new();
    };
    let took = length(finished_at.since(*started_at));
    match (outcome, exit) {
        (Outcome::Done, _) => format!("is done after {took}"),
        (Outcome::Failed, Some(exit)) => format!("exited {exit} after {took}{}", noted(reason)),
        (Outcome::Failed, None) => format!("failed after {took}{}", noted(reason)),
        (Outcome::TimedOut, _) => format!("did not end in time and was ended after {took}"),
        (Outcome::Refused, _) => {
            format!("was refused by the host ({}){}", refusal.as_deref().unwrap_or("no word"), noted(reason))
        }
        (Outcome::Unknown, _) => format!("has no known outcome{}", noted(reason)),
    }
}

fn late(step: usize, result: &crate::input::CommandOutcome) -> String {
    match &result.refusal {
        Some(word) => {
            format!("step {}: the host refused a copy of its command ({word}){}", step + 1, noted(&result.reason))
        }
        None => format!("step {}: a result came that it no longer waits for ({:?})", step + 1, result.outcome)
            .to_lowercase(),
    }
}
