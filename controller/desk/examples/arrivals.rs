//! Hosts arrive with whole inventories, all at once, as after a controller was away: what the desk alone does for it.
//!
//! It reads no clock; count its instructions:
//!
//!     cargo build --release -p watchkeep-desk --example arrivals
//!     valgrind --tool=callgrind target/release/examples/arrivals 100
//!
//! The difference of two runs with different numbers of hosts, divided by the hosts between them, is what one costs. A second
//! number says how many units fail after that, one after the other, each an incident: `arrivals 2000 10000`.

use std::collections::BTreeMap;

use watchkeep_desk::input::{AgentChange, AgentEvent, AlertChange, AlertState, FoundItem, Fragment};
use watchkeep_desk::{Config, Desk, Input, InputBody, Millis};

/// 2026-11-23 12:00:00 UTC.
const NOON: i64 = 1_795_435_200_000;
const PACKAGES: usize = 140;
const UNITS: usize = 60;
const SOCKETS: usize = 30;
const CONNECTIONS: usize = 5;
/// Of each so many hosts the last has the database of the others.
const GROUP: usize = 10;

#[expect(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a program of its own around the desk: it is asked how many, and says what came of it"
)]
fn main() {
    let number = |place: usize| std::env::args().nth(place).and_then(|number| number.parse().ok());
    let (hosts, incidents): (usize, usize) = (number(1).unwrap_or(100), number(2).unwrap_or(0));
    let mut arrivals = Arrivals::default();
    for host in 0..hosts {
        arrivals.arrive(host);
    }
    for incident in 0..incidents {
        arrivals.fail(incident % hosts.max(1), incident / hosts.max(1) % UNITS);
    }
    let Arrivals { inputs, facts, records, desk, .. } = arrivals;
    let (open, problems) = (desk.incidents().count(), desk.problems().count());
    println!(
        "{hosts} hosts: {inputs} inputs, {facts} facts, {records} records; {open} incidents open, {problems} problems"
    );
}

/// A desk, and what it made of its inputs so far.
#[derive(Default)]
struct Arrivals {
    desk: Desk,
    config: Config,
    inputs: u64,
    facts: usize,
    records: usize,
}

impl Arrivals {
    fn arrive(&mut self, host: usize) {
        let agent = format!("box-{host}");
        let labels = BTreeMap::from([("service".to_owned(), format!("shop-{}", host / GROUP))]);
        self.agent(&agent, AgentEvent::Enrolled { serial: format!("{host:x}"), labels, token: "t1".to_owned() });
        let (session, version, spool) = (format!("{host:x}"), "0.1.0".to_owned(), format!("5{host:x}"));
        self.agent(&agent, AgentEvent::Connected { session, version, spool });
        for (section, items) in sections(host) {
            let section = section.to_owned();
            let happened_at = Millis(NOON);
            let fragment =
                Fragment { agent: agent.clone(), section, whole: true, items, gone: Vec::new(), happened_at };
            self.feed(InputBody::Inventory(fragment));
        }
    }

    /// A unit of a host fails.
    fn fail(&mut self, host: usize, number: usize) {
        let (agent, unit, rule) = (format!("box-{host}"), unit_of(number), format!("Job{number}Failed"));
        let labels = [("alertname", &rule), ("instance", &agent), ("unit", &unit)];
        self.feed(InputBody::Alert(AlertChange {
            labels: labels.map(|(name, value)| (name.to_owned(), value.clone())).into(),
            annotations: BTreeMap::from([("summary".to_owned(), format!("{unit} failed on {agent}"))]),
            rule,
            state: AlertState::Firing,
            happened_at: Millis(NOON),
            agent: Some(agent),
            reason: String::new(),
            evidence: Vec::new(),
        }));
    }

    fn agent(&mut self, agent: &str, what: AgentEvent) {
        self.feed(InputBody::Agent(AgentChange { agent: agent.to_owned(), happened_at: Millis(NOON), what }));
    }

    fn feed(&mut self, body: InputBody) {
        self.inputs += 1;
        let at = Millis(NOON + i64::try_from(self.inputs).expect("few inputs"));
        let input = Input { order: self.inputs, at, generation: "g1".to_owned(), body };
        let decision = self.desk.decide(&self.config, &input);
        self.facts += decision.facts.len();
        self.records += decision.changed.len();
    }
}

/// What the agent of a host sends when it comes, section by section.
fn sections(host: usize) -> Vec<(&'static str, Vec<FoundItem>)> {
    let machine = format!("{:032x}", host + 1);
    let name = format!("box-{host}");
    let address = address(host);
    vec![
        ("host", vec![item("host", &name, &[("hostname", &name), ("machine_id", &machine)])]),
        ("interface", vec![item("network_interface", "eth0", &[("name", "eth0"), ("addresses", &address)])]),
        ("package", (0..PACKAGES).map(package).collect()),
        ("service", (0..UNITS).map(unit).collect()),
        ("listener", (0..SOCKETS).flat_map(listener).collect()),
        ("connection", connections(host)),
    ]
}

fn package(number: usize) -> FoundItem {
    let name = format!("lib{number}");
    let more = [("name", name.as_str()), ("version", "1.0-1"), ("architecture", "amd64"), ("source", &name)];
    item("software_package", &format!("{name}/amd64"), &more)
}

fn unit(number: usize) -> FoundItem {
    let unit = item("service_unit", &unit_of(number), &[("active_state", "active"), ("sub_state", "running")]);
    related(unit, "uses", "software_package", &format!("lib{number}/amd64"))
}

/// A socket and the process that holds it.
fn listener(number: usize) -> [FoundItem; 2] {
    let port = (5_400 + number).to_string();
    let endpoint = format!("tcp/0.0.0.0:{port}");
    let more = [("protocol", "tcp"), ("address", "0.0.0.0"), ("port", port.as_str())];
    let (executable, unit) = (format!("/usr/bin/job-{number}"), unit_of(number));
    let process = item("process", &process_of(number), &[("executable", &executable), ("unit", &unit)]);
    [item("listening_endpoint", &endpoint, &more), related(process, "listens_on", "listening_endpoint", &endpoint)]
}

fn connections(host: usize) -> Vec<FoundItem> {
    let database = host / GROUP * GROUP + GROUP - 1;
    let to = |number: usize| {
        let (process, remote) = (process_of(number), format!("{}:{}", address(database), 5_400 + number));
        let more = [("process", process.as_str()), ("remote", &remote), ("protocol", "tcp")];
        item("connection", &format!("{process}>tcp/{remote}"), &more)
    };
    (0..CONNECTIONS).filter(|_| host != database).map(to).collect()
}

fn unit_of(number: usize) -> String {
    format!("job-{number}.service")
}

fn process_of(number: usize) -> String {
    format!("/usr/bin/job-{number}@{}", unit_of(number))
}

fn address(host: usize) -> String {
    format!("10.{}.{}.{}", host / 62_500, host / 250 % 250, host % 250 + 1)
}

fn item(class: &str, key: &str, attributes: &[(&str, &str)]) -> FoundItem {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    FoundItem { class: class.to_owned(), key: key.to_owned(), attributes, relations: Vec::new() }
}

fn related(mut item: FoundItem, kind: &str, class: &str, key: &str) -> FoundItem {
    item.relations.push((kind.to_owned(), class.to_owned(), key.to_owned()));
    item
}
