//! A fact of what a host saw carries the host's time; what follows from it is of now.

use watchkeep_desk::input::{AlertChange, AlertState, CommandOutcome, Outcome};
use watchkeep_desk::{Decision, InputBody, Millis};

use crate::bench::{SECOND, ordinary, outcome_of, unit_failed};

/// The words of the facts, each with how long before (or after) now it happened.
fn when(decision: &Decision, now: i64) -> Vec<(String, i64)> {
    let kind = |fact: &watchkeep_desk::Fact| {
        let body = serde_json::to_value(&fact.body).expect("plain data");
        body["fact"]["what"].as_str().unwrap_or_default().to_owned()
    };
    decision.facts.iter().map(|fact| (kind(fact), fact.happened_at.0 - now)).collect()
}

#[test]
fn only_the_fact_of_what_a_host_saw_carries_the_hosts_time() {
    let mut bench = ordinary();
    bench.at += 10 * SECOND;
    let seen = Millis(bench.at - 3 * SECOND);
    let alert = |state| AlertChange { happened_at: seen, ..unit_failed("web-1", "nginx.service", state) };
    let fired = bench.feed(InputBody::Alert(alert(AlertState::Firing)));
    let fired = when(&fired, bench.at);
    assert_eq!(fired[0], ("opened".to_owned(), -3 * SECOND));
    assert!(fired.len() > 5 && fired[1..].iter().all(|(_, after)| *after == 0), "{fired:?}");

    let order = bench.orders[0].clone();
    let result = CommandOutcome {
        finished_at: Millis(bench.at - SECOND),
        ..outcome_of(order.command, "web-1", Outcome::Done, bench.at)
    };
    let ended = bench.feed(InputBody::Result(result));
    let ended = when(&ended, bench.at);
    assert_eq!(ended[0], ("step_ended".to_owned(), -SECOND));
    assert!(ended.len() > 1 && ended[1..].iter().all(|(_, after)| *after == 0), "{ended:?}");

    let cleared = bench.feed(InputBody::Alert(alert(AlertState::Resolved)));
    assert_eq!(when(&cleared, bench.at)[0], ("alert_cleared".to_owned(), -3 * SECOND));
}

#[test]
fn a_hosts_time_ahead_of_now_is_now() {
    let mut bench = ordinary();
    let ahead = Millis(bench.at + 60 * SECOND);
    let alert = AlertChange { happened_at: ahead, ..unit_failed("web-1", "nginx.service", AlertState::Firing) };
    let fired = bench.feed(InputBody::Alert(alert));
    assert!(when(&fired, bench.at).iter().all(|(_, after)| *after == 0), "{fired:?}");
    let incident = bench.incident(1);
    assert_eq!((incident.first_seen.0, incident.last_seen.0), (bench.at, bench.at));

    let order = bench.orders[0].clone();
    let result = outcome_of(order.command, "web-1", Outcome::Done, ahead.0);
    let ended = bench.feed(InputBody::Result(result));
    assert!(when(&ended, bench.at).iter().all(|(_, after)| *after == 0), "{ended:?}");
}

#[test]
fn an_alert_of_the_past_is_stated_and_calls_nobody() {
    let mut bench = ordinary();
    let began = Millis(bench.at - 600 * SECOND);
    let past = AlertState::Past { until: began.plus(240 * SECOND) };
    let alert = AlertChange { happened_at: began, ..unit_failed("web-1", "nginx.service", past) };
    let decision = bench.feed(InputBody::Alert(alert));
    let [fact] = decision.facts.as_slice() else { panic!("one fact: {decision:?}") };
    assert_eq!(fact.happened_at, began);
    let words = watchkeep_desk::explain::sentence(&fact.subject, &fact.body);
    assert!(words.contains("nginx.service") && words.contains("had fired for 4 min"), "{words}");
    assert!(decision.effects.is_empty() && bench.records.keys().all(|(table, _)| *table != "incident"));
}

#[test]
fn what_ended_and_what_is_silent_say_so() {
    let mut bench = ordinary();
    bench.fire("web-1", "nginx.service");
    let said = |bench: &mut crate::bench::Bench, state, reason: &str| {
        let reason = reason.to_owned();
        let alert = AlertChange { reason, ..unit_failed("web-1", "nginx.service", state) };
        let decision = bench.feed(InputBody::Alert(alert));
        watchkeep_desk::explain::sentence(&decision.facts[0].subject, &decision.facts[0].body)
    };
    let stale = said(&mut bench, AlertState::Stale, "collector systemd brought nothing");
    assert!(stale.contains("collector systemd brought nothing"), "{stale}");
    let ended = said(&mut bench, AlertState::Resolved, "the unit was removed");
    assert!(ended.contains("the unit was removed"), "{ended}");
}

#[test]
fn ten_thousand_repeats_change_one_record_each_and_state_nothing() {
    let mut bench = ordinary();
    for unit in 0..200 {
        bench.fire("web-1", &format!("unit-{unit}.service"));
    }
    let before = bench.incident(200);
    let facts = bench.facts.len();
    for _ in 0..10_000 {
        let decision = bench.fire("web-1", "unit-199.service");
        let keys: Vec<_> = decision.changed.iter().map(watchkeep_desk::Record::key).collect();
        assert_eq!(keys, [("incident", "INC-200".to_owned())]);
    }
    assert_eq!(bench.facts.len(), facts, "a repeat is no fact");
    assert_eq!(bench.incident(200).count, before.count + 10_000);
}
