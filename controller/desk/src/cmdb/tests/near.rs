//! What stands behind an item, beside it, and what changed around it: the questions of correlation.

use proptest::prelude::*;

use super::fixture::{Bench, difference, furnish, item, map, packages, unit, whole};
use crate::Millis;
use crate::cmdb::facts::{CmdbFact, Edge};
use crate::cmdb::{Class, Graph, PeerKind, RelationKind, Source, When};
use crate::ids::CiId;

const HOUR: i64 = 3_600_000;

/// `from kind to`, said by hand.
fn relate(graph: &mut Graph, from: CiId, kind: RelationKind, to: CiId) {
    let edge = Edge { from, kind, to, by: "test".to_owned() };
    graph.take(&CmdbFact::Related { edge, source: Source::Hand }, When::default());
}

fn host(bench: &Bench, agent: &str) -> CiId {
    bench.graph.host_of(agent).expect("known").id
}

fn unit_on(bench: &Bench, agent: &str, name: &str) -> CiId {
    bench.graph.unit(agent, name).expect("known").id
}

/// web-1 and web-2 with all their sections, and nginx on web-1 needing shop.service on web-2.
fn two() -> Bench {
    let mut bench = Bench::new();
    furnish(&mut bench, "web-1", 1);
    furnish(&mut bench, "web-2", 2);
    let (from, to) = (unit_on(&bench, "web-1", "nginx.service"), unit_on(&bench, "web-2", "shop.service"));
    relate(&mut bench.graph, from, RelationKind::DependsOn, to);
    bench
}

#[test]
fn what_a_unit_depends_on_is_reached_with_distance_and_words() {
    let bench = two();
    let (nginx, shop) = (unit_on(&bench, "web-1", "nginx.service"), unit_on(&bench, "web-2", "shop.service"));
    let up = bench.graph.upstream(nginx);
    let near: Vec<_> = up.iter().filter(|reached| reached.distance == 1).map(|reached| reached.ci).collect();
    assert_eq!(near.len(), 4, "host, process, package, and the unit elsewhere");
    assert_eq!(
        (up.distance(nginx), up.distance(shop), up.distance(host(&bench, "web-2"))),
        (Some(0), Some(1), Some(2))
    );
    let way = bench.graph.path(nginx, host(&bench, "web-2"));
    assert_eq!(
        way,
        Some(vec!["nginx.service depends_on shop.service".to_owned(), "shop.service runs_on web-2".to_owned()])
    );
    assert_eq!(bench.graph.path(host(&bench, "web-2"), nginx), None, "the other way round nothing depends");
    assert_eq!(bench.graph.path(nginx, nginx), Some(vec![]));
    let down = bench.graph.downstream(host(&bench, "web-2"));
    assert_eq!(down.distance(nginx), Some(2));
    assert_eq!(down.distance(host(&bench, "web-1")), None, "a host does not go down with what runs on it");
}

#[test]
fn a_host_needs_what_things_on_it_need_elsewhere() {
    let bench = two();
    let (here, there) = (host(&bench, "web-1"), host(&bench, "web-2"));
    let way = bench.graph.path(here, there).expect("by nginx");
    let words = ["nginx.service runs_on web-1", "nginx.service depends_on shop.service", "shop.service runs_on web-2"];
    assert_eq!(way, words);
    let common = bench.graph.common_upstream(here, unit_on(&bench, "web-2", "nginx.service"));
    let first = common.first().map(|common| (common.ci, common.from_a, common.from_b));
    assert_eq!(first, Some((there, 2, 1)));
}

#[test]
fn a_common_dependency_is_named_nearest_first_and_either_end_counts() {
    let bench = two();
    let (nginx, shop) = (unit_on(&bench, "web-1", "nginx.service"), unit_on(&bench, "web-2", "shop.service"));
    let names = |a, b| -> Vec<_> {
        let common = bench.graph.common_upstream(a, b);
        common.iter().map(|one| (bench.graph.describe(one.ci), one.from_a, one.from_b)).collect()
    };
    let expected = [("service_unit shop.service on web-2", 1, 0), ("host web-2", 2, 1)];
    assert_eq!(names(nginx, shop), expected.map(|(what, a, b)| (what.to_owned(), a, b)));
    assert_eq!(names(host(&bench, "web-2"), unit_on(&bench, "web-1", "ssh.service")), []);
}

