//! What Watchkeep says of itself to clients of Alertmanager, and whom it tells.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{ApiState, rfc3339};
use crate::generation::Generation;

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(status)).routes(routes!(receivers_list))
}

/// Whoever is told: the channels, or, where none is set up, the ledger alone.
pub fn receivers(generation: &Generation) -> Vec<String> {
    let names: Vec<String> = generation.notify.iter().map(|channel| channel.name.clone()).collect();
    if names.is_empty() { vec!["ledger".to_owned()] } else { names }
}

/// The channels of the settings.
#[utoipa::path(get, path = "/api/v2/receivers", tag = "alertmanager", responses((status = 200, body = Vec<Value>)))]
async fn receivers_list(State(state): State<ApiState>) -> Json<Vec<Value>> {
    let names = receivers(&state.generation.borrow());
    Json(names.into_iter().map(|name| json!({"name": name})).collect())
}

/// How it runs, in Alertmanager's words. There is no cluster of its kind.
#[utoipa::path(get, path = "/api/v2/status", tag = "alertmanager", responses((status = 200, body = Value)))]
async fn status(State(state): State<ApiState>) -> Json<Value> {
    let generation = state.generation.borrow();
    let names = receivers(&generation);
    let resolve_timeout = watchkeep_rules::duration::format(generation.config.settings.resolve_timeout);
    // JSON is YAML.
    let original = json!({
        "global": {"resolve_timeout": resolve_timeout},
        "route": {"receiver": names.first()},
        "receivers": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>(),
    });
    Json(json!({
        "cluster": {"status": "disabled", "peers": []},
        "config": {"original": original.to_string()},
        "uptime": rfc3339(state.started.0),
        "versionInfo": {
            "version": env!("CARGO_PKG_VERSION"),
            "revision": "",
            "branch": "",
            "buildUser": "",
            "buildDate": "",
            "goVersion": "",
        },
    }))
}
