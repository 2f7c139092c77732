//! `/users`: people who log in.
//!
//! Who added, changed and removed whom stands in the ledger, by id alone; noted before the deed, as with tokens, so that
//! nobody has rights unknown, and after a removal, so that nobody is said to be gone who is not.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchkeep_desk::{Actor, Note};

use super::auth::Caller;
use super::extract::{Body, Path, Query, one};
use super::problem::Problem;
use super::session::set_password;
use super::{ApiState, PageQuery};
use crate::access::people::{self, NewPerson, Person};
use crate::access::roles::Role;
use crate::access::{Secret, hex, passwords, random, sessions};

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(set_role))
        .routes(routes!(password))
        .routes(routes!(link))
        .routes(routes!(remove))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Those who were removed too: what they did stands under their id.
    removed: bool,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// People by name. Anybody who may read may put a name to an id.
#[utoipa::path(get, path = "/api/v1/users", tag = "users", params(Wanted), responses((status = 200, body = Value)))]
async fn list(State(state): State<ApiState>, Query(wanted): Query<Wanted>) -> Result<Json<Value>, Problem> {
    let limit = PageQuery::checked_limit(wanted.limit)?;
    let after = wanted.cursor.unwrap_or_default();
    let items = state.read(move |tx| people::list(tx, &after, wanted.removed, limit)).await?;
    let next = items.last().filter(|_| items.len() == limit as usize).map(|last| format!("{}/{}", last.name, last.id));
    Ok(Json(json!({"items": items, "next": next})))
}

/// Who is to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
    /// `viewer`, `responder`, `operator` or `admin`.
    role: String,
    /// None: only a link logs in.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    password: Option<Secret<String>>,
}

/// Adds somebody.
#[utoipa::path(post, path = "/api/v1/users", tag = "users", request_body = New, responses((status = 201, body = Value), (status = 409, body = Problem)))]
async fn add(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Body(wanted): Body<New>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let role: Role = one(&wanted.role)?;
    people::check_name(&wanted.name).map_err(|error| Problem::invalid(error.to_string()))?;
    let password = match wanted.password {
        None => None,
        Some(password) => {
            let name = wanted.name.clone();
            let hashed = state.logins.checking(move || passwords::hash(&name, &password)).await?;
            Some(hashed.map_err(|error| Problem::invalid(error.to_string()))?)
        }
    };
    let name = wanted.name.clone();
    if state.read(move |tx| people::find(tx, &name)).await?.is_some() {
        return Err(taken(&wanted.name));
    }
    let new = NewPerson { id: hex(&random::<6>()), name: wanted.name, role, password, created_by: caller.actor() };
    state.note(&caller, Note::UserAdded { id: new.id.clone(), role: role.to_string() }).await?;
    let (now, adding) = ((state.now)().0, new.clone());
    if !state.write(move |tx| people::add(tx, &adding, now)).await? {
        return Err(taken(&new.name));
    }
    Ok((StatusCode::CREATED, Json(json!({"id": new.id, "name": new.name, "role": role}))))
}

fn taken(name: &str) -> Problem {
    Problem::new(StatusCode::CONFLICT, "taken", format!("there is a user \"{name}\" already"))
}

async fn find(state: &ApiState, name: &str) -> Result<Person, Problem> {
    let wanted = name.to_owned();
    let found = state.read(move |tx| people::find(tx, &wanted)).await?;
    found.ok_or_else(|| Problem::not_found(&format!("user \"{name}\"")))
}

/// Somebody must be able to mend what goes wrong with people.
async fn keep_one_administrator(state: &ApiState, person: &Person) -> Result<(), Problem> {
    if person.role == Role::Admin && state.read(people::administrators).await? <= 1 {
        let detail = format!("\"{}\" is the only administrator; make somebody else one first", person.name);
        return Err(Problem::new(StatusCode::CONFLICT, "last_administrator", detail));
    }
    Ok(())
}

/// Which role it is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRole {
    role: String,
}

/// Gives somebody another role, from the next request on.
#[utoipa::path(post, path = "/api/v1/users/{name}/role", tag = "users", params(("name" = String, Path)), request_body = NewRole, responses((status = 200, body = Value)))]
async fn set_role(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Body(wanted): Body<NewRole>,
) -> Result<Json<Value>, Problem> {
    let role: Role = one(&wanted.role)?;
    let person = find(&state, &name).await?;
    if role != Role::Admin {
        keep_one_administrator(&state, &person).await?;
    }
    state.note(&caller, Note::UserRoleSet { id: person.id.clone(), role: role.to_string() }).await?;
    state.write(move |tx| people::set_role(tx, &person.id, role)).await?;
    Ok(Json(json!({"name": name, "role": role})))
}

/// What it is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    #[schema(value_type = String)]
    password: Secret<String>,
}

/// Gives somebody another password; their sessions end.
#[utoipa::path(post, path = "/api/v1/users/{name}/password", tag = "users", params(("name" = String, Path)), request_body = NewPassword, responses((status = 204)))]
async fn password(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Body(wanted): Body<NewPassword>,
) -> Result<StatusCode, Problem> {
    let person = find(&state, &name).await?;
    set_password(&state, &Actor::Person(caller.actor()), &person, wanted.password).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a link that logs somebody in once, within an hour. It is shown once: `link` goes behind the console's address.
#[utoipa::path(post, path = "/api/v1/users/{name}/link", tag = "users", params(("name" = String, Path)), responses((status = 201, body = Value)))]
async fn link(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let person = find(&state, &name).await?;
    state.note(&caller, Note::UserLinkMade { id: person.id.clone() }).await?;
    let (drawn, now) = (random(), (state.now)().0);
    let secret = state.write(move |tx| sessions::link(tx, &person.id, drawn, now)).await?;
    let answer = json!({"link": link_path(&secret), "expires_at": now + sessions::LINK_LIFE});
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Where the console takes a link up. Behind the `#`, so that it stands in no log on the way.
pub fn link_path(secret: &Secret<String>) -> String {
    format!("/login#{}", secret.reveal())
}

/// Removes somebody: sessions and links end at once, the name is free; what they did stays theirs.
#[utoipa::path(delete, path = "/api/v1/users/{name}", tag = "users", params(("name" = String, Path)), responses((status = 204)))]
async fn remove(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let person = find(&state, &name).await?;
    keep_one_administrator(&state, &person).await?;
    let (id, now) = (person.id.clone(), (state.now)().0);
    state.write(move |tx| people::remove(tx, &id, now)).await?;
    state.note(&caller, Note::UserRemoved { id: person.id }).await?;
    Ok(StatusCode::NO_CONTENT)
}
