//! Start, stop, start again; and reading what a stopped controller left.

use std::net::TcpListener;
use std::process::{Command, Output};

use serde_json::json;
use watchkeep::core::retention;
use watchkeep::ledger::inputs::{self, InputLog, snapshot};
use watchkeep::replay;
use watchkeep::store::{self, Database};
use watchkeep_desk::{Millis, Record};

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

/// With one input a file, so that all that the snapshot covers is forgotten.
fn what_follows_a_snapshot_replays_without_what_was_before(
    database: &Database,
    data: &std::path::Path,
    half: u64,
    all: u64,
) {
    let (kept, whole) = (data.join("kept"), data.join("inputs"));
    let mut log = InputLog::open_with(&kept, 1).expect("opened");
    for input in inputs::read(&whole, 1).expect("listed") {
        log.append(&[input.expect("whole")]).expect("appended");
    }
    let file = format!("{half:08}.snapshot");
    std::fs::copy(whole.join(&file), kept.join(&file)).expect("copied");
    let forgotten = snapshot::forget(&kept, Millis(i64::MAX)).expect("forgotten");
    assert_eq!((forgotten.inputs, forgotten.up_to), (half, half));
    let report = replay::replay(database, kept).expect("it can be replayed");
    assert!(report.holds(), "{report}");
    assert_eq!((report.from, report.inputs), (half + 1, all - half), "{report}");
}

/// Records that are not those that the facts lead to are found where the replay passes them.
fn another_desk_on_the_way_is_found(database: &Database, data: &std::path::Path, half: u64) {
    let inputs = data.join("inputs");
    let whole = snapshot::load(&inputs, half).expect("read");
    let mut other = whole.clone();
    other.records.retain(|record| !matches!(record, Record::Incident(_)));
    assert_ne!(other, whole, "there is an incident");
    other.save(&inputs).expect("saved");
    let report = replay::replay(database, inputs.clone()).expect("it can be replayed");
    assert_eq!((report.strayed, report.holds()), (Some(half), false));
    assert!(report.to_string().starts_with(&format!("the replay differs after input {half}: ")), "{report}");
    whole.save(&inputs).expect("saved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_controller_left_verifies_and_replays_until_a_byte_is_flipped() {
    let world = World::start().await;
    let incident = world.incident().await;
    let start = json!({"runbook": "look", "incident": incident});
    assert!(world.admin.post("/api/v1/runs", &start).await.status.is_success());
    // Half of it before a restart, half after: the desk that was read back decides as the one that never stopped.
    let folder = world.stop().await;
    let address = format!("sqlite:{}", folder.path().join("watchkeep.db").display());
    let database = store::existing(&address).expect("it is there");
    let mut store = database.writer().expect("connected");
    let half = retention::take_snapshot(store.as_mut(), &folder.path().join("inputs")).expect("taken").expect("inputs");
    drop(store);
    let world = World::start_in(folder).await;
    world.facts(4).await;
    let folder = world.stop().await;
    let data = folder.path();

    let report = replay::replay(&database, data.join("inputs")).expect("it can be replayed");
    assert_eq!((&report.difference, report.from, report.snapshots, report.strayed), (&None, 1, 1, None));
    assert!(report.inputs >= 8 && report.facts >= 10, "{report:?}");
    what_follows_a_snapshot_replays_without_what_was_before(&database, data, half, report.inputs);
    another_desk_on_the_way_is_found(&database, data, half);
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
