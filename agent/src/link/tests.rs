//! The link against a model controller over a model network, in virtual time.

use std::collections::{BTreeMap, VecDeque};

use prost::Message as _;
use watchkeep_protocol::layout::{Instance, Row, Template};
use watchkeep_protocol::topic::{Kind, Topic};
use watchkeep_protocol::*;

use super::{Greeting, Input, Link, Output, World, client_id};
use crate::spool::memory::MemoryDisk;
use crate::spool::{Limits, Spool};

pub(super) const SESSION: [u8; 16] = [5; 16];
pub(super) const AGENT: &str = "web-1";

fn event(text: &str) -> MatterBody {
    let labels = BTreeMap::from([("kind".to_owned(), "x".to_owned())]);
    MatterBody::Event(Event { labels, text: text.to_owned() })
}

fn blocks(instances: &[&str]) -> Vec<Block> {
    let metrics = vec![Metric { name: "node_x".into(), ..Metric::default() }];
    let template = Template { collector: "x".into(), metrics, instance_labels: vec!["device".into()] };
    let instances = instances.iter().map(|value| Instance { values: vec![(*value).to_owned()] }).collect();
    vec![Block { template, instances }]
}

/// An agent's link with its spool, its clock and its dice.
pub(super) struct Host {
    pub(super) link: Link,
    pub(super) spool: Spool<MemoryDisk>,
    pub(super) now: u64,
    dice: u64,
}

impl Host {
    pub(super) fn new() -> Self {
        let spool = Spool::open(MemoryDisk::new(), Limits::default(), [1; 16]).expect("opens");
        let greeting = Greeting { interval_ms: 15_000, hostname: "web-1".into(), ..Greeting::default() };
        Self { link: Link::new(AGENT, SESSION, greeting), spool, now: 1_000, dice: 1 }
    }

    pub(super) fn step(&mut self, input: Input<'_>) -> Vec<Output> {
        let dice = &mut self.dice;
        let mut chance = || {
            *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *dice >> 16
        };
        let mut world = World { now: self.now, wall_ms: 7, chance: &mut chance, spool: &mut self.spool };
        self.link.step(input, &mut world)
    }

    pub(super) fn matter(&mut self, text: &str) -> Vec<Output> {
        self.spool.add_matter(7, event(text)).expect("appended");
        self.spool.sync().expect("synced");
        self.step(Input::Available)
    }

    fn report(&mut self, blocks: &[Block]) -> Vec<Output> {
        let layout = self.spool.put_layout(blocks).expect("kept").to_vec();
        let values = vec![1.0; blocks[0].instances.len()];
        let rows = vec![Row { block: 0, values, flags: Vec::new() }];
        self.spool.add_report(Report { at_ms: 7, layout, rows, ..Report::default() }).expect("appended");
        self.step(Input::Available)
    }

    fn down(&mut self, kind: Kind, body: &impl prost::Message) -> Vec<Output> {
        let payload = Envelope::new(SESSION, 1, body).encode_to_vec();
        self.step(Input::Incoming { topic: &Topic::new(AGENT, kind).to_string(), payload: &payload })
    }

    pub(super) fn ack(&self, matters: u64, taken: u64, credit: u32) -> Ack {
        Ack { spool: self.spool.id().to_vec(), matters, taken, sealed: taken, credit, ..Ack::default() }
    }

    /// Connected and welcomed with this credit.
    fn welcomed(credit: u32) -> Self {
        let mut host = Self::new();
        assert_eq!(kinds(&host.step(Input::Connected)), ["hello"]);
        let ack = host.ack(0, 0, credit);
        host.down(Kind::Ack, &ack);
        host
    }
}

/// The kinds of what is published, in order; other outputs by name.
pub(super) fn kinds(outputs: &[Output]) -> Vec<&'static str> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Publish { topic, .. } => Some(Topic::parse(topic).expect("a topic").kind.word()),
            Output::Reconnect { .. } => Some("reconnect"),
            Output::Connect { .. } => Some("connect"),
            Output::Command(_) => Some("command"),
            Output::Sections(_) => Some("sections"),
            Output::Note(_) => Some("note"),
            Output::Acked => None,
        })
        .collect()
}

