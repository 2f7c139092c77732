//! A problem whose alerts are all silenced pages nobody until one is not.

use watchkeep_desk::Millis;
use watchkeep_desk::input::{ActBody, AlertState};
use watchkeep_rules::selector::Selector;

use super::{Bench, MINUTE, SECOND, shop};
use crate::bench::HOUR;

fn silence(bench: &mut Bench, matchers: &str, length: i64) {
    let act = ActBody::SilenceSet {
        silence: None,
        matchers: Selector::parse(matchers).expect("matchers"),
        starts_at: Millis(bench.at),
        ends_at: Millis(bench.at + length),
        author: "alice".to_owned(),
        note: "the rack is moved".to_owned(),
    };
    assert_eq!(bench.act("alice", act), Ok(()));
}

/// A problem whose page still waits.
fn trouble() -> Bench {
    let mut bench = shop();
    bench.config.settings.group_wait = MINUTE;
    bench.agent_down("db-1", AlertState::Firing);
    bench.fire("app-1", "app.service");
    assert_eq!(bench.problem(1).incidents.len(), 2);
    bench
}

#[test]
fn its_page_waits_for_the_end_of_the_silence() {
    let mut bench = trouble();
    silence(&mut bench, "{instance=~\"db-1|app-1\"}", HOUR);
    bench.pass(2 * MINUTE);
    assert_eq!(bench.pages(), Vec::<String>::new(), "it would have paged by now");
    let held = bench.story();
    assert!(held.contains("silences take all that fires under PRB-1"), "{held}");
    bench.pass(HOUR);
    assert_eq!(bench.pages(), ["opened PRB-1"]);
    assert_eq!(bench.restored(), bench.desk);
}

#[test]
fn one_alert_that_no_silence_takes_has_it_paged() {
    let mut bench = trouble();
    silence(&mut bench, "{instance=\"db-1\"}", HOUR);
    bench.pass(2 * MINUTE);
    assert_eq!(bench.pages(), ["opened PRB-1"]);
}

#[test]
fn what_is_over_before_the_silence_ends_was_never_told() {
    let mut bench = trouble();
    silence(&mut bench, "{instance=~\"db-1|app-1\"}", HOUR);
    bench.pass(2 * MINUTE);
    bench.agent_down("db-1", AlertState::Resolved);
    bench.clear("app-1", "app.service");
    bench.pass(2 * HOUR + 10 * SECOND);
    assert_eq!(bench.pages(), Vec::<String>::new());
    assert_eq!(bench.restored(), bench.desk);
}
