//! `/facts`, `/stream` and `/audit`: the ledger, read.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchkeep_desk::Millis;

use super::extract::{Query, one};
use super::problem::Problem;
use super::{ApiState, PageQuery};
use crate::ledger::{self, Cursor, Direction, Entry, Filter, SubjectRef};

/// Facts that one waking of a stream reads.
const PORTION: u32 = 200;

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(facts)).routes(routes!(stream)).routes(routes!(verify))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// What it is about: `incident:INC-7`, `agent:web-3`.
    subject: Option<String>,
    /// `incident.opened`, or a practice with a dot: `incident.`
    kind: Option<String>,
    /// Learned at or after this, milliseconds since 1970.
    since: Option<i64>,
    /// Following from this input.
    cause: Option<u64>,
    limit: Option<u32>,
    /// Behind this one; `desk:0` is before the first.
    cursor: Option<String>,
}

/// Facts in the order of the ledger.
#[utoipa::path(get, path = "/api/v1/facts", tag = "ledger", params(Wanted), responses((status = 200, body = Value)))]
async fn facts(State(state): State<ApiState>, Query(wanted): Query<Wanted>) -> Result<Json<Value>, Problem> {
    let limit = PageQuery::checked_limit(wanted.limit)?;
    let cursor = cursor(wanted.cursor.as_deref())?;
    let subject = wanted.subject.as_deref().map(|text| {
        let (kind, id) = text.split_once(':').unwrap_or((text, ""));
        SubjectRef::new(kind, id)
    });
    let filter = Filter {
        subjects: subject.into_iter().collect(),
        kind: wanted.kind,
        since: wanted.since.map(Millis),
        cause: wanted.cause,
    };
    let items = state.read(move |tx| ledger::facts(tx, &filter, &cursor, Direction::Forward, limit)).await?;
    let next = items.last().filter(|_| items.len() == limit as usize).map(|last| last.cursor.to_string());
    Ok(Json(json!({"items": items.iter().map(shown).collect::<Vec<_>>(), "next": next})))
}

fn cursor(text: Option<&str>) -> Result<Cursor, Problem> {
    text.map_or_else(|| Ok(Cursor { chain: ledger::DESK.to_owned(), seq: 0 }), one)
}

/// A fact with its cursor as the text that goes back in.
fn shown(entry: &Entry) -> Value {
    let mut value = json!(entry);
    value["cursor"] = Value::String(entry.cursor.to_string());
    value
}

/// The ledger as it grows, as server-sent events: `id` is the cursor and `data` the fact. `Last-Event-ID` goes on from where
/// a stream broke; without it the stream begins with what comes next.
#[utoipa::path(get, path = "/api/v1/stream", tag = "ledger", responses((status = 200, content_type = "text/event-stream", body = String)))]
async fn stream(
    State(state): State<ApiState>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let head = state.core.head();
    let from = match headers.get("Last-Event-ID").and_then(|id| id.to_str().ok()) {
        Some(id) => one(id)?,
        None => Cursor { chain: ledger::DESK.to_owned(), seq: *head.borrow() },
    };
    let following = Following { state, head, at: from, ready: Vec::new() };
    Ok(Sse::new(unfold(following, Following::next)).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

/// One reader of the stream. It reads the ledger whenever that moved, a portion at a time, as fast as its peer takes it.
struct Following {
    state: ApiState,
    head: tokio::sync::watch::Receiver<u64>,
    at: Cursor,
    /// Read and not yet sent, the next at the end.
    ready: Vec<Entry>,
}

impl Following {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if let Some(entry) = self.ready.pop() {
                self.at = entry.cursor.clone();
                let event = Event::default().id(entry.cursor.to_string()).event(entry.kind.clone());
                return Some((Ok(event.data(shown(&entry).to_string())), self));
            }
            let cursor = self.at.clone();
            let read = move |tx: &mut dyn crate::store::Tx| {
                ledger::facts(tx, &Filter::default(), &cursor, Direction::Forward, PORTION)
            };
            // Marked as seen before reading: what is committed meanwhile wakes the next turn.
            self.head.borrow_and_update();
            self.ready = self.state.read(read).await.ok()?;
            self.ready.reverse();
            if self.ready.is_empty() {
                let mut stopping = self.state.stopping.clone();
                tokio::select! {
                    moved = self.head.changed() => moved.ok()?,
                    _ = stopping.wait_for(|stop| *stop) => return None,
                }
            }
        }
    }
}

/// Walks the chain, its bodies and its checkpoints.
#[utoipa::path(get, path = "/api/v1/audit/verify", tag = "ledger", responses((status = 200, body = Value)))]
async fn verify(State(state): State<ApiState>) -> Result<Json<Value>, Problem> {
    let checkpoint = state.checkpoint_key.clone();
    let auditor = state.auditor.clone();
    let walk = move |tx: &mut dyn crate::store::Tx| {
        ledger::walk(tx, &|id: &str, message: &[u8], by: &[u8]| checkpoint.signed(id, message, by))
    };
    let report = ApiState::blocking(move || auditor.read(walk)).await?;
    Ok(Json(json!({"holds": report.holds(), "text": report.to_string(), "report": report})))
}
