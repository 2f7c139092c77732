//! Each commit of a whole controller fails once, before it and after it: nothing is lost, nothing is doubled, no step runs
//! twice.
//!
//! Round after round a story is lived from its event to its end (an incident, people told of it, a run, a signed command on a
//! real agent, a person who resolves, people told again), with the n-th commit failing for n = 1, 2, 3 … until a story needs
//! no more. An odd n is rolled back; an even one is kept and its answer lost.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use watchkeep::core::committer::CHAIN;
use watchkeep::core::handle::AskError;
use watchkeep::store::failing::Fault;
use watchkeep::store::queries::{incidents, runs};
use watchkeep::store::testing::Cluster;
use watchkeep::store::{self, Database, outbox};
use watchkeep::{ledger, replay};
use watchkeep_desk::incidents::ResolutionCode;
use watchkeep_desk::input::ActBody;
use watchkeep_tests::inside::Inside;
use watchkeep_tests::rulebook::{Book, ORDERED};
use watchkeep_tests::webhook::Receiver;
use watchkeep_tests::{Agent, wait};

const SECRET: &str = "between us";
/// A story takes a second or two; one of which a commit fails, some more.
const PATIENCE: Duration = Duration::from_secs(60);
/// Fewer steps than this no story of this kind takes; more it never comes to.
const STEPS: std::ops::Range<u64> = 9..400;

#[test]
fn a_story_ends_well_whichever_commit_fails() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let address = format!("sqlite:{}", folder.path().join("watchkeep.db").display());
    every_commit_fails_once(&store::open(&address)?)
}

#[test]
fn a_story_on_postgresql_ends_well_whichever_commit_fails() -> Result<()> {
    let cluster = Cluster::start().map_err(anyhow::Error::msg)?;
    every_commit_fails_once(&store::open(&cluster.database("watchkeep").map_err(anyhow::Error::msg)?)?)
}

fn every_commit_fails_once(database: &Database) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let book = Book::new(folder.path())?;
    let (people, others) = (Receiver::start(SECRET)?, Receiver::start(SECRET)?);
    let fault = Fault::default();
    let controller = Inside::start(
        &folder.path().join("data"),
        &files(&book, &[&people, &others]),
        database.failing(fault.clone()),
    )?;
    let mut agent = Agent::enrolled_with("web-1", &controller.enrolment_token()?)?;
    agent.write("policy.yaml", &book.policy())?;
    agent.run()?;

    let world = World { controller, agent, book, people, others };
    let mut step = 0;
    let stories = loop {
        step += 1;
        fault.arm_commits(step);
        world.live(step).with_context(|| {
            let struck = if fault.struck() { "failed" } else { "was not reached" };
            format!("story {step}, whose commit step {step} {struck}; the agent's log:\n{}", world.agent.log())
        })?;
        if !fault.struck() {
            break step;
        }
        ensure!(step < STEPS.end, "a story with more than {step} steps");
    };
    fault.arm_commits(0);
    println!("{stories} stories, {} commit steps failed", stories - 1);
    ensure!(STEPS.contains(&stories), "a story that took {stories} steps is not the whole story");
    world.check(stories)?;
    let inputs = world.controller.inputs();
    world.controller.stop();
    let replayed = replay::replay(database, inputs)?;
    ensure!(replayed.holds(), "{replayed}");
    Ok(())
}

/// The rule and the runbook that count, and people who are told at once and of each incident alone.
fn files(book: &Book<'_>, people: &[&Receiver]) -> Vec<(String, String)> {
    let channels =
        people.iter().map(|to| format!("  - webhook: {{url: \"{}\", secret_file: webhook.secret}}\n", to.url()));
    let settings =
        format!("notify:\n{}settings: {{group_wait: 0, joins_from: 1000000}}\n", channels.collect::<String>());
    let own = [("watchkeep.yaml", settings), ("webhook.secret", SECRET.to_owned())];
    own.map(|(path, text)| (path.to_owned(), text)).into_iter().chain(book.configuration()).collect()
}

/// Everything that a story happens to.
struct World<'a> {
    controller: Inside,
    agent: Agent,
    book: Book<'a>,
    people: Receiver,
    others: Receiver,
}

