//! Ten simulated hosts speak the real protocol to a real controller: all that they say arrives.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use watchkeep_tests::{Controller, Setup, built, wait};

const BOUND: Duration = Duration::from_secs(60);
const SETTINGS: &str = "packs:\n  - use: systemd\n";

#[test]
fn all_that_ten_simulated_hosts_say_arrives() -> Result<()> {
    let files = vec![("watchkeep.yaml".to_owned(), SETTINGS.to_owned())];
    let controller = Controller::start(Setup { files, ..Setup::default() })?;
    let folder = tempfile::tempdir()?;
    let token = controller.ask(&["agent", "token", "create", "--uses", "10"])?;
    std::fs::write(folder.path().join("token"), token)?;

    let mut command = Command::new(built::program("watchkeep-fleetsim")?);
    command.arg("--token-file").arg(folder.path().join("token")).arg("--folder").arg(folder.path());
    command.args(["--agents", "10", "--interval", "1", "--duration", "30", "--churn", "20"]);
    command.args(["--upgrade", "shop=2.0-1", "--upgrade-at", "8", "--break", "shop.service", "--break-at", "13"]);
    let output = command.output().context("run watchkeep-fleetsim")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{}: {said}{}", output.status, String::from_utf8_lossy(&output.stderr));

    let last = said.lines().find(|line| line.starts_with("in all:")).with_context(|| format!("no summary: {said}"))?;
    let (made, taken) = (number_before(last, " made, ")?, number_before(last, " taken, ")?);
    ensure!(made >= 200 && taken == made, "reports were not taken: {last}");
    ensure!(last.contains(" 0 connections lost"), "{last}");

    // What an operator watches says the same.
    let metrics = controller.metrics()?;
    ensure!(metric(&metrics, "watchkeep_samples_lag_seconds_count")? as u64 >= taken, "{metrics}");
    ensure!(metric(&metrics, "watchkeep_samples_lag_seconds_bucket{le=\"5\"}")? as u64 >= taken, "{metrics}");
    ensure!((2_500.0..4_000.0).contains(&metric(&metrics, "watchkeep_samples_series")?), "{metrics}");
    for above_zero in ["watchkeep_samples_memory_bytes", "process_cpu_seconds_total", "process_resident_memory_bytes"] {
        ensure!(metric(&metrics, above_zero)? > 0.0, "{above_zero}: {metrics}");
    }

    let agents = controller.all("/api/v1/agents")?;
    ensure!(agents.len() == 10, "{} agents", agents.len());
    wait::until(BOUND, "each to have said goodbye", || {
        let agents = controller.all("/api/v1/agents")?;
        let others: Vec<_> = agents.iter().filter(|agent| agent["lost"] != "goodbye").collect();
        ensure!(others.is_empty(), "{others:?}");
        Ok(())
    })?;
    let upgraded = controller.all("/api/v1/cis?class=software_package&search=shop")?;
    let of = |version: &str| upgraded.iter().filter(|ci| ci.to_string().contains(version)).count();
    ensure!((of("2.0-1"), of("1.0-1")) == (3, 6), "{upgraded:#?}");
    let incidents = controller.all("/api/v1/incidents?state=new,acknowledged,in_progress,on_hold,resolved,closed")?;
    let failed: Vec<_> = incidents.iter().filter_map(|incident| incident["title"].as_str()).collect();
    let of_the_upgrade = failed.iter().filter(|title| title.contains("shop.service failed on sim-")).count();
    ensure!(of_the_upgrade == 3, "{failed:?}");
    Ok(())
}

fn metric(metrics: &str, name: &str) -> Result<f64> {
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.with_context(|| format!("there is no {name} among {metrics}"))?.parse().context("read its value")
}

/// The number that stands before the first of these words.
fn number_before(text: &str, words: &str) -> Result<u64> {
    let before = text.split(words).next().with_context(|| format!("\"{words}\" is not in {text}"))?;
    before
        .rsplit(' ')
        .next()
        .and_then(|digits| digits.parse().ok())
        .with_context(|| format!("{before} ends in no number"))
}