pub(super) fn opened<T: prost::Message + Default + Check>(output: &Output) -> T {
    let Output::Publish { topic, payload } = output else { panic!("{output:?} is no publish") };
    let kind = Topic::parse(topic).expect("a topic").kind;
    Envelope::read(payload).expect("an envelope").open_checked(kind).expect("a message that makes sense")
}

#[test]
fn a_client_id_names_agent_and_incarnation() {
    assert_eq!(client_id("web-1", &[0xab; 16]), "web-1/abababababababab");
}

#[test]
fn nothing_but_hello_goes_before_the_first_ack() {
    let mut host = Host::new();
    host.matter("early");
    let hello = host.step(Input::Connected);
    assert_eq!(kinds(&hello), ["hello"]);
    assert_eq!(opened::<Hello>(&hello[0]).matters, Span { first: 0, next: 1 });
    assert_eq!(kinds(&host.matter("later")), [""; 0]);
    let ack = host.ack(0, 0, 10);
    assert_eq!(kinds(&host.down(Kind::Ack, &ack)), ["event", "event"]);
}

#[test]
fn hello_says_what_was_never_sent_until_it_is_answered() {
    let mut host = Host::new();
    host.matter("early");
    let first = opened::<Hello>(&host.step(Input::Connected)[0]);
    assert_eq!(first.unsent, Some(Unsent { matters: 0, samples: 0 }));
    let ack = host.ack(0, 0, 10);
    host.down(Kind::Ack, &ack);
    host.step(Input::Disconnected);
    let second = opened::<Hello>(&host.step(Input::Connected)[0]);
    assert_eq!((second.unsent, second.unsent_from()), (None, Unsent { matters: 1, samples: 0 }));
    let asked = Resync { new_spool: true, ..Resync::default() };
    let renumbered = host.down(Kind::Resync, &asked);
    let hello = renumbered.iter().find(|output| kinds(std::slice::from_ref(output)) == ["hello"]);
    let hello = opened::<Hello>(hello.expect("a hello with the new id"));
    assert_eq!(hello.unsent, Some(Unsent { matters: 0, samples: 0 }));
}

#[test]
fn each_nonce_is_said_in_one_hello() {
    let mut host = Host::welcomed(10);
    assert!(host.link.wants_nonce());
    let with = |host: &Host, nonce: &[u8]| Greeting { command_nonce: nonce.to_vec(), ..host.link.greeting().clone() };
    let said = |outputs: &[Output]| opened::<Hello>(&outputs[0]).command_nonce;
    let greet = |host: &mut Host, greeting| {
        let (mut chance, now) = (|| 0, host.now);
        host.link.greet(greeting, &mut World { now, wall_ms: 7, chance: &mut chance, spool: &mut host.spool })
    };
    let greeting = with(&host, &[1; 16]);
    assert_eq!(said(&greet(&mut host, greeting)), [1; 16]);
    assert!(!host.link.wants_nonce());
    assert_eq!(
        said(&host.down(Kind::Resync, &Resync { hello: true, ..Resync::default() })),
        [0; 0],
        "an old one is not said again"
    );
    assert!(host.link.wants_nonce());
    let greeting = with(&host, &[2; 16]);
    assert_eq!(said(&greet(&mut host, greeting)), [2; 16]);
    let gone = with(&host, &[]);
    assert_eq!(said(&greet(&mut host, gone)), [0; 0], "act is gone, and that is said");
    host.step(Input::Disconnected);
    let greeting = with(&host, &[3; 16]);
    assert_eq!(greet(&mut host, greeting), []);
    assert_eq!(said(&host.step(Input::Connected)), [0; 0], "nobody knows how old it is by now");
}

#[test]
fn sending_goes_on_from_the_marks() {
    let mut host = Host::new();
    for text in ["a", "b", "c"] {
        host.matter(text);
    }
    host.step(Input::Connected);
    let ack = host.ack(2, 0, 10);
    let sent = host.down(Kind::Ack, &ack);
    assert_eq!(opened::<Matter>(sent.last().expect("one")).number, 2);
    assert_eq!(kinds(&sent), ["event"]);
    assert_eq!(host.spool.matters().first, 2);
}

