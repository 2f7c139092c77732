//! Connections between hosts, and what follows from them.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::fixture::{Bench, difference, item, machine, map, restored, unit, whole};
use crate::Millis;
use crate::cmdb::{Class, Graph, Lifecycle, RelationKind, Source, Verdict, as_of};
use crate::ids::CiId;
use crate::input::{FoundItem, Fragment};

const HOUR: i64 = 3_600_000;
const POSTGRES: &str = "/usr/lib/postgresql/15/bin/postgres@postgresql.service";
const SHOP: &str = "/usr/bin/shop@shop.service";

/// A process with its unit, and the endpoints that it listens on.
fn process(key: &str, listens_on: &[&str]) -> Vec<FoundItem> {
    let (executable, unit) = key.split_once('@').expect("a program and its unit");
    let on: Vec<_> = listens_on.iter().map(|key| ("listens_on", "listening_endpoint", *key)).collect();
    let mut items = vec![item("process", key, &[("executable", executable), ("unit", unit)], &on)];
    for key in listens_on {
        let (address, port) = key.trim_start_matches("tcp/").rsplit_once(':').expect("address:port");
        let address = address.trim_matches(['[', ']']);
        items.push(item("listening_endpoint", key, &[("address", address), ("port", port), ("protocol", "tcp")], &[]));
    }
    items
}

fn connection(process: &str, remote: &str) -> FoundItem {
    let said = [("process", process), ("remote", remote), ("protocol", "tcp")];
    item("connection", &format!("{process}>tcp/{remote}"), &said, &[])
}

fn interface(addresses: &str) -> Vec<FoundItem> {
    vec![item("network_interface", "eth0", &[("name", "eth0"), ("addresses", addresses)], &[])]
}

/// All that is heard of db-1, which serves, and of app-1, which asks it.
fn sections() -> Vec<Fragment> {
    let units = |name: &str| vec![unit(name, "active", "x")];
    vec![
        whole("db-1", "host", machine(1)),
        whole("db-1", "interface", interface("10.0.0.5")),
        whole("db-1", "listener", process(POSTGRES, &["tcp/0.0.0.0:5432"])),
        whole("db-1", "service", units("postgresql.service")),
        whole("app-1", "host", machine(2)),
        whole("app-1", "interface", interface("10.0.0.7")),
        whole("app-1", "listener", process(SHOP, &[])),
        whole("app-1", "service", units("shop.service")),
        whole("app-1", "connection", vec![connection(SHOP, "10.0.0.5:5432")]),
    ]
}

fn shop() -> Bench {
    let mut bench = Bench::new();
    bench.enrol("db-1", &[("service", "orders")]);
    bench.enrol("app-1", &[("service", "shop")]);
    for fragment in sections() {
        bench.fragment(fragment);
    }
    bench
}

const FOLLOWED: [&str; 3] = [
    "business_service shop depends_on business_service orders",
    "process /usr/bin/shop@shop.service on app-1 connects_to listening_endpoint tcp/0.0.0.0:5432 on db-1",
    "service_unit shop.service on app-1 depends_on service_unit postgresql.service on db-1",
];

/// What follows from connections and holds, in words.
fn followed(graph: &Graph) -> Vec<String> {
    let kinds = [RelationKind::ConnectsTo, RelationKind::DependsOn];
    let holding = graph.relations().filter(|r| r.until.is_none() && kinds.contains(&r.kind));
    let mut words: Vec<String> =
        holding.map(|r| format!("{} {} {}", graph.describe(r.from), r.kind, graph.describe(r.to))).collect();
    words.sort();
    words
}

fn host(bench: &Bench, agent: &str) -> CiId {
    bench.graph.host_of(agent).expect("known").id
}

fn why_none(bench: &Bench) -> Vec<&str> {
    bench.graph.host_of("app-1").expect("known").more().links.values().map(|link| link.why_none.as_str()).collect()
}

