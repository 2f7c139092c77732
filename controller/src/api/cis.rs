//! `/cis`: the CMDB. Where a path takes an item, it takes every name of [`super::ci_names`].

use axum::Extension;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchkeep_desk::Millis;
use watchkeep_desk::cmdb::{Ci, Class};
use watchkeep_desk::input::ActBody;
use watchkeep_rules::model::CI_CLASSES;
use watchkeep_rules::near::near;
use watchkeep_rules::selector::Selector;

use super::auth::Caller;
use super::ci_names::{InShort, by_id, find};
use super::extract::{Body, Path, Query};
use super::problem::Problem;
use super::{ApiState, PageQuery};
use crate::store::queries::cis::{self, AsOf};
use crate::store::queries::relations;

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(related))
        .routes(routes!(history))
        .routes(routes!(retire))
        .routes(routes!(set))
        .routes(routes!(relate))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    class: Option<String>,
    /// Exactly.
    name: Option<String>,
    /// Within the name.
    search: Option<String>,
    agent: Option<String>,
    /// `{version=~"1.22.*"}`, over attributes, class, name and lifecycle.
    selector: Option<String>,
    /// Words of lifecycles; none: all but retired and disposed.
    lifecycle: Option<String>,
    /// As it was at this instant, milliseconds since 1970, and as it was known then.
    as_of: Option<i64>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// Says which classes there are, and which may be meant.
fn no_class(word: &str) -> Problem {
    let near = near(word, CI_CLASSES).map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
    Problem::invalid(format!("\"{word}\" is no class of the CMDB; there are {}{near}", CI_CLASSES.join(", ")))
}

/// Configuration items, by name.
#[utoipa::path(get, path = "/api/v1/cis", tag = "cmdb", params(Wanted), responses((status = 200, body = Value)))]
async fn list(State(state): State<ApiState>, Query(wanted): Query<Wanted>) -> Result<Json<Value>, Problem> {
    let limit = PageQuery::checked_limit(wanted.limit)?;
    let class = wanted.class.as_deref().map(|word| Class::parse(word).ok_or_else(|| no_class(word)));
    let selector = wanted.selector.as_deref().map(Selector::parse).transpose();
    let filter = cis::Filter {
        class: class.transpose()?,
        name: wanted.name,
        text: wanted.search,
        agent: wanted.agent,
        lifecycles: wanted.lifecycle.iter().flat_map(|list| list.split(',')).map(str::to_owned).collect(),
        selector: selector.map_err(|error| Problem::invalid(format!("selector: {error}")))?.unwrap_or_default(),
        ..cis::Filter::default()
    };
    let as_of = wanted.as_of.map(|at| AsOf::then(Millis(at)));
    let page = state.read(move |tx| cis::list(tx, &filter, as_of, wanted.cursor.as_deref(), limit)).await?;
    Ok(Json(json!({"items": page.items, "next": page.next})))
}

/// One item.
#[utoipa::path(get, path = "/api/v1/cis/{id}", tag = "cmdb", params(("id" = String, Path)), responses((status = 200, body = Value)))]
async fn show(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<Ci>, Problem> {
    find(&state, &id).await.map(Json)
}

/// The relations from and to an item, each with what is at its other end.
#[utoipa::path(get, path = "/api/v1/cis/{id}/relations", tag = "cmdb", params(("id" = String, Path), PageQuery), responses((status = 200, body = Value)))]
async fn related(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Value>, Problem> {
    let limit = PageQuery::checked_limit(page.limit)?;
    let this = InShort::of(&find(&state, &id).await?);
    let (id, filter) = (this.id, relations::Filter::default());
    let page = state.read(move |tx| relations::of_ci(tx, id, &filter, page.cursor.as_deref(), limit)).await?;
    Ok(Json(json!({"ci": this, "items": page.items, "next": page.next})))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Earlier {
    /// Learned before this, milliseconds since 1970.
    before: Option<i64>,
    limit: Option<u32>,
}

/// The values that its attributes had and have, its lifecycle among them; the newest first.
#[utoipa::path(get, path = "/api/v1/cis/{id}/history", tag = "cmdb", params(("id" = String, Path), Earlier), responses((status = 200, body = Value)))]
async fn history(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Query(wanted): Query<Earlier>,
) -> Result<Json<Value>, Problem> {
    let limit = PageQuery::checked_limit(wanted.limit)?;
    let this = InShort::of(&find(&state, &id).await?);
    let (id, before) = (this.id, wanted.before.map(Millis));
    let held = state.read(move |tx| cis::history(tx, id, before, limit)).await?;
    Ok(Json(json!({"ci": this, "items": held})))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct Note {
    note: String,
}

/// Take it out of service.
#[utoipa::path(post, path = "/api/v1/cis/{id}/retire", tag = "cmdb", params(("id" = String, Path)), request_body = Note, responses((status = 200, body = Value), (status = 409, body = Problem)))]
async fn retire(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Body(Note { note }): Body<Note>,
) -> Result<Json<Ci>, Problem> {
    let ci = find(&state, &id).await?.id;
    state.act(&caller, ActBody::CiRetire { ci, note }).await?;
    by_id(&state, ci).await.map(Json)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Set {
    /// An attribute of its class, such as `criticality` of a business_service.
    name: String,
    value: String,
    note: String,
}

/// Set an attribute by hand.
#[utoipa::path(post, path = "/api/v1/cis/{id}/set", tag = "cmdb", params(("id" = String, Path)), request_body = Set, responses((status = 200, body = Value), (status = 409, body = Problem)))]
async fn set(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Body(Set { name, value, note }): Body<Set>,
) -> Result<Json<Ci>, Problem> {
    let ci = find(&state, &id).await?.id;
    state.act(&caller, ActBody::CiSet { ci, name, value, note }).await?;
    by_id(&state, ci).await.map(Json)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Relate {
    /// The item that this one depends on, or does not; named as in a path.
    depends_on: String,
    verdict: Word,
    note: String,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Word {
    /// It does, whatever connections show.
    Pin,
    /// It does not, whatever connections show.
    Deny,
    /// Take back what was said: what connections show counts.
    Forget,
}

/// Say by hand that it depends on another item, or that it does not.
#[utoipa::path(post, path = "/api/v1/cis/{id}/relate", tag = "cmdb", params(("id" = String, Path)), request_body = Relate, responses((status = 200, body = Value), (status = 409, body = Problem)))]
async fn relate(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Body(Relate { depends_on, verdict, note }): Body<Relate>,
) -> Result<Json<Value>, Problem> {
    let (this, other) = (find(&state, &id).await?, find(&state, &depends_on).await?);
    let (from, to) = (this.id, other.id);
    let act = match verdict {
        Word::Pin => ActBody::RelationPin { from, to, note },
        Word::Deny => ActBody::RelationDeny { from, to, note },
        Word::Forget => ActBody::RelationForget { from, to, note },
    };
    state.act(&caller, act).await?;
    Ok(Json(json!({"from": InShort::of(&this), "kind": "depends_on", "to": InShort::of(&other)})))
}
