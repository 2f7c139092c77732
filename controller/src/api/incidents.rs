//! `/incidents`.

use axum::Extension;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchkeep_desk::explain;
use watchkeep_desk::ids::IncidentId;
use watchkeep_desk::incidents::{Incident, State as IncidentState};
use watchkeep_desk::input::ActBody;

use super::acts::{Assignment, Note, Numbered, act, noted};
use super::auth::Caller;
use super::extract::{Body, Path, Query, one, words};
use super::problem::Problem;
use super::story::{self, Earlier};
use super::{ApiState, PageQuery, ci_names};
use crate::ledger::SubjectRef;
use crate::store::queries::incidents;

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(why))
        .routes(routes!(acknowledge))
        .routes(routes!(assign))
        .routes(routes!(progress))
        .routes(routes!(hold))
        .routes(routes!(resolve))
        .routes(routes!(reopen))
        .routes(routes!(close))
        .routes(routes!(cancel))
        .routes(routes!(note))
        .routes(routes!(priority))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Words of states, `new,acknowledged`; none: all that are open.
    state: Option<String>,
    /// `1,2`.
    priority: Option<String>,
    /// Within title, rule or key.
    search: Option<String>,
    key: Option<String>,
    agent: Option<String>,
    group: Option<String>,
    assignee: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// What is open, or what was.
#[utoipa::path(get, path = "/api/v1/incidents", tag = "incidents", params(Wanted), responses((status = 200, body = Value)))]
async fn list(State(state): State<ApiState>, Query(wanted): Query<Wanted>) -> Result<Json<Value>, Problem> {
    let limit = PageQuery::checked_limit(wanted.limit)?;
    let states: Vec<IncidentState> = match &wanted.state {
        Some(list) => words(Some(list))?,
        None => IncidentState::ALL.iter().copied().filter(|state| is_open(*state)).collect(),
    };
    let priorities: Vec<u8> = words(wanted.priority.as_deref())?;
    if let Some(none) = priorities.iter().find(|priority| !(1..=5).contains(*priority)) {
        return Err(Problem::invalid(format!("priority is {none}; it goes from 1 (worst) to 5")));
    }
    let filter = incidents::Filter {
        states,
        priorities,
        text: wanted.search,
        key: wanted.key,
        agent: wanted.agent,
        group: wanted.group,
        assignee: wanted.assignee,
        ci: None,
    };
    let page = state.read(move |tx| incidents::list(tx, &filter, wanted.cursor.as_deref(), limit)).await?;
    Ok(Json(json!({"items": page.items, "next": page.next})))
}

fn is_open(state: IncidentState) -> bool {
    !matches!(state, IncidentState::Resolved | IncidentState::Closed | IncidentState::Cancelled)
}

/// One incident; in `ci_in_short` what its `ci` is.
#[utoipa::path(get, path = "/api/v1/incidents/{id}", tag = "incidents", params(("id" = String, Path)), responses((status = 200, body = Value)))]
async fn show(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let incident = find(&state, one(&id)?).await?;
    let mut answer = json!(incident);
    let ci = state.read(move |tx| ci_names::in_short(tx, incident.ci.as_slice())).await?;
    answer["ci_in_short"] = json!(ci.first());
    Ok(Json(answer))
}

async fn find(state: &ApiState, id: IncidentId) -> Result<Incident, Problem> {
    let found = state.read(move |tx| incidents::get(tx, id)).await?;
    found.ok_or_else(|| Problem::not_found(&format!("incident {id}")))
}

/// The story: the incident's facts with those of its runs and changes, and of its `problem` what concerns it, in the order of
/// the ledger; of the newest 500, and in `earlier` where those before them are found. `elsewhere` counts the facts that only
/// the problem's own story tells; `after` names the incident of the same key before this one.
#[utoipa::path(get, path = "/api/v1/incidents/{id}/why", tag = "incidents", params(("id" = String, Path), Earlier), responses((status = 200, body = Value)))]
async fn why(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Query(wanted): Query<Earlier>,
) -> Result<Json<Value>, Problem> {
    let incident = find(&state, one(&id)?).await?;
    let subjects = subjects_of(&incident);
    let entries = state.read(move |tx| story::read(tx, &subjects, &wanted)).await?;
    let mut page =
        story::page("incident", &incident.id.to_string(), &entries, |fact| explain::seen_from(incident.id, fact));
    page["problem"] = json!(incident.problem);
    page["title"] = json!(incident.title);
    page["state"] = json!(incident.state);
    page["priority"] = json!(incident.priority.level);
    page["after"] = json!(incident.links.iter().find(|link| link.kind == "earlier").map(|link| link.incident));
    Ok(Json(page))
}

/// A story names 50 subjects at most: of runs and changes the newest are told.
fn subjects_of(incident: &Incident) -> Vec<SubjectRef> {
    let mut subjects = vec![SubjectRef::new("incident", incident.id.to_string())];
    subjects.extend(incident.problem.iter().map(|problem| SubjectRef::new("problem", problem.to_string())));
    subjects.extend(incident.runs.iter().rev().take(24).map(|run| SubjectRef::new("run", run.to_string())));
    subjects.extend(incident.changes.iter().rev().take(24).map(|change| SubjectRef::new("change", change.to_string())));
    subjects
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Hold {
    /// `caller`, `change`, `problem` or `vendor`.
    awaiting: String,
    #[serde(default)]
    note: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Resolve {
    code: String,
    note: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Priority {
    /// 1 to 5.
    priority: u8,
    note: String,
}

impl Numbered for IncidentId {
    type Shown = Incident;

    async fn shown(self, state: &ApiState) -> Result<Incident, Problem> {
        find(state, self).await
    }
}

noted! {
    "incidents" (""), incident -> Incident;
    acknowledge IncidentAcknowledge "It has been seen.";
    progress IncidentProgress "Somebody works on it.";
    reopen IncidentReopen "It came back, or was not mended.";
    close IncidentClose "Done with it.";
    cancel IncidentCancel "It should never have been opened.";
    note IncidentNote "A line for its timeline.";
}

/// Give it to a person or a group.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/assign", tag = "incidents", params(("id" = String, Path)), request_body = Assignment, responses((status = 200, body = Value)))]
async fn assign(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Body(Assignment { assignee, group, note }): Body<Assignment>,
) -> Result<Json<Incident>, Problem> {
    act(&state, &caller, &id, |incident| ActBody::IncidentAssign { incident, assignee, group, note }).await
}

/// Wait for somebody.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/hold", tag = "incidents", params(("id" = String, Path)), request_body = Hold, responses((status = 200, body = Value)))]
async fn hold(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Body(Hold { awaiting, note }): Body<Hold>,
) -> Result<Json<Incident>, Problem> {
    act(&state, &caller, &id, |incident| ActBody::IncidentHold { incident, awaiting, note }).await
}

/// It is mended.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/resolve", tag = "incidents", params(("id" = String, Path)), request_body = Resolve, responses((status = 200, body = Value)))]
async fn resolve(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Body(Resolve { code, note }): Body<Resolve>,
) -> Result<Json<Incident>, Problem> {
    act(&state, &caller, &id, |incident| ActBody::IncidentResolve { incident, code, note }).await
}

/// Set its priority by hand.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/priority", tag = "incidents", params(("id" = String, Path)), request_body = Priority, responses((status = 200, body = Value)))]
async fn priority(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Body(Priority { priority, note }): Body<Priority>,
) -> Result<Json<Incident>, Problem> {
    act(&state, &caller, &id, |incident| ActBody::IncidentPriority { incident, priority, note }).await
}