#[test]
fn reports_that_are_not_taken_hold_no_event_back() {
    let mut host = Host::welcomed(8);
    let sent: Vec<_> = (0..20).flat_map(|_| host.report(&blocks(&["sda"]))).collect();
    assert_eq!(kinds(&sent).iter().filter(|kind| **kind == "report").count(), 6, "{:?}", kinds(&sent));
    // The controller hears it and takes none, for hours.
    for number in 0..10 {
        assert_eq!(kinds(&host.matter(&number.to_string())), ["event"], "event {number}");
        let ack = host.ack(number + 1, 0, 8);
        assert_eq!(kinds(&host.down(Kind::Ack, &ack)), [""; 0]);
    }
    let ack = host.ack(10, 6, 8);
    assert_eq!(kinds(&host.down(Kind::Ack, &ack)), ["report"; 6]);
}

#[test]
fn with_credit_for_one_both_streams_flow() {
    let mut host = Host::welcomed(1);
    assert_eq!(kinds(&host.report(&blocks(&["sda"]))), ["layout", "report"]);
    let ack = host.ack(0, 1, 1);
    host.down(Kind::Ack, &ack);
    assert_eq!(kinds(&host.matter("one")), ["event"]);
}

#[test]
fn never_more_than_the_credit_is_under_way() {
    let mut host = Host::welcomed(2);
    let sent: Vec<_> = (0..5).flat_map(|n| host.matter(&n.to_string())).collect();
    assert_eq!(kinds(&sent), ["event", "event"]);
    let ack = host.ack(1, 0, 2);
    assert_eq!(kinds(&host.down(Kind::Ack, &ack)), ["event"]);
    let ack = host.ack(3, 0, 0);
    assert_eq!(kinds(&host.down(Kind::Ack, &ack)), [""; 0]);
    host.now += 15_000;
    assert_eq!(kinds(&host.step(Input::Tick)), ["hello"], "without credit it is asked for");
}

#[test]
fn reports_flow_between_many_matters() {
    let mut host = Host::welcomed(0);
    for n in 0..40 {
        host.matter(&n.to_string());
    }
    for _ in 0..4 {
        host.report(&blocks(&["a"]));
    }
    let ack = host.ack(0, 0, 20);
    let sent = host.down(Kind::Ack, &ack);
    assert_eq!(kinds(&sent).iter().filter(|kind| **kind == "report").count(), 4);
}

#[test]
fn what_is_not_acknowledged_goes_again_at_growing_intervals_and_then_the_link_is_made_anew() {
    let mut host = Host::welcomed(10);
    host.matter("a");
    let mut log = Vec::new();
    for _ in 0..40 {
        host.now += 1_000;
        log.extend(kinds(&host.step(Input::Tick)).into_iter().map(|kind| (kind, host.now)));
        if log.last().is_some_and(|(kind, _)| *kind == "reconnect") {
            break;
        }
    }
    let times: Vec<u64> = log.iter().map(|(_, at)| (at - 1_000) / 1_000).collect();
    assert_eq!(log.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), ["event", "event", "reconnect"]);
    assert!(times[0] == 5 && times[1] > 10 && times[2] == 20, "{times:?}");
}

#[test]
fn a_slow_but_living_controller_is_not_dropped() {
    let mut host = Host::welcomed(10);
    host.matter("a");
    for _ in 0..120 {
        host.now += 1_000;
        let ack = host.ack(0, 0, 10);
        host.down(Kind::Ack, &ack);
        assert!(!kinds(&host.step(Input::Tick)).contains(&"reconnect"));
    }
}

#[test]
fn a_lost_matter_goes_again_while_reports_get_through() {
    let mut host = Host::welcomed(10);
    assert_eq!(kinds(&host.matter("lost on the way")), ["event"]);
    let mut sent = Vec::new();
    for taken in 1..=20 {
        host.now += 1_000;
        sent.extend(host.report(&blocks(&["a"])));
        let ack = host.ack(0, taken, 10);
        sent.extend(host.down(Kind::Ack, &ack));
        sent.extend(host.step(Input::Tick));
    }
    assert!(kinds(&sent).contains(&"event"), "{:?}", kinds(&sent));
}

