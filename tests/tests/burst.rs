//! Ten thousand events at once: none is lost, memory stays bounded, and other hosts are not disturbed.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use watchkeep_tests::rulebook::Book;
use watchkeep_tests::{Agent, Controller, Setup, ledger, wait};

const EVENTS: u64 = 10_000;
/// Kinds of trouble that the events are of; each becomes one incident with a count.
const KINDS: u64 = 50;
/// Programs that hand the agent events at the same time.
const SENDERS: u64 = 16;
/// The controller holds no more than this at any time of the burst.
const RESIDENT_BYTES_MAX: u64 = 300 << 20;

const RULES: &str = r#"groups:
  - name: burst
    rules:
      - event: Trouble
        match: '{kind="trouble"}'
        count: 1
        within: 1m
        by: [what]
        clear_after: 1h
        labels: {severity: info}
        annotations: {summary: "trouble {{ $labels.what }}"}
        incident: {key: [alertname, instance, what]}
"#;

#[test]
fn a_burst_of_ten_thousand_events_becomes_counts_and_disturbs_nobody() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let book = Book::new(folder.path())?;
    let mut files = book.configuration();
    files.push(("rules/burst.yaml".to_owned(), RULES.to_owned()));
    let controller = Controller::start(Setup { files, ..Setup::default() })?;
    let noisy = Agent::start("noisy-1", &controller, "allow: []\n")?;
    let _quiet = Agent::start("quiet-1", &controller, "allow: []\n")?;

    let begun = Instant::now();
    let (mut most, noisy) = (0, &noisy);
    std::thread::scope(|scope| -> Result<()> {
        let sending: Vec<_> = (0..SENDERS).map(|sender| scope.spawn(move || send(noisy, sender))).collect();
        wait::until(Duration::from_secs(180), "all events to be counted", || {
            most = most.max(controller.process().resident_bytes()?);
            let quiet = controller.api("/api/v1/agents/quiet-1")?;
            ensure!(quiet["lost"].is_null(), "the quiet host was taken for lost: {quiet}");
            let counted = counted(&controller)?;
            ensure!(counted == EVENTS, "{counted} of {EVENTS} counted");
            Ok(())
        })?;
        sending
            .into_iter()
            .try_for_each(|sending| sending.join().map_err(|_| anyhow!("a thread that sends panicked"))?)
    })?;
    println!("{EVENTS} events counted in {:?}; the controller held {} MiB at most", begun.elapsed(), most >> 20);

    let incidents = incidents(&controller)?;
    ensure!(incidents.len() as u64 == KINDS, "{} incidents, not one a kind: {KINDS}", incidents.len());
    ensure!(most <= RESIDENT_BYTES_MAX, "the controller held {} MiB", most >> 20);
    let facts = ledger::facts(&controller.data())?;
    let lost: Vec<_> = facts.iter().filter(|fact| fact.kind == "agent.lost").collect();
    ensure!(lost.is_empty(), "a host was taken for lost meanwhile: {lost:#?}");
    Ok(())
}

/// A sender's share of the events, as fast as the agent writes them to its disk.
fn send(agent: &Agent, sender: u64) -> Result<()> {
    (sender..EVENTS)
        .step_by(SENDERS as usize)
        .try_for_each(|n| agent.send_directly("trouble", &[("what", &(n % KINDS).to_string())]).map(drop))
}

fn incidents(controller: &Controller) -> Result<Vec<serde_json::Value>> {
    controller.all("/api/v1/incidents?state=new,acknowledged,in_progress,on_hold,resolved,closed,cancelled")
}

fn counted(controller: &Controller) -> Result<u64> {
    let count = |incident: &serde_json::Value| {
        let id = incident["id"].as_str().context("an incident has an id")?;
        controller.api(&format!("/api/v1/incidents/{id}"))?["count"].as_u64().context("an incident has a count")
    };
    incidents(controller)?.iter().map(count).sum()
}
