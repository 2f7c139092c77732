//! Sections: one fact each with its difference, none where nothing changed.

use super::fixture::{Bench, difference, furnish, item, listeners, packages, section_facts, unit, units};
use crate::cmdb::{Class, Graph, Lifecycle, RelationKind, SectionFact, Value};
use crate::fact::Subject;

/// added, changed, removed, related, unrelated
fn counts(fact: &SectionFact) -> [usize; 5] {
    [fact.added.len(), fact.changed.len(), fact.removed.len(), fact.related.len(), fact.unrelated.len()]
}

fn related(graph: &Graph, from: (Class, &str), kind: RelationKind) -> Vec<String> {
    let host = graph.host_of("web-1").expect("the host is known");
    let Some(ci) = graph.on_host(host.id, from.0, from.1) else { return Vec::new() };
    graph.relations_from(ci.id).filter(|r| r.kind == kind).map(|r| graph.describe(r.to)).collect()
}

const NGINX: (Class, &str) = (Class::ServiceUnit, "nginx.service");

#[test]
fn three_hundred_packages_are_one_fact_and_three_hundred_records() {
    let mut bench = Bench::new();
    let outcome = bench.fragment(super::fixture::whole("web-1", "package", packages()));
    let [section] = section_facts(&outcome)[..] else { panic!("one section fact, not {:?}", outcome.facts.len()) };
    assert_eq!((counts(section), section.items), ([300, 0, 0, 0, 0], 300));
    assert_eq!(outcome.facts.len(), 2, "the host, and the section");
    // 300 packages, each running on the host, and the host.
    assert_eq!(outcome.changed.len(), 601);
    let host = bench.graph.host_of("web-1").expect("made by its first section");
    assert_eq!(outcome.facts[1].subject, Subject::Ci(host.id));
    let openssl = bench.graph.on_host(host.id, Class::SoftwarePackage, "openssl/amd64").expect("among them");
    assert_eq!(openssl.attribute("version"), Some(&Value::Text("3.0.17-1~deb12u2".to_owned())));
    assert_eq!(bench.graph.describe(openssl.id), "software_package openssl on web-1");
}

#[test]
fn what_is_found_on_one_host_stands_together_in_the_order_of_ids() {
    let mut bench = Bench::new();
    for (number, agent) in (1..).zip(["web-1", "web-2", "web-3"]) {
        furnish(&mut bench, agent, number);
    }
    let mut hosts: Vec<_> = bench.graph.items().map(|ci| ci.host.unwrap_or(ci.id)).collect();
    assert!(hosts.len() > 900, "{} items", hosts.len());
    hosts.dedup();
    assert_eq!(hosts.len(), 3);
}

#[test]
fn an_unchanged_section_changes_nothing_but_when_the_host_was_seen() {
    let mut bench = Bench::new();
    furnish(&mut bench, "web-1", 1);
    for (section, items) in [("package", packages()), ("service", units()), ("listener", listeners())] {
        let outcome = bench.fragment(super::fixture::whole("web-1", section, items));
        assert_eq!(outcome.facts, [], "{section}");
        assert_eq!(outcome.changed.len(), 1, "{section}: the host alone");
    }
    assert_eq!(bench.graph.host_of("web-1").map(|host| host.last_seen), Some(bench.now));
}

#[test]
fn a_section_told_whole_after_a_difference_is_not_news_and_is_known_the_next_time() {
    let mut bench = Bench::new();
    bench.whole("web-1", "package", packages());
    let (gone, mut after) = (("software_package", "lsof/amd64"), packages());
    after.retain(|package| package.key != gone.1);
    bench.fragment(difference("web-1", "package", vec![], &[gone]));
    for _ in 0..2 {
        assert_eq!(bench.whole("web-1", "package", after.clone()), None);
    }
    assert_eq!(bench.whole("web-1", "package", packages()).map(|fact| fact.changed.len()), Some(1));
}

#[test]
fn an_upgrade_a_removal_and_an_installation_are_one_delta() {
    let mut bench = Bench::new();
    bench.whole("web-1", "package", packages());
    let mut after = packages();
    after.retain(|package| package.key != "lsof/amd64");
    let openssl = after.iter_mut().find(|package| package.key == "openssl/amd64").expect("installed");
    openssl.attributes.insert("version".to_owned(), "3.0.18-1".to_owned());
    after.push(item("software_package", "htop/amd64", &[("name", "htop"), ("version", "3.2.2-2")], &[]));
    let fact = bench.whole("web-1", "package", after).expect("it changed");
    assert_eq!((counts(&fact), fact.items), ([1, 1, 1, 0, 0], 300));
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    let change = &fact.changed[0].attributes[0];
    assert_eq!((change.name.as_str(), &change.from), ("version", &text("3.0.17-1~deb12u2")));
    assert_eq!(change.to, text("3.0.18-1"));
    let lsof = bench.graph.get(fact.removed[0].ci).expect("it stays on record");
    assert_eq!((lsof.key.as_str(), lsof.lifecycle), ("lsof/amd64", Lifecycle::Missing));
    assert_eq!(bench.graph.relations_from(lsof.id).count(), 0, "it runs on nothing any more");
}

