//! `/session`: logging in and out, and who one is.
//!
//! The cookie is for this controller's pages alone: no script reads it, no other site's request carries it, and where the
//! browser came by HTTPS it never goes in the clear. All bodies are JSON, which a page of another site cannot send unasked.

use std::sync::{Mutex, PoisonError};

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchkeep_desk::{Actor, InputBody, Note};

use super::ApiState;
use super::auth::{COOKIE, Caller, Holder};
use super::extract::Body;
use super::problem::Problem;
use crate::access::attempts::Attempts;
use crate::access::people::{self, Person};
use crate::access::roles::Role;
use crate::access::{Secret, passwords, random, sessions};

/// Behind a token or a session.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show, end)).routes(routes!(password))
}

/// Open to all: [`super::auth::OPEN`].
pub fn open_routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(begin)).routes(routes!(follow))
}

/// What bounds guessing.
#[derive(Debug)]
pub struct Logins {
    attempts: Mutex<Attempts>,
    /// One check takes 19 MiB and a core.
    checks: Semaphore,
}

impl Default for Logins {
    fn default() -> Self {
        Self { attempts: Mutex::default(), checks: Semaphore::new(2) }
    }
}

impl Logins {
    fn take(&self, name: &str, now: i64) -> Result<(), Problem> {
        let taken = self.attempts.lock().unwrap_or_else(PoisonError::into_inner).take(name, now);
        taken.map_err(|secs| {
            let detail =
                format!("too many wrong passwords; wait {secs} s, or log in with a link: watchkeep user link NAME");
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", detail)
        })
    }

    fn succeeded(&self, name: &str) {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).succeeded(name);
    }

    /// Work with passwords, off the async threads, two at once.
    pub(super) async fn checking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let _place = self.checks.acquire().await.map_err(|error| Problem::internal("checking a password", &error))?;
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| Problem::internal("checking a password", &error))
    }
}

/// Who is logged in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Shown {
    /// As facts name them: `user:0123456789ab`.
    actor: String,
    name: String,
    /// `viewer`, `responder`, `operator` or `admin`.
    #[schema(value_type = String)]
    role: Role,
    /// What a request that changes something carries in `X-Watchkeep-Mark`; none: a token's holder needs none.
    mark: Option<String>,
    /// Whether a password is set; none: not a person's session.
    has_password: Option<bool>,
}

fn shown(caller: &Caller) -> Shown {
    let session = match &caller.holder {
        Holder::Session(session) => Some(session),
        Holder::Token(_) => None,
    };
    Shown {
        actor: caller.actor(),
        name: caller.name().to_owned(),
        role: caller.role(),
        mark: session.map(|session| session.mark.clone()),
        has_password: session.map(|session| session.person.has_password),
    }
}

/// Who calls, and what that may do.
#[utoipa::path(get, path = "/api/v1/session", tag = "session", responses((status = 200, body = Shown)))]
async fn show(Extension(caller): Extension<Caller>) -> Json<Shown> {
    Json(shown(&caller))
}

/// A name and a password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Login {
    name: String,
    #[schema(value_type = String)]
    password: Secret<String>,
}

/// Logs in with a name and a password: the answer sets the session's cookie.
#[utoipa::path(post, path = "/api/v1/session", tag = "session", request_body = Login, security(()), responses((status = 204), (status = 401, body = Problem), (status = 429, body = Problem)))]
async fn begin(
    State(state): State<ApiState>,
    headers: HeaderMap,
    Body(login): Body<Login>,
) -> Result<Response, Problem> {
    let Login { name, password } = login;
    // What cannot be a name is nobody's; it is not kept as one that was tried.
    people::check_name(&name).map_err(|_| wrong())?;
    state.logins.take(&name, (state.now)().0)?;
    let wanted = name.clone();
    let found = state
        .read(move |tx| {
            let Some(person) = people::find(tx, &wanted)? else { return Ok(None) };
            Ok(Some((people::password(tx, &person.id)?, person)))
        })
        .await?;
    let (kept, person) = found.map_or((None, None), |(kept, person)| (kept, Some(person)));
    let is_right = state.logins.checking(move || passwords::matches(kept.as_deref(), &password)).await?;
    let person = person.filter(|_| is_right).ok_or_else(wrong)?;
    state.logins.succeeded(&name);
    logged_in(&state, &headers, &person).await
}

