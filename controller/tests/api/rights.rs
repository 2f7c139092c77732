//! Who may: every route of the document, without a token, with a wrong one, and with too small a role.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;
use watchkeep::access::roles::Role;
use watchkeep::api::{auth, document};

use super::world::{Answer, World};

/// Method and path of every route of the document.
fn routes() -> Vec<(Method, String)> {
    let document = serde_json::to_value(document()).expect("the document is JSON");
    let paths = document["paths"].as_object().expect("it has paths").clone();
    let of_path = |(path, item): (String, serde_json::Value)| {
        let methods: Vec<String> = item.as_object().into_iter().flatten().map(|(method, _)| method.clone()).collect();
        methods.into_iter().map(move |method| {
            let method = method.to_uppercase().parse().expect("the document names methods");
            (method, path.clone())
        })
    };
    let all = paths.into_iter().flat_map(of_path);
    all.filter(|(method, route): &(Method, String)| !auth::OPEN.contains(&(method.as_str(), route.as_str()))).collect()
}

/// A path that the route takes.
fn example(route: &str) -> String {
    route.replace("{id}", "INC-1").replace("{name}", "web-1").replace("{hash}", "abc")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_route_opens_without_a_token_that_is_in_force() {
    let world = World::start().await;
    let mut routes = routes();
    assert!(routes.len() > 35, "the document has all routes: {}", routes.len());
    routes.push((Method::GET, "/metrics".to_owned()));
    let made = world.admin.post("/api/v1/api-tokens", &json!({"name": "gone", "role": "admin"})).await;
    let ended = made.body["token"].as_str().expect("it is shown").to_owned();
    let listed = world.admin.get("/api/v1/api-tokens").await;
    let id = listed.body["items"][0]["id"].as_str().expect("the newest is first").to_owned();
    assert!(!listed.body.to_string().contains(&ended), "a token is shown once");
    let revoked = Answer::of(world.admin.request(Method::DELETE, &format!("/api/v1/api-tokens/{id}"))).await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT);
    for token in [None, Some("garbage"), Some(ended.as_str())] {
        let nobody = world.admin.with(token);
        for (method, route) in &routes {
            let answer = Answer::of(nobody.request(method.clone(), &example(route)).json(&json!({}))).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {route} with {token:?}");
            answer.is_problem(401, "unauthenticated", "Authorization: Bearer TOKEN");
        }
    }
    for open in ["/healthz", "/readyz", "/api/openapi.json"] {
        assert_eq!(world.admin.with(None).get(open).await.status, StatusCode::OK, "{open}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_small_a_role_is_refused_and_says_what_it_takes() {
    let world = World::start().await;
    let callers = [
        (Role::Viewer, world.caller("viewer").await),
        (Role::Responder, world.caller("responder").await),
        (Role::Operator, world.caller("operator").await),
    ];
    let mut refused = 0;
    for (method, route) in routes() {
        let needs = auth::needs(&method, &route).unwrap_or_else(|| panic!("{method} {route} is in the table"));
        for (role, caller) in &callers {
            let request = caller.request(method.clone(), &example(&route)).timeout(Duration::from_secs(10));
            if *role < needs {
                let says = format!("role is \"{role}\"; this takes \"{needs}\"");
                Answer::of(request.json(&json!({}))).await.is_problem(403, "forbidden", &says);
                refused += 1;
            } else if method == Method::GET {
                // The stream answers at once and goes on, so only the head is waited for.
                let status = request.send().await.expect("an answer").status();
                assert_ne!(status, StatusCode::FORBIDDEN, "{method} {route} as {role}");
            }
        }
    }
    assert!(refused > 20, "{refused} were refused");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_made_and_who_ended_a_token_stands_in_the_ledger() {
    let world = World::start().await;
    world.caller("viewer").await;
    let listed = world.admin.get("/api/v1/api-tokens").await;
    let id = listed.body["items"][0]["id"].as_str().expect("the newest is first").to_owned();
    Answer::of(world.admin.request(Method::DELETE, &format!("/api/v1/api-tokens/{id}"))).await;
    let made = world.admin.post("/api/v1/enrolment-tokens", &json!({"uses": 3})).await;
    let enrolment = made.body["id"].as_str().expect("it has one").to_owned();
    let facts = world.admin.get("/api/v1/facts?kind=note.").await.body;
    let told: Vec<_> = facts["items"].as_array().expect("a list").iter().collect();
    let kinds: Vec<_> = told.iter().map(|fact| fact["kind"].as_str().unwrap_or_default()).collect();
    assert_eq!(kinds, ["note.token_created", "note.token_revoked", "note.enrolment_token_created"], "{facts}");
    for (fact, named) in told.iter().zip([&id, &id, &enrolment]) {
        assert_eq!(&fact["fact"]["body"]["fact"]["id"], named.as_str(), "{fact}");
        assert!(fact["actor"].as_str().is_some_and(|actor| actor.starts_with("person:token:")), "{fact}");
    }
    let secret = made.body["token"].as_str().expect("it is shown");
    assert!(!facts.to_string().contains(secret), "a token is shown once");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_settings_are_shown_to_administrators_only() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir_all(folder.path().join("config")).expect("made");
    let settings = "packs:\n  - use: systemd\n";
    std::fs::write(folder.path().join("config/watchkeep.yaml"), settings).expect("written");
    let world = World::start_in(folder).await;
    let hash = world.admin.get("/api/v1/generations").await.body["in_force"].as_str().expect("one runs").to_owned();
    let path = format!("/api/v1/generations/{hash}");
    for (role, shown) in [("viewer", false), ("operator", false), ("admin", true)] {
        let answer = world.caller(role).await.get(&path).await;
        let text = answer.body["files"]["watchkeep.yaml"].as_str().expect("it is named").to_owned();
        assert_eq!(text == settings, shown, "{role}: {text}");
    }
    world.stop().await;
}