#[test]
fn an_idle_link_is_left_in_peace() {
    let mut host = Host::welcomed(10);
    assert_eq!(host.link.next_due(), None);
    host.now += 3_600_000;
    assert_eq!(kinds(&host.step(Input::Tick)), [""; 0]);
    assert_eq!(kinds(&host.matter("a")), ["event"]);
    assert_eq!(kinds(&host.step(Input::Tick)), [""; 0], "it has only just been asked");
}

#[test]
fn pauses_between_attempts_double_with_jitter_and_fall_back_once_welcomed() {
    let mut host = Host::new();
    let mut pause = 500;
    for _ in 0..12 {
        let [Output::Connect { after_ms }] = host.step(Input::Disconnected)[..] else { panic!("one step") };
        assert!((pause / 2..=pause).contains(&after_ms), "{after_ms} of {pause}");
        pause = (pause * 2).min(60_000);
    }
    host.step(Input::Connected);
    let ack = host.ack(0, 0, 1);
    host.down(Kind::Ack, &ack);
    let [Output::Connect { after_ms }] = host.step(Input::Disconnected)[..] else { panic!("one step") };
    assert!(after_ms <= 500);
}

#[test]
fn a_layout_goes_once_before_its_first_report_by_the_shorter_way_and_whole_when_asked() {
    let mut host = Host::welcomed(100);
    let (first, second) = (blocks(&["sda"]), blocks(&["sda", "sdb"]));
    assert_eq!(kinds(&host.report(&first)), ["layout", "report"]);
    assert_eq!(kinds(&host.report(&first)), ["report"]);
    let sent = host.report(&second);
    assert_eq!(kinds(&sent), ["layout", "report"]);
    let step: Layout = opened(&sent[0]);
    assert!(step.blocks.is_empty() && step.change.is_some(), "only what came travels");
    let asked = Resync { layouts: vec![step.id], ..Resync::default() };
    let sent = host.down(Kind::Resync, &asked);
    assert_eq!(opened::<Layout>(&sent[0]).blocks, second);
    host.step(Input::Disconnected);
    host.step(Input::Connected);
    let ack = host.ack(0, 0, 100);
    assert_eq!(kinds(&host.down(Kind::Ack, &ack)), ["layout", "report", "report", "layout", "report"]);
}

#[test]
fn a_new_spool_keeps_everything_and_says_hello() {
    let mut host = Host::welcomed(10);
    host.matter("a");
    host.matter("b");
    let before = host.spool.id();
    let sent = host.down(Kind::Resync, &Resync { new_spool: true, reason: "cloned".into(), ..Resync::default() });
    assert_eq!(kinds(&sent), ["note", "note", "hello"]);
    let hello: Hello = opened(sent.last().expect("a hello"));
    assert_ne!(hello.spool, before);
    assert_eq!(hello.matters, Span { first: 0, next: 3 }, "both, and the status that says so");
    let stale = Ack { spool: before.to_vec(), matters: 2, credit: 10, ..Ack::default() };
    assert_eq!(kinds(&host.down(Kind::Ack, &stale)), [""; 0], "an ack of the old spool means nothing");
    let ack = host.ack(0, 0, 10);
    assert_eq!(kinds(&host.down(Kind::Ack, &ack)), ["event", "event", "status"]);
}

#[test]
fn marks_beyond_what_is_held_show_a_restored_spool() {
    let mut host = Host::welcomed(10);
    host.matter("a");
    let ack = host.ack(9, 0, 10);
    assert_eq!(kinds(&host.down(Kind::Ack, &ack)), ["note", "hello"]);
    assert_ne!(host.spool.id(), [1; 16]);
    assert_eq!(host.spool.matters(), Span { first: 0, next: 2 }, "nothing was let go");
}

