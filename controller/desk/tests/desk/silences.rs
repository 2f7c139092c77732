//! Silences: what they hold back, until when, and what stands in the ledger of it.

use watchkeep_desk::ids::SilenceId;
use watchkeep_desk::input::{ActBody, AlertState};
use watchkeep_desk::silences::{SilenceFact, SilenceState, suppressed};
use watchkeep_desk::{FactBody, InputBody, Millis, Refusal};
use watchkeep_rules::selector::Selector;

use crate::bench::{Bench, DAY, HOUR, MINUTE, RULES, config, unit_failed};

/// The rules without their runbook.
fn bench() -> Bench {
    let rules = RULES.split("        runbook:").next().expect("the rules have a runbook");
    Bench::with_host(config(rules, &[]), "web-1")
}

fn silence(bench: &mut Bench, matchers: &str, length: i64) -> Result<SilenceId, Refusal> {
    change(bench, None, matchers, length)
}

fn change(bench: &mut Bench, id: Option<SilenceId>, matchers: &str, length: i64) -> Result<SilenceId, Refusal> {
    let act = ActBody::SilenceSet {
        silence: id,
        matchers: Selector::parse(matchers).expect("matchers"),
        starts_at: Millis(bench.at),
        ends_at: Millis(bench.at + length),
        author: "alice".to_owned(),
        note: "the disk is swapped".to_owned(),
    };
    bench.act("alice", act)?;
    let set = bench.facts.iter().rev().find_map(|(_, fact)| match &fact.body {
        FactBody::Silence(SilenceFact::Set { silence, .. } | SilenceFact::Changed { silence }) => Some(silence.id),
        _ => None,
    });
    Ok(set.expect("a fact says so"))
}

/// Incidents, alerts held back, and what people were told.
fn stands(bench: &Bench) -> (usize, usize, String) {
    assert_eq!(bench.restored(), bench.desk, "the records give another desk");
    (bench.desk.incidents().count(), suppressed(&bench.desk).count(), bench.told().join(","))
}

#[test]
fn a_silenced_alert_opens_no_incident_and_does_when_it_outlasts_the_silence() {
    let mut bench = bench();
    silence(&mut bench, "{unit=~\"nginx.*\"}", HOUR).expect("set");
    bench.fire("web-1", "nginx.service");
    bench.fire("web-1", "nginx.service");
    assert_eq!(stands(&bench), (0, 1, String::new()));
    bench.fire("web-1", "cron.service");
    assert_eq!(stands(&bench), (1, 1, "opened".to_owned()), "the silence takes nothing else");
    bench.pass(HOUR);
    assert_eq!(stands(&bench), (2, 0, "opened,opened".to_owned()));
    let first_seen = bench.incident(2).first_seen;
    assert_eq!(first_seen, Millis(bench.at - HOUR), "it fired all the while");
    let facts: Vec<&SilenceFact> = bench.facts.iter().filter_map(|(_, fact)| of_silence(&fact.body)).collect();
    assert!(matches!(
        facts[..],
        [SilenceFact::Set { .. }, SilenceFact::Suppressed { .. }, SilenceFact::Ended, SilenceFact::Released { .. }]
    ));
}

fn of_silence(body: &FactBody) -> Option<&SilenceFact> {
    if let FactBody::Silence(fact) = body { Some(fact) } else { None }
}

#[test]
fn an_alert_that_ends_under_a_silence_is_never_told() {
    let mut bench = bench();
    silence(&mut bench, "{instance=\"web-1\"}", HOUR).expect("set");
    bench.fire("web-1", "nginx.service");
    bench.alert("web-1", "nginx.service", AlertState::Stale);
    bench.clear("web-1", "nginx.service");
    bench.pass(2 * HOUR);
    assert_eq!(stands(&bench), (0, 0, String::new()));
}

#[test]
fn an_alert_is_held_back_until_the_last_silence_that_takes_it() {
    let mut bench = bench();
    let first = silence(&mut bench, "{instance=\"web-1\"}", DAY).expect("set");
    silence(&mut bench, "{unit=\"nginx.service\"}", HOUR).expect("set");
    bench.fire("web-1", "nginx.service");
    let expire = ActBody::SilenceExpire { silence: first, note: "done".to_owned() };
    assert_eq!(bench.act("bob", expire.clone()), Ok(()));
    assert_eq!(stands(&bench), (0, 1, String::new()), "the other takes it");
    assert_eq!(bench.act("bob", expire).expect_err("over").code, "not_allowed_in_state");
    bench.pass(HOUR);
    assert_eq!(stands(&bench), (1, 0, "opened".to_owned()));
}

#[test]
fn a_silence_is_changed_in_place_and_one_with_other_matchers_takes_its_place() {
    let mut bench = bench();
    let id = silence(&mut bench, "{instance=\"web-1\"}", HOUR).expect("set");
    assert_eq!(change(&mut bench, Some(id), "{instance=\"web-1\"}", 2 * HOUR), Ok(id));
    bench.pass(90 * MINUTE);
    bench.fire("web-1", "nginx.service");
    assert_eq!(stands(&bench), (0, 1, String::new()), "it was made longer");
    let other = change(&mut bench, Some(id), "{unit=\"cron.service\"}", HOUR).expect("set");
    assert_ne!(other, id);
    assert_eq!(stands(&bench), (1, 0, "opened".to_owned()), "the other takes less");
    let at = Millis(bench.at);
    let states: Vec<SilenceState> = bench.desk.silences().map(|silence| silence.state(at)).collect();
    assert!(states.contains(&SilenceState::Expired) && states.contains(&SilenceState::Active), "{states:?}");
    bench.pass(6 * DAY);
    assert_eq!(bench.desk.silences().count(), 0, "shown for five days, then forgotten");
}

#[test]
fn an_open_incident_goes_on_under_a_silence_and_its_page_waits() {
    let mut bench = bench();
    bench.config.settings.group_wait = MINUTE;
    bench.fire("web-1", "nginx.service");
    silence(&mut bench, "{instance=\"web-1\"}", HOUR).expect("set");
    bench.pass(2 * MINUTE);
    assert_eq!(stands(&bench), (1, 0, String::new()), "it would have paged by now");
    bench.pass(HOUR);
    assert_eq!(stands(&bench), (1, 0, "opened".to_owned()));
}

#[test]
fn alerts_of_outside_come_together_and_stay_known_as_such() {
    let mut bench = bench();
    let mut alert = unit_failed("db-1", "postgresql.service", AlertState::Firing);
    alert.evidence = vec![serde_json::json!({"generatorURL": "http://prometheus/graph"})];
    let other = unit_failed("db-2", "postgresql.service", AlertState::Firing);
    bench.feed(InputBody::Alerts { alerts: vec![alert, other] });
    let outside = [1, 2].map(|number| bench.incident(number).alerts[0].outside.clone());
    assert_eq!(outside, [Some("http://prometheus/graph".to_owned()), None]);
}

#[test]
fn a_silence_that_makes_no_sense_is_refused_with_a_sentence() {
    let mut bench = bench();
    for (matchers, length, says) in [
        ("{unit=~\".*\"}", HOUR, "every alert"),
        ("{unit=\"a\"}", 0, "in the future"),
        ("{unit=\"a\"}", 31 * DAY, "silence_at_most"),
    ] {
        let refused = silence(&mut bench, matchers, length).expect_err(says);
        assert!(refused.sentence.contains(says), "{}", refused.sentence);
    }
    let unknown = ActBody::SilenceExpire { silence: SilenceId([7; 16]), note: String::new() };
    assert_eq!(bench.act("bob", unknown).expect_err("unknown").code, "unknown");
}
