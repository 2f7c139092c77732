//! What Watchkeep says of itself to clients of Prometheus, and expressions set out for reading.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchkeep_rules::duration;
use watchkeep_rules::promql::eval::Settings;
use watchkeep_rules::promql::labels::{Labels, NAME};
use watchkeep_rules::promql::pretty;
use watchkeep_rules::selector::Selector;

use super::query::parse;
use super::{ApiState, Asked, Fault, off_thread, success};
use crate::detect::metrics::INTERVAL;

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(buildinfo))
        .routes(routes!(runtimeinfo))
        .routes(routes!(flags))
        .routes(routes!(config))
        .routes(routes!(tsdb))
        .routes(routes!(query_exemplars))
        .routes(routes!(format_query))
}

/// The version of Prometheus whose expression language is spoken: clients ask it to know what they may send.
const LANGUAGE: &str = "3.0.0";

/// As whom clients may treat this: the Prometheus whose language it speaks. `application` says what it is.
#[utoipa::path(get, path = "/api/v1/status/buildinfo", tag = "samples", responses((status = 200, body = Value)))]
async fn buildinfo() -> Json<Value> {
    success(json!({
        "version": LANGUAGE,
        "revision": "",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
        "application": format!("watchkeep {}", env!("CARGO_PKG_VERSION")),
    }))
}

/// How it runs, as far as Prometheus's words say it.
#[utoipa::path(get, path = "/api/v1/status/runtimeinfo", tag = "samples", responses((status = 200, body = Value)))]
async fn runtimeinfo(State(state): State<ApiState>) -> Json<Value> {
    let generation = state.generation.borrow();
    success(json!({
        "CWD": state.config_dir,
        // What has faults is never taken up.
        "reloadConfigSuccess": true,
        "corruptionCount": 0,
        "GOMAXPROCS": std::thread::available_parallelism().map_or(1, usize::from),
        "storageRetention": kept_for(generation.retention.samples),
    }))
}

/// Prometheus's flags, as far as they say something here.
#[utoipa::path(get, path = "/api/v1/status/flags", tag = "samples", responses((status = 200, body = Value)))]
async fn flags(State(state): State<ApiState>) -> Json<Value> {
    let lookback = duration::format(Settings::default().lookback);
    success(json!({
        "query.lookback-delta": lookback,
        "storage.tsdb.retention.time": kept_for(state.generation.borrow().retention.samples),
        "web.enable-remote-write-receiver": "true",
        "web.external-url": state.generation.borrow().installation.external_url,
    }))
}

fn kept_for(ms: i64) -> String {
    duration::format(ms)
}

/// What a Prometheus's configuration would say of the rules in force.
#[utoipa::path(get, path = "/api/v1/status/config", tag = "samples", responses((status = 200, body = Value)))]
async fn config(State(state): State<ApiState>) -> Json<Value> {
    let generation = state.generation.borrow();
    let files: BTreeSet<&str> = generation.config.rules.groups.iter().map(|group| group.file.as_str()).collect();
    // JSON is YAML, and needs no thought about what a label may hold.
    let global = json!({
        "evaluation_interval": duration::format(INTERVAL),
        "external_labels": generation.installation.external_labels,
    });
    success(json!({"yaml": format!("global: {global}\nrule_files: {}\n", json!(files))}))
}

/// Names and pairs that are listed of the series there are.
const TOP: usize = 10;

/// What series there are now: how many, and of what most.
#[utoipa::path(get, path = "/api/v1/status/tsdb", tag = "samples", responses((status = 200, body = Value)))]
async fn tsdb(State(state): State<ApiState>, asked: Asked) -> Result<Json<Value>, Fault> {
    let top = match asked.limit()? {
        0 => TOP,
        top => top,
    };
    let now = (state.now)().0;
    let lookback = Settings::default().lookback;
    off_thread(move || {
        let all = state.samples.labels(&Selector::default(), now.saturating_sub(lookback), now);
        Ok(success(counted(&all.map_err(Fault::execution)?, top)))
    })
    .await
}

fn counted(all: &[Labels], top: usize) -> Value {
    let mut of_metric: BTreeMap<&str, usize> = BTreeMap::new();
    let mut of_pair: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for labels in all {
        *of_metric.entry(labels.get(NAME).unwrap_or_default()).or_default() += 1;
        for pair in labels.iter() {
            *of_pair.entry(pair).or_default() += 1;
        }
    }
    let mut values: BTreeMap<&str, usize> = BTreeMap::new();
    let mut bytes: BTreeMap<&str, usize> = BTreeMap::new();
    for ((name, value), series) in &of_pair {
        *values.entry(name).or_default() += 1;
        *bytes.entry(name).or_default() += value.len() * series;
    }
    let pairs = of_pair.iter().map(|((name, value), series)| (format!("{name}={value}"), *series));
    let named = |counts: BTreeMap<&str, usize>| {
        most(counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect(), top)
    };
    json!({
        "headStats": {"numSeries": all.len(), "numLabelPairs": of_pair.len()},
        "seriesCountByLabelValuePair": most(pairs.collect(), top),
        "seriesCountByMetricName": named(of_metric),
        "labelValueCountByLabelName": named(values),
        "memoryInBytesByLabelName": named(bytes),
    })
}

/// The `top` largest, the largest first.
fn most(mut counts: Vec<(String, usize)>, top: usize) -> Vec<Value> {
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts.truncate(top);
    counts.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

/// Exemplars, of which none are kept.
#[utoipa::path(
    method(get, post),
    path = "/api/v1/query_exemplars",
    tag = "samples",
    params(Formatted),
    responses((status = 200, body = Value))
)]
async fn query_exemplars(asked: Asked) -> Result<Json<Value>, Fault> {
    parse(asked.needed("query")?)?;
    Ok(success(json!([])))
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it documents parameters that are read by name")]
struct Formatted {
    /// The expression.
    query: String,
}

/// An expression set out in the usual way.
#[utoipa::path(
    method(get, post),
    path = "/api/v1/format_query",
    tag = "samples",
    params(Formatted),
    responses((status = 200, body = Value))
)]
async fn format_query(asked: Asked) -> Result<Json<Value>, Fault> {
    Ok(success(pretty(&parse(asked.needed("query")?)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_most_of_comes_first() {
        let series = |name: &str, device: &str| Labels::new([(NAME, name), ("device", device)]);
        let counted = counted(&[series("a", "sda"), series("b", "sda"), series("b", "sdb")], 1);
        assert_eq!(counted["headStats"], json!({"numSeries": 3, "numLabelPairs": 4}));
        assert_eq!(counted["seriesCountByMetricName"], json!([{"name": "b", "value": 2}]));
        assert_eq!(counted["seriesCountByLabelValuePair"], json!([{"name": "__name__=b", "value": 2}]));
        assert_eq!(counted["labelValueCountByLabelName"], json!([{"name": "__name__", "value": 2}]));
    }
}
