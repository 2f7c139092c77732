//! A whole controller under many agents at a steady rate.
//!
//! The built `watchkeep` beside `watchkeep-fleetsim`, with the packs' rules. First all hosts enrol and connect; from then on
//! the controller's own metrics are read every ten seconds. CPU is counted in seconds of it, which other work on the
//! machine does not change; the lag it does.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{Figure, Row, Size};
use crate::fleet::program::Fleet;
use crate::reading::Reading;
use crate::{Controller, Setup, wait};

pub const ROW: Row = Row {
    name: "fleet",
    what: "a controller with the rules of the packs linux-host and systemd, its agents at a steady rate",
    run,
};

const SETTINGS: &str = "packs:\n  - use: linux-host\n  - use: systemd\n";
const INCIDENTS: &str = "/api/v1/incidents?state=new,acknowledged,in_progress,on_hold,resolved,closed,cancelled";
/// How long it may take until all hosts are enrolled and connected, for each and at least.
const ARRIVAL: Duration = Duration::from_millis(300);
const ARRIVAL_LEAST: Duration = Duration::from_secs(60);
/// Between two readings.
const BETWEEN: Duration = Duration::from_secs(10);
/// Minutes whose memory is told.
const TOLD: [u32; 7] = [1, 2, 5, 10, 20, 30, 60];

fn run(size: &Size) -> Result<Vec<Figure>> {
    let files = vec![("watchkeep.yaml".to_owned(), SETTINGS.to_owned())];
    let controller = Controller::start(Setup { files, ..Setup::default() })?;
    let began = Instant::now();
    let mut fleet = connected(&controller, size, size.interval, &[])?;
    let arrived = began.elapsed();
    // Everything has reported, and inventories are taken.
    std::thread::sleep(Duration::from_secs_f64(size.interval));

    let first = Reading::take(&controller)?;
    println!(
        "all {} hosts are connected after {:.0} s, at {:.1} CPU s",
        size.hosts,
        arrived.as_secs_f64(),
        first.cpu()?
    );
    let mut figures = vec![Figure::new(
        "enrolled and connected, hosts a second",
        size.hosts as f64 / arrived.as_secs_f64(),
        "hosts/s",
    )];
    let (mut last, begun) = (first.clone(), Instant::now());
    for minute in 1..=size.minutes {
        while begun.elapsed() < Duration::from_secs(60) * minute {
            std::thread::sleep(BETWEEN.min((Duration::from_secs(60) * minute).saturating_sub(begun.elapsed())));
            fleet.ensure_runs()?;
        }
        let reading = Reading::take(&controller)?;
        println!("minute {minute:>2}: {}", line(&reading, &last)?);
        if TOLD.contains(&minute) || minute == size.minutes {
            let resident = reading.of("process_resident_memory_bytes")? / 1048576.0;
            figures.push(Figure::new(format!("resident at minute {minute}"), resident, "MiB"));
        }
        last = reading;
    }
    let seconds = begun.elapsed().as_secs_f64();
    figures.extend(over_all(&first, &last, seconds)?);
    let incidents = controller.all(INCIDENTS)?;
    figures.push(Figure::new("incidents opened, all by mistake", incidents.len() as f64, "incidents"));
    incidents.iter().take(5).for_each(|incident| println!("opened: {}", incident["title"]));
    let said = fleet.stop()?;
    said.lines().filter(|line| line.starts_with("in all:")).for_each(|line| println!("the fleet says {line}"));
    // The last block file is written when the controller stops; its bytes are read from the folder.
    Ok(figures)
}

/// Hosts of this size, all of them enrolled and connected, that report every so many seconds; with more options of the program.
///
/// # Errors
/// They did not arrive in time.
pub fn connected(controller: &Controller, size: &Size, interval: f64, options: &[&str]) -> Result<Fleet> {
    let (interval, series) = (interval.to_string(), size.series.to_string());
    let all = [&["--interval", &interval, "--series", &series], options].concat();
    let mut fleet = Fleet::start(controller, size.hosts, &all)?;
    let arrival = ARRIVAL_LEAST.max(ARRIVAL * u32::try_from(size.hosts)?);
    wait::until(arrival, "all hosts to be connected", || {
        fleet.ensure_runs()?;
        std::thread::sleep(Duration::from_secs(1));
        let there = Reading::take(controller)?.of("watchkeep_agents_connected")?;
        ensure!(there >= size.hosts as f64, "{there} of {} are", size.hosts);
        Ok(())
    })?;
    Ok(fleet)
}

fn over_all(first: &Reading, last: &Reading, seconds: f64) -> Result<Vec<Figure>> {
    let more = |name: &str| anyhow::Ok(last.of(name)? - first.of(name)?);
    let (samples, cpu) = (more("watchkeep_samples_taken_total")?, last.cpu()? - first.cpu()?);
    let (series, bytes) = (last.of("watchkeep_samples_series")?, last.of("watchkeep_samples_memory_bytes")?);
    let resident = last.of("process_resident_memory_bytes")?;
    let mut figures = vec![
        Figure::new("samples taken", samples / seconds, "samples/s"),
        Figure::new("controller's CPU", cpu / seconds * 60.0, "CPU s/minute"),
        Figure::new("samples taken in a CPU second, rules judged", samples / cpu, "samples/CPU s"),
        Figure::new("series", series, "series"),
        Figure::new("memory of samples", bytes / series, "bytes a series"),
        Figure::new("resident memory of the whole controller", resident / series, "bytes a series"),
        Figure::new("lag, mean", last.lag_mean(first)? * 1_000.0, "ms"),
    ];
    for share in [0.5, 0.99, 1.0] {
        let bound = last.lag_below(first, share)?;
        figures.push(Figure::new(format!("lag, {} % of reports within", share * 100.0), bound * 1_000.0, "ms"));
    }
    for (name, what) in [
        ("watchkeep_ingest_messages_dropped_total", "messages dropped for want of room"),
        ("watchkeep_samples_late_total", "samples late"),
        ("watchkeep_samples_doubled_total", "samples that came again"),
        ("watchkeep_samples_block_files_total", "block files written"),
    ] {
        figures.push(Figure::new(what, more(name)?, ""));
    }
    let (files, held) = (
        last.of("watchkeep_samples_block_files_bytes_total")?,
        last.of("watchkeep_samples_block_files_samples_total")?,
    );
    if held > 0.0 {
        figures.push(Figure::new("block files", files / held, "bytes a sample"));
    }
    Ok(figures)
}

/// A line about the time between two readings.
fn line(reading: &Reading, before: &Reading) -> Result<String> {
    Ok(format!(
        "{:.0} samples, {:.2} CPU s, {:.1} MiB resident, {:.1} MiB of samples, lag {:.1} ms mean, 99 % within {:.0} ms",
        reading.of("watchkeep_samples_taken_total")? - before.of("watchkeep_samples_taken_total")?,
        reading.cpu()? - before.cpu()?,
        reading.of("process_resident_memory_bytes")? / 1048576.0,
        reading.of("watchkeep_samples_memory_bytes")? / 1048576.0,
        reading.lag_mean(before)? * 1_000.0,
        reading.lag_below(before, 0.99)? * 1_000.0,
    ))
}
