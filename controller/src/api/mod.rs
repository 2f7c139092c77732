//! The HTTP API under `/api/v1`: JSON, problem+json, cursors, a live stream of the ledger.
//!
//! A noun a file. Reads go to the store's read pool; what a person does becomes an [`watchkeep_desk::input::Act`] and is
//! answered once it is durable. The OpenAPI document is made from the handlers and served at `/api/openapi.json`.

mod acts;
mod agents;
mod alertmanager;
pub mod auth;
mod changes;
mod ci_names;
mod cis;
mod console;
mod extract;
mod fleet;
mod generations;
mod incidents;
mod ledger;
mod notices;
pub mod problem;
mod problems;
mod prometheus;
mod runs;
pub(crate) mod session;
mod state;
mod status;
mod story;
mod tokens;
pub(crate) mod users;

use std::time::Duration;

use axum::Json;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

use problem::Problem;
pub use state::{ApiState, PageQuery};

/// The largest body of a request, bytes.
const BODY_BYTES: usize = 1 << 20;

#[derive(OpenApi)]
#[openapi(info(title = "Watchkeep", description = "IT service management that runs itself"), modifiers(&Bearer))]
struct Document;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
        let needed = utoipa::openapi::SecurityRequirement::new("token", Vec::<String>::new());
        document.security = Some(vec![needed]);
    }
}

/// The OpenAPI document.
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = protected().merge(session::open_routes()).split_for_parts().1;
    named_by_path(&mut document);
    document
}

/// Every route that takes a token.
fn protected() -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(incidents::routes())
        .merge(problems::routes())
        .merge(runs::routes())
        .merge(changes::routes())
        .merge(cis::routes())
        .merge(agents::routes())
        .merge(fleet::routes())
        .merge(ledger::routes())
        .merge(generations::routes())
        .merge(notices::routes())
        .merge(tokens::routes())
        .merge(users::routes())
        .merge(session::routes())
        .merge(status::routes())
        .merge(prometheus::own_routes())
        .nest("/prometheus", prometheus::routes())
        .nest("/alertmanager", alertmanager::routes())
}

/// Names each operation by its method and path (`get_incidents_id`): handlers share names, and a document's must be its own.
fn named_by_path(document: &mut utoipa::openapi::OpenApi) {
    for (path, item) in &mut document.paths.paths {
        let words = path.strip_prefix("/api/v1").unwrap_or(path).split(|c: char| !c.is_ascii_alphanumeric());
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        let methods =
            [("get", &mut item.get), ("put", &mut item.put), ("post", &mut item.post), ("delete", &mut item.delete)];
        for (method, operation) in methods {
            if let Some(operation) = operation {
                operation.operation_id = Some(format!("{method}_{}", words.join("_")));
            }
        }
    }
}

/// The API's routes.
pub fn router(state: ApiState) -> axum::Router {
    let document = document();
    let protected = axum::Router::from(protected());
    let authenticate = middleware::from_fn_with_state(state.clone(), auth::authenticate);
    protected
        .route_layer(authenticate)
        .merge(status::open_routes())
        .merge(axum::Router::from(session::open_routes()))
        .route("/api/openapi.json", get(|| async move { Json(document) }))
        .fallback(console::serve)
        .method_not_allowed_fallback(|| async {
            let detail = "this route does not take that method; /api/openapi.json lists what it takes";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn(within_time))
        .layer(middleware::from_fn(number))
        .with_state(state)
}

/// Ends a request that hangs. Streams have their answer at once and go on.
async fn within_time(request: Request, next: Next) -> Response {
    let too_long = || Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", "this took more than 30 s; ask for less");
    let answer = tokio::time::timeout(Duration::from_secs(30), next.run(request)).await;
    answer.unwrap_or_else(|_| too_long().into_response())
}

/// Gives each request an id, under which the log has what went wrong.
async fn number(request: Request, next: Next) -> Response {
    let id = crate::access::hex(&crate::access::random::<8>());
    let span = tracing::info_span!("request", %id, method = %request.method(), path = request.uri().path());
    let mut response = tracing::Instrument::instrument(next.run(request), span).await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("X-Request-Id", id);
    }
    response
}
