//! Tables over a shard: what one message, or a batch of them, brings.

mod goodbye;
mod lost;
mod restored;

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;
use prost::bytes::Bytes;
use watchkeep_desk::input::AgentEvent;
use watchkeep_desk::{InputBody, Millis};
use watchkeep_protocol::layout::{Block, Instance, Metric, Template};
use watchkeep_protocol::matter::MatterBody;
use watchkeep_protocol::topic::Kind;
use watchkeep_protocol::{Envelope, Event, Hello, Inventory, Layout, Matter, Report, Resync, Row, Span};
use watchkeep_rules::promql::series::Series;
use watchkeep_rules::selector::Selector;

use super::{Down, Host, Incoming, KeptHost, Proposal, Shard};
use crate::detect::Rules;
use crate::samples::Question;

const SESSION: [u8; 16] = [7; 16];
const CLIENT: &str = "web-1/0707070707070707";

struct World {
    shard: Shard,
    now: i64,
}

impl World {
    fn new() -> Self {
        Self { shard: Shard::restore(Arc::new(Rules::default()), BTreeMap::new(), Millis(0)), now: 1_000 }
    }

    fn greeted(spool: u8, next: u64) -> Self {
        let mut world = Self::new();
        world.step(hello(spool, next));
        world
    }

    /// The controller starts anew, with what the last proposal brought to the store.
    fn restart(&mut self, last: &Proposal) {
        let kept = KeptHost { marks: last.marks.clone(), ..KeptHost::default() };
        let kept = BTreeMap::from([("web-1".to_owned(), kept)]);
        self.shard = Shard::restore(Arc::new(Rules::default()), kept, Millis(0));
    }

    fn step(&mut self, incoming: Incoming) -> Proposal {
        self.steps(vec![incoming])
    }

    fn steps(&mut self, batch: Vec<Incoming>) -> Proposal {
        self.now += 10;
        let mut proposals = self.shard.steps(batch, Millis(self.now));
        assert!(proposals.len() <= 1, "one proposal a host: {proposals:?}");
        proposals.pop().unwrap_or_default()
    }
}

/// The same message with this counter.
fn counted(counter: u64, incoming: Incoming) -> Incoming {
    let Incoming::Message { agent, client, kind, payload } = incoming else { panic!("a message: {incoming:?}") };
    let envelope = Envelope::read(&payload).expect("an envelope");
    let payload = Bytes::from(Envelope { counter, ..envelope }.encode_to_vec());
    Incoming::Message { agent, client, kind, payload }
}

/// The same message of another process of the agent.
fn in_session(session: [u8; 16], incoming: Incoming) -> Incoming {
    let Incoming::Message { agent, kind, payload, .. } = incoming else { panic!("a message: {incoming:?}") };
    let envelope = Envelope::read(&payload).expect("an envelope");
    let payload = Bytes::from(Envelope { session: session.to_vec(), ..envelope }.encode_to_vec());
    let client = format!("web-1/{}", super::hexadecimal(&session[..8]));
    Incoming::Message { agent, client, kind, payload }
}

fn message(kind: Kind, body: &impl prost::Message) -> Incoming {
    let payload = Bytes::from(Envelope::new(SESSION, 1, body).encode_to_vec());
    Incoming::Message { agent: "web-1".into(), client: CLIENT.into(), kind, payload }
}

fn hello(spool: u8, next: u64) -> Incoming {
    hello_from(spool, 0, next)
}

fn hello_from(spool: u8, first: u64, next: u64) -> Incoming {
    let hello = Hello {
        spool: vec![spool; 16],
        matters: Span { first, next },
        clock_ms: 500,
        interval_ms: 15_000,
        version: "0.1.0".into(),
        hostname: "web-1".into(),
        ..Hello::default()
    };
    message(Kind::Hello, &hello)
}

fn event(spool: u8, number: u64, what: &str) -> Incoming {
    let labels = BTreeMap::from([("kind".to_owned(), what.to_owned()), ("instance".to_owned(), "a-lie".to_owned())]);
    let body = Some(MatterBody::Event(Event { labels, text: String::new() }));
    message(Kind::Event, &Matter { spool: vec![spool; 16], number, at_ms: 600, body })
}

fn acked(proposal: &Proposal) -> Option<u64> {
    proposal.down.iter().find_map(|down| match down {
        Down::Ack { ack, .. } => Some(ack.matters),
        _ => None,
    })
}

