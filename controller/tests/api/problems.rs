//! What is wrong with a request is said as a problem.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::world::{Answer, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_a_request_is_a_problem_with_its_reason() {
    let world = World::start().await;
    let admin = &world.admin;
    for (path, status, code, says) in [
        ("/api/v1/nothing", 404, "not_found", "/api/openapi.json lists all"),
        ("/api/v1/incidents/INC-99", 404, "not_found", "INC-99"),
        ("/api/v1/incidents/seven", 400, "invalid", "seven"),
        ("/api/v1/runs/RUN-99", 404, "not_found", "RUN-99"),
        ("/api/v1/changes/CHG-99", 404, "not_found", "CHG-99"),
        ("/api/v1/agents/nobody", 404, "not_found", "nobody"),
        ("/api/v1/generations/abc", 404, "not_found", "abc"),
        ("/api/v1/incidents?colour=red", 400, "invalid", "colour"),
        ("/api/v1/incidents?state=broken", 400, "invalid", "broken"),
        ("/api/v1/incidents?limit=0", 400, "invalid", "limit is 0; it goes from 1 to 500"),
        ("/api/v1/incidents?limit=501", 400, "invalid", "limit is 501"),
        ("/api/v1/incidents?limit=many", 400, "invalid", "limit"),
        ("/api/v1/facts?cursor=here", 400, "invalid", "\"here\" is no place in the ledger"),
        ("/api/v1/generations?cursor=here", 400, "invalid", "no cursor of this list"),
        ("/api/v1/cis?cursor=here", 400, "invalid", "no cursor of this list"),
        ("/api/v1/cis?class=spoon", 400, "invalid", "\"spoon\" is no class"),
        ("/api/v1/cis?selector=%7Bx", 400, "invalid", "selector"),
    ] {
        let answer = admin.get(path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.body);
        answer.is_problem(status, code, says);
    }
    let put = Answer::of(admin.request(Method::PUT, "/api/v1/incidents")).await;
    put.is_problem(405, "method_not_allowed", "does not take that method");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_cannot_be_read_changes_nothing_and_says_where() {
    let world = World::start().await;
    let admin = &world.admin;
    let raw = |body: &'static str| {
        let request = admin.request(Method::POST, "/api/v1/stop-switch").body(body);
        Answer::of(request.header("Content-Type", "application/json"))
    };
    raw("{\"on\": tru").await.is_problem(400, "invalid", "line 1 column 10");
    raw("{\"on\": true, \"note\": \"x\", \"colour\": 1}").await.is_problem(422, "invalid", "unknown field `colour`");
    raw("{\"on\": true}").await.is_problem(422, "invalid", "missing field `note`");
    let plain = Answer::of(admin.request(Method::POST, "/api/v1/stop-switch").body("on")).await;
    plain.is_problem(415, "unsupported_media_type", "application/json");
    let huge = "x".repeat((1 << 20) + 1);
    admin.post("/api/v1/stop-switch", &json!({"on": true, "note": huge})).await.is_problem(413, "too_large", "");
    admin.post("/api/v1/stop-switch", &json!({"on": true, "note": " "})).await.is_problem(422, "missing", "note");
    let off = admin.post("/api/v1/stop-switch", &json!({"on": false, "note": "why"})).await;
    off.is_problem(409, "not_allowed_in_state", "off already");
    let none = admin.get("/api/v1/facts?kind=stop_switch").await;
    assert_eq!(none.body["items"], json!([]), "nothing of it was done");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_follow_each_other_without_gap_or_double() {
    let world = World::start().await;
    world.facts(7).await;
    let whole = world.admin.get("/api/v1/facts?kind=stop_switch").await;
    assert_eq!(whole.status, StatusCode::OK);
    let whole = whole.body["items"].as_array().expect("a list").clone();
    assert_eq!(whole.len(), 7);
    let (mut paged, mut cursor) = (Vec::new(), None);
    for _ in 0..10 {
        let behind = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = world.admin.get(&format!("/api/v1/facts?kind=stop_switch&limit=3{behind}")).await.body;
        let items = page["items"].as_array().expect("a list");
        assert!(items.len() <= 3);
        paged.extend(items.clone());
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(paged, whole);
    world.stop().await;
}
