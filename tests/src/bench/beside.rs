//! Prometheus with Alertmanager over the generated hosts, measured once a run for all rows that compare with it.
//!
//! It is written every report, as by remote write; then it stands still, and then it is given the rules.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::generated::{self, Generated};
use super::peers::Peer;
use super::rules::USUAL;
use super::{Size, write};

/// Between two evaluations of the rules.
pub const EVALUATION: Duration = Duration::from_secs(15);
/// Over so many rounds a round's cost is taken.
const ROUNDS: u32 = 4;
/// What was taken in is worked off.
const SETTLES: Duration = Duration::from_secs(5);

/// What it cost.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// Samples taken in, for each second of CPU.
    pub samples_a_second: f64,
    /// Resident bytes that each series with its samples added.
    pub bytes_a_series: f64,
    /// CPU seconds of one evaluation of all rules, beyond those of standing still.
    pub round: f64,
    /// Resident bytes of both, with hosts and rules.
    pub resident: f64,
}

/// What it costs at this size.
///
/// # Errors
/// One of them is not installed or did not do what it was told.
pub fn costs(size: &Size) -> Result<Costs> {
    static COSTS: OnceLock<Costs> = OnceLock::new();
    if let Some(costs) = COSTS.get() {
        return Ok(*costs);
    }
    let costs = measure(size)?;
    Ok(*COSTS.get_or_init(|| costs))
}

fn measure(size: &Size) -> Result<Costs> {
    let alertmanager = Peer::alertmanager()?;
    let prometheus = Peer::prometheus_with_rules(&alertmanager)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("make a runtime")?;
    let client = reqwest::Client::builder().build().context("make a client")?;

    let process = prometheus.process();
    let (cpu, memory) = (process.cpu_seconds()?, process.resident_bytes()?);
    let (series, samples) = runtime.block_on(write_all(&client, &prometheus, size)).context("write to Prometheus")?;
    std::thread::sleep(SETTLES);
    let (cpu, memory) = (process.cpu_seconds()? - cpu, process.resident_bytes()? - memory);

    let standing = cpu_of(&prometheus, EVALUATION * 2)? / 2.0;
    prometheus.give_rules(USUAL)?;
    runtime.block_on(post(&client, &format!("{}/-/reload", prometheus.url())))?;
    // Each group has its own moment within the interval; in the first round it has everything to begin.
    std::thread::sleep(EVALUATION);
    let before = runtime.block_on(iterations(&client, &prometheus))?;
    let judging = cpu_of(&prometheus, EVALUATION * ROUNDS)? / f64::from(ROUNDS);
    let rounds = runtime.block_on(iterations(&client, &prometheus))? - before;
    let due = f64::from(ROUNDS) * runtime.block_on(groups(&client, &prometheus))?;
    ensure!(rounds >= 0.9 * due, "Prometheus evaluated {rounds} groups of {due}: it does not keep up");

    Ok(Costs {
        samples_a_second: samples / cpu,
        bytes_a_series: memory as f64 / series,
        round: judging - standing,
        resident: (prometheus.process().resident_bytes()? + alertmanager.process().resident_bytes()?) as f64,
    })
}

/// Writes every report of every host, the last of them now; how many series and samples.
async fn write_all(client: &reqwest::Client, prometheus: &Peer, size: &Size) -> Result<(f64, f64)> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).context("read the clock")?;
    let (until, interval) = (i64::try_from(now.as_millis())?, (size.interval * 1_000.0) as i64);
    let url = format!("{}{}", prometheus.url(), prometheus.write);
    let mut hosts = Generated::fleet(size, until);
    for behind in (0..size.reports as i64).rev() {
        hosts.iter_mut().for_each(|host| host.advance(size.interval));
        for request in generated::requests(&mut hosts, until - behind * interval)? {
            write::send(client, &url, "", request).await?;
        }
    }
    let series: usize = hosts.iter().map(Generated::series).sum();
    let samples = series * size.reports;
    let mut found = 0.0;
    for name in hosts.first().map(Generated::names).unwrap_or_default() {
        found += ask(client, prometheus, &format!("sum(count_over_time({name}[1d]))")).await?;
    }
    ensure!(found == samples as f64, "{found} of {samples} samples can be queried");
    Ok((series as f64, samples as f64))
}

/// Seconds of CPU that it uses meanwhile.
fn cpu_of(peer: &Peer, length: Duration) -> Result<f64> {
    let (began, cpu) = (Instant::now(), peer.process().cpu_seconds()?);
    std::thread::sleep(length.saturating_sub(began.elapsed()));
    Ok(peer.process().cpu_seconds()? - cpu)
}

async fn post(client: &reqwest::Client, url: &str) -> Result<()> {
    let answer = client.post(url).send().await?;
    let (status, said) = (answer.status(), answer.text().await?);
    ensure!(status.is_success(), "POST {url}: {status}: {said}");
    Ok(())
}

/// The one number that a question is answered with.
async fn ask(client: &reqwest::Client, peer: &Peer, question: &str) -> Result<f64> {
    let asked = client.get(format!("{}{}", peer.url(), peer.query)).query(&[("query", question)]);
    let answer: Value = asked.send().await?.json().await?;
    let value = answer["data"]["result"][0]["value"][1].as_str().and_then(|text| text.parse().ok());
    value.with_context(|| format!("{question} is answered {answer}"))
}

/// Evaluations of groups so far.
async fn iterations(client: &reqwest::Client, prometheus: &Peer) -> Result<f64> {
    let text = client.get(format!("{}/metrics", prometheus.url())).send().await?.text().await?;
    let lines = text.lines().filter(|line| line.starts_with("prometheus_rule_group_iterations_total{"));
    Ok(lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum())
}

async fn groups(client: &reqwest::Client, prometheus: &Peer) -> Result<f64> {
    let rules: Value = client.get(format!("{}/api/v1/rules", prometheus.url())).send().await?.json().await?;
    let groups = rules["data"]["groups"].as_array().with_context(|| format!("no groups: {rules}"))?;
    ensure!(!groups.is_empty(), "Prometheus has no rules");
    Ok(groups.len() as f64)
}
