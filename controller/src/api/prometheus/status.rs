//! What Watchkeep says of itself to clients of Prometheus, and expressions set out for reading.

use axum::Json;
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::query::parse;
use super::{ApiState, Asked, Fault, success};

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(buildinfo)).routes(routes!(format_query))
}

/// The version of Prometheus whose expression language is spoken: clients ask it to know what they may send.
const LANGUAGE: &str = "3.0.0";

/// As whom clients may treat this: the Prometheus whose language it speaks. `application` says what it is.
#[utoipa::path(get, path = "/api/v1/status/buildinfo", tag = "samples", responses((status = 200, body = Value)))]
async fn buildinfo() -> Json<Value> {
    success(json!({
        "version": LANGUAGE,
        "revision": "",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
        "application": format!("watchkeep {}", env!("CARGO_PKG_VERSION")),
    }))
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it documents parameters that are read by name")]
struct Formatted {
    /// The expression.
    query: String,
}

/// An expression set out in the usual way.
#[utoipa::path(
    method(get, post),
    path = "/api/v1/format_query",
    tag = "samples",
    params(Formatted),
    responses((status = 200, body = Value))
)]
async fn format_query(asked: Asked) -> Result<Json<Value>, Fault> {
    Ok(success(parse(asked.needed("query")?)?.to_string()))
}