/// openssl at that version on a host.
fn openssl(version: &str) -> Vec<crate::input::FoundItem> {
    vec![item("software_package", "openssl/amd64", &[("name", "openssl"), ("version", version)], &[])]
}

#[test]
fn an_upgrade_is_a_change_and_a_first_sight_is_none() {
    let mut bench = two();
    let (nginx, now) = (unit_on(&bench, "web-1", "nginx.service"), bench.now);
    let since = now.plus(-HOUR);
    assert_eq!(bench.graph.recent_changes(nginx, since), [], "everything was seen for the first time");
    bench.fragment(difference("web-1", "package", openssl("3.0.18-1"), &[]));
    bench.fragment(difference("web-2", "package", openssl("3.0.18-1"), &[]));
    let changes = bench.graph.recent_changes(nginx, since);
    let identity = "package openssl 3.0.17-1~deb12u2→3.0.18-1";
    let told: Vec<_> = changes.iter().map(|one| (one.identity.as_str(), one.distance)).collect();
    assert_eq!(told, [(identity, 2), (identity, 3)], "on its own host, and on the host of what it needs");
    let on_both: Vec<CiId> = changes.iter().map(|change| change.ci).collect();
    let mut alike = bench.graph.changed_alike(identity, since);
    alike.sort_by_key(|ci| on_both.iter().position(|other| other == ci));
    assert_eq!(alike, on_both, "one change across the fleet");
    assert_eq!(bench.graph.recent_changes(nginx, bench.now.plus(1_000)), [], "that was before");
    assert_eq!(bench.graph.changed_alike(identity, bench.now.plus(1_000)), []);
    let restored = super::fixture::restored(&bench.graph);
    assert_eq!(restored.recent_changes(nginx, since), changes, "the records alone tell the same");
    assert_eq!(restored.changed_alike(identity, since), bench.graph.changed_alike(identity, since));
}

#[test]
fn what_is_installed_or_removed_later_is_a_change_and_a_symptom_is_none() {
    let mut bench = two();
    let nginx = unit_on(&bench, "web-1", "nginx.service");
    let since = bench.now;
    bench.now = bench.now.plus(60_000);
    let htop = item("software_package", "htop/amd64", &[("name", "htop"), ("version", "3.2.2-2")], &[]);
    bench.fragment(difference("web-1", "package", vec![htop], &[("software_package", "lsof/amd64")]));
    // The unit fails and its process and endpoint go: that is what is to be explained.
    bench.fragment(difference("web-1", "service", vec![unit("nginx.service", "failed", "nginx-light/amd64")], &[]));
    bench.whole("web-1", "listener", Vec::new());
    let told: Vec<_> = bench.graph.recent_changes(nginx, since).into_iter().map(|one| one.identity).collect();
    assert_eq!(told, ["package htop 3.2.2-2 installed", "package lsof 4.95.0-1 removed"]);
}

#[test]
fn a_units_new_setup_survives_how_it_fares() {
    let mut bench = two();
    let nginx = unit_on(&bench, "web-1", "nginx.service");
    let since = bench.now;
    let told = |user: &str, state: &str| {
        item("service_unit", "nginx.service", &[("user", user), ("active_state", state)], &[])
    };
    bench.fragment(difference("web-1", "service", vec![told("www-data", "active")], &[]));
    bench.fragment(difference("web-1", "service", vec![told("nginx", "active")], &[]));
    for state in ["failed", "active", "failed"] {
        bench.fragment(difference("web-1", "service", vec![told("nginx", state)], &[]));
    }
    let changes = bench.graph.recent_changes(nginx, since);
    let told: Vec<_> = changes.iter().map(|one| (one.identity.as_str(), one.distance)).collect();
    assert_eq!(told, [("service_unit nginx.service user www-data→nginx", 0)]);
    let elsewhere = bench.graph.recent_changes(unit_on(&bench, "web-2", "nginx.service"), since);
    assert_eq!(elsewhere, [], "it does not depend on web-1");
}

