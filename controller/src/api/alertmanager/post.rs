//! Alerts come in.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{ApiState, Fault, instant};
use crate::detect::outside::{ALERTS_MAX, Labels, Posted};

/// The largest body, bytes.
const BODY_BYTES: usize = 16 << 20;
/// The longest name or value of a label, bytes.
const LABEL_BYTES: usize = 8 << 10;

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(post_alerts)).layer(DefaultBodyLimit::max(BODY_BYTES))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    labels: Labels,
    #[serde(default)]
    annotations: Labels,
    #[serde(default)]
    starts_at: Option<String>,
    #[serde(default)]
    ends_at: Option<String>,
    #[serde(default, rename = "generatorURL")]
    generator_url: String,
}

/// Alerts that fire and alerts that are over, as a Prometheus sends them to its Alertmanager. What fires opens incidents as
/// alerts of rules here do; what is not sent again by its `endsAt` is over. All that is good is taken, whatever else is not.
#[utoipa::path(
    post,
    path = "/api/v2/alerts",
    tag = "alertmanager",
    request_body(content = Vec<serde_json::Value>, content_type = "application/json"),
    responses(
        (status = 200, description = "What follows from all of it is durable"),
        (status = 400, description = "Some make no sense; the text says which. The others are taken"),
        (status = 503, description = "It could not be taken now; send it again"),
    )
)]
async fn post_alerts(State(state): State<ApiState>, body: Bytes) -> Result<(), Fault> {
    let alerts: Vec<Alert> =
        serde_json::from_slice(&body).map_err(|error| Fault::bad(format!("the body is no list of alerts: {error}")))?;
    let mut faults = Vec::new();
    let mut good = Vec::with_capacity(alerts.len());
    for (place, alert) in alerts.into_iter().enumerate() {
        match posted(alert) {
            Ok(posted) => good.push(posted),
            Err(fault) => faults.push(format!("alert {}: {fault}", place + 1)),
        }
    }
    let timeout = state.generation.borrow().config.settings.resolve_timeout;
    let refused = state.outside.post(good, (state.now)(), timeout).await?;
    if refused > 0 {
        faults.push(format!("{refused} alerts: {ALERTS_MAX} others fire already"));
    }
    const SAID: usize = 10;
    if faults.is_empty() { Ok(()) } else { Err(Fault::bad(faults[..faults.len().min(SAID)].join("; "))) }
}

fn posted(alert: Alert) -> Result<Posted, String> {
    let mut labels = alert.labels;
    // A label without a value is none.
    labels.retain(|_, value| !value.is_empty());
    if labels.is_empty() {
        return Err("it has no labels".to_owned());
    }
    let is_long = |text: &String| text.len() > LABEL_BYTES;
    if let Some((name, _)) = labels.iter().find(|(name, value)| name.is_empty() || is_long(name) || is_long(value)) {
        let name = &name[..name.floor_char_boundary(64)];
        return Err(format!("label \"{name}\" has no name, or more than {LABEL_BYTES} bytes"));
    }
    let (starts_at, ends_at) = (read("startsAt", alert.starts_at)?, read("endsAt", alert.ends_at)?);
    if let (Some(starts_at), Some(ends_at)) = (starts_at, ends_at)
        && ends_at < starts_at
    {
        return Err("it ends before it starts".to_owned());
    }
    // One that names its end alone began no later.
    let starts_at = starts_at.or(ends_at);
    Ok(Posted { labels, annotations: alert.annotations, starts_at, ends_at, source: alert.generator_url })
}

fn read(what: &str, text: Option<String>) -> Result<Option<i64>, String> {
    text.filter(|text| !text.is_empty()).map_or(Ok(None), |text| instant(what, &text))
}
