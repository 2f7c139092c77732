//! A database's host loses its power: the application on another host fails with it, and people are told once.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchkeep_tests::host::{Cable, MENDING};
use watchkeep_tests::webhook::Receiver;
use watchkeep_tests::{Controller, Host, Setup, wait};

const SECRET: &str = "a secret of two";
const OPEN: &str = "/api/v1/incidents?state=new,acknowledged,in_progress,on_hold";

/// The application: it holds a connection to its database, asks it every second, and gives up without an answer. systemd
/// starts it again and again.
const SHOP: &str = r#"[Unit]
Description=A shop over a database on another host
StartLimitIntervalSec=0
[Service]
ExecStart=/bin/sh -c 'redis-cli -h DATABASE SUBSCRIBE orders >/dev/null & while timeout 2 redis-cli -h DATABASE PING >/dev/null; do sleep 1; done; kill $!; exit 1'
Restart=always
RestartSec=2s
[Install]
WantedBy=multi-user.target
"#;

/// On every address: that of the cable comes after the power does.
const REDIS: &str = "bind 0.0.0.0\nprotected-mode no\nsupervised systemd\ndir /var/lib/redis\nsave \"\"\n";

const RULES: &str = r#"groups:
  - name: shop
    rules:
      - alert: ShopDown
        expr: node_systemd_unit_state{name="shop.service", state="active"} == 0
        for: 3s
        labels: {severity: critical}
        annotations: {summary: "the shop on {{ $labels.instance }} is down"}
        incident:
          ci: {class: service_unit, instance: $labels.instance, name: $labels.name}
          resolve_after: 2s
"#;

#[test]
fn a_power_cut_of_the_database_is_one_problem_and_one_page() -> Result<()> {
    let (mut database, shop) = (Host::boot("db-1")?, Host::boot("shop-1")?);
    let receiver = Receiver::start(SECRET)?;
    let controller = Controller::start(setup(&shop, &receiver))?;
    for host in [&database, &shop] {
        host.write("/etc/watchkeep/agent.yaml", "interval: 1s\n")?;
    }
    let cable = Cable::lay(&database, &shop, 1)?;
    database.write("/etc/redis/redis.conf", REDIS)?;
    database.run(["systemctl", "restart", "redis-server"])?;
    shop.write("/etc/systemd/system/shop.service", &SHOP.replace("DATABASE", &cable.first.to_string()))?;
    shop.run(["systemctl", "enable", "--now", "shop.service"])?;
    for host in [&database, &shop] {
        host.install_agent(&controller.enrolment_token()?, MENDING)?;
        controller.await_agent(host.name())?;
    }
    the_dependency_is_seen(&controller)?;
    ensure!(controller.all(OPEN)?.is_empty(), "nothing is wrong yet: {:#?}", controller.all(OPEN)?);

    // The link first: a host without power sends no goodbye.
    database.link().cut()?;
    database.power_cut()?;
    let problem = one_problem_names_the_database(&controller)?;
    println!("{}", controller.ask(&["problem", "show", &problem])?);

    database.power_on()?;
    Cable::lay(&database, &shop, 1)?;
    wait::until(Duration::from_secs(120), "everything to be resolved", || {
        let open = controller.all(OPEN)?;
        ensure!(open.is_empty(), "{} are open: {:?}", open.len(), titles(&open));
        let problem = controller.api(&format!("/api/v1/problems/{problem}"))?;
        ensure!(problem["state"] == "resolved", "the problem is {}", problem["state"]);
        Ok(())
    })?;
    println!("{}", controller.ask(&["why", &problem])?);
    one_page_was_sent(&receiver, &problem)
}

fn setup(shop: &Host, receiver: &Receiver) -> Setup {
    let settings = format!(
        "packs:\n  - use: systemd\nnotify:\n  - webhook: {{url: \"{}\", secret_file: webhook.secret}}\n",
        receiver.url()
    );
    let files = vec![
        ("watchkeep.yaml".to_owned(), settings),
        ("webhook.secret".to_owned(), format!("{SECRET}\n")),
        ("rules/shop.yaml".to_owned(), RULES.to_owned()),
    ];
    // Both reach every address of this machine, and this one stays when the database has no power.
    Setup { address: shop.gateway().into(), files, ..Setup::default() }
}

/// The sockets seen on both ends have become a dependency between the two services.
fn the_dependency_is_seen(controller: &Controller) -> Result<()> {
    wait::until(Duration::from_secs(150), "the shop to depend on the database in the CMDB", || {
        let units = controller.all("/api/v1/cis?class=service_unit")?;
        let shop = units.iter().find(|ci| ci["name"] == "shop.service").context("the shop is not there")?;
        let id = shop["id"].as_str().context("a CI has an id")?;
        let relations = controller.all(&format!("/api/v1/cis/{id}/relations"))?;
        let depends = relations.iter().any(|relation| {
            relation["kind"] == "depends_on" && relation["other"]["name"].to_string().contains("redis-server")
        });
        ensure!(depends, "its relations are {relations:#?}");
        Ok(())
    })
}

/// Two incidents or more, one problem over them, and its first candidate is the database's host or what runs there.
fn one_problem_names_the_database(controller: &Controller) -> Result<String> {
    wait::until(Duration::from_secs(120), "one problem over two incidents", || {
        let open = controller.all(OPEN)?;
        ensure!(open.len() >= 2, "{} incidents: {:?}", open.len(), titles(&open));
        let problems = controller.all("/api/v1/problems")?;
        ensure!(problems.len() == 1, "{} problems: {problems:#?}", problems.len());
        let id = problems[0]["id"].as_str().context("a problem has an id")?;
        let problem = controller.api(&format!("/api/v1/problems/{id}"))?;
        let incidents = problem["incidents"].as_array().context("a problem lists its incidents")?;
        ensure!(incidents.len() == open.len(), "it has {incidents:?} of {:?}", titles(&open));
        let first = problem["candidates"][0].to_string();
        ensure!(first.contains("db-1") || first.contains("redis"), "its first candidate is {first}");
        let reasons = problem["candidates"][0]["reasons"].as_array().context("a candidate has reasons")?;
        ensure!(!reasons.is_empty(), "a candidate without reasons: {first}");
        Ok(id.to_owned())
    })
}

/// One page says that something is wrong, and it is of the problem; the other says that it is over.
fn one_page_was_sent(receiver: &Receiver, problem: &str) -> Result<()> {
    let said = |why: &str| format!("\"why\":\"{why}\"");
    let pages = wait::until(Duration::from_secs(30), "the news that it is over", || {
        let pages: Vec<String> = receiver.pages()?.iter().map(|page| page.content.to_string()).collect();
        ensure!(pages.iter().any(|page| page.contains(&said("resolved"))), "there are {pages:#?}");
        Ok(pages)
    })?;
    let opened: Vec<&String> = pages.iter().filter(|page| page.contains(&said("opened"))).collect();
    ensure!(opened.len() == 1, "{} pages that something is wrong: {pages:#?}", opened.len());
    ensure!(opened[0].contains(problem), "it is not of {problem}: {}", opened[0]);
    ensure!(pages.len() == 2, "nobody is told more than twice: {pages:#?}");
    Ok(())
}

fn titles(incidents: &[Value]) -> Vec<String> {
    incidents.iter().map(|incident| incident["title"].to_string()).collect()
}
