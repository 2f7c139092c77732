//! What holds a run before it begins. Each guard says why, and when it looks again.

use super::{Run, State, Wait};
use crate::ids::RunId;
use crate::time::spoken as length;
use crate::work::Work;
use crate::{Actor, Millis, Reason};

/// The first guard that holds the run; none: it may begin.
pub(super) fn held(work: &Work<'_>, run: &Run) -> Option<Wait> {
    held_between_steps(work, run)
        .or_else(|| nothing_to_mend(work, run))
        .or_else(|| lock(work, run))
        .or_else(|| cooldown(work, run))
        .or_else(|| rate(work, run))
}

/// The guards that hold a run that has begun, too.
pub(super) fn held_between_steps(work: &Work<'_>, run: &Run) -> Option<Wait> {
    stopped(work).or_else(|| agent_is_away(work, run))
}

fn wait(stage: &str, sentence: String, until: Option<Millis>) -> Option<Wait> {
    Some(Wait { reason: Reason::new(stage, sentence), until })
}

/// The fleet-wide stop switch.
fn stopped(work: &Work<'_>) -> Option<Wait> {
    let switch = work.setting(crate::acts::STOP_SWITCH)?;
    let note = switch["note"].as_str().unwrap_or_default();
    wait("stop_switch", format!("the stop switch is on ({note}): no run starts and no step is sent"), None)
}

fn agent_is_away(work: &Work<'_>, run: &Run) -> Option<Wait> {
    let name = &run.agent;
    let agent = work.desk.agents.get(name)?;
    if agent.revoked {
        return wait("agent", format!("the certificate of agent \"{name}\" is revoked"), None);
    }
    if agent.session.is_some() {
        return None;
    }
    let why = agent.lost.as_deref().unwrap_or("it has not connected yet");
    wait("agent", format!("agent \"{name}\" is away ({why}); it goes on when the agent is back"), None)
}

/// What it should mend has cleared by itself meanwhile. A person who approved it has decided otherwise.
fn nothing_to_mend(work: &Work<'_>, run: &Run) -> Option<Wait> {
    let by_rule = matches!(run.asked_by, Actor::Rule(_)) && run.approved_by.is_none();
    if by_rule && super::is_clear(work, run) == Some(true) {
        return wait(
            "condition",
            "the alert has cleared meanwhile; it begins if the alert fires again".to_owned(),
            None,
        );
    }
    None
}

fn others<'w>(work: &'w Work<'_>, run: &'w Run) -> impl Iterator<Item = &'w Run> {
    let others = work.desk.index.runs_on(&run.agent).filter(|other| *other != run.id);
    others.filter_map(|other| work.desk.runs.get(&other))
}

/// The lock of the host: one run at a time, or as many as the runbook says.
fn lock(work: &Work<'_>, run: &Run) -> Option<Wait> {
    let most =
        work.config.rules.runbooks.get(&run.runbook).and_then(|runbook| runbook.guard.concurrency_host).unwrap_or(1);
    let going: Vec<RunId> = others(work, run).filter(|other| other.state.is_going()).map(|other| other.id).collect();
    if going.len() < most as usize {
        return None;
    }
    let names: Vec<String> = going.iter().map(ToString::to_string).collect();
    wait("lock", format!("host \"{}\" is held by {}; {most} at a time", run.agent, names.join(", ")), None)
}

fn cooldown(work: &Work<'_>, run: &Run) -> Option<Wait> {
    let length_of = work.config.rules.runbooks.get(&run.runbook)?.guard.cooldown_after_failure?;
    let bad = |other: &&Run| other.runbook == run.runbook && (other.came_back || other.state == State::Failed);
    let last = others(work, run).filter(bad).filter_map(|other| Some((other.finished_at?, other.id))).max()?;
    let until = last.0.plus(length_of);
    if until <= work.at {
        return None;
    }
    wait(
        "cooldown",
        format!("{} of the same runbook failed on this host; cooldown is {}", last.1, length(length_of)),
        Some(until),
    )
}

/// At most so many in so long.
fn rate(work: &Work<'_>, run: &Run) -> Option<Wait> {
    let (most, window) = work.config.rules.runbooks.get(&run.runbook)?.guard.max_per_host?;
    let same = others(work, run).filter(|other| other.runbook == run.runbook);
    let mut starts: Vec<Millis> =
        same.filter_map(|other| other.started_at).filter(|start| work.at.since(*start) < window).collect();
    if starts.len() < most as usize {
        return None;
    }
    starts.sort_unstable();
    // The oldest that must leave the window before one more fits in.
    let leaves = starts.get(starts.len().saturating_sub((most as usize).max(1))).copied().unwrap_or(work.at);
    let sentence = format!("it ran {} times on this host within {}; {most} are the most", starts.len(), length(window));
    wait("rate", sentence, Some(leaves.plus(window)))
}

/// How long a finished run matters to guards and measures, ms.
pub(super) fn remembered(work: &Work<'_>, runbook: &str) -> i64 {
    let settings = &work.config.settings;
    let guard = work.config.rules.runbooks.get(runbook).map(|runbook| &runbook.guard);
    let window = guard.and_then(|guard| guard.max_per_host).map_or(0, |(_, window)| window);
    let cooldown = guard.and_then(|guard| guard.cooldown_after_failure).unwrap_or(0);
    settings.measured_after.max(settings.came_back_within).max(window).max(cooldown)
}