fn resync(proposal: &Proposal) -> Resync {
    let found = proposal.down.iter().find_map(|down| match down {
        Down::Resync { resync, .. } => Some(resync.clone()),
        _ => None,
    });
    found.unwrap_or_default()
}

fn kinds(proposal: &Proposal) -> Vec<&str> {
    proposal.events.iter().map(|event| event.labels["kind"].as_str()).collect()
}

#[test]
fn matters_are_taken_once_in_order() {
    let mut world = World::greeted(1, 3);
    let first = world.step(event(1, 0, "a"));
    assert_eq!((kinds(&first), acked(&first)), (vec!["a"], Some(1)));
    let again = world.step(event(1, 0, "a"));
    assert_eq!((kinds(&again), acked(&again)), (vec![], Some(1)));
    let ahead = world.step(event(1, 2, "c"));
    assert_eq!((kinds(&ahead), acked(&ahead)), (vec![], Some(1)), "one before it is missing");
    let next = world.step(event(1, 1, "b"));
    assert_eq!((kinds(&next), acked(&next)), (vec!["b"], Some(2)));
}

#[test]
fn an_event_bears_the_name_of_the_certificate_and_the_controllers_time() {
    let mut world = World::greeted(1, 1);
    let proposal = world.step(event(1, 0, "a"));
    let [seen] = proposal.events.as_slice() else { panic!("one event: {proposal:?}") };
    assert_eq!(seen.labels["instance"], "web-1");
    // The hello came at 1010 with a clock of 500, so the agent is 510 ms behind; the event says 600.
    assert_eq!((seen.at, seen.learned_at), (Millis(1_110), Millis(1_020)));
}

#[test]
fn a_batch_commits_as_one_with_one_ack() {
    let mut world = World::greeted(1, 9);
    let proposal = world.steps((0..9).map(|number| event(1, number, "a")).collect());
    assert_eq!((proposal.events.len(), acked(&proposal)), (9, Some(9)));
    let acks = proposal.down.iter().filter(|down| matches!(down, Down::Ack { .. }));
    assert_eq!(acks.count(), 1);
    assert_eq!(proposal.marks.into_values().map(|mark| mark.next).collect::<Vec<_>>(), [9]);
}

#[test]
fn an_ack_of_samples_names_no_matter_that_may_not_be_committed() {
    let (mut world, layout) = (World::new(), layout(&["nginx.service"]));
    world.steps(vec![hello_from(1, 2, 9), message(Kind::Layout, &layout)]);
    let both = world.steps(vec![report(0, &layout, vec![1.0]), event(1, 2, "a"), report(1, &layout, vec![1.0])]);
    let [Down::Ack { ack, .. }] = both.down.as_slice() else { panic!("one ack of both: {both:?}") };
    assert_eq!((ack.matters, ack.taken, both.may_go_at_once()), (3, 2, false));
    let samples = world.step(report(2, &layout, vec![1.0]));
    let [Down::Taken { ack, .. }] = samples.down.as_slice() else { panic!("one ack of samples: {samples:?}") };
    assert_eq!((ack.matters, ack.taken, samples.may_go_at_once()), (2, 3, true), "2 may be on its way to the disk");
    let lost = world.step(report(4, &layout, vec![1.0]));
    let [Down::Taken { ack, .. }] = lost.down.as_slice() else { panic!("one ack of samples: {lost:?}") };
    assert_eq!(ack.taken, 3, "one before it is missing");
}

#[test]
fn a_number_with_other_content_asks_for_a_new_spool_and_takes_nothing_twice_after() {
    let mut world = World::greeted(1, 2);
    world.steps(vec![event(1, 0, "a"), event(1, 1, "b")]);
    let other = world.step(event(1, 1, "c"));
    assert!(resync(&other).new_spool, "{other:?}");
    assert_eq!(kinds(&world.step(event(1, 2, "d"))), Vec::<&str>::new(), "until it numbers anew nothing is taken");
    let anew = world.step(hello(2, 3));
    let told = anew
        .inputs
        .iter()
        .any(|input| matches!(input, InputBody::Agent(change) if matches!(change.what, AgentEvent::Renumbered { .. })));
    assert!(told, "{anew:?}");
    let proposal = world.steps(vec![event(2, 0, "b"), event(2, 1, "c"), event(2, 2, "d")]);
    assert_eq!((kinds(&proposal), acked(&proposal)), (vec!["c", "d"], Some(3)), "b was in already");
}

