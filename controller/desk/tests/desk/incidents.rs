//! From alerts to incidents: dedupe, reopen, auto-resolve, close.

use watchkeep_desk::InputBody;
use watchkeep_desk::incidents::{IncidentFact, State};
use watchkeep_desk::input::{ActBody, AlertChange, AlertState};
use watchkeep_desk::{FactBody, Millis};

use crate::bench::{Bench, DAY, MINUTE, RULES, SECOND, config, unit_failed};

/// The rules without their runbook: what incidents do by themselves.
fn without_runbook() -> Bench {
    let rules = RULES.split("        runbook:").next().expect("the rules have a runbook");
    Bench::with_host(config(rules, &[]), "web-1")
}

/// Steps such as `fire 10s clear 31s`, then how INC-1 stands and how many incidents there are.
fn check(steps: &str, expected: &str) {
    let mut bench = without_runbook();
    for step in steps.split_whitespace() {
        match step {
            "fire" => drop(bench.fire("web-1", "nginx.service")),
            "clear" => drop(bench.clear("web-1", "nginx.service")),
            "stale" => drop(bench.alert("web-1", "nginx.service", AlertState::Stale)),
            "assign" => {
                let (incident, assignee) = ("INC-1".parse().expect("an id"), Some("alice".to_owned()));
                let act = ActBody::IncidentAssign { incident, assignee, group: None, note: String::new() };
                assert_eq!(bench.act("bob", act), Ok(()));
            }
            "acknowledge" => {
                let act =
                    ActBody::IncidentAcknowledge { incident: "INC-1".parse().expect("an id"), note: String::new() };
                assert_eq!(bench.act("bob", act), Ok(()));
            }
            length => {
                let (number, unit) = length.split_at(length.len() - 1);
                let unit = match unit {
                    "s" => SECOND,
                    "m" => MINUTE,
                    _ => DAY,
                };
                bench.pass(number.parse::<i64>().expect("a number") * unit);
            }
        }
    }
    let incidents = bench.records.keys().filter(|(table, _)| *table == "incident").count();
    let first = bench.incident(1);
    let code = first.resolution.as_ref().map(|resolution| format!(" {}", resolution.code)).unwrap_or_default();
    let told = bench.told().join(",");
    assert_eq!(format!("{incidents}: {}{code} x{} told {told}", first.state, first.count), expected, "after: {steps}");
}

#[test]
fn alerts_of_one_key_make_one_incident() {
    check("fire", "1: new x1 told opened");
    check("fire fire 5s fire", "1: new x3 told opened");
}

#[test]
fn an_incident_resolves_by_itself_when_its_alerts_stay_clear() {
    check("fire clear 29s", "1: new x1 told opened");
    check("fire clear 31s", "1: resolved recovered x1 told opened,resolved");
    check("fire clear 20s fire 60s", "1: new x2 told opened");
    check("fire clear 20s fire clear 29s", "1: new x2 told opened");
    check("fire clear 20s fire clear 31s", "1: resolved recovered x2 told opened,resolved");
}

#[test]
fn acknowledging_is_not_taking_over_but_assigning_is() {
    check("fire acknowledge clear 31s", "1: resolved recovered x1 told opened,resolved");
    check("fire assign clear 1d", "1: new x1 told opened");
    check("fire clear 10s assign 1d", "1: new x1 told opened");
}

#[test]
fn a_stale_alert_neither_resolves_nor_fires() {
    check("fire stale 1d", "1: new x1 told opened");
    check("fire stale fire 1d", "1: new x2 told opened");
    check("fire stale clear 31s", "1: resolved recovered x1 told opened,resolved");
    check("fire clear stale 31s", "1: resolved recovered x1 told opened,resolved");
}

#[test]
fn a_new_alert_opens_it_again_for_a_while_and_then_a_new_one() {
    check("fire clear 31s 29m fire", "1: new x2 told opened,resolved,reopened");
    check("fire clear 30s 31m fire", "2: resolved recovered x1 told opened,resolved,opened");
    check("fire clear 31s 4d", "1: closed recovered x1 told opened,resolved");
    check("fire clear 31s 4d fire", "2: closed recovered x1 told opened,resolved,opened");
}

#[test]
fn a_later_incident_names_the_earlier_one() {
    let mut bench = without_runbook();
    bench.fire("web-1", "nginx.service");
    bench.clear("web-1", "nginx.service");
    bench.pass(40 * MINUTE);
    bench.fire("web-1", "nginx.service");
    let links = bench.incident(2).links;
    assert_eq!(links.len(), 1);
    assert_eq!((links[0].kind.as_str(), links[0].incident.to_string().as_str()), ("earlier", "INC-1"));
}

#[test]
fn repeats_are_counted_and_are_no_facts() {
    let mut bench = without_runbook();
    bench.fire("web-1", "nginx.service");
    for _ in 0..1_000 {
        bench.at += 10;
        let decision = bench.fire("web-1", "nginx.service");
        assert_eq!((decision.facts.len(), decision.effects.len()), (0, 0));
    }
    let incident = bench.incident(1);
    assert_eq!((incident.count, incident.last_seen), (1_001, Millis(bench.at)));
}

