//! Whatever bytes come from outside or lie on the disk, nothing panics and nothing takes long: seeded mutations of what is
//! good, the same on every machine.
//!
//! A short run is part of the tests. `WATCHKEEP_MUTATIONS=1000000` makes it a long one, and `WATCHKEEP_SEED` another one;
//! what breaks names its seed and its bytes.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use prost::Message as _;
use watchkeep_rules::promql::labels::{Labels, NAME};
use watchkeep_rules::promql::series::Samples as _;
use watchkeep_rules::selector::Selector;

use super::foreign::wire::{self, Kind};
use super::foreign::{otlp, otlp_logs, otlp_wire};
use super::{Covered, Folder, HostSeries, Receipt, Sealing, Templates, file};

/// Mutations of each kind in a short run.
const SHORT: u64 = 400;
/// What reading one may take, in a debug build on a busy machine.
const READ_MAX: Duration = Duration::from_secs(10);

const METRICS: &str = include_str!("corpus/otlp-metrics.json");
const LOGS: &str = include_str!("corpus/otlp-logs.json");

/// Numbers that follow from a seed (xorshift64*): no test draws others.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).unwrap_or_default();
    if text.is_empty() { default } else { text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")) }
}

/// Turns bits, sets bytes that lengths are made of, takes out, doubles, or ends early; one to eight times.
fn mutated(good: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    const TELLING: [u8; 8] = [0x00, 0x01, 0x7f, 0x80, 0xff, 0x0f, 0x22, 0x7b];
    let mut bytes = good.to_vec();
    for _ in 0..=numbers.below(8) {
        let at = numbers.below(bytes.len() + 1);
        let end = (at + numbers.below(16)).min(bytes.len());
        match (numbers.below(6), bytes.get_mut(at)) {
            (0, Some(byte)) => *byte ^= 1 << numbers.below(8),
            (1, Some(byte)) => *byte = TELLING[numbers.below(TELLING.len())],
            (2, _) => drop(bytes.drain(at..end)),
            (3, _) => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            (4, _) => drop(bytes.splice(at..at, [0xff; 9].into_iter().take(numbers.below(10)))),
            _ => bytes.truncate(if numbers.below(8) == 0 { at } else { bytes.len() }),
        }
    }
    bytes
}

/// Reads mutations of each of what is good. What is good must read: else nothing would be tried.
fn survive(corpus: &[Vec<u8>], read: impl Fn(&[u8]) -> Result<(), String>) {
    for good in corpus {
        read(good).unwrap_or_else(|wrong| panic!("what is good does not read: {wrong}"));
    }
    let (count, first) = (setting("WATCHKEEP_MUTATIONS", SHORT), setting("WATCHKEEP_SEED", 1));
    let mut refused = 0;
    for seed in first..first + count {
        let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let bytes = mutated(&corpus[numbers.below(corpus.len())], &mut numbers);
        let begun = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| read(&bytes)));
        let took = begun.elapsed();
        match outcome {
            Ok(read) if took <= READ_MAX => refused += u64::from(read.is_err()),
            Ok(_) => panic!("seed {seed} took {took:?}: {bytes:02x?}"),
            Err(_) => panic!("seed {seed} panics: {bytes:02x?}"),
        }
    }
    assert!(refused > 0, "of {count} mutations some are no messages");
}

/// All that is done with a request before it is written down.
fn written(kind: Kind, bytes: &[u8]) -> Result<(), String> {
    let request = wire::read(kind, bytes)?;
    for (pairs, points) in request.series() {
        let _made = wire::labels(pairs).map(|labels| (labels.to_string(), points.len()));
    }
    Ok(())
}

#[test]
fn a_remote_write_of_any_bytes_is_read_or_refused() {
    survive(&[wire::tests::first()], |bytes| written(Kind::RemoteWrite1, bytes));
    survive(&[wire::tests::second()], |bytes| written(Kind::RemoteWrite2, bytes));
    let packed = wire::tests::body("up", &[(1_000, 1.0), (2_000, 0.5)]);
    survive(&[packed], |bytes| written(Kind::RemoteWrite1, &wire::unpack(bytes)?));
}

