//! Samples are passed on to other stores: Debian's VictoriaMetrics and Prometheus have what was taken here, exactly.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use prost::Message as _;
use reqwest::Method;
use serde_json::{Value, json};
use watchkeep::core::clock;
use watchkeep::samples::foreign::write_request::{Label, Sample, TimeSeries, WriteRequest};

use super::peer::{Prometheus, VictoriaMetrics, free_address};
use super::world::{Answer, Caller, PATIENCE, World};

/// Instant, ms, and bits of the value, by the series' labels as text.
type Samples = BTreeMap<String, Vec<(i64, u64)>>;

/// Values that a careless hand would change on their way. A series has one magnitude: VictoriaMetrics keeps decimal fractions of
/// one exponent a block, and rounds the others to it.
const VALUES: [f64; 6] = [std::f64::consts::PI, 1e-300, 123_456_789.125, -7.0, 9_007_199_254_740_993.0, 0.1];

/// What is written: series of the job `db`, some with a label `secret`, newer ones with each `round`.
fn written(round: i64, began: i64) -> WriteRequest {
    let series = |number: usize| {
        let label = |name: &str, value: String| Label { name: name.to_owned(), value };
        let mut labels = vec![label("__name__", "pressure".to_owned()), label("job", "db".to_owned())];
        labels.push(label("number", number.to_string()));
        if number % 4 == 3 {
            labels.push(label("secret", "yes".to_owned()));
        }
        let sample = |step: i64| Sample {
            value: VALUES[number % VALUES.len()] * (1 + 5 * round + step) as f64,
            timestamp: began + 5_000 * round + 1_000 * step + number as i64,
        };
        TimeSeries { labels, samples: (0..5).map(sample).collect() }
    };
    WriteRequest { timeseries: (0..40).map(series).collect(), metadata: Vec::new() }
}

fn samples_of(request: &WriteRequest) -> usize {
    request.timeseries.iter().map(|series| series.samples.len()).sum()
}

async fn write(caller: &Caller, request: &WriteRequest) {
    let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).expect("it is small");
    let request = caller.request(Method::POST, "/prometheus/api/v1/write");
    let request = request.header("content-type", "application/x-protobuf").header("content-encoding", "snappy");
    let answer = request.body(body).send().await.expect("the controller answers");
    assert_eq!(answer.status(), StatusCode::NO_CONTENT, "{:?}", answer.text().await);
}

/// What was written, as a store must have it: with the installation's label.
fn expected(requests: &[WriteRequest]) -> Samples {
    let mut all = Samples::new();
    for series in requests.iter().flat_map(|request| &request.timeseries) {
        let pairs = series.labels.iter().map(|label| (label.name.as_str(), label.value.as_str()));
        let labels: BTreeMap<&str, &str> = pairs.chain([("site", "fra1")]).collect();
        let points = series.samples.iter().map(|sample| (sample.timestamp, sample.value.to_bits()));
        all.entry(json!(labels).to_string()).or_default().extend(points);
    }
    all
}

/// What a Prometheus has of a selector, of the last ten minutes.
async fn in_prometheus(caller: &Caller, prefix: &str, selector: &str) -> Samples {
    let query: String = form_urlencoded::byte_serialize(format!("{selector}[10m]").as_bytes()).collect();
    let answer = caller.get(&format!("{prefix}/api/v1/query?query={query}")).await;
    assert_eq!(answer.body["status"], "success", "{}", answer.body);
    let series = answer.body["data"]["result"].as_array().cloned().unwrap_or_default();
    let point = |pair: &Value| {
        let value: f64 = pair[1].as_str().expect("a text").parse().expect("a number");
        ((pair[0].as_f64().expect("a time") * 1_000.0).round() as i64, value.to_bits())
    };
    let one = |series: &Value| {
        let points = series["values"].as_array().into_iter().flatten().map(point).collect();
        (series["metric"].to_string(), points)
    };
    series.iter().map(one).collect()
}

