//! Silences: listed, set, changed, ended.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchkeep_desk::ids::SilenceId;
use watchkeep_desk::input::ActBody;
use watchkeep_desk::silences::{Silence, SilenceFact, SilenceState};
use watchkeep_desk::{FactBody, Millis};
use watchkeep_rules::selector::{MatchOp, Matcher, Selector};

use super::{ApiState, Asked, Fault, instant, rfc3339};
use crate::api::auth::Caller;

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(silences, set_silence)).routes(routes!(silence, expire_silence))
}

/// A silence's id as clients know ids.
pub fn uuid(id: SilenceId) -> String {
    let digits = id.to_string();
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

fn id_of(text: &str) -> Result<SilenceId, Fault> {
    let wrong = |_| Fault::bad(format!("\"{text}\" is not the id of a silence; `amtool silence query` shows them"));
    text.replace('-', "").parse().map_err(wrong)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    #[serde(default)]
    id: Option<String>,
    matchers: Vec<WantedMatcher>,
    starts_at: String,
    ends_at: String,
    created_by: String,
    comment: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WantedMatcher {
    name: String,
    value: String,
    is_regex: bool,
    #[serde(default = "yes")]
    is_equal: bool,
}

fn yes() -> bool {
    true
}

impl From<WantedMatcher> for Matcher {
    fn from(wanted: WantedMatcher) -> Self {
        let op = match (wanted.is_equal, wanted.is_regex) {
            (true, false) => MatchOp::Equal,
            (false, false) => MatchOp::NotEqual,
            (true, true) => MatchOp::Matches,
            (false, true) => MatchOp::NotMatches,
        };
        Self { label: wanted.name, op, value: wanted.value }
    }
}

fn shown(silence: &Silence, now: Millis) -> Value {
    let matcher = |matcher: &Matcher| {
        json!({
            "name": matcher.label,
            "value": matcher.value,
            "isRegex": matcher.op.is_pattern(),
            "isEqual": matches!(matcher.op, MatchOp::Equal | MatchOp::Matches),
        })
    };
    json!({
        "id": uuid(silence.id),
        "status": {"state": silence.state(now)},
        "matchers": silence.matchers.matchers.iter().map(matcher).collect::<Vec<_>>(),
        "startsAt": rfc3339(silence.starts_at.0),
        "endsAt": rfc3339(silence.ends_at.0),
        "updatedAt": rfc3339(silence.updated_at.0),
        "createdBy": silence.author,
        "comment": silence.comment,
    })
}

/// Silences that are pending, active, or expired within the last five days; `filter` names matchers that they have.
#[utoipa::path(
    get,
    path = "/api/v2/silences",
    tag = "alertmanager",
    params(("filter" = Option<String>, Query)),
    responses((status = 200, body = Vec<Value>))
)]
async fn silences(State(state): State<ApiState>, RawQuery(query): RawQuery) -> Result<Json<Vec<Value>>, Fault> {
    let wanted = Asked::of(query.as_deref()).filter()?;
    let now = (state.now)();
    let mut found = state.core.look(|desk, _| desk.silences().cloned().collect::<Vec<_>>()).await?;
    found.retain(|silence| is_about(silence, &wanted));
    let place = |silence: &Silence| match silence.state(now) {
        SilenceState::Active => 0,
        SilenceState::Pending => 1,
        SilenceState::Expired => 2,
    };
    found.sort_by_key(|silence| (place(silence), silence.ends_at, silence.id));
    Ok(Json(found.iter().map(|silence| shown(silence, now)).collect()))
}

/// Whether a filter holds for the values that a silence's own matchers name, as `amtool silence query alertname=…` asks.
fn is_about(silence: &Silence, filter: &Selector) -> bool {
    let named = |label: &str| {
        let mut matchers = silence.matchers.matchers.iter();
        matchers.find(|matcher| matcher.label == label).map(|matcher| matcher.value.as_str())
    };
    filter.matches_by(named)
}

/// Sets a silence; with an id it changes that one, or takes its place where the matchers are other ones.
#[utoipa::path(
    post,
    path = "/api/v2/silences",
    tag = "alertmanager",
    request_body(content = Value, content_type = "application/json"),
    responses((status = 200, body = Value), (status = 400), (status = 404))
)]
async fn set_silence(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Json<Value>, Fault> {
    let wanted: Wanted =
        serde_json::from_slice(&body).map_err(|error| Fault::bad(format!("the body is no silence: {error}")))?;
    let named = |what, text: &str| instant(what, text).map_err(Fault::bad).map(|at| Millis(at.unwrap_or_default()));
    let act = ActBody::SilenceSet {
        silence: wanted.id.as_deref().filter(|id| !id.is_empty()).map(id_of).transpose()?,
        matchers: Selector { matchers: wanted.matchers.into_iter().map(Matcher::from).collect() },
        starts_at: named("startsAt", &wanted.starts_at)?,
        ends_at: named("endsAt", &wanted.ends_at)?,
        author: wanted.created_by,
        note: wanted.comment,
    };
    let answer = state.act(&caller, act).await?;
    let id = answer.facts.iter().find_map(|fact| match &fact.body {
        FactBody::Silence(SilenceFact::Set { silence, .. } | SilenceFact::Changed { silence }) => Some(silence.id),
        _ => None,
    });
    let done = || Fault(StatusCode::CONFLICT, "this request was done before; list the silences to see it".to_owned());
    Ok(Json(json!({"silenceID": id.map(uuid).ok_or_else(done)?})))
}

/// One silence.
#[utoipa::path(get, path = "/api/v2/silence/{id}", tag = "alertmanager", params(("id" = String, Path)), responses((status = 200, body = Value), (status = 404)))]
async fn silence(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<Value>, Fault> {
    let (id, now) = (id_of(&id)?, (state.now)());
    let found = state.core.look(move |desk, _| desk.silences().find(|silence| silence.id == id).cloned()).await?;
    let unknown = || Fault(StatusCode::NOT_FOUND, format!("no silence {} is known", uuid(id)));
    found.map(|silence| Json(shown(&silence, now))).ok_or_else(unknown)
}

/// Ends a silence now.
#[utoipa::path(delete, path = "/api/v2/silence/{id}", tag = "alertmanager", params(("id" = String, Path)), responses((status = 200), (status = 404)))]
async fn expire_silence(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<(), Fault> {
    let act = ActBody::SilenceExpire { silence: id_of(&id)?, note: String::new() };
    state.act(&caller, act).await?;
    Ok(())
}