#[test]
fn otlp_of_any_bytes_is_read_or_refused() {
    let no = |error: &dyn std::fmt::Display| error.to_string();
    let metrics: otlp_wire::Export = serde_json::from_str(METRICS).expect("it reads");
    survive(&[metrics.encode_to_vec()], |bytes| {
        let translated = otlp::translated(otlp_wire::Export::decode(bytes).map_err(|error| no(&error))?);
        written(Kind::RemoteWrite1, &translated.request.encode_to_vec())
    });
    survive(&[METRICS.as_bytes().to_vec()], |bytes| {
        drop(otlp::translated(serde_json::from_slice(bytes).map_err(|error| no(&error))?));
        Ok(())
    });
    let logs: otlp_logs::Export = serde_json::from_str(LOGS).expect("it reads");
    survive(&[logs.encode_to_vec()], |bytes| {
        drop(otlp_logs::translated(otlp_logs::Export::decode(bytes).map_err(|error| no(&error))?, 0));
        Ok(())
    });
    survive(&[LOGS.as_bytes().to_vec()], |bytes| {
        drop(otlp_logs::translated(serde_json::from_slice(bytes).map_err(|error| no(&error))?, 0));
        Ok(())
    });
}

/// Reads all of a block file, as after a start and for a question.
fn read_block(folder: &Folder, bytes: &[u8]) -> Result<(), String> {
    let name = file::name(2_000, 0);
    folder.put(&name, bytes).map_err(|error| error.to_string())?;
    let index = file::index(folder, &name).map_err(|fault| fault.to_string())?;
    for host in &index.hosts {
        let part = index.host(folder, &name, host).map_err(|fault| fault.to_string())?;
        let mut series = HostSeries::new(&host.agent, &host.labels);
        series.restore(&index, part, i64::MIN, &mut Templates::default())?;
        series.go_on();
        series.select(&Selector { matchers: Vec::new() }, i64::MIN, i64::MAX)?;
    }
    Ok(())
}

/// A checksum keeps most mutations of a file from being read at all; this puts the right ones back, as if whoever wrote it
/// had been wrong.
fn with_checksums(mut bytes: Vec<u8>) -> Vec<u8> {
    const FOOT: usize = 24;
    let Some(foot) = bytes.len().checked_sub(FOOT).filter(|at| *at >= 8) else { return bytes };
    let offset = u64::from_le_bytes(std::array::from_fn(|place| bytes[foot + place]));
    let Some(index) = usize::try_from(offset).ok().filter(|at| *at <= foot) else { return bytes };
    let checksum = crate::ledger::crc32c(&[&bytes[index..foot]]);
    bytes[foot + 8..foot + 12].copy_from_slice(&((foot - index) as u32).to_le_bytes());
    bytes[foot + 12..foot + 16].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

#[test]
fn a_block_file_of_any_bytes_is_read_or_damaged() {
    let dir = tempfile::tempdir().expect("a folder for the test");
    let folder = Folder::open(&dir.path().join("good")).expect("it can be made");
    let mut host = HostSeries::new("web-1", &BTreeMap::from([("site".to_owned(), "fra1".to_owned())]));
    for at in 1..40 {
        host.write(&Labels::new([(NAME, "load"), ("instance", "web-1")]), at * 1_000, at as f64 / 3.0);
        host.write(&Labels::new([(NAME, "up"), ("instance", "web-1")]), at * 1_000, 1.0);
    }
    let mut sealing = Sealing::new(2_000);
    host.hand_over(Covered { agent: "web-1".to_owned(), ..Covered::default() }, &mut sealing);
    assert!(matches!(sealing.write(&folder, 0), Receipt::Sealed { .. }));
    let name = file::name(2_000, 0);
    let length = folder.length(&name).expect("it is there");
    let good = folder.read(&name, 0, usize::try_from(length).expect("small")).expect("it is there");
    let folder = Folder::open(&dir.path().join("mutated")).expect("it can be made");
    survive(std::slice::from_ref(&good), |bytes| read_block(&folder, bytes));
    survive(&[good], |bytes| read_block(&folder, &with_checksums(bytes.to_vec())));
}
