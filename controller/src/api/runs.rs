//! `/runs`, `/runbooks` and the stop switch.

use std::collections::BTreeMap;

use axum::Extension;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchkeep_desk::ids::{IncidentId, RunId};
use watchkeep_desk::input::ActBody;
use watchkeep_desk::runbooks::{Run, hash_of};
use watchkeep_desk::{FactBody, Subject};

use super::auth::Caller;
use super::extract::{Body, Path, Query, one, words};
use super::problem::Problem;
use super::{ApiState, PageQuery};
use crate::ledger::{self, Cursor, Direction, Filter};
use crate::store::queries::runs;

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, start))
        .routes(routes!(show))
        .routes(routes!(plan))
        .routes(routes!(approve))
        .routes(routes!(reject))
        .routes(routes!(stop))
        .routes(routes!(runbooks))
        .routes(routes!(stop_switch))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Words of states, `running,waiting`.
    state: Option<String>,
    runbook: Option<String>,
    incident: Option<String>,
    agent: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// Runs, the newest first.
#[utoipa::path(get, path = "/api/v1/runs", tag = "runs", params(Wanted), responses((status = 200, body = Value)))]
async fn list(State(state): State<ApiState>, Query(wanted): Query<Wanted>) -> Result<Json<Value>, Problem> {
    let limit = PageQuery::checked_limit(wanted.limit)?;
    let filter = runs::Filter {
        states: words(wanted.state.as_deref())?,
        runbook: wanted.runbook,
        incident: wanted.incident.as_deref().map(one).transpose()?,
        agent: wanted.agent,
    };
    let page = state.read(move |tx| runs::list(tx, &filter, wanted.cursor.as_deref(), limit)).await?;
    Ok(Json(json!({"items": page.items, "next": page.next})))
}

/// One run with its plan and journal.
#[utoipa::path(get, path = "/api/v1/runs/{id}", tag = "runs", params(("id" = String, Path)), responses((status = 200, body = Value)))]
async fn show(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<Run>, Problem> {
    find(&state, one(&id)?).await.map(Json)
}

async fn find(state: &ApiState, id: RunId) -> Result<Run, Problem> {
    let found = state.read(move |tx| runs::get(tx, id)).await?;
    found.ok_or_else(|| Problem::not_found(&format!("run {id}")))
}

/// What to run, and for what.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Start {
    runbook: String,
    /// The incident that it is to mend; its host is the target.
    #[serde(default)]
    incident: Option<String>,
    /// The host, where there is no incident.
    #[serde(default)]
    agent: Option<String>,
    #[serde(default)]
    params: BTreeMap<String, Value>,
}

/// Starts a run. The answer is the run as it stands once that is durable; it may wait for a guard or an approval.
#[utoipa::path(post, path = "/api/v1/runs", tag = "runs", request_body = Start, responses((status = 201, body = Value), (status = 409, body = Problem)))]
async fn start(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Body(start): Body<Start>,
) -> Result<(StatusCode, Json<Run>), Problem> {
    let incident: Option<IncidentId> = start.incident.as_deref().map(one).transpose()?;
    let act = ActBody::RunStart { runbook: start.runbook, incident, agent: start.agent, params: start.params };
    let answer = state.act(&caller, act).await?;
    let begun = answer.facts.iter().find_map(|fact| match (&fact.subject, &fact.body) {
        (Subject::Run(run), FactBody::Run(_)) => Some(*run),
        _ => None,
    });
    let begun = match begun {
        Some(run) => Some(run),
        None => begun_before(&state, &caller).await?,
    };
    let begun = begun.ok_or_else(|| {
        Problem::new(StatusCode::CONFLICT, "already_done", "this Idempotency-Key was used for something else before")
    })?;
    Ok((StatusCode::CREATED, Json(find(&state, begun).await?)))
}

