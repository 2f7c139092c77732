//! The receiver of OTLP over HTTP: metrics in protobuf, as an OpenTelemetry collector or a program's own library exports them.
//!
//! Taken means durable. What is refused of a request is told in `partial_success`, so that the sender does not repeat it.

use std::io::Read as _;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::read::GzDecoder;
use prost::Message as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use crate::samples::foreign::Outcome;
use crate::samples::foreign::otlp;
use crate::samples::foreign::otlp_wire::{Export, Exported, PartialSuccess};
use crate::samples::foreign::wire::{self, Kind, UNPACKED_MAX};

/// The largest body, packed.
const BODY_BYTES: usize = 32 << 20;
const PROTOBUF: &str = "application/x-protobuf";

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(otlp_metrics)).layer(DefaultBodyLimit::max(BODY_BYTES))
}

/// Metrics by OTLP: an `ExportMetricsServiceRequest`, plain or packed by gzip.
#[utoipa::path(
    post,
    path = "/api/v1/otlp/v1/metrics",
    tag = "samples",
    request_body(content = Vec<u8>, content_type = "application/x-protobuf"),
    responses(
        (status = 200, description = "What makes sense is durable; `partial_success` says what does not", content_type = "application/x-protobuf"),
        (status = 400, description = "It is no such message"),
        (status = 415, description = "Another message or packing"),
        (status = 503, description = "It could not be written down; send it again"),
    )
)]
async fn otlp_metrics(State(state): State<ApiState>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let message = text(header::CONTENT_TYPE).unwrap_or(PROTOBUF);
    let packing = text(header::CONTENT_ENCODING).unwrap_or("identity").to_ascii_lowercase();
    let is_protobuf = message.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(PROTOBUF));
    if !is_protobuf || !matches!(&*packing, "identity" | "gzip") {
        let wrong = format!("\"{message}\" packed as \"{packing}\" is not taken; send {PROTOBUF}, plain or by gzip\n");
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, wrong).into_response();
    }
    let taken = tokio::task::spawn_blocking(move || {
        let bad = |fault: String| (StatusCode::BAD_REQUEST, fault);
        let plain = if packing == "gzip" { unpacked(&body).map_err(bad)? } else { body.to_vec() };
        let no_message = |error| bad(format!("the body is no ExportMetricsServiceRequest: {error}"));
        let translated = otlp::translated(Export::decode(plain.as_slice()).map_err(no_message)?);
        let bytes = translated.request.encode_to_vec();
        if bytes.len() > UNPACKED_MAX {
            return Err(bad(format!("it comes to {} bytes of series, at most {UNPACKED_MAX} are taken", bytes.len())));
        }
        // From here it goes the way of a remote write: the log knows nothing else.
        let mut request = wire::read(Kind::RemoteWrite1, &bytes).map_err(bad)?;
        request.faults.extend(translated.faults);
        request.histograms += translated.histograms;
        let packed = snap::raw::Encoder::new().compress_vec(&bytes);
        let packed = packed.map_err(|error| bad(format!("it cannot be packed: {error}")))?;
        state.samples.foreign().take(Kind::RemoteWrite1, &packed, request).map_err(|error| {
            tracing::error!(%error, "metrics by OTLP cannot be kept");
            // The sender repeats what it gets this for.
            (StatusCode::SERVICE_UNAVAILABLE, "it could not be written down; send it again".to_owned())
        })
    });
    match taken.await {
        Ok(Ok(outcome)) => answer(&outcome),
        Ok(Err((status, wrong))) => (status, wrong + "\n").into_response(),
        Err(ended) => {
            tracing::error!(%ended, "taking metrics by OTLP ended badly");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn unpacked(body: &[u8]) -> Result<Vec<u8>, String> {
    let mut plain = Vec::new();
    let limit = UNPACKED_MAX as u64;
    let read = GzDecoder::new(body).take(limit + 1).read_to_end(&mut plain);
    read.map_err(|error| format!("the body is not packed by gzip: {error}"))?;
    if plain.len() as u64 > limit { Err(format!("the body unpacks to more than {limit} bytes")) } else { Ok(plain) }
}

fn answer(outcome: &Outcome) -> Response {
    let partial_success = outcome.is_partial().then(|| {
        let rejected = outcome.out_of_order + outcome.duplicate + outcome.too_many + outcome.histograms;
        let mut says = outcome.faults.iter().take(10).cloned().collect::<Vec<_>>();
        if outcome.histograms > 0 {
            says.push(format!("{} exponential histograms are not kept", outcome.histograms));
        }
        let rejected_data_points = i64::try_from(rejected).unwrap_or(i64::MAX);
        PartialSuccess { rejected_data_points, error_message: says.join("; ") }
    });
    ([(header::CONTENT_TYPE, PROTOBUF)], Exported { partial_success }.encode_to_vec()).into_response()
}
