//! A package is upgraded on three of ten simulated hosts and fails there: one problem, which names the upgrade, and one page.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchkeep_tests::fleet::program::Fleet;
use watchkeep_tests::webhook::Receiver;
use watchkeep_tests::{Controller, Setup, wait};

const SECRET: &str = "a secret of two";
const INCIDENTS: &str = "/api/v1/incidents?state=new,acknowledged,in_progress,on_hold,resolved,closed,cancelled";
const PROBLEMS: &str = "/api/v1/problems?state=new,investigating,known_error,fix_in_progress,resolved,closed,cancelled";
const BOUND: Duration = Duration::from_secs(90);

/// A host's life in this story: an upgrade of the first three after eight seconds, and five seconds later the failures.
const LIFE: [&str; 12] = [
    "--interval",
    "1",
    "--upgrade",
    "shop=2.0-1",
    "--upgrade-hosts",
    "1-3",
    "--upgrade-at",
    "8",
    "--break-at",
    "13",
    "--break",
    "shop.service",
];

const RULES: &str = r#"groups:
  - name: services
    rules:
      - event: ServiceFailed
        match: '{kind="unit_failed", unit=~".*\\.service"}'
        by: [instance, unit]
        clear: '{kind="unit_recovered"}'
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.unit }} failed on {{ $labels.instance }}"}
        incident:
          key: [alertname, instance, unit]
          ci: {class: service_unit, instance: $labels.instance, name: $labels.unit}
          resolve_after: 2s
"#;

/// A controller with a webhook, and ten hosts of which some fail.
struct Story {
    receiver: Receiver,
    controller: Controller,
    fleet: Fleet,
}

impl Story {
    fn begin(failing: &str, length: &str) -> Result<Self> {
        let receiver = Receiver::start(SECRET)?;
        let settings = format!("notify:\n  - webhook: {{url: \"{}\", secret_file: webhook.secret}}\n", receiver.url());
        let files = vec![
            ("watchkeep.yaml".to_owned(), settings),
            ("webhook.secret".to_owned(), format!("{SECRET}\n")),
            ("rules/services.yaml".to_owned(), RULES.to_owned()),
        ];
        let controller = Controller::start(Setup { files, ..Setup::default() })?;
        let options: Vec<&str> = LIFE.into_iter().chain(["--break-hosts", failing, "--break-for", length]).collect();
        let fleet = Fleet::start(&controller, 10, &options)?;
        Ok(Self { receiver, controller, fleet })
    }

    /// Waits until these hosts' services have failed; their incidents by id.
    fn failures_of(&mut self, hosts: [&str; 3]) -> Result<BTreeSet<String>> {
        wait::until(BOUND, &format!("incidents of {hosts:?}"), || {
            self.fleet.ensure_runs()?;
            let incidents = self.controller.all(INCIDENTS)?;
            let expected = hosts.map(|host| format!("shop.service failed on {host}"));
            let found: BTreeSet<&str> = incidents.iter().filter_map(|incident| incident["title"].as_str()).collect();
            ensure!(found == expected.iter().map(String::as_str).collect(), "there are {found:?}");
            Ok(ids(&incidents))
        })
    }

    /// What people were told: why, and of what.
    fn pages(&self) -> Result<Vec<(String, String)>> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let pages = self.receiver.pages()?;
        Ok(pages.iter().map(|page| (text(&page.content["why"]), text(&page.content["content"]["number"]))).collect())
    }

    fn problem(&self, id: &str) -> Result<Value> {
        self.controller.api(&format!("/api/v1/problems/{id}"))
    }
}

