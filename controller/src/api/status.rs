//! `/status`, `/healthz`, `/readyz`, `/metrics`.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Encoder, TextEncoder};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::problem::Problem;
use crate::store::queries::{incidents, notices};

/// Behind a token.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(status)).route("/metrics", get(metrics))
}

/// Open to all: they say nothing but yes or no.
pub fn open_routes() -> axum::Router<ApiState> {
    axum::Router::new().route("/healthz", get(|| async { "alive\n" })).route("/readyz", get(readyz))
}

/// What runs, and how it stands.
#[utoipa::path(get, path = "/api/v1/status", tag = "status", responses((status = 200, body = Value)))]
async fn status(State(state): State<ApiState>) -> Result<Json<Value>, Problem> {
    let counts = state.read(incidents::count).await?;
    let incidents: serde_json::Map<String, Value> = counts.into_iter().map(|(state, n)| (state, n.into())).collect();
    let stopped = state.core.look(|desk, _| desk.is_stopped()).await?;
    let (retried, dead) = state.read(notices::in_trouble).await?;
    let connected = state.downlinks.live.with(std::collections::BTreeMap::len);
    Ok(Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "generation": state.generation.borrow().hash,
        "ledger_head": *state.core.head().borrow(),
        "agents_connected": connected,
        "incidents": incidents,
        "notices": {"retried": retried, "dead": dead},
        "stop_switch": stopped,
        "unsealed_samples": state.sample_counts.unsealed(),
        "failing_rules": state.rules.failing(),
    })))
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
