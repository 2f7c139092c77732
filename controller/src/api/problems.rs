//! `/problems`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchkeep_desk::ids::{IncidentId, ProblemId};
use watchkeep_desk::input::ActBody;
use watchkeep_desk::problems::{Problem as Record, State as ProblemState};
use watchkeep_desk::{FactBody, Subject};

use super::acts::{Assignment, Note, Numbered, act, noted};
use super::auth::Caller;
use super::extract::{Body, Path, Query, one, words};
use super::problem::Problem;
use super::story::{self, Earlier};
use super::{ApiState, PageQuery};
use crate::ledger::{self, Cursor, Direction, SubjectRef};
use crate::store::queries::{incidents, problems};

/// Incidents whose facts one story tells, the newest.
const STORY_INCIDENTS: usize = 24;
/// Incidents shown with a problem, the newest.
const SHOWN: usize = 100;

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show))
        .routes(routes!(why))
        .routes(routes!(join))
        .routes(routes!(merge))
        .routes(routes!(split))
        .routes(routes!(known_error))
        .routes(routes!(assign))
        .routes(routes!(investigate))
        .routes(routes!(fix))
        .routes(routes!(resolve))
        .routes(routes!(reopen))
        .routes(routes!(close))
        .routes(routes!(cancel))
        .routes(routes!(note))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Words of states, `new,known_error`; none: all that are open.
    state: Option<String>,
    /// `correlation,recurrence,hand`.
    origin: Option<String>,
    /// `1,2`.
    priority: Option<String>,
    /// That stands in it: `INC-7`.
    incident: Option<String>,
    group: Option<String>,
    /// Within the title.
    search: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// Problems, the newest first.
#[utoipa::path(get, path = "/api/v1/problems", tag = "problems", params(Wanted), responses((status = 200, body = Value)))]
async fn list(State(state): State<ApiState>, Query(wanted): Query<Wanted>) -> Result<Json<Value>, Problem> {
    let limit = PageQuery::checked_limit(wanted.limit)?;
    let open = || ProblemState::ALL.iter().copied().filter(|state| state.is_open()).collect();
    let filter = problems::Filter {
        states: match &wanted.state {
            Some(list) => words(Some(list))?,
            None => open(),
        },
        origins: words(wanted.origin.as_deref())?,
        priorities: words(wanted.priority.as_deref())?,
        incident: wanted.incident.as_deref().map(one).transpose()?,
        group: wanted.group,
        text: wanted.search,
    };
    let page = state.read(move |tx| problems::list(tx, &filter, wanted.cursor.as_deref(), limit)).await?;
    Ok(Json(json!({"items": page.items, "next": page.next})))
}

/// One problem with its candidates, its evidence and how its incidents stand.
#[utoipa::path(get, path = "/api/v1/problems/{id}", tag = "problems", params(("id" = String, Path)), responses((status = 200, body = Value)))]
async fn show(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    shown(&state, one(&id)?).await.map(Json)
}

async fn find(state: &ApiState, id: ProblemId) -> Result<Record, Problem> {
    let found = state.read(move |tx| problems::get(tx, id)).await?;
    found.ok_or_else(|| Problem::not_found(&format!("problem {id}")))
}

async fn shown(state: &ApiState, id: ProblemId) -> Result<Value, Problem> {
    let problem = find(state, id).await?;
    let newest: Vec<IncidentId> = problem.incidents.iter().rev().take(SHOWN).copied().collect();
    let found = state.read(move |tx| newest.iter().map(|id| incidents::get(tx, *id)).collect::<Result<Vec<_>, _>>());
    let in_short: Vec<Value> = found
        .await?
        .into_iter()
        .flatten()
        .map(|known| {
            let level = known.priority.level;
            json!({"id": known.id, "state": known.state, "priority": level, "title": known.title,
                "agent": known.agent, "opened_at": known.opened_at})
        })
        .collect();
    let all = problem.incidents.clone();
    let open = state.core.look(move |desk, _| {
        let known = all.iter().filter_map(|id| desk.incident(*id));
        known.filter(|incident| incident.state.is_open()).count()
    });
    let mut answer = json!(problem);
    answer["incidents_open"] = open.await?.into();
    answer["incidents_in_short"] = in_short.into();
    Ok(answer)
}

