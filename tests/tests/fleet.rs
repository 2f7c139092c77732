//! What an operator sees of the fleet, and does to it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchkeep_tests::{Agent, Controller, Setup, wait};

#[test]
fn the_fleet_is_listed_with_health_and_an_agent_is_diagnosed() -> Result<()> {
    let controller = Controller::start(Setup::default())?;
    let mut here = Agent::start("web-1", &controller, "allow: []\n")?;
    let mut gone = Agent::start("web-2", &controller, "allow: []\n")?;
    here.await_connected(&controller)?;
    gone.await_connected(&controller)?;
    gone.stop_agent()?;
    wait::until(Duration::from_secs(30), "the fleet's health", || {
        let fleet = controller.api("/api/v1/fleet")?;
        let of = |name: &str| {
            let items = fleet["items"].as_array().into_iter().flatten();
            items.clone().find(|item| item["name"] == name).cloned().with_context(|| format!("no {name} in {fleet}"))
        };
        let (web1, web2) = (of("web-1")?, of("web-2")?);
        ensure!(web1["health"] == "healthy" && web1["lag_ms"].as_i64().is_some_and(|lag| lag < 20_000), "{web1}");
        ensure!(web1["figures"]["spool_bytes"].as_f64().is_some_and(|bytes| bytes > 0.0), "{web1}");
        ensure!(web1["clock_skew_ms"].as_i64().is_some_and(|skew| skew.abs() < 1_000), "{web1}");
        ensure!(web2["health"] == "away" && web2["lost"] == "goodbye", "{web2}");
        Ok(())
    })?;

    let names = |selector: &str| -> Result<Vec<String>> {
        let shown = controller.ask(&["fleet", "list", "--selector", selector, "-o", "json"])?;
        let shown: Value = serde_json::from_str(&shown).context("read the list")?;
        let items = shown["items"].as_array().cloned().unwrap_or_default();
        Ok(items.iter().filter_map(|item| item["name"].as_str().map(str::to_owned)).collect())
    };
    ensure!(names("{health!=\"healthy\"}")? == ["web-2"], "{:?}", names("{health!=\"healthy\"}")?);
    ensure!(names("{instance=~\"web-.*\", standing=\"connected\"}")? == ["web-1"]);
    ensure!(names("{version=\"none\"}")?.is_empty());
    let refused = controller.cli(&["fleet", "list", "--selector", "{health=}"])?;
    ensure!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("selector"), "{refused:?}");

    // Page by page the same.
    let first = controller.api("/api/v1/fleet?limit=1")?;
    ensure!(first["items"][0]["name"] == "web-1" && first["next"] == "web-1", "{first}");
    let second = controller.api("/api/v1/fleet?limit=1&cursor=web-1")?;
    ensure!(second["items"][0]["name"] == "web-2" && second["next"].is_null(), "{second}");

    let well = controller.ask(&["agent", "diagnose", "web-1"])?;
    ensure!(well.starts_with("web-1  ") && well.contains("spool") && well.contains("started"), "{well}");
    let away = controller.ask(&["agent", "diagnose", "web-2"])?;
    ensure!(away.contains("said goodbye") && away.contains("systemctl start watchkeep-agent"), "{away}");
    Ok(())
}
