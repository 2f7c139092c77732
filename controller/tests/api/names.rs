//! Items are found by the names that people have for them, and told with what they were.

use reqwest::StatusCode;

use crate::world::{HOST, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_is_found_by_every_name_that_people_have_for_it() {
    let world = World::start().await;
    world.incident().await;
    let listed = world.admin.get("/api/v1/cis?class=host").await;
    let id = listed.body["items"][0]["id"].as_str().expect("the host is there").to_owned();
    let digits = &id[..5];
    let upper = digits.to_uppercase();
    for name in [&*id, digits, &upper, HOST, &format!("host:{HOST}"), &format!("host:{HOST}@{HOST}")] {
        let found = world.admin.get(&format!("/api/v1/cis/{name}")).await;
        assert_eq!((found.status, found.body["id"].as_str()), (StatusCode::OK, Some(&*id)), "{name}: {}", found.body);
    }
    for name in ["web-2", "host:web-2", "0000", &digits[..3], "nothing:x"] {
        let found = world.admin.get(&format!("/api/v1/cis/{name}")).await;
        assert_eq!(found.status, StatusCode::NOT_FOUND, "{name}: {}", found.body);
        assert!(
            found.body["detail"].as_str().is_some_and(|detail| detail.contains("CLASS:NAME@HOST")),
            "{}",
            found.body
        );
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_and_an_agent_tell_what_they_were() {
    let world = World::start().await;
    let incident = world.incident().await;
    let history = world.admin.get(&format!("/api/v1/cis/{HOST}/history")).await;
    let lifecycle = history.body["items"].as_array().into_iter().flatten();
    let lifecycle: Vec<_> = lifecycle.filter(|held| held["attribute"] == "lifecycle").collect();
    assert_eq!((lifecycle.len(), &lifecycle[0]["value"]), (1, &"in_use".into()), "{}", history.body);
    let story = world.admin.get(&format!("/api/v1/agents/{HOST}/why")).await;
    let first = story.body["lines"][0]["sentence"].as_str().unwrap_or_default().to_owned();
    assert!(first.contains("enrolled"), "{}", story.body);
    let shown = world.admin.get(&format!("/api/v1/incidents/{incident}")).await;
    let ci = &shown.body["ci_in_short"];
    assert_eq!((&ci["class"], &ci["name"], &ci["agent"]), (&"host".into(), &HOST.into(), &HOST.into()));
    assert!(shown.body["ci"].as_str().zip(ci["short"].as_str()).is_some_and(|(id, short)| id.starts_with(short)));
    assert_eq!(world.admin.get("/api/v1/agents/nobody/why").await.status, StatusCode::NOT_FOUND);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_tells_of_files_that_a_reload_would_refuse() {
    let world = World::start().await;
    let standing = async || world.admin.get("/api/v1/status").await.body["configuration"].clone();
    assert_eq!(standing().await["standing"], "in_force");
    let path = world.path("config/rules/more.yaml");
    std::fs::write(&path, "groups: []\n").expect("it can be written");
    assert_eq!(standing().await["standing"], "waiting");
    std::fs::write(&path, "overrides: {}\n").expect("it can be written");
    let faulty = standing().await;
    assert!(faulty["faults"].as_str().is_some_and(|faults| faults.contains("packs: [{use: PACK")), "{faulty}");
    let viewer = world.caller("viewer").await;
    let seen = viewer.get("/api/v1/status").await.body["configuration"].clone();
    assert_eq!(
        (&seen["standing"], seen["faults"].as_str().is_some_and(|f| f.contains("more.yaml"))),
        (&"faulty".into(), false)
    );
    world.stop().await;
}
