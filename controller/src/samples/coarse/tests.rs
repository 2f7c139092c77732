//! From block files to coarse blocks, with everything that may happen in between, and what charts get of them.

use std::sync::Arc;

use watchkeep_rules::promql::eval::{self, Value};
use watchkeep_rules::promql::parse;

use super::*;
use crate::samples::foreign::Foreign;
use crate::samples::{Covered, HostSeries, Reader, Receipt, Sealing, SharedSeries};
use watchkeep_rules::promql::labels::{Labels, NAME};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// A stretch begins here.
const START: i64 = 1_800_000_000_000 / STRETCH_MS * STRETCH_MS;

struct World {
    dir: tempfile::TempDir,
    blocks: Folder,
    coarse: Coarse,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder for the test");
        let path = dir.path().join("samples");
        let blocks = Folder::open(&path).expect("it can be made");
        let coarse = Coarse::open(&path).expect("they can be made");
        Self { dir, blocks, coarse }
    }

    /// Seals a block file of these samples of `load` and `hits_total`, by instants after [`START`].
    fn seal(&self, at: i64, worker: usize, samples: impl Iterator<Item = (i64, f64)>) {
        let mut host = HostSeries::new("web-1", &std::collections::BTreeMap::new());
        for (at, value) in samples {
            let labels = |name: &str| Labels::new([(NAME, name), ("instance", "web-1")]);
            host.write(&labels("load"), START + at, value);
            host.write(&labels("hits_total"), START + at, at as f64 / 1_000.0);
        }
        let mut sealing = Sealing::new(START + at);
        host.hand_over(Covered { agent: "web-1".to_owned(), ..Covered::default() }, &mut sealing);
        assert!(matches!(sealing.write(&self.blocks, worker), Receipt::Sealed { .. }));
    }

    /// A file each five minutes of `from..to`, with a sample each minute: its number in the ten minutes that it is of.
    fn live(&self, from: i64, to: i64) {
        for end in (from + 5 * MINUTE..=to).step_by(usize::try_from(5 * MINUTE).expect("small")) {
            let samples = (1..=5).map(|back| end - 5 * MINUTE + back * MINUTE);
            self.seal(end, 0, samples.map(|at| (at, (at / MINUTE % 10) as f64)));
        }
    }

    fn reader(&self, now: i64) -> Reader {
        let path = self.dir.path().join("foreign");
        let (foreign, _) = Foreign::open(&path, &self.blocks, 0).expect("it can be made");
        let recorded = SharedSeries::default();
        let in_memory = move || START + now - HOUR;
        Reader::new(0, Arc::new(|_, _| false), recorded, self.blocks.clone(), Arc::new(foreign), in_memory)
    }

    /// What a chart of the expression shows: by minute after [`START`].
    fn chart(&self, expr: &str, (from, to): (i64, i64), resolution: Resolution, now: i64) -> Vec<(i64, f64)> {
        let expr = parse(expr).expect("it parses");
        let expr = aggregated(&expr, resolution).expect("it is good for a chart");
        let reader = self.reader(now);
        let samples = Coarsely { coarse: &self.coarse, reader: &reader, resolution };
        let settings = eval::Settings { lookback: resolution.ms(), ..eval::Settings::default() };
        let (start, end) = (START + from, START + to);
        let found = eval::range(&expr, &samples, start, end, resolution.ms(), &settings).expect("it evaluates");
        let Value::Matrix(series) = found.value else { panic!("a range gives a matrix") };
        let points = series.iter().flat_map(|series| series.points.iter());
        points.map(|point| ((point.at - START) / MINUTE, point.value)).collect()
    }

    fn blocks_of(&self, resolution: Resolution) -> usize {
        self.coarse.folder(resolution).list().expect("it can be read").len()
    }

    fn round(&self, at: i64) {
        self.coarse.round(&self.blocks, START + at);
    }
}

#[test]
fn a_bucket_holds_the_samples_up_to_its_end() {
    let of = Resolution::FiveMinutes;
    for (at, end) in [(1, 300_000), (300_000, 300_000), (300_001, 600_000), (0, 0), (-1, 0)] {
        assert_eq!(of.end_of(at), end, "{at}");
    }
    let mut bucket = Bucket::of(2, 5.0);
    for (at, value) in [(3, 1.0), (1, 9.0), (4, f64::NAN)] {
        bucket.merge(Bucket::of(at, value));
    }
    assert_eq!((bucket.min, bucket.max, bucket.count, bucket.last_at), (1.0, 9.0, 4.0, 4));
    let again = Bucket::restored(bucket.columns(10), 10);
    assert_eq!((again.min, again.max, again.count, again.last_at), (1.0, 9.0, 4.0, 4));
}

