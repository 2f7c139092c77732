//! Whom problems page, and how often.

use watchkeep_desk::ids::ProblemId;
use watchkeep_desk::input::{ActBody, AlertChange, AlertState};
use watchkeep_desk::{InputBody, Millis};

use super::{members, shop};
use crate::bench::{Bench, MINUTE, RULES, SECOND, config, unit_failed};

#[test]
fn what_mends_itself_within_group_wait_is_told_once() {
    let rules = RULES.split("        runbook:").next().expect("the rules have a runbook");
    let mut config = config(&rules.replace("resolve_after: 30s", "resolve_after: 2s"), &[]);
    config.settings.group_wait = 10 * SECOND;
    let mut bench = Bench::with_host(config, "web-1");
    bench.fire("web-1", "nginx.service");
    bench.pass(SECOND);
    bench.clear("web-1", "nginx.service");
    bench.pass(MINUTE);
    assert_eq!(bench.pages(), ["resolved INC-1"]);
}

#[test]
fn a_problem_that_gets_worse_pages_again() {
    let mut bench = shop();
    let mut alert =
        AlertChange { happened_at: Millis(bench.at), ..unit_failed("db-1", "db.service", AlertState::Firing) };
    alert.labels.insert("severity".to_owned(), "info".to_owned());
    bench.feed(InputBody::Alert(alert));
    bench.pass(MINUTE);
    bench.agent_down("db-1", AlertState::Firing);
    bench.pass(MINUTE);
    bench.fire("app-1", "app.service");
    bench.pass(MINUTE);
    assert_eq!(bench.pages(), ["opened INC-1", "worse PRB-1"]);
}

#[test]
fn another_kind_of_failure_that_joins_is_paged_for_once() {
    let mut bench = shop();
    bench.package("app-1", "1.4");
    bench.pass(MINUTE);
    bench.package("app-1", "1.5");
    bench.fire("app-1", "app.service");
    bench.pass(MINUTE);
    bench.fire("app-1", "db.service");
    bench.pass(MINUTE);
    assert_eq!(members(&bench.problem(1)), ["INC-1", "INC-2"]);
    assert_eq!(bench.pages(), ["opened INC-1"], "a unit as well: people know of units");
    for rule in ["LoadHigh", "MemoryShort"] {
        bench.host_alert(rule, "app-1", AlertState::Firing);
        bench.pass(MINUTE);
    }
    assert_eq!(bench.problem(1).incidents.len(), 4);
    assert_eq!(bench.pages(), ["opened INC-1", "another PRB-1", "another PRB-1"]);
    let timeline = bench.problem(1).timeline;
    let told = timeline.iter().filter(|line| line.sentence.contains("another kind of failure joined it")).count();
    assert_eq!(told, 2, "{timeline:#?}");
    // Each kind once: it comes back, and others of it come.
    bench.host_alert("LoadHigh", "app-1", AlertState::Resolved);
    bench.pass(5 * MINUTE);
    bench.host_alert("LoadHigh", "app-1", AlertState::Firing);
    bench.fire("app-1", "cron.service");
    bench.pass(MINUTE);
    assert_eq!(bench.pages().len(), 3, "{:?}", bench.pages());
    // Nor what is mended before its page goes out.
    bench.host_alert("ClockAdrift", "app-1", AlertState::Firing);
    bench.pass(SECOND);
    bench.host_alert("ClockAdrift", "app-1", AlertState::Resolved);
    bench.pass(MINUTE);
    assert_eq!(bench.pages().len(), 3, "{:?}", bench.pages());
    assert_eq!(bench.restored(), bench.desk);
}

#[test]
fn a_cancelled_problem_lets_its_incidents_page_for_themselves() {
    let mut bench = shop();
    bench.agent_down("db-1", AlertState::Firing);
    bench.fire("app-1", "app.service");
    let note = "two things".to_owned();
    assert_eq!(bench.act("alice", ActBody::ProblemCancel { problem: ProblemId(1), note }), Ok(()));
    bench.pass(MINUTE);
    assert_eq!(bench.pages(), ["opened INC-1", "opened INC-2"]);
    assert_eq!(bench.restored(), bench.desk);
}
