//! The whole engine over a real database: one that refuses a row, and one that is slower than hosts arrive.

mod asking;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use prost::Message as _;
use prost::bytes::Bytes;
use watchkeep_protocol::layout::{Block, Instance, Metric, Template};
use watchkeep_protocol::matter::MatterBody;
use watchkeep_protocol::topic::{Kind, Topic};
use watchkeep_protocol::{Ack, Envelope, Event, Hello, Layout, Matter, Report, Row, Span};

use super::*;
use crate::access::keys::SigningKey;
use crate::core::clock;
use crate::core::committer::{CHAIN, Committer, LedgerKeys};
use crate::core::outlet::Outlet;
use crate::generation::Generation;
use crate::ingest::Incoming;
use crate::ledger::{self, LedgerSecret};
use crate::samples::coarse::Coarse;
use crate::samples::foreign::Foreign;
use crate::samples::{Folder, Tap};
use crate::store::{self, Columns, Database, Store as _, reading};

const SESSION: [u8; 16] = [7; 16];

/// What was last acknowledged to each agent.
#[derive(Default)]
struct Acks(Mutex<BTreeMap<String, Ack>>);

impl Acks {
    /// Matters below this number.
    fn of(&self, agent: &str) -> u64 {
        self.last(agent).map_or(0, |ack| ack.matters)
    }

    fn last(&self, agent: &str) -> Option<Ack> {
        self.0.lock().expect("no test panics with it").get(agent).cloned()
    }
}

impl Outlet for Acks {
    fn publish(&self, topic: &Topic, payload: Vec<u8>) {
        if topic.kind == Kind::Ack {
            let envelope = Envelope::read(&payload).expect("ours");
            let ack = envelope.open_checked::<Ack>(Kind::Ack).expect("ours");
            self.0.lock().expect("no test panics with it").insert(topic.agent.clone(), ack);
        }
    }

    fn kick(&self, _client: &str, _reason: &str) {}
}

fn start(folder: &Path, database: &Database, acks: &Arc<Acks>) -> Engine {
    start_with(folder, database, acks, |_| {})
}

/// Starts one that does this after each commit.
fn start_with(
    folder: &Path,
    database: &Database,
    acks: &Arc<Acks>,
    committed: impl FnMut(&Committed) + Send + 'static,
) -> Engine {
    let generation = Generation::check(BTreeMap::new()).expect("no file has no fault");
    start_under(generation, folder, database, acks, committed)
}

fn start_under(
    generation: Generation,
    folder: &Path,
    database: &Database,
    acks: &Arc<Acks>,
    committed: impl FnMut(&Committed) + Send + 'static,
) -> Engine {
    let keys = LedgerKeys { secret: LedgerSecret::new([7; 32]), checkpoint: SigningKey::generate() };
    let (keys, database, inputs) = (Arc::new(keys), database.clone(), folder.join("inputs"));
    let generation = Arc::new(generation);
    let open = move || Committer::open(database.writer()?, &inputs, Arc::clone(&keys), Arc::clone(&generation));
    Engine::start(Surroundings {
        open: Box::new(open),
        downlinks: Arc::new(Downlinks::new(acks.clone())),
        now: clock::now,
        committed: Box::new(committed),
        samples: samples(folder),
    })
    .expect("started")
}

fn samples(folder: &Path) -> Settings {
    let blocks = Folder::open(&folder.join("samples")).expect("it can be made");
    let (foreign, _) = Foreign::open(&folder.join("foreign"), &blocks, 0).expect("it can be made");
    Settings {
        folder: blocks,
        coarse: Coarse::open(&folder.join("samples")).expect("they can be made"),
        retention_ms: Arc::new((15 * 86_400_000).into()),
        unsealed_max: usize::MAX,
        foreign: Arc::new(foreign),
        tap: Tap::default(),
    }
}

/// Says what an agent with these events says again and again until they are acknowledged.
fn say(inlet: &Inlet, agent: &str, texts: &[&str], from: u64) {
    greet(inlet, agent, Span { first: from, next: texts.len() as u64 });
    say_events(inlet, agent, texts, from);
}

fn greet(inlet: &Inlet, agent: &str, matters: Span) {
    let (spool, version) = (spool_of(agent), "0.1.0".to_owned());
    send(inlet, agent, Kind::Hello, &Hello { spool, matters, interval_ms: 15_000, version, ..Hello::default() });
}

fn say_events(inlet: &Inlet, agent: &str, texts: &[&str], from: u64) {
    for (number, text) in (0..).zip(texts).skip(from as usize) {
        let labels = BTreeMap::from([("kind".to_owned(), "test".to_owned())]);
        let body = Some(MatterBody::Event(Event { labels, text: (*text).to_owned() }));
        send(inlet, agent, Kind::Event, &Matter { spool: spool_of(agent), number, at_ms: 600, body });
    }
}

fn spool_of(agent: &str) -> Vec<u8> {
    vec![agent.as_bytes()[4]; 16]
}

fn send(inlet: &Inlet, agent: &str, kind: Kind, body: &impl prost::Message) {
    let client = format!("{agent}/{}", crate::access::hex(&SESSION[..8]));
    let payload = Bytes::from(Envelope::new(SESSION, 1, body).encode_to_vec());
    let message = Incoming::Message { agent: agent.to_owned(), client, kind, payload };
    assert!(inlet.hand_over(agent, message), "there is room");
}

