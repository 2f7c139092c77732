//! Foreign series over a real folder, through crashes and block files.

use super::super::gap;
use super::*;
use watchkeep_rules::selector::Selector;

struct World {
    _dir: tempfile::TempDir,
    folder: std::path::PathBuf,
    blocks: Folder,
    foreign: Foreign,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder for the test");
        let (folder, blocks) = (dir.path().join("foreign"), Folder::open(&dir.path().join("samples")).expect("made"));
        let (foreign, faults) = Foreign::open(&folder, &blocks, i64::MIN).expect("it opens");
        assert_eq!(faults, Vec::<String>::new());
        Self { _dir: dir, folder, blocks, foreign }
    }

    /// As after a kill: nothing is said goodbye to.
    fn restart(&mut self) {
        let (foreign, faults) = Foreign::open(&self.folder, &self.blocks, i64::MIN).expect("it opens");
        assert_eq!(faults, Vec::<String>::new());
        self.foreign = foreign;
    }

    fn write(&self, metric: &str, points: &[(i64, f64)]) -> Outcome {
        let body = wire::tests::body(metric, points);
        let bytes = wire::unpack(&body).expect("it is packed");
        let request = wire::read(Kind::RemoteWrite1, &bytes).expect("it reads");
        self.foreign.take(Kind::RemoteWrite1, &body, request).expect("the disk takes it")
    }

    fn seal(&self, now: i64, before: i64) {
        self.foreign.seal(&self.blocks, 8, now, before).expect("the disk takes it");
    }

    fn read(&self, metric: &str) -> Vec<(i64, f64)> {
        let matchers = Selector::parse(&format!("{{__name__=\"{metric}\"}}")).expect("a selector");
        let (after, until, labels_only) = (i64::MIN, i64::MAX, false);
        let question = Question { matchers, after, until, labels_only, series_max: 10, points_max: 10_000 };
        let found = self.foreign.answer(&question).expect("memory can be read");
        found.iter().flat_map(|series| &series.points).map(|point| (point.at, point.value)).collect()
    }
}

fn points(numbers: std::ops::Range<i64>) -> Vec<(i64, f64)> {
    numbers.map(|number| (number * 1_000, number as f64)).collect()
}

#[test]
fn samples_are_there_once_through_kills_and_block_files() {
    let mut world = World::new();
    world.write("a", &points(0..150));
    world.restart();
    assert_eq!(world.read("a"), points(0..150), "the log had them");
    world.seal(1, i64::MIN);
    assert_eq!(std::fs::read_dir(&world.folder).expect("it is there").count(), 1, "the log began anew");
    world.write("a", &points(150..300));
    world.restart();
    assert_eq!(world.read("a"), points(0..300), "file and log had them");
    world.write("a", &points(150..301));
    world.seal(2, i64::MIN);
    world.restart();
    assert_eq!(world.read("a"), points(0..301));
}

#[test]
fn a_kill_between_the_file_and_the_log_doubles_nothing() {
    let mut world = World::new();
    world.write("a", &points(0..10));
    let segment = |world: &World| {
        let entry = std::fs::read_dir(&world.folder).expect("it is there").next().expect("a segment").expect("read");
        entry.path()
    };
    let kept = std::fs::read(segment(&world)).expect("it is there");
    world.seal(1, i64::MIN);
    std::fs::write(world.folder.join("0000000001.log"), kept).expect("as if it had not been removed");
    world.restart();
    assert_eq!(world.read("a"), points(0..10));
}

#[test]
fn order_is_as_prometheus_wants_it() {
    let world = World::new();
    world.write("a", &[(1_000, 1.0), (2_000, 2.0)]);
    let again = world.write("a", &[(2_000, 2.0)]);
    assert_eq!((again.taken, again.is_partial()), (1, false), "the same once more is no fault");
    let other = world.write("a", &[(2_000, 3.0), (1_500, 1.5), (3_000, 3.0)]);
    assert_eq!((other.taken, other.duplicate, other.out_of_order), (1, 1, 1));
    assert!(
        other.faults.iter().any(|fault| fault.contains("out of order sample: {__name__=\"a\"} at 1500 ms")
            || fault.contains("out of order sample: a at 1500 ms")),
        "{:?}",
        other.faults
    );
    assert_eq!(world.read("a"), [(1_000, 1.0), (2_000, 2.0), (3_000, 3.0)]);
}

#[test]
fn memory_lets_go_of_what_is_sealed_and_old_and_of_series_that_ended() {
    let world = World::new();
    world.write("ended", &points(0..10));
    world.write("goes_on", &points(0..1_000));
    world.seal(1, 500_000);
    assert_eq!(world.read("ended"), []);
    assert_eq!(world.read("goes_on").first().map(|(at, _)| *at <= 500_000), Some(true));
    assert_eq!(world.foreign.readings().series, 1);
}

#[test]
fn the_bits_of_a_gap_are_no_value() {
    let world = World::new();
    world.write("a", &[(1_000, gap())]);
    assert!(world.read("a").first().is_some_and(|(_, value)| value.is_nan()));
}