/// Lets a host's timers fall due after that long.
fn pass(bench: &mut Bench, length: i64, agent: &str) -> usize {
    bench.now = bench.now.plus(length);
    let host = host(bench, agent);
    bench.input(|graph, ctx| graph.due(host, ctx)).facts.len()
}

#[test]
fn a_connection_seen_at_both_ends_becomes_relations() {
    let bench = shop();
    assert_eq!(followed(&bench.graph), FOLLOWED);
    let unit = bench.graph.unit("app-1", "shop.service").expect("known").id;
    let way = bench.graph.path(unit, host(&bench, "db-1")).expect("it depends on the host");
    assert_eq!(way, ["shop.service depends_on postgresql.service", "postgresql.service runs_on db-1"]);
    let again = shop();
    assert_eq!(bench.ledger, again.ledger, "the same inputs give the same facts");
}

#[test]
fn the_reasons_say_who_connects_to_what() {
    let bench = shop();
    let (_, fact) = bench.ledger.last().expect("a fact");
    let said: Vec<_> = fact.reasons.iter().map(|reason| reason.sentence.as_str()).collect();
    assert_eq!(said, ["/usr/bin/shop@shop.service on app-1 to 10.0.0.5:5432: seen at both ends"]);
}

#[test]
fn a_connection_to_nobody_known_waits_and_says_for_what() {
    let mut bench = Bench::new();
    let [first, interfaces, listeners, units, others @ ..] = &sections()[..] else { panic!("nine sections") };
    for fragment in others {
        bench.fragment(fragment.clone());
    }
    assert_eq!(why_none(&bench), ["no host is known to have the address 10.0.0.5"]);
    bench.fragment(first.clone());
    bench.fragment(interfaces.clone());
    assert_eq!(why_none(&bench), ["nothing known listens on tcp port 5432 of db-1"]);
    bench.fragment(listeners.clone());
    assert_eq!(why_none(&bench), [""]);
    let to_process = format!("service_unit shop.service on app-1 depends_on process {POSTGRES} on db-1");
    assert_eq!(followed(&bench.graph)[1], to_process, "no unit is known yet");
    bench.fragment(units.clone());
    assert_eq!(followed(&bench.graph), FOLLOWED[1..]);
}

#[test]
fn an_address_of_several_hosts_leads_nowhere_and_says_so() {
    let mut bench = shop();
    bench.fragment(whole("db-2", "interface", interface("10.0.0.5 10.0.0.6")));
    assert_eq!(followed(&bench.graph), [""; 0]);
    assert_eq!(why_none(&bench), ["2 hosts have the address 10.0.0.5 (db-1, db-2): it may be any"]);
    bench.fragment(whole("db-2", "interface", interface("10.0.0.6")));
    assert_eq!(followed(&bench.graph), FOLLOWED);
}

#[test]
fn an_own_address_is_never_anothers() {
    let mut bench = shop();
    bench.fragment(whole("app-1", "interface", interface("10.0.0.7 10.0.0.5")));
    assert_eq!(why_none(&bench), ["nothing known listens on tcp port 5432 of app-1"]);
}

