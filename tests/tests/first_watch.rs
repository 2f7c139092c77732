//! The story that everything is built for: nginx dies on a real Debian host, and is mended.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchkeep_tests::host::MENDING;
use watchkeep_tests::webhook::Receiver;
use watchkeep_tests::{Controller, Host, Setup, ledger, wait};

const SECRET: &str = "a secret of two";
/// What an agent that is linked to its controller by TLS may hold resident: 6 MB.
const AGENT_KIB: u64 = 6_000_000 / 1024;
/// From the kill to the open incident.
const OPEN_WITHIN: Duration = Duration::from_secs(2);

#[test]
fn a_killed_nginx_opens_an_incident_is_restarted_by_a_signed_command_and_the_ledger_tells_it_all() -> Result<()> {
    let host = Host::boot("web-1")?;
    let receiver = Receiver::start(SECRET)?;
    let mut controller = Controller::start(setup(&host, &receiver))?;
    host.install_agent(&controller.enrolment_token()?, MENDING)?;
    controller.await_agent("web-1")?;
    the_cmdb_fills_itself(&controller)?;

    let killed = Instant::now();
    let killed_at = now_ms()?;
    let master = host.run(["cat", "/run/nginx.pid"])?;
    host.run(["kill", "-9", &master])?;
    let incident = await_incident(&controller, "new", Duration::from_secs(10))?;
    let opened_after = incident["opened_at"].as_i64().context("it was opened")? - killed_at;
    println!("kill → incident: {opened_after} ms (seen after {:?})", killed.elapsed());
    ensure!(opened_after <= OPEN_WITHIN.as_millis() as i64, "the incident was opened {opened_after} ms after the kill");
    assert_eq!(incident["rule"], "UnitFailed");
    assert!(incident["title"].as_str().is_some_and(|title| title.contains("nginx.service")), "{incident}");

    wait::until(Duration::from_secs(10), "nginx to run again", || {
        let state = host.exec(["systemctl", "is-active", "nginx"])?;
        ensure!(state.status.success(), "{}", String::from_utf8_lossy(&state.stdout));
        Ok(())
    })?;
    println!("kill → mended: {:?}", killed.elapsed());
    assert_ne!(host.run(["cat", "/run/nginx.pid"])?, master);

    let incident = await_incident(&controller, "resolved", Duration::from_secs(120))?;
    println!("kill → resolved: {:?}", killed.elapsed());
    assert_eq!(incident["resolution"]["code"], "fixed_by_runbook", "{incident}");
    assert_eq!(incident["count"], 1, "{incident}");
    let evidence = &incident["attachments"][0];
    assert!(
        evidence["text"].as_str().is_some_and(|text| text.contains("nginx")),
        "no journal was attached: {evidence}"
    );

    let resident = host.agent_resident_kib()?;
    println!("the agent holds {resident} KiB resident");
    ensure!(resident < AGENT_KIB, "the agent holds {resident} KiB resident");
    the_run_is_a_change(&controller)?;
    one_page_was_sent(&receiver)?;
    why_tells_the_whole_story(&controller)?;
    one_flipped_byte_is_found(&mut controller)
}

fn setup(host: &Host, receiver: &Receiver) -> Setup {
    let settings = format!(
        "packs:\n  - use: systemd\nnotify:\n  - webhook: {{url: \"{}\", secret_file: webhook.secret}}\n",
        receiver.url()
    );
    let files = vec![("watchkeep.yaml".to_owned(), settings), ("webhook.secret".to_owned(), format!("{SECRET}\n"))];
    Setup { address: host.gateway().into(), files, ..Setup::default() }
}

fn the_cmdb_fills_itself(controller: &Controller) -> Result<()> {
    wait::until(Duration::from_secs(60), "host, service, package and endpoint in the CMDB", || {
        let service = ci(controller, "service_unit", "nginx.service")?;
        ci(controller, "host", "web-1")?;
        ci(controller, "software_package", "nginx-light")?;
        let endpoint = ci(controller, "listening_endpoint", ":80")?;
        let of = |ci: &Value| -> Result<Vec<Value>> {
            let id = ci["id"].as_str().context("a CI has an id")?;
            controller.all(&format!("/api/v1/cis/{id}/relations"))
        };
        let (of_service, of_endpoint) = (of(&service)?, of(&endpoint)?);
        related(&of_service, "runs_on", "host")?;
        related(&of_service, "uses", "software_package")?;
        related(&of_service, "contains", "process")?;
        related(&of_endpoint, "listens_on", "process")?;
        related(&of_endpoint, "runs_on", "host")
    })
}

