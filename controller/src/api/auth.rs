//! Who may: the one place where a request becomes a caller with a role.
//!
//! Every route below `/api/v1`, `/prometheus`, `/alertmanager` and `/metrics` is in [`TABLE`]; one that is not is refused, so that a new route cannot be
//! open by mistake. A test walks the OpenAPI document against the table.
//!
//! A caller shows a token, or the cookie of a session; with a cookie, whatever is not reading carries the session's mark too.

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::ApiState;
use super::problem::Problem;
use crate::access::api_tokens::{self, ApiToken};
use crate::access::roles::Role;
use crate::access::sessions::{self, Session};

use Role::{Admin, Operator, Responder, Viewer};

/// Method, route, and the least role that takes it. Reading takes a viewer wherever the table does not say otherwise.
const TABLE: [(&str, &str, Role); 64] = [
    ("POST", "/api/v1/incidents/{id}/acknowledge", Responder),
    ("POST", "/api/v1/incidents/{id}/assign", Responder),
    ("POST", "/api/v1/incidents/{id}/progress", Responder),
    ("POST", "/api/v1/incidents/{id}/hold", Responder),
    ("POST", "/api/v1/incidents/{id}/resolve", Responder),
    ("POST", "/api/v1/incidents/{id}/reopen", Responder),
    ("POST", "/api/v1/incidents/{id}/close", Responder),
    ("POST", "/api/v1/incidents/{id}/cancel", Responder),
    ("POST", "/api/v1/incidents/{id}/note", Responder),
    ("POST", "/api/v1/incidents/{id}/priority", Responder),
    ("POST", "/api/v1/problems", Responder),
    ("POST", "/api/v1/problems/{id}/join", Responder),
    ("POST", "/api/v1/problems/{id}/merge", Responder),
    ("POST", "/api/v1/problems/{id}/split", Responder),
    ("POST", "/api/v1/problems/{id}/known-error", Responder),
    ("POST", "/api/v1/problems/{id}/assign", Responder),
    ("POST", "/api/v1/problems/{id}/investigate", Responder),
    ("POST", "/api/v1/problems/{id}/fix", Responder),
    ("POST", "/api/v1/problems/{id}/resolve", Responder),
    ("POST", "/api/v1/problems/{id}/reopen", Responder),
    ("POST", "/api/v1/problems/{id}/close", Responder),
    ("POST", "/api/v1/problems/{id}/cancel", Responder),
    ("POST", "/api/v1/problems/{id}/note", Responder),
    ("POST", "/api/v1/runs", Responder),
    ("POST", "/api/v1/runs/plan", Viewer),
    ("POST", "/api/v1/runs/{id}/approve", Responder),
    ("POST", "/api/v1/runs/{id}/reject", Responder),
    ("POST", "/api/v1/runs/{id}/stop", Responder),
    ("POST", "/api/v1/stop-switch", Responder),
    ("POST", "/api/v1/cis/{id}/retire", Operator),
    ("POST", "/api/v1/cis/{id}/set", Operator),
    ("POST", "/api/v1/cis/{id}/relate", Operator),
    ("POST", "/api/v1/agents/{name}/revoke", Admin),
    ("POST", "/api/v1/reload", Admin),
    ("POST", "/api/v1/notices/{id}/resend", Responder),
    ("POST", "/api/v1/channels/{name}/test", Operator),
    ("GET", "/api/v1/enrolment-tokens", Admin),
    ("POST", "/api/v1/enrolment-tokens", Admin),
    ("DELETE", "/api/v1/enrolment-tokens/{id}", Admin),
    ("GET", "/api/v1/api-tokens", Admin),
    ("POST", "/api/v1/api-tokens", Admin),
    ("DELETE", "/api/v1/api-tokens/{id}", Admin),
    ("POST", "/api/v1/query", Viewer),
    ("POST", "/api/v1/query_range", Viewer),
    ("POST", "/prometheus/api/v1/query", Viewer),
    ("POST", "/prometheus/api/v1/query_range", Viewer),
    ("POST", "/prometheus/api/v1/series", Viewer),
    ("POST", "/prometheus/api/v1/labels", Viewer),
    ("POST", "/prometheus/api/v1/format_query", Viewer),
    ("POST", "/prometheus/api/v1/query_exemplars", Viewer),
    ("POST", "/prometheus/api/v1/write", Operator),
    ("POST", "/prometheus/api/v1/otlp/v1/metrics", Operator),
    ("POST", "/prometheus/api/v1/otlp/v1/logs", Operator),
    ("POST", "/alertmanager/api/v2/alerts", Operator),
    ("POST", "/alertmanager/api/v2/silences", Responder),
    ("DELETE", "/alertmanager/api/v2/silence/{id}", Responder),
    ("DELETE", "/api/v1/session", Viewer),
    ("POST", "/api/v1/session/password", Viewer),
    ("POST", "/api/v1/users", Admin),
    ("POST", "/api/v1/users/{name}/role", Admin),
    ("POST", "/api/v1/users/{name}/password", Admin),
    ("POST", "/api/v1/users/{name}/link", Admin),
    ("DELETE", "/api/v1/users/{name}", Admin),
    ("GET", "/metrics", Viewer),
];