#[test]
fn peers_share_a_service_a_rack_a_subnet_or_a_hypervisor() {
    let mut bench = two();
    let interface = |address: &str| {
        vec![
            item("network_interface", "eth0", &[("name", "eth0"), ("addresses", address)], &[]),
            item("network_interface", "docker0", &[("name", "docker0"), ("addresses", "172.17.0.1 fe80::1")], &[]),
        ]
    };
    bench.whole("web-1", "interface", interface("10.1.2.3 2001:db8:1:2::3"));
    bench.whole("web-2", "interface", interface("10.1.2.4/24"));
    let (one, other) = (unit_on(&bench, "web-1", "nginx.service"), host(&bench, "web-2"));
    let kinds =
        |bench: &Bench| -> Vec<PeerKind> { bench.graph.peers(one, other).iter().map(|peer| peer.kind).collect() };
    assert_eq!(kinds(&bench), [PeerKind::Subnet], "the bridge that both have is no network between them");
    bench.enrol("web-1", &[("service", "shop")]);
    bench.enrol("web-2", &[("service", "shop")]);
    assert_eq!(kinds(&bench), [PeerKind::Service, PeerKind::Subnet]);
    let shop = bench.graph.find(Class::BusinessService, &map(&[("name", "shop")]), None)[0].id;
    for host in [host(&bench, "web-1"), host(&bench, "web-2")] {
        relate(&mut bench.graph, host, RelationKind::LocatedIn, shop);
        relate(&mut bench.graph, host, RelationKind::HostedOn, shop);
    }
    assert_eq!(kinds(&bench), [PeerKind::Service, PeerKind::Rack, PeerKind::Hypervisor, PeerKind::Subnet]);
    let said = &bench.graph.peers(one, other)[0].sentence;
    assert_eq!(said, "web-1 and web-2 are both member_of shop");
    assert_eq!(bench.graph.peers(one, host(&bench, "web-1")), [], "of one host");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Between things on no host, as only there the beginning of a walk is like any other item.
    #[test]
    fn what_one_needs_is_what_goes_down_with_the_other(
        edges in prop::collection::vec((0..8_usize, 0..4_usize, 0..8_usize), 0..20),
    ) {
        let mut bench = Bench::new();
        for name in 0..8 {
            bench.enrol(&format!("host-{name}"), &[("service", &format!("s{name}"))]);
        }
        let services: Vec<CiId> = bench.graph.of_class(Class::BusinessService).map(|ci| ci.id).collect();
        let kinds = [RelationKind::DependsOn, RelationKind::Contains, RelationKind::ListensOn, RelationKind::OwnedBy];
        for (from, kind, to) in edges {
            relate(&mut bench.graph, services[from], kinds[kind], services[to]);
        }
        for a in &services {
            let up = bench.graph.upstream(*a);
            for b in &services {
                let down = bench.graph.downstream(*b);
                prop_assert_eq!(up.distance(*b), down.distance(*a));
                let way = bench.graph.path(*a, *b);
                prop_assert_eq!(way.map(|way| way.len()), up.distance(*b));
            }
        }
    }

    #[test]
    fn changes_since_an_instant_are_those_that_happened_from_then_on(
        upgrades in prop::collection::vec((0..5_usize, 0..4_u8), 1..12),
        back in 0..12_usize,
    ) {
        let mut bench = Bench::new();
        let named = |at: usize| packages()[at].clone();
        bench.fragment(whole("web-1", "package", (0..5).map(named).collect()));
        let mut instants = Vec::new();
        for (at, version) in &upgrades {
            let mut package = named(*at);
            package.attributes.insert("version".to_owned(), format!("9.{version}"));
            instants.push(bench.now.plus(900));
            bench.fragment(difference("web-1", "package", vec![package], &[]));
        }
        let since = instants.get(back).copied().unwrap_or(Millis(0));
        let host = bench.graph.host_of("web-1").expect("known").id;
        let told = bench.graph.recent_changes(host, since);
        prop_assert!(told.iter().all(|change| change.happened_at >= since && change.from != change.to));
        for change in &told {
            prop_assert!(bench.graph.changed_alike(&change.identity, since).contains(&change.ci));
        }
        // The last change of each package is there if it is not too old.
        let mut versions = std::collections::BTreeMap::new();
        let mut last = std::collections::BTreeMap::new();
        for ((at, version), instant) in upgrades.iter().zip(&instants) {
            if versions.insert(at, version) != Some(version) {
                last.insert(at, instant);
            }
        }
        prop_assert_eq!(told.len(), last.values().filter(|instant| ***instant >= since).count());
    }
}
