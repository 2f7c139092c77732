//! The fleet is the write-ahead log: an agent that keeps what is not sealed, a shard that seals into real files and dies at
//! any step of it. Afterwards every sample is there, each once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prost::Message as _;
use prost::bytes::Bytes;
use watchkeep_desk::Millis;
use watchkeep_protocol::layout::{Block, Instance, Metric, Template};
use watchkeep_protocol::topic::Kind;
use watchkeep_protocol::{Ack, Envelope, Hello, Layout, Report, Row, Span};
use watchkeep_rules::promql::series::STALE;
use watchkeep_rules::selector::Selector;

use super::{Down, Incoming, KeptHost, Proposal, Shard};
use crate::detect::Rules;
use crate::detect::metrics::MetricGroups;
use crate::fleet::gate::{Gone, Peer};
use crate::samples::{Folder, Question, Receipt};

const SESSION: [u8; 16] = [7; 16];
const STEP: i64 = 15_000;

fn layout() -> Layout {
    let template = Template {
        collector: "disk".into(),
        metrics: vec![Metric { name: "reads_total".into(), ..Metric::default() }],
        instance_labels: vec!["device".into()],
    };
    let instances = ["sda", "sdb"].map(|device| Instance { values: vec![device.to_owned()] }).to_vec();
    Layout::whole(vec![Block { template, instances }])
}

/// What an agent does with its reports: keeps them until sealed, sends what is not taken.
struct Agent {
    first: u64,
    taken: u64,
    next: u64,
}

impl Agent {
    fn message(kind: Kind, body: &impl prost::Message) -> Incoming {
        let payload = Bytes::from(Envelope::new(SESSION, 1, body).encode_to_vec());
        Incoming::Message { agent: "db-1".into(), client: "db-1/0707070707070707".into(), kind, payload }
    }

    /// Hello, and on the ack of it everything that is not taken.
    fn connect(&mut self, world: &mut World) {
        let hello = Hello {
            spool: vec![1; 16],
            samples: Span { first: self.first, next: self.next },
            clock_ms: world.now,
            interval_ms: 15_000,
            ..Hello::default()
        };
        let ack = world.say(Self::message(Kind::Hello, &hello)).expect("a hello is answered");
        self.taken = ack.taken.max(self.first);
        self.acked(&ack);
        world.say(Self::message(Kind::Layout, &layout()));
        self.send(world);
    }

    fn acked(&mut self, ack: &Ack) {
        assert!(ack.sealed <= ack.taken, "{ack:?}");
        self.first = self.first.max(ack.sealed);
        self.taken = self.taken.max(ack.taken);
    }

    fn send(&mut self, world: &mut World) {
        for number in self.taken..self.next {
            assert!(number >= self.first, "report {number} was deleted, and is asked for again");
            let value = number as f64;
            let rows = vec![Row { block: 0, values: vec![value, value + 0.5], flags: Vec::new() }];
            let at_ms = number as i64 * STEP;
            let report = Report { spool: vec![1; 16], number, at_ms, layout: layout().id, rows, skipped: 0 };
            if let Some(ack) = world.say(Self::message(Kind::Report, &report)) {
                self.acked(&ack);
            }
        }
    }
}

struct World {
    shard: Shard,
    folder: Folder,
    now: i64,
}

impl World {
    fn new(folder: &Folder) -> Self {
        let mut world = Self { shard: Self::shard(), folder: folder.clone(), now: 0 };
        world.restart();
        world
    }

    fn shard() -> Shard {
        let kept = BTreeMap::from([("db-1".to_owned(), KeptHost::default())]);
        Shard::restore(Arc::new(Rules::default()), kept, Millis(0))
    }

    /// The process died, and another one starts.
    fn restart(&mut self) -> Vec<String> {
        self.folder.dies_at.store(0, Ordering::Relaxed);
        self.folder.tidy().expect("the folder can be read");
        self.shard = Self::shard();
        self.shard.recover(&self.folder, Millis(self.now)).expect("the folder can be read")
    }

    fn say(&mut self, incoming: Incoming) -> Option<Ack> {
        let said: Option<Proposal> = self.shard.step(incoming, Millis(self.now)).pop();
        said?.down.into_iter().find_map(|down| match down {
            Down::Ack { ack, .. } | Down::Taken { ack, .. } => Some(ack),
            _ => None,
        })
    }

    /// Seals; whether it came through.
    fn seal(&mut self) -> bool {
        match self.shard.hand_over(Millis(self.now)).write(&self.folder, 0) {
            Receipt::Sealed { covered, .. } => {
                self.shard.sealed(&covered);
                true
            }
            Receipt::Failed { .. } => {
                self.shard.not_sealed();
                false
            }
        }
    }

    /// Each series' values.
    fn read(&self) -> BTreeMap<String, Vec<f64>> {
        let question = Question {
            matchers: Selector::parse("{__name__=\"reads_total\"}").expect("a selector"),
            after: i64::MIN,
            until: i64::MAX,
            labels_only: false,
            series_max: 10,
            points_max: 10_000,
        };
        let series = self.shard.select(&question).expect("memory can be read").into_iter();
        let values = |series: &watchkeep_rules::promql::series::Series| {
            series.points.iter().map(|point| point.value).collect::<Vec<f64>>()
        };
        series.map(|series| (series.labels.get("device").unwrap_or_default().to_owned(), values(&series))).collect()
    }
}

