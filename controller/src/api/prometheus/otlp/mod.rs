//! The receiver of OTLP over HTTP: metrics and logs, in protobuf and in JSON, as an OpenTelemetry collector or a program's own
//! library exports them.
//!
//! Taken means durable. What is refused of a request is told in `partial_success`, so that the sender does not repeat it.
//! Answers are written as the request is, faults as `google.rpc.Status`, as
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp-response> has it.

mod logs;
mod metrics;

use std::io::Read as _;

use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::read::GzDecoder;
use prost::Message;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use crate::samples::foreign::otlp_wire::{Exported, PartialSuccess};
use crate::samples::foreign::wire::UNPACKED_MAX;

/// The largest body, packed.
const BODY_BYTES: usize = 32 << 20;
const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
/// Sentences of one answer.
const SAID: usize = 10;
/// After how many seconds what could not be taken may be sent again.
const AGAIN_AFTER: &str = "5";

pub fn routes() -> OpenApiRouter<ApiState> {
    let routes = OpenApiRouter::new().routes(routes!(metrics::otlp_metrics)).routes(routes!(logs::otlp_logs));
    routes.layer(DefaultBodyLimit::max(BODY_BYTES))
}

/// How a request is written, and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Protobuf,
    Json,
}

/// Why nothing of a request is taken.
#[derive(Debug)]
struct Refused {
    status: StatusCode,
    says: String,
}

impl Refused {
    fn bad(says: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, says: says.into() }
    }

    /// The sender repeats what it gets this for.
    fn later() -> Self {
        let says = "it could not be written down; send it again".to_owned();
        Self { status: StatusCode::SERVICE_UNAVAILABLE, says }
    }
}

/// `google.rpc.Status`, as far as it is filled in.
#[derive(Clone, PartialEq, Eq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// Codes of `google.rpc.Code`.
const INVALID_ARGUMENT: i32 = 3;
const UNAVAILABLE: i32 = 14;

/// A request's body, not unpacked yet.
struct Packed {
    encoding: Encoding,
    is_gzip: bool,
    body: Bytes,
}

impl Packed {
    /// # Errors
    /// Written or packed in another way; the response says so.
    fn of(headers: &HeaderMap, body: Bytes) -> Result<Self, (StatusCode, String)> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let message = text(header::CONTENT_TYPE).unwrap_or(PROTOBUF);
        let packing = text(header::CONTENT_ENCODING).unwrap_or("identity").to_ascii_lowercase();
        let kind = message.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let encoding = match &*kind {
            PROTOBUF => Some(Encoding::Protobuf),
            JSON => Some(Encoding::Json),
            _ => None,
        };
        match (encoding, &*packing) {
            (Some(encoding), "identity" | "gzip") => Ok(Self { encoding, is_gzip: packing == "gzip", body }),
            _ => {
                let wrong = format!(
                    "\"{message}\" packed as \"{packing}\" is not taken; send {PROTOBUF} or {JSON}, plain or by gzip\n"
                );
                Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, wrong))
            }
        }
    }

    /// The message in it, called `name` by its makers.
    fn read<T: Message + Default + DeserializeOwned>(&self, name: &str) -> Result<T, Refused> {
        let unpacked = if self.is_gzip { unpacked(&self.body).map_err(Refused::bad)? } else { Vec::new() };
        let plain: &[u8] = if self.is_gzip { &unpacked } else { &self.body };
        let read = match self.encoding {
            Encoding::Protobuf => T::decode(plain).map_err(|error| error.to_string()),
            // A list would be read as the message's fields in order.
            Encoding::Json if !plain.trim_ascii_start().starts_with(b"{") => Err("it is no JSON object".to_owned()),
            Encoding::Json => serde_json::from_slice(plain).map_err(|error| error.to_string()),
        };
        read.map_err(|error| Refused::bad(format!("the body is no {name}: {error}")))
    }
}

fn unpacked(body: &[u8]) -> Result<Vec<u8>, String> {
    let mut plain = Vec::new();
    let limit = UNPACKED_MAX as u64;
    let read = GzDecoder::new(body).take(limit + 1).read_to_end(&mut plain);
    read.map_err(|error| format!("the body is not packed by gzip: {error}"))?;
    if plain.len() as u64 > limit { Err(format!("the body unpacks to more than {limit} bytes")) } else { Ok(plain) }
}

/// What is not taken of a request: how many, and sentences.
#[derive(Debug, Default)]
struct Partly {
    rejected: usize,
    says: Vec<String>,
}

impl Encoding {
    /// `rejected` is what JSON calls the number of what is refused; protobuf gives it the same place in metrics and logs.
    fn taken(self, rejected: &str, partly: Option<Partly>) -> Response {
        let partial_success = partly.map(|Partly { rejected, mut says }| {
            let more = says.len().saturating_sub(SAID);
            says.truncate(SAID);
            says.extend((more > 0).then(|| format!("and {more} more")));
            let rejected_data_points = i64::try_from(rejected).unwrap_or(i64::MAX);
            PartialSuccess { rejected_data_points, error_message: says.join("; ") }
        });
        match self {
            Self::Protobuf => protobuf(StatusCode::OK, &Exported { partial_success }),
            Self::Json => {
                let partial = partial_success.map(|partial| {
                    let count = partial.rejected_data_points.to_string();
                    json!({"partialSuccess": {rejected: count, "errorMessage": partial.error_message}})
                });
                as_json(StatusCode::OK, &partial.unwrap_or_else(|| json!({})))
            }
        }
    }

    fn refused(self, Refused { status, says }: Refused) -> Response {
        let is_later = status == StatusCode::SERVICE_UNAVAILABLE;
        let code = if is_later { UNAVAILABLE } else { INVALID_ARGUMENT };
        let mut response = match self {
            Self::Protobuf => protobuf(status, &Status { code, message: says }),
            Self::Json => as_json(status, &json!({"code": code, "message": says})),
        };
        if is_later {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static(AGAIN_AFTER));
        }
        response
    }
}

fn protobuf(status: StatusCode, message: &impl Message) -> Response {
    (status, [(header::CONTENT_TYPE, PROTOBUF)], message.encode_to_vec()).into_response()
}

fn as_json(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, JSON)], body.to_string()).into_response()
}