#[test]
fn the_endpoint_that_fits_best_is_taken() {
    let check = |endpoints: &[&str], remote: &str, expected: Option<&str>| {
        let mut bench = Bench::new();
        bench.fragment(whole("db-1", "interface", interface("10.0.0.5 2001:db8::5")));
        bench.fragment(whole("db-1", "listener", process(POSTGRES, endpoints)));
        bench.fragment(whole("app-1", "listener", process(SHOP, &[])));
        bench.fragment(whole("app-1", "connection", vec![connection(SHOP, remote)]));
        let found = bench.graph.relations().find(|r| r.kind == RelationKind::ConnectsTo);
        let found = found.and_then(|r| bench.graph.get(r.to)).map(|ci| ci.key.as_str());
        assert_eq!(found, expected, "{endpoints:?} {remote}");
    };
    let all = ["tcp/[::]:5432", "tcp/0.0.0.0:5432", "tcp/10.0.0.5:5432", "tcp/127.0.0.1:5432"];
    check(&all, "10.0.0.5:5432", Some("tcp/10.0.0.5:5432"));
    check(&all[..2], "10.0.0.5:5432", Some("tcp/0.0.0.0:5432"));
    check(&all[..1], "10.0.0.5:5432", Some("tcp/[::]:5432"));
    check(&all[..1], "[::ffff:10.0.0.5]:5432", Some("tcp/[::]:5432"));
    check(&all, "[2001:db8::5]:5432", Some("tcp/[::]:5432"));
    check(&all[1..], "[2001:db8::5]:5432", None);
    check(&all[3..], "10.0.0.5:5432", None);
    check(&all, "10.0.0.5:5433", None);
}

#[test]
fn a_restart_at_either_end_does_not_flap() {
    let mut bench = shop();
    let facts = bench.ledger.len();
    let relations = |bench: &Bench| -> Vec<_> {
        let all = bench.graph.relations().filter(|r| r.kind == RelationKind::DependsOn);
        all.map(|r| (r.since, r.until)).collect()
    };
    let before = relations(&bench);
    // The server stops and comes back; then the client does.
    let listening = process(POSTGRES, &["tcp/0.0.0.0:5432"]);
    for items in [Vec::new(), listening] {
        bench.fragment(whole("db-1", "listener", items));
        assert_eq!(followed(&bench.graph), FOLLOWED);
    }
    for (processes, connections) in [(vec![], vec![]), (process(SHOP, &[]), vec![connection(SHOP, "10.0.0.5:5432")])] {
        bench.fragment(whole("app-1", "connection", connections));
        bench.fragment(whole("app-1", "listener", processes));
        assert_eq!(followed(&bench.graph), FOLLOWED);
    }
    assert_eq!(relations(&bench), before, "since as before, and no end");
    let told = &bench.ledger[facts..];
    assert!(told.iter().all(|(_, fact)| !format!("{:?}", fact.body).contains("Followed")), "{told:?}");
}

#[test]
fn a_connection_unseen_for_an_hour_ends_what_followed_with_its_reason() {
    let mut bench = shop();
    let outcome = bench.fragment(difference(
        "app-1",
        "connection",
        vec![],
        &[("connection", &format!("{SHOP}>tcp/10.0.0.5:5432"))],
    ));
    assert_eq!(outcome.timers.iter().map(|timer| timer.due.since(bench.now)).collect::<Vec<_>>(), [HOUR]);
    assert_eq!(followed(&bench.graph), FOLLOWED, "for a while it counts");
    let unseen = |bench: &Bench| -> BTreeSet<_> {
        let all = bench.graph.relations().filter(|r| r.kind == RelationKind::DependsOn);
        all.map(|r| r.unseen_since).collect()
    };
    assert_eq!(unseen(&bench), [Some(bench.now)].into());
    assert_eq!(pass(&mut bench, HOUR - 5_000, "app-1"), 0);
    assert_eq!(followed(&bench.graph), FOLLOWED);
    assert_eq!(pass(&mut bench, 5_000, "app-1"), 1);
    assert_eq!(followed(&bench.graph), [""; 0]);
    let (_, fact) = bench.ledger.last().expect("a fact");
    assert_eq!(fact.reasons[0].sentence, "/usr/bin/shop@shop.service on app-1 to 10.0.0.5:5432: unseen for 1 h");
    assert!(bench.graph.host_of("app-1").expect("known").more().links.is_empty());
    bench.fragment(whole("app-1", "connection", vec![connection(SHOP, "10.0.0.5:5432")]));
    assert_eq!(followed(&bench.graph), FOLLOWED, "and it is back");
    assert_eq!(unseen(&bench), [None].into());
}

