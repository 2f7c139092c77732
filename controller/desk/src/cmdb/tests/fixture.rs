//! A realistic host: 300 Debian packages, the units of some, nginx listening.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::cmdb::{CmdbFact, Context, Graph, Outcome, SectionFact};
use crate::config::Settings;
use crate::fact::FactBody;
use crate::input::{FoundItem, Fragment};
use crate::{Fact, Millis, Record};

pub const PACKAGES: &str = include_str!("packages.tsv");

/// A CMDB with its inputs counted, its facts kept as the ledger would, and agents that live until told otherwise.
pub struct Bench {
    pub graph: Graph,
    pub ledger: Vec<(Millis, Fact)>,
    pub now: Millis,
    pub settings: Settings,
    order: u64,
    dead: RefCell<BTreeSet<String>>,
}

impl Bench {
    pub fn new() -> Self {
        let (graph, ledger, dead) = (Graph::default(), Vec::new(), RefCell::default());
        Self { graph, ledger, now: Millis(1_000_000), settings: Settings::default(), order: 0, dead }
    }

    /// One input, a second after the one before.
    pub fn input(&mut self, decide: impl FnOnce(&mut Graph, &Context<'_>) -> Outcome) -> Outcome {
        self.order += 1;
        self.now = self.now.plus(1_000);
        let dead = self.dead.borrow();
        let live = |agent: &str| !dead.contains(agent);
        let context = Context { order: self.order, at: self.now, settings: &self.settings, live: &live };
        let outcome = decide(&mut self.graph, &context);
        self.ledger.extend(outcome.facts.iter().map(|fact| (self.now, fact.clone())));
        outcome
    }

    pub fn fragment(&mut self, fragment: Fragment) -> Outcome {
        let happened_at = self.now.plus(900);
        self.input(|graph, ctx| graph.apply_fragment(&Fragment { happened_at, ..fragment }, ctx))
    }

    /// A whole section, whose one fact is returned; none where nothing changed.
    pub fn whole(&mut self, agent: &str, section: &str, items: Vec<FoundItem>) -> Option<SectionFact> {
        let outcome = self.fragment(whole(agent, section, items));
        only_section(&outcome)
    }

    pub fn enrol(&mut self, agent: &str, labels: &[(&str, &str)]) -> Outcome {
        let labels = map(labels);
        self.input(|graph, ctx| graph.enrolled(agent, &labels, ctx))
    }

    /// The agent has no live session any more.
    pub fn kill(&self, agent: &str) {
        self.dead.borrow_mut().insert(agent.to_owned());
    }

    pub fn records(&self) -> BTreeSet<String> {
        records(&self.graph)
    }
}

/// All records, as text, so that two graphs compare whole.
pub fn records(graph: &Graph) -> BTreeSet<String> {
    graph.records().map(|record| serde_json::to_string(&record).expect("records are plain data")).collect()
}

pub fn restored(graph: &Graph) -> Graph {
    let text: Vec<String> = graph.records().map(|record| serde_json::to_string(&record).expect("plain data")).collect();
    let read = text.iter().map(|text| serde_json::from_str::<Record>(text).expect("a record reads back"));
    Graph::restore(read)
}

pub fn section_facts(outcome: &Outcome) -> Vec<&SectionFact> {
    let bodies = outcome.facts.iter().filter_map(|fact| match &fact.body {
        FactBody::Cmdb(CmdbFact::Section(section)) => Some(section),
        _ => None,
    });
    bodies.collect()
}

fn only_section(outcome: &Outcome) -> Option<SectionFact> {
    let sections = section_facts(outcome);
    assert!(sections.len() <= 1, "a section makes one fact at most: {:?}", outcome.facts);
    sections.first().map(|section| (*section).clone())
}

pub fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub fn item(class: &str, key: &str, attributes: &[(&str, &str)], relations: &[(&str, &str, &str)]) -> FoundItem {
    let words = |(kind, class, key): &(&str, &str, &str)| ((*kind).to_owned(), (*class).to_owned(), (*key).to_owned());
    FoundItem {
        class: class.to_owned(),
        key: key.to_owned(),
        attributes: map(attributes),
        relations: relations.iter().map(words).collect(),
    }
}

pub fn whole(agent: &str, section: &str, items: Vec<FoundItem>) -> Fragment {
    let (agent, section) = (agent.to_owned(), section.to_owned());
    Fragment { agent, section, whole: true, items, gone: Vec::new(), happened_at: Millis(0) }
}

pub fn difference(agent: &str, section: &str, items: Vec<FoundItem>, gone: &[(&str, &str)]) -> Fragment {
    let gone = gone.iter().map(|(class, key)| ((*class).to_owned(), (*key).to_owned())).collect();
    Fragment { whole: false, gone, ..whole(agent, section, items) }
}

pub fn host(attributes: &[(&str, &str)]) -> Vec<FoundItem> {
    vec![item("host", "this", attributes, &[])]
}

/// The host section of a machine of its own.
pub fn machine(number: u32) -> Vec<FoundItem> {
    host(&[
        ("hostname", &format!("web-{number}")),
        ("fqdn", &format!("web-{number}.shop.example")),
        ("machine_id", &format!("{:032x}", 0xabc0_0000_1234_u64 + u64::from(number))),
        ("dmi_vendor", "Dell Inc."),
        ("dmi_serial", &format!("7XK{number:04}")),
        ("kernel", "6.1.0-28-amd64"),
    ])
}

pub fn packages() -> Vec<FoundItem> {
    let package = |line: &str| {
        let mut columns = line.split('\t');
        let mut column = || columns.next().expect("four columns");
        let (name, architecture, version, source) = (column(), column(), column(), column());
        let said = [("name", name), ("architecture", architecture), ("version", version), ("source", source)];
        item("software_package", &format!("{name}/{architecture}"), &said, &[])
    };
    PACKAGES.lines().map(package).collect()
}

pub fn unit(name: &str, state: &str, package: &str) -> FoundItem {
    let uses = [("uses", "software_package", package)];
    item("service_unit", name, &[("active_state", state), ("description", name)], &uses)
}

pub fn units() -> Vec<FoundItem> {
    vec![
        unit("nginx.service", "active", "nginx-light/amd64"),
        unit("ssh.service", "active", "openssh-server/amd64"),
        unit("shop.service", "active", "shop/amd64"),
    ]
}

/// nginx on port 80, as the `listener` section tells it.
pub fn listeners() -> Vec<FoundItem> {
    let (process, endpoint) = ("/usr/sbin/nginx@nginx.service", "tcp/0.0.0.0:80");
    vec![
        item("service_unit", "nginx.service", &[], &[("contains", "process", process)]),
        item(
            "process",
            process,
            &[("executable", "/usr/sbin/nginx"), ("unit", "nginx.service")],
            &[("listens_on", "listening_endpoint", endpoint)],
        ),
        item("listening_endpoint", endpoint, &[("address", "0.0.0.0"), ("port", "80"), ("protocol", "tcp")], &[]),
    ]
}

/// A host with all its sections.
pub fn furnish(bench: &mut Bench, agent: &str, number: u32) {
    bench.whole(agent, "host", machine(number));
    bench.whole(agent, "package", packages());
    bench.whole(agent, "service", units());
    bench.whole(agent, "listener", listeners());
}