#[test]
fn the_timeline_and_the_alerts_of_a_record_are_bounded() {
    let rules = RULES.replace("key: [alertname, instance, unit]", "key: [alertname]");
    let rules = rules.split("        runbook:").next().expect("the rules have a runbook");
    let mut bench = Bench::with_host(config(rules, &[]), "web-1");
    for unit in 0..300 {
        bench.fire("web-1", &format!("unit-{unit}.service"));
    }
    let incident = bench.incident(1);
    assert_eq!((incident.count, incident.alerts.len(), incident.alerts_beyond), (300, 256, 44));
    assert_eq!((incident.timeline.len(), incident.timeline_before > 0), (200, true));
    // What cannot be told apart any more cannot be known to be clear.
    for unit in 0..300 {
        bench.clear("web-1", &format!("unit-{unit}.service"));
    }
    bench.pass(DAY);
    assert_eq!(bench.incident(1).state, State::New);
}

#[test]
fn a_worse_alert_raises_the_priority_and_a_person_may_override_it() {
    let mut bench = without_runbook();
    let fire = |bench: &mut Bench, severity: &str, unit: &str| {
        let mut alert =
            AlertChange { happened_at: Millis(bench.at), ..unit_failed("web-1", "nginx.service", AlertState::Firing) };
        alert.labels.insert("severity".to_owned(), severity.to_owned());
        alert.labels.insert("what".to_owned(), unit.to_owned());
        bench.feed(InputBody::Alert(alert))
    };
    fire(&mut bench, "info", "a");
    assert_eq!(bench.incident(1).priority.level, 5);
    fire(&mut bench, "critical", "b");
    assert_eq!(bench.incident(1).priority.level, 3);
    fire(&mut bench, "warning", "c");
    assert_eq!(bench.incident(1).priority.level, 3, "it never gets better by itself");
    let set =
        ActBody::IncidentPriority { incident: "INC-1".parse().expect("an id"), priority: 4, note: "known".to_owned() };
    assert_eq!(bench.act("alice", set), Ok(()));
    fire(&mut bench, "critical", "d");
    let priority = bench.incident(1).priority;
    assert_eq!((priority.level, priority.set_by.as_deref()), (4, Some("alice")));
}

#[test]
fn an_alert_from_outside_opens_an_incident_with_defaults() {
    let mut bench = without_runbook();
    let mut alert = unit_failed("elsewhere", "x", AlertState::Firing);
    (alert.rule, alert.agent) = ("FromOutside".to_owned(), None);
    let decision = bench.feed(InputBody::Alert(alert));
    let opened = decision.facts.iter().find_map(|fact| match &fact.body {
        FactBody::Incident(IncidentFact::Opened(opening)) => Some((opening, &fact.reasons)),
        _ => None,
    });
    let (opening, reasons) = opened.expect("it opens");
    assert_eq!((opening.ci, opening.priority.level, opening.group.as_deref()), (None, 3, None));
    let stages: Vec<&str> = reasons.iter().map(|reason| reason.stage.as_str()).collect();
    assert_eq!(stages, ["identity", "evidence", "dedupe", "ci", "impact", "urgency", "priority", "group"]);
}

#[test]
fn what_was_false_alarm_stays_resolved_until_it_has_been_clear() {
    let mut bench = without_runbook();
    bench.fire("web-1", "nginx.service");
    let (incident, code, note) = ("INC-1".parse().expect("an id"), "false_alarm".to_owned(), "a test".to_owned());
    assert_eq!(bench.act("alice", ActBody::IncidentResolve { incident, code, note }), Ok(()));
    bench.fire("web-1", "nginx.service");
    assert_eq!(bench.incident(1).state, State::Resolved);
    bench.clear("web-1", "nginx.service");
    bench.fire("web-1", "nginx.service");
    assert_eq!(bench.incident(1).state, State::New);
}

#[test]
fn a_notice_is_followed_on_each_channel() {
    let mut bench = without_runbook();
    bench.fire("web-1", "nginx.service");
    let notice = bench.notices[0].notice;
    // The first as inputs were kept before channels were told apart.
    bench.feed(InputBody::Notified {
        notice,
        channel: String::new(),
        about: None,
        delivered: true,
        detail: String::new(),
    });
    let about = bench.notices[0].about();
    let (channel, detail) = ("pager".to_owned(), "no route".to_owned());
    bench.feed(InputBody::Notified { notice, channel, about, delivered: false, detail });
    let incident = bench.incident(1);
    let told: Vec<&str> = incident.timeline.iter().map(|entry| entry.sentence.as_str()).collect();
    for words in ["was delivered", "was given up on pager: no route"] {
        assert!(told.iter().any(|sentence| sentence.ends_with(words)), "no {words:?} in {told:?}");
    }
    let on_its_way = bench.restored();
    assert_eq!(on_its_way, bench.desk);
}
