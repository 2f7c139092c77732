//! Debian's node_exporter and the agent on this machine: what each says of it, and what saying it costs.
//!
//! Series are compared by name and labels, families by type, values by the two scrapes of node_exporter around our reading.
//! What differs is printed, so that a collector that lags behind is seen. Then both work for [`CYCLES`] cycles at the same
//! pace, [`EVERY`]: node_exporter is scraped, the agent runs with TLS and a controller, reports, and does all else that it
//! does. Scraped without a pause node_exporter would find its memory and the kernel's still in the processor's caches.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{Figure, Row, Size, cpu};
use crate::agent::Agent;
use crate::controller::free_port;
use crate::process::Process;
use crate::{Controller, Setup, built, wait};

pub const ROW: Row =
    Row { name: "node-exporter", what: "the agent beside Debian's node_exporter: series, CPU a cycle, memory", run };

/// Cycles that are measured.
const CYCLES: u32 = 30;
/// Between two of them; the agent of the tests reports each second.
const EVERY: Duration = Duration::from_secs(1);
/// The agent finds out about the host when it starts, which is no part of a cycle.
const SETTLES: Duration = Duration::from_secs(15);
/// Differing series that are printed of each sort.
const SHOWN: usize = 40;
/// How far a value may lie outside of the two that node_exporter gave before and after it.
const SLACK: f64 = 0.05;

fn run(_: &Size) -> Result<Vec<Figure>> {
    let mut exporter = Exporter::start()?;
    let mut figures = compare(&exporter)?;
    let (theirs, their_bytes) = exporter.cost()?;
    let (ours, our_bytes) = cost_of_agent()?;
    for (name, cpu, bytes) in [("node_exporter", theirs, their_bytes), ("watchkeep-agent", ours, our_bytes)] {
        figures.push(Figure::new(format!("{name}: CPU a cycle"), cpu * 1e3, "ms"));
        figures.push(Figure::new(format!("{name}: resident"), bytes as f64 / 1e6, "MB"));
    }
    figures.push(Figure::new("agent's CPU of node_exporter's", ours / theirs, ""));
    figures.push(Figure::new("agent's memory of node_exporter's", our_bytes as f64 / their_bytes as f64, ""));
    Ok(figures)
}

struct Exporter {
    process: Process,
    address: SocketAddr,
    // Behind the process, which writes its log there.
    _folder: tempfile::TempDir,
}

impl Exporter {
    fn start() -> Result<Self> {
        let folder = tempfile::tempdir().context("make a folder")?;
        let address = free_port(Ipv4Addr::LOCALHOST.into())?;
        let mut command = Command::new("prometheus-node-exporter");
        command.arg(format!("--web.listen-address={address}"));
        let process = Process::start("prometheus-node-exporter", &mut command, folder.path().join("log"))
            .context("`make bench` as root installs prometheus-node-exporter")?;
        let exporter = Self { process, address, _folder: folder };
        wait::until(Duration::from_secs(30), "node_exporter to answer", || exporter.scrape().map(drop))?;
        Ok(exporter)
    }

    fn scrape(&self) -> Result<String> {
        let mut stream = TcpStream::connect(self.address).context("connect to node_exporter")?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).context("read node_exporter's answer")?;
        ensure!(answer.contains("node_load1 "), "node_exporter answers {answer:.200}");
        Ok(answer)
    }

    /// CPU seconds a scrape, and bytes resident after them.
    fn cost(&mut self) -> Result<(f64, u64)> {
        let before = cpu::of_process(self.process.id())?;
        for _ in 0..CYCLES {
            self.scrape()?;
            sleep(EVERY);
        }
        let spent = cpu::of_process(self.process.id())?.saturating_sub(before);
        Ok((spent.as_secs_f64() / f64::from(CYCLES), self.process.resident_bytes()?))
    }
}

/// CPU seconds a cycle, in which the agent reports once, and bytes resident after them.
fn cost_of_agent() -> Result<(f64, u64)> {
    let controller = Controller::start(Setup::default())?;
    let agent = Agent::start("bench-1", &controller, "allow: []\n")?;
    sleep(SETTLES);
    let (before, begun) = (cpu::of_process(agent.process().id())?, Instant::now());
    sleep(EVERY * CYCLES);
    let spent = cpu::of_process(agent.process().id())?.saturating_sub(before);
    let cycles = begun.elapsed().as_secs_f64() / EVERY.as_secs_f64();
    Ok((spent.as_secs_f64() / cycles, agent.process().resident_bytes()?))
}

/// Prints what differs, and counts it.
fn compare(exporter: &Exporter) -> Result<Vec<Figure>> {
    let before = exporter.scrape()?;
    let program = built::program("watchkeep-agent")?;
    let said = Command::new(&program).arg("metrics").output().with_context(|| format!("run {}", program.display()))?;
    ensure!(said.status.success(), "watchkeep-agent metrics: {}", String::from_utf8_lossy(&said.stderr));
    let (ours, after) = (String::from_utf8_lossy(&said.stdout).into_owned(), exporter.scrape()?);
    let (our_types, their_types) = (types(&ours), types(&after));
    let (ours, before, after) = (values(&ours), values(&before), values(&after));
    let missing = after.keys().filter(|series| !ours.contains_key(*series));
    let extra = ours.keys().filter(|series| !after.contains_key(*series));
    let is_near = |series: &str, value: f64| {
        let (first, last) = (before.get(series).copied().unwrap_or(value), after[series]);
        let slack = SLACK * first.abs().max(last.abs());
        (first.min(last) - slack..=first.max(last) + slack).contains(&value)
    };
    let shared = || ours.iter().filter(|(series, _)| after.contains_key(**series));
    // What a collector took is each one's own.
    let comparable = || shared().filter(|(series, _)| !series.starts_with("node_scrape_collector_duration_seconds"));
    let other_values = comparable().filter(|(series, value)| !is_near(series, **value));
    let other_types =
        their_types.iter().filter(|(family, kind)| our_types.get(*family).is_some_and(|ours| ours != *kind));
    let mut figures = vec![
        Figure::new("series of node_exporter", after.len() as f64, ""),
        Figure::new("series of both", shared().count() as f64, ""),
    ];
    for (what, all) in [
        ("series that only node_exporter has", missing.map(|series| (*series).to_owned()).collect::<Vec<_>>()),
        ("series that only the agent has", extra.map(|series| (*series).to_owned()).collect()),
        (
            "series with another value",
            other_values.map(|(series, value)| format!("{series}: {value}, not {}", after[series])).collect(),
        ),
        ("families of another type", other_types.map(|(family, kind)| format!("{family}: not {kind}")).collect()),
    ] {
        figures.push(Figure::new(what, all.len() as f64, ""));
        all.iter().take(SHOWN).for_each(|difference| println!("    {what}: {difference}"));
    }
    Ok(figures)
}

/// Each series in node_exporter's names with its value.
fn values(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| line.starts_with("node_"));
    lines
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(series, value)| Some((series, value.parse().ok()?)))
        .collect()
}

/// Each family's type.
fn types(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect()
}
