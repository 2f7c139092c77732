//! Reloading: a bad file changes nothing and says where; a good one is taken up.

use std::fs;

use reqwest::StatusCode;
use serde_json::json;

use super::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_file_is_refused_with_its_place_while_the_old_generation_runs_on() {
    let world = World::start().await;
    let rules = world.path("config/rules/own.yaml");
    let good = fs::read_to_string(&rules).expect("read");
    let before = world.admin.get("/api/v1/generations").await.body["in_force"].clone();

    let same = world.admin.post("/api/v1/reload", &json!({})).await;
    assert_eq!((same.status, &same.body["changed"]), (StatusCode::OK, &json!(false)), "{}", same.body);

    fs::write(&rules, good.replace("clear:", "cleer:")).expect("written");
    let refused = world.admin.post("/api/v1/reload", &json!({})).await;
    let short = &before.as_str().expect("a hash")[..12];
    refused.is_problem(422, "faults", "rules/own.yaml:7:9: ");
    refused.is_problem(422, "faults", "cleer");
    refused.is_problem(422, "faults", &format!("generation {short} is still running"));
    assert_eq!(world.admin.get("/api/v1/generations").await.body["in_force"], before);
    let fact = world.admin.get("/api/v1/facts?kind=configured").await.body;
    assert_eq!(fact["items"].as_array().map(Vec::len), Some(1), "only the first was taken up: {fact}");

    fs::write(&rules, good.replace("is broken", "has broken")).expect("written");
    let taken = world.admin.post("/api/v1/reload", &json!({})).await;
    assert_eq!((taken.status, &taken.body["changed"]), (StatusCode::OK, &json!(true)), "{}", taken.body);
    let now = world.admin.get("/api/v1/generations").await.body;
    assert_eq!(now["in_force"], taken.body["generation"]);
    assert_eq!(now["items"].as_array().map(Vec::len), Some(2), "{now}");
    let shown = world.admin.get(&format!("/api/v1/generations/{}", now["in_force"].as_str().expect("a hash"))).await;
    assert!(shown.body["files"]["rules/own.yaml"].as_str().expect("its text").contains("has broken"));
    world.stop().await;
}
