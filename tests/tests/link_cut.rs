//! The link dies without a word, or a disk goes back in time: what the agent saw arrives, once, with its own times.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchkeep_tests::host::MENDING;
use watchkeep_tests::{Agent, Controller, Host, Setup, wait};

const BOUND: Duration = Duration::from_secs(90);

#[test]
fn what_an_agent_saw_while_its_link_was_cut_arrives_once_with_its_own_times() -> Result<()> {
    let host = Host::boot("web-1")?;
    let controller = Controller::start(Setup { address: host.gateway().into(), ..Setup::default() })?;
    host.install_agent(&controller.enrolment_token()?, MENDING)?;
    controller.await_agent("web-1")?;
    host.run(["watchkeep-agent", "event", "send", "seen", "--label", "number=0"])?;
    await_seen(&controller, 1)?;

    host.link().cut()?;
    for number in 1..=5 {
        host.run(["watchkeep-agent", "event", "send", "seen", "--label", &format!("number={number}")])?;
        std::thread::sleep(Duration::from_secs(2));
    }
    let cut_for = Duration::from_secs(10);
    assert_eq!(seen(&controller)?.len(), 1, "the link was not cut");
    host.link().mend()?;

    let events = await_seen(&controller, 6)?;
    let times: Vec<i64> =
        events.iter().map(|event| event["at"].as_i64().context("an event has its time")).collect::<Result<_>>()?;
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
    // They keep the distance they had on the host, not that of their arrival.
    let apart = times[5] - times[1];
    let expected = (cut_for - Duration::from_secs(2)).as_millis() as i64;
    assert!((apart - expected).abs() < 1_500, "{apart} ms between the first and the last, not {expected}: {times:?}");
    wait::throughout(Duration::from_secs(5), "each event once", || {
        let events = seen(&controller)?.len();
        ensure!(events == 6, "{events} events");
        Ok(())
    })
}

#[test]
fn a_spool_that_comes_back_from_a_snapshot_is_noticed_and_loses_nothing() -> Result<()> {
    let controller = Controller::start(Setup::default())?;
    let mut agent = Agent::start("web-1", &controller, "allow: []\n")?;
    agent.send_event("seen", &[("number", "0")])?;
    await_seen(&controller, 1)?;
    agent.stop_agent()?;
    let snapshot = tempfile::tempdir()?;
    copy(&agent.state(), snapshot.path())?;

    agent.run_agent()?;
    agent.await_connected(&controller)?;
    agent.send_event("seen", &[("number", "1")])?;
    await_seen(&controller, 2)?;
    agent.stop_agent()?;

    // The disk of the snapshot is put back, and the host lives on from there: it gives the same numbers to other things.
    std::fs::remove_dir_all(agent.state())?;
    copy(snapshot.path(), &agent.state())?;
    agent.run_agent()?;
    agent.await_connected(&controller)?;
    agent.send_event("seen", &[("number", "2")])?;
    let events = await_seen(&controller, 3)?;
    let numbers: Vec<_> = events.iter().map(|event| event["labels"]["number"].as_str().unwrap_or_default()).collect();
    assert_eq!(numbers, ["0", "1", "2"]);

    let facts = watchkeep_tests::ledger::facts(&controller.data())?;
    let told = watchkeep_tests::ledger::that_say(&facts, &["renumbered"]);
    assert!(!told.is_empty(), "the ledger does not tell that the spool came back: {facts:#?}");
    Ok(())
}

/// The events of kind `seen`, oldest first.
fn seen(controller: &Controller) -> Result<Vec<Value>> {
    let mut events = controller.all("/api/v1/events?kind=seen")?;
    events.sort_by_key(|event| event["at"].as_i64());
    Ok(events)
}

fn await_seen(controller: &Controller, count: usize) -> Result<Vec<Value>> {
    wait::until(BOUND, &format!("{count} events"), || {
        let events = seen(controller)?;
        ensure!(events.len() == count, "{} events", events.len());
        Ok(events)
    })
}

fn copy(from: &std::path::Path, to: &std::path::Path) -> Result<()> {
    let status =
        std::process::Command::new("cp").arg("--archive").arg("--no-target-directory").args([from, to]).status()?;
    ensure!(status.success(), "copy {} to {}: {status}", from.display(), to.display());
    Ok(())
}
