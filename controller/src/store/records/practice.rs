//! Incidents, problems, changes, runs and agents.

use watchkeep_desk::Millis;
use watchkeep_desk::changes::Change;
use watchkeep_desk::desk::Agent;
use watchkeep_desk::ids::CiId;
use watchkeep_desk::incidents::Incident;
use watchkeep_desk::problems::Problem;
use watchkeep_desk::runbooks::Run;

use super::{StoreError, Tx, Value, insert, json};
use crate::store::output;

pub(super) fn incident(tx: &mut dyn Tx, incident: &Incident, live: bool, now: Millis) -> Result<(), StoreError> {
    let columns = [
        ("number", incident.id.0.into()),
        ("incident_key", incident.key.0.as_str().into()),
        ("state", incident.state.word().into()),
        ("priority", i64::from(incident.priority.level).into()),
        ("title", incident.title.as_str().into()),
        ("rule", incident.rule.as_str().into()),
        ("ci", ci(incident.ci)),
        ("agent", incident.agent.clone().into()),
        ("service", incident.service.clone().into()),
        ("assignee", incident.assignee.clone().into()),
        ("assigned_group", incident.group.clone().into()),
        ("opened_at", incident.opened_at.into()),
        ("resolved_at", incident.resolution.as_ref().map(|resolution| resolution.at).into()),
        ("updated_at", now.into()),
        ("held", live.into()),
        ("output", output::is_in_incident(incident).into()),
        ("body", json(incident).into()),
    ];
    insert(tx, "incident", "number", &columns)
}

pub(super) fn problem(tx: &mut dyn Tx, problem: &Problem, live: bool, now: Millis) -> Result<(), StoreError> {
    let columns = [
        ("number", problem.id.0.into()),
        ("state", problem.state.word().into()),
        ("origin", problem.origin.word().into()),
        ("priority", i64::from(problem.priority).into()),
        ("title", problem.title.as_str().into()),
        ("assigned_group", problem.group.clone().into()),
        ("incidents", (problem.incidents.len() as u64).into()),
        ("opened_at", problem.opened_at.into()),
        ("resolved_at", problem.resolved_at.into()),
        ("updated_at", now.into()),
        ("held", live.into()),
        ("body", json(problem).into()),
    ];
    insert(tx, "problem", "number", &columns)?;
    tx.execute("DELETE FROM problem_incident WHERE problem = $1", &[problem.id.0.into()])?;
    for incident in &problem.incidents {
        let sql = "INSERT INTO problem_incident (problem, incident) VALUES ($1, $2)";
        tx.execute(sql, &[problem.id.0.into(), incident.0.into()])?;
    }
    Ok(())
}

pub(super) fn change(tx: &mut dyn Tx, change: &Change, live: bool, now: Millis) -> Result<(), StoreError> {
    let columns = [
        ("number", change.id.0.into()),
        ("kind", change.kind.as_str().into()),
        ("state", change.state.word().into()),
        ("title", change.title.as_str().into()),
        ("run", change.run.0.into()),
        ("incident", change.incident.map(|incident| incident.0).into()),
        ("agent", change.agent.as_str().into()),
        ("opened_at", change.opened_at.into()),
        ("updated_at", now.into()),
        ("held", live.into()),
        ("body", json(change).into()),
    ];
    insert(tx, "change", "number", &columns)?;
    tx.execute("DELETE FROM change_ci WHERE change = $1", &[change.id.0.into()])?;
    for touched in &change.cis {
        let sql = "INSERT INTO change_ci (ci, change) VALUES ($1, $2) ON CONFLICT (ci, change) DO NOTHING";
        tx.execute(sql, &[ci(Some(*touched)), change.id.0.into()])?;
    }
    Ok(())
}

pub(super) fn run(tx: &mut dyn Tx, run: &Run, live: bool, now: Millis) -> Result<(), StoreError> {
    let columns = [
        ("number", run.id.0.into()),
        ("runbook", run.runbook.as_str().into()),
        ("state", run.state.word().into()),
        ("incident", run.incident.map(|incident| incident.0).into()),
        ("change", run.change.0.into()),
        ("agent", run.agent.as_str().into()),
        ("opened_at", run.opened_at.into()),
        ("updated_at", now.into()),
        ("held", live.into()),
        ("output", output::is_in_run(run).into()),
        ("body", json(run).into()),
    ];
    insert(tx, "run", "number", &columns)
}

pub(super) fn agent(tx: &mut dyn Tx, agent: &Agent, now: Millis) -> Result<(), StoreError> {
    let standing = match (agent.revoked, &agent.session) {
        (true, _) => "revoked",
        (false, Some(_)) => "connected",
        (false, None) => "away",
    };
    let columns = [
        ("name", agent.name.as_str().into()),
        ("standing", standing.into()),
        ("serial", agent.serial.as_str().into()),
        ("version", agent.version.as_str().into()),
        ("since", agent.since.into()),
        ("ci", ci(agent.ci)),
        ("updated_at", now.into()),
        ("body", json(agent).into()),
    ];
    insert(tx, "agent", "name", &columns)
}

fn ci(ci: Option<CiId>) -> Value {
    ci.map(|ci| ci.to_string()).into()
}
