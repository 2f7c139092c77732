//! A controller that is away for ten minutes: what came and went meanwhile is judged at its own time and pages nobody, what
//! lasts is an incident since when it began.
//!
//! It sleeps nearly all of that time, so it runs beside the others and begins first; `.config/nextest.toml` says how.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchkeep_tests::host::MENDING;
use watchkeep_tests::webhook::Receiver;
use watchkeep_tests::{Controller, Host, Setup, wait};

const SECRET: &str = "a secret of two";
const ALL: &str = "/api/v1/incidents?state=new,acknowledged,in_progress,on_hold,resolved,closed";
const AWAY: Duration = Duration::from_secs(600);
/// Into that time: one disk fills, it has room again, the other one fills and stays so.
const FILLS: Duration = Duration::from_secs(60);
const HAS_ROOM: Duration = Duration::from_secs(240);
const THE_OTHER_FILLS: Duration = Duration::from_secs(300);
/// A report is due so often; a rule sees what happened by then.
const INTERVAL: Duration = Duration::from_secs(5);
/// An agent tries again after a minute at most, and has ten minutes to tell then.
const BACK_WITHIN: Duration = Duration::from_secs(150);
/// A page waits so long for what opens with it.
const GROUP_WAIT: Duration = Duration::from_secs(10);

const RULE: &str = "NearlyFull";
const RULES: &str = "groups:
  - name: disks
    rules:
      - alert: NearlyFull
        expr: node_filesystem_avail_bytes{mountpoint=~\"/srv/(brief|lasting)\"} < 5e6
        labels: {severity: warning}
        incident: {key: [instance, mountpoint], resolve_after: 1s}
";

#[test]
fn what_happened_in_ten_minutes_without_a_controller_is_judged_at_its_own_time_and_pages_nobody() -> Result<()> {
    let host = Host::boot("web-1")?;
    let receiver = Receiver::start(SECRET)?;
    let mut controller = start(&host, &receiver)?;
    let _disks = [host.mount_small("/srv/brief", 16)?, host.mount_small("/srv/lasting", 16)?];
    host.write("/etc/watchkeep/agent.yaml", &format!("interval: {}s\n", INTERVAL.as_secs()))?;
    host.install_agent(&controller.enrolment_token()?, MENDING)?;
    controller.await_agent("web-1")?;

    controller.kill()?;
    let (began, began_at) = (Instant::now(), now_ms());
    sleep_until(began + FILLS);
    fill(&host, "/srv/brief")?;
    sleep_until(began + HAS_ROOM);
    host.run(["rm", "/srv/brief/ballast"])?;
    sleep_until(began + THE_OTHER_FILLS);
    fill(&host, "/srv/lasting")?;
    sleep_until(began + AWAY);
    controller.run()?;

    let past = wait::until(BACK_WITHIN, "the alert of the past in the ledger", || {
        let facts = controller.all("/api/v1/facts?kind=past_alert")?;
        facts.into_iter().next().context("there is none")
    })
    .with_context(|| controller.log())?;
    println!("{past}");
    let fact = &past["fact"];
    ensure!(fact["body"]["fact"]["labels"]["mountpoint"] == "/srv/brief", "another disk: {past}");
    let lasted = fact["body"]["fact"]["lasted"].as_i64().context("how long it fired")?;
    about(lasted, HAS_ROOM - FILLS, "it fired for")?;
    about(
        fact["happened_at"].as_i64().context("when it fired")? - began_at,
        FILLS,
        "it fired, into the time away, at",
    )?;

    let lasting = wait::until(BACK_WITHIN, "the incident of the disk that is still full", || {
        let found = incidents(&controller)?;
        found.into_iter().next().context("there is none")
    })?;
    let id = lasting["id"].as_str().context("an incident has an id")?;
    let lasting = controller.api(&format!("/api/v1/incidents/{id}"))?;
    println!("{lasting}");
    about(lasting["first_seen"].as_i64().context("when it began")? - began_at, THE_OTHER_FILLS, "it began at")?;
    let page = wait::until(GROUP_WAIT + Duration::from_secs(10), "its page", || {
        pages(&receiver)?.into_iter().next().context("there is none")
    })?;
    ensure!(page.contains("/srv/lasting"), "{page}");
    // Whatever else there was to be told of would have been told with it, or after as long a wait.
    wait::throughout(GROUP_WAIT + Duration::from_secs(5), "no incident and no page of the past", || {
        let (incidents, pages) = (incidents(&controller)?, pages(&receiver)?);
        ensure!(incidents.len() == 1 && incidents[0]["id"] == lasting["id"], "{incidents:#?}");
        ensure!(pages.iter().all(|page| !page.contains("/srv/brief")), "{pages:#?}");
        Ok(())
    })
}

/// A controller with the rule, which pages the receiver.
fn start(host: &Host, receiver: &Receiver) -> Result<Controller> {
    let notify = format!("notify:\n  - webhook: {{url: \"{}\", secret_file: webhook.secret}}\n", receiver.url());
    let settings = format!("{notify}settings: {{group_wait: {}}}\n", GROUP_WAIT.as_millis());
    let files = vec![
        ("watchkeep.yaml".to_owned(), settings),
        ("webhook.secret".to_owned(), format!("{SECRET}\n")),
        ("rules/disks.yaml".to_owned(), RULES.to_owned()),
    ];
    Controller::start(Setup { address: host.gateway().into(), files, ..Setup::default() })
}

fn fill(host: &Host, mountpoint: &str) -> Result<()> {
    let to = format!("of={mountpoint}/ballast");
    host.run(["dd", "if=/dev/zero", &to, "bs=1M", "count=12", "conv=fsync", "status=none"]).map(drop)
}

fn sleep_until(instant: Instant) {
    std::thread::sleep(instant.saturating_duration_since(Instant::now()));
}

/// Milliseconds that are `wanted` but for what a report, its reading and a busy machine take.
fn about(found: i64, wanted: Duration, what: &str) -> Result<()> {
    let (wanted, off) = (wanted.as_millis() as i64, 4 * INTERVAL.as_millis() as i64);
    ensure!((found - wanted).abs() <= off, "{what} {found} ms, and not about {wanted} ms");
    Ok(())
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

fn incidents(controller: &Controller) -> Result<Vec<Value>> {
    let all = controller.all(ALL)?.into_iter();
    Ok(all.filter(|incident| incident["rule"] == RULE).collect())
}

/// The pages about disks.
fn pages(receiver: &Receiver) -> Result<Vec<String>> {
    let all = receiver.pages()?.into_iter().map(|page| page.content.to_string());
    Ok(all.filter(|content| content.contains(RULE)).collect())
}