#[test]
fn what_is_installed_again_is_the_same_item() {
    let mut bench = Bench::new();
    furnish(&mut bench, "web-1", 1);
    let uses = |bench: &Bench| related(&bench.graph, NGINX, RelationKind::Uses);
    assert_eq!(uses(&bench), ["software_package nginx-light on web-1"]);
    let gone = bench.fragment(difference("web-1", "package", vec![], &[("software_package", "nginx-light/amd64")]));
    let removed = section_facts(&gone)[0].removed[0].ci;
    assert_eq!(uses(&bench), [""; 0]);
    let nginx = packages().into_iter().filter(|package| package.key == "nginx-light/amd64").collect();
    let back = bench.fragment(difference("web-1", "package", nginx, &[]));
    let back = section_facts(&back)[0];
    assert_eq!((back.changed[0].ci, back.changed[0].back_from), (removed, Some(Lifecycle::Missing)));
    assert_eq!(uses(&bench), ["software_package nginx-light on web-1"], "the unit never stopped saying so");
}

#[test]
fn sections_may_come_in_any_order_and_join_the_same() {
    let sections = [("package", packages()), ("service", units()), ("listener", listeners())];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut bench = Bench::new();
        for at in order {
            bench.whole("web-1", sections[at].0, sections[at].1.clone());
        }
        let uses = related(&bench.graph, NGINX, RelationKind::Uses);
        let contains = related(&bench.graph, NGINX, RelationKind::Contains);
        let runs_on = related(&bench.graph, NGINX, RelationKind::RunsOn);
        assert_eq!(uses, ["software_package nginx-light on web-1"], "{order:?}");
        assert_eq!(contains, ["process /usr/sbin/nginx@nginx.service on web-1"], "{order:?}");
        assert_eq!(runs_on, ["host web-1"], "{order:?}");
        let shop = related(&bench.graph, (Class::ServiceUnit, "shop.service"), RelationKind::Uses);
        assert_eq!(shop, [""; 0], "its package is not installed");
    }
}

#[test]
fn an_item_that_two_sections_name_goes_with_the_last() {
    let mut bench = Bench::new();
    furnish(&mut bench, "web-1", 1);
    let stopped = bench.whole("web-1", "listener", Vec::new()).expect("all of it went");
    let removed: Vec<&str> = stopped.removed.iter().map(|named| named.key.as_str()).collect();
    assert_eq!(removed.len(), 2, "process and endpoint, not the unit: {removed:?}");
    let unit = bench.graph.unit("web-1", "nginx.service").expect("section service still names it");
    assert_eq!((unit.lifecycle, unit.attributes().len()), (Lifecycle::InUse, 2));
    assert_eq!(related(&bench.graph, NGINX, RelationKind::Contains), [""; 0]);
    let fact = bench.whole("web-1", "service", Vec::new()).expect("now it went");
    assert_eq!(fact.removed.len(), 3);
}

#[test]
fn a_relation_within_a_section_waits_for_its_other_end() {
    let mut bench = Bench::new();
    bench.whole("web-1", "listener", listeners());
    let process = (Class::Process, "/usr/sbin/nginx@nginx.service");
    let listens_on = |bench: &Bench| related(&bench.graph, process, RelationKind::ListensOn);
    assert_eq!(listens_on(&bench), ["listening_endpoint tcp/0.0.0.0:80 on web-1"]);
    let endpoint = ("listening_endpoint", "tcp/0.0.0.0:80");
    bench.fragment(difference("web-1", "listener", vec![], &[endpoint]));
    assert_eq!(listens_on(&bench), [""; 0]);
    // The process itself is not told again.
    let back = listeners().into_iter().filter(|item| item.class == endpoint.0).collect();
    bench.fragment(difference("web-1", "listener", back, &[]));
    assert_eq!(listens_on(&bench), ["listening_endpoint tcp/0.0.0.0:80 on web-1"]);
}

