//! `/status`, `/healthz`, `/readyz`, `/metrics`.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json};
use prometheus::{Encoder, TextEncoder};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchkeep_desk::problems::State as ProblemState;

use super::ApiState;
use super::auth::Caller;
use super::problem::Problem;
use crate::access::roles::Role;
use crate::generation::OnDisk;
use crate::store::queries::{agents, incidents, notices, problems};

/// Agents that are away and named, those longest gone.
const AWAY_SHOWN: u32 = 5;

/// Behind a token.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(status)).route("/metrics", get(metrics))
}

/// Open to all: they say nothing but yes or no.
pub fn open_routes() -> axum::Router<ApiState> {
    axum::Router::new().route("/healthz", get(|| async { "alive\n" })).route("/readyz", get(readyz))
}

/// What runs, and how it stands: agents and open problems by their state, the agents away longest by name, rules that fail, what
/// became of samples for other stores, and `configuration`: `in_force`, `waiting` (to be taken up) or `faulty`, with the `faults` for who may mend them.
#[utoipa::path(get, path = "/api/v1/status", tag = "status", responses((status = 200, body = Value)))]
async fn status(State(state): State<ApiState>, Extension(caller): Extension<Caller>) -> Result<Json<Value>, Problem> {
    let incidents = state.read(incidents::count).await?;
    let mut problems = state.read(problems::count).await?;
    problems.retain(|word, _| word.parse().is_ok_and(ProblemState::is_open));
    let agents = state.read(agents::count).await?;
    let away = state.read(|tx| agents::away(tx, AWAY_SHOWN)).await?;
    let away: Vec<Value> = away
        .into_iter()
        .map(|row| json!({"name": row.agent.name, "since": row.agent.since, "lost": row.agent.lost}))
        .collect();
    let stopped = state.core.look(|desk, _| desk.is_stopped()).await?;
    let (retried, dead) = state.read(notices::in_trouble).await?;
    let connected = state.downlinks.live.with(std::collections::BTreeMap::len);
    Ok(Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "generation": state.generation.borrow().hash,
        "configuration": configuration(&state, caller.role()).await?,
        "ledger_head": *state.core.head().borrow(),
        "agents_connected": connected,
        "agents": agents,
        "agents_away": away,
        "incidents": incidents,
        "problems": problems,
        "notices": {"retried": retried, "dead": dead},
        "stop_switch": stopped,
        "unsealed_samples": state.sample_counts.unsealed(),
        "failing_rules": state.rules.failing(),
        "remote_write": state.remote_write.all().iter().map(|store| store.readings()).collect::<Vec<_>>(),
    })))
}

/// What a reload would do. The words of the faults may quote the settings: they are for administrators.
async fn configuration(state: &ApiState, role: Role) -> Result<Value, Problem> {
    let (running, dir) = (state.generation.borrow().clone(), state.config_dir.clone());
    let looked = tokio::task::spawn_blocking(move || running.on_disk(&dir)).await;
    Ok(match looked.map_err(|ended| Problem::internal("reading the configuration", &ended))? {
        OnDisk::InForce => json!({"standing": "in_force"}),
        OnDisk::Waiting => json!({"standing": "waiting"}),
        OnDisk::Faulty(told) if role >= Role::Admin => json!({"standing": "faulty", "faults": told}),
        OnDisk::Faulty(_) => json!({"standing": "faulty", "faults": "its faults are shown to administrators only"}),
    })
}

async fn readyz(State(state): State<ApiState>) -> Response {
    if *state.ready.borrow() {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, "not ready: starting or stopping\n").into_response()
}

async fn metrics(State(state): State<ApiState>) -> Result<Response, Problem> {
    state.metrics.refresh(&state);
    let mut text = Vec::new();
    let encoder = TextEncoder::new();
    encoder
        .encode(&state.metrics.registry.gather(), &mut text)
        .map_err(|error| Problem::internal("writing the metrics", &error))?;
    Ok(([(header::CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response())
}
