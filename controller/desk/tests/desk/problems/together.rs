//! What stands together in one problem, and what does not.

use std::collections::BTreeSet;

use serde_json::json;
use watchkeep_desk::cmdb::Class;
use watchkeep_desk::ids::IncidentId;
use watchkeep_desk::input::{ActBody, AlertChange, AlertState};
use watchkeep_desk::problems::{Origin, ProblemFact, State};
use watchkeep_desk::{Fact, FactBody, InputBody, Millis, Subject, explain};

use super::{fleet, members, quiet, shop};
use crate::bench::{Bench, DAY, MINUTE, SECOND, unit_failed};

#[test]
fn a_database_host_down_is_one_problem_and_one_page() {
    let mut bench = shop();
    let before = bench.notices.len();
    bench.fire("app-1", "app.service");
    bench.pass(5 * SECOND);
    bench.lose("db-1");
    bench.agent_down("db-1", AlertState::Firing);
    assert_eq!(bench.notices.len(), before, "a page waits");
    let problem = bench.problem(1);
    assert_eq!(members(&problem), ["INC-1", "INC-2"]);
    assert_eq!(problem.origin, Origin::Correlation);
    let first = &problem.candidates[0];
    assert_eq!((first.what.as_str(), first.explains), ("host db-1", 2), "{:#?}", problem.candidates);
    let reasons: Vec<&str> = first.reasons.iter().map(|reason| reason.sentence.as_str()).collect();
    assert_eq!(reasons[0], "2 of 2 incidents are about it or need it: INC-1, INC-2");
    assert!(reasons.contains(&"INC-2 says that it failed itself"), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.starts_with("nobody has heard from it for")), "{reasons:?}");
    let evidence = &problem.links[0].evidence[0].sentence;
    assert!(evidence.starts_with("service_unit app.service on app-1 of INC-1 needs host db-1"), "{evidence}");

    bench.pass(MINUTE);
    assert_eq!(bench.pages(), ["opened PRB-1"]);
    let page = &bench.notices[0].content;
    assert_eq!(page["candidates"][0]["what"], json!("host db-1"), "{page:#}");
    assert_eq!(page["incidents"].as_array().map(Vec::len), Some(2), "{page:#}");

    bench.connect("db-1");
    bench.agent_down("db-1", AlertState::Resolved);
    bench.clear("app-1", "app.service");
    bench.pass(5 * MINUTE);
    assert_eq!(bench.pages(), ["opened PRB-1", "resolved PRB-1"]);
    assert_eq!(bench.problem(1).state, State::Resolved);
    bench.pass(4 * DAY);
    assert_eq!(bench.problem(1).state, State::Closed);
    assert_eq!(bench.desk.problems().count(), 0, "the desk lets go of what is over");
    assert_eq!(bench.restored(), bench.desk);
}

#[test]
fn what_needs_a_failed_thing_opens_marked_as_following_from_it() {
    let mut bench = shop();
    bench.agent_down("db-1", AlertState::Firing);
    // Long after: a dependency has no window.
    bench.pass(20 * MINUTE);
    bench.fire("app-1", "app.service");
    let links = bench.incident(2).links;
    assert!(links.iter().any(|link| link.kind == "follows" && link.incident == IncidentId(1)), "{links:?}");
    assert_eq!(members(&bench.problem(1)), ["INC-1", "INC-2"]);
    bench.pass(MINUTE);
    assert_eq!(bench.pages(), ["opened INC-1"], "INC-1 has paged for both");
}

#[test]
fn a_deploy_that_fails_is_one_problem_that_names_the_change() {
    let bench = fleet(true);
    let problem = bench.problem(1);
    assert_eq!(members(&problem), ["INC-1", "INC-2", "INC-3"]);
    let first = &problem.candidates[0];
    assert_eq!(first.change.as_deref(), Some("package shop-app 1.4→1.5"), "{:#?}", problem.candidates);
    assert_eq!(first.reasons[1].sentence, "it came 2 min before the first failure, to 3 of 10 hosts");
    assert_eq!(problem.title, "Several failures after package shop-app 1.4→1.5");
    assert_eq!(bench.pages(), ["opened PRB-1"]);
}

