//! What other practices ask.

use watchkeep_rules::selector::Selector;

use super::fixture::{Bench, furnish, map, units, whole};
use crate::Millis;
use crate::cmdb::facts::{CmdbFact, Edge};
use crate::cmdb::{Class, Graph, RelationKind, Source, When, as_of};
use crate::ids::CiId;

fn shop() -> Bench {
    let mut bench = Bench::new();
    bench.enrol("web-1", &[("service", "shop")]);
    furnish(&mut bench, "web-1", 1);
    furnish(&mut bench, "web-2", 2);
    bench
}

fn rate(bench: &mut Bench, service: &str, level: &str) {
    let id = bench.graph.find(Class::BusinessService, &map(&[("name", service)]), None)[0].id;
    bench.input(|graph, ctx| {
        graph.set(id, ("criticality", level), (Source::Hand, "u-1"), "agreed with sales", ctx).expect("a criticality")
    });
}

#[test]
fn items_are_found_by_class_attributes_and_agent() {
    let bench = shop();
    let check = |class: Class, attributes: &[(&str, &str)], agent: Option<&str>, expected: &[&str]| {
        let found = bench.graph.find(class, &map(attributes), agent);
        let mut found: Vec<_> = found.iter().map(|ci| bench.graph.describe(ci.id)).collect();
        found.sort();
        assert_eq!(found, expected, "{class} {attributes:?} {agent:?}");
    };
    let nginx = [("name", "nginx.service")];
    check(Class::ServiceUnit, &nginx, Some("web-1"), &["service_unit nginx.service on web-1"]);
    check(
        Class::ServiceUnit,
        &[("instance", "web-2"), ("name", "nginx.service")],
        None,
        &["service_unit nginx.service on web-2"],
    );
    check(
        Class::ServiceUnit,
        &nginx,
        None,
        &["service_unit nginx.service on web-1", "service_unit nginx.service on web-2"],
    );
    check(Class::Host, &[("instance", "web-1")], None, &["host web-1"]);
    check(Class::Host, &[("fqdn", "web-2.shop.example")], None, &["host web-2"]);
    check(Class::Host, &[("kernel", "6.1.0-28-amd64")], None, &["host web-1", "host web-2"]);
    check(Class::ListeningEndpoint, &[("port", "80")], Some("web-1"), &["listening_endpoint tcp/0.0.0.0:80 on web-1"]);
    check(
        Class::SoftwarePackage,
        &[("name", "openssl"), ("version", "3.0.17-1~deb12u2")],
        Some("web-2"),
        &["software_package openssl on web-2"],
    );
    check(Class::ServiceUnit, &nginx, Some("web-9"), &[]);
    check(Class::ServiceUnit, &[("name", "apache2.service")], Some("web-1"), &[]);
    check(Class::BusinessService, &[("name", "shop")], None, &["business_service shop"]);
    let unit = bench.graph.unit("web-1", "nginx.service").map(|ci| bench.graph.describe(ci.id));
    assert_eq!(unit.as_deref(), Some("service_unit nginx.service on web-1"));
}