#[test]
fn a_host_without_power_keeps_what_depends_on_it() {
    let mut bench = shop();
    bench.kill("db-1");
    bench.input(|graph, ctx| graph.lost("db-1", ctx));
    assert_eq!(bench.graph.get(host(&bench, "db-1")).map(|ci| ci.lifecycle), Some(Lifecycle::Missing));
    pass(&mut bench, 3 * HOUR, "db-1");
    assert_eq!(followed(&bench.graph), FOLLOWED, "the client still asks for it");
    let (db, unit) = (host(&bench, "db-1"), bench.graph.unit("app-1", "shop.service").expect("known").id);
    assert_eq!(bench.graph.upstream(unit).distance(db), Some(2));
    // The client's own silence is another thing: then nobody says that it is used.
    bench.kill("app-1");
    let lost = bench.input(|graph, ctx| graph.lost("app-1", ctx));
    assert!(lost.timers.iter().any(|timer| timer.due == bench.now.plus(HOUR)), "{:?}", lost.timers);
    pass(&mut bench, HOUR, "app-1");
    assert_eq!(followed(&bench.graph), [""; 0]);
    bench.input(|graph, ctx| graph.seen("app-1", ctx));
    assert_eq!(followed(&bench.graph), FOLLOWED, "its agent does not repeat what it said");
}

#[test]
fn a_host_that_is_up_without_its_address_keeps_what_depends_on_it() {
    let mut bench = shop();
    bench.kill("db-1");
    bench.input(|graph, ctx| graph.lost("db-1", ctx));
    bench.fragment(whole("app-1", "connection", Vec::new()));
    bench.input(|graph, ctx| graph.seen("db-1", ctx));
    for (section, found) in [("interface", interface("")), ("listener", Vec::new())] {
        bench.fragment(whole("db-1", section, found));
        assert_eq!(followed(&bench.graph), FOLLOWED, "{section}");
    }
    // It moves with the address …
    bench.enrol("db-2", &[("service", "orders")]);
    bench.fragment(whole("db-2", "listener", process(POSTGRES, &["tcp/0.0.0.0:5432"])));
    bench.fragment(whole("db-2", "interface", interface("10.0.0.5")));
    assert!(followed(&bench.graph)[1].ends_with("tcp/0.0.0.0:5432 on db-2"), "{:?}", followed(&bench.graph));
    // … and ends with the connection.
    bench.fragment(whole("db-2", "interface", interface("")));
    assert_eq!(followed(&bench.graph).len(), FOLLOWED.len());
    pass(&mut bench, HOUR, "app-1");
    assert_eq!(followed(&bench.graph), [""; 0]);
}

#[test]
fn the_failure_of_a_database_reaches_the_service_of_its_user() {
    let mut bench = shop();
    let rate = |bench: &mut Bench, service: &str, level: &str| {
        let id = bench.graph.find(Class::BusinessService, &map(&[("name", service)]), None)[0].id;
        bench.input(|graph, ctx| {
            graph.set(id, ("criticality", level), (Source::Hand, "u-1"), "agreed", ctx).expect("a criticality")
        });
    };
    rate(&mut bench, "orders", "2");
    rate(&mut bench, "shop", "1");
    let (impact, reasons) = bench.graph.impact(host(&bench, "db-1"));
    let said: Vec<_> = reasons.iter().map(|reason| reason.sentence.as_str()).collect();
    assert_eq!(impact, 1);
    assert_eq!(said[0], "service shop has criticality 1: db-1 member_of orders, and shop depends_on orders");
    // Without services in between, the unit that uses it carries the failure to its own host's service.
    bench.enrol("db-1", &[]);
    let (impact, reasons) = bench.graph.impact(bench.graph.unit("db-1", "postgresql.service").expect("known").id);
    assert_eq!(impact, 3, "{reasons:?}");
}