impl World<'_> {
    /// Order `number` from its event to its end.
    fn live(&self, number: u64) -> Result<()> {
        wait::until(PATIENCE, "the agent to take an event", || {
            self.agent.send_directly(ORDERED, &[("number", &number.to_string())])
        })?;
        let incident = wait::until(PATIENCE, "its incident with a run that succeeded", || {
            let found = self.incidents(number)?;
            let [incident] = found.as_slice() else { return Err(anyhow!("{} incidents", found.len())) };
            let of_it = runs::Filter { incident: Some(incident.id), ..runs::Filter::default() };
            let runs = self.controller.read(|tx| runs::list(tx, &of_it, None, 10))?.items;
            ensure!(runs.iter().any(|run| run.state == "succeeded"), "{runs:?}");
            Ok(incident.id)
        })?;
        let note = "it was written down".to_owned();
        let act = ActBody::IncidentResolve { incident, code: ResolutionCode::FixedByPerson.to_string(), note };
        wait::until(PATIENCE, "a person to resolve it", || {
            // One that was not answered is asked again under the same id, as a client does.
            match self.controller.act(&format!("resolve {number}"), act.clone()) {
                Ok(_) => Ok(()),
                Err(error @ AskError::Refused(_)) => panic!("refused: {error}"),
                Err(error) => Err(error.into()),
            }
        })?;
        wait::until(PATIENCE, "people to be told, and the outbox to be empty", || {
            for told in [told(&self.people)?, told(&self.others)?] {
                ensure!(told.len() as u64 == 2 * number, "told {told:?}");
            }
            let owed = self.controller.read(|tx| outbox::waiting(tx, 10))?;
            ensure!(owed.is_empty(), "owed: {owed:?}");
            Ok(())
        })
    }

    fn incidents(&self, number: u64) -> Result<Vec<incidents::IncidentRow>> {
        let titled = format!("order {number}");
        let only = incidents::Filter { text: Some(titled.clone()), ..incidents::Filter::default() };
        let found = self.controller.read(|tx| incidents::list(tx, &only, None, 500))?.items;
        Ok(found.into_iter().filter(|incident| incident.title == titled).collect())
    }

    /// That each of the stories happened once.
    fn check(&self, stories: u64) -> Result<()> {
        ensure!(self.controller.set_aside() == 0, "no input was at fault");
        let mut written: Vec<u64> = self.book.written()?.iter().map(|line| line.parse()).collect::<Result<_, _>>()?;
        written.sort_unstable();
        ensure!(written.iter().copied().eq(1..=stories), "written down: {written:?}");
        let mut expected = Vec::new();
        for number in 1..=stories {
            let found = self.incidents(number)?;
            let [incident] = found.as_slice() else { return Err(anyhow!("{} incidents {number}", found.len())) };
            let count = self.controller.read(|tx| incidents::get(tx, incident.id))?.map(|incident| incident.count);
            ensure!(count == Some(1), "order {number} was counted {count:?} times");
            ensure!(incident.state == "resolved", "order {number} is {}", incident.state);
            expected.extend(["opened", "resolved"].map(|why| (incident.id.to_string(), why.to_owned())));
        }
        expected.sort_unstable();
        for to in [&self.people, &self.others] {
            let mut told: Vec<(String, String)> = told(to)?.into_values().collect();
            told.sort_unstable();
            ensure!(told == expected, "people were told {told:?}, and should have been {expected:?}");
        }
        let head = self.controller.read(|tx| ledger::head(tx, CHAIN))?.seq;
        let count = self.controller.read(|tx| tx.query("SELECT COUNT(*) FROM ledger", &[]))?;
        ensure!(count == [[store::Value::Int(i64::try_from(head)?)]], "the chain has a gap: {count:?} facts to {head}");
        Ok(())
    }
}

/// What was told on a channel, by the notice's id: whoever keeps ids is told once.
fn told(to: &Receiver) -> Result<BTreeMap<String, (String, String)>> {
    let word = |page: &serde_json::Value, name: &str| page[name].as_str().unwrap_or_default().to_owned();
    let told = to.pages()?.into_iter().map(|page| {
        let of = (word(&page.content, "incident"), word(&page.content, "why"));
        (page.notice, of)
    });
    Ok(told.collect())
}
