//! Incidents, changes, runs and agents.

use serde_json::Value as Json;
use watchkeep_desk::Millis;
use watchkeep_desk::changes::Change;
use watchkeep_desk::desk::Agent;
use watchkeep_desk::incidents::Incident;
use watchkeep_desk::runbooks::Run;

use super::{StoreError, Tx, Value, insert, json};

pub(super) fn incident(tx: &mut dyn Tx, incident: &Incident, now: Millis) -> Result<(), StoreError> {
    let body = json(incident);
    let columns = [
        ("number", incident.id.0.into()),
        ("incident_key", text(&body, "/key")),
        ("state", text(&body, "/state")),
        ("priority", number(&body, "/priority/level")),
        ("title", text(&body, "/title")),
        ("rule", text(&body, "/rule")),
        ("ci", optional(&body, "/ci")),
        ("agent", optional(&body, "/agent")),
        ("service", optional(&body, "/service")),
        ("assignee", optional(&body, "/assignee")),
        ("assigned_group", optional(&body, "/group")),
        ("opened_at", number(&body, "/opened_at")),
        ("resolved_at", optional(&body, "/resolution/at")),
        ("updated_at", now.into()),
        ("held", true.into()),
        ("body", body.to_string().into()),
    ];
    insert(tx, "incident", "number", &columns)
}

pub(super) fn change(tx: &mut dyn Tx, change: &Change, now: Millis) -> Result<(), StoreError> {
    let body = json(change);
    let columns = [
        ("number", change.id.0.into()),
        ("kind", text(&body, "/kind")),
        ("state", text(&body, "/state")),
        ("title", text(&body, "/title")),
        ("run", reference(&body, "/run")),
        ("incident", reference(&body, "/incident")),
        ("agent", optional(&body, "/agent")),
        ("opened_at", number(&body, "/opened_at")),
        ("updated_at", now.into()),
        ("held", body.pointer("/settled_at").is_none_or(Json::is_null).into()),
        ("body", body.to_string().into()),
    ];
    insert(tx, "change", "number", &columns)?;
    tx.execute("DELETE FROM change_ci WHERE change = $1", &[change.id.0.into()])?;
    for ci in body.pointer("/cis").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str) {
        insert_touched(tx, change.id.0, ci)?;
    }
    Ok(())
}

fn insert_touched(tx: &mut dyn Tx, change: u64, ci: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO change_ci (ci, change) VALUES ($1, $2) ON CONFLICT (ci, change) DO NOTHING";
    tx.execute(sql, &[ci.into(), change.into()]).map(drop)
}

pub(super) fn run(tx: &mut dyn Tx, run: &Run, now: Millis) -> Result<(), StoreError> {
    let body = json(run);
    let columns = [
        ("number", run.id.0.into()),
        ("runbook", text(&body, "/runbook")),
        ("state", text(&body, "/state")),
        ("incident", reference(&body, "/incident")),
        ("change", reference(&body, "/change")),
        ("agent", optional(&body, "/agent")),
        ("opened_at", number(&body, "/opened_at")),
        ("updated_at", now.into()),
        ("held", true.into()),
        ("body", body.to_string().into()),
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
        ("ci", agent.ci.map(|ci| ci.to_string()).into()),
        ("updated_at", now.into()),
        ("body", json(agent).to_string().into()),
    ];
    insert(tx, "agent", "name", &columns)
}

fn text(body: &Json, at: &str) -> Value {
    body.pointer(at).and_then(Json::as_str).unwrap_or_default().into()
}

fn number(body: &Json, at: &str) -> Value {
    body.pointer(at).and_then(Json::as_i64).unwrap_or_default().into()
}

fn optional(body: &Json, at: &str) -> Value {
    match body.pointer(at) {
        Some(Json::String(text)) => text.as_str().into(),
        Some(Json::Number(number)) => number.as_i64().into(),
        _ => Value::Null,
    }
}

/// The number in `INC-7`.
fn reference(body: &Json, at: &str) -> Value {
    let id = body.pointer(at).and_then(Json::as_str).unwrap_or_default();
    id.rsplit_once('-').and_then(|(_, digits)| digits.parse::<i64>().ok()).into()
}
