//! The whole engine over a real database that refuses one row.

use std::path::Path;
use std::time::{Duration, Instant};

use prost::Message as _;
use prost::bytes::Bytes;
use watchkeep_protocol::matter::MatterBody;
use watchkeep_protocol::topic::{Kind, Topic};
use watchkeep_protocol::{Ack, Envelope, Event, Hello, Matter, Span};

use super::*;
use crate::access::keys::SigningKey;
use crate::core::clock;
use crate::core::committer::{CHAIN, LedgerKeys};
use crate::core::outlet::Outlet;
use crate::generation::Generation;
use crate::ledger::{self, LedgerSecret};
use crate::samples::Folder;
use crate::samples::foreign::Foreign;
use crate::store::{self, Columns, Database, Store as _, reading};

const SESSION: [u8; 16] = [7; 16];

/// What was last acknowledged to each agent.
#[derive(Default)]
struct Acks(Mutex<BTreeMap<String, u64>>);

impl Acks {
    fn of(&self, agent: &str) -> u64 {
        self.0.lock().expect("no test panics with it").get(agent).copied().unwrap_or_default()
    }
}

impl Outlet for Acks {
    fn publish(&self, topic: &Topic, payload: Vec<u8>) {
        if topic.kind == Kind::Ack {
            let envelope = Envelope::read(&payload).expect("ours");
            let ack = envelope.open_checked::<Ack>(Kind::Ack).expect("ours");
            self.0.lock().expect("no test panics with it").insert(topic.agent.clone(), ack.matters);
        }
    }

    fn kick(&self, _client: &str, _reason: &str) {}
}

fn start(folder: &std::path::Path, database: &Database, acks: &Arc<Acks>) -> Engine {
    let keys = LedgerKeys { secret: LedgerSecret::new([7; 32]), checkpoint: SigningKey::generate() };
    let (keys, database, inputs) = (Arc::new(keys), database.clone(), folder.join("inputs"));
    let generation = Arc::new(Generation::check(BTreeMap::new()).expect("no file has no fault"));
    let open = move || Committer::open(database.writer()?, &inputs, Arc::clone(&keys), Arc::clone(&generation));
    Engine::start(Surroundings {
        open: Box::new(open),
        downlinks: Arc::new(Downlinks::new(acks.clone())),
        now: clock::now,
        committed: Box::new(|_| {}),
        samples: samples(folder),
    })
    .expect("started")
}

fn samples(folder: &Path) -> Settings {
    let blocks = Folder::open(&folder.join("samples")).expect("it can be made");
    let (foreign, _) = Foreign::open(&folder.join("foreign"), &blocks, 0).expect("it can be made");
    Settings { folder: blocks, retention_ms: Arc::new((15 * 86_400_000).into()), foreign: Arc::new(foreign) }
}

/// Says what an agent with these events says again and again until they are acknowledged.
fn say(inlet: &Inlet, agent: &str, texts: &[&str], from: u64) {
    let spool = vec![agent.as_bytes()[4]; 16];
    let hello = Hello {
        spool: spool.clone(),
        matters: Span { first: from, next: texts.len() as u64 },
        interval_ms: 15_000,
        version: "0.1.0".into(),
        ..Hello::default()
    };
    let send = |kind, payload: Vec<u8>| {
        let client = format!("{agent}/{}", crate::access::hex(&SESSION[..8]));
        let message = Incoming::Message { agent: agent.to_owned(), client, kind, payload: Bytes::from(payload) };
        assert!(inlet.hand_over(agent, message), "there is room");
    };
    send(Kind::Hello, Envelope::new(SESSION, 1, &hello).encode_to_vec());
    for (number, text) in (0..).zip(texts).skip(from as usize) {
        let labels = BTreeMap::from([("kind".to_owned(), "test".to_owned())]);
        let body = Some(MatterBody::Event(Event { labels, text: (*text).to_owned() }));
        let matter = Matter { spool: spool.clone(), number, at_ms: 600, body };
        send(Kind::Event, Envelope::new(SESSION, 1, &matter).encode_to_vec());
    }
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