fn texts(store: &mut dyn crate::store::Store, sql: &str) -> Vec<String> {
    let read = reading(store, |tx| {
        let rows = tx.query(sql, &[])?;
        rows.into_iter().map(|row| Columns::new("test", row).text()).collect::<Result<Vec<_>, _>>()
    });
    read.expect("read")
}

#[test]
fn a_matter_that_the_database_refuses_is_set_aside_and_holds_up_nobody() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = store::open(&format!("sqlite:{}", folder.path().join("watchkeep.db").display())).expect("opened");
    let mut store = database.writer().expect("connected");
    let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON event WHEN NEW.text = 'poison'
        BEGIN SELECT RAISE(ABORT, 'this row is refused'); END";
    store.write(&mut |tx| tx.execute(trigger, &[]).map(drop)).expect("made");
    let acks = Arc::new(Acks::default());
    let engine = start(folder.path(), &database, &acks);
    let inlet = engine.inlet();
    let (one, two) = (["fine 1", "poison", "fine 2"], ["fine 3", "fine 4"]);
    let began = Instant::now();
    while acks.of("web-1") < 3 || acks.of("web-2") < 2 {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "acknowledged: {} of 3 and {} of 2; set aside: {}",
            acks.of("web-1"),
            acks.of("web-2"),
            engine.aside().load(Ordering::Relaxed)
        );
        say(&inlet, "web-1", &one, acks.of("web-1"));
        say(&inlet, "web-2", &two, acks.of("web-2"));
        std::thread::sleep(Duration::from_millis(150));
    }
    assert_eq!(engine.aside().load(Ordering::Relaxed), 1);
    engine.stop();
    assert_eq!(texts(store.as_mut(), "SELECT text FROM event ORDER BY text"), ["fine 1", "fine 2", "fine 3", "fine 4"]);
    let bodies = texts(
        store.as_mut(),
        "SELECT b.body FROM ledger l JOIN ledger_body b ON b.chain = l.chain AND b.seq = l.seq WHERE l.kind = 'note.set_aside'",
    );
    let [body] = bodies.as_slice() else { panic!("one is named: {bodies:?}") };
    assert!(body.contains("event 1 of spool 3131") && body.contains("this row is refused"), "{body}");
    assert!(reading(store.as_mut(), |tx| ledger::head(tx, CHAIN)).expect("read").seq > 0);
}

/// Waits until `is_so`, doing `meanwhile` a few times a second; panics with what `found` says after a minute.
fn until(is_so: impl Fn() -> bool, mut meanwhile: impl FnMut(), found: impl Fn() -> String) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "{}", found());
        meanwhile();
        std::thread::sleep(Duration::from_millis(150));
    }
}

#[test]
fn while_the_desk_has_no_room_samples_are_taken_and_matters_come_again() {
    const ARRIVING: usize = DESK_QUEUE + GROUP + 300;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = store::open(&format!("sqlite:{}", folder.path().join("watchkeep.db").display())).expect("opened");
    let acks = Arc::new(Acks::default());
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().expect("no test panics with it");
    let desks = Arc::clone(&gate);
    let engine = start_with(folder.path(), &database, &acks, move |_| drop(desks.lock()));
    let inlet = engine.inlet();

    // A fleet arrives, and the desk commits nothing more.
    let texts_of_one = ["one", "two", "three"];
    greet(&inlet, "web-1", Span { first: 0, next: 3 });
    let fleet: Vec<String> = (0..ARRIVING).map(|number| format!("app-{number}")).collect();
    fleet.iter().for_each(|agent| greet(&inlet, agent, Span { first: 0, next: 0 }));
    let found = || format!("{} left unread; {:?}", inlet.dropped(), acks.last("web-1"));
    until(|| inlet.dropped() > 0, || say_events(&inlet, "web-1", &texts_of_one, 0), found);

    let template = Template {
        collector: "load".into(),
        metrics: vec![Metric { name: "node_load1".into(), ..Metric::default() }],
        instance_labels: Vec::new(),
    };
    let layout = Layout::whole(vec![Block { template, instances: vec![Instance::default()] }]);
    send(&inlet, "web-1", Kind::Layout, &layout);
    let rows = vec![Row { block: 0, values: vec![0.5], flags: Vec::new() }];
    let (spool, layout) = (spool_of("web-1"), layout.id.clone());
    let report = Report { spool, number: 0, at_ms: 600, layout, rows, skipped: 0 };
    until(|| acks.last("web-1").is_some(), || send(&inlet, "web-1", Kind::Report, &report), found);
    let ack = acks.last("web-1").expect("it was waited for");
    assert_eq!((ack.taken, ack.matters), (1, 0), "samples are taken, and nothing uncommitted is acknowledged");

    // It commits again: nothing that waited is lost, and matters come again, in order and once.
    drop(closed);
    let missing = || fleet.iter().filter(|agent| acks.last(agent).is_none()).count();
    until(|| missing() == 0, || {}, || format!("{} of {ARRIVING} are not welcomed", missing()));
    let say_rest = || say_events(&inlet, "web-1", &texts_of_one, acks.of("web-1"));
    until(|| acks.of("web-1") == 3, say_rest, found);
    engine.stop();
    let mut store = database.writer().expect("connected");
    assert_eq!(texts(store.as_mut(), "SELECT text FROM event ORDER BY rowid"), texts_of_one);
}
