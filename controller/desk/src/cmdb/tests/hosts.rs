//! Who a host is: recognised, told apart, never merged in silence.

use super::fixture::{Bench, furnish, host, item, machine, packages};
use crate::cmdb::facts::{Conflict, ConflictKind};
use crate::cmdb::{Ci, CmdbFact, Lifecycle, Outcome, RelationKind};
use crate::fact::FactBody;

fn bodies(outcome: &Outcome) -> Vec<&CmdbFact> {
    let bodies = outcome.facts.iter().map(|fact| match &fact.body {
        FactBody::Cmdb(body) => body,
        other => panic!("not of the CMDB: {other:?}"),
    });
    bodies.collect()
}

fn conflicts(outcome: &Outcome) -> Vec<&Conflict> {
    let found = bodies(outcome).into_iter().filter_map(|body| match body {
        CmdbFact::Conflict(conflict) => Some(conflict),
        _ => None,
    });
    found.collect()
}

fn host_of<'a>(bench: &'a Bench, agent: &str) -> &'a Ci {
    bench.graph.host_of(agent).unwrap_or_else(|| panic!("no host of {agent}"))
}

#[test]
fn a_host_is_recognised_by_what_says_something_of_it() {
    let check = |said: &[(&str, &str)], expected: &[(&str, &str)]| {
        let mut bench = Bench::new();
        bench.whole("web-1", "host", host(said));
        let found = &host_of(&bench, "web-1").more().identifiers;
        let found: Vec<_> = found.iter().skip(1).map(|one| (one.kind.as_str(), one.value.as_str())).collect();
        assert_eq!(found, expected, "{said:?}");
    };
    let id = "0f5e8c1de5a14e0c9b7f6d5a3c2b1a09";
    check(&[("machine_id", id)], &[("machine_id", id)]);
    check(&[("machine_id", "uninitialized")], &[]);
    check(&[("machine_id", "00000000000000000000000000000000")], &[]);
    check(&[("machine_id", "short")], &[]);
    let dell = ("dmi_vendor", "Dell Inc.");
    check(&[dell, ("dmi_serial", "7XK0001")], &[("dmi_serial", "dell inc. 7xk0001")]);
    check(&[("dmi_serial", "7XK0001")], &[]);
    // The board is not the container's.
    check(&[dell, ("dmi_serial", "7XK0001"), ("virtualization", "systemd-nspawn")], &[]);
    check(&[("mac_addresses", "52:54:00:aa:bb:01"), ("virtualization", "docker")], &[]);
    for junk in
        ["0", "000000", "", "To be filled by O.E.M.", "Default string", "System Serial Number", "........", "xxxxxxx"]
    {
        check(&[dell, ("dmi_serial", junk)], &[]);
    }
    let uuid = "4c4c4544-0058-4b10-8030-b8c04f303031";
    check(&[("dmi_uuid", uuid)], &[("dmi_uuid", "44454c4c-5800-104b-8030-b8c04f303031")]);
    check(&[("dmi_uuid", "00000000-0000-0000-0000-000000000000")], &[]);
    check(&[("dmi_uuid", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF")], &[]);
    check(&[("dmi_uuid", "03000200-0400-0500-0006-000700080009")], &[]);
    check(
        &[("mac_addresses", "52:54:00:AA:bb:01, 00:00:00:00:00:00 02:42:ac:11:00:02,3C-EC-EF-01-02-03")],
        &[("mac_addresses", "3c:ec:ef:01:02:03,52:54:00:aa:bb:01")],
    );
    check(&[("fqdn", "Web-1.Shop.example.")], &[("fqdn", "web-1.shop.example")]);
    for nobody in ["web-1", "localhost", "localhost.localdomain", "localhost.lan"] {
        check(&[("fqdn", nobody)], &[]);
    }
}

#[test]
fn both_byte_orders_of_a_uuid_are_one_machine() {
    let mut bench = Bench::new();
    bench.whole("old", "host", host(&[("dmi_uuid", "4C4C4544-0058-4B10-8030-B8C04F303031")]));
    let before = host_of(&bench, "old").id;
    bench.kill("old");
    bench.whole("new", "host", host(&[("dmi_uuid", "44454c4c-5800-104b-8030-b8c04f303031")]));
    assert_eq!(host_of(&bench, "new").id, before);
}

#[test]
fn a_machine_enrolled_under_a_new_name_goes_on_as_the_same_host() {
    let mut bench = Bench::new();
    bench.enrol("old", &[("service", "shop")]);
    furnish(&mut bench, "old", 7);
    let (before, count) = (host_of(&bench, "old").id, bench.graph.items().count());
    bench.kill("old");
    bench.input(|graph, ctx| graph.lost("old", ctx));
    bench.enrol("new", &[("service", "search")]);
    let mut fewer = packages();
    fewer.retain(|package| package.key != "lsof/amd64");
    // Its packages come before it says who it is.
    bench.whole("new", "package", fewer);
    let passing = host_of(&bench, "new").id;
    let outcome = bench.fragment(super::fixture::whole("new", "host", machine(7)));
    let Some(CmdbFact::Merged { kept, dropped, agent, matched, weight }) = bodies(&outcome).first() else {
        panic!("a merge first: {:?}", bodies(&outcome))
    };
    assert_eq!((*kept, *dropped, agent.as_str(), *weight), (before, passing, "new", 50));
    let by: Vec<_> = matched.iter().map(|m| m.identifier.kind.as_str()).collect();
    assert_eq!(by, ["machine_id", "dmi_serial", "fqdn"]);
    let said: Vec<_> = outcome.facts[0].reasons.iter().map(|reason| reason.sentence.as_str()).collect();
    assert_eq!(said[0], "machine_id 00000000000000000000abc00000123b is the same (weight 24)");

    let now = host_of(&bench, "new");
    assert_eq!((now.id, now.name.as_str(), now.lifecycle), (before, "new", Lifecycle::InUse));
    assert!(bench.graph.host_of("old").is_none());
    assert_eq!(bench.graph.resolve(passing).map(|ci| ci.id), Some(before));
    let lsof = bench.graph.on_host(before, crate::cmdb::Class::SoftwarePackage, "lsof/amd64").expect("on record");
    assert_eq!((lsof.lifecycle, lsof.agent.as_deref()), (Lifecycle::Missing, Some("new")));
    let mut services: Vec<_> = bench.graph.relations_from(before).map(|r| bench.graph.describe(r.to)).collect();
    services.sort();
    assert_eq!(services, ["business_service search", "business_service shop"], "what people said of either stays");
    let runs: Vec<_> = bench.graph.relations_to(before).filter(|r| r.kind == RelationKind::RunsOn).collect();
    assert_eq!(runs.len(), 299 + 3 + 2);
    assert_eq!(bench.graph.relations_to(passing).count(), 0);
    assert!(bench.graph.items().count() > count, "what was dropped stays on record");
    // Everything that was known is known again: nothing is news.
    bench.whole("new", "service", super::fixture::units());
    let again = bench.fragment(super::fixture::whole("new", "host", machine(7)));
    assert_eq!(again.facts, []);
}

#[test]
fn a_cloned_machine_is_told_apart_and_shown_once() {
    let mut bench = Bench::new();
    furnish(&mut bench, "web-1", 1);
    let outcome = bench.fragment(super::fixture::whole("web-2", "host", machine(1)));
    let [conflict] = conflicts(&outcome)[..] else { panic!("one conflict: {:?}", bodies(&outcome)) };
    assert_eq!((conflict.kind, conflict.over.kind.as_str()), (ConflictKind::Clone, "machine_id"));
    let names: Vec<_> = conflict.sides.iter().map(|side| (side.name.as_str(), side.live)).collect();
    assert_eq!(names, [("web-2", true), ("web-1", true)]);
    let sentence =
        &outcome.facts.iter().find(|fact| !fact.reasons.is_empty() && fact.reasons[0].sentence.contains("cloned"));
    assert!(sentence.is_some(), "{:?}", outcome.facts);
    let (one, two) = (host_of(&bench, "web-1"), host_of(&bench, "web-2"));
    assert_ne!(one.id, two.id);
    assert_eq!((one.more().conflicts.len(), two.more().conflicts.len()), (1, 1));
    // Said once, on whichever side it is said again.
    for agent in ["web-2", "web-1"] {
        let again = bench.fragment(super::fixture::whole(agent, "host", machine(1)));
        assert_eq!(again.facts, [], "{agent}");
    }
    let outcome = bench.fragment(super::fixture::whole("web-2", "host", machine(2)));
    assert!(matches!(bodies(&outcome)[0], CmdbFact::ConflictEnded { .. }), "{:?}", bodies(&outcome));
    assert!(
        host_of(&bench, "web-1").more().conflicts.is_empty() && host_of(&bench, "web-2").more().conflicts.is_empty()
    );
}

#[test]
fn identifiers_that_disagree_make_no_silent_merge() {
    let check = |known: &[&[(&str, &str)]], told: &[(&str, &str)], expected: &[ConflictKind]| {
        let mut bench = Bench::new();
        for (at, said) in known.iter().enumerate() {
            let agent = format!("old-{at}");
            bench.whole(&agent, "host", host(said));
            bench.kill(&agent);
        }
        let outcome = bench.fragment(super::fixture::whole("new", "host", host(told)));
        let kinds: Vec<_> = conflicts(&outcome).iter().map(|conflict| conflict.kind).collect();
        assert_eq!(kinds, expected, "{known:?} {told:?}");
        let is_merged = bodies(&outcome).iter().any(|body| matches!(body, CmdbFact::Merged { .. }));
        assert!(!is_merged, "{known:?} {told:?}");
        let again = bench.fragment(super::fixture::whole("new", "host", host(told)));
        assert_eq!(again.facts, [], "{known:?} {told:?}");
    };
    let (a, b) =
        (("machine_id", "aa5e8c1de5a14e0c9b7f6d5a3c2b1a09"), ("machine_id", "bb5e8c1de5a14e0c9b7f6d5a3c2b1a09"));
    let vendor = ("dmi_vendor", "Dell Inc.");
    let (one, two) = (("dmi_serial", "7XK0001"), ("dmi_serial", "7XK0002"));
    let name = ("fqdn", "web-1.shop.example");
    // The board was kept, the system installed anew.
    check(&[&[a, vendor, one]], &[b, vendor, one], &[ConflictKind::Disagreement]);
    // The image was copied onto other hardware.
    check(&[&[a, vendor, one]], &[a, vendor, two], &[ConflictKind::Disagreement]);
    // The disk of one in the chassis of another.
    check(&[&[a], &[vendor, one]], &[a, vendor, one], &[ConflictKind::Ambiguous, ConflictKind::Ambiguous]);
    // A name alone is too little to merge on, and nothing to quarrel over.
    check(&[&[name]], &[name], &[]);
    check(&[&[a, name]], &[b, name], &[ConflictKind::Disagreement]);
    check(&[&[a, vendor, one, name]], &[b, vendor, two], &[]);
}

#[test]
fn two_live_hosts_on_one_board_are_no_clones() {
    let mut bench = Bench::new();
    furnish(&mut bench, "web-1", 1);
    let mut other = machine(2);
    other[0].attributes.insert("dmi_serial".to_owned(), "7XK0001".to_owned());
    let outcome = bench.fragment(super::fixture::whole("web-2", "host", other));
    let [conflict] = conflicts(&outcome)[..] else { panic!("one conflict: {:?}", bodies(&outcome)) };
    assert_eq!(conflict.kind, ConflictKind::Disagreement);
    assert_eq!(
        outcome.facts[1].reasons[0].sentence,
        "web-2 and web-1 share dmi_serial dell inc. 7xk0001, and what else is known of them differs: they stay two until \
         somebody decides (machine_id is 00000000000000000000abc000001236 here and 00000000000000000000abc000001235 there; \
         fqdn is web-2.shop.example here and web-1.shop.example there)"
    );
}

#[test]
fn a_host_known_by_its_agent_becomes_no_other() {
    let mut bench = Bench::new();
    bench.whole("web-1", "host", machine(1));
    bench.kill("web-1");
    bench.whole("web-2", "host", machine(2));
    let two = host_of(&bench, "web-2").id;
    // Its disk was restored from the other's backup.
    let outcome = bench.fragment(super::fixture::whole("web-2", "host", machine(1)));
    let kinds: Vec<_> = conflicts(&outcome).iter().map(|conflict| conflict.kind).collect();
    assert_eq!(kinds, [ConflictKind::Disagreement]);
    assert_eq!(host_of(&bench, "web-2").id, two);
}

#[test]
fn a_value_that_many_hosts_have_is_learned_to_be_junk() {
    let mut bench = Bench::new();
    let mut said = Vec::new();
    for number in 0..6 {
        let id = format!("{:032x}", 0xabcd_0000_u64 + number);
        let told = [("machine_id", id.as_str()), ("dmi_vendor", "Whitebox"), ("dmi_serial", "SN-42-42")];
        let outcome = bench.fragment(super::fixture::whole(&format!("n{number}"), "host", host(&told)));
        said.push(conflicts(&outcome).len());
    }
    assert_eq!(said, [0, 1, 2, 3, 0, 0], "the fifth shows that the serial says nothing");
}

#[test]
fn the_name_of_a_retired_host_is_free() {
    let mut bench = Bench::new();
    bench.whole("web-1", "host", machine(1));
    let old = host_of(&bench, "web-1").id;
    bench.kill("web-1");
    bench.input(|graph, ctx| graph.retire(old, "u-1", "scrapped", ctx).expect("nobody speaks for it"));
    let mut successor = machine(2);
    successor[0].attributes.insert("fqdn".to_owned(), "web-1.shop.example".to_owned());
    let outcome = bench.fragment(super::fixture::whole("web-2", "host", successor));
    assert_eq!(conflicts(&outcome), Vec::<&Conflict>::new());
    assert_ne!(host_of(&bench, "web-2").id, old);
}

#[test]
fn a_host_is_one_whatever_the_message_calls_it() {
    let mut bench = Bench::new();
    let twice = vec![item("host", "a", &[("hostname", "a")], &[]), item("host", "b", &[("hostname", "b")], &[])];
    let outcome = bench.fragment(super::fixture::whole("web-1", "host", twice));
    assert_eq!((outcome.left_out, bench.graph.items().count()), (1, 1));
    let section = bench.whole("web-1", "host", Vec::new());
    assert_eq!(section, None, "a host does not leave its own inventory");
}
