//! What alerts are about, and how far the failure of one host reaches into what others make of it.

use watchkeep_desk::input::{ActBody, AgentEvent, AlertChange, AlertState, FoundItem, Fragment};
use watchkeep_desk::{Desk, Input, InputBody, Millis, explain};

use crate::bench::{Bench, HOUR, RESTART, RULES, config, labels, unit_failed};

const POSTGRES: &str = "/usr/lib/postgresql/15/bin/postgres@postgresql.service";
const APP: &str = "/usr/bin/shop@shop.service";

fn item(class: &str, key: &str, attributes: &[(&str, &str)]) -> FoundItem {
    let (class, key) = (class.to_owned(), key.to_owned());
    FoundItem { class, key, attributes: labels(attributes), relations: Vec::new() }
}

fn tell(bench: &mut Bench, host: &str, section: &str, items: Vec<FoundItem>) {
    let (agent, section, happened_at) = (host.to_owned(), section.to_owned(), Millis(bench.at));
    bench.feed(InputBody::Inventory(Fragment { agent, section, whole: true, items, gone: Vec::new(), happened_at }));
}

fn enrol(bench: &mut Bench, host: &str, service: &str) {
    let labels = labels(&[("service", service)]);
    bench.agent(host, AgentEvent::Enrolled { serial: "01ab".to_owned(), labels, token: "t1".to_owned() });
    bench.connect(host);
}

fn process(key: &str) -> FoundItem {
    let (executable, unit) = key.split_once('@').expect("a program and its unit");
    item("process", key, &[("executable", executable), ("unit", unit)])
}

/// db-1 serves `orders`, and app-1, of the service `shop`, is connected to it.
fn two_hosts() -> Bench {
    let ci = "          ci: {class: filesystem, instance: $labels.instance, mountpoint: $labels.mountpoint}\n";
    let full = RULES.replace("UnitFailed", "FilesystemFull").replace("group: linux\n", &format!("group: linux\n{ci}"));
    let full = full.replace("by: [instance, unit]", "by: [instance, mountpoint]").replace("unit]", "mountpoint]");
    let full =
        full.split("        runbook:").next().expect("a rule").replace("groups:\n  - name: test\n    rules:\n", "");
    let mut bench = Bench::new(config(&format!("{RULES}{full}"), &[RESTART]));
    enrol(&mut bench, "db-1", "orders");
    enrol(&mut bench, "app-1", "shop");
    for (host, address) in [("db-1", "10.0.0.5"), ("app-1", "10.0.0.7")] {
        tell(&mut bench, host, "interface", vec![item("network_interface", "eth0", &[("addresses", address)])]);
    }
    let mut postgres = process(POSTGRES);
    let endpoint = "tcp/0.0.0.0:5432";
    postgres.relations.push(("listens_on".to_owned(), "listening_endpoint".to_owned(), endpoint.to_owned()));
    let said = [("address", "0.0.0.0"), ("port", "5432"), ("protocol", "tcp")];
    tell(&mut bench, "db-1", "listener", vec![postgres, item("listening_endpoint", endpoint, &said)]);
    tell(
        &mut bench,
        "db-1",
        "service",
        vec![item("service_unit", "postgresql.service", &[("active_state", "active")])],
    );
    let mounts = ["/", "/srv"].map(|at| item("filesystem", at, &[("mountpoint", at), ("fstype", "ext4")]));
    tell(&mut bench, "db-1", "filesystem", mounts.to_vec());
    tell(&mut bench, "app-1", "listener", vec![process(APP)]);
    tell(&mut bench, "app-1", "service", vec![item("service_unit", "shop.service", &[("active_state", "active")])]);
    connected(&mut bench, true);
    bench
}

fn connected(bench: &mut Bench, is_connected: bool) {
    let said = [("process", APP), ("remote", "10.0.0.5:5432"), ("protocol", "tcp")];
    let connection = item("connection", &format!("{APP}>tcp/10.0.0.5:5432"), &said);
    tell(bench, "app-1", "connection", is_connected.then_some(connection).into_iter().collect());
}

fn rate(bench: &mut Bench, service: &str, level: &str) {
    let ci = bench.desk.cmdb().items().find(|ci| ci.name == service).expect("a label made it").id;
    let (name, value, note) = ("criticality".to_owned(), level.to_owned(), "agreed".to_owned());
    bench.act("anna", ActBody::CiSet { ci, name, value, note }).expect("it is set");
}

/// As detection makes it when a host falls silent.
fn agent_down(bench: &Bench, host: &str) -> AlertChange {
    let labels = labels(&[("alertname", "AgentDown"), ("instance", host), ("severity", "critical")]);
    let (rule, happened_at) = ("AgentDown".to_owned(), Millis(bench.at));
    AlertChange { rule, labels, happened_at, ..unit_failed(host, "", AlertState::Firing) }
}

