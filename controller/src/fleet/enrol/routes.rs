//! The routes, and what they answer. Errors are problem+json (RFC 9457) with a stable `code`.

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
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

use super::listener::Caller;
use super::{EnrolError, Given, Granted, Limiter, Office, Renewal};
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

/// What an agent sends to have its certificate renewed.
#[derive(Deserialize)]
struct Renewed {
    /// The one in force, DER in base64.
    certificate: Base64,
    csr_pem: String,
    /// By its key, in base64.
    signature: Base64,
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
        .route("/renew", post(renew))
        .route("/ca", get(ca))
        .fallback(|| async {
            problem(StatusCode::NOT_FOUND, "not_found", "there are GET /ca, POST /enrol and POST /renew here")
        })
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
    match desk.read::<Asked>(from, body, "{token, name, csr_pem}") {
        Ok(asked) => {
            let wanted = asked.name.clone();
            let decide = move |office: &Office| office.enrol(asked.token.reveal(), &asked.name, &asked.csr_pem, now());
            desk.granted_or_not(decide, Some(&wanted), from).await
        }
        Err(response) => *response,
    }
}

async fn renew(
    State(desk): State<Desk>,
    ConnectInfo(Caller(from)): ConnectInfo<Caller>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    match desk.read::<Renewed>(from, body, "{certificate, csr_pem, signature} with both but the request in base64") {
        Ok(asked) => {
            let decide = move |office: &Office| {
                let (certificate, signature) = (&asked.certificate.0, &asked.signature.0);
                office.renew(&Renewal { certificate, request_pem: &asked.csr_pem, signature }, now())
            };
            desk.granted_or_not(decide, None, from).await
        }
        Err(response) => *response,
    }
}

impl Desk {
    /// What was sent, or what it is answered where that does not read or the caller has to wait.
    fn read<T: DeserializeOwned>(
        &self,
        from: SocketAddr,
        body: Result<Bytes, BytesRejection>,
        shape: &str,
    ) -> Result<T, Box<Response>> {
        if let Err(wait) = self.limiter().hears(from.ip(), now()) {
            return Err(Box::new(too_often(wait)));
        }
        read(body, shape).inspect_err(|_| self.limiter().refused(from.ip(), now()))
    }

    /// What the office decides, off the runtime's threads. `wanted` is the name that an enrolment asks for.
    async fn granted_or_not(
        &self,
        decide: impl FnOnce(&Office) -> Result<Granted, EnrolError> + Send + 'static,
        wanted: Option<&str>,
        from: SocketAddr,
    ) -> Response {
        let office = self.office.clone();
        match tokio::task::spawn_blocking(move || decide(&office)).await {
            Ok(Ok(granted)) => {
                let what = if wanted.is_some() { "enrolled" } else { "certificate renewed" };
                tracing::info!(agent = granted.name, %from, "{what}");
                answer(granted, wanted)
            }
            Ok(Err(error)) => {
                if error.is_a_strangers() {
                    self.limiter().refused(from.ip(), now());
                }
                refusal(&error, from)
            }
            Err(error) => {
                tracing::error!(%error, "an enrolment ended badly");
                problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the controller failed; its log says how")
            }
        }
    }

    fn limiter(&self) -> MutexGuard<'_, Limiter> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>, shape: &str) -> Result<T, Box<Response>> {
    let malformed = |detail: &str| Box::new(problem(StatusCode::BAD_REQUEST, "malformed", detail));
    let body = match body {
        Ok(body) => body,
        Err(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = format!("the request is larger than {BODY_BYTES} bytes");
            return Err(Box::new(problem(StatusCode::PAYLOAD_TOO_LARGE, "too_large", &detail)));
        }
        Err(_) => return Err(malformed("the request did not arrive whole")),
    };
    // The error's own text may quote the body, and with it the token.
    serde_json::from_slice(&body).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        let detail = format!("the body is not {shape} in JSON ({place})");
        malformed(&detail)
    })
}

/// Bytes that travel in base64.
struct Base64(Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD.decode(text).map(Self).map_err(|_| D::Error::custom("this is no base64"))
    }
}

fn answer(granted: Granted, wanted: Option<&str>) -> Response {
    let notice = wanted.filter(|wanted| granted.name != *wanted).map(|wanted| {
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
        EnrolError::Holder(_) => (StatusCode::FORBIDDEN, "certificate_invalid"),
        EnrolError::NotSigned => (StatusCode::FORBIDDEN, "signature_invalid"),
        EnrolError::NotInForce { .. } => (StatusCode::FORBIDDEN, "certificate_not_in_force"),
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
