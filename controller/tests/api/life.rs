//! Start, stop, start again; and reading what a stopped controller left.

use std::net::TcpListener;
use std::process::{Command, Output};

use serde_json::json;
use watchkeep::{replay, store};

use super::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_controller_frees_its_ports_and_another_goes_on_from_its_data() {
    let world = World::start().await;
    let incident = world.incident().await;
    let (token, addresses) = (world.admin.token.clone(), world.controller.addresses.clone());
    let facts = world.admin.get("/api/v1/facts").await.body["items"].clone();
    let folder = world.stop().await;
    let mqtt = addresses.mqtt.trim_start_matches("mqtts://").parse().expect("a socket's address");
    for address in [addresses.http, mqtt, addresses.enrol] {
        TcpListener::bind(address).unwrap_or_else(|error| panic!("{address} is still taken: {error}"));
    }

    let world = World::start_in(folder).await;
    assert_eq!(world.admin.token, token, "the first token is made once");
    assert_eq!(world.admin.get("/api/v1/incidents").await.body["items"][0]["id"], json!(incident));
    let facts = facts.as_array().expect("a list");
    // What was owed when it stopped may be told by now, so there may be more behind.
    let now = world.admin.get("/api/v1/facts").await.body["items"].clone();
    assert!(now.as_array().expect("a list").starts_with(facts), "the ledger goes on: {now}");
    let taken_up = world.admin.get("/api/v1/facts?kind=configured").await.body["items"].clone();
    assert_eq!(taken_up.as_array().map(Vec::len), Some(1), "a start with the same files is no news: {taken_up}");
    let noted = world.admin.post(&format!("/api/v1/incidents/{incident}/note"), &json!({"note": "still here"})).await;
    assert!(noted.status.is_success(), "{}", noted.body);
    let audit = world.admin.get("/api/v1/audit/verify").await.body;
    assert_eq!(audit["holds"], json!(true), "{audit}");
    world.stop().await;
}

/// Runs the command line against a data directory, with no controller to ask.
fn alone(arguments: &[&str], data: &std::path::Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_watchkeep"))
        .args(arguments)
        .arg("--data")
        .arg(data)
        .env_clear()
        .output()
        .expect("the command line runs")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_controller_left_verifies_and_replays_until_a_byte_is_flipped() {
    let world = World::start().await;
    let incident = world.incident().await;
    let start = json!({"runbook": "look", "incident": incident});
    assert!(world.admin.post("/api/v1/runs", &start).await.status.is_success());
    // Half of it before a restart, half after: the desk that was read back decides as the one that never stopped.
    let world = World::start_in(world.stop().await).await;
    world.facts(4).await;
    let folder = world.stop().await;
    let data = folder.path();

    let database = store::existing(&format!("sqlite:{}", data.join("watchkeep.db").display())).expect("it is there");
    let report = replay::replay(&database, data.join("inputs")).expect("it can be replayed");
    assert_eq!(report.difference, None);
    assert!(report.inputs >= 8 && report.facts >= 10, "{report:?}");
    for (arguments, says) in [(["audit", "verify"].as_slice(), "the ledger holds"), (&["replay"], "the replay agrees")]
    {
        let output = alone(arguments, data);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.starts_with(says), "{said}");
    }

    let connection = rusqlite::Connection::open(data.join("watchkeep.db")).expect("opened");
    let flip = "UPDATE ledger_body SET body = replace(body, 'fact 2', 'fact 3') WHERE body LIKE '%fact 2%'";
    assert_eq!(connection.execute(flip, []).expect("flipped"), 1);
    drop(connection);
    for (arguments, says) in [
        (["audit", "verify"].as_slice(), "the ledger does not hold\n  chain \"desk\", entry "),
        (&["replay"], "the replay differs at input "),
    ] {
        let output = alone(arguments, data);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.starts_with(says), "{said}");
    }
    let nowhere = alone(&["audit", "verify"], &data.join("nowhere"));
    assert_eq!(nowhere.status.code(), Some(6));
    assert!(!data.join("nowhere").exists(), "looking makes nothing");
}