/// The run that the same request started when it came first.
async fn begun_before(state: &ApiState, caller: &Caller) -> Result<Option<RunId>, Problem> {
    let (who, request) = (caller.actor(), caller.request.clone());
    let done_at = state.core.look(move |desk, _| desk.done_at(&who, &request)).await?;
    let Some(order) = done_at else { return Ok(None) };
    let of_run = Filter { kind: Some("run.".to_owned()), cause: Some(order), ..Filter::default() };
    let begin = Cursor { chain: ledger::DESK.to_owned(), seq: 0 };
    let facts = state.read(move |tx| ledger::facts(tx, &of_run, &begin, Direction::Forward, 1)).await?;
    facts.first().map(|entry| one(&entry.subject.id)).transpose()
}

/// The plan of such a run, each command as it would be signed. Nothing is sent and nothing kept.
#[utoipa::path(post, path = "/api/v1/runs/plan", tag = "runs", request_body = Start, responses((status = 200, body = Value), (status = 422, body = Problem)))]
async fn plan(State(state): State<ApiState>, Body(start): Body<Start>) -> Result<Json<Value>, Problem> {
    let incident: Option<IncidentId> = start.incident.as_deref().map(one).transpose()?;
    let planned = state.core.look(move |desk, generation| {
        desk.plan(&generation.config, &start.runbook, incident, start.agent.as_deref(), &start.params)
    });
    match planned.await? {
        Ok(plan) => Ok(Json(json!({"plan_hash": hash_of(&plan), "plan": plan}))),
        Err(error) => Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", error.to_string())),
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Approve {
    /// The hash of the plan that is approved.
    plan_hash: String,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct Note {
    note: String,
}

async fn act(
    state: &ApiState,
    caller: &Caller,
    id: &str,
    body: impl FnOnce(RunId) -> ActBody,
) -> Result<Json<Run>, Problem> {
    let id = one(id)?;
    state.act(caller, body(id)).await?;
    find(state, id).await.map(Json)
}

/// Let the plan with this hash go ahead.
#[utoipa::path(post, path = "/api/v1/runs/{id}/approve", tag = "runs", params(("id" = String, Path)), request_body = Approve, responses((status = 200, body = Value), (status = 409, body = Problem)))]
async fn approve(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Body(Approve { plan_hash }): Body<Approve>,
) -> Result<Json<Run>, Problem> {
    act(&state, &caller, &id, |run| ActBody::RunApprove { run, plan_hash }).await
}

/// Say no.
#[utoipa::path(post, path = "/api/v1/runs/{id}/reject", tag = "runs", params(("id" = String, Path)), request_body = Note, responses((status = 200, body = Value), (status = 409, body = Problem)))]
async fn reject(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Body(Note { note }): Body<Note>,
) -> Result<Json<Run>, Problem> {
    act(&state, &caller, &id, |run| ActBody::RunReject { run, note }).await
}

/// Send no further step.
#[utoipa::path(post, path = "/api/v1/runs/{id}/stop", tag = "runs", params(("id" = String, Path)), request_body = Note, responses((status = 200, body = Value), (status = 409, body = Problem)))]
async fn stop(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Body(Note { note }): Body<Note>,
) -> Result<Json<Run>, Problem> {
    act(&state, &caller, &id, |run| ActBody::RunStop { run, note }).await
}

/// The runbooks in force.
#[utoipa::path(get, path = "/api/v1/runbooks", tag = "runs", responses((status = 200, body = Value)))]
async fn runbooks(State(state): State<ApiState>) -> Json<Value> {
    let generation = state.generation.borrow().clone();
    let items: Vec<_> = generation.config.rules.runbooks.values().collect();
    Json(json!({"items": items, "next": null}))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StopSwitch {
    on: bool,
    note: String,
}

/// Stops every runbook of the fleet, or lets them go on.
#[utoipa::path(post, path = "/api/v1/stop-switch", tag = "runs", request_body = StopSwitch, responses((status = 200, body = Value)))]
async fn stop_switch(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Body(StopSwitch { on, note }): Body<StopSwitch>,
) -> Result<Json<Value>, Problem> {
    state.act(&caller, ActBody::StopSwitch { on, note }).await?;
    Ok(Json(json!({"on": on})))
}