/// The one CI of this class whose name holds `name`.
fn ci(controller: &Controller, class: &str, name: &str) -> Result<Value> {
    let all = controller.all(&format!("/api/v1/cis?class={class}"))?;
    let names: Vec<_> = all.iter().map(|ci| ci["name"].to_string()).collect();
    let found = all.into_iter().find(|ci| ci["name"].as_str().is_some_and(|known| known.contains(name)));
    found.with_context(|| format!("no {class} \"{name}\" among {names:?}"))
}

/// Whether one of these relations is of this kind, with something of this class at its other end.
fn related(relations: &[Value], kind: &str, class: &str) -> Result<()> {
    let found = relations.iter().any(|relation| relation["kind"] == kind && relation["other"]["class"] == class);
    ensure!(found, "no relation {kind} with a {class} among {relations:?}");
    Ok(())
}

fn await_incident(controller: &Controller, state: &str, bound: Duration) -> Result<Value> {
    let path = "/api/v1/incidents?state=new,acknowledged,in_progress,on_hold,resolved,closed";
    let id = wait::until(bound, &format!("one incident that is {state}"), || {
        let incidents = controller.all(path)?;
        ensure!(incidents.len() <= 1, "{} incidents: {incidents:#?}", incidents.len());
        let incident = incidents.first().context("no incident")?;
        ensure!(incident["state"] == state, "it is {}", incident["state"]);
        incident["id"].as_str().map(str::to_owned).context("an incident has an id")
    })?;
    controller.api(&format!("/api/v1/incidents/{id}"))
}

fn the_run_is_a_change(controller: &Controller) -> Result<()> {
    let changes = controller.all("/api/v1/changes")?;
    ensure!(changes.len() == 1, "{} changes: {changes:#?}", changes.len());
    let change = controller.api("/api/v1/changes/CHG-1")?;
    assert_eq!((&change["kind"], &change["template"]), (&"standard".into(), &"restart".into()), "{change}");
    assert_eq!((&change["run"], &change["incident"]), (&"RUN-1".into(), &"INC-1".into()), "{change}");
    let run = controller.api("/api/v1/runs/RUN-1")?;
    assert_eq!(run["state"], "succeeded", "{run}");
    let plan_hash = run["plan_hash"].as_str().context("a run has the hash of its plan")?;
    assert_eq!(plan_hash.len(), 64, "{plan_hash}");
    Ok(())
}

fn one_page_was_sent(receiver: &Receiver) -> Result<()> {
    let opened = wait::until(Duration::from_secs(10), "the page", || {
        let pages = receiver.pages()?;
        let opened: Vec<_> =
            pages.into_iter().filter(|page| page.content.to_string().contains("\"why\":\"opened\"")).collect();
        ensure!(!opened.is_empty(), "none came");
        Ok(opened)
    })?;
    assert_eq!(opened.len(), 1, "{opened:?}");
    assert!(opened[0].content.to_string().contains("INC-1"), "{}", opened[0].content);
    Ok(())
}

fn why_tells_the_whole_story(controller: &Controller) -> Result<()> {
    let run = controller.api("/api/v1/runs/RUN-1")?;
    let plan_hash = run["plan_hash"].as_str().context("a run has the hash of its plan")?;
    let story = controller.ask(&["why", "INC-1"])?;
    println!("{story}");
    let told = [
        "nginx.service failed on web-1 (signal)",
        "by rule UnitFailed",
        "event unit_failed",
        "runbook restart-service",
        &plan_hash[..8],
        "journalctl --unit nginx.service",
        "service nginx.service restarted",
        "policy: policy.yaml:",
        "by agent web-1",
        "the condition that opened the incident is false",
        "resolved as fixed_by_runbook",
    ];
    for word in told {
        ensure!(story.contains(word), "why does not tell of \"{word}\":\n{story}");
    }
    Ok(())
}

fn one_flipped_byte_is_found(controller: &mut Controller) -> Result<()> {
    println!("{}", controller.ask(&["audit", "verify"])?);
    controller.stop()?;
    let data = controller.data();
    let facts = ledger::facts(&data)?;
    let opened = facts.iter().find(|fact| fact.kind == "incident.opened").context("the ledger tells of the opening")?;
    ledger::flip_a_byte(&data, opened)?;

    controller.run()?;
    let output = controller.cli(&["audit", "verify"])?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    assert_eq!(output.status.code(), Some(1), "a flipped byte was not found: {said}");
    assert!(said.contains(&opened.seq.to_string()), "the flipped byte is in fact {}; audit says: {said}", opened.seq);
    Ok(())
}

fn now_ms() -> Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis())?)
}
