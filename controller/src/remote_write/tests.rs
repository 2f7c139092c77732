//! From an agent's message to what waits for a store.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use prost::Message as _;
use prost::bytes::Bytes;
use watchkeep_desk::Millis;
use watchkeep_protocol::layout::{Block, Instance, Metric, Template};
use watchkeep_protocol::topic::Kind;
use watchkeep_protocol::{Envelope, Hello, Layout, Report, Row, Span};
use watchkeep_rules::load::installation_settings;
use watchkeep_rules::promql::labels::Labels;
use watchkeep_rules::promql::series::STALE;

use super::*;
use crate::detect::Rules;
use crate::fleet::gate::{Gone, Peer};
use crate::ingest::{Incoming, Shard};
use crate::samples::foreign::write_request::WriteRequest;

const SPOOL: [u8; 16] = [3; 16];

/// A controller of one store, from one start to the next.
struct World {
    shard: Shard,
    store: Arc<Store>,
    stores: Arc<Stores>,
    tap: Tap,
    now: i64,
}

impl World {
    /// Over the queue in `folder`; the agent says hello in this session.
    fn start(folder: &Path, session: u8, now: i64) -> Self {
        let text = "external_labels: {site: fra1}\nremote_write:\n  - {name: a, url: 'http://a', queue_config: {batch_send_deadline: 1ms}}\n";
        let settings = installation_settings(Path::new("watchkeep.yaml"), text).expect("they are good");
        let external = settings.installation.external_labels;
        let store = Store::open(folder, settings.remote_write[0].clone(), external, None).expect("it opens");
        let tap = Tap::default();
        tap.open(true);
        let stores =
            Stores { by_name: Mutex::new(BTreeMap::from([("a".to_owned(), Arc::clone(&store))])), tap: tap.clone() };
        let shard = Shard::restore(Arc::new(Rules::default()), BTreeMap::new(), Millis(now)).tapped(tap.clone());
        let mut world = Self { shard, store, stores: Arc::new(stores), tap, now };
        let hello = Hello {
            spool: SPOOL.to_vec(),
            matters: Span { first: 0, next: 0 },
            clock_ms: now,
            interval_ms: 15_000,
            version: "0.1.0".into(),
            hostname: "web-1".into(),
            ..Hello::default()
        };
        world.say(session, Kind::Hello, &hello);
        world
    }

    fn say(&mut self, session: u8, kind: Kind, body: &impl prost::Message) {
        let payload = Bytes::from(Envelope::new([session; 16], 1, body).encode_to_vec());
        let client = client(session);
        self.step(Incoming::Message { agent: "web-1".into(), client, kind, payload });
    }

    /// The agent ends its connection, and says so.
    fn goodbye(&mut self, session: u8) {
        let incarnation = crate::ingest::hexadecimal(&[session; 8]);
        let peer =
            Peer { agent: "web-1".into(), serial: String::new(), client: client(session), incarnation, remote: None };
        self.step(Incoming::Gone { peer, how: Gone::Goodbye });
    }

    fn step(&mut self, incoming: Incoming) {
        self.shard.step(incoming, Millis(self.now));
        self.tap.hand_over(self.shard.take_handed());
    }

    /// A report of the disks' free bytes.
    fn report(&mut self, session: u8, number: u64, at_ms: i64, disks: &[(&str, f64)]) {
        let layout = layout(&disks.iter().map(|(disk, _)| *disk).collect::<Vec<_>>());
        self.say(session, Kind::Layout, &layout);
        let values = disks.iter().map(|(_, value)| *value).collect();
        let rows = vec![Row { block: 0, values, flags: Vec::new() }];
        let report = Report { spool: SPOOL.to_vec(), number, at_ms, layout: layout.id.clone(), rows, skipped: 0 };
        self.say(session, Kind::Report, &report);
    }

    /// Queues what was handed over, and ends. The store's requests, each sample as `labels value@time`.
    fn queued(self) -> Vec<Vec<String>> {
        self.tap.end();
        Writer::new(self.tap, self.stores).run();
        let mut found = Vec::new();
        while let Some(next) = self.store.queue.next().expect("it reads") {
            found.push(shown(&next.request.body));
            self.store.queue.done(&next);
        }
        found
    }
}

fn client(session: u8) -> String {
    format!("web-1/{}", crate::ingest::hexadecimal(&[session; 8]))
}

fn layout(disks: &[&str]) -> Layout {
    let metrics = vec![Metric { name: "free_bytes".to_owned(), ..Metric::default() }];
    let template = Template { collector: "disk".to_owned(), metrics, instance_labels: vec!["device".to_owned()] };
    let instances = disks.iter().map(|disk| Instance { values: vec![(*disk).to_owned()] }).collect();
    Layout::whole(vec![Block { template, instances }])
}

fn shown(body: &[u8]) -> Vec<String> {
    let bytes = snap::raw::Decoder::new().decompress_vec(body).expect("snappy");
    let request = WriteRequest::decode(bytes.as_slice()).expect("a write request");
    let one = |series: &crate::samples::foreign::write_request::TimeSeries| {
        let labels = Labels::new(series.labels.iter().map(|label| (label.name.clone(), label.value.clone())));
        let [sample] = series.samples.as_slice() else { panic!("one sample: {series:?}") };
        let value = if sample.value.to_bits() == STALE { "end".to_owned() } else { sample.value.to_string() };
        format!("{labels} {value}@{}", sample.timestamp)
    };
    request.timeseries.iter().map(one).collect()
}

fn free(disk: &str, said: &str) -> String {
    format!("free_bytes{{device=\"{disk}\", instance=\"web-1\", job=\"node\", site=\"fra1\"}} {said}")
}

fn up(said: &str) -> String {
    format!("up{{instance=\"web-1\", job=\"node\", site=\"fra1\"}} {said}")
}

#[test]
fn what_an_agent_reports_waits_for_the_store_with_its_ends() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let mut world = World::start(folder.path(), 1, 100_000);
    world.report(1, 0, 99_000, &[("sda", 1.0), ("sdb", 2.0)]);
    world.report(1, 2, 99_500, &[("sdb", 3.0)]);
    world.report(1, 1, 98_000, &[("sdb", 4.0)]);
    world.now = 101_000;
    world.goodbye(1);
    let on_time = [
        free("sda", "1@99000"),
        free("sdb", "2@99000"),
        up("1@99000"),
        free("sda", "end@99500"),
        free("sdb", "3@99500"),
        up("1@99500"),
    ];
    let found = world.queued();
    assert_eq!(found[0][..6], on_time, "{found:#?}");
    assert_eq!(found[0][6..], [free("sdb", "end@101000"), up("end@101000")], "the agent said that it ends");
    assert_eq!(found[1..], [[free("sdb", "4@98000")]], "what is late goes apart");
}

#[test]
fn what_an_agent_sends_again_after_a_kill_is_not_queued_twice() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let mut world = World::start(folder.path(), 1, 100_000);
    world.report(1, 0, 99_000, &[("sda", 1.0)]);
    world.report(1, 2, 99_500, &[("sda", 2.0)]);
    assert_eq!(world.queued().concat().len(), 4);
    let mut world = World::start(folder.path(), 2, 110_000);
    for (number, at) in [(0, 99_000), (1, 99_200), (2, 99_500), (3, 109_000)] {
        world.report(2, number, at, &[("sda", number as f64)]);
    }
    let expected = [free("sda", "1@99200"), free("sda", "3@109000"), up("1@109000")];
    assert_eq!(world.queued().concat(), expected);
}
