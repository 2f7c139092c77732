//! Metrics by OTLP over HTTP: what comes is queried under Prometheus's names, after a restart too.

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
