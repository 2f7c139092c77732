//! `/changes`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchkeep_desk::changes::Change;
use watchkeep_desk::ids::ChangeId;

use super::extract::{Path, Query, one, words};
use super::problem::Problem;
use super::story::{self, Earlier};
use super::{ApiState, PageQuery, ci_names};
use crate::ledger::SubjectRef;
use crate::store::queries::changes;

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show)).routes(routes!(why))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Words of states, `implementing,review`.
    state: Option<String>,
    incident: Option<String>,
    run: Option<String>,
    agent: Option<String>,
    /// Within the title.
    search: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// Changes, the newest first.
#[utoipa::path(get, path = "/api/v1/changes", tag = "changes", params(Wanted), responses((status = 200, body = Value)))]
async fn list(State(state): State<ApiState>, Query(wanted): Query<Wanted>) -> Result<Json<Value>, Problem> {
    let limit = PageQuery::checked_limit(wanted.limit)?;
    let filter = changes::Filter {
        states: words(wanted.state.as_deref())?,
        incident: wanted.incident.as_deref().map(one).transpose()?,
        run: wanted.run.as_deref().map(one).transpose()?,
        agent: wanted.agent,
        ci: None,
        text: wanted.search,
    };
    let page = state.read(move |tx| changes::list(tx, &filter, wanted.cursor.as_deref(), limit)).await?;
    Ok(Json(json!({"items": page.items, "next": page.next})))
}

/// One change; in `touches` what its `cis` are.
#[utoipa::path(get, path = "/api/v1/changes/{id}", tag = "changes", params(("id" = String, Path)), responses((status = 200, body = Value)))]
async fn show(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let change = find(&state, one(&id)?).await?;
    let mut answer = json!(change);
    let touches = state.read(move |tx| ci_names::in_short(tx, &change.cis)).await?;
    answer["touches"] = json!(touches);
    Ok(Json(answer))
}

async fn find(state: &ApiState, id: ChangeId) -> Result<Change, Problem> {
    let found = state.read(move |tx| changes::get(tx, id)).await?;
    found.ok_or_else(|| Problem::not_found(&format!("change {id}")))
}

/// The story: the change's facts with those of its run, in the order of the ledger.
#[utoipa::path(get, path = "/api/v1/changes/{id}/why", tag = "changes", params(("id" = String, Path), Earlier), responses((status = 200, body = Value)))]
async fn why(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Query(wanted): Query<Earlier>,
) -> Result<Json<Value>, Problem> {
    let change = find(&state, one(&id)?).await?;
    let (id, run) = (change.id.to_string(), change.run.to_string());
    let subjects = [SubjectRef::new("change", &*id), SubjectRef::new("run", run)];
    let entries = state.read(move |tx| story::read(tx, &subjects, &wanted)).await?;
    let mut page = story::page("change", &id, &entries, Some);
    page["title"] = json!(change.title);
    page["state"] = json!(change.state);
    Ok(Json(page))
}
