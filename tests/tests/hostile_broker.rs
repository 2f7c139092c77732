//! The broker belongs to somebody who wants to do harm: it can delay and drop for a while, and that is all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use prost::Message as _;
use serde_json::Value;
use watchkeep::access::keys::SigningKey;
use watchkeep_protocol::command::{Action, Run};
use watchkeep_protocol::topic::{Kind, Topic};
use watchkeep_protocol::{Ack, CommandBody, CommandResult, Envelope, Event, Matter, MatterBody, Report, Resync, Will};
use watchkeep_tests::between::{Between, Passing};
use watchkeep_tests::captured::signed;
use watchkeep_tests::chance::Chance;
use watchkeep_tests::mosquitto::Mosquitto;
use watchkeep_tests::rulebook::{Book, ORDERED};
use watchkeep_tests::{Agent, Controller, Setup, ledger, wait};

const BOUND: Duration = Duration::from_secs(90);
/// Its owner lets everybody say and hear everything.
const OWNERS_ACL: &str = "pattern readwrite #\n";
/// Stands in all that is forged, and nowhere else by chance.
const FORGED: &str = "666660006666600066666";

/// An agent and a controller, each at a broker of its own, and somebody between the two.
struct Scene {
    // In the order in which they end.
    agent: Agent,
    between: Between,
    _brokers: (Mosquitto, Mosquitto),
    controller: Controller,
}

impl Scene {
    fn set(book: &Book<'_>) -> Result<Self> {
        let (near, far) = (Mosquitto::address()?, Mosquitto::address()?);
        let setup = Setup { files: book.configuration(), broker: Some(far), ..Setup::default() };
        let controller = Controller::start(setup)?;
        let brokers =
            (Mosquitto::with_acl(&controller, near, OWNERS_ACL)?, Mosquitto::with_acl(&controller, far, OWNERS_ACL)?);
        let between = Between::stand(&controller, &brokers.0, &brokers.1)?;
        let mut agent = Agent::enrolled("web-1", &controller)?;
        agent.write("policy.yaml", &book.policy())?;
        // The agent was told of the far one; it connects to the near one.
        let known = agent.identity().join("controller.json");
        let text = std::fs::read_to_string(&known).context("read what the agent knows")?;
        ensure!(text.contains(&far.to_string()), "{text}");
        std::fs::write(&known, text.replace(&far.to_string(), &near.to_string()))
            .context("point it at the near one")?;
        agent.run()?;
        agent.await_connected(&controller)?;
        Ok(Self { agent, between, _brokers: brokers, controller })
    }

    fn order(&self, number: u32) -> Result<()> {
        self.agent.send_event(ORDERED, &[("number", &number.to_string())])
    }

    /// What the agent's last hello said, as everybody on the way can read.
    fn session(&self) -> Result<[u8; 16]> {
        let seen = self.between.seen();
        let hello = seen.iter().rev().find(|passing| passing.is("hello")).context("no hello passed")?;
        Envelope::read(&hello.payload)?.session.try_into().ok().context("a session has 16 bytes")
    }

    /// Waits until the event of this number came as far as the broker.
    fn await_passing(&self, number: u64) -> Result<()> {
        wait::until(BOUND, &format!("matter {number} to come by"), || {
            let seen = self.between.seen();
            let is_this = |passing: &&Passing| matter_of(passing).is_ok_and(|matter| matter.number == number);
            seen.iter().find(is_this).context("not yet").map(drop)
        })
    }

    fn says(&self, kind: Kind, counter: u64, body: &impl prost::Message) -> Result<()> {
        let payload = Envelope::new(self.session()?, counter, body).encode_to_vec();
        self.between.say(&Passing { topic: Topic::new("web-1", kind).to_string(), payload })
    }
}

