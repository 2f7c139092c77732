//! What an agent hears of a real host by itself: the kernel's out-of-memory killer, and systemd's signals.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchkeep_tests::host::{MENDING, MemoryLimit};
use watchkeep_tests::{Controller, Host, Setup, wait};

const LIMIT_BYTES: u64 = 20 << 20;
/// From what happened on the host to the time of its event. Asking systemd in turn would take longer.
const HEARD_WITHIN_MS: i64 = 1_000;

fn watched(host: &Host) -> Result<Controller> {
    let controller = Controller::start(Setup { address: host.gateway().into(), ..Setup::default() })?;
    host.install_agent(&controller.enrolment_token()?, MENDING)?;
    controller.await_agent(host.name())?;
    Ok(controller)
}

fn events(controller: &Controller, kind: &str) -> Result<Vec<Value>> {
    let events = controller.all("/api/v1/events")?;
    Ok(events.into_iter().filter(|event| event["labels"]["kind"] == kind).collect())
}

fn await_event(controller: &Controller, kind: &str, unit: Option<&str>) -> Result<Value> {
    wait::until(Duration::from_secs(30), &format!("an event {kind}"), || {
        let found = events(controller, kind)?;
        let of_unit = |event: &&Value| unit.is_none_or(|unit| event["labels"]["unit"] == unit);
        found.iter().find(of_unit).cloned().with_context(|| format!("there are {found:?}"))
    })
}

/// Now by the clock that the host shares with this machine, UTC milliseconds.
fn now_ms() -> Result<i64> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).context("read the clock")?;
    Ok(i64::try_from(since.as_millis())?)
}

#[test]
fn a_process_that_the_kernel_kills_for_want_of_memory_is_an_event() -> Result<()> {
    let host = Host::boot("web-1")?;
    let controller = watched(&host)?;
    assert_eq!(events(&controller, "oom_kill")?, Vec::<Value>::new());

    let limit = MemoryLimit::new(LIMIT_BYTES)?;
    let ended = limit.command(&host, ["tail", "/dev/zero"])?.output().context("run a process that takes all memory")?;
    ensure!(!ended.status.success(), "the kernel let it have its way: {ended:?}");

    let event = await_event(&controller, "oom_kill", None)?;
    assert_eq!(event["labels"]["instance"], "web-1", "{event}");
    assert!(event["text"].as_str().is_some_and(|text| text.contains("for want of memory")), "{event}");
    Ok(())
}

#[test]
fn a_unit_that_fails_and_recovers_is_heard_within_a_second() -> Result<()> {
    let host = Host::boot("web-1")?;
    let controller = watched(&host)?;
    wait::until(Duration::from_secs(60), "the host's services", || {
        let listed = controller.all("/api/v1/cis?class=service_unit")?;
        ensure!(listed.iter().any(|ci| ci.to_string().contains("nginx.service")), "{} are listed", listed.len());
        Ok(())
    })?;
    let master = host.run(["cat", "/run/nginx.pid"])?;
    for (kind, act) in
        [("unit_failed", vec!["kill", "-9", &master]), ("unit_recovered", vec!["systemctl", "restart", "nginx"])]
    {
        let before = now_ms()?;
        host.run(act)?;
        let done = now_ms()?;
        let event = await_event(&controller, kind, Some("nginx.service"))?;
        let at = event["at"].as_i64().context("an event has its time")?;
        ensure!((before..=done + HEARD_WITHIN_MS).contains(&at), "{kind}: {before}..{done}, and {event}");
    }
    Ok(())
}
