//! Metrics by OTLP: series as a remote write brings them.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use prost::Message as _;

use super::{Packed, Partly, Refused};
use crate::api::ApiState;
use crate::samples::foreign::otlp_wire::Export;
use crate::samples::foreign::wire::{self, Kind, UNPACKED_MAX};
use crate::samples::foreign::{Foreign, Outcome, otlp};

/// Metrics by OTLP: an `ExportMetricsServiceRequest`, in protobuf or JSON, plain or packed by gzip.
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
pub(super) async fn otlp_metrics(State(state): State<ApiState>, headers: HeaderMap, body: Bytes) -> Response {
    let packed = match Packed::of(&headers, body) {
        Ok(packed) => packed,
        Err(wrong) => return wrong.into_response(),
    };
    let encoding = packed.encoding;
    match tokio::task::spawn_blocking(move || taken(&packed, state.samples.foreign())).await {
        Ok(Ok(outcome)) => encoding.taken("rejectedDataPoints", partly(outcome)),
        Ok(Err(refused)) => encoding.refused(refused),
        Err(ended) => {
            tracing::error!(%ended, "taking metrics by OTLP ended badly");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn taken(packed: &Packed, foreign: &Foreign) -> Result<Outcome, Refused> {
    let translated = otlp::translated(packed.read::<Export>("ExportMetricsServiceRequest")?);
    let bytes = translated.request.encode_to_vec();
    if bytes.len() > UNPACKED_MAX {
        let says = format!("it comes to {} bytes of series, at most {UNPACKED_MAX} are taken", bytes.len());
        return Err(Refused::bad(says));
    }
    // From here it goes the way of a remote write: the log knows nothing else.
    let mut request = wire::read(Kind::RemoteWrite1, &bytes).map_err(Refused::bad)?;
    request.faults.extend(translated.faults);
    request.histograms += translated.histograms;
    let packed = snap::raw::Encoder::new().compress_vec(&bytes);
    let packed = packed.map_err(|error| Refused::bad(format!("it cannot be packed: {error}")))?;
    foreign.take(Kind::RemoteWrite1, &packed, request).map_err(|error| {
        tracing::error!(%error, "metrics by OTLP cannot be kept");
        Refused::later()
    })
}

fn partly(outcome: Outcome) -> Option<Partly> {
    outcome.is_partial().then(|| {
        let rejected = outcome.out_of_order + outcome.duplicate + outcome.too_many + outcome.histograms;
        let mut says = outcome.faults;
        if outcome.histograms > 0 {
            says.insert(0, format!("{} exponential histograms are not kept", outcome.histograms));
        }
        Partly { rejected, says }
    })
}