/// What a VictoriaMetrics has of a selector.
async fn in_victoria(caller: &Caller, selector: &str) -> Samples {
    let question: String = form_urlencoded::byte_serialize(selector.as_bytes()).collect();
    let flushed = caller.request(Method::GET, "/internal/force_flush").send().await.expect("it answers");
    assert!(flushed.status().is_success(), "{flushed:?}");
    let asked = caller.request(Method::GET, &format!("/api/v1/export?match[]={question}")).send().await;
    let text = asked.expect("it answers").text().await.expect("a body");
    let one = |line: &str| {
        let series: Value = serde_json::from_str(line).expect("a line of JSON");
        let numbers = |name: &str| series[name].as_array().cloned().unwrap_or_default();
        let points = numbers("timestamps").into_iter().zip(numbers("values"));
        let point =
            |(at, value): (Value, Value)| (at.as_i64().expect("a time"), value.as_f64().expect("a number").to_bits());
        (series["metric"].to_string(), points.map(point).collect())
    };
    text.lines().map(one).collect()
}

/// The same series and instants; values to the last bit, or but for what VictoriaMetrics rounds.
#[track_caller]
fn is_same(found: &Samples, expected: &Samples, to_the_bit: bool) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (labels, points) in expected {
        let there = &found[labels];
        let times = |points: &[(i64, u64)]| points.iter().map(|(at, _)| *at).collect::<Vec<_>>();
        assert_eq!(times(there), times(points), "{labels}");
        for ((at, there), (_, here)) in there.iter().zip(points) {
            let (a, b) = (f64::from_bits(*there), f64::from_bits(*here));
            let is_same = if to_the_bit { there == here } else { (a - b).abs() <= 1e-12 * b.abs() };
            assert!(is_same, "{labels} at {at}: {a} there, {b} here");
        }
    }
}

/// Has it taken up, and waits until these stores are there.
async fn configure(world: &World, settings: &str, stores: &[&str]) {
    std::fs::write(world.path("config/watchkeep.yaml"), settings).expect("written");
    let reloaded = world.admin.post("/api/v1/reload", &json!({})).await;
    assert_eq!(reloaded.status, StatusCode::OK, "{}", reloaded.body);
    for store in stores {
        until(world, store, "is taken up", |store| !store.is_null()).await;
    }
}