#[test]
fn who_holds_the_broker_forges_nothing_and_runs_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let book = Book::new(folder.path())?;
    let scene = Scene::set(&book)?;
    scene.order(1)?;
    await_written(&book, 1)?;

    let passed = scene.between.seen();

    // While the next event is held back, in the agent's name another of its number, a result and a goodbye; in the
    // controller's an acknowledgement of all there ever will be, and a command under a key of its own.
    scene.between.does(|passing| if passing.is("event") { Vec::new() } else { vec![passing] });
    let held = scene.agent.send_directly(ORDERED, &[("number", "2")])?;
    let spool = spool_of(&passed)?;
    scene.await_passing(held)?;
    let event = Event { labels: [("kind", ORDERED), ("number", FORGED)].map(owned).into(), text: String::new() };
    let matter = |number, body| Matter { spool: spool.clone(), number, at_ms: 0, body: Some(body) };
    scene.says(Kind::Event, 900, &matter(held, MatterBody::Event(event)))?;
    let result = CommandResult { id: vec![1; 16], reason: FORGED.to_owned(), ..CommandResult::default() };
    scene.says(Kind::Result, 901, &matter(held + 1, MatterBody::Result(result)))?;
    scene.says(Kind::Will, 902, &Will { session: scene.session()?.to_vec() })?;
    let all = held + 1_000;
    let ack = Ack { spool, matters: all, taken: all, sealed: all, credit: 0, ..Ack::default() };
    scene.says(Kind::Ack, 903, &ack)?;
    let argv = vec![folder.path().join("write-down").display().to_string(), FORGED.to_owned()];
    let body = CommandBody {
        id: vec![6; 16],
        agent: "web-1".to_owned(),
        action: Some(Action::Run(Run { argv, ..Run::default() })),
        ..CommandBody::default()
    };
    scene.says(Kind::Command, 904, &signed(&body, &SigningKey::generate()))?;
    scene.between.does(|passing| vec![passing]);
    await_written(&book, 2)?;

    // And everything that passed before, once more.
    for passing in &passed {
        scene.between.say(passing)?;
    }
    for number in 3..=4 {
        scene.order(number)?;
    }
    await_written(&book, 4)?;
    wait::until(BOUND, "both ends to tell of it", || {
        let facts = ledger::facts(&scene.controller.data())?;
        let told = [
            "was not the controller's",
            "the message's MAC is not that of its content",
            "of this session was taken before",
        ];
        for words in told {
            ensure!(!ledger::that_say(&facts, &[words]).is_empty(), "no fact says \"{words}\"");
        }
        Ok(())
    })?;
    let facts = ledger::facts(&scene.controller.data())?;
    let forged = ledger::that_say(&facts, &[FORGED]);
    ensure!(forged.is_empty(), "what was forged became a fact: {forged:#?}");
    let gone = ledger::that_say(&facts, &["\"lost\"", "web-1"]);
    ensure!(gone.is_empty(), "a forged goodbye was believed: {gone:#?}");
    ensure!(book.written()?.iter().all(|number| number != FORGED), "a forged command was carried out");
    let events = scene.controller.all(&format!("/api/v1/events?kind={ORDERED}"))?;
    ensure!(events.len() == 4, "{} events of 4: replays counted, or one was lost", events.len());
    Ok(())
}

#[test]
fn what_is_dropped_doubled_and_shuffled_arrives_once_in_the_end() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let book = Book::new(folder.path())?;
    let scene = Scene::set(&book)?;
    let mut chance = Chance::of_today();
    let mut back: Vec<Passing> = Vec::new();
    scene.between.does(move |passing| match chance.below(10) {
        0 | 1 => Vec::new(),
        2 => vec![passing.clone(), passing],
        3 | 4 => {
            back.push(passing);
            if back.len() < 5 { Vec::new() } else { back.drain(..).rev().collect() }
        }
        _ => vec![passing],
    });
    for number in 1..=20 {
        scene.order(number)?;
    }
    std::thread::sleep(Duration::from_secs(5));
    scene.between.does(|passing| vec![passing]);
    await_written(&book, 20)?;
    let events = scene.controller.all(&format!("/api/v1/events?kind={ORDERED}"))?;
    ensure!(events.len() == 20, "{} events of 20", events.len());
    Ok(())
}

/// Every fourth report, and once two in a row: lost once each. What is sent again comes through.
fn is_lost(number: u64) -> bool {
    number % 4 == 1 || number == 10
}

