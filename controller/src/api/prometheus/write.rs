//! The receiver of remote write, 1.0 and 2.0: what a Prometheus, or whoever writes as one, sends.
//!
//! Taken means durable. What is refused of a request is refused for good (status 400, so that the sender does not repeat it),
//! and what is good in it is taken all the same.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use crate::samples::foreign::Outcome;
use crate::samples::foreign::wire::{self, Kind};

/// The largest body, packed.
const BODY_BYTES: usize = 32 << 20;

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(write)).layer(DefaultBodyLimit::max(BODY_BYTES))
}

/// Samples of series that others keep: a snappy block with `prometheus.WriteRequest` or `io.prometheus.write.v2.Request`.
#[utoipa::path(
    post,
    path = "/api/v1/write",
    tag = "samples",
    request_body(content = Vec<u8>, content_type = "application/x-protobuf"),
    responses(
        (status = 204, description = "All of it is durable"),
        (status = 400, description = "Part of it is refused for good; the body says which, the rest is durable"),
        (status = 415, description = "Another message or packing"),
        (status = 500, description = "It could not be written down; send it again"),
    )
)]
async fn write(State(state): State<ApiState>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let packing = text(header::CONTENT_ENCODING).unwrap_or("snappy");
    let message = text(header::CONTENT_TYPE).unwrap_or("application/x-protobuf");
    let Some(kind) = Kind::of_content_type(message).filter(|_| packing.eq_ignore_ascii_case("snappy")) else {
        let wrong = format!(
            "\"{message}\" packed as \"{packing}\" is not taken; send application/x-protobuf packed as snappy\n"
        );
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, wrong).into_response();
    };
    let taken = tokio::task::spawn_blocking(move || {
        let wrong = |fault| (StatusCode::BAD_REQUEST, fault);
        let bytes = wire::unpack(&body).map_err(wrong)?;
        let request = wire::read(kind, &bytes).map_err(wrong)?;
        state.samples.foreign().take(kind, &body, request).map_err(|error| {
            tracing::error!(%error, "what was written remotely cannot be kept");
            (StatusCode::INTERNAL_SERVER_ERROR, "it could not be written down; send it again".to_owned())
        })
    });
    match taken.await {
        Ok(Ok(outcome)) => answer(&outcome),
        Ok(Err((status, wrong))) => (status, wrong + "\n").into_response(),
        Err(ended) => {
            tracing::error!(%ended, "taking a remote write ended badly");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn answer(outcome: &Outcome) -> Response {
    // Remote write 2.0 has the sender told what was written.
    let written = [
        ("X-Prometheus-Remote-Write-Samples-Written", outcome.taken.to_string()),
        ("X-Prometheus-Remote-Write-Histograms-Written", "0".to_owned()),
        ("X-Prometheus-Remote-Write-Exemplars-Written", "0".to_owned()),
    ];
    if !outcome.is_partial() {
        return (StatusCode::NO_CONTENT, written).into_response();
    }
    let mut says = outcome.faults.clone();
    if outcome.histograms > 0 {
        says.push(format!("{} native histograms are not kept", outcome.histograms));
    }
    const SAID: usize = 10;
    if says.len() > SAID {
        let more = says.len() - SAID;
        says.truncate(SAID);
        says.push(format!("and {more} more"));
    }
    (StatusCode::BAD_REQUEST, written, says.join("\n") + "\n").into_response()
}
