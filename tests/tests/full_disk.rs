//! A small filesystem of a real host fills up, is freed, fills again, and is unmounted.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchkeep_tests::host::MENDING;
use watchkeep_tests::{Controller, Host, Setup, wait};

const SMALL: &str = "/srv/small";
/// The pack as it ships, with its waits shortened.
const SETTINGS: &str = "packs:
  - use: linux-host
    overrides:
      FilesystemFillingUp: {for: 2s, keep_firing_for: 0s, resolve_after: 2s}
";

#[test]
fn a_full_filesystem_opens_an_incident_that_ends_when_it_is_freed_or_gone() -> Result<()> {
    let host = Host::boot("web-1")?;
    let files = vec![("watchkeep.yaml".to_owned(), SETTINGS.to_owned())];
    let controller = Controller::start(Setup { address: host.gateway().into(), files, ..Setup::default() })?;
    host.write("/etc/watchkeep/agent.yaml", "interval: 1s\n")?;
    host.install_agent(&controller.enrolment_token()?, MENDING)?;
    controller.await_agent("web-1")?;
    let disk = host.mount_small(SMALL, 16)?;
    println!("{} is mounted on {}", disk.device, disk.mountpoint);
    await_filesystem(&controller)?;

    fill(&host)?;
    let first = await_state(&controller, "new", None)?;
    let incident = controller.api(&format!("/api/v1/incidents/{first}"))?;
    assert_eq!(incident["rule"], "FilesystemFillingUp", "{incident}");
    assert!(incident["title"].as_str().is_some_and(|title| title.contains(SMALL)), "{incident}");
    let ci = incident["ci"].as_str().context("the incident has a CI")?;
    let ci = controller.api(&format!("/api/v1/cis/{ci}"))?;
    assert_eq!((&ci["class"], &ci["name"]), (&"filesystem".into(), &SMALL.into()), "{ci}");

    host.run(["rm", "/srv/small/ballast"])?;
    await_state(&controller, "resolved", Some(&first))?;

    fill(&host)?;
    let second = await_state(&controller, "new", None)?;
    host.run(["umount", SMALL])?;
    await_state(&controller, "resolved", Some(&second))?;
    let story = controller.ask(&["why", &second])?;
    ensure!(story.contains("ended") && story.contains(SMALL), "why does not tell that it was unmounted:\n{story}");
    Ok(())
}

/// A bit of ballast first, so that the forecast has something to go by; then most of the rest.
fn fill(host: &Host) -> Result<()> {
    for megabytes in [2, 4, 6, 8, 13] {
        let count = format!("count={megabytes}");
        host.run(["dd", "if=/dev/zero", "of=/srv/small/ballast", "bs=1M", &count, "conv=fsync", "status=none"])?;
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

/// Waits until the CMDB knows the filesystem; the agent looks once a minute.
fn await_filesystem(controller: &Controller) -> Result<()> {
    wait::until(Duration::from_secs(90), "the filesystem in the CMDB", || {
        let all = controller.all("/api/v1/cis?class=filesystem")?;
        ensure!(all.iter().any(|ci| ci["name"] == SMALL), "there are {:?}", names(&all));
        Ok(())
    })
}

/// The one open (or, with `id`, that one) incident of the rule, once it is in this state.
fn await_state(controller: &Controller, state: &str, id: Option<&str>) -> Result<String> {
    wait::until(Duration::from_secs(60), &format!("an incident that is {state}"), || {
        let all = controller.all("/api/v1/incidents?state=new,acknowledged,in_progress,on_hold,resolved,closed")?;
        let is_it = |incident: &&Value| {
            // The disk of the machine that runs the tests may be nearly full as well.
            incident["rule"] == "FilesystemFillingUp"
                && incident["key"].to_string().contains(SMALL)
                && incident["state"] == state
                && id.is_none_or(|id| incident["id"] == id)
        };
        let found = all.iter().find(is_it).with_context(|| format!("there are {all:#?}"))?;
        Ok(found["id"].as_str().context("an incident has an id")?.to_owned())
    })
}

fn names(cis: &[Value]) -> Vec<&str> {
    cis.iter().filter_map(|ci| ci["name"].as_str()).collect()
}