#[test]
fn a_service_left_or_joined_moves_the_dependency_of_services() {
    let mut bench = shop();
    bench.enrol("db-1", &[("service", "ledger")]);
    assert_eq!(followed(&bench.graph)[0], "business_service shop depends_on business_service ledger");
    bench.enrol("db-1", &[("service", "shop")]);
    assert_eq!(followed(&bench.graph), FOLLOWED[1..], "a service does not depend on itself");
    bench.enrol("app-1", &[("service", "front")]);
    assert_eq!(followed(&bench.graph)[0], "business_service front depends_on business_service shop");
}

#[test]
fn hosts_of_a_service_claim_its_dependency_each_for_itself() {
    let mut bench = shop();
    let many: Vec<String> = (2..40).map(|n| format!("app-{n}")).collect();
    for agent in &many {
        bench.enrol(agent, &[("service", "shop")]);
        bench.fragment(whole(agent, "listener", process(SHOP, &[])));
        bench.fragment(whole(agent, "connection", vec![connection(SHOP, "10.0.0.5:5432")]));
    }
    let claims = |bench: &Bench| {
        let service = bench.graph.find(Class::BusinessService, &map(&[("name", "shop")]), None)[0].id;
        let all = bench.graph.relations_from(service).find(|r| r.kind == RelationKind::DependsOn);
        all.map_or(0, |relation| relation.claims.len())
    };
    assert_eq!(claims(&bench), 32, "a few are enough");
    let all: Vec<&str> = std::iter::once("app-1").chain(many.iter().map(String::as_str)).collect();
    for (gone, agent) in (1..).zip(&all) {
        bench.fragment(whole(agent, "connection", Vec::new()));
        pass(&mut bench, HOUR, agent);
        assert_eq!(claims(&bench), 32.min(all.len() - gone), "after {agent}");
    }
}

#[test]
fn a_retired_server_ends_what_led_to_it() {
    let mut bench = shop();
    bench.kill("db-1");
    let db = host(&bench, "db-1");
    bench.input(|graph, ctx| graph.retire(db, "u-1", "sold", ctx).expect("nobody speaks for it"));
    assert_eq!(followed(&bench.graph), [""; 0]);
    assert_eq!(why_none(&bench), ["no host is known to have the address 10.0.0.5"]);
}

#[test]
fn a_host_that_turns_out_to_be_another_brings_its_connections() {
    let mut bench = shop();
    bench.kill("app-1");
    bench.input(|graph, ctx| graph.lost("app-1", ctx));
    for section in sections().into_iter().filter(|section| section.agent == "app-1" && section.section != "host") {
        bench.fragment(Fragment { agent: "new".to_owned(), ..section });
    }
    let before = host(&bench, "app-1");
    bench.whole("new", "host", machine(2));
    assert_eq!(host(&bench, "new"), before, "they are one");
    let expected: Vec<String> = FOLLOWED.iter().map(|words| words.replace("app-1", "new")).collect();
    assert_eq!(followed(&bench.graph), expected);
}

