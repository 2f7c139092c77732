//! What people do, once each.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use watchkeep::core::clock;
use watchkeep_desk::InputBody;
use watchkeep_desk::input::{AgentChange, AgentEvent};

use super::world::{Answer, HOST, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_sent_again_is_done_once_and_answers_as_the_first_did() {
    let world = World::start().await;
    let incident = world.incident().await;
    let send = |path: String, key: &'static str, body: Value| {
        Answer::of(world.admin.request(Method::POST, &path).header("Idempotency-Key", key).json(&body))
    };
    let note = format!("/api/v1/incidents/{incident}/note");
    for _ in 0..2 {
        assert_eq!(send(note.clone(), "note-1", json!({"note": "seen smoke"})).await.status, StatusCode::OK);
    }
    let shown = world.admin.get(&format!("/api/v1/incidents/{incident}")).await.body;
    assert_eq!(shown["timeline"].to_string().matches("seen smoke").count(), 1, "{shown}");

    let start = json!({"runbook": "look", "incident": incident});
    let first = send("/api/v1/runs".to_owned(), "run-1", start.clone()).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.body);
    let again = send("/api/v1/runs".to_owned(), "run-1", start.clone()).await;
    assert_eq!((again.status, &again.body["id"]), (StatusCode::CREATED, &first.body["id"]), "{}", again.body);
    let runs = world.admin.get("/api/v1/runs").await.body;
    assert_eq!(runs["items"].as_array().map(Vec::len), Some(1), "{runs}");

    let used = send("/api/v1/runs".to_owned(), "note-1", start).await;
    used.is_problem(409, "already_done", "was used for something else");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_is_worked_on_and_its_story_told() {
    let world = World::start().await;
    let incident = world.incident().await;
    let operator = world.caller("operator").await;
    for (act, body, state) in [
        ("acknowledge", json!({}), "acknowledged"),
        ("progress", json!({"note": "looking"}), "in_progress"),
        ("resolve", json!({"code": "fixed_by_person", "note": "plugged it in"}), "resolved"),
    ] {
        let answer = operator.post(&format!("/api/v1/incidents/{incident}/{act}"), &body).await;
        assert_eq!((answer.status, &answer.body["state"]), (StatusCode::OK, &json!(state)), "{act}: {}", answer.body);
    }
    let open = operator.get("/api/v1/incidents").await.body;
    assert_eq!(open["items"], json!([]), "the list shows what is open");
    let resolved = operator.get("/api/v1/incidents?state=resolved").await.body;
    assert_eq!(resolved["items"][0]["id"], json!(incident));
    let why = operator.get(&format!("/api/v1/incidents/{incident}/why")).await.body;
    let told = why["lines"].to_string();
    assert!(told.contains("plugged it in"), "{told}");
    let host = operator.get("/api/v1/cis?class=host").await.body;
    assert_eq!(host["items"][0]["name"], json!(HOST), "{host}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enrolment_token_is_shown_once() {
    let world = World::start().await;
    let made = world.admin.post("/api/v1/enrolment-tokens", &json!({"uses": 3, "expires": "10m"})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let token = made.body["token"].as_str().expect("it is shown");
    let listed = world.admin.get("/api/v1/enrolment-tokens").await.body;
    assert_eq!(listed["items"][0]["id"], made.body["id"], "{listed}");
    assert!(!listed.to_string().contains(token), "{listed}");
    for (body, says) in [(json!({"uses": 0}), "uses is 0"), (json!({"expires": "soon"}), "expires: ")] {
        world.admin.post("/api/v1/enrolment-tokens", &body).await.is_problem(400, "invalid", says);
    }
    let path = format!("/api/v1/enrolment-tokens/{}", made.body["id"].as_str().expect("an id"));
    assert_eq!(Answer::of(world.admin.request(Method::DELETE, &path)).await.status, StatusCode::NO_CONTENT);
    Answer::of(world.admin.request(Method::DELETE, &path)).await.is_problem(404, "not_found", "in force");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_says_what_depends_on_what_and_takes_it_back() {
    let world = World::start().await;
    world.incident().await;
    let labels = BTreeMap::from([("service".to_owned(), "shop".to_owned())]);
    let what = AgentEvent::Enrolled { serial: "02".to_owned(), labels, token: "test".to_owned() };
    let enrolled = AgentChange { agent: "app-1".to_owned(), happened_at: clock::now(), what };
    world.controller.state.core.ask(InputBody::Agent(enrolled)).await.expect("the desk takes it");
    let operator = world.caller("operator").await;
    let id = async |name: &str| {
        let found = operator.get(&format!("/api/v1/cis?name={name}")).await.body;
        found["items"][0]["id"].as_str().unwrap_or_else(|| panic!("no {name}: {found}")).to_owned()
    };
    let (shop, host) = (id("shop").await, id(HOST).await);
    let path = format!("/api/v1/cis/{shop}/relate");
    let say = |verdict: &str, note: &str| json!({"depends_on": host, "verdict": verdict, "note": note});
    let shown = async || {
        let listed = operator.get(&format!("/api/v1/cis/{shop}/relations")).await.body;
        let all = listed["items"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|relation| relation["kind"] == "depends_on")
    };
    let pinned = operator.post(&path, &say("pin", "it is its database")).await;
    assert_eq!((pinned.status, &pinned.body["to"]["name"]), (StatusCode::OK, &json!(HOST)), "{}", pinned.body);
    assert_eq!(shown().await.map(|relation| relation["verdict"].clone()), Some(json!("pinned")));
    operator.post(&path, &say("pin", "again")).await.is_problem(409, "not_allowed_in_state", "pinned already");
    operator.post(&path, &say("deny", "")).await.is_problem(422, "missing", "say why");
    assert_eq!(operator.post(&path, &say("deny", "it was moved")).await.status, StatusCode::OK);
    let denied = shown().await.expect("what a person denied stays to be seen");
    assert_eq!((&denied["verdict"], denied["valid_to"].is_null()), (&json!("denied"), false), "{denied}");
    assert_eq!(operator.post(&path, &say("forget", "enough")).await.status, StatusCode::OK);
    assert_eq!(shown().await, None);
    world.stop().await;
}
