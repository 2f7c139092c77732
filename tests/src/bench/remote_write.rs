//! The same remote write into Watchkeep, Prometheus and VictoriaMetrics, one after the other.
//!
//! Requests are made once, as Prometheus makes them: a sample each of up to [`BATCH`] series, labels in order. They are sent
//! over one connection, the next when the one before is taken; what the server uses of the CPU is counted, in its own code
//! and in the kernel for it. At the end each must have every sample: it is asked.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::peers::Peer;
use super::write::{self, BATCH, Label, Sample, TimeSeries, WriteRequest};
use super::{Figure, Row, Size, Target, floors};
use crate::process::Process;
use crate::{Controller, Setup};

pub const ROW: Row = Row {
    name: "remote-write",
    what: "one stream of remote write 1.0 into each server, until every sample can be queried",
    run,
};

/// How long a server may go on working after the last request was taken, for it to count.
const SETTLES: Duration = Duration::from_secs(5);

fn run(size: &Size) -> Result<Vec<Figure>> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).context("read the clock")?;
    let stream = Stream { size, until: i64::try_from(now.as_millis())? };
    let controller = Controller::start(Setup::default())?;
    let ours = Server {
        name: "watchkeep",
        write: format!("{}/prometheus/api/v1/write", controller.url()),
        query: format!("{}/prometheus/api/v1/query", controller.url()),
        token: controller.token()?,
        process: controller.process(),
    };
    let mut figures = Vec::new();
    let ours = ours.measure(&stream, &mut figures)?;
    drop(controller);
    let floor = floors::WRITTEN_SAMPLE.as_secs_f64() * stream.samples() as f64;
    figures.push(Figure::new("watchkeep, over the floor", ours.cpu / floor, "×"));
    let peers =
        [(Peer::prometheus()?, Target::at_least(3.0, 23.0)), (Peer::victoria_metrics()?, Target::at_least(1.0, 6.0))];
    for (peer, target) in peers {
        let server = Server {
            name: peer.name,
            write: format!("{}{}", peer.url(), peer.write),
            query: format!("{}{}", peer.url(), peer.query),
            token: String::new(),
            process: peer.process(),
        };
        let theirs = server.measure(&stream, &mut figures)?;
        let ratio = Figure::new(format!("samples a CPU second, × {}", peer.name), theirs.cpu / ours.cpu, "×");
        figures.push(ratio.against(target));
        figures.push(Figure::new(format!("memory, × {}", peer.name), ours.memory / theirs.memory, "×"));
    }
    Ok(figures)
}

struct Server<'a> {
    name: &'static str,
    write: String,
    query: String,
    token: String,
    process: &'a Process,
}

/// What a stream cost.
struct Cost {
    /// Seconds.
    cpu: f64,
    /// Bytes that became resident.
    memory: f64,
}

impl Server<'_> {
    fn measure(&self, stream: &Stream<'_>, figures: &mut Vec<Figure>) -> Result<Cost> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("make a runtime")?;
        let cost = runtime.block_on(self.send(stream)).with_context(|| format!("write to {}", self.name))?;
        let (series, samples) = (stream.series() as f64, stream.samples() as f64);
        figures.push(Figure::new(format!("{}, taken in a CPU second", self.name), samples / cost.cpu, "samples/CPU s"));
        figures.push(Figure::new(format!("{}, memory", self.name), cost.memory / series, "bytes a series"));
        Ok(cost)
    }

    async fn send(&self, stream: &Stream<'_>) -> Result<Cost> {
        let client = reqwest::Client::builder().build().context("make a client")?;
        let (cpu, memory) = (self.process.cpu_seconds()?, self.process.resident_bytes()?);
        for round in 0..stream.size.reports {
            for first in (0..stream.series()).step_by(BATCH) {
                write::send(&client, &self.write, &self.token, stream.request(round, first)?).await?;
            }
        }
        tokio::time::sleep(SETTLES).await;
        let (cpu, memory) = (self.process.cpu_seconds()? - cpu, self.process.resident_bytes()?.saturating_sub(memory));
        self.ensure_all_is_there(&client, stream).await?;
        Ok(Cost { cpu, memory: memory as f64 })
    }

    async fn ensure_all_is_there(&self, client: &reqwest::Client, stream: &Stream<'_>) -> Result<()> {
        // A metric at a time: answers have a limit of samples.
        let mut found = 0.0;
        for metric in 0..stream.metrics() {
            let question = format!("sum(count_over_time(bench_{metric}_total[1h]))");
            let time = (stream.until as f64 / 1_000.0).to_string();
            let asked = client.get(&self.query).bearer_auth(&self.token).query(&[("query", question), ("time", time)]);
            let answer: Value = asked.send().await?.json().await?;
            let count = answer["data"]["result"][0]["value"][1].as_str().and_then(|text| text.parse::<f64>().ok());
            found += count.with_context(|| format!("it answers {answer}"))?;
        }
        let samples = stream.samples() as f64;
        ensure!(found == samples, "{found} of {samples} samples can be queried");
        Ok(())
    }
}

/// What is written: in each round one sample of each series, the last at `until`.
struct Stream<'a> {
    size: &'a Size,
    /// Milliseconds since 1970.
    until: i64,
}

/// Series of one metric of one host.
const INSTANCES: usize = 4;

impl Stream<'_> {
    fn metrics(&self) -> usize {
        self.size.series.div_ceil(INSTANCES)
    }

    fn series(&self) -> usize {
        self.size.hosts * self.metrics() * INSTANCES
    }

    fn samples(&self) -> usize {
        self.series() * self.size.reports
    }

    /// The series from number `first` on, with their samples of this round.
    fn request(&self, round: usize, first: usize) -> Result<Vec<u8>> {
        let behind = (self.size.reports - 1 - round) as f64 * self.size.interval * 1_000.0;
        let timestamp = self.until - behind as i64;
        let numbers = first..self.series().min(first + BATCH);
        let timeseries = numbers.map(|number| {
            // Counters that rise at rates of their own.
            let samples = vec![Sample { value: (number % 97 * round + number) as f64, timestamp }];
            TimeSeries { labels: self.labels(number), samples }
        });
        WriteRequest { timeseries: timeseries.collect() }.packed()
    }

    fn labels(&self, number: usize) -> Vec<Label> {
        let (instance, rest) = (number % INSTANCES, number / INSTANCES);
        let (metric, host) = (rest % self.metrics(), rest / self.metrics());
        let pairs = [
            ("__name__", format!("bench_{metric}_total")),
            ("cpu", instance.to_string()),
            ("env", "production".to_owned()),
            ("instance", format!("host-{host:04}.example.org:9100")),
            ("job", "node".to_owned()),
        ];
        pairs.into_iter().map(|(name, value)| Label { name: name.to_owned(), value }).collect()
    }
}