#[test]
fn a_person_pins_denies_and_takes_it_back() {
    let mut bench = shop();
    let units = |bench: &Bench| {
        let unit = |agent, name| bench.graph.unit(agent, name).expect("known").id;
        (unit("app-1", "shop.service"), unit("db-1", "postgresql.service"))
    };
    let (shop, postgres) = units(&bench);
    let judge = |bench: &mut Bench, ends, verdict, note: &str| {
        let mut refused = None;
        bench.input(|graph, ctx| {
            graph.judge(ends, verdict, "u-1", note, ctx).map_err(|why| refused = Some(why)).unwrap_or_default()
        });
        refused.map(|why: crate::Refusal| why.code)
    };
    let holds = |bench: &Bench, words: &str| followed(&bench.graph).iter().any(|line| line == words);
    // Denied: it does not hold, whatever is seen; what is seen goes on being known.
    assert_eq!(judge(&mut bench, (shop, postgres), Some(Verdict::Denied), "only a monitor"), None);
    assert!(!holds(&bench, FOLLOWED[2]) && holds(&bench, FOLLOWED[1]));
    bench.fragment(whole("db-1", "listener", Vec::new()));
    bench.fragment(whole("db-1", "listener", process(POSTGRES, &["tcp/0.0.0.0:5432"])));
    assert!(!holds(&bench, FOLLOWED[2]));
    assert_eq!(
        judge(&mut bench, (shop, postgres), Some(Verdict::Denied), "again").as_deref(),
        Some("not_allowed_in_state")
    );
    assert_eq!(judge(&mut bench, (shop, postgres), None, "it was wrong"), None);
    assert!(holds(&bench, FOLLOWED[2]));
    // Pinned: it holds, whatever is not seen.
    assert_eq!(judge(&mut bench, (postgres, shop), Some(Verdict::Pinned), "it calls back"), None);
    let back = "service_unit postgresql.service on db-1 depends_on service_unit shop.service on app-1";
    assert_eq!(judge(&mut bench, (shop, postgres), Some(Verdict::Pinned), "for sure"), None);
    bench.fragment(whole("app-1", "connection", Vec::new()));
    pass(&mut bench, HOUR, "app-1");
    assert_eq!(followed(&bench.graph), [back.to_owned(), FOLLOWED[2].to_owned()]);
    for ends in [(postgres, shop), (shop, postgres)] {
        assert_eq!(judge(&mut bench, ends, None, "no more"), None);
    }
    assert_eq!(followed(&bench.graph), [""; 0]);
    // Refused.
    let nobody = CiId([7; 16]);
    assert_eq!(judge(&mut bench, (shop, nobody), Some(Verdict::Pinned), "x").as_deref(), Some("unknown"));
    assert_eq!(judge(&mut bench, (shop, shop), Some(Verdict::Pinned), "x").as_deref(), Some("invalid"));
    assert_eq!(judge(&mut bench, (shop, postgres), Some(Verdict::Pinned), " ").as_deref(), Some("missing"));
    assert_eq!(judge(&mut bench, (shop, postgres), None, "x").as_deref(), Some("not_allowed_in_state"));
}

#[test]
fn what_is_no_connection_is_left_out_and_counted() {
    let mut bench = Bench::new();
    let with = |name: &str, value: &str| {
        let mut item = connection(SHOP, "10.0.0.5:5432");
        item.attributes.insert(name.to_owned(), value.to_owned());
        item
    };
    let mut unnamed = connection(SHOP, "10.0.0.5:5432");
    unnamed.attributes.remove("process");
    let items = vec![
        with("remote", "db-1:5432"),
        with("remote", "127.0.0.1:80"),
        with("remote", "[::1]:80"),
        unnamed,
        item("process", SHOP, &[], &[]),
    ];
    let outcome = bench.fragment(whole("app-1", "connection", items));
    assert_eq!((outcome.left_out, outcome.facts.len()), (5, 1), "only the host came");
    let many = (0..600).map(|port| connection(SHOP, &format!("10.0.0.5:{}", 1_000 + port))).collect();
    let outcome = bench.fragment(whole("app-1", "connection", many));
    assert_eq!(outcome.left_out, 88);
    assert_eq!(bench.graph.host_of("app-1").expect("known").more().links.len(), 512);
}

/// What is there and how it hangs together, without times.
fn shape(bench: &Bench) -> Vec<String> {
    let graph = &bench.graph;
    let hosts = graph.of_class(Class::Host).map(|host| {
        let links: Vec<_> =
            host.more().links.iter().map(|(key, link)| (key, link.holds.len(), &link.why_none)).collect();
        format!("{} {links:?}", host.name)
    });
    let relations = graph.relations().filter(|r| r.until.is_none());
    let relations = relations.map(|r| {
        let (from, to) = (graph.describe(r.from), graph.describe(r.to));
        format!("{from} {} {to} by {} unseen {}", r.kind, r.claims.len(), r.unseen_since.is_some())
    });
    let mut shape: Vec<String> = hosts.chain(relations).collect();
    shape.sort();
    shape
}