/// The whole story: the problem's facts with those of its incidents, in the order of the ledger.
#[utoipa::path(get, path = "/api/v1/problems/{id}/why", tag = "problems", params(("id" = String, Path), Earlier), responses((status = 200, body = Value)))]
async fn why(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Query(wanted): Query<Earlier>,
) -> Result<Json<Value>, Problem> {
    let problem = find(&state, one(&id)?).await?;
    let mut subjects = vec![SubjectRef::new("problem", problem.id.to_string())];
    let newest = problem.incidents.iter().rev().take(STORY_INCIDENTS);
    subjects.extend(newest.map(|incident| SubjectRef::new("incident", incident.to_string())));
    let entries = state.read(move |tx| story::read(tx, &subjects, &wanted)).await?;
    let mut page = story::page("problem", &problem.id.to_string(), &entries, Some);
    page["title"] = json!(problem.title);
    page["state"] = json!(problem.state);
    page["priority"] = json!(problem.priority);
    Ok(Json(page))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Create {
    /// `INC-7`, …
    incidents: Vec<String>,
    /// Left out: made from what may be the cause.
    #[serde(default)]
    title: String,
    #[serde(default)]
    note: String,
}

/// Incidents, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Incidents {
    /// `INC-7`, …
    incidents: Vec<String>,
    #[serde(default)]
    note: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Merge {
    /// The problem that it becomes part of.
    into: String,
    #[serde(default)]
    note: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct KnownError {
    /// How to live with it until it is mended; shown on every incident that joins.
    workaround: String,
    #[serde(default)]
    note: String,
}

fn numbers(incidents: &[String]) -> Result<Vec<IncidentId>, Problem> {
    incidents.iter().map(|incident| one(incident)).collect()
}

/// Open a problem of incidents.
#[utoipa::path(post, path = "/api/v1/problems", tag = "problems", request_body = Create, responses((status = 201, body = Value), (status = 409, body = Problem)))]
async fn create(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Body(Create { incidents, title, note }): Body<Create>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let act = ActBody::ProblemCreate { incidents: numbers(&incidents)?, title, note };
    let answer = state.act(&caller, act).await?;
    let opened = answer.facts.iter().find_map(|fact| match (&fact.subject, &fact.body) {
        (Subject::Problem(problem), FactBody::Problem(_)) => Some(*problem),
        _ => None,
    });
    let opened = match opened {
        Some(problem) => Some(problem),
        None => opened_before(&state, &caller).await?,
    };
    let opened = opened.ok_or_else(|| {
        Problem::new(StatusCode::CONFLICT, "already_done", "this Idempotency-Key was used for something else before")
    })?;
    Ok((StatusCode::CREATED, Json(shown(&state, opened).await?)))
}

/// The problem that the same request opened when it came first.
async fn opened_before(state: &ApiState, caller: &Caller) -> Result<Option<ProblemId>, Problem> {
    let (who, request) = (caller.actor(), caller.request.clone());
    let done_at = state.core.look(move |desk, _| desk.done_at(&who, &request)).await?;
    let Some(order) = done_at else { return Ok(None) };
    let opened = ledger::Filter { kind: Some("problem.".to_owned()), cause: Some(order), ..ledger::Filter::default() };
    let begin = Cursor { chain: ledger::DESK.to_owned(), seq: 0 };
    let facts = state.read(move |tx| ledger::facts(tx, &opened, &begin, Direction::Forward, 1)).await?;
    facts.first().map(|entry| one(&entry.subject.id)).transpose()
}

impl Numbered for ProblemId {
    type Shown = Value;

    async fn shown(self, state: &ApiState) -> Result<Value, Problem> {
        shown(state, self).await
    }
}

/// Put incidents into it.
#[utoipa::path(post, path = "/api/v1/problems/{id}/join", tag = "problems", params(("id" = String, Path)), request_body = Incidents, responses((status = 200, body = Value), (status = 409, body = Problem)))]
async fn join(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Body(Incidents { incidents, note }): Body<Incidents>,
) -> Result<Json<Value>, Problem> {
    let incidents = numbers(&incidents)?;
    act(&state, &caller, &id, |problem| ActBody::ProblemJoin { problem, incidents, note }).await
}

/// Make it part of another problem; splitting undoes that.
#[utoipa::path(post, path = "/api/v1/problems/{id}/merge", tag = "problems", params(("id" = String, Path)), request_body = Merge, responses((status = 200, body = Value), (status = 409, body = Problem)))]
async fn merge(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Body(Merge { into, note }): Body<Merge>,
) -> Result<Json<Value>, Problem> {
    let into = one(&into)?;
    act(&state, &caller, &id, |problem| ActBody::ProblemMerge { problem, into, note }).await
}

/// Take incidents out; several become a problem of their own. They are not put back but by hand.
#[utoipa::path(post, path = "/api/v1/problems/{id}/split", tag = "problems", params(("id" = String, Path)), request_body = Incidents, responses((status = 200, body = Value), (status = 409, body = Problem)))]
async fn split(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Body(Incidents { incidents, note }): Body<Incidents>,
) -> Result<Json<Value>, Problem> {
    let incidents = numbers(&incidents)?;
    act(&state, &caller, &id, |problem| ActBody::ProblemSplit { problem, incidents, note }).await
}

/// The cause is known, and how to live with it.
#[utoipa::path(post, path = "/api/v1/problems/{id}/known-error", tag = "problems", params(("id" = String, Path)), request_body = KnownError, responses((status = 200, body = Value), (status = 409, body = Problem)))]
async fn known_error(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Body(KnownError { workaround, note }): Body<KnownError>,
) -> Result<Json<Value>, Problem> {
    act(&state, &caller, &id, |problem| ActBody::ProblemKnownError { problem, workaround, note }).await
}

/// Give it to a person or a group; from then on it does not resolve by itself.
#[utoipa::path(post, path = "/api/v1/problems/{id}/assign", tag = "problems", operation_id = "problem_assign", params(("id" = String, Path)), request_body = Assignment, responses((status = 200, body = Value), (status = 409, body = Problem)))]
async fn assign(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Body(Assignment { assignee, group, note }): Body<Assignment>,
) -> Result<Json<Value>, Problem> {
    act(&state, &caller, &id, |problem| ActBody::ProblemAssign { problem, assignee, group, note }).await
}

noted! {
    "problems" ("problem_"), problem -> Value;
    investigate ProblemInvestigate "Somebody looks for the cause.";
    fix ProblemFix "The fix is being made.";
    resolve ProblemResolve "The cause is gone. `incidents_open` says how many of its incidents are not over: it closes after them.";
    reopen ProblemReopen "It was not.";
    close ProblemClose "Done with it.";
    cancel ProblemCancel "It was none: its incidents stand by themselves again.";
    note ProblemNote "A line for its timeline.";
}
