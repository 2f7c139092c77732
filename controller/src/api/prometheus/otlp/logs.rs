//! Logs by OTLP: events, which rules over events take like those of agents.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};

use super::{Packed, Partly, Refused};
use crate::api::ApiState;
use crate::detect::OUTSIDE;
use crate::samples::foreign::otlp_logs::{Export, Logged, translated};

/// Logs by OTLP: an `ExportLogsServiceRequest`, in protobuf or JSON, plain or packed by gzip. Each record is kept as an event.
#[utoipa::path(
    post,
    path = "/api/v1/otlp/v1/logs",
    tag = "samples",
    request_body(content = Vec<u8>, content_type = "application/x-protobuf"),
    responses(
        (status = 200, description = "What makes sense is durable, and so is what follows from it; `partial_success` says what does not", content_type = "application/x-protobuf"),
        (status = 400, description = "It is no such message"),
        (status = 415, description = "Another message or packing"),
        (status = 503, description = "It could not be written down; send it again"),
    )
)]
pub(super) async fn otlp_logs(State(state): State<ApiState>, headers: HeaderMap, body: Bytes) -> Response {
    let packed = match Packed::of(&headers, body) {
        Ok(packed) => packed,
        Err(wrong) => return wrong.into_response(),
    };
    let found = match packed.read::<Export>("ExportLogsServiceRequest") {
        Ok(export) => translated(export, (state.now)().0),
        Err(refused) => return packed.encoding.refused(refused),
    };
    match keep(&state, found.by_host).await {
        Ok(()) => {
            let partly = (found.rejected > 0).then_some(Partly { rejected: found.rejected, says: found.faults });
            packed.encoding.taken("rejectedLogRecords", partly)
        }
        Err(refused) => packed.encoding.refused(refused),
    }
}

/// Has the hosts' shards take the events; returns when what follows is durable.
async fn keep(state: &ApiState, by_host: BTreeMap<String, Vec<Logged>>) -> Result<(), Refused> {
    let hosts: Vec<String> = by_host.keys().cloned().collect();
    // A host without an agent has no shard of its own, whatever it calls itself.
    let with_agents = state.core.look(move |desk, _| {
        let known = hosts.into_iter().filter(|host| desk.agent(host).is_some());
        known.collect::<Vec<_>>()
    });
    let with_agents = with_agents.await.map_err(|error| {
        tracing::warn!(%error, "logs by OTLP are not taken now");
        Refused::later()
    })?;
    let mut by_agent: BTreeMap<&str, Vec<Logged>> = BTreeMap::new();
    for (host, events) in by_host {
        let agent = with_agents.iter().find(|agent| **agent == host).map_or(OUTSIDE, String::as_str);
        by_agent.entry(agent).or_default().extend(events);
    }
    let kept: Vec<_> = by_agent.into_iter().map(|(agent, events)| state.inlet.log(agent, events)).collect();
    for answered in kept {
        answered.await.map_err(|_| Refused::later())?;
    }
    Ok(())
}