#[test]
fn the_story_of_an_incident_has_of_its_problem_what_concerns_it_and_no_more() {
    let mut bench = fleet(true);
    let note = ActBody::ProblemNote { problem: bench.problem(1).id, note: "seen before".to_owned() };
    bench.act("eva", note).expect("noted");
    let of_problem = |fact: &&Fact| matches!(fact.subject, Subject::Problem(_));
    let whole: Vec<&Fact> = bench.facts.iter().map(|(_, fact)| fact).filter(of_problem).collect();
    let seen = |number: u64| -> Vec<Fact> {
        whole.iter().filter_map(|fact| explain::seen_from(IncidentId(number), (*fact).clone())).collect()
    };
    let kinds = |facts: &[Fact]| -> Vec<String> {
        let told = |fact: &Fact| explain::sentence(&fact.subject, &fact.body);
        facts.iter().map(|fact| told(fact).split([' ', ':']).take(3).collect::<Vec<_>>().join(" ")).collect()
    };
    assert_eq!(kinds(&seen(1)), ["opened by correlation", "one notice to"]);
    assert_eq!(kinds(&seen(3)), ["opened by correlation", "INC-3 joined", "one notice to"]);
    assert_eq!(seen(3).len() + 1, whole.len(), "the note is left to the problem's own story");
    for fact in seen(3).iter().filter(|fact| matches!(fact.body, FactBody::Problem(ProblemFact::Joined { .. }))) {
        assert!(!fact.reasons.is_empty());
        assert!(fact.reasons.iter().all(|reason| reason.sentence.contains("INC-3")), "{:#?}", fact.reasons);
    }
    let opening = &seen(3)[0];
    assert_eq!(opening.reasons, [], "INC-1 and INC-2 began it");
    assert!(seen(2)[0].reasons[0].sentence.starts_with("INC-1 and INC-2: "));
}

#[test]
fn the_same_failures_without_the_change_and_without_topology_are_no_problem() {
    let bench = fleet(false);
    assert_eq!(bench.desk.problems().count(), 0);
    assert_eq!(bench.pages(), ["opened INC-1", "opened INC-2", "opened INC-3"]);
}

#[test]
fn a_change_that_is_learned_of_after_the_failure_counts() {
    let mut bench = Bench::new(quiet());
    for (number, name) in ["web-1", "web-2", "web-3", "web-4"].into_iter().enumerate() {
        bench.host(name, number + 1);
        bench.package(name, "1.4");
    }
    bench.pass(MINUTE);
    bench.fire("web-1", "app.service");
    bench.fire("web-2", "app.service");
    assert_eq!(bench.desk.problems().count(), 0);
    bench.package("web-1", "1.5");
    bench.package("web-2", "1.5");
    assert_eq!(members(&bench.problem(1)), ["INC-1", "INC-2"]);
}

#[test]
fn a_change_that_comes_well_after_the_failure_is_not_behind_it() {
    let mut bench = Bench::new(quiet());
    for (number, name) in ["web-1", "web-2", "web-3", "web-4"].into_iter().enumerate() {
        bench.host(name, number + 1);
        bench.package(name, "1.4");
    }
    bench.fire("web-1", "app.service");
    bench.fire("web-2", "app.service");
    bench.pass(10 * MINUTE);
    bench.package("web-1", "1.5");
    bench.package("web-2", "1.5");
    assert_eq!(bench.desk.problems().count(), 0, "it may be the remedy");
}

#[test]
fn fifty_unrelated_incidents_in_a_minute_are_no_problem() {
    let mut bench = Bench::new(quiet());
    for number in 0..50 {
        bench.host(&format!("box-{number}"), number);
    }
    for number in 0..50 {
        bench.fire(&format!("box-{number}"), "app.service");
        bench.pass(SECOND);
    }
    assert_eq!(bench.desk.incidents().count(), 50);
    assert_eq!(bench.desk.problems().count(), 0);
}

