//! New alerts through Alertmanager's API: here each is an incident on the disk when the request is answered; Alertmanager has
//! it in memory.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::peers::Peer;
use super::{Figure, Row, Size, Target, floors};
use crate::process::Process;
use crate::{Controller, Setup};

pub const ROW: Row = Row {
    name: "alerts",
    what: "new alerts through Alertmanager's API: here into durable incidents, in Alertmanager into memory",
    run,
};

/// New alerts, a host each.
const ALERTS: usize = 20_000;
/// Alerts of a request.
const BATCH: usize = 500;
/// How long a server may go on working after the last was taken, for it to count.
const SETTLES: Duration = Duration::from_secs(3);

fn run(_: &Size) -> Result<Vec<Figure>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("make a runtime")?;
    let peer = Peer::alertmanager()?;
    let theirs = runtime.block_on(send(&format!("{}{}", peer.url(), peer.write), "", peer.process()))?;
    let found = runtime.block_on(listed(&format!("{}{}", peer.url(), peer.query)))?;
    ensure!(found == ALERTS, "Alertmanager has {found} of {ALERTS} alerts");
    drop(peer);

    let controller = Controller::start(Setup::default())?;
    let url = format!("{}/alertmanager/api/v2/alerts", controller.url());
    let ours = runtime.block_on(send(&url, &controller.token()?, controller.process()))?;
    let incidents = controller.all("/api/v1/incidents?state=new")?.len();
    ensure!(incidents == ALERTS, "{incidents} incidents of {ALERTS} alerts");
    let floor = floors::FSYNC.as_secs_f64() * (ALERTS / BATCH) as f64;
    Ok(vec![
        Figure::new("watchkeep, into incidents in a CPU second", ALERTS as f64 / ours, "alerts/CPU s"),
        Figure::new("an alert", ours * 1e6 / ALERTS as f64, "CPU µs"),
        Figure::new("alertmanager, into memory in a CPU second", ALERTS as f64 / theirs, "alerts/CPU s"),
        Figure::new("alerts a CPU second, × alertmanager", theirs / ours, "×").against(Target::at_least(4.0, 12.0)),
        Figure::new("CPU, of what waiting for the disk alone takes", ours / floor, "×"),
    ])
}

/// Sends all; the CPU seconds that the server used.
async fn send(url: &str, token: &str, process: &Process) -> Result<f64> {
    let client = reqwest::Client::builder().build().context("make a client")?;
    let cpu = process.cpu_seconds()?;
    for first in (0..ALERTS).step_by(BATCH) {
        let alerts: Vec<Value> = (first..first + BATCH).map(alert).collect();
        let answer = client.post(url).bearer_auth(token).json(&alerts).send().await?;
        let (status, said) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "POST {url}: {status}: {said}");
    }
    tokio::time::sleep(SETTLES).await;
    Ok(process.cpu_seconds()? - cpu)
}

fn alert(number: usize) -> Value {
    json!({
        "labels": {"alertname": "DiskFilling", "instance": format!("host-{number:05}"), "job": "node", "severity": "warning"},
        "annotations": {"summary": format!("/srv of host-{number:05} is nearly full")},
        "generatorURL": "http://prometheus.example:9090/graph",
    })
}

async fn listed(url: &str) -> Result<usize> {
    let answer: Value = reqwest::get(url).await?.json().await?;
    answer.as_array().map(Vec::len).with_context(|| format!("{url} answers no list"))
}
