//! The same inputs give the same facts, byte for byte.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use watchkeep_tests::rulebook::{Book, ORDERED};
use watchkeep_tests::{Agent, Controller, Setup, ledger, wait};

#[test]
fn replaying_the_stored_inputs_gives_the_same_facts_byte_for_byte() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let book = Book::new(folder.path())?;
    let mut controller = Controller::start(Setup { files: book.configuration(), ..Setup::default() })?;
    let agent = Agent::start("web-1", &controller, &book.policy())?;
    for number in ["1", "2", "3"] {
        agent.send_event(ORDERED, &[("number", number)])?;
    }
    await_done(&controller, 3)?;

    // Over a restart and under another generation too.
    controller.kill()?;
    controller.run()?;
    let (path, rules) = &book.configuration()[0];
    controller.configure(path, &rules.replace("severity: info", "severity: critical"))?;
    controller.ask(&["reload"])?;
    agent.send_event(ORDERED, &[("number", "4")])?;
    await_done(&controller, 4)?;
    controller.stop()?;

    let data = controller.data();
    let facts = ledger::facts(&data)?;
    ensure!(facts.len() > 20, "only {} facts to replay", facts.len());
    let told = controller.ask(&["replay", "--data", &data.display().to_string()])?;
    assert!(told.contains(&facts.len().to_string()), "{} facts stand in the ledger; replay says: {told}", facts.len());

    // A fact that was changed is found and named, so that the sentence above means something.
    let changed = ledger::in_the_middle(&facts).context("a fact in one piece")?;
    ledger::flip_a_byte(&data, changed)?;
    let output = controller.cli(&["replay", "--data", &data.display().to_string()])?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("differs at input") && said.contains(&changed.text[..40]), "{said}");
    Ok(())
}

fn await_done(controller: &Controller, count: usize) -> Result<()> {
    wait::until(Duration::from_secs(60), &format!("{count} runs to succeed"), || {
        let runs = controller.all("/api/v1/runs")?;
        let states: Vec<_> = runs.iter().map(|run| run["state"].as_str().unwrap_or_default()).collect();
        ensure!(states == vec!["succeeded"; count], "{states:?}");
        Ok(())
    })
}