#[test]
fn two_units_of_one_host_alone_are_no_problem() {
    let mut bench = shop();
    bench.fire("app-1", "app.service");
    bench.fire("app-1", "cron.service");
    assert_eq!(bench.desk.problems().count(), 0);
}

#[test]
fn two_alerts_about_one_host_alone_are_no_problem() {
    let mut bench = shop();
    bench.host_alert("LoadHigh", "app-1", AlertState::Firing);
    bench.host_alert("ClockAdrift", "app-1", AlertState::Firing);
    assert_eq!(bench.desk.problems().count(), 0, "{:#?}", bench.desk.problems().collect::<Vec<_>>());
    bench.pass(MINUTE);
    assert_eq!(bench.pages(), ["opened INC-1", "opened INC-2"]);
}

#[test]
fn two_alerts_about_one_host_with_a_change_in_common_are_one_problem() {
    let mut bench = shop();
    bench.package("app-1", "1.4");
    bench.pass(MINUTE);
    bench.package("app-1", "1.5");
    bench.pass(MINUTE);
    bench.host_alert("LoadHigh", "app-1", AlertState::Firing);
    bench.host_alert("MemoryShort", "app-1", AlertState::Firing);
    let problem = bench.problem(1);
    assert_eq!(members(&problem), ["INC-1", "INC-2"]);
    let sentences: Vec<&str> = problem.links[0].evidence.iter().map(|known| known.sentence.as_str()).collect();
    assert!(sentences[0].starts_with("package shop-app 1.4→1.5 came to both"), "{sentences:?}");
    assert_eq!(sentences[1..], ["both are about host app-1"]);
}

#[test]
fn hosts_that_were_away_and_came_back_are_not_behind_what_fails_after() {
    let mut bench = Bench::new(quiet());
    let hosts: Vec<String> = (1..5).map(|number| format!("box-{number}")).collect();
    for (number, host) in (1..).zip(&hosts) {
        bench.host(host, number);
        bench.agent_down(host, AlertState::Firing);
    }
    bench.pass(MINUTE);
    hosts.iter().for_each(|host| bench.agent_down(host, AlertState::Resolved));
    bench.pass(30 * SECOND);
    assert!(bench.incident(1).state.is_open(), "it resolves after two minutes");
    hosts.iter().for_each(|host| drop(bench.fire(host, "app.service")));
    assert_eq!(bench.incident(5).links, vec![]);
    bench.pass(2 * MINUTE);
    assert!(!bench.incident(1).state.is_open());
    hosts.iter().for_each(|host| drop(bench.fire(host, "db.service")));
    assert_eq!(bench.desk.problems().count(), 0, "{:#?}", bench.desk.problems().collect::<Vec<_>>());
    assert_eq!(bench.restored(), bench.desk);
}

#[test]
fn what_a_person_resolved_is_not_behind_what_fails_after() {
    let mut bench = shop();
    bench.agent_down("db-1", AlertState::Firing);
    let (code, note) = ("fixed_by_person".parse().expect("a code"), "plugged in".to_owned());
    let resolve = ActBody::IncidentResolve { incident: IncidentId(1), code, note };
    assert_eq!(bench.act("alice", resolve), Ok(()));
    bench.pass(MINUTE);
    bench.fire("app-1", "app.service");
    assert_eq!(bench.desk.problems().count(), 0);
}

#[test]
fn what_began_while_the_other_still_failed_stands_together_with_it_though_it_is_told_later() {
    let mut bench = shop();
    bench.agent_down("db-1", AlertState::Firing);
    bench.pass(20 * SECOND);
    let seen = Millis(bench.at);
    bench.pass(20 * SECOND);
    bench.agent_down("db-1", AlertState::Resolved);
    bench.pass(SECOND);
    let late = AlertChange { happened_at: seen, ..unit_failed("app-1", "app.service", AlertState::Firing) };
    bench.feed(InputBody::Alert(late));
    assert_eq!(members(&bench.problem(1)), ["INC-1", "INC-2"]);
}