#[test]
fn a_renumbering_survives_a_restart() {
    let mut world = World::greeted(1, 2);
    world.steps(vec![event(1, 0, "a"), event(1, 1, "b")]);
    let condemned = world.step(event(1, 1, "c"));
    world.restart(&condemned);
    let asked = world.step(hello(1, 3));
    assert!(resync(&asked).new_spool && acked(&asked).is_none(), "{asked:?}");
    let anew = world.step(hello(2, 3));
    let mut kept = anew;
    kept.marks.extend(condemned.marks);
    world.restart(&kept);
    world.step(hello(2, 3));
    let proposal = world.steps(vec![event(2, 0, "b"), event(2, 1, "c"), event(2, 2, "d")]);
    assert_eq!((kinds(&proposal), acked(&proposal)), (vec!["c", "d"], Some(3)), "b was in before both restarts");
}

#[test]
fn a_new_spool_is_asked_for_until_it_comes() {
    let mut world = World::greeted(1, 2);
    world.steps(vec![event(1, 0, "a"), event(1, 1, "b")]);
    assert!(resync(&world.step(event(1, 1, "c"))).new_spool);
    assert_eq!(world.step(event(1, 1, "c")).down, [], "once a moment");
    world.now += 2_000;
    let again = world.step(event(1, 1, "c"));
    assert!(resync(&again).new_spool && acked(&again).is_none(), "the request was lost: {again:?}");
    world.now += 15_000;
    assert!(resync(&world.step(Incoming::Tick { behind: false })).new_spool, "it says nothing");
    world.now += 2_000;
    assert!(resync(&world.step(hello(1, 3))).new_spool, "it came back under the old id");
}

#[test]
fn a_condemned_spool_is_never_acknowledged() {
    let mut world = World::greeted(1, 2);
    world.steps(vec![event(1, 0, "a"), event(1, 1, "b")]);
    world.step(event(1, 1, "c"));
    world.now += 2_000;
    let said = world.step(report(0, &layout(&["nginx.service"]), vec![1.0]));
    assert!(acked(&said).is_none() && resync(&said).new_spool, "an ack would have it delete its own matters: {said:?}");
}

#[test]
fn a_restored_host_that_has_more_to_say_by_now_loses_nothing() {
    let mut world = World::greeted(1, 3);
    world.steps(vec![event(1, 0, "a"), event(1, 1, "b"), event(1, 2, "c")]);
    // Restored to where only "a" was there, and more happened since than was ever taken.
    let incarnation = [8; 16];
    let back = |number, what: &str| in_session(incarnation, event(1, number, what));
    assert_eq!(acked(&world.step(in_session(incarnation, hello(1, 4)))), Some(0));
    assert_eq!(acked(&world.step(back(0, "a"))), Some(1));
    assert!(resync(&world.step(back(1, "x"))).new_spool);
    world.step(in_session(incarnation, hello(2, 4)));
    let held = ["a", "x", "y", "z"];
    let batch = (0..).zip(held).map(|(number, what)| in_session(incarnation, event(2, number, what)));
    let proposal = world.steps(batch.collect());
    assert_eq!((kinds(&proposal), acked(&proposal)), (vec!["x", "y", "z"], Some(4)));
}

#[test]
fn a_spool_that_nobody_asked_for_brings_nothing_twice() {
    let mut world = World::greeted(1, 2);
    world.steps(vec![event(1, 0, "a"), event(1, 1, "b")]);
    world.step(hello(2, 3));
    let proposal = world.steps(vec![event(2, 0, "a"), event(2, 1, "b"), event(2, 2, "c")]);
    assert_eq!((kinds(&proposal), acked(&proposal)), (vec!["c"], Some(3)));
}

#[test]
fn marks_of_spools_are_bounded() {
    let mut world = World::greeted(1, 0);
    let forgotten: Vec<String> = (2..20).flat_map(|spool| world.step(hello(spool, 0)).forgotten).collect();
    assert_eq!(forgotten.len(), 11);
    assert_eq!(forgotten[0], "01".repeat(16), "the one used longest ago");
    assert_eq!(world.shard.host("web-1").map(|host| host.marks.len()), Some(8));
}