#[test]
fn the_loss_of_a_database_has_the_priority_of_the_service_that_needs_it() {
    let mut bench = two_hosts();
    rate(&mut bench, "shop", "1");
    bench.lose("db-1");
    bench.pass(HOUR);
    let down = agent_down(&bench, "db-1");
    bench.feed(InputBody::Alert(down));
    let incident = bench.incident(1);
    let host = bench.desk.cmdb().host_of("db-1").expect("known");
    assert_eq!((incident.ci, host.lifecycle.word()), (Some(host.id), "missing"));
    assert_eq!((incident.priority.level, incident.priority.impact), (1, 1), "{:?}", incident.priority.reasons);
    let said = &incident.priority.reasons[0].sentence;
    assert_eq!(said, "service shop has criticality 1: db-1 member_of orders, and shop depends_on orders");
}

#[test]
fn a_unit_that_another_host_needs_carries_that_hosts_need() {
    let mut bench = two_hosts();
    rate(&mut bench, "shop", "1");
    bench.fire("db-1", "postgresql.service");
    let with = bench.incident(1).priority.level;
    // Nobody is connected any more, and after an hour it is not so any more.
    connected(&mut bench, false);
    bench.pass(2 * HOUR);
    bench.fire("db-1", "other.service");
    assert_eq!((with, bench.incident(2).priority.level), (1, 3));
    let told: Vec<String> = bench.facts.iter().map(|(_, fact)| explain::sentence(&fact.subject, &fact.body)).collect();
    let went = told.iter().find(|said| said.contains("connections between hosts relations went")).expect("it is told");
    assert!(went.contains("connects_to") && went.contains("depends_on"), "{went}");
}

#[test]
fn an_alert_on_a_filesystem_is_about_that_filesystem() {
    let mut bench = two_hosts();
    let labels = labels(&[("alertname", "FilesystemFull"), ("instance", "db-1"), ("mountpoint", "/srv")]);
    let (rule, happened_at) = ("FilesystemFull".to_owned(), Millis(bench.at));
    let alert = AlertChange { rule, labels, happened_at, ..unit_failed("db-1", "", AlertState::Firing) };
    bench.feed(InputBody::Alert(alert));
    let ci = bench.incident(1).ci.expect("it is about something");
    assert_eq!(bench.desk.cmdb().describe(ci), "filesystem /srv on db-1");
}

#[test]
fn a_person_denies_a_dependency_and_takes_it_back() {
    let mut bench = two_hosts();
    rate(&mut bench, "shop", "1");
    let service = |bench: &Bench, name: &str| bench.desk.cmdb().items().find(|ci| ci.name == name).expect("known").id;
    let (from, to) = (service(&bench, "shop"), service(&bench, "orders"));
    let impact = |bench: &Bench| {
        let db = bench.desk.cmdb().host_of("db-1").expect("known").id;
        bench.desk.cmdb().impact(db).0
    };
    assert_eq!(impact(&bench), 1);
    let note = "it only reads statistics".to_owned();
    bench.act("anna", ActBody::RelationDeny { from, to, note: note.clone() }).expect("it is denied");
    assert_eq!(impact(&bench), 3);
    let (_, fact) = bench.facts.last().expect("a fact");
    let line = explain::why([(1, fact.happened_at, fact)]).remove(0);
    assert!(line.sentence.starts_with("a relation was denied: "), "{}", line.sentence);
    assert_eq!((line.actor.as_str(), line.because[0].as_str()), ("by anna", "hand: it only reads statistics"));
    let refusal = bench.act("anna", ActBody::RelationDeny { from, to, note: note.clone() }).expect_err("it is");
    assert_eq!(refusal.sentence, "that business_service shop depends on business_service orders is denied already");
    bench.act("anna", ActBody::RelationForget { from, to, note: note.clone() }).expect("it is taken back");
    assert_eq!(impact(&bench), 1);
    bench.act("anna", ActBody::RelationPin { from: to, to: from, note }).expect("it is pinned");
    assert_eq!(bench.restored(), bench.desk, "the records give the same desk");
}

#[test]
fn connections_decide_the_same_from_the_same_inputs() {
    let mut bench = two_hosts();
    bench.lose("db-1");
    connected(&mut bench, false);
    bench.pass(2 * HOUR);
    bench.connect("db-1");
    connected(&mut bench, true);
    assert_eq!(bench.restored(), bench.desk);
    let mut desk = Desk::default();
    let text = serde_json::to_string(&bench.inputs).expect("inputs are plain data");
    let inputs: Vec<Input> = serde_json::from_str(&text).expect("inputs read back");
    let facts: Vec<_> = inputs.iter().flat_map(|input| desk.decide(&bench.config, input).facts).collect();
    let told: Vec<_> = bench.facts.iter().map(|(_, fact)| fact).collect();
    assert_eq!(serde_json::to_vec(&facts).expect("plain"), serde_json::to_vec(&told).expect("plain"));
}