/// Says nothing of which of the two is wrong.
fn wrong() -> Problem {
    let detail = "the name or the password is wrong; an administrator sets another: watchkeep user passwd NAME";
    Problem::new(StatusCode::UNAUTHORIZED, "wrong_password", detail)
}

/// The secret of a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Link {
    #[schema(value_type = String)]
    link: Secret<String>,
}

/// Logs in with a link, which is used up: the answer sets the session's cookie.
#[utoipa::path(post, path = "/api/v1/session/link", tag = "session", request_body = Link, security(()), responses((status = 204), (status = 401, body = Problem)))]
async fn follow(
    State(state): State<ApiState>,
    headers: HeaderMap,
    Body(Link { link }): Body<Link>,
) -> Result<Response, Problem> {
    let now = (state.now)().0;
    let person = state.write(move |tx| sessions::follow(tx, link.reveal(), now)).await?;
    let person = person.ok_or_else(|| {
        let detail = "this link was used or is older than an hour; another: watchkeep user link NAME";
        Problem::new(StatusCode::UNAUTHORIZED, "used_link", detail)
    })?;
    logged_in(&state, &headers, &person).await
}

async fn logged_in(state: &ApiState, headers: &HeaderMap, person: &Person) -> Result<Response, Problem> {
    let (id, drawn, now) = (person.id.clone(), random(), (state.now)().0);
    let secret = state.write(move |tx| sessions::begin(tx, &id, drawn, now)).await?;
    let age = sessions::LIFE / 1_000;
    Ok(answer(headers, secret.reveal(), age))
}

/// No content, and the cookie. `Secure` where the browser says that it came by HTTPS: one that lies harms itself.
fn answer(headers: &HeaderMap, value: &str, age_secs: i64) -> Response {
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or_default();
    let secure = if origin.starts_with("https://") { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age_secs}{secure}");
    let cookie = HeaderValue::from_str(&cookie).expect("base64 and figures are a header's value");
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
}

/// Logs out: the session is over, here and in the browser.
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", responses((status = 204)))]
async fn end(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Holder::Session(session) = caller.holder else { return Err(no_session()) };
    state.write(move |tx| sessions::end(tx, &session.key)).await?;
    Ok(answer(&headers, "", 0))
}

fn no_session() -> Problem {
    let detail = "the caller shows a token and has no session; DELETE /api/v1/api-tokens/ID ends a token";
    Problem::new(StatusCode::CONFLICT, "no_session", detail)
}

/// A new password, with the one before where there is one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Change {
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    old: Option<Secret<String>>,
    #[schema(value_type = String)]
    new: Secret<String>,
}

/// Sets one's own password. All one's sessions end but the one that this begins.
#[utoipa::path(post, path = "/api/v1/session/password", tag = "session", request_body = Change, responses((status = 204), (status = 401, body = Problem)))]
async fn password(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(change): Body<Change>,
) -> Result<Response, Problem> {
    let Holder::Session(session) = caller.holder else { return Err(no_session()) };
    let person = session.person;
    state.logins.take(&person.name, (state.now)().0)?;
    let id = person.id.clone();
    let kept = state.read(move |tx| people::password(tx, &id)).await?;
    let old = change.old;
    let check = move || kept.is_none() || old.is_some_and(|old| passwords::matches(kept.as_deref(), &old));
    if !state.logins.checking(check).await? {
        return Err(wrong());
    }
    state.logins.succeeded(&person.name);
    set_password(&state, &Actor::Person(person.actor()), &person, change.new).await?;
    logged_in(&state, &headers, &person).await
}

/// Gives somebody a password, and has it stand in the ledger who did.
pub(super) async fn set_password(
    state: &ApiState,
    by: &Actor,
    person: &Person,
    new: Secret<String>,
) -> Result<(), Problem> {
    let name = person.name.clone();
    let hashed = state.logins.checking(move || passwords::hash(&name, &new)).await?;
    let hashed = hashed.map_err(|error| Problem::invalid(error.to_string()))?;
    let note = Note::UserPasswordSet { id: person.id.clone() };
    state.core.ask(InputBody::Noted { by: by.clone(), note }).await?;
    let id = person.id.clone();
    state.write(move |tx| people::set_password(tx, &id, &hashed)).await
}
