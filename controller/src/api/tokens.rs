//! `/enrolment-tokens` and `/api-tokens`. A token is shown once, when it is made.
//!
//! Who made and who ended one stands in the ledger. It is noted before a token is made, so that none is in force unknown, and
//! after one was ended, so that none is said to be ended that is not.

use std::collections::BTreeMap;

use axum::Extension;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchkeep_desk::Note;

use super::auth::Caller;
use super::extract::{Body, Path, Query, one};
use super::problem::Problem;
use super::{ApiState, PageQuery};
use crate::access::api_tokens;
use crate::access::enrolment_tokens::{self, NewToken};
use crate::access::random;
use crate::access::roles::Role;

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_enrolment, create_enrolment))
        .routes(routes!(revoke_enrolment))
        .routes(routes!(list_api, create_api))
        .routes(routes!(revoke_api))
}

/// The cursor of both lists is when the last one was made.
fn before(page: &PageQuery) -> Result<i64, Problem> {
    page.cursor.as_deref().map_or(Ok(i64::MAX), |cursor| {
        cursor.parse().map_err(|_| Problem::invalid(format!("\"{cursor}\" is no cursor of this list")))
    })
}

fn page<T: serde::Serialize>(items: &[T], limit: u32, created_at: impl Fn(&T) -> i64) -> Json<Value> {
    let next = items.last().filter(|_| items.len() == limit as usize).map(|last| created_at(last).to_string());
    Json(json!({"items": items, "next": next}))
}

fn until(now: i64, length: &str) -> Result<i64, Problem> {
    let length =
        watchkeep_rules::duration::parse(length).map_err(|error| Problem::invalid(format!("expires: {error}")))?;
    Ok(now.saturating_add(length))
}

/// What an enrolment token is to bring.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Enrolment {
    /// Labels that every host enrolled with it gets: the operator's word.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// How many hosts may enrol with it.
    #[serde(default = "once")]
    uses: u32,
    /// For how long: `1h`.
    #[serde(default = "an_hour")]
    expires: String,
}

fn once() -> u32 {
    1
}

fn an_hour() -> String {
    "1h".to_owned()
}

/// Tokens that enrol hosts, the newest first.
#[utoipa::path(get, path = "/api/v1/enrolment-tokens", tag = "tokens", params(PageQuery), responses((status = 200, body = Value)))]
async fn list_enrolment(State(state): State<ApiState>, Query(query): Query<PageQuery>) -> Result<Json<Value>, Problem> {
    let (before, limit) = (before(&query)?, PageQuery::checked_limit(query.limit)?);
    let items = state.read(move |tx| enrolment_tokens::list(tx, before, limit)).await?;
    Ok(page(&items, limit, |token| token.created_at))
}

/// Makes a token that enrols hosts.
#[utoipa::path(post, path = "/api/v1/enrolment-tokens", tag = "tokens", request_body = Enrolment, responses((status = 201, body = Value)))]
async fn create_enrolment(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Body(wanted): Body<Enrolment>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let now = (state.now)().0;
    if wanted.uses == 0 {
        return Err(Problem::invalid("uses is 0; a token enrols at least one host"));
    }
    let expires_at = until(now, &wanted.expires)?;
    let new = NewToken { labels: wanted.labels, uses_max: wanted.uses, expires_at, created_by: caller.actor() };
    let (drawn, trust) = ((random(), random()), (state.ca_fingerprint, state.enrol_url.clone()));
    let id = enrolment_tokens::id(&drawn.0);
    state.note(&caller, Note::EnrolmentTokenCreated { id, uses: new.uses_max }).await?;
    let token = state.write(move |tx| enrolment_tokens::create(tx, &new, drawn, (trust.0, &trust.1), now)).await?;
    let answer = json!({"id": token.id, "token": token.to_text(), "url": token.url, "expires_at": expires_at});
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Withdraws a token; hosts that enrolled with it stay.
#[utoipa::path(delete, path = "/api/v1/enrolment-tokens/{id}", tag = "tokens", params(("id" = String, Path)), responses((status = 204)))]
async fn revoke_enrolment(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let (now, wanted) = ((state.now)().0, id.clone());
    let found = state.write(move |tx| enrolment_tokens::revoke(tx, &wanted, now)).await?;
    if found {
        state.note(&caller, Note::EnrolmentTokenRevoked { id: id.clone() }).await?;
    }
    gone(found, "enrolment token", &id)
}

fn gone(found: bool, what: &str, id: &str) -> Result<StatusCode, Problem> {
    if found { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found(&format!("{what} \"{id}\" in force"))) }
}

/// Whose token, and what it may do.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Person {
    name: String,
    /// `viewer`, `responder`, `operator` or `admin`.
    role: String,
    /// For how long: `30d`; none: until revoked.
    #[serde(default)]
    expires: Option<String>,
}

/// Tokens of the API, the newest first.
#[utoipa::path(get, path = "/api/v1/api-tokens", tag = "tokens", params(PageQuery), responses((status = 200, body = Value)))]
async fn list_api(State(state): State<ApiState>, Query(query): Query<PageQuery>) -> Result<Json<Value>, Problem> {
    let (before, limit) = (before(&query)?, PageQuery::checked_limit(query.limit)?);
    let items = state.read(move |tx| api_tokens::list(tx, before, limit)).await?;
    Ok(page(&items, limit, |token| token.created_at))
}

/// Makes a token of the API.
#[utoipa::path(post, path = "/api/v1/api-tokens", tag = "tokens", request_body = Person, responses((status = 201, body = Value)))]
async fn create_api(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Body(wanted): Body<Person>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let now = (state.now)().0;
    let role: Role = one(&wanted.role)?;
    if wanted.name.trim().is_empty() {
        return Err(Problem::invalid("name is empty; say whose token it is"));
    }
    let expires_at = wanted.expires.as_deref().map(|length| until(now, length)).transpose()?;
    let (drawn, by) = ((random(), random()), caller.actor());
    let (id, name) = (api_tokens::id(&drawn.0), wanted.name.clone());
    state.note(&caller, Note::TokenCreated { id, name, role: role.to_string() }).await?;
    let token =
        state.write(move |tx| api_tokens::create(tx, (&wanted.name, role, &by), drawn, expires_at, now)).await?;
    Ok((StatusCode::CREATED, Json(json!({"token": token.reveal(), "role": role, "expires_at": expires_at}))))
}

/// Ends a token.
#[utoipa::path(delete, path = "/api/v1/api-tokens/{id}", tag = "tokens", params(("id" = String, Path)), responses((status = 204)))]
async fn revoke_api(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let (now, wanted) = ((state.now)().0, id.clone());
    let found = state.write(move |tx| api_tokens::revoke(tx, &wanted, now)).await?;
    if found {
        state.note(&caller, Note::TokenRevoked { id: id.clone() }).await?;
    }
    gone(found, "token", &id)
}
