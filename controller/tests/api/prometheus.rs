//! Prometheus and its tools as clients: it writes remotely what it scrapes of itself, and both answer alike.

use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::peer::Prometheus;
use super::world::{Answer, Caller, PATIENCE, World};

/// How often a peer scrapes itself, ms.
const SCRAPES: i64 = 200;

/// The same question to a Prometheus, by form, and its answer's data.
async fn ask(caller: &Caller, prefix: &str, path: &str, form: &[(&str, String)]) -> Value {
    let mut text = form_urlencoded::Serializer::new(String::new());
    text.extend_pairs(form);
    let request = caller.request(Method::POST, &format!("{prefix}/api/v1/{path}"));
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(text.finish());
    let answer = Answer::of(request).await;
    assert_eq!(answer.body["status"], "success", "{path} {form:?}: {}", answer.body);
    answer.body["data"].clone()
}

async fn number(caller: &Caller, expr: &str) -> Option<f64> {
    let found = ask(caller, "/prometheus", "query", &[("query", expr.to_owned())]).await;
    found["result"][0]["value"][1].as_str()?.parse().ok()
}

/// Waits until the newest sample that came is of then or later, seconds since 1970; gives its instant.
async fn arrived(caller: &Caller, then: f64) -> f64 {
    let until = Instant::now() + PATIENCE;
    loop {
        let newest = number(caller, "max(timestamp(up{job=\"own\"}))").await;
        if let Some(at) = newest.filter(|at| *at >= then) {
            return at;
        }
        assert!(Instant::now() < until, "no sample of {then} came, the newest is of {newest:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What both must answer alike over a range.
const EXPRESSIONS: [&str; 14] = [
    "up",
    "scrape_samples_scraped{job=\"own\"}",
    "prometheus_build_info",
    "rate(prometheus_http_requests_total[2s])",
    "increase(prometheus_http_request_duration_seconds_count{handler=\"/metrics\"}[3s])",
    "histogram_quantile(0.9, sum by (le, handler) (rate(prometheus_http_request_duration_seconds_bucket[3s])))",
    "sum by (code) (prometheus_http_requests_total)",
    "topk(3, process_resident_memory_bytes)",
    "count({__name__=~\"go_.+\"})",
    "max_over_time(go_goroutines[2s]) - min_over_time(go_goroutines[2s])",
    "deriv(process_cpu_seconds_total[3s])",
    "quantile_over_time(0.5, scrape_duration_seconds[2s])",
    "absent(nothing_of_that_name)",
    "label_replace(up, \"host\", \"$1\", \"instance\", \"(.*):.*\")",
];

async fn both_say_the_same(own: &Caller, other: &Caller, start: f64, end: f64) {
    for expr in EXPRESSIONS {
        let form = [("query", expr.to_owned()), ("start", start.to_string()), ("end", end.to_string())];
        let form = [form.to_vec(), vec![("step", "0.5".to_owned())]].concat();
        let (ours, theirs) =
            (ask(own, "/prometheus", "query_range", &form).await, ask(other, "", "query_range", &form).await);
        let sorted = |data: &Value| {
            let mut series: Vec<Value> = data["result"].as_array().cloned().unwrap_or_default();
            series.sort_by_key(|series| series["metric"].to_string());
            series
        };
        let (ours, theirs) = (sorted(&ours), sorted(&theirs));
        assert!(!theirs.is_empty(), "{expr} finds something there");
        assert_eq!(metrics(&ours), metrics(&theirs), "{expr}");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert!(alike(&ours["values"], &theirs["values"]), "{expr}:\n{ours}\n{theirs}");
        }
    }
}

fn metrics(series: &[Value]) -> Vec<&Value> {
    series.iter().map(|series| &series["metric"]).collect()
}

/// The same instants, and values but for the last bits: versions of Prometheus differ in how they sum.
fn alike(ours: &Value, theirs: &Value) -> bool {
    let read = |values: &Value| -> Vec<(f64, f64)> {
        let number = |value: &Value| value.as_str().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
        let pairs = values.as_array().into_iter().flatten();
        pairs.map(|pair| (pair[0].as_f64().unwrap_or(f64::NAN), number(&pair[1]))).collect()
    };
    let (ours, theirs) = (read(ours), read(theirs));
    let close =
        |(a, b): (f64, f64)| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-12 * a.abs().max(b.abs());
    ours.len() == theirs.len()
        && ours.iter().zip(&theirs).all(|(ours, theirs)| ours.0 == theirs.0 && close((ours.1, theirs.1)))
}

/// What there is to be named, in any order. Asking Prometheus makes it count its questions in series that are new, and these
/// come here with its next write: both name the same in the end.
async fn both_name_the_same(ours: &Caller, theirs: &Caller, question: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        let theirs = named(theirs, "", question).await;
        let ours = named(ours, "/prometheus", question).await;
        assert!(!theirs.is_empty(), "{question}");
        if ours == theirs {
            return;
        }
        assert!(Instant::now() < until, "{question}: {ours:?} here, {theirs:?} there");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn named(caller: &Caller, prefix: &str, question: &str) -> Vec<String> {
    let body = caller.get(&format!("{prefix}/api/v1/{question}")).await.body;
    assert_eq!(body["status"], "success", "{question}: {body}");
    let mut items: Vec<String> = body["data"].as_array().into_iter().flatten().map(Value::to_string).collect();
    items.sort_unstable();
    items
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_prometheus_writes_is_answered_as_prometheus_answers_it_after_a_restart_too() {
    let world = World::start().await;
    let prometheus = Prometheus::start(&world.admin, &[], &[], |address| {
        format!("{}{}", Prometheus::scrapes_itself(address), Prometheus::writes_to(&world.admin))
    })
    .await;
    let first = arrived(&world.admin, 0.0).await;
    let last = arrived(&world.admin, first + 8.0).await;
    // Half way between two scrapes: version 2 takes the sample at the left end of a range, version 3 does not.
    let (start, end) = (first + 4.0 + SCRAPES as f64 / 4_000.0, last - 1.0);
    both_say_the_same(&world.admin, &prometheus.caller, start, end).await;

    let questions = [
        "series?match[]=up&match[]=%7B__name__=~%22prometheus_engine.*%22%7D",
        "labels",
        "labels?match[]=up",
        "label/handler/values",
    ];
    for question in questions {
        both_name_the_same(&world.admin, &prometheus.caller, question).await;
    }

    let other = prometheus.caller.clone();
    let folder = world.stop().await;
    let world = World::start_in(folder).await;
    both_say_the_same(&world.admin, &other, start, end).await;
}

const RULES: &str = "groups:
  - name: databases
    interval: 1s
    rules:
      - alert: Pressed
        expr: pressure > 3
        annotations: {summary: '{{ $labels.job }} is pressed'}
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_write_is_judged_by_the_rules_and_opens_an_incident() {
    let world = World::start().await;
    std::fs::write(world.path("config/rules/databases.yaml"), RULES).expect("written");
    assert_eq!(world.admin.post("/api/v1/reload", &json!({})).await.status, StatusCode::OK);
    let incidents = || async { world.admin.get("/api/v1/incidents").await.body["items"].clone() };
    let until = Instant::now() + PATIENCE;
    let mut value = 4.0;
    loop {
        let now = watchkeep::core::clock::now().0;
        assert_eq!(write(&world, written("pressure", now, value)).await.0, StatusCode::NO_CONTENT);
        let found = incidents().await;
        let titles: Vec<_> = found.as_array().into_iter().flatten().filter_map(|one| one["title"].as_str()).collect();
        if titles == ["db is pressed"] {
            break;
        }
        assert!(Instant::now() < until && titles.is_empty(), "{found}");
        value += 1.0;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Runs promtool, which knows no token but the password of an address.
fn promtool(world: &World, args: &[&str]) -> String {
    let token = world.admin.token.as_deref().unwrap_or_default();
    let server = format!("{}/prometheus", world.admin.url.replace("http://", &format!("http://promtool:{token}@")));
    let mut command = Command::new("promtool");
    command.args(&args[..2]).arg(server).args(&args[2..]);
    let output = command.output().expect("prometheus is installed; `make test` as root does it");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{args:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// A remote write of one series, `metric{job="db"}`, as protobuf by hand: the format's own words are those of a client.
fn written(metric: &str, at_ms: i64, value: f64) -> Vec<u8> {
    let field = |tag: u8, bytes: &[u8]| [&[tag << 3 | 2, u8::try_from(bytes.len()).expect("short")], bytes].concat();
    let label = |name: &str, value: &str| field(1, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat());
    let mut sample = vec![1 << 3 | 1];
    sample.extend(value.to_le_bytes());
    sample.push(2 << 3);
    let mut rest = at_ms as u64;
    while rest >= 0x80 {
        sample.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    sample.push(rest as u8);
    let series = [label("__name__", metric), label("job", "db"), field(2, &sample)].concat();
    snap::raw::Encoder::new().compress_vec(&field(1, &series)).expect("it is small")
}

async fn write(world: &World, body: Vec<u8>) -> (StatusCode, String) {
    let request = world.admin.request(Method::POST, "/prometheus/api/v1/write");
    let request = request.header("content-type", "application/x-protobuf").header("content-encoding", "snappy");
    let response = request.body(body).send().await.expect("the controller answers");
    (response.status(), response.text().await.expect("a body"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promtool_asks_and_a_writer_is_told_what_is_refused() {
    let world = World::start().await;
    let now = watchkeep::core::clock::now().0;
    assert_eq!(write(&world, written("pressure", now - 20_000, 3.5)).await.0, StatusCode::NO_CONTENT);
    assert_eq!(write(&world, written("pressure", now - 20_000, 3.5)).await.0, StatusCode::NO_CONTENT, "the same again");
    let (status, said) = write(&world, written("pressure", now - 30_000, 1.0)).await;
    assert_eq!((status, said.contains("out of order sample")), (StatusCode::BAD_REQUEST, true), "{said}");
    let (status, said) = write(&world, b"nonsense".to_vec()).await;
    assert_eq!((status, said.contains("snappy")), (StatusCode::BAD_REQUEST, true), "{said}");

    let instant = promtool(&world, &["query", "instant", "pressure * 2"]);
    assert!(instant.starts_with("{job=\"db\"} => 7 @["), "{instant}");
    let series = promtool(&world, &["query", "series", "--match=pressure"]);
    assert!(series.contains("__name__=\"pressure\"") && series.contains("job=\"db\""), "{series}");
    assert_eq!(promtool(&world, &["query", "labels", "job"]).trim(), "db");
    let wrong = world.admin.get("/prometheus/api/v1/query?query=sum(").await;
    assert_eq!((wrong.status, &wrong.body["errorType"]), (StatusCode::BAD_REQUEST, &json!("bad_data")));
    let formatted = world.admin.get("/prometheus/api/v1/format_query?query=foo%2Fbar").await;
    assert_eq!(formatted.body["data"], "foo / bar");
    let viewer = world.caller("viewer").await;
    let refused = viewer.request(Method::POST, "/prometheus/api/v1/write").send().await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::FORBIDDEN, "reading is not writing");
}
