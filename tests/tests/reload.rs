//! A configuration is taken up whole or not at all.

use std::time::Duration;

use anyhow::{Result, ensure};
use watchkeep_tests::rulebook::{Book, ORDERED};
use watchkeep_tests::{Agent, Controller, Setup, wait};

const BOUND: Duration = Duration::from_secs(20);

/// A fault, the file it is in, and where and how it must be told.
struct Fault {
    path: &'static str,
    content: &'static str,
    told: &'static [&'static str],
}

const FAULTS: [Fault; 3] = [
    Fault {
        path: "rules/bad.yaml",
        content: "groups:\n  - name: bad\n    rules:\n      - event: Bad\n        match: '{kind=\"x\"}'\n        witin: 1m\n",
        told: &["rules/bad.yaml:6:9", "witin", "within"],
    },
    Fault {
        path: "runbooks/bad.yaml",
        content: "runbook: bad\ntitle: Bad\nsteps:\n  - name: Run\n    run: [echo, \"{{ nobody }}\"]\n",
        told: &["runbooks/bad.yaml:5", "nobody"],
    },
    Fault {
        path: "watchkeep.yaml",
        content: "packs:\n  - use: sistemd\n",
        told: &["watchkeep.yaml", "sistemd", "systemd"],
    },
];

#[test]
fn a_bad_file_is_refused_with_its_place_while_the_old_generation_runs_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let book = Book::new(folder.path())?;
    let controller = Controller::start(Setup { files: book.configuration(), ..Setup::default() })?;
    let agent = Agent::start("web-1", &controller, &book.policy())?;
    for (number, fault) in FAULTS.iter().enumerate() {
        controller.configure(fault.path, fault.content)?;
        let output = controller.cli(&["reload"])?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(1), "reload with {} ended with {}: {said}", fault.path, output.status);
        for word in fault.told {
            ensure!(said.contains(word), "{} was refused without \"{word}\": {said}", fault.path);
        }
        std::fs::remove_file(controller.data().join("config").join(fault.path))?;

        agent.send_event(ORDERED, &[("number", &number.to_string())])?;
        wait::until(BOUND, "the old rules to go on", || {
            let written = book.written()?;
            ensure!(written.len() == number + 1, "written down: {written:?}");
            Ok(())
        })?;
    }
    Ok(())
}

const LASTING: &str = r#"groups:
  - name: lasting
    rules:
      - event: Lasting
        match: '{kind="began"}'
        count: 1
        within: 1m
        by: [what]
        clear: '{kind="ended"}'
        labels: {severity: warning}
        incident: {key: [alertname, instance, what], resolve_after: 1s}
"#;

#[test]
fn a_good_file_is_taken_up_without_losing_what_fires() -> Result<()> {
    let controller =
        Controller::start(Setup { files: vec![("rules/lasting.yaml".into(), LASTING.into())], ..Setup::default() })?;
    let agent = Agent::start("web-1", &controller, "allow: []\n")?;
    agent.send_event("began", &[("what", "it")])?;
    await_state(&controller, "new")?;

    let book_folder = tempfile::tempdir()?;
    let book = Book::new(book_folder.path())?;
    for (path, content) in book.configuration() {
        controller.configure(&path, &content)?;
    }
    let said = controller.ask(&["reload"])?;
    assert!(said.contains("in force"), "{said}");

    // The alert from before the reload is still known: its end resolves the incident, and it was not opened twice.
    await_state(&controller, "new")?;
    agent.send_event("ended", &[("what", "it")])?;
    await_state(&controller, "resolved")
}

const TEXTS: &str = r#"groups:
  - name: texts
    rules:
      - alert: Loaded
        expr: node_load1 >= 0
        annotations: {summary: 'see {{ $externalURL }}/load of {{ $externalLabels.site }}'}
      - event: Asked
        match: '{kind="asked"}'
        clear_after: 1h
        annotations: {summary: 'see {{ $externalURL }}/asked of {{ $externalLabels.site }}'}
"#;

#[test]
fn alerts_say_where_people_reach_the_installation_and_a_reload_changes_it() -> Result<()> {
    let settings = |host: &str| format!("external_url: https://{host}/\nexternal_labels: {{site: fra1}}\n");
    let files = vec![("rules/texts.yaml".into(), TEXTS.into()), ("watchkeep.yaml".into(), settings("one.example"))];
    let controller = Controller::start(Setup { files, ..Setup::default() })?;
    let agent = Agent::start("web-1", &controller, "allow: []\n")?;
    await_title(&controller, "see https://one.example/load of fra1")?;

    controller.configure("watchkeep.yaml", &settings("two.example"))?;
    controller.ask(&["reload"])?;
    agent.send_event("asked", &[])?;
    await_title(&controller, "see https://two.example/asked of fra1")
}

/// Waits until an incident has this title.
fn await_title(controller: &Controller, title: &str) -> Result<()> {
    wait::until(BOUND, &format!("an incident \"{title}\""), || {
        let incidents = controller.all("/api/v1/incidents")?;
        let titles: Vec<_> = incidents.iter().filter_map(|incident| incident["title"].as_str()).collect();
        ensure!(titles.contains(&title), "{titles:?}");
        Ok(())
    })
}

/// Waits until there is one incident, in this state.
fn await_state(controller: &Controller, state: &str) -> Result<()> {
    wait::until(BOUND, &format!("one incident that is {state}"), || {
        let incidents = controller.all("/api/v1/incidents?state=new,acknowledged,in_progress,resolved")?;
        let states: Vec<_> = incidents.iter().map(|incident| incident["state"].as_str()).collect();
        ensure!(states == [Some(state)], "{states:?}");
        Ok(())
    })
}
