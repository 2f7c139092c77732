//! People: how they log in, what guards their sessions, and what stands of them in the ledger.

use reqwest::header::{COOKIE, ORIGIN, SET_COOKIE};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use watchkeep::api::auth::MARK;

use super::world::{Answer, World};

const PASSWORD: &str = "correct horse battery";

/// A world with a responder.
async fn with_alice() -> World {
    let world = World::start().await;
    let body = json!({"name": "alice", "role": "responder", "password": PASSWORD});
    let added = world.admin.post("/api/v1/users", &body).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.body);
    world
}

/// The session's cookie as a browser sends it back, and the whole header that set it.
async fn log_in(world: &World, path: &str, body: &Value, origin: &str) -> (String, String) {
    let request = world.admin.with(None).request(Method::POST, path).json(body).header(ORIGIN, origin);
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    let set = response.headers()[SET_COOKIE].to_str().expect("text").to_owned();
    (set.split(';').next().unwrap_or_default().to_owned(), set)
}

async fn alice(world: &World) -> String {
    let body = json!({"name": "alice", "password": PASSWORD});
    log_in(world, "/api/v1/session", &body, "http://127.0.0.1").await.0
}

/// A request with a cookie, and a mark if there is one.
async fn with_cookie(world: &World, method: Method, path: &str, cookie: &str, mark: Option<&str>) -> Answer {
    let mut request = world.admin.with(None).request(method, path).header(COOKIE, cookie);
    if let Some(mark) = mark {
        request = request.header(MARK, mark);
    }
    Answer::of(request.json(&json!({"note": "seen"}))).await
}

