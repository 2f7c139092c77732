//! `/agents` and `/events`.

use axum::Extension;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchkeep_desk::Millis;
use watchkeep_desk::input::ActBody;
use watchkeep_rules::selector::Selector;

use super::auth::Caller;
use super::extract::{Body, Path, Query};
use super::problem::Problem;
use super::story::{self, Earlier};
use super::{ApiState, PageQuery};
use crate::ledger::SubjectRef;
use crate::store::queries::{agents, events};

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(why))
        .routes(routes!(revoke))
        .routes(routes!(seen))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// `connected`, `away` or `revoked`.
    standing: Option<String>,
    /// Within the name.
    search: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// Agents, by name.
#[utoipa::path(get, path = "/api/v1/agents", tag = "agents", params(Wanted), responses((status = 200, body = Value)))]
async fn list(State(state): State<ApiState>, Query(wanted): Query<Wanted>) -> Result<Json<Value>, Problem> {
    let limit = PageQuery::checked_limit(wanted.limit)?;
    let filter = agents::Filter { standing: wanted.standing, text: wanted.search };
    let page = state.read(move |tx| agents::list(tx, &filter, wanted.cursor.as_deref(), limit)).await?;
    Ok(Json(json!({"items": page.items, "next": page.next})))
}

/// One agent.
#[utoipa::path(get, path = "/api/v1/agents/{name}", tag = "agents", params(("name" = String, Path)), responses((status = 200, body = Value)))]
async fn show(State(state): State<ApiState>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    find(&state, name).await
}

async fn find(state: &ApiState, name: String) -> Result<Json<Value>, Problem> {
    let wanted = name.clone();
    let found = state.read(move |tx| agents::get(tx, &wanted)).await?;
    found.map(|agent| Json(json!(agent))).ok_or_else(|| Problem::not_found(&format!("agent \"{name}\"")))
}

/// The story: when it enrolled, came, went and why, in the order of the ledger.
#[utoipa::path(get, path = "/api/v1/agents/{name}/why", tag = "agents", params(("name" = String, Path), Earlier), responses((status = 200, body = Value)))]
async fn why(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    Query(wanted): Query<Earlier>,
) -> Result<Json<Value>, Problem> {
    let Json(agent) = find(&state, name.clone()).await?;
    let subjects = [SubjectRef::new("agent", &*name)];
    let entries = state.read(move |tx| story::read(tx, &subjects, &wanted)).await?;
    let mut page = story::page("agent", &name, &entries, Some);
    page["state"] = agent["standing"].clone();
    Ok(Json(page))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct Note {
    note: String,
}

/// End its certificate and its session at once.
#[utoipa::path(post, path = "/api/v1/agents/{name}/revoke", tag = "agents", params(("name" = String, Path)), request_body = Note, responses((status = 200, body = Value), (status = 409, body = Problem)))]
async fn revoke(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Body(Note { note }): Body<Note>,
) -> Result<Json<Value>, Problem> {
    state.act(&caller, ActBody::AgentRevoke { agent: name.clone(), note }).await?;
    find(&state, name).await
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WantedEvents {
    agent: Option<String>,
    kind: Option<String>,
    /// `{unit=~"nginx.*"}`, over the labels.
    selector: Option<String>,
    /// Learned at or after this, milliseconds since 1970 …
    since: Option<i64>,
    /// … and before this.
    until: Option<i64>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// Events that agents reported, the newest first.
#[utoipa::path(get, path = "/api/v1/events", tag = "agents", params(WantedEvents), responses((status = 200, body = Value)))]
async fn seen(State(state): State<ApiState>, Query(wanted): Query<WantedEvents>) -> Result<Json<Value>, Problem> {
    let limit = PageQuery::checked_limit(wanted.limit)?;
    let selector = wanted.selector.as_deref().map(Selector::parse).transpose();
    let filter = events::Filter {
        agent: wanted.agent,
        kind: wanted.kind,
        selector: selector.map_err(|error| Problem::invalid(format!("selector: {error}")))?.unwrap_or_default(),
        since: wanted.since.map(Millis),
        until: wanted.until.map(Millis),
    };
    let page = state.read(move |tx| events::list(tx, &filter, wanted.cursor.as_deref(), limit)).await?;
    Ok(Json(json!({"items": page.items, "next": page.next})))
}
