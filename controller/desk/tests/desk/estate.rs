//! What incidents and people have of the CMDB.

use watchkeep_desk::input::{ActBody, AgentEvent, AlertChange, AlertState, FoundItem, Fragment};
use watchkeep_desk::{InputBody, Millis, explain};

use crate::bench::{Bench, RESTART, RULES, config, labels, ordinary, unit_failed};

#[test]
fn the_operators_service_goes_before_the_alerts_own() {
    let mut bench = ordinary();
    let mut alert = unit_failed("web-1", "nginx.service", AlertState::Firing);
    alert.labels.insert("service".to_owned(), "payments".to_owned());
    bench.feed(InputBody::Alert(alert.clone()));
    assert_eq!(bench.incident(1).service.as_deref(), Some("shop"), "the host's own word is a claim");
    let foreign = AlertChange { agent: None, rule: "Foreign".to_owned(), ..alert };
    bench.feed(InputBody::Alert(foreign));
    assert_eq!(bench.incident(2).service.as_deref(), Some("payments"));
}

#[test]
fn an_incident_says_how_many_items_its_rule_named() {
    let rule =
        |ci: &str| RULES.replace("          group: linux\n", &format!("          group: linux\n          ci: {ci}\n"));
    for (ci, said) in [
        ("{class: service_unit, name: gone.service}", "the rule's `ci` found no service_unit, so: found by the label"),
        ("{class: service_unit}", "the rule's `ci` found 2 of class service_unit, not one, so: found by the label"),
    ] {
        let mut bench = Bench::with_host(config(&rule(ci), &[RESTART]), "web-1");
        let item = |key: &str| FoundItem {
            class: "service_unit".to_owned(),
            key: key.to_owned(),
            attributes: labels(&[("active_state", "active")]),
            relations: Vec::new(),
        };
        bench.feed(InputBody::Inventory(Fragment {
            agent: "web-1".to_owned(),
            section: "service".to_owned(),
            whole: true,
            items: vec![item("nginx.service"), item("cron.service")],
            gone: Vec::new(),
            happened_at: Millis(bench.at),
        }));
        bench.fire("web-1", "nginx.service");
        assert!(bench.story().contains(said), "{}", bench.story());
    }
}

#[test]
fn an_incident_follows_its_item_through_a_merge() {
    let mut bench = ordinary();
    bench.lose("web-1");
    let enrolled = AgentEvent::Enrolled { serial: "02".to_owned(), labels: labels(&[]), token: "t".to_owned() };
    bench.agent("web-2", enrolled);
    bench.connect("web-2");
    bench.fire("web-2", "nginx.service");
    let opened_on = bench.incident(1).ci.expect("the host");
    let machine = "f".repeat(31) + "5";
    let host = FoundItem {
        class: "host".to_owned(),
        key: "web-2".to_owned(),
        attributes: labels(&[("hostname", "web-2"), ("machine_id", &machine)]),
        relations: Vec::new(),
    };
    bench.feed(InputBody::Inventory(Fragment {
        agent: "web-2".to_owned(),
        section: "host".to_owned(),
        whole: true,
        items: vec![host],
        gone: Vec::new(),
        happened_at: Millis(bench.at),
    }));
    let living = bench.desk.cmdb().resolve(opened_on).expect("it lives on").id;
    assert_ne!(living, opened_on, "the two hosts were merged");
    bench
        .act(
            "anna",
            ActBody::IncidentResolve {
                incident: "INC-1".parse().expect("an id"),
                code: "fixed_by_person".to_owned(),
                note: "done".to_owned(),
            },
        )
        .expect("it resolves");
    let told = bench.notices.last().expect("people are told");
    assert_eq!(told.content["ci"]["id"], serde_json::json!(living), "{}", told.content);
    let said: Vec<String> = bench.facts.iter().map(|(_, fact)| explain::sentence(&fact.subject, &fact.body)).collect();
    let merged = said.iter().find(|said| said.contains("turned out to be")).expect("the merge is told");
    assert!(merged.contains(&format!("machine_id {machine}")), "{merged}");
}

#[test]
fn a_person_sets_how_critical_a_service_is() {
    let mut bench = ordinary();
    let shop = bench.desk.cmdb().items().find(|ci| ci.name == "shop").expect("the label made it").id;
    let set = |value: &str| ActBody::CiSet {
        ci: shop,
        name: "criticality".to_owned(),
        value: value.to_owned(),
        note: "it earns the money".to_owned(),
    };
    bench.act("anna", set("1")).expect("it is set");
    let (_, fact) = bench.facts.last().expect("a fact");
    let line = explain::why([(1, fact.happened_at, fact)]).remove(0);
    assert_eq!((line.sentence.as_str(), line.actor.as_str()), ("criticality was set to \"1\"", "by anna"));
    assert_eq!(line.because, ["hand: it earns the money"]);
    bench.fire("web-1", "nginx.service");
    assert_eq!(bench.incident(1).priority.level, 1, "impact 1 and urgency 1");
    let refusal = bench.act("anna", set("7")).expect_err("there is no such criticality");
    assert_eq!(refusal.code, "invalid");
    assert!(refusal.sentence.contains("1 (highest) to 3"), "{}", refusal.sentence);
}