#[test]
fn what_does_not_belong_here_is_refused_and_said() {
    let mut host = Host::welcomed(10);
    let ack = host.ack(0, 0, 10).encode_to_vec();
    let other_session = Envelope { session: vec![6; 16], ..Envelope::new(SESSION, 1, &host.ack(0, 0, 1)) };
    let cases: [(&str, Vec<u8>, &[&str]); 4] = [
        (&Topic::new(AGENT, Kind::Ack).to_string(), ack, &["note"]),
        (&Topic::new(AGENT, Kind::Ack).to_string(), other_session.encode_to_vec(), &[]),
        (
            &Topic::new("web-2", Kind::Ack).to_string(),
            Envelope::new(SESSION, 1, &host.ack(0, 0, 1)).encode_to_vec(),
            &["note"],
        ),
        (
            &Topic::new(AGENT, Kind::Event).to_string(),
            Envelope::new(SESSION, 1, &host.ack(0, 0, 1)).encode_to_vec(),
            &["note"],
        ),
    ];
    for (topic, payload, expected) in cases {
        assert_eq!(kinds(&host.step(Input::Incoming { topic, payload: &payload })), expected, "{topic}");
    }
}

#[test]
fn commands_and_sections_are_handed_on() {
    let mut host = Host::welcomed(10);
    let command = Command { body: vec![1], signatures: Vec::new() };
    assert_eq!(host.down(Kind::Command, &command), [Output::Command(command)]);
    let resync = Resync { sections: vec!["package".into()], hello: true, ..Resync::default() };
    assert_eq!(kinds(&host.down(Kind::Resync, &resync)), ["hello", "sections"]);
}

/// The controller as far as the link sees it: takes matters in order, once, and reports in any order.
#[derive(Default)]
struct Controller {
    marks: BTreeMap<Vec<u8>, (u64, u64)>,
    matters: Vec<String>,
    reports: BTreeMap<u64, i64>,
    known: BTreeMap<(Vec<u8>, u64), [u8; 32]>,
}

impl Controller {
    fn take(&mut self, topic: &str, payload: &[u8]) -> Option<Ack> {
        let envelope = Envelope::read(payload).expect("an envelope");
        let kind = Topic::parse(topic).expect("a topic").kind;
        let spool = match kind {
            Kind::Hello => {
                let hello: Hello = envelope.open_checked(kind).expect("a hello");
                self.marks.entry(hello.spool.clone()).or_insert((hello.matters.first, hello.samples.first));
                hello.spool
            }
            Kind::Report => {
                let report: Report = envelope.open_checked(kind).expect("a report");
                let taken = &mut self.marks.get_mut(&report.spool)?.1;
                if report.number == *taken {
                    *taken += 1;
                    assert!(self.reports.insert(report.number, report.at_ms).is_none(), "a report was taken twice");
                }
                report.spool
            }
            Kind::Layout => return None,
            _ => {
                let matter: Matter = envelope.open_checked(kind).expect("a matter");
                let content = *self.known.entry((matter.spool.clone(), matter.number)).or_insert(matter.content_hash());
                assert_eq!(content, matter.content_hash(), "a number came back with other content");
                let mark = &mut self.marks.get_mut(&matter.spool)?.0;
                if matter.number == *mark {
                    *mark += 1;
                    self.matters.extend(match matter.body {
                        Some(MatterBody::Event(event)) => Some(event.text),
                        _ => None,
                    });
                }
                matter.spool
            }
        };
        let (matters, taken) = self.marks[&spool];
        Some(Ack { spool, matters, taken, sealed: taken, credit: 8, ..Ack::default() })
    }
}