#[test]
fn what_was_clear_and_fails_again_is_compared_again() {
    let mut bench = shop();
    bench.fire("app-1", "app.service");
    bench.pass(5 * SECOND);
    bench.clear("app-1", "app.service");
    bench.pass(5 * SECOND);
    bench.agent_down("db-1", AlertState::Firing);
    assert_eq!(bench.desk.problems().count(), 0);
    bench.pass(5 * SECOND);
    bench.fire("app-1", "app.service");
    assert_eq!(members(&bench.problem(1)), ["INC-1", "INC-2"]);
}

#[test]
fn a_host_and_what_runs_on_it_are_one_problem() {
    let mut bench = shop();
    bench.host_alert("LoadHigh", "app-1", AlertState::Firing);
    bench.fire("app-1", "app.service");
    assert_eq!(members(&bench.problem(1)), ["INC-1", "INC-2"]);
}

/// All orders of a few incidents, those of one database among them, give the same sets.
#[test]
fn the_order_in_which_incidents_come_does_not_change_the_sets() {
    let arrivals = ["app", "db", "down", "cron", "other"];
    let mut seen: BTreeSet<BTreeSet<BTreeSet<String>>> = BTreeSet::new();
    for turn in 0..arrivals.len() {
        for swap in 1..arrivals.len() {
            let mut order = arrivals;
            order.rotate_left(turn);
            order.swap(0, swap);
            let mut bench = shop();
            bench.host("other-1", 9);
            for what in order {
                match what {
                    "app" => drop(bench.fire("app-1", "app.service")),
                    "db" => drop(bench.fire("db-1", "db.service")),
                    "down" => bench.agent_down("db-1", AlertState::Firing),
                    "cron" => drop(bench.fire("app-1", "cron.service")),
                    _ => drop(bench.fire("other-1", "cron.service")),
                }
                bench.pass(SECOND);
            }
            seen.insert(bench.sets());
        }
    }
    assert_eq!(seen.len(), 1, "{seen:#?}");
    let sets = seen.into_iter().next().expect("one");
    assert_eq!(sets.into_iter().map(|set| set.len()).collect::<Vec<_>>(), [3]);
}

#[test]
fn the_same_key_three_times_in_a_week_is_a_problem() {
    let mut bench = Bench::with_host(quiet(), "web-1");
    for day in 0..3 {
        assert_eq!(bench.desk.problems().count(), 0, "day {day}");
        bench.fire("web-1", "nginx.service");
        bench.pass(MINUTE);
        bench.clear("web-1", "nginx.service");
        bench.pass(DAY);
    }
    let problem = bench.problem(1);
    assert_eq!((problem.origin, problem.state), (Origin::Recurrence, State::New));
    assert_eq!(members(&problem), ["INC-1", "INC-2", "INC-3"]);
    let told: Vec<String> = bench.pages();
    assert_eq!(told[4..], ["opened PRB-1", "incidents_over PRB-1"]);
}

#[test]
#[expect(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it measures; no decision reads the clock"
)]
fn the_cost_of_an_opening_does_not_grow_with_what_is_open() {
    let mut bench = Bench::new(quiet());
    for number in 0..20 {
        bench.host(&format!("box-{number}"), number);
    }
    let hosts = bench.desk.cmdb().of_class(Class::Host).count();
    assert_eq!(hosts, 20);
    // The median of the burst: what else the machine does delays some openings, not most.
    let burst = |bench: &mut Bench, from: usize, to: usize| {
        let opening = |unit: usize| {
            let begun = std::time::Instant::now();
            bench.fire(&format!("box-{}", unit % 20), &format!("unit-{unit}.service"));
            begun.elapsed()
        };
        let mut took: Vec<_> = (from..to).map(opening).collect();
        took.sort_unstable();
        took[took.len() / 2]
    };
    let early = burst(&mut bench, 0, 200);
    burst(&mut bench, 200, 1_800);
    let late = burst(&mut bench, 1_800, 2_000);
    println!("an opening took {early:?} with none open, {late:?} with 1,800 open");
    assert_eq!(bench.desk.incidents().count(), 2_000);
    assert!(late < early * 6, "{early:?} became {late:?}");
}
