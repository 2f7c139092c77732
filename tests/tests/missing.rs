//! Missing is not healthy: silence resolves nothing, and what was late calls nobody.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchkeep_tests::host::MENDING;
use watchkeep_tests::webhook::Receiver;
use watchkeep_tests::{Agent, Controller, Host, Setup, wait};

const SECRET: &str = "a secret of two";
const ALL: &str = "/api/v1/incidents?state=new,acknowledged,in_progress,on_hold,resolved,closed";
/// Reports that are older than 30 s when they come are late: an outage of ten minutes differs in nothing else, as the tests
/// of `detect::metrics` say with times that are handed in.
const AWAY: Duration = Duration::from_secs(40);
/// A page waits so long for what opens with it.
const GROUP_WAIT: Duration = Duration::from_secs(10);

const ALWAYS: &str = "groups:
  - name: always
    rules:
      - alert: MemoryIsThere
        expr: node_memory_MemTotal_bytes > 0
        labels: {severity: info}
        incident: {resolve_after: 1s}
";

const RULE: &str = "NearlyFull";
/// Fills the small disk.
const FILL: [&str; 7] =
    ["dd", "if=/dev/zero", "of=/srv/small/ballast", "bs=1M", "count=12", "conv=fsync", "status=none"];
const NEARLY_FULL: &str = "groups:
  - name: disks
    rules:
      - alert: NearlyFull
        expr: node_filesystem_avail_bytes{mountpoint=\"/srv/small\"} < 5e6
        labels: {severity: warning}
        incident: {key: [instance, mountpoint], resolve_after: 1s}
";

#[test]
fn an_agent_that_ends_while_its_alert_fires_leaves_it_stale() -> Result<()> {
    let files = vec![("rules/always.yaml".to_owned(), ALWAYS.to_owned())];
    let controller = Controller::start(Setup { files, ..Setup::default() })?;
    let mut agent = Agent::start("web-1", &controller, "allow: []\n")?;
    let id = await_incident(&controller, "MemoryIsThere", "new")?;
    standing(&controller, &id, "firing")?;

    agent.kill_agent()?;
    standing(&controller, &id, "stale")?;
    await_incident(&controller, "AgentDown", "new")?;
    wait::throughout(Duration::from_secs(5), "the incident to stay open", || {
        let incident = controller.api(&format!("/api/v1/incidents/{id}"))?;
        ensure!(incident["state"] == "new" && incident["alerts"][0]["standing"] == "stale", "{incident}");
        Ok(())
    })?;

    agent.run_agent()?;
    agent.await_connected(&controller)?;
    standing(&controller, &id, "firing")?;
    let story = controller.ask(&["why", &id])?;
    ensure!(story.contains("data came back, and the alert still fires"), "{story}");
    Ok(())
}

#[test]
fn what_happened_while_the_controller_was_away_is_judged_at_its_own_time_and_pages_nobody() -> Result<()> {
    let host = Host::boot("web-1")?;
    let receiver = Receiver::start(SECRET)?;
    let (url, wait) = (receiver.url(), GROUP_WAIT.as_millis());
    let notify = format!("notify:\n  - webhook: {{url: \"{url}\", secret_file: webhook.secret}}\n");
    let settings = format!("{notify}settings: {{group_wait: {wait}}}\n");
    let files = vec![
        ("watchkeep.yaml".to_owned(), settings),
        ("webhook.secret".to_owned(), format!("{SECRET}\n")),
        ("rules/disks.yaml".to_owned(), NEARLY_FULL.to_owned()),
    ];
    let mut controller = Controller::start(Setup { address: host.gateway().into(), files, ..Setup::default() })?;
    host.write("/etc/watchkeep/agent.yaml", "interval: 1s\n")?;
    let _disk = host.mount_small("/srv/small", 16)?;
    host.install_agent(&controller.enrolment_token()?, MENDING)?;
    controller.await_agent("web-1")?;

    controller.kill()?;
    let seconds = Duration::from_secs;
    std::thread::sleep(seconds(2));
    host.run(FILL)?;
    std::thread::sleep(seconds(6));
    host.run(["rm", "/srv/small/ballast"])?;
    std::thread::sleep(AWAY);
    controller.run()?;
    controller.await_agent("web-1")?;

    let past = wait::until(seconds(60), "the alert of the past in the ledger", || {
        let facts = controller.all("/api/v1/facts?kind=past_alert")?;
        let past = facts.first();
        past.cloned().with_context(|| format!("there are {:?}", kinds(&facts)))
    })?;
    println!("{past}");
    let fact = &past["fact"];
    let lasted = fact["body"]["fact"]["lasted"].as_i64().with_context(|| format!("how long it fired: {past}"))?;
    ensure!((4_000..9_000).contains(&lasted), "it fired for about 6 s, not {lasted} ms");
    wait::throughout(GROUP_WAIT + seconds(5), "no incident and no page", || {
        let incidents = controller.all(ALL)?;
        ensure!(incidents.iter().all(|incident| incident["rule"] != RULE), "{incidents:#?}");
        let pages = pages(&receiver)?;
        ensure!(pages.is_empty(), "{pages:#?}");
        Ok(())
    })?;

    // Whoever looked that long would have seen a page: the same in the present brings one.
    host.run(FILL)?;
    await_incident(&controller, RULE, "new")?;
    let look = GROUP_WAIT + seconds(5);
    wait::until(look, "the page of a disk that is full now", || {
        pages(&receiver)?.first().context("there is none").map(drop)
    })
}

/// The pages about the disk.
fn pages(receiver: &Receiver) -> Result<Vec<String>> {
    let all = receiver.pages()?.into_iter().map(|page| page.content.to_string());
    Ok(all.filter(|content| content.contains(RULE)).collect())
}

/// Waits for how the first alert of an incident stands.
fn standing(controller: &Controller, id: &str, wanted: &str) -> Result<()> {
    wait::until(Duration::from_secs(30), &format!("the alert of {id} to be {wanted}"), || {
        let incident = controller.api(&format!("/api/v1/incidents/{id}"))?;
        ensure!(incident["alerts"][0]["standing"] == wanted, "{incident}");
        Ok(())
    })
}

fn await_incident(controller: &Controller, rule: &str, state: &str) -> Result<String> {
    wait::until(Duration::from_secs(30), &format!("an incident of {rule} that is {state}"), || {
        let all = controller.all(ALL)?;
        let found = all.iter().find(|incident| incident["rule"] == rule && incident["state"] == state);
        let found = found.with_context(|| format!("there are {all:#?}"))?;
        Ok(found["id"].as_str().context("an incident has an id")?.to_owned())
    })
}

fn kinds(facts: &[Value]) -> Vec<String> {
    facts.iter().map(|fact| fact["kind"].to_string()).collect()
}
