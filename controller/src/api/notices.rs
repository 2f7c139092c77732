//! `/notices` and `/channels`: what people were told, on which channel, and what could not be delivered.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchkeep_desk::decision;
use watchkeep_desk::ids::NoticeId;
use watchkeep_desk::{Note, Subject};

use super::auth::Caller;
use super::extract::{Body, Path, Query, one, words};
use super::problem::Problem;
use super::{ApiState, PageQuery};
use crate::notify::Channel;
use crate::store::queries::notices::{self, Filter, NoticeRow};

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(resend))
        .routes(routes!(channels))
        .routes(routes!(test))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Words of states: `waiting`, `delivered`, `dead`.
    state: Option<String>,
    /// A channel's name.
    channel: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// Notices, one item for each channel that they go to, the newest first. What was given up is `dead` until it is sent again.
#[utoipa::path(get, path = "/api/v1/notices", tag = "notices", params(Wanted), responses((status = 200, body = Value)))]
async fn list(State(state): State<ApiState>, Query(wanted): Query<Wanted>) -> Result<Json<Value>, Problem> {
    let limit = PageQuery::checked_limit(wanted.limit)?;
    let filter = Filter { states: words(wanted.state.as_deref())?, channel: wanted.channel, id: None };
    let page = state.read(move |tx| notices::list(tx, &filter, wanted.cursor.as_deref(), limit)).await?;
    Ok(Json(json!({"items": page.items, "next": page.next})))
}

/// How a notice stands on each of its channels.
async fn rows(state: &ApiState, id: NoticeId) -> Result<Vec<NoticeRow>, Problem> {
    let filter = Filter { id: Some(id), ..Filter::default() };
    let rows = state.read(move |tx| notices::list(tx, &filter, None, 500)).await?.items;
    if rows.is_empty() { Err(Problem::not_found(&format!("notice {id}"))) } else { Ok(rows) }
}

/// One notice: how it stands on each channel, and what it says.
#[utoipa::path(get, path = "/api/v1/notices/{id}", tag = "notices", params(("id" = String, Path)), responses((status = 200, body = Value)))]
async fn show(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let id = one(&id)?;
    let rows = rows(&state, id).await?;
    let content = state.read(move |tx| notices::content(tx, id)).await?;
    Ok(Json(json!({"id": id, "channels": rows, "content": content})))
}

/// Which of a notice's channels.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct Resend {
    /// This one, even where it was delivered there; without it every channel that it was not delivered to.
    channel: Option<String>,
}

/// Sends a notice again, under the same id and with all its attempts before it.
#[utoipa::path(post, path = "/api/v1/notices/{id}/resend", tag = "notices", params(("id" = String, Path)), request_body = Resend, responses((status = 200, body = Value), (status = 409, body = Problem)))]
async fn resend(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Body(Resend { channel }): Body<Resend>,
) -> Result<Json<Value>, Problem> {
    let id = one(&id)?;
    let before = rows(&state, id).await?;
    let channels = match channel {
        Some(name) => vec![find(&state, &name)?.name],
        None => undelivered(&state, &before)?,
    };
    let of = before.first();
    let incident = of.and_then(|row| row.incident).map(Subject::Incident);
    let about = incident.or(of.and_then(|row| row.problem).map(Subject::Problem));
    state.note(&caller, Note::SentAgain { id: id.to_string(), channels: channels.clone(), about }).await?;
    let rows = rows(&state, id).await?;
    Ok(Json(json!({"id": id, "sent_to": channels, "channels": rows})))
}

/// The channels that are set up and have not taken the notice.
fn undelivered(state: &ApiState, rows: &[NoticeRow]) -> Result<Vec<String>, Problem> {
    let refused = |detail: &str| Problem::new(StatusCode::CONFLICT, "not_allowed_in_state", detail);
    let known = state.generation.borrow().channels();
    if known.is_empty() {
        return Err(refused("no channel is set up; add one under \"notify\" in watchkeep.yaml and reload"));
    }
    let has_it = |name: &String| rows.iter().any(|row| row.channel == *name && row.state == notices::State::Delivered);
    let left: Vec<String> = known.into_iter().filter(|name| !has_it(name)).collect();
    if left.is_empty() {
        return Err(refused("every channel has taken it; to send it to one of them all the same, name that channel"));
    }
    Ok(left)
}

/// The channels of the generation in force.
#[utoipa::path(get, path = "/api/v1/channels", tag = "notices", responses((status = 200, body = Value)))]
async fn channels(State(state): State<ApiState>) -> Json<Value> {
    let generation = state.generation.borrow().clone();
    let shown = |channel: &Channel| {
        let (kind, to) = channel.shown();
        json!({"name": channel.name, "kind": kind, "to": to})
    };
    let items: Vec<Value> = generation.notify.iter().map(shown).collect();
    Json(json!({"items": items, "next": null}))
}

/// Sends a notice on this channel that tells of nothing, once and now, and says whether it was taken.
#[utoipa::path(post, path = "/api/v1/channels/{name}/test", tag = "notices", params(("name" = String, Path)), responses((status = 200, body = Value), (status = 502, body = Problem)))]
async fn test(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let channel = find(&state, &name)?;
    let now = (state.now)();
    let title = format!("A test of channel \"{name}\", asked for by {}", caller.name());
    let content = json!({"why": "test", "title": title, "at": now});
    let (notice, why) = (NoticeId(crate::access::random()), "test".to_owned());
    let notice = decision::Notice { notice, why, group: None, incident: None, problem: None, content };
    let outcome = channel.deliver(&state.http, &state.config_dir, &notice, now).await;
    let error = outcome.clone().err().unwrap_or_default();
    state.note(&caller, Note::ChannelTested { channel: name.clone(), error }).await?;
    match outcome {
        Ok(()) => Ok(Json(json!({"channel": name, "notice": notice.notice, "delivered": true}))),
        Err(error) => {
            Err(Problem::new(StatusCode::BAD_GATEWAY, "not_delivered", format!("channel \"{name}\": {error}")))
        }
    }
}

/// The channel of this name.
fn find(state: &ApiState, name: &str) -> Result<Channel, Problem> {
    let generation = state.generation.borrow().clone();
    let found = generation.notify.iter().find(|channel| channel.name == name);
    found.cloned().ok_or_else(|| {
        let known = generation.channels();
        let known =
            if known.is_empty() { "none is set up".to_owned() } else { format!("there are {}", known.join(", ")) };
        Problem::new(StatusCode::NOT_FOUND, "not_found", format!("there is no channel \"{name}\" here; {known}"))
    })
}