/// Waits until a store's readings in the status are so, and gives them.
async fn until(world: &World, name: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let patience = Instant::now() + PATIENCE;
    loop {
        let status = world.admin.get("/api/v1/status").await.body;
        let stores = status["remote_write"].as_array().cloned().unwrap_or_default();
        let found = stores.into_iter().find(|store| store["name"] == name).unwrap_or_default();
        if is_so(&found) {
            return found;
        }
        assert!(Instant::now() < patience, "store \"{name}\" {what}: {found}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

const RULES: &str = "groups:
  - name: databases
    interval: 1s
    rules:
      - {record: pressure:double, expr: pressure * 2}
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_and_recorded_is_in_victoria_metrics_and_in_prometheus_exactly() {
    let world = World::start().await;
    std::fs::write(world.path("config/rules/databases.yaml"), RULES).expect("written");
    let victoria = VictoriaMetrics::start(&world.admin).await;
    let receiver = ["--web.enable-remote-write-receiver"];
    let prometheus = Prometheus::start(&world.admin, &[], &receiver, |_| "global: {}\n".to_owned()).await;
    let settings = format!(
        "external_labels: {{site: fra1}}
remote_write:
  - {{name: victoria, url: '{}/api/v1/write', queue_config: {{max_samples_per_send: 77, batch_send_deadline: 100ms}}}}
  - name: prometheus
    url: {}/api/v1/write
    write_relabel_configs: [{{source_labels: [secret], regex: '.+', action: drop}}]
",
        victoria.caller.url, prometheus.caller.url
    );
    configure(&world, &settings, &["victoria", "prometheus"]).await;
    let began = clock::now().0 - 60_000;
    let rounds: Vec<WriteRequest> = (0..3).map(|round| written(round, began)).collect();
    for round in &rounds {
        write(&world.admin, round).await;
    }
    let all = rounds.iter().map(samples_of).sum::<usize>() as u64;
    until(&world, "victoria", "takes all", |store| store["sent"].as_u64() >= Some(all)).await;
    until(&world, "prometheus", "takes all but the secret", |store| store["sent"].as_u64() >= Some(all * 3 / 4)).await;

    let selector = "{__name__=\"pressure\",job=\"db\"}";
    is_same(&in_victoria(&victoria.caller, selector).await, &expected(&rounds), false);
    let mut but_secret = expected(&rounds);
    but_secret.retain(|labels, _| !labels.contains("secret"));
    is_same(&in_prometheus(&prometheus.caller, "", selector).await, &but_secret, true);

    // What a rule records is passed on as it comes.
    let recorded = "{__name__=\"pressure:double\",number=\"0\"}";
    let patience = Instant::now() + PATIENCE;
    loop {
        let there = in_prometheus(&prometheus.caller, "", recorded).await;
        let mut here = in_prometheus(&world.admin, "/prometheus", recorded).await;
        let newest = there.values().flatten().map(|(at, _)| *at).max();
        here.values_mut().for_each(|points| points.retain(|(at, _)| Some(*at) <= newest));
        if there.values().flatten().count() >= 3 {
            assert_eq!(there.values().collect::<Vec<_>>(), here.values().collect::<Vec<_>>());
            break;
        }
        assert!(Instant::now() < patience, "{there:?} there, {here:?} here");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    for store in ["victoria", "prometheus"] {
        let store = until(&world, store, "has no trouble", |store| store["trouble"].is_null()).await;
        assert_eq!((&store["refused"], &store["dropped"]), (&json!(0), &json!(0)), "{store}");
    }
    let metrics = world.admin.request(Method::GET, "/metrics").send().await.expect("it answers");
    let metrics = metrics.text().await.expect("a body");
    let sent = metrics
        .lines()
        .find_map(|line| line.strip_prefix("watchkeep_remote_write_samples_sent_total{store=\"victoria\"} "));
    assert!(sent.and_then(|sent| sent.parse::<u64>().ok()) >= Some(all), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away_has_all_once_it_is_back_and_a_restart_between_loses_nothing() {
    let world = World::start().await;
    let address = free_address();
    let settings = format!(
        "external_labels: {{site: fra1}}\nremote_write:\n  - url: http://{address}/api/v1/write\n    name: away\n\
        \x20   queue_config: {{max_backoff: 200ms, batch_send_deadline: 50ms}}\n"
    );
    configure(&world, &settings, &["away"]).await;
    let began = clock::now().0 - 120_000;
    let rounds: Vec<WriteRequest> = (0..4).map(|round| written(round, began)).collect();
    let of_round = samples_of(&rounds[0]) as u64;
    write(&world.admin, &rounds[0]).await;
    let waits =
        until(&world, "away", "waits", |store| store["pending"] == of_round && !store["trouble"].is_null()).await;
    assert!(waits["trouble"].as_str().unwrap_or_default().contains("Connection refused"), "{waits}");

    let world = World::start_in(world.stop().await).await;
    until(&world, "away", "still waits", |store| store["pending"] == of_round).await;
    write(&world.admin, &rounds[1]).await;
    let folder = tempfile::tempdir().expect("a folder for the test");
    let victoria = VictoriaMetrics::start_at(&world.admin, &address, folder).await;
    until(&world, "away", "is back", |store| store["sent"] == 2 * of_round && store["pending"] == 0).await;

    let folder = victoria.stop();
    write(&world.admin, &rounds[2]).await;
    until(&world, "away", "waits again", |store| store["pending"] == of_round).await;
    let victoria = VictoriaMetrics::start_at(&world.admin, &address, folder).await;
    write(&world.admin, &rounds[3]).await;
    until(&world, "away", "is back again", |store| store["sent"] == 4 * of_round && store["pending"] == 0).await;
    is_same(&in_victoria(&victoria.caller, "{job=\"db\"}").await, &expected(&rounds), false);
}

/// A status, and when to come again.
type Told = (StatusCode, Option<&'static str>);

/// A receiver that answers as it is told, 204 where nothing is left to be said, and keeps what it was asked.
#[derive(Clone, Default)]
struct Receiver {
    answers: Arc<Mutex<VecDeque<Told>>>,
    asked: Arc<Mutex<Vec<(Instant, HeaderMap, usize)>>>,
}

impl Receiver {
    /// Its address.
    async fn listen(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it has one");
        let routes = axum::Router::new().route("/write", axum::routing::post(answer)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        format!("http://{address}/write")
    }

    fn asked(&self) -> Vec<(Instant, HeaderMap, usize)> {
        self.asked.lock().expect("no test panics with it").clone()
    }
}

async fn answer(
    State(receiver): State<Receiver>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> axum::response::Response {
    use axum::response::IntoResponse as _;
    let bytes = snap::raw::Decoder::new().decompress_vec(&body).expect("snappy");
    let request = WriteRequest::decode(bytes.as_slice()).expect("a write request");
    let samples = samples_of(&request);
    receiver.asked.lock().expect("no test panics with it").push((Instant::now(), headers, samples));
    let next = receiver.answers.lock().expect("no test panics with it").pop_front();
    match next {
        Some((status, Some(after))) => (status, [("retry-after", after)], "later, please\n").into_response(),
        Some((status, None)) => (status, "no, thank you\nreally").into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overloaded_store_is_tried_again_and_one_that_refuses_is_not() {
    let world = World::start().await;
    let receiver = Receiver::default();
    receiver.answers.lock().expect("no test panics with it").extend([
        (StatusCode::SERVICE_UNAVAILABLE, None),
        (StatusCode::TOO_MANY_REQUESTS, Some("1")),
        (StatusCode::NO_CONTENT, None),
        (StatusCode::BAD_REQUEST, None),
    ]);
    let url = receiver.listen().await;
    std::fs::write(world.path("config/secret"), "s3cret\n").expect("written");
    let settings = format!(
        "remote_write:
  - name: picky
    url: {url}
    headers: {{X-Scope-OrgID: fra1}}
    authorization: {{credentials_file: secret}}
    queue_config: {{batch_send_deadline: 50ms}}
"
    );
    configure(&world, &settings, &["picky"]).await;
    let began = clock::now().0 - 60_000;
    let all = samples_of(&written(0, began)) as u64;
    write(&world.admin, &written(0, began)).await;
    let store = until(&world, "picky", "takes the third attempt", |store| store["sent"] == all).await;
    assert_eq!((&store["retries"], &store["refused"]), (&json!(2), &json!(0)), "{store}");
    write(&world.admin, &written(1, began)).await;
    let store = until(&world, "picky", "refuses the second", |store| store["refused"] == all).await;
    assert_eq!(store["trouble"], format!("{all} samples refused: answered 400 Bad Request: no, thank you"));
    write(&world.admin, &written(2, began)).await;
    let store = until(&world, "picky", "takes the third", |store| store["sent"] == 2 * all).await;
    assert_eq!((&store["trouble"], &store["pending"]), (&Value::Null, &json!(0)));

    let asked = receiver.asked();
    assert_eq!(asked.iter().map(|(_, _, samples)| *samples as u64).collect::<Vec<_>>(), [all; 5]);
    let between = asked[2].0.duration_since(asked[1].0);
    assert!(between >= Duration::from_millis(990), "it says when to come again, and was asked after {between:?}");
    for (_, headers, _) in &asked {
        let of = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert_eq!(
            ["authorization", "x-scope-orgid", "content-type", "content-encoding", "x-prometheus-remote-write-version"]
                .map(of),
            ["Bearer s3cret", "fra1", "application/x-protobuf", "snappy", "0.1.0"]
        );
    }
    let shown = Answer::of(world.admin.request(Method::GET, "/api/v1/status")).await.body.to_string();
    assert!(!shown.contains("s3cret"), "{shown}");
}
