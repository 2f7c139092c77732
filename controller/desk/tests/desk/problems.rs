//! Incidents with a common cause become one problem, and people are paged once for it.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_desk::ids::{IncidentId, ProblemId};
use watchkeep_desk::input::{AlertChange, AlertState, FoundItem, Fragment};
use watchkeep_desk::problems::Problem;
use watchkeep_desk::{Config, InputBody, Millis, Record};

use crate::bench::{Bench, MINUTE, RULES, SECOND, config, labels, unit_failed};

mod assigned;
mod pages;
mod power_cut;
mod silenced;
mod taken_up;
mod together;

/// Rules without runbook, pages waiting as by default.
fn quiet() -> Config {
    let rules = RULES.split("        runbook:").next().expect("the rules have a runbook");
    let mut config = config(rules, &[]);
    config.settings.group_wait = 10 * SECOND;
    config
}

fn item(class: &str, key: &str, attributes: &[(&str, &str)], relations: &[(&str, &str, &str)]) -> FoundItem {
    let relations = relations.iter().map(|(kind, class, key)| (kind.to_string(), class.to_string(), key.to_string()));
    let (class, key) = (class.to_owned(), key.to_owned());
    FoundItem { class, key, attributes: labels(attributes), relations: relations.collect() }
}

impl Bench {
    fn found(&mut self, host: &str, section: &str, items: Vec<FoundItem>) {
        let (agent, section, happened_at) = (host.to_owned(), section.to_owned(), Millis(self.at));
        let fragment = Fragment { agent, section, whole: true, items, gone: Vec::new(), happened_at };
        self.feed(InputBody::Inventory(fragment));
    }

    /// A host with its own address and a unit `app.service`.
    fn host(&mut self, name: &str, number: usize) {
        self.enrol(name);
        let address = format!("10.0.{number}.1");
        self.found(name, "interface", vec![item("network_interface", "eth0", &[("addresses", &address)], &[])]);
        let machine = format!("{number:032x}");
        self.found(name, "host", vec![item("host", name, &[("hostname", name), ("machine_id", &machine)], &[])]);
        let unit = |key: &str| item("service_unit", key, &[("active_state", "active")], &[]);
        self.found(name, "service", vec![unit("app.service"), unit("db.service"), unit("cron.service")]);
    }

    fn package(&mut self, host: &str, version: &str) {
        self.found(host, "package", vec![item("software_package", "shop-app", &[("version", version)], &[])]);
    }

    /// The alert that nobody hears from an agent any more.
    fn agent_down(&mut self, host: &str, state: AlertState) {
        self.host_alert("AgentDown", host, state);
    }

    /// An alert about a host itself.
    fn host_alert(&mut self, rule: &str, host: &str, state: AlertState) {
        let labels = labels(&[("alertname", rule), ("instance", host), ("severity", "critical")]);
        let summary = BTreeMap::from([("summary".to_owned(), format!("{rule} on {host}"))]);
        let alert = AlertChange {
            rule: rule.to_owned(),
            labels,
            annotations: summary,
            happened_at: Millis(self.at),
            ..unit_failed(host, "", state)
        };
        self.feed(InputBody::Alert(alert));
    }

    fn problem(&self, number: u64) -> Problem {
        match self.records.get(&("problem", ProblemId(number).to_string())) {
            Some(Record::Problem(problem)) => problem.clone(),
            _ => panic!("no PRB-{number}"),
        }
    }

    /// Problems that are not merged away or cancelled, as sets of incidents by key.
    fn sets(&self) -> BTreeSet<BTreeSet<String>> {
        let live = self.desk.problems().filter(|problem| problem.incidents.len() > 1);
        let key = |id: &IncidentId| self.desk.incident(*id).expect("it is held").key.to_string();
        live.map(|problem| problem.incidents.iter().map(key).collect()).collect()
    }

    /// What people were told, each with what it is about.
    fn pages(&self) -> Vec<String> {
        let number = |content: &serde_json::Value| content["number"].as_str().unwrap_or_default().to_owned();
        self.notices.iter().map(|notice| format!("{} {}", notice.why, number(&notice.content))).collect()
    }
}

fn members(problem: &Problem) -> Vec<String> {
    problem.incidents.iter().map(ToString::to_string).collect()
}

fn ids(numbers: &[u64]) -> Vec<IncidentId> {
    numbers.iter().copied().map(IncidentId).collect()
}

/// `app-1` runs app.service, which has a connection to the database that `db-1` listens with.
fn shop() -> Bench {
    let mut bench = Bench::new(quiet());
    bench.host("db-1", 1);
    bench.host("app-1", 2);
    let process = |key: &str, unit: &str| item("process", key, &[("name", key)], &[("contains", "service_unit", unit)]);
    let mut server = process("/usr/bin/postgres@db.service", "db.service");
    let endpoint = "tcp/10.0.1.1:5432";
    server.relations.push(("listens_on".to_owned(), "listening_endpoint".to_owned(), endpoint.to_owned()));
    let at = [("protocol", "tcp"), ("address", "10.0.1.1"), ("port", "5432")];
    bench.found("db-1", "listener", vec![server, item("listening_endpoint", endpoint, &at, &[])]);
    bench.found("app-1", "listener", vec![process("/usr/bin/app@app.service", "app.service")]);
    let connection = item(
        "connection",
        "/usr/bin/app@app.service>tcp/10.0.1.1:5432",
        &[("process", "/usr/bin/app@app.service"), ("remote", "10.0.1.1:5432"), ("protocol", "tcp")],
        &[],
    );
    bench.found("app-1", "connection", vec![connection]);
    bench
}

/// Ten hosts; the first three get another version of a package.
fn fleet(upgraded: bool) -> Bench {
    let mut bench = Bench::new(quiet());
    for number in 0..10 {
        let name = format!("web-{number}");
        bench.host(&name, number + 1);
        bench.package(&name, "1.4");
    }
    bench.pass(MINUTE);
    for number in (0..3).filter(|_| upgraded) {
        bench.package(&format!("web-{number}"), "1.5");
    }
    bench.pass(2 * MINUTE);
    for number in 0..3 {
        bench.fire(&format!("web-{number}"), "app.service");
        bench.pass(SECOND);
    }
    bench.pass(MINUTE);
    bench
}

/// Boxes that have nothing in common, an incident each.
fn boxes(count: u64) -> Bench {
    let mut bench = Bench::new(quiet());
    for number in 1..=count {
        let name = format!("box-{number}");
        bench.host(&name, usize::try_from(number).expect("a few"));
        bench.fire(&name, "app.service");
    }
    bench
}
