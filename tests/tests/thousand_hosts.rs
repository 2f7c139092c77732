//! A thousand hosts of 300 series every fifteen seconds, for ten minutes, on one small machine: nothing lags, nothing is
//! lost, memory stays.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use watchkeep_tests::fleet::program::Fleet;
use watchkeep_tests::reading::Reading;
use watchkeep_tests::{Controller, Setup, wait};

const HOSTS: usize = 1_000;
const SERIES: &str = "300";
/// Between reports of one host, seconds.
const INTERVAL: u32 = 15;
const SETTINGS: &str = "packs:\n  - use: linux-host\n  - use: systemd\n";
/// Until all are enrolled and connected; a quiet machine needs 5 s, and other tests run beside this one.
const ARRIVAL: Duration = Duration::from_secs(240);
/// From then on.
const WATCHED: Duration = Duration::from_secs(600);
/// What arrival stirred up has settled, and each host has reported more than once.
const SETTLED: Duration = Duration::from_secs(60);
/// Resident memory beyond samples may grow by so much of itself in nine minutes.
const GROWTH: f64 = 0.10;
const INCIDENTS: &str = "/api/v1/incidents?state=new,acknowledged,in_progress,on_hold,resolved,closed";

#[test]
fn a_thousand_hosts_are_watched_for_ten_minutes_without_lag_in_flat_memory() -> Result<()> {
    let files = vec![("watchkeep.yaml".to_owned(), SETTINGS.to_owned())];
    let controller = Controller::start(Setup { files, ..Setup::default() })?;
    let mut fleet = Fleet::start(&controller, HOSTS, &["--interval", &INTERVAL.to_string(), "--series", SERIES])?;
    wait::until(ARRIVAL, "all hosts to be connected", || {
        fleet.ensure_runs()?;
        std::thread::sleep(Duration::from_secs(1));
        let there = Reading::take(&controller)?.of("watchkeep_agents_connected")?;
        ensure!(there >= HOSTS as f64, "{there} of {HOSTS} are");
        Ok(())
    })?;
    let begun = Instant::now();
    std::thread::sleep(SETTLED);
    let first = Reading::take(&controller)?;
    while begun.elapsed() < WATCHED {
        fleet.ensure_runs()?;
        std::thread::sleep(Duration::from_secs(5));
    }
    let last = Reading::take(&controller)?;

    // Every host's every report came, and nearly all within a moment. Other tests run beside this one, so the slowest may
    // have met a busy machine: it still came before the next one was due.
    let more = |name: &str| anyhow::Ok(last.of(name)? - first.of(name)?);
    let reports = more("watchkeep_samples_lag_seconds_count")?;
    let due = HOSTS as f64 * (WATCHED - SETTLED).as_secs_f64() / f64::from(INTERVAL);
    ensure!((0.98 * due..1.05 * due).contains(&reports), "{reports} reports of about {due}");
    let (nearly_all, slowest) = (last.lag_below(&first, 0.99)?, last.lag_below(&first, 1.0)?);
    ensure!(
        nearly_all <= 1.0 && slowest <= f64::from(INTERVAL),
        "99 % of reports within {nearly_all} s, all within {slowest} s"
    );
    for nothing in
        ["watchkeep_ingest_messages_dropped_total", "watchkeep_samples_late_total", "watchkeep_samples_doubled_total"]
    {
        ensure!(more(nothing)? == 0.0, "{nothing} grew by {}", more(nothing)?);
    }
    ensure!(last.of("watchkeep_agents_connected")? == HOSTS as f64, "some went away");
    ensure!(last.of("watchkeep_samples_series")? >= 300_000.0, "series are missing");
    let incidents = controller.all(INCIDENTS)?;
    ensure!(incidents.is_empty(), "{} opened where nothing is wrong: {:?}", incidents.len(), incidents.first());

    // The last fifteen minutes of samples are held in memory, so those still fill up; the rest stays.
    let beyond_samples = |reading: &Reading| {
        anyhow::Ok(reading.of("process_resident_memory_bytes")? - reading.of("watchkeep_samples_memory_bytes")?)
    };
    let (before, after) = (beyond_samples(&first)?, beyond_samples(&last)?);
    ensure!(after <= (1.0 + GROWTH) * before, "memory beyond samples grew from {before} to {after} bytes");

    let told = controller.api("/prometheus/api/v1/query?query=count(node_memory_MemTotal_bytes)")?;
    ensure!(told["data"]["result"][0]["value"][1] == "1000", "{told}");
    println!(
        "{} series of {HOSTS} hosts: {:.1} CPU s a minute, lag {:.1} ms mean, 99 % within {:.0} ms, all within {:.0} ms; \
         {:.0} MiB resident, {:.0} MiB of it samples",
        last.of("watchkeep_samples_series")?,
        (last.cpu()? - first.cpu()?) / (WATCHED - SETTLED).as_secs_f64() * 60.0,
        last.lag_mean(&first)? * 1_000.0,
        nearly_all * 1_000.0,
        slowest * 1_000.0,
        last.of("process_resident_memory_bytes")? / 1_048_576.0,
        last.of("watchkeep_samples_memory_bytes")? / 1_048_576.0,
    );
    let said = fleet.stop()?;
    let all = said.lines().find(|line| line.starts_with("in all:")).unwrap_or_default();
    ensure!(all.contains(" 0 connections lost"), "{said}");
    Ok(())
}