fn every(count: u64) -> BTreeMap<String, Vec<f64>> {
    let of = |more: f64| (0..count).map(|number| number as f64 + more).collect();
    BTreeMap::from([("sda".to_owned(), of(0.0)), ("sdb".to_owned(), of(0.5))])
}

fn folder() -> (tempfile::TempDir, Folder) {
    let dir = tempfile::tempdir().expect("a folder for the test");
    let folder = Folder::open(&dir.path().join("samples")).expect("it can be made");
    (dir, folder)
}

/// Runs a history in which the process dies at step `dies_at` of writing files (0: never), at the end of which all is read.
fn history(dies_at: i64) -> (bool, BTreeMap<String, Vec<f64>>) {
    let (_dir, folder) = folder();
    let mut world = World::new(&folder);
    let mut agent = Agent { first: 0, taken: 0, next: 0 };
    agent.connect(&mut world);
    folder.dies_at.store(dies_at, Ordering::Relaxed);
    let mut died = false;
    for number in 0..60 {
        agent.next = number + 1;
        world.now = number as i64 * STEP + 1;
        agent.send(&mut world);
        if number % 20 == 19 && !world.seal() {
            died = true;
            world.restart();
            agent.connect(&mut world);
        }
    }
    // It dies once more, with a head that no file has.
    world.restart();
    agent.connect(&mut world);
    (died, world.read())
}

/// A world in which an agent's ten reports are in a file; the ack that says so has not come through.
fn sealed(folder: &Folder) -> (World, Agent) {
    let mut world = World::new(folder);
    let mut agent = Agent { first: 0, taken: 0, next: 10 };
    world.now = 20 * STEP;
    agent.connect(&mut world);
    assert!(world.seal());
    (world, agent)
}

#[test]
fn a_controller_killed_at_any_step_of_sealing_loses_no_sample_and_doubles_none() {
    assert_eq!(history(0), (false, every(60)));
    for step in 1.. {
        let (died, read) = history(step);
        assert_eq!(read, every(60), "it died at step {step}");
        if !died {
            assert!(step > 15, "three files of six steps were written, and only {step} of them were tried");
            return;
        }
    }
}

#[test]
fn what_is_sealed_is_said_so_and_what_is_not_is_kept() {
    let (_dir, folder) = folder();
    let mut world = World::new(&folder);
    let mut agent = Agent { first: 0, taken: 0, next: 10 };
    world.now = 10 * STEP;
    agent.connect(&mut world);
    assert_eq!((agent.first, agent.taken), (0, 10), "taken in memory is not sealed");
    assert!(world.seal());
    agent.next = 12;
    agent.send(&mut world);
    assert_eq!((agent.first, agent.taken), (10, 12));
}

#[test]
fn a_file_that_could_not_be_written_is_made_good_by_the_next() {
    let (_dir, folder) = folder();
    let mut world = World::new(&folder);
    let mut agent = Agent { first: 0, taken: 0, next: 10 };
    world.now = 30 * STEP;
    agent.connect(&mut world);
    folder.dies_at.store(2, Ordering::Relaxed);
    assert!(!world.seal());
    folder.dies_at.store(0, Ordering::Relaxed);
    agent.next = 20;
    agent.send(&mut world);
    assert!(world.seal());
    world.restart();
    assert_eq!(world.read(), every(20));
}

#[test]
fn past_a_bound_of_what_cannot_be_sealed_agents_hold_their_reports_until_it_can() {
    let (_dir, folder) = folder();
    let mut world = World::new(&folder);
    world.shard = World::shard().keeping(200);
    let mut agent = Agent { first: 0, taken: 0, next: 1 };
    agent.connect(&mut world);
    let mut held_back_from = None;
    for number in 0..400 {
        agent.next = number + 1;
        world.now = number as i64 * STEP + 1;
        agent.send(&mut world);
        world.say(Incoming::Tick { behind: false });
        if number % 20 == 19 {
            folder.dies_at.store(1, Ordering::Relaxed);
            assert!(!world.seal());
        }
        if world.shard.holds_back() {
            held_back_from.get_or_insert(number + 1);
        }
    }
    let from = held_back_from.expect("400 reports are more than 200 bytes");
    assert!((20..=100).contains(&from), "{from}");
    assert_eq!((agent.first, agent.taken), (0, from), "nothing is taken from then on, and nothing given up");
    let tally = world.shard.take_tally();
    assert!(tally.held_back >= 400 - from && tally.given_up == 0, "{tally:?}");
    assert_eq!(world.read()["sda"].len(), from as usize, "what it has it keeps");
    folder.dies_at.store(0, Ordering::Relaxed);
    assert!(world.seal());
    agent.send(&mut world);
    agent.send(&mut world);
    assert_eq!((agent.first, agent.taken), (from, 400));
    assert!(world.seal());
    world.restart();
    let of_files = world.read()["sda"].clone();
    assert_eq!(of_files.last(), Some(&399.0));
    assert!(of_files.windows(2).all(|two| two[1] - two[0] == 1.0), "none is missing: {of_files:?}");
}

