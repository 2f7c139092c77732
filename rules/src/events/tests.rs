use std::sync::Arc;

use super::*;
use crate::load::load;

fn rules(written: &str) -> Arc<EventRules> {
    let indented: String = written.lines().map(|line| format!("      {line}\n")).collect();
    let text = format!("groups:\n  - name: test\n    rules:\n{indented}");
    let book = load(&[("rules.yaml".into(), text)]).unwrap_or_else(|faults| panic!("{faults}"));
    Arc::new(EventRules::new(&book.event_rules).expect("loaded rules compile"))
}

fn labels(text: &str) -> BTreeMap<String, String> {
    text.split_whitespace()
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// What is done, in one line each: `at kind=… label=…` is an event, `tick at` a tick, with the transitions expected.
fn check(rules: &Arc<EventRules>, steps: &[(&str, &[&str])]) -> EventEngine {
    let mut engine = EventEngine::new("web-1", Arc::clone(rules));
    for (step, expected) in steps {
        let found = match step.split_once(' ').expect("a step has two parts") {
            ("tick", at) => engine.tick(at.parse().expect("a time")),
            (at, event) => {
                let at = at.parse().expect("a time");
                engine.event(&Event { labels: &labels(event), text: "", at })
            }
        };
        let shown: Vec<String> = found.iter().map(show).collect();
        assert_eq!(shown, *expected, "{step}");
        // What is stored and restored goes on as if nothing had been.
        let stored = serde_json::to_string(engine.state()).expect("plain data");
        let state = serde_json::from_str(&stored).expect("what was stored reads back");
        engine = EventEngine::restore(Some("web-1".to_owned()), Arc::clone(rules), state);
    }
    engine
}

fn show(transition: &Transition) -> String {
    let what = match transition.what {
        What::Firing => "firing",
        What::FiringAgain => "again",
        What::Resolved => "resolved",
        What::Stale => "stale",
    };
    let unit = transition.labels.get("unit").map_or("", String::as_str);
    format!("{} {what} {} {unit}", transition.at, transition.rule).trim_end().to_owned()
}

const ONE: &str = r#"- event: Failed
  match: '{kind="failed"}'
  by: [unit]
  clear: '{kind="recovered"}'
  labels: {severity: critical, what: "{{ $labels.unit | toUpper }}"}
  annotations: {summary: "{{ $labels.unit }} on {{ $labels.instance }} by {{ $labels.result }}"}"#;

const THREE: &str = r#"- event: Flood
  match: '{kind="failed"}'
  by: [unit]
  count: 3
  within: 10s
  clear_after: 30s"#;

#[test]
fn one_event_fires_and_its_opposite_clears() {
    check(
        &rules(ONE),
        &[
            ("1000 kind=failed unit=a", &["1000 firing Failed a"]),
            ("2000 kind=failed unit=b", &["2000 firing Failed b"]),
            ("3000 kind=failed unit=a", &["3000 again Failed a"]),
            ("4000 kind=other unit=a", &[]),
            ("5000 kind=recovered unit=a", &["5000 resolved Failed a"]),
            ("6000 kind=recovered unit=a", &[]),
            ("7000 kind=failed unit=a", &["7000 firing Failed a"]),
        ],
    );
}

#[test]
fn enough_events_in_time_fire() {
    check(
        &rules(THREE),
        &[
            ("1000 kind=failed unit=a", &[]),
            ("2000 kind=failed unit=b", &[]),
            ("3000 kind=failed unit=a", &[]),
            ("11000 kind=failed unit=a", &[]), // the first of a's is 10 s old: outside
            ("12000 kind=failed unit=a", &["12000 firing Flood a"]),
            ("41999 kind=other unit=x", &[]),
            ("tick 42000", &["42000 resolved Flood a"]),
            ("43000 kind=failed unit=a", &[]), // counting begins anew
        ],
    );
}

#[test]
fn a_late_event_counts_in_its_own_place() {
    let late = [
        ("5000 kind=failed unit=a", &[][..]),
        ("1000 kind=failed unit=a", &[]),
        ("3000 kind=failed unit=a", &["3000 firing Flood a"]),
    ];
    check(&rules(THREE), &late);
    let too_late = [
        ("50000 kind=failed unit=a", &[][..]),
        ("1000 kind=failed unit=a", &[]),
        ("2000 kind=failed unit=a", &[]),
        ("51000 kind=failed unit=a", &[]),
    ];
    check(&rules(THREE), &too_late);
}

#[test]
fn a_recovery_older_than_the_failure_clears_nothing() {
    check(
        &rules(ONE),
        &[
            ("5000 kind=failed unit=a", &["5000 firing Failed a"]),
            ("4000 kind=recovered unit=a", &[]),
            ("5000 kind=recovered unit=a", &["5000 resolved Failed a"]),
        ],
    );
}

#[test]
fn an_alert_clears_at_the_instant_it_was_due() {
    let written = THREE.replace("count: 3", "count: 1");
    let engine = check(
        &rules(&written),
        &[
            ("1000 kind=failed unit=a", &["1000 firing Flood a"]),
            ("21000 kind=failed unit=a", &["21000 again Flood a"]),
            ("tick 50999", &[]),
            // Nobody ticked in time: the next event finds it cleared, at its own instant.
            ("90000 kind=failed unit=a", &["51000 resolved Flood a", "90000 firing Flood a"]),
        ],
    );
    assert_eq!(engine.next_due(), Some(120_000));
}

#[test]
fn labels_annotations_reason_and_evidence_tell_the_story() {
    let mut engine = EventEngine::new("web-1", rules(ONE));
    let event = labels("kind=failed unit=nginx result=signal instance=forged");
    let found = engine.event(&Event { labels: &event, text: "main process died", at: 1000 });
    let [transition] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(transition.labels, labels("alertname=Failed instance=web-1 severity=critical unit=nginx what=NGINX"));
    assert_eq!(transition.annotations["summary"], "nginx on web-1 by signal");
    assert_eq!(transition.reason, "an event matched {kind=\"failed\"}");
    assert_eq!(transition.evidence[0]["text"], "main process died");
    assert_eq!(transition.evidence[0]["labels"]["result"], "signal");
    let again = labels("kind=failed unit=nginx result=exit-code");
    let found = engine.event(&Event { labels: &again, text: "", at: 2000 });
    assert_eq!(found[0].labels, transition.labels, "the identity stays");
    assert_eq!(found[0].annotations["summary"], "nginx on web-1 by exit-code");
}

#[test]
fn a_reload_keeps_what_did_not_change_and_says_what_it_drops() {
    let both = format!("{ONE}\n{}", THREE.replace("count: 3", "count: 1"));
    let mut engine = EventEngine::new("web-1", rules(&both));
    engine.event(&Event { labels: &labels("kind=failed unit=a"), text: "", at: 1000 });
    // Other words and figures: the alerts stay, and the new figure counts from their last event.
    let retuned = both.replace("by {{", "through {{").replace("clear_after: 30s", "clear_after: 60s");
    assert_eq!(engine.reload(rules(&retuned), 2000), []);
    assert_eq!(engine.next_due(), Some(61_000));
    let relabelled = retuned.replace("severity: critical", "severity: warning");
    let found = engine.reload(rules(&relabelled), 3000);
    assert_eq!(
        (show(&found[0]).as_str(), found[0].reason.as_str()),
        ("3000 resolved Failed a", "the rule's labels were changed")
    );
    let found = engine.reload(rules(ONE), 4000);
    assert_eq!((show(&found[0]).as_str(), found[0].reason.as_str()), ("4000 resolved Flood a", "the rule was removed"));
    assert!(engine.state().is_empty());
}

#[test]
fn a_reload_keeps_counts() {
    let mut engine = EventEngine::new("web-1", rules(THREE));
    for at in [1000, 2000] {
        assert_eq!(engine.event(&Event { labels: &labels("kind=failed unit=a"), text: "", at }), []);
    }
    assert_eq!(engine.reload(rules(THREE), 2500), []);
    let found = engine.event(&Event { labels: &labels("kind=failed unit=a"), text: "", at: 3000 });
    assert_eq!(found.iter().map(show).collect::<Vec<_>>(), ["3000 firing Flood a"]);
    assert_eq!(found[0].evidence.len(), 3);
}

#[test]
fn a_flood_is_bounded_and_counted() {
    let mut engine = EventEngine::new("web-1", rules(ONE));
    let mut fired = 0;
    for unit in 0..10_000 {
        let event = labels(&format!("kind=failed unit=u{unit}"));
        fired += engine.event(&Event { labels: &event, text: "", at: 1000 }).len();
    }
    assert_eq!((fired, engine.state().len()), (ALERTS_PER_HOST_MAX, ALERTS_PER_HOST_MAX));
    assert_eq!(engine.state().refused(), 9_000);
    // What it knows goes on, and room that is made is used.
    let known = engine.event(&Event { labels: &labels("kind=failed unit=u5"), text: "", at: 2000 });
    assert_eq!(known[0].what, What::FiringAgain);
    engine.event(&Event { labels: &labels("kind=recovered unit=u5"), text: "", at: 3000 });
    let new = engine.event(&Event { labels: &labels("kind=failed unit=late"), text: "", at: 4000 });
    assert_eq!(new[0].what, What::Firing);
}

#[test]
fn one_alert_remembers_no_more_than_it_counts() {
    let mut engine = EventEngine::new("web-1", rules(ONE));
    for at in 0..10_000 {
        engine.event(&Event { labels: &labels("kind=failed unit=a"), text: "", at });
    }
    let stored = serde_json::to_string(engine.state()).expect("plain data");
    assert!(stored.len() < 1_000, "{} bytes", stored.len());
}

#[test]
fn what_only_counted_is_forgotten_when_its_time_is_over() {
    let mut engine = EventEngine::new("web-1", rules(THREE));
    engine.event(&Event { labels: &labels("kind=failed unit=a"), text: "", at: 1000 });
    engine.tick(10_999);
    assert_eq!(engine.state().len(), 1);
    engine.tick(11_000);
    assert!(engine.state().is_empty());
}
