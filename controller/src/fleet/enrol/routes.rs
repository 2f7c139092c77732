//! The two routes, and what they answer. Errors are problem+json (RFC 9457) with a stable `code`.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::listener::Caller;
use super::{EnrolError, Given, Granted, Limiter, Office};
use crate::access::enrolment_tokens::TokenRefusal;
use crate::access::{AccessError, Secret};

/// A token, a name and a request come to two kilobytes.
const BODY_BYTES: usize = 16 << 10;

#[derive(Clone)]
struct Desk {
    office: Arc<Office>,
    limiter: Arc<Mutex<Limiter>>,
}

/// What a host sends.
#[derive(Deserialize)]
struct Asked {
    token: Secret<String>,
    name: String,
    csr_pem: String,
}

/// What it gets.
#[derive(Serialize)]
struct Answer {
    name: String,
    certificate_pem: String,
    ca_pem: String,
    broker: String,
    /// Whether messages through it must be sealed.
    sealed: bool,
    command_keys: Vec<String>,
    /// For the operator, where the name is not the one asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<String>,
}

pub fn routes(office: Arc<Office>) -> Router {
    let limiter = Arc::new(Mutex::new(Limiter::new(now())));
    Router::new()
        .route("/enrol", post(enrol))
        .route("/ca", get(ca))
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "not_found", "there are GET /ca and POST /enrol here") })
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .with_state(Desk { office, limiter })
}

/// What is public anyway, and costs less than the handshake before it.
async fn ca(State(desk): State<Desk>) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/pem-certificate-chain")];
    (kind, desk.office.ca_pem().to_owned()).into_response()
}

async fn enrol(
    State(desk): State<Desk>,
    ConnectInfo(Caller(from)): ConnectInfo<Caller>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    if let Err(wait) = desk.limiter().hears(from.ip(), now()) {
        return too_often(wait);
    }
    match read(body) {
        Ok(asked) => granted_or_not(&desk, asked, from).await,
        Err((status, code, detail)) => {
            desk.limiter().refused(from.ip(), now());
            problem(status, code, &detail)
        }
    }
}

/// What a host sent, or the problem that it is answered with where that does not read.
fn read(body: Result<Bytes, BytesRejection>) -> Result<Asked, (StatusCode, &'static str, String)> {
    let body = match body {
        Ok(body) => body,
        Err(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = format!("the request is larger than {BODY_BYTES} bytes");
            return Err((StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail));
        }
        Err(_) => {
            return Err((StatusCode::BAD_REQUEST, "malformed", "the request did not arrive whole".to_owned()));
        }
    };
    // The error's own text may quote the body, and with it the token.
    serde_json::from_slice(&body).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        let detail = format!("the body is not {{token, name, csr_pem}} in JSON ({place})");
        (StatusCode::BAD_REQUEST, "malformed", detail)
    })
}

async fn granted_or_not(desk: &Desk, asked: Asked, from: SocketAddr) -> Response {
    let wanted = asked.name.clone();
    let office = desk.office.clone();
    let work = move || office.enrol(asked.token.reveal(), &asked.name, &asked.csr_pem, now());
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(granted)) => {
            tracing::info!(agent = granted.name, %from, "enrolled");
            answer(granted, &wanted)
        }
        Ok(Err(error)) => {
            if error.is_a_strangers() {
                desk.limiter().refused(from.ip(), now());
            }
            refusal(&error, from)
        }
        Err(error) => {
            tracing::error!(%error, "an enrolment ended badly");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the controller failed; its log says how")
        }
    }
}

impl Desk {
    fn limiter(&self) -> MutexGuard<'_, Limiter> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answer(granted: Granted, wanted: &str) -> Response {
    let notice = (granted.name != wanted).then(|| {
        format!("the name \"{wanted}\" is held by another host; this one is \"{}\" from now on", granted.name)
    });
    let Granted { name, certificate_pem, ca_pem, given: Given { broker, sealed, command_keys } } = granted;
    axum::Json(Answer { name, certificate_pem, ca_pem, broker, sealed, command_keys, notice }).into_response()
}

fn refusal(error: &EnrolError, from: SocketAddr) -> Response {
    let (status, code) = match error {
        EnrolError::TokenDamaged { .. } => (StatusCode::UNAUTHORIZED, "token_unknown"),
        EnrolError::Token(TokenRefusal::Unknown) => (StatusCode::UNAUTHORIZED, "token_unknown"),
        EnrolError::Token(TokenRefusal::Expired) => (StatusCode::FORBIDDEN, "token_expired"),
        EnrolError::Token(TokenRefusal::UsedUp) => (StatusCode::FORBIDDEN, "token_used_up"),
        EnrolError::Token(TokenRefusal::Revoked) => (StatusCode::FORBIDDEN, "token_withdrawn"),
        EnrolError::Name { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "name_invalid"),
        EnrolError::Request(AccessError::Request { .. }) => (StatusCode::UNPROCESSABLE_ENTITY, "request_invalid"),
        EnrolError::Request(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        EnrolError::NamesTaken { .. } => (StatusCode::CONFLICT, "names_taken"),
        EnrolError::Store(_) | EnrolError::NotTold { .. } => (StatusCode::SERVICE_UNAVAILABLE, "try_again"),
    };
    tracing::warn!(%from, code, error = error as &dyn std::error::Error, "enrolment refused");
    problem(status, code, &error.to_string())
}

fn too_often(wait: Duration) -> Response {
    let wait = wait.as_secs();
    let detail = format!("too many requests from this address were refused; try again in {wait} s");
    let mut response = problem(StatusCode::TOO_MANY_REQUESTS, "too_often", &detail);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
    response
}

fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let body =
        json!({"type": "about:blank", "title": title, "status": status.as_u16(), "code": code, "detail": detail});
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}

fn now() -> i64 {
    chrono::Utc::now().timestamp_millis()
}