#[test]
fn a_damaged_file_is_set_aside_and_its_samples_come_again_from_the_agent() {
    for damage in [0, 30, 200] {
        let (_dir, folder) = folder();
        let (mut world, mut agent) = sealed(&folder);
        let name = folder.list().expect("the folder can be read").pop().expect("a file");
        let path = folder.path(&name);
        let mut bytes = std::fs::read(&path).expect("it can be read");
        if damage == 0 {
            bytes.truncate(bytes.len() / 2);
        } else {
            bytes[damage] ^= 0x10;
        }
        std::fs::write(&path, bytes).expect("it can be written");
        let faults = world.restart();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains("is damaged"), "{faults:?}");
        agent.connect(&mut world);
        assert_eq!(world.read(), every(10), "the ack of the seal had not come through, so the agent still has them");
    }
}

#[test]
fn the_end_that_a_goodbye_set_is_there_after_a_kill() {
    for is_in_a_file in [false, true] {
        let (_dir, folder) = folder();
        let (mut world, _agent) = sealed(&folder);
        let peer = Peer {
            agent: "db-1".to_owned(),
            serial: String::new(),
            client: "db-1/0707070707070707".to_owned(),
            incarnation: "0707070707070707".to_owned(),
            remote: None,
        };
        world.say(Incoming::Gone { peer, how: Gone::Goodbye });
        let ended = world.read();
        assert_eq!(ended["sda"].last().map(|value| value.to_bits()), Some(STALE));
        world.now += 100;
        assert!(!is_in_a_file || world.seal());
        // The desk took it a moment later, and the ledger has its instant.
        world.now += 300;
        let kept = KeptHost { ended: Some(Millis(world.now)), ..KeptHost::default() };
        world.shard = Shard::restore(Arc::default(), BTreeMap::from([("db-1".to_owned(), kept)]), Millis(world.now));
        world.shard.recover(&folder, Millis(world.now)).expect("the folder can be read");
        let bits = |read: BTreeMap<String, Vec<f64>>| -> Vec<Vec<u64>> {
            read.into_values().map(|values| values.into_iter().map(f64::to_bits).collect()).collect()
        };
        assert_eq!(bits(world.read()), bits(ended), "in a file: {is_in_a_file}");
    }
}

#[test]
fn an_instance_that_went_while_the_controller_was_away_ends() {
    let (_dir, folder) = folder();
    let (mut world, mut agent) = sealed(&folder);
    world.restart();
    let host = |world: &World| world.shard.host("db-1").map(|host| host.samples.newest_at());
    assert_eq!(host(&world), Some(Some(9 * STEP)));
    let mut less = layout();
    less.blocks[0].instances.truncate(1);
    let less = Layout::whole(less.blocks);
    agent.connect(&mut world);
    world.say(Agent::message(Kind::Layout, &less));
    let rows = vec![Row { block: 0, values: vec![10.0], flags: Vec::new() }];
    let report = Report { spool: vec![1; 16], number: 10, at_ms: 10 * STEP, layout: less.id, rows, skipped: 0 };
    world.say(Agent::message(Kind::Report, &report));
    let read = world.read();
    assert_eq!(read["sda"].last(), Some(&10.0));
    let ended = read["sdb"].last().map(|value| value.to_bits());
    assert_eq!(ended, Some(STALE));
}

/// The first of 500 reports, one each 15 s, that is in memory at the end under these rules.
fn first_held(rules: Rules) -> f64 {
    let (_dir, folder) = folder();
    let mut world = World::new(&folder);
    world.say(Incoming::Rules(Arc::new(rules)));
    let mut agent = Agent { first: 0, taken: 0, next: 0 };
    agent.connect(&mut world);
    for number in 0..500 {
        agent.next = number + 1;
        world.now = number as i64 * STEP + 1;
        agent.send(&mut world);
        if number % 10 == 9 {
            assert!(world.seal());
        }
    }
    let held = world.read()["sda"].clone();
    assert_eq!(held, (held[0] as u64..500).map(|number| number as f64).collect::<Vec<_>>());
    held[0]
}

#[test]
fn memory_lets_go_of_what_is_sealed_and_older_than_rules_look_back() {
    let first = first_held(Rules::default());
    assert!((220.0..=240.0).contains(&first), "65 minutes are 260 reports; from {first} on");
    let far = "groups: [{name: far, rules: [{alert: Far, expr: 'max_over_time(reads_total[100m]) > 900'}]}]";
    let book = watchkeep_rules::load::load(&[("rules.yaml".into(), far.to_owned())]).expect("the test's own rules");
    let mut rules = Rules::default();
    rules.metrics = MetricGroups::new(&book, &Arc::default()).expect("the test's own rules");
    let first = first_held(rules);
    assert!((80.0..=100.0).contains(&first), "100 minutes are 400 reports; from {first} on");
}