async fn mark(world: &World, cookie: &str) -> String {
    let shown = with_cookie(world, Method::GET, "/api/v1/session", cookie, None).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.body);
    shown.body["mark"].as_str().expect("a session has one").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_acts_in_their_own_name_within_their_role() {
    let world = with_alice().await;
    let incident = world.incident().await;
    let cookie = alice(&world).await;
    let mark = mark(&world, &cookie).await;
    let path = format!("/api/v1/incidents/{incident}/acknowledge");
    let answer = with_cookie(&world, Method::POST, &path, &cookie, Some(&mark)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let users = world.admin.get("/api/v1/users").await.body;
    let id = users["items"][0]["id"].as_str().expect("alice is there");
    let facts = world.admin.get(&format!("/api/v1/facts?subject=incident:{incident}")).await.body.to_string();
    assert!(facts.contains(&format!("person:user:{id}")) && !facts.contains("alice"), "by id alone: {facts}");
    let refused = with_cookie(&world, Method::POST, "/api/v1/reload", &cookie, Some(&mark)).await;
    refused.is_problem(403, "forbidden", "role is \"responder\"; this takes \"admin\"");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookie_alone_reads_and_changes_nothing() {
    let world = with_alice().await;
    let incident = world.incident().await;
    let (cookie, other) = (alice(&world).await, alice(&world).await);
    let theirs = mark(&world, &other).await;
    let path = format!("/api/v1/incidents/{incident}/acknowledge");
    for mark in [None, Some(""), Some("0123"), Some(theirs.as_str())] {
        let refused = with_cookie(&world, Method::POST, &path, &cookie, mark).await;
        refused.is_problem(403, "unmarked", MARK);
    }
    let state = world.admin.get(&format!("/api/v1/incidents/{incident}")).await.body["state"].clone();
    assert_eq!(state, "new");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookie_is_kept_from_scripts_from_other_sites_and_from_the_clear() {
    let world = with_alice().await;
    let body = json!({"name": "alice", "password": PASSWORD});
    for (origin, secure) in [("http://127.0.0.1:8420", false), ("https://watch.example.com", true)] {
        let (_, set) = log_in(&world, "/api/v1/session", &body, origin).await;
        assert!(set.contains("; HttpOnly") && set.contains("; SameSite=Strict") && set.contains("; Path=/"), "{set}");
        assert_eq!(set.contains("; Secure"), secure, "{origin}: {set}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logging_out_a_new_password_and_removal_end_sessions() {
    let world = with_alice().await;
    let stands = |cookie: String| {
        let world = &world;
        async move { with_cookie(world, Method::GET, "/api/v1/session", &cookie, None).await.status }
    };
    let cookie = alice(&world).await;
    let mark = mark(&world, &cookie).await;
    let out = with_cookie(&world, Method::DELETE, "/api/v1/session", &cookie, Some(&mark)).await;
    assert_eq!((out.status, stands(cookie).await), (StatusCode::NO_CONTENT, StatusCode::UNAUTHORIZED));

    let cookie = alice(&world).await;
    let password = json!({"password": "another battery, stapled"});
    world.admin.post("/api/v1/users/alice/password", &password).await;
    assert_eq!(stands(cookie).await, StatusCode::UNAUTHORIZED);
    let old = world.admin.with(None).post("/api/v1/session", &json!({"name": "alice", "password": PASSWORD})).await;
    old.is_problem(401, "wrong_password", "watchkeep user passwd");

    let body = json!({"name": "alice", "password": password["password"]});
    let (cookie, _) = log_in(&world, "/api/v1/session", &body, "http://127.0.0.1").await;
    assert_eq!(stands(cookie.clone()).await, StatusCode::OK);
    Answer::of(world.admin.request(Method::DELETE, "/api/v1/users/alice")).await;
    assert_eq!(stands(cookie).await, StatusCode::UNAUTHORIZED);

    let facts = world.admin.get("/api/v1/facts?kind=note.").await.body;
    let kinds: Vec<_> = facts["items"].as_array().into_iter().flatten().map(|fact| fact["kind"].clone()).collect();
    assert_eq!(kinds, ["note.user_added", "note.user_password_set", "note.user_removed"], "{facts}");
    assert!(!facts.to_string().contains("alice") && !facts.to_string().contains("battery"), "{facts}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_logs_in_once() {
    let world = World::start().await;
    world.admin.post("/api/v1/users", &json!({"name": "bob", "role": "viewer"})).await;
    let made = world.admin.post("/api/v1/users/bob/link", &json!({})).await;
    let link = made.body["link"].as_str().and_then(|link| link.strip_prefix("/login#")).expect("a link").to_owned();
    let (cookie, _) = log_in(&world, "/api/v1/session/link", &json!({"link": link}), "http://127.0.0.1").await;
    let shown = with_cookie(&world, Method::GET, "/api/v1/session", &cookie, None).await.body;
    assert_eq!((&shown["name"], &shown["has_password"]), (&json!("bob"), &json!(false)));
    let again = world.admin.with(None).post("/api/v1/session/link", &json!({"link": link})).await;
    again.is_problem(401, "used_link", "watchkeep user link");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessing_ends_at_the_tenth_wrong_password_whether_there_is_such_a_user_or_not() {
    let world = with_alice().await;
    let nobody = world.admin.with(None);
    for name in ["alice", "nobody-of-that-name"] {
        let guess = json!({"name": name, "password": "a guess at a password"});
        for _ in 0..10 {
            let refused = nobody.post("/api/v1/session", &guess).await;
            refused.is_problem(401, "wrong_password", "the name or the password is wrong");
        }
        nobody.post("/api/v1/session", &guess).await.is_problem(429, "too_many_attempts", "wait ");
    }
    let right = nobody.post("/api/v1/session", &json!({"name": "alice", "password": PASSWORD})).await;
    assert_eq!(right.status, StatusCode::TOO_MANY_REQUESTS, "a guesser learns nothing by going on");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_administrator_stays_one() {
    let world = with_alice().await;
    world.admin.post("/api/v1/users", &json!({"name": "root", "role": "admin"})).await;
    let refused = Answer::of(world.admin.request(Method::DELETE, "/api/v1/users/root")).await;
    refused.is_problem(409, "last_administrator", "make somebody else one first");
    let refused = world.admin.post("/api/v1/users/root/role", &json!({"role": "viewer"})).await;
    refused.is_problem(409, "last_administrator", "root");
    world.admin.post("/api/v1/users/alice/role", &json!({"role": "admin"})).await;
    let removed = Answer::of(world.admin.request(Method::DELETE, "/api/v1/users/root")).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    world.stop().await;
}