#[test]
fn an_agent_that_had_an_ack_of_a_life_before_is_asked_where_it_stands() {
    let mut world = World::greeted(1, 3);
    let last = world.steps(vec![event(1, 0, "a"), event(1, 1, "b")]);
    world.restart(&last);
    // Its hello was on its way when the ack of both arrived: it will not say them again.
    world.step(hello(1, 3));
    let asked = world.step(event(1, 2, "c"));
    assert!(resync(&asked).hello && kinds(&asked).is_empty(), "{asked:?}");
    world.step(hello_from(1, 2, 3));
    assert_eq!(kinds(&world.step(event(1, 2, "c"))), ["c"]);
}

#[test]
fn an_agent_that_is_not_known_is_asked_for_a_hello_once_a_moment() {
    let mut world = World::new();
    assert!(resync(&world.step(event(1, 0, "a"))).hello);
    assert_eq!(world.step(event(1, 1, "b")).down, [], "it answers everything that it is asked");
    world.now += 2_000;
    assert!(resync(&world.step(event(1, 0, "a"))).hello, "what was asked may be lost");
}

#[test]
fn a_hello_that_was_overtaken_by_a_later_one_changes_nothing() {
    let mut world = World::new();
    world.step(counted(2, hello(2, 1)));
    assert_eq!(world.step(counted(1, hello(1, 1))).down, [], "the agent has another spool by now");
    assert_eq!(kinds(&world.step(event(2, 0, "a"))), ["a"]);
}

#[test]
fn a_spool_that_nobody_said_hello_of_is_asked_for_one() {
    let mut world = World::greeted(1, 1);
    let asked = world.step(event(2, 0, "a"));
    assert!(resync(&asked).hello && acked(&asked).is_none(), "{asked:?}");
}

#[test]
fn a_spool_that_holds_less_than_its_mark_is_a_restored_host() {
    let mut world = World::greeted(1, 2);
    world.steps(vec![event(1, 0, "a"), event(1, 1, "b")]);
    assert!(resync(&world.step(hello(1, 1))).new_spool);
}

#[test]
fn a_store_that_is_older_than_the_spool_goes_on_and_says_what_is_missing() {
    let mut world = World::greeted(1, 2);
    let spool = Span { first: 5, next: 6 };
    let body =
        Hello { spool: vec![1; 16], matters: spool, interval_ms: 15_000, version: "0.1.0".into(), ..Hello::default() };
    let proposal = world.step(message(Kind::Hello, &body));
    assert_eq!(acked(&proposal), Some(5));
    assert!(format!("{:?}", proposal.inputs).contains("matters 0..5"), "{proposal:?}");
    assert_eq!(kinds(&world.step(event(1, 5, "a"))), ["a"]);
}

#[test]
fn a_session_that_said_no_hello_is_asked_for_one() {
    let proposal = World::new().step(event(1, 0, "a"));
    assert!(resync(&proposal).hello, "{proposal:?}");
    assert!(proposal.events.is_empty());
}

#[test]
fn garbage_is_told_once_a_session() {
    let mut world = World::greeted(1, 0);
    let garbage = || {
        let payload = Bytes::from_static(b"\xff\xff\xff");
        Incoming::Message { agent: "web-1".into(), client: CLIENT.into(), kind: Kind::Event, payload }
    };
    assert_eq!(world.step(garbage()).inputs.len(), 1);
    assert_eq!(world.step(garbage()).inputs.len(), 0);
}

fn layout(units: &[&str]) -> Layout {
    let template = Template {
        collector: "systemd".into(),
        metrics: vec![Metric { name: "node_systemd_unit_state".into(), ..Metric::default() }],
        instance_labels: vec!["name".into()],
    };
    let instances = units.iter().map(|unit| Instance { values: vec![(*unit).to_owned()] }).collect();
    Layout::whole(vec![Block { template, instances }])
}

fn report(number: u64, layout: &Layout, values: Vec<f64>) -> Incoming {
    let rows = vec![Row { block: 0, values, flags: Vec::new() }];
    let body = Report { spool: vec![1; 16], number, at_ms: 600, layout: layout.id.clone(), rows, skipped: 0 };
    message(Kind::Report, &body)
}