#[test]
fn a_section_that_does_not_own_the_class_takes_no_attribute_back() {
    let mut bench = Bench::new();
    furnish(&mut bench, "web-1", 1);
    let more = vec![item("service_unit", "nginx.service", &[], &[])];
    let fact = bench.whole("web-1", "listener", more).expect("relations ended");
    assert_eq!(fact.changed, []);
    let bare = vec![item("service_unit", "nginx.service", &[("active_state", "failed")], &[])];
    let fact = bench.whole("web-1", "service", bare).expect("its own section does");
    let names: Vec<_> = fact.changed[0].attributes.iter().map(|change| change.name.as_str()).collect();
    assert_eq!(names, ["active_state", "description"]);
}

#[test]
fn a_measurement_is_kept_as_last_heard_and_makes_no_fact() {
    let mut bench = Bench::new();
    let service = |sub: &str, restarts: &str| {
        let said = [("active_state", "active"), ("sub_state", sub), ("restarts", restarts)];
        vec![item("service_unit", "nginx.service", &said, &[])]
    };
    bench.whole("web-1", "service", service("running", "0"));
    assert_eq!(bench.whole("web-1", "service", service("reload", "1")), None);
    let unit = bench.graph.unit("web-1", "nginx.service").expect("known");
    assert_eq!(unit.attribute("sub_state"), Some(&Value::Text("reload".to_owned())));
    assert_eq!(unit.attribute("restarts"), Some(&Value::Integer(1)));
}

#[test]
fn what_fits_no_class_is_left_out_and_said() {
    let mut bench = Bench::new();
    let items = vec![
        item("gizmo", "one", &[], &[]),
        item("gizmo", "two", &[], &[]),
        item("person", "u-1", &[], &[]),
        item("host", "this", &[("hostname", "elsewhere")], &[]),
        item("service_unit", "", &[], &[]),
        item(
            "service_unit",
            "nginx.service",
            &[("active_state", "active"), ("colour", "green")],
            &[("adores", "process", "x"), ("uses", "spaceship", "x"), ("runs_on", "host", "web-1")],
        ),
        item("listening_endpoint", "tcp/0.0.0.0:80", &[("port", "eighty")], &[]),
        item("listening_endpoint", "tcp/0.0.0.0:80", &[("port", "80")], &[]),
        item("service_unit", "long.service", &[("description", &"x".repeat(2_000))], &[]),
    ];
    let outcome = bench.fragment(super::fixture::whole("web-1", "service", items));
    let section = outcome.facts.last().expect("a section fact");
    let said: Vec<&str> = section.reasons.iter().map(|reason| reason.sentence.as_str()).collect();
    assert_eq!(
        said,
        [
            "left out: 1 items that the message names twice",
            "left out: attribute \"colour\", which class service_unit does not have",
            "left out: items of class person, which no agent reports",
            "left out: items of class service_unit whose key is empty or longer than 1024 bytes",
            "left out: items of the unknown class \"gizmo\" (2 times)",
            "left out: listening_endpoint.port: \"eighty\" is not a whole number",
            "left out: relations of the unknown kind \"adores\"",
            "left out: relations to the unknown class \"spaceship\"",
            "left out: service_unit.description of more than 1024 bytes",
            "left out: the host itself, outside of section \"host\"",
        ]
    );
    assert_eq!(outcome.left_out, 11);
    assert_eq!(section_facts(&outcome)[0].added.len(), 3);
    assert_eq!(bench.graph.host_of("web-1").and_then(|host| host.text("hostname")), None);
}

#[test]
fn a_host_may_have_so_many_things_and_no_more() {
    let mut bench = Bench::new();
    let many = |count: usize| (0..count).map(|n| unit(&format!("u{n:06}.service"), "active", "x")).collect();
    let outcome = bench.fragment(super::fixture::whole("web-1", "service", many(20_005)));
    assert_eq!((section_facts(&outcome)[0].added.len(), outcome.left_out), (20_000, 1));
    let outcome = bench.fragment(super::fixture::whole("web-1", "service", many(20_003)));
    assert_eq!(outcome.facts, [], "what was known stays known");
}

#[test]
fn a_clock_that_went_back_does_not_turn_the_order_round() {
    let mut bench = Bench::new();
    bench.whole("web-1", "service", units());
    let at = bench.ledger.last().expect("a fact").1.happened_at;
    let mut early = super::fixture::whole("web-1", "service", Vec::new());
    early.happened_at = at.plus(-5_000);
    let outcome = bench.input(|graph, ctx| graph.apply_fragment(&early, ctx));
    assert_eq!(outcome.facts[0].happened_at, at);
    assert_eq!(outcome.facts[0].reasons[0].stage, "time");
}
