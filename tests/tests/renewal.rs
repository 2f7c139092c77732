//! Certificates that run out: agents renew them while the link goes on, and whoever is revoked gets none.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchkeep_tests::{Agent, Controller, Setup, wait};

/// A certificate begins as long before as it lives: a third of it all is left after some three seconds.
const LIFE: &str = "10s";

fn short_lived() -> Result<Controller> {
    Controller::start(Setup { certificate_life: Some(LIFE.to_owned()), ..Setup::default() })
}

/// What the ledger says of the agent, oldest first: the events' names with the whole of each.
fn told(controller: &Controller, agent: &str) -> Result<Vec<(String, Value)>> {
    let facts = controller.all(&format!("/api/v1/facts?subject=agent:{agent}"))?;
    let named = |fact: Value| Some((fact["fact"]["body"]["fact"]["event"].as_str()?.to_owned(), fact));
    Ok(facts.into_iter().filter_map(named).collect())
}

fn count(facts: &[(String, Value)], event: &str) -> usize {
    facts.iter().filter(|(name, _)| name == event).count()
}

#[test]
fn certificates_are_renewed_again_and_again_while_the_link_goes_on() -> Result<()> {
    let controller = short_lived()?;
    let agent = Agent::start("web-1", &controller, "allow: []\n")?;
    let first = std::fs::read(agent.identity().join("cert.pem")).context("read the first certificate")?;
    let key = std::fs::read(agent.identity().join("key.pem")).context("read the first key")?;

    wait::until(Duration::from_secs(60), "three renewals", || {
        let facts = told(&controller, "web-1")?;
        ensure!(count(&facts, "renewed") >= 3, "{facts:?}\n{}", agent.log());
        Ok(())
    })?;
    // Reports come through long after the first certificate was over.
    agent.send_event("after_renewal", &[])?;
    wait::until(Duration::from_secs(20), "the event after the renewals", || {
        let events = controller.all("/api/v1/events")?;
        ensure!(events.iter().any(|event| event.to_string().contains("after_renewal")), "{events:?}");
        Ok(())
    })?;
    let facts = told(&controller, "web-1")?;
    assert_eq!((count(&facts, "enrolled"), count(&facts, "connected"), count(&facts, "lost")), (1, 1, 0), "{facts:?}");
    assert_eq!(count(&facts, "suspicious"), 0, "{facts:?}");
    let in_force = std::fs::read(agent.identity().join("cert.pem")).context("read the certificate")?;
    let its_key = std::fs::read(agent.identity().join("key.pem")).context("read the key")?;
    assert!(in_force != first && its_key != key, "the files are those of the first certificate");
    Ok(())
}

#[test]
fn an_agent_that_was_revoked_is_not_renewed() -> Result<()> {
    let controller = short_lived()?;
    let agent = Agent::start("web-1", &controller, "allow: []\n")?;
    controller.ask(&["agent", "revoke", "web-1", "--note", "stolen"])?;
    let renewed = count(&told(&controller, "web-1")?, "renewed");
    wait::until(Duration::from_secs(30), "the renewal to be refused", || {
        let log = agent.log();
        ensure!(log.contains("the certificate is not renewed") && log.contains("enrol again"), "{log}");
        Ok(())
    })?;
    assert_eq!(count(&told(&controller, "web-1")?, "renewed"), renewed);
    let shown = controller.api("/api/v1/agents/web-1")?;
    assert_eq!(shown["revoked"], Value::Bool(true), "{shown}");
    Ok(())
}