#[test]
fn a_layout_is_asked_for_and_then_its_reports_are_taken() {
    let (mut world, layout) = (World::greeted(1, 0), layout(&["nginx.service", "ssh.service"]));
    let asked = resync(&world.step(report(0, &layout, vec![1.0, 0.0]))).layouts;
    assert_eq!(asked, std::slice::from_ref(&layout.id));
    let again = resync(&world.step(report(0, &layout, vec![1.0, 0.0]))).layouts;
    assert_eq!(again, Vec::<Vec<u8>>::new(), "every report under way is of it");
    world.now += 2_000;
    assert_eq!(resync(&world.step(report(0, &layout, vec![1.0, 0.0]))).layouts, std::slice::from_ref(&layout.id));
    world.step(message(Kind::Layout, &layout));
    let proposal = world.step(report(0, &layout, vec![1.0, 0.0]));
    assert!(proposal.is_empty(), "samples need no commit: {proposal:?}");
    let host = world.shard.host("web-1").expect("known");
    let newest = |host: &Host| -> Vec<f64> {
        host.samples.newest("node_systemd_unit_state").map(|(_, point)| point.value).collect()
    };
    assert_eq!(newest(host), [1.0, 0.0]);
    world.step(report(1, &layout, vec![1.0]));
    let host = world.shard.host("web-1").expect("known");
    assert_eq!(newest(host), [1.0, 0.0], "a row that does not fit is passed over");
}

/// The series in memory of the metric `name`.
fn series(world: &World, name: &str) -> Vec<Series> {
    let matchers = Selector::parse(&format!("{{__name__=\"{name}\"}}")).expect("a selector");
    let question =
        Question { matchers, after: i64::MIN, until: i64::MAX, labels_only: false, series_max: 10, points_max: 99 };
    world.shard.select(&question).expect("memory can be read")
}

#[test]
fn labels_of_an_agent_reach_its_series_when_they_come() {
    let (mut world, layout) = (World::greeted(1, 0), layout(&["nginx.service"]));
    world.step(message(Kind::Layout, &layout));
    world.step(report(0, &layout, vec![1.0]));
    let labels = BTreeMap::from([("role".to_owned(), "web".to_owned())]);
    world.step(Incoming::Labels { agent: "web-1".to_owned(), labels });
    let found = series(&world, "node_systemd_unit_state");
    assert_eq!(found.iter().map(|series| series.labels.get("role")).collect::<Vec<_>>(), [Some("web")]);
}

#[test]
fn what_is_kept_of_a_host_brings_it_back() {
    let mut world = World::greeted(1, 2);
    let proposal = world.steps(vec![event(1, 0, "a"), event(1, 1, "b")]);
    world.restart(&proposal);
    assert_eq!(acked(&world.step(hello(1, 2))), Some(0), "whether it is the same spool is still to be seen");
    let again = world.steps(vec![event(1, 0, "a"), event(1, 1, "b")]);
    assert_eq!((kinds(&again), acked(&again)), (vec![], Some(2)));
}

#[test]
fn a_will_comes_in_an_envelope_as_agents_send_it() {
    let mut world = World::greeted(1, 0);
    let said = world.step(message(Kind::Will, &watchkeep_protocol::Will { session: SESSION.to_vec() }));
    let lost =
        |input: &InputBody| matches!(input, InputBody::Agent(change) if matches!(change.what, AgentEvent::Lost { .. }));
    assert!(said.inputs.iter().any(lost), "{:?}", said.inputs);
}

#[test]
fn a_host_back_from_retirement_is_asked_for_all_that_is_on_it_until_that_comes() {
    let mut world = World::greeted(1, 1);
    let retired = world.step(Incoming::Retired { agent: "web-1".to_owned() });
    assert_eq!(resync(&retired).sections, ["*"], "it is there");
    assert!(retired.row.is_some_and(|row| row.retired && row.sections.is_empty()), "it is kept");
    assert_eq!(resync(&world.step(hello(1, 1))).sections, ["*"], "what was asked may be lost");
    let inventory = Inventory { section: "service".into(), hash: vec![3; 32], parts: 1, ..Inventory::default() };
    let body = Some(MatterBody::Inventory(inventory));
    world.step(message(Kind::Inventory, &Matter { spool: vec![1; 16], number: 0, at_ms: 600, body }));
    assert_eq!(resync(&world.step(hello(1, 1))).sections, Vec::<String>::new());
}