#[test]
fn over_a_network_that_loses_doubles_reorders_and_breaks_everything_arrives_once_in_order() {
    for seed in 1..60u64 {
        let (mut host, mut controller, mut dice) = (Host::new(), Controller::default(), seed);
        let mut roll = move |sides: u64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % sides
        };
        let mut down: VecDeque<Ack> = VecDeque::new();
        let mut connect_at = Some(host.now);
        let mut expected = Vec::new();
        for round in 0..4_000 {
            host.now += 250;
            let mut outputs = Vec::new();
            let calm = round > 2_000;
            if round < 400 && round % 4 == 0 {
                expected.push(format!("m{round}"));
                outputs.extend(host.matter(&format!("m{round}")));
                outputs.extend(host.report(&blocks(&["a"])));
            }
            if connect_at.is_some_and(|at| at <= host.now) {
                connect_at = None;
                outputs.extend(host.step(Input::Connected));
            } else if connect_at.is_none() && !calm && roll(60) == 0 {
                down.clear();
                outputs.extend(host.step(Input::Disconnected));
            }
            if let Some(ack) = down.pop_front().filter(|_| connect_at.is_none()) {
                outputs.extend(host.down(Kind::Ack, &ack));
            }
            if host.link.next_due().is_some_and(|due| due <= host.now) {
                outputs.extend(host.step(Input::Tick));
            }
            for output in outputs {
                match output {
                    Output::Connect { after_ms } | Output::Reconnect { after_ms, .. } => {
                        connect_at = Some(host.now + after_ms);
                    }
                    Output::Publish { topic, payload } => {
                        let times = if calm { 1 } else { [0, 1, 1, 2][roll(4) as usize] };
                        for _ in 0..times {
                            down.extend(controller.take(&topic, &payload));
                        }
                        if !calm && down.len() > 1 && roll(3) == 0 {
                            let last = down.pop_back().expect("more than one");
                            down.push_front(last);
                        }
                    }
                    _ => {}
                }
            }
            down.truncate(32);
        }
        assert_eq!(controller.matters, expected, "seed {seed}");
        assert_eq!(controller.reports.len(), expected.len(), "seed {seed}");
        assert_eq!(host.spool.matters(), Span { first: 100, next: 100 }, "seed {seed}: all was let go");
    }
}

/// What is said of reports: number, and how many before it are not held.
fn reports(outputs: &[Output]) -> Vec<(u64, u64)> {
    let said = outputs.iter().filter(|output| kinds(std::slice::from_ref(*output)) == ["report"]);
    said.map(opened::<Report>).map(|report| (report.number, report.skipped)).collect()
}

fn asking(spans: &[(u64, u64)]) -> Resync {
    let reports = spans.iter().map(|(first, next)| Span { first: *first, next: *next }).collect();
    Resync { reports, ..Resync::default() }
}

#[test]
fn reports_that_were_lost_are_sent_again_and_no_others() {
    let (mut host, blocks) = (Host::welcomed(100), blocks(&["a"]));
    for number in 0..6 {
        assert_eq!(reports(&host.report(&blocks)), [(number, 0)]);
    }
    let again = host.down(Kind::Resync, &asking(&[(1, 2), (3, 5)]));
    assert_eq!(reports(&again), [(1, 0), (3, 0), (4, 0)]);
    assert_eq!(reports(&host.down(Kind::Resync, &asking(&[(5, 60)]))), [(5, 0)], "beyond is what was not said yet");
    assert_eq!(reports(&host.report(&blocks)), [(6, 0)]);
    let (ack, most) = (host.ack(0, 0, 200), u64::from(super::machine::BURST));
    host.down(Kind::Ack, &ack);
    (7..150).for_each(|_| drop(host.report(&blocks)));
    let again = reports(&host.down(Kind::Resync, &asking(&[(0, 70), (71, 140)])));
    assert_eq!(again, (0..most).map(|number| (number, 0)).collect::<Vec<_>>(), "a burst at a time");
}

#[test]
fn what_is_not_held_of_what_was_lost_is_said_with_the_report_behind_it() {
    let (disk, blocks) = (MemoryDisk::new(), blocks(&["a"]));
    let open = || Spool::open(disk.clone(), Limits::default(), [1; 16]).expect("opens");
    let mut host = Host { spool: open(), ..Host::new() };
    (0..3).for_each(|_| drop(host.report(&blocks)));
    // A crash: the numbers that were reserved are not used again.
    host.spool = open();
    host.step(Input::Connected);
    let ack = host.ack(0, 3, 100);
    host.down(Kind::Ack, &ack);
    assert_eq!(reports(&host.report(&blocks)), [(256, 253)]);
    assert_eq!(reports(&host.report(&blocks)), [(257, 0)]);
    assert_eq!(reports(&host.down(Kind::Resync, &asking(&[(3, 257)]))), [(256, 253)]);
    assert_eq!(reports(&host.down(Kind::Resync, &asking(&[(3, 100)]))), [(256, 253)]);
    // Nothing is held at all: what a hello says of the spool tells that.
    let ack = host.ack(0, 258, 100);
    host.down(Kind::Ack, &ack);
    assert_eq!(kinds(&host.down(Kind::Resync, &asking(&[(3, 257)]))), ["hello"]);
}
