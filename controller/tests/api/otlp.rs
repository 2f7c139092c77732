//! OTLP over HTTP: metrics are queried under Prometheus's names, after a restart too, and logs become events.

use std::io::Write as _;

use prost::Message as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use watchkeep::core::clock;
use watchkeep::samples::foreign::otlp_wire::{
    Any, AnyValue, Data, Export, Exported, Gauge, Histogram, HistogramPoint, KeyValue, Metric, Number, NumberPoint,
    Resource, ResourceMetrics, ScopeMetrics, Sum,
};

use super::world::World;

const DELTA: i32 = 1;
const CUMULATIVE: i32 = 2;

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { any: Some(Any::Text(value.to_owned())) }) }
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric { name: name.to_owned(), description: format!("what {name} is"), unit: unit.to_owned(), data: Some(data) }
}

fn exported(temporality: i32) -> Export {
    let time_unix_nano = u64::try_from(clock::now().0).expect("after 1970") * 1_000_000;
    let number = |number| NumberPoint { time_unix_nano, number: Some(number), attributes: Vec::new(), flags: 0 };
    let histogram = HistogramPoint {
        time_unix_nano,
        count: 12,
        sum: Some(20.5),
        bucket_counts: vec![3, 4, 5],
        explicit_bounds: vec![0.1, 2.0],
        attributes: vec![attribute("http.route", "/cart")],
        flags: 0,
    };
    let metrics = vec![
        metric("queue.length", "{items}", Data::Gauge(Gauge { data_points: vec![number(Number::Double(4.5))] })),
        metric(
            "network.io",
            "By",
            Data::Sum(Sum {
                data_points: vec![number(Number::Int(7_000))],
                aggregation_temporality: temporality,
                is_monotonic: true,
            }),
        ),
        metric(
            "http.server.duration",
            "s",
            Data::Histogram(Histogram { data_points: vec![histogram], aggregation_temporality: CUMULATIVE }),
        ),
    ];
    let attributes = [("service.name", "shop"), ("service.instance.id", "a-1"), ("host.name", "web-1")];
    let resource = Resource { attributes: attributes.map(|(key, value)| attribute(key, value)).to_vec() };
    let scope_metrics = vec![ScopeMetrics { metrics }];
    Export { resource_metrics: vec![ResourceMetrics { resource: Some(resource), scope_metrics }] }
}

async fn send(world: &World, body: Vec<u8>, packing: &str) -> (StatusCode, Vec<u8>) {
    let request = world.admin.request(Method::POST, "/prometheus/api/v1/otlp/v1/metrics");
    let request = request.header("content-type", "application/x-protobuf").header("content-encoding", packing);
    let response = request.body(body).send().await.expect("the controller answers");
    (response.status(), response.bytes().await.expect("a body").to_vec())
}

fn gzipped(plain: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(plain).and_then(|()| packer.finish()).expect("memory takes it")
}

/// Labels without the name, and the value.
async fn value(world: &World, expr: &str) -> (Value, Value) {
    let query: String = form_urlencoded::byte_serialize(expr.as_bytes()).collect();
    let found = world.admin.get(&format!("/prometheus/api/v1/query?query={query}")).await.body;
    let result = &found["data"]["result"][0];
    let mut labels = result["metric"].clone();
    labels.as_object_mut().and_then(|labels| labels.remove("__name__"));
    (labels, result["value"][1].clone())
}

