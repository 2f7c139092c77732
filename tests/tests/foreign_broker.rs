//! Through a broker that is not ours, mosquitto with the files that we ship, everything goes as through our own.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use watchkeep_tests::mosquitto::Mosquitto;
use watchkeep_tests::rulebook::{Book, ORDERED};
use watchkeep_tests::{Agent, Controller, Setup, ledger, wait};

const BOUND: Duration = Duration::from_secs(60);

#[test]
fn an_event_becomes_an_incident_and_a_signed_command_mends_it_through_mosquitto() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let book = Book::new(folder.path())?;
    let (mut controller, mut mosquitto) = through_mosquitto(&book)?;
    let mut agent = Agent::start("web-1", &controller, &book.policy())?;

    agent.send_event(ORDERED, &[("number", "1")])?;
    await_written(&book, &["1"])?;
    wait::until(BOUND, "the run to succeed", || {
        let runs = controller.all("/api/v1/runs")?;
        ensure!(runs.len() == 1 && runs[0]["state"] == "succeeded", "{runs:?}");
        Ok(())
    })?;

    // The broker dies and comes back: neither end loses anything, and nobody is taken for gone.
    mosquitto.kill()?;
    agent.send_event(ORDERED, &[("number", "2")])?;
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(book.written()?, ["1"], "there is no way to the controller");
    mosquitto.run()?;
    await_written(&book, &["1", "2"])?;

    // The controller is killed and comes back: the key is lost, and agreed on anew.
    controller.kill()?;
    agent.send_event(ORDERED, &[("number", "3")])?;
    controller.run()?;
    await_written(&book, &["1", "2", "3"])?;

    // The agent stops by itself, and says so under its seal.
    agent.stop_agent()?;
    wait::until(BOUND, "the agent's goodbye", || {
        let agent = controller.api("/api/v1/agents/web-1")?;
        ensure!(agent["lost"] == "goodbye", "{agent}");
        Ok(())
    })?;
    let facts = ledger::facts(&controller.data())?;
    let suspicious = ledger::that_say(&facts, &["suspicious"]);
    ensure!(suspicious.is_empty(), "an honest broker was suspected: {suspicious:#?}");
    Ok(())
}

/// A controller, and mosquitto as its broker.
fn through_mosquitto(book: &Book<'_>) -> Result<(Controller, Mosquitto)> {
    let broker = Mosquitto::address()?;
    let setup = Setup { files: book.configuration(), broker: Some(broker), ..Setup::default() };
    let controller = Controller::start(setup)?;
    let mosquitto = Mosquitto::start(&controller, broker)?;
    Ok((controller, mosquitto))
}

fn await_written(book: &Book<'_>, numbers: &[&str]) -> Result<()> {
    wait::until(BOUND, &format!("{numbers:?} to be written down"), || {
        let written = book.written().context("read the book")?;
        ensure!(written == numbers, "{written:?}");
        Ok(())
    })
}