/// A fleet of three: who serves on which port, who asks whom, and who has a second address that another has, too.
fn fleet() -> impl Strategy<Value = Vec<Fragment>> {
    let asks = prop::collection::vec((0..3_usize, 0..4_usize, 0..2_u16), 0..6);
    (asks, prop::collection::vec(any::<bool>(), 3)).prop_map(|(asks, shares)| {
        let mut fragments = Vec::new();
        for host in 0..3_usize {
            let agent = format!("h{host}");
            let shared = if shares[host] { " 10.0.0.3" } else { "" };
            let endpoints = ["tcp/0.0.0.0:5000".to_owned(), format!("tcp/10.0.0.{host}:5001")];
            let endpoints: Vec<&str> = endpoints.iter().map(String::as_str).collect();
            let mut processes = process(POSTGRES, &endpoints[..=host % 2]);
            processes.extend(process(SHOP, &[]));
            let asked = asks.iter().filter(|(from, ..)| *from == host);
            let asked: BTreeSet<String> = asked.map(|(_, to, port)| format!("10.0.0.{to}:{}", 5000 + port)).collect();
            fragments.extend([
                whole(&agent, "host", machine(host as u32)),
                whole(&agent, "interface", interface(&format!("10.0.0.{host}{shared}"))),
                whole(&agent, "listener", processes),
                whole(&agent, "service", vec![unit("shop.service", "active", "x")]),
                whole(&agent, "connection", asked.iter().map(|remote| connection(SHOP, remote)).collect()),
            ]);
        }
        fragments
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_in_which_a_fleet_is_heard_does_not_matter(
        (fragments, turned, labels) in (fleet(), prop::collection::vec(prop::option::of(0..2_u8), 3)).prop_flat_map(
            |(fragments, labels)| (Just(fragments.clone()), Just(fragments).prop_shuffle(), Just(labels))
        ),
    ) {
        let enrol = |bench: &mut Bench| {
            for (host, label) in labels.iter().enumerate() {
                if let Some(label) = label {
                    bench.enrol(&format!("h{host}"), &[("service", &format!("s{label}"))]);
                }
            }
        };
        let (mut one, mut other) = (Bench::new(), Bench::new());
        enrol(&mut other);
        for (straight, winding) in fragments.into_iter().zip(turned) {
            one.fragment(straight);
            other.fragment(winding);
        }
        enrol(&mut one);
        prop_assert_eq!(shape(&one), shape(&other));
    }

    #[test]
    fn facts_and_records_both_tell_what_followed(
        turned in fleet().prop_flat_map(|fragments| Just(fragments).prop_shuffle()),
        gone in 0..3_usize,
    ) {
        let mut bench = Bench::new();
        for fragment in turned {
            bench.fragment(fragment);
        }
        bench.fragment(whole(&format!("h{gone}"), "connection", Vec::new()));
        pass(&mut bench, HOUR, &format!("h{gone}"));
        let mut again = Bench::new();
        again.graph = restored(&bench.graph);
        prop_assert_eq!(shape(&again), shape(&bench));
        let told = as_of(bench.ledger.iter().map(|(at, fact)| (*at, fact)), Millis(i64::MAX), bench.now);
        prop_assert_eq!(followed(&told), followed(&bench.graph));
        // Nothing more follows from hearing it all again.
        let hosts: Vec<String> = (0..3).map(|host| format!("h{host}")).collect();
        for agent in &hosts {
            let facts = bench.input(|graph, ctx| graph.seen(agent, ctx)).facts;
            prop_assert_eq!(facts, vec![]);
        }
    }
}
