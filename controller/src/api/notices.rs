//! `/notices`: what could not be delivered.

use axum::extract::State;
use axum::{Extension, Json};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchkeep_desk::Note;

use super::auth::Caller;
use super::extract::{Path, Query};
use super::problem::Problem;
use super::{ApiState, PageQuery};
use crate::store::outbox;
use crate::store::queries::outbox::dead_letters;

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(dead)).routes(routes!(waiting)).routes(routes!(send_again))
}

/// Commands and notices that were given up, with why.
#[utoipa::path(get, path = "/api/v1/notices/dead", tag = "notices", params(PageQuery), responses((status = 200, body = Value)))]
async fn dead(State(state): State<ApiState>, Query(page): Query<PageQuery>) -> Result<Json<Value>, Problem> {
    let limit = PageQuery::checked_limit(page.limit)?;
    let page = state.read(move |tx| dead_letters(tx, page.cursor.as_deref(), limit)).await?;
    Ok(Json(json!({"items": page.items, "next": page.next})))
}

/// What is owed and not yet carried out, the longest due first; 500 at most.
#[utoipa::path(get, path = "/api/v1/notices/waiting", tag = "notices", responses((status = 200, body = Value)))]
async fn waiting(State(state): State<ApiState>) -> Result<Json<Value>, Problem> {
    let items = state.read(move |tx| outbox::waiting(tx, 500)).await?;
    Ok(Json(json!({"items": items, "next": null})))
}

/// Sends one of the dead letters again.
#[utoipa::path(post, path = "/api/v1/notices/{id}/send-again", tag = "notices", params(("id" = String, Path)), responses((status = 200, body = Value)))]
async fn send_again(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let (now, wanted) = ((state.now)(), id.clone());
    let found = state.write(move |tx| outbox::revive(tx, &wanted, now)).await?;
    if !found {
        return Err(Problem::not_found(&format!("dead letter \"{id}\"")));
    }
    state.note(&caller, Note::SentAgain { id: id.clone() }).await?;
    Ok(Json(json!({"id": id})))
}