/// What nobody needs a role for: it is how one gets it.
pub const OPEN: [(&str, &str); 2] = [("POST", "/api/v1/session"), ("POST", "/api/v1/session/link")];

/// The cookie that holds a session's secret.
pub const COOKIE: &str = "watchkeep_session";

/// The header that holds a session's mark.
pub const MARK: &str = "X-Watchkeep-Mark";

/// The caller, put into the request for its handler.
#[derive(Clone, Debug)]
pub struct Caller {
    pub holder: Holder,
    /// The `Idempotency-Key`, or one drawn for this request.
    pub request: String,
}

/// Who calls.
#[derive(Clone, Debug)]
pub enum Holder {
    Token(ApiToken),
    Session(Session),
}

impl Caller {
    /// As the ledger names them: `token:…` or `user:…`.
    pub fn actor(&self) -> String {
        match &self.holder {
            Holder::Token(token) => token.actor(),
            Holder::Session(session) => session.person.actor(),
        }
    }

    /// What people call them.
    pub fn name(&self) -> &str {
        match &self.holder {
            Holder::Token(token) => &token.name,
            Holder::Session(session) => &session.person.name,
        }
    }

    pub fn role(&self) -> Role {
        match &self.holder {
            Holder::Token(token) => token.role,
            Holder::Session(session) => session.person.role,
        }
    }
}

/// The least role that may use a route; none: the route is not known, and nobody may.
pub fn needs(method: &Method, route: &str) -> Option<Role> {
    let said = TABLE.iter().find(|(of, path, _)| *of == method.as_str() && *path == route).map(|(.., role)| *role);
    let is_api =
        ["/api/v1/", "/prometheus/api/v1/", "/alertmanager/api/v2/"].iter().any(|prefix| route.starts_with(prefix));
    said.or((*method == Method::GET && is_api).then_some(Viewer))
}

/// The middleware: finds the token's holder, and lets through who may.
pub async fn authenticate(State(state): State<ApiState>, mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    match caller(&state, request.headers(), request.method(), &route).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

async fn caller(state: &ApiState, headers: &HeaderMap, method: &Method, route: &str) -> Result<Caller, Problem> {
    let holder = holder(state, headers, method).await?;
    let key = headers.get("Idempotency-Key").and_then(|key| key.to_str().ok()).filter(|key| !key.is_empty());
    let request = key.map_or_else(|| crate::access::hex(&crate::access::random::<16>()), str::to_owned);
    let caller = Caller { holder, request };
    let role = needs(method, route).ok_or_else(|| Problem::not_found("such route"))?;
    if caller.role() < role {
        return Err(Problem::forbidden(&caller.role().to_string(), &role.to_string()));
    }
    Ok(caller)
}

/// A token goes before a cookie: who sends one means it.
async fn holder(state: &ApiState, headers: &HeaderMap, method: &Method) -> Result<Holder, Problem> {
    match headers.get(header::AUTHORIZATION).map(|value| value.to_str().ok().and_then(token_of)) {
        Some(token) => Ok(Holder::Token(by_token(state, token.ok_or_else(Problem::unauthenticated)?).await?)),
        None => {
            let cookie = cookie(headers).ok_or_else(Problem::unauthenticated)?;
            let session = by_session(state, cookie.to_owned()).await?;
            let mark = headers.get(MARK).and_then(|mark| mark.to_str().ok()).unwrap_or_default();
            if !method.is_safe() && !sessions::is_marked(&session, mark) {
                let detail = format!("with a session this takes its mark in {MARK}; GET /api/v1/session tells it");
                return Err(Problem::new(StatusCode::FORBIDDEN, "unmarked", detail));
            }
            Ok(Holder::Session(session))
        }
    }
}

async fn by_token(state: &ApiState, text: String) -> Result<ApiToken, Problem> {
    let now = (state.now)().0;
    let token = state.read(move |tx| api_tokens::authenticate(tx, &text, now)).await?;
    let token = token.ok_or_else(Problem::unauthenticated)?;
    if api_tokens::use_is_news(&token, now) {
        let id = token.id.clone();
        state.write(move |tx| api_tokens::note_use(tx, &id, now)).await?;
    }
    Ok(token)
}

async fn by_session(state: &ApiState, cookie: String) -> Result<Session, Problem> {
    let now = (state.now)().0;
    let session = state.read(move |tx| sessions::authenticate(tx, &cookie, now)).await?;
    let session = session.ok_or_else(Problem::unauthenticated)?;
    if sessions::use_is_news(&session, now) {
        let used = session.clone();
        state.write(move |tx| sessions::note_use(tx, &used, now)).await?;
    }
    Ok(session)
}

/// Our cookie among those of a request (RFC 6265, section 5.4).
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value).next()
}

