//! Coming, going, and what people say.

use super::fixture::{Bench, difference, furnish, machine, map, packages, section_facts, units, whole};
use crate::cmdb::{Class, Lifecycle, Source, Value};
use crate::{Millis, TimerKind};

const DAY: i64 = 86_400_000;

fn lifecycle(bench: &Bench, class: Class, key: &str) -> Option<Lifecycle> {
    let host = bench.graph.host_of("web-1")?;
    bench.graph.on_host(host.id, class, key).map(|ci| ci.lifecycle)
}

#[test]
fn a_host_unseen_is_missing_then_retired_with_all_on_it_and_comes_back_whole() {
    let mut bench = Bench::new();
    furnish(&mut bench, "web-1", 1);
    let host = bench.graph.host_of("web-1").expect("known").id;
    let state = |bench: &Bench| lifecycle(bench, Class::Host, "");
    let openssl = |bench: &Bench| lifecycle(bench, Class::SoftwarePackage, "openssl/amd64");

    let outcome = bench.input(|graph, ctx| graph.lost("web-1", ctx));
    assert_eq!((state(&bench), openssl(&bench)), (Some(Lifecycle::Missing), Some(Lifecycle::InUse)));
    let [timer] = &outcome.timers[..] else { panic!("one timer: {:?}", outcome.timers) };
    assert_eq!((timer.due, &timer.kind), (bench.now.plus(30 * DAY), &TimerKind::CiUnseen { ci: host }));
    assert_eq!(bench.input(|graph, ctx| graph.lost("web-1", ctx)).facts, [], "it is missing already");

    bench.now = bench.now.plus(29 * DAY);
    assert_eq!(bench.input(|graph, ctx| graph.due(host, ctx)).facts, []);
    bench.now = timer.due;
    assert_eq!(bench.input(|graph, ctx| graph.due(host, ctx)).facts.len(), 1);
    assert_eq!((state(&bench), openssl(&bench)), (Some(Lifecycle::Retired), Some(Lifecycle::Retired)));
    assert_eq!(bench.graph.relations_to(host).count(), 0);
    assert_eq!(bench.input(|graph, ctx| graph.due(host, ctx)).facts, [], "once");

    assert_eq!(bench.input(|graph, ctx| graph.seen("web-1", ctx)).facts.len(), 1);
    assert_eq!((state(&bench), openssl(&bench)), (Some(Lifecycle::InUse), Some(Lifecycle::Retired)));
    let fact = bench.whole("web-1", "package", packages()).expect("all of it is back");
    assert_eq!((fact.added.len(), fact.changed.len()), (0, 300));
    assert_eq!(openssl(&bench), Some(Lifecycle::InUse));
    bench.whole("web-1", "service", units());
    let unit = bench.graph.unit("web-1", "nginx.service").expect("back").id;
    assert_eq!(bench.graph.relations_from(unit).count(), 2, "runs_on and uses");
}

#[test]
fn a_package_long_gone_is_retired_by_its_hosts_timer() {
    let mut bench = Bench::new();
    bench.whole("web-1", "package", packages());
    let host = bench.graph.host_of("web-1").expect("known").id;
    let gone = bench.fragment(difference("web-1", "package", vec![], &[("software_package", "lsof/amd64")]));
    bench.now = gone.timers[0].due;
    assert_eq!(bench.input(|graph, ctx| graph.due(host, ctx)).facts.len(), 1);
    assert_eq!(lifecycle(&bench, Class::SoftwarePackage, "lsof/amd64"), Some(Lifecycle::Retired));
    assert_eq!(lifecycle(&bench, Class::Host, ""), Some(Lifecycle::InUse));
}

#[test]
fn a_host_that_came_back_in_time_is_not_retired() {
    let mut bench = Bench::new();
    bench.whole("web-1", "host", machine(1));
    let host = bench.graph.host_of("web-1").expect("known").id;
    let first = bench.input(|graph, ctx| graph.lost("web-1", ctx)).timers[0].due;
    bench.input(|graph, ctx| graph.seen("web-1", ctx));
    bench.now = bench.now.plus(DAY);
    bench.input(|graph, ctx| graph.lost("web-1", ctx));
    bench.now = first;
    assert_eq!(bench.input(|graph, ctx| graph.due(host, ctx)).facts, [], "its 30 days began anew");
}

#[test]
fn what_a_live_agent_sees_is_not_retired_by_hand() {
    let mut bench = Bench::new();
    furnish(&mut bench, "web-1", 1);
    let host = bench.graph.host_of("web-1").expect("known").id;
    let retire = |bench: &mut Bench, ci| {
        let mut refused = None;
        bench.input(|graph, ctx| {
            graph.retire(ci, "u-1", "sold", ctx).map_err(|why| refused = Some(why)).unwrap_or_default()
        });
        refused.map(|why| (why.code, why.sentence))
    };
    let (code, sentence) = retire(&mut bench, host).expect("refused");
    assert_eq!(code, "not_allowed_in_state");
    assert_eq!(
        sentence,
        "host web-1 is seen by the live agent web-1, which would bring it back: stop or revoke the agent first"
    );
    bench.kill("web-1");
    assert_eq!(retire(&mut bench, host), None);
    assert_eq!(lifecycle(&bench, Class::Host, ""), Some(Lifecycle::Retired));
    assert_eq!(retire(&mut bench, host).map(|(code, _)| code).as_deref(), Some("not_allowed_in_state"));
    let nobody = crate::ids::CiId([7; 16]);
    assert_eq!(retire(&mut bench, nobody).map(|(code, _)| code).as_deref(), Some("unknown"));
}

