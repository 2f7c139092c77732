//! Prometheus, `amtool` and Alertmanager's API: alerts of others become incidents, and silences hold them back.

use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use watchkeep::core::clock;

use super::peer::{Alertmanager, Prometheus};
use super::world::{Answer, Caller, PATIENCE, World};

const OURS: &str = "/alertmanager/api/v2";

/// UTC, so many seconds from now.
fn from_now(seconds: i64) -> String {
    let at = chrono::DateTime::from_timestamp_millis(clock::now().0 + seconds * 1_000).expect("an instant");
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// Waits until the body of the answer is so.
async fn once(caller: &Caller, path: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = caller.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        if is(&answer.body) {
            return answer.body;
        }
        assert!(Instant::now() < until, "{what}: {}", answer.body);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn count(list: &Value) -> usize {
    list.as_array().map_or(0, Vec::len)
}

async fn incidents(world: &World) -> Value {
    world.admin.get("/api/v1/incidents").await.body["items"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fires_at_a_prometheus_opens_an_incident_and_clears_when_it_says_so() {
    let world = World::start().await;
    // Prometheus looks for its Alertmanagers every five seconds.
    let until = clock::now().0 / 1_000 + 14;
    let rules = format!(
        "groups:
  - name: there
    interval: 1s
    rules:
      - alert: Elsewhere
        expr: up{{job='own'}} == 1 and on() vector(time()) < {until}
        labels: {{severity: critical}}
        annotations: {{summary: '{{{{ $labels.job }}}} is up elsewhere'}}
"
    );
    let address = world.admin.url.trim_start_matches("http://").to_owned();
    let token = world.admin.token.clone().unwrap_or_default();
    let _prometheus =
        Prometheus::start(&world.admin, &[("rules.yml", &rules)], &["--rules.alert.resend-delay=1s"], |own| {
            format!(
                "{}rule_files: [rules.yml]
alerting:
  alertmanagers:
    - path_prefix: /alertmanager
      authorization: {{credentials: {token}}}
      static_configs: [{{targets: ['{address}']}}]
",
                Prometheus::scrapes_itself(own)
            )
        })
        .await;
    let shown = once(&world.admin, &format!("{OURS}/alerts"), "it fires", |list| count(list) == 1).await;
    assert_eq!(shown[0]["labels"]["alertname"], "Elsewhere");
    assert!(shown[0]["generatorURL"].as_str().is_some_and(|url| url.contains("/graph?g0.expr=")), "{shown}");
    let open = incidents(&world).await;
    assert_eq!((count(&open), &open[0]["title"]), (1, &json!("own is up elsewhere")));
    assert_eq!(open[0]["priority"], 3, "its severity is critical, and nothing depends on it");
    once(&world.admin, &format!("{OURS}/alerts"), "it is over", |list| count(list) == 0).await;
    let id = open[0]["id"].as_str().expect("an id").to_owned();
    let incident = world.admin.get(&format!("/api/v1/incidents/{id}")).await.body;
    assert_eq!((&incident["alerts"][0]["standing"], &incident["count"]), (&json!("cleared"), &json!(1)), "{incident}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_repeats_is_over_when_it_said_after_a_restart_too() {
    let world = World::start().await;
    std::fs::write(world.path("config/watchkeep.yaml"), "settings: {resolve_timeout: 4000}\n").expect("written");
    assert_eq!(world.admin.post("/api/v1/reload", &json!({})).await.status, StatusCode::OK);
    let alerts = json!([
        {"labels": {"alertname": "Brief"}, "endsAt": from_now(2)},
        {"labels": {"alertname": "Silent"}},
        {"labels": {"alertname": "Long"}, "endsAt": from_now(3_600)},
    ]);
    assert_eq!(world.admin.post(&format!("{OURS}/alerts"), &alerts).await.status, StatusCode::OK);
    let names = |list: &Value| -> Vec<String> {
        let all = list.as_array().into_iter().flatten().filter_map(|alert| alert["labels"]["alertname"].as_str());
        all.map(str::to_owned).collect()
    };
    let path = format!("{OURS}/alerts");
    assert_eq!(names(&world.admin.get(&path).await.body), ["Brief", "Long", "Silent"]);
    once(&world.admin, &path, "one said when it ends", |list| names(list) == ["Long", "Silent"]).await;
    once(&world.admin, &path, "one was not repeated", |list| names(list) == ["Long"]).await;
    // Nobody repeats it after the restart, and what its sender said went with the life before.
    let world = World::start_in(world.stop().await).await;
    assert_eq!(names(&world.admin.get(&path).await.body), ["Long"]);
    once(&world.admin, &path, "it was not repeated", |list| count(list) == 0).await;
}

/// Alerts of every shape, to be sent to both.
fn sent() -> Value {
    json!([
        {
            "labels": {"alertname": "DiskFull", "instance": "db-1:9100", "severity": "critical", "empty": ""},
            "annotations": {"summary": "db-1 is full"},
            "startsAt": from_now(-60),
            "endsAt": from_now(600),
            "generatorURL": "http://prometheus/graph?g0.expr=up",
        },
        {"labels": {"alertname": "DiskFull", "instance": "db-2:9100"}, "startsAt": "0001-01-01T00:00:00Z"},
        {"labels": {"job": "has no name"}, "endsAt": from_now(600)},
        {"labels": {"alertname": "Over"}, "startsAt": from_now(-60), "endsAt": from_now(-30)},
    ])
}

/// The same but for what differs from one moment to the next.
fn leveled(value: &Value) -> Value {
    let of = |(name, value): (&String, &Value)| {
        let value = match (name.as_str(), value) {
            ("startsAt" | "endsAt" | "updatedAt", Value::String(text)) => {
                json!(chrono::DateTime::parse_from_rfc3339(text).map_or("no time", |_| "a time"))
            }
            ("id", Value::String(text)) => json!(text.len()),
            ("receivers", _) => json!("who is told"),
            ("silencedBy", Value::Array(ids)) => json!(ids.len()),
            (_, value) => leveled(value),
        };
        (name.clone(), value)
    };
    match value {
        Value::Object(fields) => Value::Object(fields.iter().map(of).collect()),
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(leveled).collect();
            items.sort_by_key(|item| item["fingerprint"].to_string());
            Value::Array(items)
        }
        plain => plain.clone(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_and_silences_are_shown_field_by_field_as_alertmanager_shows_them() {
    let world = World::start().await;
    let peer = Alertmanager::start(&world.admin).await;
    let both = [(&world.admin, OURS), (&peer.caller, "/api/v2")];
    let silence = json!({
        "matchers": [
            {"name": "instance", "value": "db-2.*", "isRegex": true, "isEqual": true},
            {"name": "severity", "value": "critical", "isRegex": false, "isEqual": false},
        ],
        "startsAt": from_now(0), "endsAt": from_now(3_600), "createdBy": "alice", "comment": "a disk is swapped",
    });
    for (caller, prefix) in both {
        let set = caller.post(&format!("{prefix}/silences"), &silence).await;
        assert_eq!((set.status, set.body["silenceID"].as_str().map(str::len)), (StatusCode::OK, Some(36)));
        assert_eq!(caller.post(&format!("{prefix}/alerts"), &sent()).await.status, StatusCode::OK);
    }
    for question in [
        "alerts",
        "alerts?silenced=false",
        "alerts?active=false",
        "alerts?filter=instance%3D~%22db-.*%22&filter=severity%3D%22critical%22",
        "alerts?receiver=nobody",
        "silences",
        "silences?filter=instance%3D%22nothing%22",
    ] {
        let (ours, theirs) = (world.admin.get(&format!("{OURS}/{question}")).await, &peer.caller);
        let theirs = theirs.get(&format!("/api/v2/{question}")).await;
        assert_eq!((ours.status, leveled(&ours.body)), (theirs.status, leveled(&theirs.body)), "{question}");
    }
    for (path, wrong) in
        [("alerts", json!([{"labels": {}}])), ("alerts", json!({"labels": {}})), ("silences", json!({}))]
    {
        for (caller, prefix) in both {
            let status = caller.post(&format!("{prefix}/{path}"), &wrong).await.status;
            assert!(status.is_client_error(), "{prefix}/{path} {wrong}: {status}");
        }
    }
    let fields = |value: &Value| -> Vec<String> {
        value.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
    };
    let (ours, theirs) = (world.admin.get(&format!("{OURS}/status")).await, peer.caller.get("/api/v2/status").await);
    assert_eq!(fields(&ours.body), fields(&theirs.body));
    assert_eq!(fields(&ours.body["versionInfo"]), fields(&theirs.body["versionInfo"]));
    let (ours, theirs) =
        (world.admin.get(&format!("{OURS}/receivers")).await, peer.caller.get("/api/v2/receivers").await);
    assert_eq!(fields(&ours.body[0]), fields(&theirs.body[0]));
    let groups = world.admin.get(&format!("{OURS}/alerts/groups")).await.body;
    let theirs = once(&peer.caller, "/api/v2/alerts/groups", "groups", |list| count(list) > 0).await;
    assert_eq!(fields(&groups[0]), fields(&theirs[0]));
}

/// Runs the command line; its exit code, and what it said on either side.
fn watchkeep(world: &World, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchkeep"));
    command.args(args).env("WATCHKEEP_URL", &world.admin.url);
    command.env("WATCHKEEP_TOKEN", world.admin.token.as_deref().unwrap_or_default()).env("USER", "alice");
    let output = command.output().expect("the program runs");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    (output.status.code(), said(&output.stdout), said(&output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_sets_lists_and_ends_silences_that_amtool_sees() {
    let world = World::start().await;
    let add = ["silence", "add", "{alertname=~\"Fu.*\", instance!=\"db-2\"}", "--for", "2h", "--comment", "swapped"];
    let (code, id, _) = watchkeep(&world, &add);
    assert_eq!((code, id.len()), (Some(0), 36), "{id}");
    let listed = amtool(&world, &["silence", "query", "-o", "extended"]);
    for part in [id.as_str(), "alertname=~\"Fu.*\"", "instance!=\"db-2\"", "alice", "swapped"] {
        assert!(listed.contains(part), "{part}: {listed}");
    }
    amtool(&world, &["alert", "add", "Full", "instance=db-1"]);
    assert_eq!(count(&incidents(&world).await), 0, "it is held back");
    let (_, listed, _) = watchkeep(&world, &["silence", "list"]);
    for part in [id.as_str(), "active", "{alertname=~\"Fu.*\", instance!=\"db-2\"}", "alice", "swapped"] {
        assert!(listed.contains(part), "{part}: {listed}");
    }
    let (code, said, _) = watchkeep(&world, &["silence", "expire", &id[..8]]);
    assert_eq!((code, said), (Some(0), format!("{id} has ended")));
    assert_eq!(count(&incidents(&world).await), 1, "it fires still");
    assert!(watchkeep(&world, &["silence", "list"]).1.starts_with("No silence."));
    assert!(watchkeep(&world, &["silence", "list", "--expired"]).1.contains(&id));

    let refused = ["silence", "add", "{alertname=~\".*\"}", "--comment", "all"];
    let (code, _, complained) = watchkeep(&world, &refused);
    assert!(code != Some(0) && complained.contains("it would take every alert"), "{code:?}: {complained}");
}

/// Runs amtool, which knows no token but the password of an address.
fn amtool(world: &World, args: &[&str]) -> String {
    let token = world.admin.token.as_deref().unwrap_or_default();
    let url = world.admin.url.replace("http://", &format!("http://amtool:{token}@"));
    let mut command = Command::new("amtool");
    command.arg(format!("--alertmanager.url={url}/alertmanager")).args(args);
    let output = command.output().expect("prometheus-alertmanager is installed; `make test` as root does it");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{args:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn amtool_adds_alerts_and_sets_lists_and_expires_silences() {
    let world = World::start().await;
    let id = amtool(&world, &["silence", "add", "alertname=Full", "--author=alice", "--comment=swapped", "-d", "1h"]);
    let id = id.trim();
    let listed = amtool(&world, &["silence", "query", "-o", "extended"]);
    assert!(listed.contains(id) && listed.contains("alertname=\"Full\"") && listed.contains("swapped"), "{listed}");
    amtool(&world, &["alert", "add", "Full", "instance=db-1", "--annotation=summary=db-1 is full"]);
    amtool(&world, &["alert", "add", "Other", "instance=db-1"]);
    assert_eq!(count(&incidents(&world).await), 1, "the silence takes one of them");
    assert!(!amtool(&world, &["alert", "query"]).contains("Full"), "silenced ones are asked for");
    assert!(amtool(&world, &["alert", "query", "--silenced"]).contains("db-1 is full"));
    let why = world.admin.get("/api/v1/facts?kind=silence.suppressed").await.body;
    assert_eq!(count(&why["items"]), 1, "{why}");

    amtool(&world, &["silence", "expire", id]);
    let open = incidents(&world).await;
    assert_eq!(count(&open), 2, "it fires still: {open}");
    assert!(amtool(&world, &["alert", "query", "alertname=Full"]).contains("db-1 is full"));
    assert!(!amtool(&world, &["silence", "query"]).contains(id));
    assert!(amtool(&world, &["silence", "query", "--expired"]).contains(id));
    assert!(amtool(&world, &["config", "show"]).contains("resolve_timeout"));

    let viewer = world.caller("viewer").await;
    let refused = viewer.post(&format!("{OURS}/alerts"), &json!([])).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let unknown = format!("{OURS}/silence/00000000-0000-0000-0000-000000000000");
    assert_eq!(Answer::of(world.admin.request(Method::DELETE, &unknown)).await.status, StatusCode::NOT_FOUND);
}