async fn are_there(world: &World) {
    let own = json!({"job": "shop", "instance": "a-1"});
    assert_eq!(value(world, "queue_length").await, (own.clone(), json!("4.5")));
    assert_eq!(value(world, "network_io_bytes_total").await, (own, json!("7000")));
    let info = json!({"job": "shop", "instance": "a-1", "host_name": "web-1"});
    assert_eq!(value(world, "target_info").await, (info, json!("1")));
    let route = json!({"job": "shop", "instance": "a-1", "http_route": "/cart"});
    let buckets = "http_server_duration_seconds_bucket";
    assert_eq!(value(world, &format!("histogram_quantile(0.5, {buckets})")).await.0, route);
    for (le, count) in [("0.1", "3"), ("2", "7"), ("+Inf", "12")] {
        assert_eq!(value(world, &format!("{buckets}{{le=\"{le}\"}}")).await.1, count, "le {le}");
    }
    assert_eq!(value(world, "http_server_duration_seconds_sum").await, (route, json!("20.5")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_exported_by_otlp_is_queried_under_names_of_prometheus_after_a_restart_too() {
    let world = World::start().await;
    let plain = exported(CUMULATIVE).encode_to_vec();
    let (status, body) = send(&world, gzipped(&plain), "gzip").await;
    assert_eq!((status, Exported::decode(body.as_slice())), (StatusCode::OK, Ok(Exported { partial_success: None })));
    assert_eq!(send(&world, plain, "identity").await.0, StatusCode::OK, "the same again");
    are_there(&world).await;
    let told = world.admin.get("/prometheus/api/v1/metadata?metric=network_io_bytes_total").await.body;
    let said = json!([{"type": "counter", "help": "what network.io is", "unit": "By"}]);
    assert_eq!(told["data"]["network_io_bytes_total"], said);
    let world = World::start_in(world.stop().await).await;
    are_there(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_sense_by_otlp_is_told_and_the_rest_is_taken() {
    let world = World::start().await;
    let (status, body) = send(&world, exported(DELTA).encode_to_vec(), "identity").await;
    let partial = Exported::decode(body.as_slice()).expect("it decodes").partial_success.expect("part is refused");
    assert_eq!(status, StatusCode::OK);
    assert!(partial.error_message.contains("\"network.io\"") && partial.error_message.contains("cumulative"));
    assert_eq!(value(&world, "queue_length").await.1, "4.5");
    assert_eq!(value(&world, "network_io_bytes_total").await.1, Value::Null);
    for (body, packing, expected) in [
        (b"nonsense".to_vec(), "identity", StatusCode::BAD_REQUEST),
        (b"nonsense".to_vec(), "gzip", StatusCode::BAD_REQUEST),
        (Vec::new(), "zstd", StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        assert_eq!(send(&world, body, packing).await.0, expected, "{packing}");
    }
}

/// A rule over what a shop's own log says.
const LOG_RULES: &str = "groups:
  - name: shop
    rules:
      - event: CheckoutFails
        match: '{kind=\"checkout.failed\", severity=~\"error|fatal\"}'
        count: 2
        within: 5m
        by: [job]
        clear_after: 10m
        labels: {severity: critical}
        annotations: {summary: 'checkouts of {{ $labels.job }} fail'}
";

async fn post_json(world: &World, what: &str, body: &Value) -> (StatusCode, Value) {
    let request = world.admin.request(Method::POST, &format!("/prometheus/api/v1/otlp/v1/{what}"));
    let request = request.header("content-type", "application/json; charset=utf-8").body(body.to_string());
    let response = request.send().await.expect("the controller answers");
    let kind = response.headers()["content-type"].to_str().expect("a text").to_owned();
    assert_eq!(kind, "application/json");
    (response.status(), response.json().await.expect("JSON"))
}

fn log_record(nano: u64, severity: i32, text: &str) -> Value {
    json!({
        "timeUnixNano": nano.to_string(), "severityNumber": severity, "eventName": "checkout.failed",
        "body": {"stringValue": text}, "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
        "attributes": [{"key": "http.route", "value": {"stringValue": "/pay"}}],
    })
}

fn logs_of(host: &str, records: &[Value]) -> Value {
    let attribute = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let resource = json!({"attributes": [attribute("service.name", "shop"), attribute("host.name", host)]});
    json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_in_json_are_those_in_protobuf() {
    let world = World::start().await;
    let nano = (clock::now().0 * 1_000_000).to_string();
    let body = json!({"resourceMetrics": [{
        "resource": {"attributes": [
            {"key": "service.name", "value": {"stringValue": "shop"}},
            {"key": "service.instance.id", "value": {"stringValue": "a-1"}}]},
        "scopeMetrics": [{"scope": {"name": "test"}, "metrics": [
            {"name": "queue.length", "unit": "{items}", "gauge": {"dataPoints": [{"timeUnixNano": nano, "asDouble": 4.5}]}},
            {"name": "network.io", "unit": "By", "sum": {"aggregationTemporality": 1, "isMonotonic": true,
             "dataPoints": [{"timeUnixNano": nano, "asInt": "7000"}]}}]}]}]});
    let (status, answer) = post_json(&world, "metrics", &body).await;
    assert_eq!(status, StatusCode::OK);
    assert!(answer["partialSuccess"]["errorMessage"].as_str().is_some_and(|text| text.contains("delta")), "{answer}");
    assert_eq!(value(&world, "queue_length").await, (json!({"job": "shop", "instance": "a-1"}), json!("4.5")));
    let (status, answer) = post_json(&world, "metrics", &json!({"resourceMetrics": 7})).await;
    assert_eq!((status, &answer["code"]), (StatusCode::BAD_REQUEST, &json!(3)), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_become_events_and_a_rule_over_them_opens_an_incident_once() {
    let world = World::start().await;
    std::fs::write(world.path("config/rules/shop.yaml"), LOG_RULES).expect("written");
    assert_eq!(world.admin.post("/api/v1/reload", &json!({})).await.status, StatusCode::OK);
    let nano = u64::try_from(clock::now().0).expect("after 1970") * 1_000_000;
    let first = logs_of("shop-7", &[log_record(nano, 17, "card refused"), log_record(nano + 1, 9, "again")]);
    // Sent again, as after an answer that was lost, it counts once.
    for _ in 0..2 {
        assert_eq!(post_json(&world, "logs", &first).await, (StatusCode::OK, json!({})));
    }
    let events = world.admin.get("/api/v1/events?kind=checkout.failed").await.body;
    let items = events["items"].as_array().expect("a list");
    assert_eq!(items.len(), 2, "{events}");
    let failed = items.iter().find(|event| event["text"] == "card refused").expect("it is there");
    assert_eq!(failed["labels"]["trace_id"], "5b8efff798038103d269b633813fc60c");
    assert_eq!((&failed["labels"]["severity"], &failed["labels"]["http_route"]), (&json!("error"), &json!("/pay")));
    assert_eq!((&failed["agent"], &failed["labels"]["job"]), (&json!("shop-7"), &json!("shop")));
    let open = world.admin.get("/api/v1/incidents").await.body;
    assert_eq!(open["items"], json!([]), "one failure is none yet");

    // The second, in protobuf and packed, by the messages as they are kept.
    let second = logs_of("shop-7", &[log_record(nano + 2, 21, "bank away")]);
    let second: watchkeep::samples::foreign::otlp_logs::Export = serde_json::from_value(second).expect("it reads");
    let request = world.admin.request(Method::POST, "/prometheus/api/v1/otlp/v1/logs");
    let request = request.header("content-type", "application/x-protobuf").header("content-encoding", "gzip");
    let response = request.body(gzipped(&second.encode_to_vec())).send().await.expect("the controller answers");
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.bytes().await.expect("a body");
    assert_eq!(Exported::decode(&body[..]), Ok(Exported { partial_success: None }));
    let open = world.admin.get("/api/v1/incidents").await.body;
    assert_eq!(open["items"].as_array().map(Vec::len), Some(1), "{open}");
    assert!(open["items"][0]["title"].as_str().is_some_and(|title| title.contains("checkouts of shop fail")), "{open}");

    // After a restart the count goes on: a third failure is the same incident's.
    let world = World::start_in(world.stop().await).await;
    let third = logs_of("shop-7", &[log_record(nano + 3, 17, "bank away")]);
    assert_eq!(post_json(&world, "logs", &third).await.0, StatusCode::OK);
    let open = world.admin.get("/api/v1/incidents").await.body;
    assert_eq!(open["items"].as_array().map(Vec::len), Some(1), "{open}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_of_an_agents_host_are_that_hosts_and_what_is_refused_is_counted() {
    let world = World::start().await;
    let _id = world.incident().await;
    let nano = u64::try_from(clock::now().0).expect("after 1970") * 1_000_000;
    let mut long = log_record(nano, 17, "too long");
    long["attributes"][0]["value"]["stringValue"] = "x".repeat(5_000).into();
    let (status, answer) =
        post_json(&world, "logs", &logs_of(super::world::HOST, &[long, log_record(nano, 17, "good")])).await;
    assert_eq!((status, &answer["partialSuccess"]["rejectedLogRecords"]), (StatusCode::OK, &json!("1")), "{answer}");
    let events = world.admin.get("/api/v1/events?kind=checkout.failed").await.body;
    assert_eq!(events["items"].as_array().map(Vec::len), Some(1), "{events}");
    assert_eq!(events["items"][0]["agent"], super::world::HOST);
    assert_eq!(post_json(&world, "logs", &json!([])).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chart_that_asks_for_it_gets_what_is_down_sampled_and_everybody_else_what_is_exact() {
    let world = World::start().await;
    let end = clock::now().0 / 300_000 * 300_000;
    let point =
        |before: i64, value: f64| json!({"timeUnixNano": ((end - before) * 1_000_000).to_string(), "asDouble": value});
    for point in [point(120_000, 4.0), point(60_000, 8.0)] {
        let metric = json!({"name": "queue.length", "gauge": {"dataPoints": [point]}});
        let body = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]});
        assert_eq!(post_json(&world, "metrics", &body).await, (StatusCode::OK, json!({})));
    }
    let at = end / 1_000;
    let asked = |most: &str| {
        format!(
            "/prometheus/api/v1/query_range?query=queue_length&start={at}&end={at}&step=300&max_source_resolution={most}"
        )
    };
    for (most, value) in [("", "8"), ("0s", "8"), ("5m", "6"), ("auto", "6"), ("1h", "6")] {
        let found = world.admin.get(&asked(most)).await.body;
        assert_eq!(found["data"]["result"][0]["values"], json!([[at as f64, value]]), "{most}: {found}");
    }
    let shorter = asked("auto").replace("step=300", "step=60");
    let found = world.admin.get(&shorter).await.body;
    assert_eq!(found["data"]["result"][0]["values"], json!([[at as f64, "8"]]), "the step is shorter");
    let wrong = world.admin.get(&asked("7m")).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert!(wrong.body["error"].as_str().is_some_and(|text| text.contains("none of auto, 0s, 5m and 1h")));
}