fn members(problem: &Value) -> BTreeSet<String> {
    let incidents = problem["incidents"].as_array().into_iter().flatten();
    incidents.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn ids(items: &[Value]) -> BTreeSet<String> {
    items.iter().filter_map(|item| item["id"].as_str()).map(str::to_owned).collect()
}

#[test]
fn an_upgrade_that_fails_on_three_of_ten_hosts_is_one_problem_that_names_it_and_one_page() -> Result<()> {
    let mut story = Story::begin("1-3", "25")?;
    let incidents = story.failures_of(["sim-1", "sim-2", "sim-3"])?;

    let problem = wait::until(BOUND, "one problem that names the upgrade", || the_problem(&story, &incidents))?;
    let opened = ("opened".to_owned(), problem.clone());
    wait::until(BOUND, "the page of the problem", || {
        let pages = story.pages()?;
        ensure!(pages == [opened.clone()], "the pages are {pages:?}");
        Ok(())
    })?;
    println!("{}", story.controller.ask(&["problem", "show", &problem])?);

    // The services are mended.
    wait::until(BOUND, "everything to be resolved", || {
        let incidents = story.controller.all(INCIDENTS)?;
        let open: Vec<_> = incidents.iter().filter(|incident| incident["state"] != "resolved").collect();
        ensure!(open.is_empty(), "{open:#?}");
        let problem = story.problem(&problem)?;
        ensure!(problem["state"] == "resolved", "the problem is {}", problem["state"]);
        let pages = story.pages()?;
        ensure!(pages.len() == 2, "the pages are {pages:?}");
        Ok(())
    })?;
    ensure!(story.pages()? == [opened, ("resolved".to_owned(), problem.clone())], "{:?}", story.pages()?);
    // Nothing else came of it meanwhile.
    ensure!(ids(&story.controller.all(INCIDENTS)?) == incidents);
    ensure!(ids(&story.controller.all(PROBLEMS)?) == BTreeSet::from([problem]));
    story.fleet.stop().map(drop)
}

/// The one problem, with these incidents and no others, whose likeliest cause is the upgrade.
fn the_problem(story: &Story, incidents: &BTreeSet<String>) -> Result<String> {
    let problems = story.controller.all(PROBLEMS)?;
    ensure!(problems.len() == 1, "{} problems: {problems:#?}", problems.len());
    let id = problems[0]["id"].as_str().context("a problem has an id")?;
    let problem = story.problem(id)?;
    ensure!(members(&problem) == *incidents, "it holds {:?} of {incidents:?}", members(&problem));
    let first = &problem["candidates"][0];
    ensure!(first["change"] == "package shop 1.0-1→2.0-1", "its first candidate is {first:#}");
    ensure!(problem["title"] == "Several failures after package shop 1.0-1→2.0-1", "it is called {}", problem["title"]);
    let reasons = first["reasons"].to_string();
    for part in ["3 of 3 incidents saw it: ", " before the first failure, to 3 of 10 hosts"] {
        ensure!(reasons.contains(part), "\"{part}\" is not among the reasons: {reasons}");
    }
    Ok(id.to_owned())
}

#[test]
fn the_same_failures_on_three_other_hosts_are_not_laid_to_the_upgrade() -> Result<()> {
    let mut story = Story::begin("4-6", "60")?;
    let incidents = story.failures_of(["sim-4", "sim-5", "sim-6"])?;
    wait::until(BOUND, "people to be told of every failure", || {
        let told: BTreeSet<String> = story.pages()?.into_iter().map(|(_, number)| number).collect();
        let mut of_told = told.clone();
        for problem in told.iter().filter(|number| number.starts_with("PRB-")) {
            of_told.extend(members(&story.problem(problem)?));
        }
        ensure!(incidents.is_subset(&of_told), "people were told of {told:?}, and so of {of_told:?}");
        Ok(())
    })?;
    let upgraded = story.controller.all("/api/v1/cis?class=software_package&search=shop")?;
    let with_new = upgraded.iter().filter(|ci| ci.to_string().contains("2.0-1")).count();
    ensure!(with_new == 3, "the upgrade was seen on {with_new} hosts");
    for problem in story.controller.all(PROBLEMS)? {
        let problem = story.problem(problem["id"].as_str().context("a problem has an id")?)?;
        let changes: Vec<&Value> = problem["candidates"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|candidate| !candidate["change"].is_null())
            .collect();
        ensure!(changes.is_empty(), "{} is laid to {changes:#?}", problem["id"]);
        println!("{}: {}", problem["id"], problem["title"]);
    }
    story.fleet.stop().map(drop)
}