#[test]
fn selectors_choose_among_items() {
    let bench = shop();
    let check = |class: Option<Class>, selector: &str, expected: usize| {
        let selector = Selector::parse(selector).expect("a selector");
        assert_eq!(bench.graph.select(class, &selector).count(), expected, "{class:?} {selector}");
    };
    check(Some(Class::SoftwarePackage), "{}", 600);
    check(Some(Class::SoftwarePackage), r#"{name=~"open.*", instance="web-1"}"#, 2);
    check(None, r#"{class="host"}"#, 2);
    check(None, r#"{lifecycle!="in_use"}"#, 0);
    check(Some(Class::ServiceUnit), r#"{active_state="active", name="nginx.service"}"#, 2);
}

#[test]
fn impact_is_the_highest_criticality_that_depends_on_it() {
    let mut bench = shop();
    rate(&mut bench, "shop", "1");
    let check = |bench: &Bench, ci: CiId, expected: u8, sentence: &str| {
        let (impact, reasons) = bench.graph.impact(ci);
        let said: Vec<_> = reasons.iter().map(|reason| reason.sentence.as_str()).collect();
        assert_eq!((impact, said), (expected, vec![sentence]), "{}", bench.graph.describe(ci));
    };
    let host = |bench: &Bench, agent: &str| bench.graph.host_of(agent).expect("known").id;
    let unit = |bench: &Bench, agent: &str| bench.graph.unit(agent, "nginx.service").expect("known").id;
    let service = bench.graph.find(Class::BusinessService, &map(&[("name", "shop")]), None)[0].id;
    check(&bench, service, 1, "service shop has criticality 1: it is that service itself");
    check(&bench, host(&bench, "web-1"), 1, "service shop has criticality 1: web-1 member_of shop");
    let on_it = "service shop has criticality 1: nginx.service runs_on web-1, and web-1 member_of shop";
    check(&bench, unit(&bench, "web-1"), 1, on_it);
    check(&bench, host(&bench, "web-2"), 3, "impact 3: no service depends on host web-2");
    check(&bench, unit(&bench, "web-2"), 3, "impact 3: no service depends on service_unit nginx.service on web-2");
    check(&bench, CiId([9; 16]), 3, "impact 3: it is not in the CMDB");

    // A service that needs the shop is reached through it; the worst decides.
    bench.enrol("web-2", &[("service", "bank")]);
    let bank = bench.graph.find(Class::BusinessService, &map(&[("name", "bank")]), None)[0].id;
    let edge = Edge { from: bank, kind: RelationKind::DependsOn, to: service, by: "u-1".to_owned() };
    let when = When { happened: bench.now, learned: bench.now };
    bench.graph.take(&CmdbFact::Related { edge, source: Source::Hand }, when);
    rate(&mut bench, "shop", "2");
    rate(&mut bench, "bank", "1");
    let (impact, reasons) = bench.graph.impact(host(&bench, "web-1"));
    let said: Vec<_> = reasons.iter().map(|reason| reason.sentence.as_str()).collect();
    assert_eq!(impact, 1);
    assert_eq!(
        said,
        [
            "service bank has criticality 1: web-1 member_of shop, and bank depends_on shop",
            "service shop has criticality 2: web-1 member_of shop",
        ]
    );
}

#[test]
fn a_walk_over_a_great_graph_is_bounded_and_says_so() {
    let mut graph = Graph::default();
    let when = When::default();
    let id = |number: u32| {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        CiId(id)
    };
    let add = |graph: &mut Graph, number: u32| {
        let (ci, key) = (id(number), format!("h{number}"));
        let agent = Some(key.clone());
        let item = crate::cmdb::facts::Added {
            ci,
            class: Class::Host,
            key,
            host: None,
            agent,
            attributes: map(&[]).into_iter().map(|(k, v)| (k, crate::cmdb::Value::Text(v))).collect(),
        };
        graph.take(&CmdbFact::Registered { item, source: Source::Hand }, when);
    };
    let depend = |graph: &mut Graph, from: u32, to: u32| {
        let edge = Edge { from: id(from), kind: RelationKind::DependsOn, to: id(to), by: "test".to_owned() };
        graph.take(&CmdbFact::Related { edge, source: Source::Hand }, when);
    };
    for number in 0..12_000 {
        add(&mut graph, number);
    }
    // A ring of ten, and twelve thousand that all depend on the last.
    (0..10).for_each(|at| depend(&mut graph, at + 1, at));
    depend(&mut graph, 0, 10);
    (20..12_000).for_each(|at| depend(&mut graph, at, 11));
    for (start, cut) in [(0, true), (5, true), (11, true), (20, false)] {
        let (impact, reasons) = graph.impact(id(start));
        let is_cut = reasons.iter().any(|reason| reason.sentence.contains("there are more"));
        assert_eq!((impact, is_cut), (3, cut), "from {start}");
    }
}

#[test]
fn the_past_reads_the_same_after_later_corrections() {
    let mut bench = Bench::new();
    bench.whole("web-1", "service", units());
    let (first, learned_first) = (bench.ledger.last().expect("a fact").1.happened_at, bench.now);
    // Learned much later, but true since a second after the first.
    bench.now = bench.now.plus(3_600_000);
    let mut failed = units();
    failed[0].attributes.insert("active_state".to_owned(), "failed".to_owned());
    let mut late = whole("web-1", "service", failed);
    late.happened_at = first.plus(1_000);
    bench.input(|graph, ctx| graph.apply_fragment(&late, ctx));
    let learned_later = bench.now;
    let check = |happened: Millis, learned: Millis, expected: Option<&str>| {
        let facts = bench.ledger.iter().map(|(at, fact)| (*at, fact));
        let then = as_of(facts, happened, learned);
        let state = then.unit("web-1", "nginx.service").and_then(|unit| unit.text("active_state"));
        assert_eq!(state, expected, "{happened:?} as known at {learned:?}");
    };
    check(first.plus(-1), learned_later, None);
    check(first, learned_later, Some("active"));
    check(first.plus(1_000), learned_later, Some("failed"));
    check(first.plus(1_000), learned_first, Some("active"));
    check(first.plus(1_000), learned_first.plus(-1), None);
}

#[test]
fn what_is_learned_late_does_not_overrule_what_happened_later() {
    let mut bench = shop();
    rate(&mut bench, "shop", "1");
    let now = bench.now;
    let (_, newest) = bench.ledger.last().expect("a fact").clone();
    // Somebody imports what held an hour ago.
    let mut late = newest.clone();
    late.happened_at = now.plus(-1);
    if let crate::FactBody::Cmdb(CmdbFact::Set { changes, .. }) = &mut late.body {
        changes[0].to = Some(crate::cmdb::Value::Integer(2));
    }
    bench.ledger.push((now.plus(3_600_000), late));
    let level = |happened: Millis| {
        let then = as_of(bench.ledger.iter().map(|(at, fact)| (*at, fact)), happened, Millis(i64::MAX));
        then.find(Class::BusinessService, &map(&[]), None)[0].criticality()
    };
    assert_eq!([level(now.plus(-2)), level(now.plus(-1)), level(now)], [Some(3), Some(2), Some(1)]);
}

#[test]
fn a_host_shows_what_is_on_it_and_next_to_it() {
    let bench = shop();
    let host = bench.graph.host_of("web-1").expect("known").id;
    let tree: Vec<_> = bench.graph.tree(host).iter().map(|(class, items)| (class.word(), items.len())).collect();
    assert_eq!(tree, [("software_package", 300), ("service_unit", 3), ("process", 1), ("listening_endpoint", 1)]);
    let unit = bench.graph.unit("web-1", "nginx.service").expect("known").id;
    let next: Vec<_> =
        bench.graph.neighbours(unit).into_iter().map(|(kind, away, ci)| format!("{kind} {away} {}", ci.name)).collect();
    assert_eq!(next, ["runs_on true web-1", "contains true /usr/sbin/nginx@nginx.service", "uses true nginx-light"]);
}