#[test]
fn a_lower_source_overwrites_no_fresher_higher_one() {
    let mut bench = Bench::new();
    let mut told = machine(1);
    told[0].attributes.insert("environment".to_owned(), "test".to_owned());
    bench.whole("web-1", "host", told.clone());
    let host = bench.graph.host_of("web-1").expect("known").id;
    let set = |bench: &mut Bench, name: &str, value: &str| {
        let mut refused = None;
        bench.input(|graph, ctx| {
            let done = graph.set(host, (name, value), (Source::Hand, "u-1"), "as inspected", ctx);
            done.map_err(|why| refused = Some(why)).unwrap_or_default()
        });
        refused.map(|why| why.sentence)
    };
    let kernel = |bench: &Bench| bench.graph.get(host).and_then(|ci| ci.text("kernel").map(str::to_owned));
    // The agent knows the kernel better than anybody …
    let refused = set(&mut bench, "kernel", "5.10").expect("refused");
    assert_eq!(refused, "kernel of host web-1 is \"6.1.0-28-amd64\" by a source of higher rank (agent)");
    // … while it looks; what it said last ages once it is gone.
    bench.input(|graph, ctx| graph.lost("web-1", ctx));
    assert_eq!(set(&mut bench, "kernel", "5.10"), None);
    assert_eq!(kernel(&bench).as_deref(), Some("5.10"));
    // People know the environment better, and go on knowing it.
    assert_eq!(set(&mut bench, "environment", "production"), None);
    told[0].attributes.insert("environment".to_owned(), "staging".to_owned());
    bench.whole("web-1", "host", told);
    let environment = bench.graph.get(host).and_then(|ci| ci.text("environment"));
    assert_eq!(environment, Some("production"));
    assert_eq!(kernel(&bench).as_deref(), Some("6.1.0-28-amd64"), "the agent looked again");
    // What does not fit is refused with what would.
    let refused = set(&mut bench, "cpus", "many").expect("refused");
    assert_eq!(refused, "host web-1: cpus: \"many\" is not a whole number");
    let refused = set(&mut bench, "colour", "green").expect("refused");
    assert!(refused.starts_with("host web-1 has no attribute \"colour\"; class host has architecture, "), "{refused}");
}

#[test]
fn a_label_makes_and_joins_a_service_and_its_loss_leaves_it() {
    let mut bench = Bench::new();
    let members = |bench: &Bench, name: &str| {
        let found = bench.graph.find(Class::BusinessService, &map(&[("name", name)]), None);
        found.first().map_or(0, |service| bench.graph.relations_to(service.id).count())
    };
    assert_eq!(bench.enrol("web-1", &[("service", "shop")]).facts.len(), 3, "host, service, membership");
    assert_eq!(bench.enrol("web-2", &[("service", "shop")]).facts.len(), 2);
    assert_eq!((members(&bench, "shop"), bench.graph.of_class(Class::BusinessService).count()), (2, 1));
    assert_eq!(bench.enrol("web-2", &[("service", "shop")]).facts, [], "again, and nothing is new");
    bench.enrol("web-2", &[("service", " search ")]);
    assert_eq!((members(&bench, "shop"), members(&bench, "search")), (1, 1));
    bench.enrol("web-1", &[]);
    assert_eq!(members(&bench, "shop"), 0);
}

#[test]
fn only_the_first_of_a_host_brings_it_into_the_cmdb() {
    let mut bench = Bench::new();
    bench.enrol("web-1", &[]);
    let outcome = bench.fragment(whole("web-1", "host", machine(1)));
    assert_eq!((outcome.facts.len(), section_facts(&outcome)[0].changed.len()), (1, 1));
    let host = bench.graph.host_of("web-1").expect("known");
    assert_eq!(host.attribute("kernel"), Some(&Value::Text("6.1.0-28-amd64".to_owned())));
    assert_eq!((host.name.as_str(), host.key.as_str()), ("web-1", "web-1"));
    assert!(host.first_seen > Millis(0) && host.last_seen >= host.first_seen);
}

#[test]
fn a_thing_retired_by_hand_comes_back_if_its_host_does_with_it() {
    let mut bench = Bench::new();
    furnish(&mut bench, "web-1", 1);
    bench.kill("web-1");
    let unit = bench.graph.unit("web-1", "nginx.service").expect("known").id;
    bench.input(|graph, ctx| graph.retire(unit, "u-1", "not needed", ctx).expect("nobody speaks for it"));
    assert!(bench.graph.unit("web-1", "nginx.service").is_none());
    let fact = bench.whole("web-1", "service", units()).expect("it is back");
    assert_eq!((fact.changed.len(), fact.changed[0].back_from), (1, Some(Lifecycle::Retired)));
    assert_eq!(bench.graph.unit("web-1", "nginx.service").map(|ci| ci.id), Some(unit));
}
