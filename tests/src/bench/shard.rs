//! From a report's bytes to the judged rules: one shard in one thread, with the packs' rules, and nothing around it.
//!
//! No network, no desk, no disk. Under `valgrind --tool=callgrind` it says where the time goes, the same on every run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use prost::Message as _;
use watchkeep::detect::Rules;
use watchkeep::generation::Generation;
use watchkeep::ingest::{Incoming, Shard};
use watchkeep_desk::Millis;
use watchkeep_protocol::session::Span;
use watchkeep_protocol::topic::Kind;
use watchkeep_protocol::{Envelope, Hello, Layout, Report};

use super::{Figure, Row, Size};
use crate::chance::Chance;
use crate::fleet::estate::Estate;
use crate::fleet::shape::Shape;

pub const ROW: Row = Row {
    name: "shard",
    what: "reports through one shard with the rules of the packs linux-host and systemd, one thread, nothing around it",
    run,
};

const SETTINGS: &str = "packs:\n  - use: linux-host\n  - use: systemd\n";
const BEGAN: i64 = 1_800_000_000_000;
/// Ticks between two rounds of reports at 15 s: five a second.
const TICKS: i64 = 75;

fn run(size: &Size) -> Result<Vec<Figure>> {
    let files = BTreeMap::from([("watchkeep.yaml".to_owned(), SETTINGS.to_owned())]);
    let generation = Generation::check(files).context("check the shipped packs")?;
    let mut shard = Shard::restore(Arc::new(Rules::new(&generation)), BTreeMap::new(), Millis(BEGAN));
    let mut hosts: Vec<Simulated> = (0..size.hosts).map(|index| Simulated::new(index, size.series)).collect();
    for host in &mut hosts {
        host.greet(&mut shard);
    }
    let (mut reporting, mut ticking) = (Duration::ZERO, Duration::ZERO);
    let interval = (size.interval * 1_000.0) as i64;
    for round in 1..=size.reports as i64 {
        let now = BEGAN + round * interval;
        let messages: Vec<Incoming> = hosts.iter_mut().map(|host| host.report(now, size.interval)).collect();
        let began = Instant::now();
        for message in messages {
            shard.step(message, Millis(now));
        }
        reporting += began.elapsed();
        let began = Instant::now();
        for tick in 0..TICKS {
            shard.step(Incoming::Tick { behind: false }, Millis(now + tick * interval / TICKS));
        }
        ticking += began.elapsed();
    }
    figures(&mut shard, size, reporting, ticking)
}

fn figures(shard: &mut Shard, size: &Size, reporting: Duration, ticking: Duration) -> Result<Vec<Figure>> {
    let taken = shard.take_tally().taken;
    let (reports, held) = ((size.hosts * size.reports) as f64, shard.held());
    ensure!(taken as f64 >= reports, "{taken} samples of {reports} reports were taken");
    let rounds = size.reports as f64;
    Ok(vec![
        Figure::new("samples taken and judged in a CPU second", taken as f64 / reporting.as_secs_f64(), "samples/s"),
        Figure::new("a report taken and judged", reporting.as_secs_f64() * 1e6 / reports, "µs"),
        Figure::new("a round of all hosts' reports", reporting.as_secs_f64() * 1e3 / rounds, "ms"),
        Figure::new("a tick of all hosts", ticking.as_secs_f64() * 1e3 / rounds / TICKS as f64, "ms"),
        Figure::new("memory of samples", held.bytes as f64 / held.series.max(1) as f64, "bytes a series"),
    ])
}

/// A host's side of the wire, without a link.
struct Simulated {
    agent: String,
    session: [u8; 16],
    counter: u64,
    shape: Shape,
    layout: Layout,
    number: u64,
}

impl Simulated {
    fn new(index: usize, series: usize) -> Self {
        let agent = format!("sim-{}", index + 1);
        let estate = Estate::new(&agent, index, Shape::units_of(series));
        let shape = Shape::new(estate.units(), BEGAN as f64 / 1_000.0 - 4e6, Chance::of(index as u64 + 1));
        let session = ((index as u128 + 1) << 64 | 1).to_be_bytes();
        let layout = Layout::whole(shape.blocks().to_vec());
        Self { agent, session, counter: 0, shape, layout, number: 0 }
    }

    fn greet(&mut self, shard: &mut Shard) {
        let span = Span { first: 0, next: 0 };
        let hello = Hello {
            spool: self.session.to_vec(),
            matters: span,
            samples: span,
            interval_ms: 15_000,
            clock_ms: BEGAN,
            ..Hello::default()
        };
        let hello = self.message(Kind::Hello, &hello);
        let layout = self.layout.clone();
        let layout = self.message(Kind::Layout, &layout);
        shard.steps([hello, layout], Millis(BEGAN));
    }

    fn report(&mut self, at_ms: i64, seconds: f64) -> Incoming {
        self.shape.advance(seconds);
        let report = Report {
            spool: self.session.to_vec(),
            number: self.number,
            at_ms,
            layout: self.layout.id.clone(),
            rows: self.shape.rows(),
            skipped: 0,
        };
        self.number += 1;
        self.message(Kind::Report, &report)
    }

    fn message(&mut self, kind: Kind, body: &impl prost::Message) -> Incoming {
        self.counter += 1;
        let payload = Envelope::new(self.session, self.counter, body).encode_to_vec().into();
        // A client id is the name with which process of the agent it is: the beginning of the session.
        let incarnation: String = self.session[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let client = format!("{}/{incarnation}", self.agent);
        Incoming::Message { agent: self.agent.clone(), client, kind, payload }
    }
}
