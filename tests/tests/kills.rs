//! The controller dies at any moment; nothing is lost, nothing is doubled, no step runs twice.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use watchkeep::store::testing::Cluster;
use watchkeep_tests::chance::Chance;
use watchkeep_tests::rulebook::{Book, ORDERED};
use watchkeep_tests::{Agent, Controller, Setup, ledger, wait};

const KILLS: u32 = 20;

#[test]
fn a_controller_killed_at_random_moments_loses_nothing_and_doubles_nothing() -> Result<()> {
    let controller = kill_again_and_again(90, None, &|| Ok(()))?;
    let ordinals = ledger::facts(&controller.data())?;
    assert!(ordinals.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1), "the chain has a gap");
    Ok(())
}

/// The same on PostgreSQL, whose connections break as well; what was stored is then decided again from the inputs.
#[test]
fn a_controller_on_postgresql_killed_at_random_moments_loses_nothing_and_doubles_nothing() -> Result<()> {
    let cluster = Cluster::start().map_err(anyhow::Error::msg)?;
    let database = cluster.database("watchkeep").map_err(anyhow::Error::msg)?;
    let cut = || cluster.cut("watchkeep").map_err(anyhow::Error::msg);
    let controller = kill_again_and_again(40, Some(database.clone()), &cut)?;
    let data = controller.data().display().to_string();
    ensure!(!controller.data().join("watchkeep.db").exists(), "it kept something in SQLite");
    let told = controller.ask(&["replay", "--data", &data, "--database", &database])?;
    assert!(told.contains("the replay agrees"), "{told}");
    let walked = controller.ask(&["audit", "verify", "--data", &data, "--database", &database])?;
    assert!(walked.contains("holds"), "{walked}");
    Ok(())
}

/// Events all the time, twenty kills, each after `trouble` of another kind, and what must hold after. The controller is
/// stopped then. `most` events are sent: a host takes 100 runs that wait, and what comes beyond is an incident without one.
fn kill_again_and_again(most: u32, database: Option<String>, trouble: &dyn Fn() -> Result<()>) -> Result<Controller> {
    let folder = tempfile::tempdir()?;
    let book = Book::new(folder.path())?;
    let mut controller = Controller::start(Setup { files: book.configuration(), database, ..Setup::default() })?;
    let agent = Agent::start("web-1", &controller, &book.policy())?;
    let mut chance = Chance::of_today();

    let (stop, sent) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| -> Result<()> {
        let sending = scope.spawn(|| send_orders(&agent, most, &stop, &sent));
        let killed = (0..KILLS).try_for_each(|_| {
            std::thread::sleep(chance.between(Duration::from_millis(20), Duration::from_millis(600)));
            trouble()?;
            std::thread::sleep(chance.between(Duration::ZERO, Duration::from_millis(600)));
            controller.kill()?;
            controller.run()
        });
        stop.store(true, Ordering::SeqCst);
        sending.join().map_err(|_| anyhow::anyhow!("the thread that sends panicked"))??;
        killed
    })?;
    let sent = sent.load(Ordering::SeqCst);
    println!("{sent} events while the controller was killed {KILLS} times");

    wait::until(Duration::from_secs(90), "every run to end", || {
        let written = book.written()?.len();
        if written < sent as usize {
            let known = book.written()?;
            let missing: Vec<_> = (1..=sent).map(|number| number.to_string()).filter(|n| !known.contains(n)).collect();
            let runs = controller.all("/api/v1/runs")?.len();
            bail!("{written} of {sent} written down in {runs} runs, missing {missing:?}");
        }
        let runs = controller.all("/api/v1/runs")?;
        let others: Vec<_> = runs.iter().filter(|run| run["state"] != "succeeded").collect();
        ensure!(others.is_empty(), "{} runs have not succeeded, the first: {}", others.len(), others[0]);
        Ok(())
    })
    .with_context(|| format!("the controller's log:\n{}\nthe agent's:\n{}", controller.log(), agent.log()))?;
    every_number_stands_once(book.written()?, sent)?;
    every_order_is_one_incident(&controller, sent)?;
    assert!(controller.ask(&["audit", "verify"])?.contains("holds"));
    controller.stop()?;
    Ok(controller)
}

/// One event after the other until `stop`, `most` at most; each must be taken by the agent, whatever the controller does.
fn send_orders(agent: &Agent, most: u32, stop: &AtomicBool, sent: &AtomicU32) -> Result<()> {
    while !stop.load(Ordering::SeqCst) && sent.load(Ordering::SeqCst) < most {
        let number = sent.load(Ordering::SeqCst) + 1;
        agent.send_event(ORDERED, &[("number", &number.to_string())])?;
        sent.store(number, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn every_number_stands_once(written: Vec<String>, sent: u32) -> Result<()> {
    let mut times: BTreeMap<u32, u32> = (1..=sent).map(|number| (number, 0)).collect();
    for number in &written {
        *times.entry(number.parse()?).or_default() += 1;
    }
    let wrong: Vec<_> = times.iter().filter(|(_, times)| **times != 1).collect();
    ensure!(wrong.is_empty(), "(number, times written down): {wrong:?}");
    Ok(())
}

fn every_order_is_one_incident(controller: &Controller, sent: u32) -> Result<()> {
    let all = "/api/v1/incidents?state=new,acknowledged,in_progress,on_hold,resolved,closed,cancelled";
    let incidents = controller.all(all)?;
    let titles: Vec<_> = incidents.iter().map(|incident| incident["title"].as_str().unwrap_or_default()).collect();
    for number in 1..=sent {
        let title = format!("order {number}");
        let found: Vec<_> = incidents.iter().filter(|incident| incident["title"] == title.as_str()).collect();
        ensure!(found.len() == 1, "{} incidents \"{title}\" among {titles:?}", found.len());
        let path = format!("/api/v1/incidents/{}", found[0]["id"].as_str().unwrap_or_default());
        let count = controller.api(&path)?["count"].as_u64().context("an incident has a count")?;
        ensure!(count == 1, "\"{title}\" was counted {count} times");
    }
    ensure!(incidents.len() == sent as usize, "{} incidents of {sent} events: {titles:?}", incidents.len());
    Ok(())
}
