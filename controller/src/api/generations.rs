//! `/generations` and `/reload`.

use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchkeep_desk::Millis;

use super::auth::Caller;
use super::extract::{Path, Query};
use super::problem::Problem;
use super::{ApiState, PageQuery};
use crate::access::roles::Role;
use crate::generation::{self, Generation, GenerationError};
use crate::store::generations;

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show)).routes(routes!(reload))
}

/// Sets of files that were taken up, the newest first; `in_force` names the one that runs.
#[utoipa::path(get, path = "/api/v1/generations", tag = "configuration", params(PageQuery), responses((status = 200, body = Value)))]
async fn list(State(state): State<ApiState>, Query(page): Query<PageQuery>) -> Result<Json<Value>, Problem> {
    let limit = PageQuery::checked_limit(page.limit)?;
    let before = page.cursor.as_deref().map(cursor).transpose()?;
    let read = move |tx: &mut dyn crate::store::Tx| {
        let before = before.as_ref().map(|(at, hash)| (*at, hash.as_str()));
        generations::list(tx, before, limit)
    };
    let found = state.read(read).await?;
    let next = found.last().filter(|_| found.len() == limit as usize);
    let next = next.map(|last| format!("{}:{}", last.at.0, last.hash));
    let shown = |generation: &generations::Generation| {
        let files: Vec<&String> = generation.files.keys().collect();
        json!({"hash": generation.hash, "at": generation.at, "author": generation.author, "files": files})
    };
    let items: Vec<Value> = found.iter().map(shown).collect();
    let in_force = state.generation.borrow().hash.clone();
    Ok(Json(json!({"items": items, "next": next, "in_force": in_force})))
}

fn cursor(text: &str) -> Result<(Millis, String), Problem> {
    let parts = text.split_once(':').and_then(|(at, hash)| Some((Millis(at.parse().ok()?), hash.to_owned())));
    parts.ok_or_else(|| Problem::invalid(format!("\"{text}\" is no cursor of this list")))
}

/// One generation with the texts of its files; the settings, which name channels and where their secrets lie, for
/// administrators only.
#[utoipa::path(get, path = "/api/v1/generations/{hash}", tag = "configuration", params(("hash" = String, Path)), responses((status = 200, body = Value)))]
async fn show(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(hash): Path<String>,
) -> Result<Json<Value>, Problem> {
    let wanted = hash.clone();
    let found = state.read(move |tx| generations::get(tx, &wanted)).await?;
    let mut found = found.ok_or_else(|| Problem::not_found(&format!("generation {hash}")))?;
    if caller.role() < Role::Admin
        && let Some(settings) = found.files.get_mut(generation::SETTINGS_FILE)
    {
        "# shown to administrators only\n".clone_into(settings);
    }
    Ok(Json(json!(found)))
}

/// Takes the configuration directory up. With any fault nothing is taken up, and all faults come back.
#[utoipa::path(post, path = "/api/v1/reload", tag = "configuration", responses((status = 200, body = Value), (status = 422, body = Problem)))]
async fn reload(State(state): State<ApiState>, Extension(caller): Extension<Caller>) -> Result<Json<Value>, Problem> {
    let dir = state.config_dir.clone();
    let checked = tokio::task::spawn_blocking(move || generation::read_dir(&dir).and_then(Generation::check)).await;
    let checked = checked.map_err(|ended| Problem::internal("reading the configuration", &ended))?;
    let before = state.generation.borrow().hash.clone();
    let next = checked.map_err(|error| refused(&error, &before))?;
    let hash = next.hash.clone();
    if hash != before {
        state.core.take_up(Arc::new(next), caller.actor()).await?;
    }
    Ok(Json(json!({"generation": hash, "before": before, "changed": hash != before})))
}

fn refused(error: &GenerationError, before: &str) -> Problem {
    let short = before.get(..12).unwrap_or(before);
    let told = crate::core::engine::chain(error);
    let detail = format!("{told}\nNothing was taken up; generation {short} is still running.");
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "faults", detail)
}