#[test]
fn reports_that_are_lost_between_others_are_asked_for_and_none_is_missing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let book = Book::new(folder.path())?;
    let scene = Scene::set(&book)?;
    let lost = Arc::new(Mutex::new(BTreeSet::new()));
    let losing = Arc::clone(&lost);
    scene.between.does(move |passing| {
        let number = report_of(&passing).ok().map(|report| report.number).filter(|number| is_lost(*number));
        let mut lost = losing.lock().unwrap_or_else(PoisonError::into_inner);
        if number.is_some_and(|number| lost.insert(number)) { Vec::new() } else { vec![passing] }
    });
    // However many came through before. The newest one is not lost: one that is lost last is sent again for want of
    // an acknowledgement, unasked.
    let lost = || lost.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let newest = wait::until(BOUND, "six reports to be lost between others", || {
        let newest = reports(&scene.between.seen()).last_key_value().map_or(0, |(number, _)| *number);
        let before = lost().range(..newest).count();
        ensure!(before >= 6 && !is_lost(newest), "{before} were lost before {newest}");
        Ok(newest)
    })?;
    wait::until(BOUND, &format!("the samples of all reports up to {newest}"), || {
        let read: Vec<i64> = reports(&scene.between.seen()).range(..=newest).map(|(_, report)| report.at_ms).collect();
        let kept = instants(&scene.controller, "node_load1")?;
        let kept = &kept[..kept.len().min(read.len())];
        // The two ends' clocks are apart by what the hello took.
        let since = |instants: &[i64]| instants.iter().map(|at| at - instants[0]).collect::<Vec<_>>();
        ensure!(since(kept) == since(&read), "read {:?}, kept {:?}", since(&read), since(kept));
        Ok(())
    })?;
    // Where the next one is slow to come, the agent sends again by itself: nobody can know of a gap before.
    let (lost, asked) = (lost(), asked(&scene.between.seen()));
    let (lost, asked) =
        (lost.range(..newest).count(), lost.range(..newest).filter(|lost| asked.contains(lost)).count());
    ensure!(2 * asked > lost, "of {lost} that were lost {asked} were asked for");
    Ok(())
}

/// The instants at which a metric of one series has samples, UTC milliseconds.
fn instants(controller: &Controller, metric: &str) -> Result<Vec<i64>> {
    let answer = controller.api(&format!("/prometheus/api/v1/query?query={metric}%5B10m%5D"))?;
    let points = answer["data"]["result"][0]["values"].as_array().with_context(|| format!("no points in {answer}"))?;
    let at = |point: &Value| point[0].as_f64().map(|seconds| (seconds * 1_000.0).round() as i64);
    points.iter().map(|point| at(point).with_context(|| format!("a point without its time: {point}"))).collect()
}

/// The reports with something in them that passed, by number.
fn reports(seen: &[Passing]) -> BTreeMap<u64, Report> {
    let reports = seen.iter().filter_map(|passing| report_of(passing).ok());
    reports.filter(|report| !report.rows.is_empty()).map(|report| (report.number, report)).collect()
}

/// The numbers of the reports that the controller asked for.
fn asked(seen: &[Passing]) -> BTreeSet<u64> {
    let resyncs = seen.iter().filter(|passing| passing.is("resync"));
    let read = resyncs.filter_map(|passing| Envelope::read(&passing.payload).ok()?.open::<Resync>("resync").ok());
    read.flat_map(|resync| resync.reports).flat_map(|span| span.first..span.next).collect()
}

fn report_of(passing: &Passing) -> Result<Report> {
    ensure!(passing.is("report"), "\"{}\" is no report's topic", passing.topic);
    Ok(Envelope::read(&passing.payload)?.open::<Report>("report")?)
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// The matter in an event, which everybody on its way can read.
fn matter_of(passing: &Passing) -> Result<Matter> {
    ensure!(passing.is("event"), "\"{}\" is no event's topic", passing.topic);
    Ok(Envelope::read(&passing.payload)?.open::<Matter>("event")?)
}

/// The spool's id, as an event on its way names it.
fn spool_of(seen: &[Passing]) -> Result<Vec<u8>> {
    seen.iter().find_map(|passing| matter_of(passing).ok()).map(|matter| matter.spool).context("no event passed")
}

/// Each number once, up to this one, in whatever order.
fn await_written(book: &Book<'_>, last: u32) -> Result<()> {
    wait::until(BOUND, &format!("1 to {last} to be written down"), || {
        let mut written: Vec<u32> = book.written()?.iter().map(|number| number.parse()).collect::<Result<_, _>>()?;
        written.sort_unstable();
        ensure!(written == (1..=last).collect::<Vec<_>>(), "{written:?}");
        Ok(())
    })
}
