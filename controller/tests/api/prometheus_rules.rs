//! Rules, alerts, targets and metadata, as a Prometheus with the same rules shows them.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::peer::Prometheus;
use super::world::{Caller, HOST, PATIENCE, World};

/// Rules that fire, wait and stay quiet, over what both have.
const RULES: &str = "groups:
  - name: same
    interval: 1s
    limit: 5
    rules:
      - record: same:up:sum
        expr: sum( up{job='own'} )
        labels: {team: ops}
      - alert: Up
        expr: up{job='own'}==1
        labels: {severity: info}
        annotations: {summary: 'it is {{ $value }}'}
      - alert: Waits
        expr: up{job='own'} == 1
        for: 1h
        keep_firing_for: 90s
      - alert: Never
        expr: up{job='own'} > 2
  - name: another
    rules:
      - record: another:twice
        expr: up{job='own'} * 2
";

async fn data(caller: &Caller, prefix: &str, question: &str) -> Value {
    let answer = caller.get(&format!("{prefix}/api/v1/{question}")).await;
    assert_eq!((answer.status, &answer.body["status"]), (StatusCode::OK, &json!("success")), "{question}");
    answer.body["data"].clone()
}

/// Waits until it is so, and gives it.
async fn once(what: &str, caller: &Caller, prefix: &str, question: &str, is: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let found = data(caller, prefix, question).await;
        if is(&found) {
            return found;
        }
        assert!(Instant::now() < until, "{what}: {found}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The same with what differs from one moment and machine to the next as a word for its kind.
fn leveled(value: &Value) -> Value {
    let of = |(name, value): (&String, &Value)| {
        let value = match (name.as_str(), value) {
            ("lastEvaluation" | "activeAt", Value::String(text)) => {
                json!(chrono::DateTime::parse_from_rfc3339(text).map_or("no time", |_| "a time"))
            }
            ("evaluationTime", Value::Number(_)) => json!("a number"),
            ("file", Value::String(_)) => json!("a file"),
            (_, value) => leveled(value),
        };
        (name.clone(), value)
    };
    match value {
        Value::Object(fields) => Value::Object(fields.iter().map(of).collect()),
        Value::Array(items) => Value::Array(items.iter().map(leveled).collect()),
        plain => plain.clone(),
    }
}

/// Both rules of the group that is in question, in the state where it stays.
fn is_settled(found: &Value) -> bool {
    let groups = found["groups"].as_array().map_or(&[][..], Vec::as_slice);
    let same = groups.iter().find(|group| group["name"] == "same");
    let states: Vec<&Value> =
        same.into_iter().flat_map(|group| group["rules"].as_array()).flatten().map(|rule| &rule["state"]).collect();
    states == [&Value::Null, &json!("firing"), &json!("pending"), &json!("inactive")]
        && groups.iter().all(|group| group["rules"].as_array().is_some_and(|rules| rules.iter().all(is_healthy)))
}

fn is_healthy(rule: &Value) -> bool {
    rule["health"] == "ok"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_and_alerts_are_shown_field_by_field_as_prometheus_shows_them() {
    let world = World::start().await;
    std::fs::remove_file(world.path("config/rules/own.yaml")).expect("it was there");
    std::fs::write(world.path("config/rules/same.yaml"), RULES).expect("written");
    assert_eq!(world.admin.post("/api/v1/reload", &json!({})).await.status, StatusCode::OK);
    let prometheus = Prometheus::start(&world.admin, &[("same.yml", RULES)], &[], |address| {
        format!(
            "{}rule_files: [same.yml]\n{}",
            Prometheus::scrapes_itself(address),
            Prometheus::writes_to(&world.admin)
        )
    })
    .await;
    once("there", &prometheus.caller, "", "rules", is_settled).await;
    once("here", &world.admin, "/prometheus", "rules", is_settled).await;

    for question in ["rules", "alerts", "rules?type=record", "rules?type=alert", "rules?type=ALERT"] {
        let mut theirs = leveled(&data(&prometheus.caller, "", question).await);
        // Since version 3 a group of which no rule is wanted is not shown.
        let groups = theirs.get_mut("groups").and_then(Value::as_array_mut);
        groups.into_iter().for_each(|groups| groups.retain(|group| group["rules"] != json!([])));
        let ours = leveled(&data(&world.admin, "/prometheus", question).await);
        assert_eq!(ours, theirs, "{question}");
    }
    let question = "metadata?metric=go_goroutines";
    let theirs = data(&prometheus.caller, "", question).await;
    let ours = once("metadata", &world.admin, "/prometheus", question, |found| *found != json!({})).await;
    assert_eq!(ours, theirs);
    for question in ["metadata?limit=0", "metadata?metric=nothing_of_that_name"] {
        let (theirs, ours) =
            (data(&prometheus.caller, "", question).await, data(&world.admin, "/prometheus", question).await);
        assert_eq!(ours, theirs, "{question}");
    }
    for question in ["rules?type=other", "metadata?limit=some"] {
        let theirs = prometheus.caller.get(&format!("/api/v1/{question}")).await;
        let ours = world.admin.get(&format!("/prometheus/api/v1/{question}")).await;
        assert_eq!((ours.status, &ours.body["errorType"]), (theirs.status, &theirs.body["errorType"]), "{question}");
    }
}

/// Fields that a target there has and one here has not: an agent reports at its own interval.
const NOT_OF_AGENTS: [&str; 2] = ["scrapeInterval", "scrapeTimeout"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_is_a_target_with_the_fields_of_one_of_prometheus() {
    let world = World::start().await;
    let prometheus = Prometheus::start(&world.admin, &[], &[], Prometheus::scrapes_itself).await;
    let _id = world.incident().await;
    let has_one = |found: &Value| found["activeTargets"][0]["health"].is_string();
    let theirs = once("there", &prometheus.caller, "", "targets", has_one).await;
    let ours = once("here", &world.admin, "/prometheus", "targets?state=active", has_one).await;
    let fields = |found: &Value| -> Vec<String> {
        found["activeTargets"][0].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
    };
    let expected: Vec<String> =
        fields(&theirs).into_iter().filter(|name| !NOT_OF_AGENTS.contains(&name.as_str())).collect();
    assert_eq!(fields(&ours), expected);
    let target = &ours["activeTargets"][0];
    assert_eq!((&target["labels"], &target["health"]), (&json!({"instance": HOST, "job": "node"}), &json!("unknown")));
    let dropped = data(&world.admin, "/prometheus", "targets?state=dropped").await;
    assert_eq!(dropped["activeTargets"], json!([]));
}

/// What Grafana asks when it adds a data source and opens Explore, beside what queries are tested for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_grafana_asks_of_a_data_source_is_answered() {
    let world = World::start().await;
    std::fs::write(world.path("config/rules/same.yaml"), RULES).expect("written");
    assert_eq!(world.admin.post("/api/v1/reload", &json!({})).await.status, StatusCode::OK);
    let ask = async |question: &str| data(&world.admin, "/prometheus", question).await;
    assert!(ask("status/buildinfo").await["version"].is_string());
    assert_eq!(ask("query?query=1%2B1").await["result"][1], "2");
    assert_eq!(ask("query_exemplars?query=up").await, json!([]));
    assert_eq!(ask("status/runtimeinfo").await["storageRetention"], "15d");
    assert_eq!(ask("status/flags").await["query.lookback-delta"], "5m");
    assert!(ask("status/config").await["yaml"].as_str().is_some_and(|yaml| yaml.contains("rules/same.yaml")));
    assert!(ask("status/tsdb").await["headStats"]["numSeries"].is_u64());
    let names = |found: &Value| -> Vec<String> {
        let rules = found["groups"].as_array().into_iter().flatten().filter_map(|group| group["rules"].as_array());
        rules.flatten().filter_map(|rule| rule["name"].as_str().map(str::to_owned)).collect()
    };
    for (question, found) in [
        ("rules?rule_name[]=Never", &["Never"][..]),
        ("rules?rule_group[]=another", &["another:twice"]),
        ("rules?file[]=rules/same.yaml&type=alert", &["Up", "Waits", "Never"]),
        ("rules?file[]=rules/none.yaml", &[]),
        ("rules?match[]=%7Bseverity%3D%22info%22%7D", &["Up"]),
    ] {
        assert_eq!(names(&ask(question).await), found, "{question}");
    }
}
