//! `targets`: agents and what they scrape, as what a Prometheus would scrape; `metadata`: what is said of metrics.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchkeep_desk::desk::Agent;
use watchkeep_rules::promql::labels::Labels;
use watchkeep_rules::promql::series::{Point, STALE, Samples as _, Series};
use watchkeep_rules::selector::Selector;

use super::query::metric;
use super::rules::rfc3339;
use super::{ApiState, Asked, Fault, off_thread, success};

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(targets)).routes(routes!(metadata))
}

/// How far back the newest `up` of a target is looked for, ms.
const LOOKBACK: i64 = 300_000;

/// The name of the agents' own job, where an agent reported nothing yet.
const JOB: &str = "node";

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it documents parameters that are read by name")]
struct WantedTargets {
    /// `active`, `dropped` or `any`.
    state: Option<String>,
    /// The job.
    #[param(rename = "scrapePool")]
    scrape_pool: Option<String>,
}

/// Agents, and what each of them scrapes: one target an `up`. Nothing is ever dropped.
#[utoipa::path(get, path = "/api/v1/targets", tag = "samples", params(WantedTargets), responses((status = 200, body = Value)))]
async fn targets(State(state): State<ApiState>, asked: Asked) -> Result<Json<Value>, Fault> {
    let active = match asked.get("state").map(str::to_ascii_lowercase).as_deref() {
        None | Some("active" | "any") => true,
        Some("dropped") => false,
        Some(other) => {
            return Err(Fault::bad(format!("state \"{other}\" is not known; write active, dropped or any")));
        }
    };
    let agents = state.core.look(|desk, _| desk.agents().filter(|agent| !agent.revoked).cloned().collect::<Vec<_>>());
    let agents = agents.await.map_err(|error| Fault::execution(error.to_string()))?;
    let pool = asked.get("scrapePool").map(str::to_owned);
    let now = (state.now)().0;
    off_thread(move || {
        let ups = Selector::parse("{__name__=\"up\"}").map_err(|error| Fault::internal(error.to_string()))?;
        let ups = state.samples.select(&ups, now.saturating_sub(LOOKBACK), now).map_err(Fault::execution)?;
        let mut of: BTreeMap<&str, Vec<&Series>> = BTreeMap::new();
        for up in &ups {
            of.entry(up.labels.get("instance").unwrap_or_default()).or_default().push(up);
        }
        let shown = agents.iter().flat_map(|agent| targets_of(agent, of.get(agent.name.as_str())));
        let wanted = |target: &Value| active && pool.as_ref().is_none_or(|pool| target["scrapePool"] == pool.as_str());
        let shown: Vec<Value> = shown.filter(wanted).collect();
        Ok(success(json!({"activeTargets": shown, "droppedTargets": [], "droppedTargetCounts": {}})))
    })
    .await
}

fn targets_of(agent: &Agent, ups: Option<&Vec<&Series>>) -> Vec<Value> {
    let is_value = |point: &&Point| point.value.to_bits() != STALE;
    let seen = ups.into_iter().flatten().filter_map(|up| Some((&up.labels, up.points.iter().rfind(is_value)?)));
    let mut shown: Vec<Value> = seen.map(|(labels, point)| target(agent, labels, Some(*point))).collect();
    if shown.is_empty() {
        shown.push(target(agent, &Labels::new([("instance", agent.name.as_str()), ("job", JOB)]), None));
    }
    shown
}

