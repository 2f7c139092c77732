//! Missing is not healthy: silence resolves nothing.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use watchkeep_tests::{Agent, Controller, Setup, wait};

const ALL: &str = "/api/v1/incidents?state=new,acknowledged,in_progress,on_hold,resolved,closed";

const ALWAYS: &str = "groups:
  - name: always
    rules:
      - alert: MemoryIsThere
        expr: node_memory_MemTotal_bytes > 0
        labels: {severity: info}
        incident: {resolve_after: 1s}
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