/// The token that a request carries: `Bearer TOKEN`, or as the password of `Basic`, whoever the user, for clients that know
/// nothing else (RFC 7617).
fn token_of(authorization: &str) -> Option<String> {
    let (scheme, credentials) = authorization.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(credentials.to_owned());
    }
    let pair = scheme.eq_ignore_ascii_case("basic").then(|| BASE64_STANDARD.decode(credentials).ok())??;
    let (_user, password) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    Some(password.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Method and route of all that the document has.
    fn documented() -> BTreeSet<(String, String)> {
        let document = serde_json::to_value(crate::api::document()).expect("the document is JSON");
        let paths = document["paths"].as_object().expect("it has paths");
        let of = |(path, item): (&String, &serde_json::Value)| {
            let methods = item.as_object().into_iter().flatten();
            methods.map(|(method, _)| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
        };
        paths.iter().flat_map(of).collect()
    }

    #[test]
    fn a_token_is_a_bearer_or_the_password_of_basic() {
        for (header, token) in [
            ("Bearer wk_1", Some("wk_1")),
            ("bearer wk_1", Some("wk_1")),
            ("Basic YWRtaW46d2tfMQ==", Some("wk_1")),
            ("Basic YWRtaW4=", None),
            ("Basic wk_1", None),
            ("Digest wk_1", None),
            ("wk_1", None),
        ] {
            assert_eq!(token_of(header).as_deref(), token, "{header}");
        }
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        for (line, found) in [
            ("watchkeep_session=abc", Some("abc")),
            ("theme=dark; watchkeep_session=abc; other=x", Some("abc")),
            ("watchkeep_session_old=abc", None),
            ("theme", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(header::COOKIE, line.parse().expect("a header's value"))]);
            assert_eq!(cookie(&headers), found, "{line}");
        }
    }

    #[test]
    fn what_is_open_to_all_is_only_how_one_logs_in() {
        for (method, route) in OPEN {
            assert!(documented().contains(&(method.to_owned(), route.to_owned())), "{method} {route} is no route");
            assert!(TABLE.iter().all(|(of, path, _)| (*of, *path) != (method, route)), "{route} has no role");
        }
    }

    #[test]
    fn whatever_changes_something_is_in_the_table() {
        let changing: Vec<_> = documented().into_iter().filter(|(method, _)| method != "GET").collect();
        assert!(changing.len() > 20, "the document has them: {changing:?}");
        for (method, route) in changing {
            if OPEN.contains(&(method.as_str(), route.as_str())) {
                continue;
            }
            let said = TABLE.iter().any(|(of, path, _)| *of == method && *path == route);
            assert!(said, "{method} {route} is in the document and not in the table");
        }
    }

    #[test]
    fn the_table_names_nothing_that_is_not_there() {
        let mut there = documented();
        // Text for a scraper, so no part of the document.
        there.insert(("GET".to_owned(), "/metrics".to_owned()));
        for (method, route, _) in TABLE {
            assert!(there.contains(&(method.to_owned(), route.to_owned())), "{method} {route} is no route");
        }
        let named: BTreeSet<_> = TABLE.iter().map(|(method, route, _)| (*method, *route)).collect();
        assert_eq!(named.len(), TABLE.len(), "each once");
    }

    #[test]
    fn a_route_that_nobody_named_is_open_to_nobody() {
        assert_eq!(needs(&Method::POST, "/api/v1/anything"), None);
        assert_eq!(needs(&Method::GET, "/anything"), None);
        assert_eq!(needs(&Method::GET, "/api/v1/incidents"), Some(Viewer));
        assert_eq!(needs(&Method::POST, "/api/v1/reload"), Some(Admin));
    }
}