#[test]
fn charts_have_least_most_average_and_counters_whether_a_block_is_made_or_not() {
    let world = World::new();
    world.live(0, 7 * HOUR);
    let ask = |expr: &str| world.chart(expr, (5 * MINUTE, 15 * MINUTE), Resolution::FiveMinutes, 9 * HOUR);
    let charts = || {
        [
            ask("load"),
            ask("max_over_time(load[10m])"),
            ask("sum(load)"),
            world.chart("increase(hits_total[2h])", (4 * HOUR, 4 * HOUR), Resolution::Hour, 9 * HOUR),
        ]
    };
    let before = charts();
    assert_eq!(before[0], [(5, 3.0), (10, 6.0), (15, 3.0)], "averages of 1 to 5, and of 6 to 9 and 0");
    assert_eq!(before[1], [(5, 5.0), (10, 9.0), (15, 9.0)]);
    assert_eq!(before[2], before[0]);
    assert_eq!(before[3].len(), 1);
    assert!((before[3][0].1 - 7_200.0).abs() < 1e-6, "a second is a hit: {:?}", before[3]);

    world.round(7 * HOUR);
    assert_eq!((world.blocks_of(Resolution::FiveMinutes), world.blocks_of(Resolution::Hour)), (1, 1));
    assert_eq!(charts(), before);
    let counts = world.coarse.counts();
    assert!((counts.built, counts.failed) == (2, 0) && counts.bytes > 0, "{counts:?}");
    // Once the files are gone that they were made of, they stand alone.
    for name in world.blocks.list().expect("it can be read") {
        world.blocks.remove(&name).expect("it is there");
    }
    assert_eq!(charts(), before);
}

#[test]
fn what_comes_late_is_in_the_next_block_and_nothing_counts_twice() {
    let world = World::new();
    world.live(0, 6 * HOUR);
    // Sealed once more, as after a receipt that failed though the file was there.
    world.seal(6 * HOUR, 1, std::iter::once((6 * HOUR, (6 * HOUR / MINUTE % 10) as f64)));
    world.round(6 * HOUR + 20 * MINUTE);
    world.live(6 * HOUR, 12 * HOUR);
    // Of a host that was away: an instant of the first bucket, between the minutes.
    world.seal(7 * HOUR, 1, std::iter::once((90_000, 100.0)));
    world.round(12 * HOUR + 20 * MINUTE);
    assert_eq!(world.blocks_of(Resolution::FiveMinutes), 2);
    let max = |from, to| world.chart("max_over_time(load[10m])", (from, to), Resolution::FiveMinutes, 14 * HOUR);
    assert_eq!(max(5 * MINUTE, 5 * MINUTE), [(5, 100.0)]);
    let sum = world.chart("sum_over_time(load[10m])", (6 * HOUR, 6 * HOUR), Resolution::FiveMinutes, 14 * HOUR);
    assert_eq!(sum, [(360, 45.0)], "0 to 9, once each");
}

#[test]
fn a_process_that_dies_anywhere_while_it_builds_leaves_a_whole_block_or_none() {
    for step in 1..=5 {
        let world = World::new();
        world.live(0, 6 * HOUR);
        let folder = world.coarse.folder(Resolution::FiveMinutes);
        folder.dies_at.store(step, std::sync::atomic::Ordering::Relaxed);
        world.round(7 * HOUR);
        folder.dies_at.store(0, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(world.coarse.counts().failed, 1, "step {step}");
        assert_eq!(world.blocks_of(Resolution::Hour), 1, "the other resolution goes on");
        // Another process goes on from what is there.
        let coarse = Coarse::open(&world.dir.path().join("samples")).expect("they are there");
        let world = World { coarse, ..world };
        world.round(7 * HOUR);
        assert_eq!(world.blocks_of(Resolution::FiveMinutes), 1, "step {step}");
        let found = world.chart("load", (5 * MINUTE, 5 * MINUTE), Resolution::FiveMinutes, 9 * HOUR);
        assert_eq!(found, [(5, 3.0)], "step {step}");
        let all = std::fs::read_dir(world.dir.path().join("samples-5m")).expect("it can be read").count();
        assert_eq!(all, 1, "nothing half written is left");
    }
}

#[test]
fn a_term_that_is_over_removes_blocks_and_builds_no_others() {
    let world = World::new();
    world.live(0, 6 * HOUR);
    world.coarse.keep(Resolution::FiveMinutes, 24 * HOUR);
    world.round(7 * HOUR);
    assert_eq!((world.blocks_of(Resolution::FiveMinutes), world.blocks_of(Resolution::Hour)), (1, 1));
    world.round(31 * HOUR);
    assert_eq!((world.blocks_of(Resolution::FiveMinutes), world.blocks_of(Resolution::Hour)), (0, 1));
    world.round(31 * HOUR);
    assert_eq!(world.blocks_of(Resolution::FiveMinutes), 0, "not made again");
}

#[test]
fn what_needs_samples_themselves_is_no_chart() {
    for expr in [
        "quantile_over_time(0.9, load[1h])",
        "count_over_time(load[1h])",
        "rate(hits_total[5m])",
        "max_over_time(load[1h:5m])",
        "absent(load)",
        "changes(load[1h])",
    ] {
        assert_eq!(aggregated(&parse(expr).expect("it parses"), Resolution::FiveMinutes), None, "{expr}");
    }
    let rate = parse("sum by (job) (rate(hits_total[10m])) / 2 > bool vector(3)").expect("it parses");
    assert!(aggregated(&rate, Resolution::FiveMinutes).is_some() && aggregated(&rate, Resolution::Hour).is_none());
}
