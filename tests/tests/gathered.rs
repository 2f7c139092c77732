//! What an agent gathers beside its host's files reaches the controller: scraped exporters, checks, and why they fail.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchkeep_tests::{Agent, Controller, Setup, wait};

const RULES: &str = "groups:
  - name: shop
    rules:
      - alert: QueueIsLong
        expr: queue_length{job=\"shop\"} > 5
        labels: {severity: warning}
      - alert: CheckFails
        expr: probe_success == 0
        labels: {severity: critical}
      - event: ShopFails
        match: '{kind=\"shop_error\", level=\"FATAL\"}'
        clear_after: 10m
        labels: {severity: critical}
";

/// An exporter on this machine, until the test ends; it answers with status 500 while it is not well.
fn exporter(is_well: Arc<AtomicBool>) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("a free port")?;
    let address = listener.local_addr().context("where it is")?;
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let _ = stream.read(&mut [0; 4096]);
            let text = "# TYPE queue_length gauge\nqueue_length{queue=\"mail\"} 7\nqueue_length{queue=\"fax\"} 0\n";
            let status = if is_well.load(Ordering::Relaxed) { "200 OK" } else { "500 Broken" };
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{text}", text.len());
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    Ok(address)
}

/// The value of the only series that a query finds; none where it finds none.
fn value(controller: &Controller, query: &str) -> Result<Option<String>> {
    let query: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let found = controller.api(&format!("/prometheus/api/v1/query?query={query}"))?;
    let found = found["data"]["result"].as_array().cloned().unwrap_or_default();
    ensure!(found.len() < 2, "more than one: {found:?}");
    Ok(found.first().map(|series| series["value"][1].as_str().unwrap_or_default().to_owned()))
}

fn await_value(controller: &Controller, query: &str, wanted: Option<&str>) -> Result<()> {
    wait::until(Duration::from_secs(30), query, || {
        let found = value(controller, query)?;
        ensure!(found.as_deref() == wanted, "{query} is {found:?}, not {wanted:?}");
        Ok(())
    })
}

fn await_incident(controller: &Controller, words: &[&str]) -> Result<()> {
    wait::until(Duration::from_secs(30), "the incident", || {
        let incidents = controller.api("/api/v1/incidents")?;
        let has = |incident: &Value| words.iter().all(|word| incident.to_string().contains(word));
        let open = incidents["items"].as_array().is_some_and(|items| items.iter().any(has));
        ensure!(open, "none with {words:?} in {incidents}");
        Ok(())
    })
}

#[test]
fn a_line_of_a_log_makes_an_incident() -> Result<()> {
    let files = vec![("rules/shop.yaml".to_owned(), RULES.to_owned())];
    let controller = Controller::start(Setup { files, ..Setup::default() })?;
    let mut agent = Agent::enrolled("web-2", &controller)?;
    let config = std::fs::read_to_string(agent.folder().join("agent.yaml")).context("read agent.yaml")?;
    let log = agent.folder().join("shop.log");
    let config = format!(
        "{config}logs:\n  - {{file: {}, match: '(?P<level>ERROR|FATAL) .*', event: shop_error, labels: [level]}}\n",
        log.display()
    );
    agent.write("agent.yaml", &config)?;
    agent.write("policy.yaml", "allow: []\n")?;
    agent.write("shop.log", "FATAL of long ago\n")?;
    agent.run()?;
    agent.await_connected(&controller)?;
    await_value(&controller, "watchkeep_log_entries_total{instance=\"web-2\", log=\"shop_error\"}", Some("0"))?;
    let mut file = std::fs::OpenOptions::new().append(true).open(&log).context("open the log")?;
    file.write_all(b"ERROR small\nFATAL the till is empty\n").context("write to the log")?;
    await_incident(&controller, &["ShopFails", "web-2"])?;
    await_value(&controller, "watchkeep_log_matches_total{instance=\"web-2\"}", Some("2"))
}

#[test]
fn a_scraped_series_makes_an_alert_and_a_check_that_fails_says_why() -> Result<()> {
    let is_well = Arc::new(AtomicBool::new(true));
    let address = exporter(Arc::clone(&is_well))?;
    let files = vec![("rules/shop.yaml".to_owned(), RULES.to_owned())];
    let controller = Controller::start(Setup { files, ..Setup::default() })?;
    let mut agent = Agent::enrolled("web-1", &controller)?;
    let config = std::fs::read_to_string(agent.folder().join("agent.yaml")).context("read agent.yaml")?;
    let config = format!(
        "{config}scrape_configs:\n  - {{job_name: shop, static_configs: [{{targets: [\"{address}\"]}}]}}\n\
         checks:\n  - {{name: front, http: \"http://{address}/\", interval: 1s}}\n"
    );
    agent.write("agent.yaml", &config)?;
    agent.write("policy.yaml", "allow: []\n")?;
    agent.run()?;
    agent.await_connected(&controller)?;

    let instance = format!("web-1:{}", address.port());
    await_value(
        &controller,
        &format!("queue_length{{instance=\"{instance}\", job=\"shop\", queue=\"mail\"}}"),
        Some("7"),
    )?;
    await_value(&controller, &format!("up{{instance=\"{instance}\", job=\"shop\"}}"), Some("1"))?;
    await_value(&controller, "probe_success{job=\"front\", probe=\"web-1\"}", Some("1"))?;
    await_incident(&controller, &["QueueIsLong", &instance])?;

    is_well.store(false, Ordering::Relaxed);
    await_value(&controller, &format!("up{{instance=\"{instance}\", job=\"shop\"}}"), Some("0"))?;
    await_value(&controller, "queue_length{queue=\"mail\"}", None)?;
    await_value(&controller, "probe_success{job=\"front\"}", Some("0"))?;
    await_incident(&controller, &["CheckFails", &format!("http://{instance}/")])?;
    is_well.store(true, Ordering::Relaxed);
    await_value(&controller, "queue_length{queue=\"mail\"}", Some("7"))?;
    await_value(&controller, "probe_success{job=\"front\"}", Some("1"))
}