fn target(agent: &Agent, labels: &Labels, up: Option<Point>) -> Value {
    let health = match up {
        Some(Point { value: 1.0, .. }) => "up",
        Some(_) => "down",
        None => "unknown",
    };
    let job = labels.get("job").unwrap_or_default();
    let mut shown = metric(labels);
    shown.as_object_mut().and_then(|labels| labels.remove("__name__"));
    let mut discovered: Map<String, Value> =
        agent.labels.iter().map(|(name, value)| (format!("__meta_watchkeep_{name}"), value.clone().into())).collect();
    discovered.insert("__address__".to_owned(), agent.name.clone().into());
    let lost = if health == "up" { "" } else { agent.lost.as_deref().unwrap_or_default() };
    json!({
        "discoveredLabels": discovered,
        "labels": shown,
        "scrapePool": job,
        // Nobody connects there: the agent reports by itself, at its own interval, and nobody waits for it.
        "scrapeUrl": format!("watchkeep://{}/{job}", agent.name),
        "globalUrl": format!("watchkeep://{}/{job}", agent.name),
        "lastError": lost,
        "lastScrape": up.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |up| rfc3339(up.at)),
        "lastScrapeDuration": 0,
        "health": health,
    })
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it documents parameters that are read by name")]
struct WantedMetadata {
    /// One metric only.
    metric: Option<String>,
    /// Metrics at most; below 0: all.
    limit: Option<i64>,
    /// Entries of one metric at most; 0 or less: all.
    limit_per_metric: Option<i64>,
}

/// Type, help and unit of metrics, as agents and remote writers say them.
#[utoipa::path(get, path = "/api/v1/metadata", tag = "samples", params(WantedMetadata), responses((status = 200, body = Value)))]
async fn metadata(State(state): State<ApiState>, asked: Asked) -> Result<Json<Value>, Fault> {
    // As there: a limit of 0 shows nothing, one entry a metric at least is always shown.
    let limit = most(&asked, "limit")?.unwrap_or(usize::MAX);
    let per_metric = most(&asked, "limit_per_metric")?.filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let only = asked.get("metric").map(str::to_owned);
    off_thread(move || {
        let known = state.samples.metadata().map_err(Fault::execution)?;
        let wanted = known.iter().filter(|(name, _)| only.as_ref().is_none_or(|only| only == *name));
        let said = wanted.take(limit).map(|(name, of)| {
            // One is known of each, the newest.
            let entries = [json!({"type": of.kind, "help": of.help, "unit": of.unit})];
            (name.clone(), entries.into_iter().take(per_metric).collect::<Value>())
        });
        Ok(success(Value::Object(said.collect())))
    })
    .await
}

/// A limit; none below zero.
fn most(asked: &Asked, name: &str) -> Result<Option<usize>, Fault> {
    let Some(text) = asked.get(name) else { return Ok(None) };
    let limit: i64 = text.parse().map_err(|_| Fault::bad(format!("{name} \"{text}\" is no whole number")))?;
    Ok(usize::try_from(limit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent() -> Agent {
        serde_json::from_value(json!({
            "name": "web-1", "labels": {"service": "shop"}, "serial": "01", "revoked": false, "version": "1",
            "session": null, "lost": "link_down", "since": 0, "ci": null,
        }))
        .expect("it is an agent")
    }

    #[test]
    fn a_target_has_the_health_of_its_newest_up() {
        let labels = Labels::new([("__name__", "up"), ("instance", "web-1"), ("job", "nginx")]);
        let stale = Point { at: 3_000, value: f64::from_bits(STALE) };
        let health = |points: Vec<Point>| {
            let series = Series::new(labels.clone(), points);
            let [target] = targets_of(&agent(), Some(&vec![&series])).try_into().expect("one target");
            (target["health"].clone(), target["lastScrape"].clone(), target["scrapePool"].clone())
        };
        let at = |at, value| Point { at, value };
        let up = health(vec![at(1_000, 0.0), at(2_000, 1.0), stale]);
        assert_eq!(up, (json!("up"), json!("1970-01-01T00:00:02Z"), json!("nginx")));
        assert_eq!(health(vec![at(1_000, 1.0), at(2_000, 0.0)]).0, "down");
        assert_eq!(health(Vec::new()), (json!("unknown"), json!("0001-01-01T00:00:00Z"), json!(JOB)));
    }

    #[test]
    fn why_an_agent_is_away_is_its_targets_error() {
        let [target] = targets_of(&agent(), None).try_into().expect("one target");
        assert_eq!(target["lastError"], "link_down");
        assert_eq!(target["discoveredLabels"]["__meta_watchkeep_service"], "shop");
    }
}
