//! What people make of problems: taken up, merged, split, known errors.

use std::collections::BTreeSet;

use serde_json::json;
use watchkeep_desk::ids::{IncidentId, ProblemId};
use watchkeep_desk::input::{ActBody, AlertState};
use watchkeep_desk::problems::State;

use super::{boxes, fleet, ids, item, members, quiet, shop};
use crate::bench::{Bench, DAY, MINUTE, SECOND};

/// A deploy failed on three hosts of ten, and somebody looks into it. Then all ten are away and come back.
#[test]
fn a_problem_that_somebody_has_taken_up_takes_in_only_what_its_candidates_explain() {
    let mut bench = fleet(true);
    let investigate = ActBody::ProblemInvestigate { problem: ProblemId(1), note: String::new() };
    assert_eq!(bench.act("alice", investigate), Ok(()));
    // Two of the hosts get a kernel, one of them with the package that failed.
    for (host, version) in [("web-2", "1.5"), ("web-3", "1.4")] {
        let package = |name: &str, version: &str| item("software_package", name, &[("version", version)], &[]);
        bench.found(host, "package", vec![package("shop-app", version), package("linux-image", "6.1")]);
    }
    let hosts: Vec<String> = (0..10).map(|number| format!("web-{number}")).collect();
    hosts.iter().for_each(|host| bench.agent_down(host, AlertState::Firing));
    assert_eq!(
        members(&bench.problem(1)),
        ["INC-1", "INC-2", "INC-3", "INC-4", "INC-5", "INC-6"],
        "those with the package"
    );
    bench.pass(MINUTE);
    hosts.iter().for_each(|host| bench.agent_down(host, AlertState::Resolved));
    bench.pass(MINUTE);
    hosts.iter().skip(3).for_each(|host| drop(bench.fire(host, "db.service")));
    assert_eq!(bench.problem(1).incidents.len(), 6);
    assert_eq!(bench.desk.problems().count(), 1);
}

#[test]
fn what_a_problem_somebody_has_taken_up_does_not_explain_is_a_problem_of_its_own_that_names_it() {
    let mut bench = Bench::new(quiet());
    for (number, name) in ["db-1", "app-1", "app-2"].into_iter().enumerate() {
        bench.host(name, number + 1);
        bench.package(name, "1.4");
    }
    bench.pass(MINUTE);
    bench.package("app-1", "1.5");
    bench.package("app-2", "1.5");
    bench.pass(MINUTE);
    bench.fire("app-1", "app.service");
    bench.fire("app-2", "app.service");
    bench.fire("app-1", "cron.service");
    let investigate = ActBody::ProblemInvestigate { problem: ProblemId(1), note: String::new() };
    assert_eq!(bench.act("alice", investigate), Ok(()));
    // By hand comes in what has nothing to do with the package.
    bench.fire("db-1", "db.service");
    let join = ActBody::ProblemJoin { problem: ProblemId(1), incidents: ids(&[4]), note: String::new() };
    assert_eq!(bench.act("alice", join), Ok(()));
    bench.agent_down("db-1", AlertState::Firing);
    let alone = bench.incident(5);
    assert_eq!(alone.problem, None, "its host explains one of four");
    let note = "PRB-1 (Several failures after package shop-app 1.4→1.5) is investigating, and what may be its cause does \
                not explain this";
    assert!(alone.timeline.iter().any(|entry| entry.sentence == format!("note: {note}")), "{:#?}", alone.timeline);
    assert!(
        alone.links.iter().any(|link| link.kind == "beside" && link.incident == IncidentId(4)),
        "{:?}",
        alone.links
    );
    bench.fire("db-1", "cron.service");
    let own = bench.problem(2);
    assert_eq!(members(&own), ["INC-5", "INC-6"]);
    bench.pass(MINUTE);
    assert_eq!(bench.pages().last().map(String::as_str), Some("opened PRB-2"));
    assert_eq!(bench.restored(), bench.desk);
}

#[test]
fn what_a_person_takes_out_is_not_put_back() {
    let mut bench = shop();
    bench.agent_down("db-1", AlertState::Firing);
    bench.fire("app-1", "app.service");
    let split =
        |incidents, note: &str| ActBody::ProblemSplit { problem: ProblemId(1), incidents, note: note.to_owned() };
    let refused = bench.act("alice", split(ids(&[2]), "")).expect_err("it needs a note");
    assert_eq!(refused.sentence, "PRB-1: say in a note why, to split it");
    let refused = bench.act("alice", split(ids(&[7]), "no")).expect_err("a stranger");
    assert_eq!(refused.sentence, "INC-7 does not stand in PRB-1");
    let refused = bench.act("alice", split(ids(&[1, 2]), "no")).expect_err("all of them");
    assert_eq!(refused.sentence, "PRB-1: that would take out every incident; cancel the problem instead");
    assert_eq!(bench.act("alice", split(ids(&[2]), "a bug of its own")), Ok(()));
    assert_eq!((bench.incident(2).problem, members(&bench.problem(1))), (None, vec!["INC-1".to_owned()]));

    // Another of the database's needs it too: it goes with the database, and does not bring INC-2 back.
    bench.fire("db-1", "db.service");
    assert_eq!(members(&bench.problem(1)), ["INC-1", "INC-3"]);
    assert_eq!(bench.incident(2).problem, None);
    // Nor does its coming back.
    bench.clear("app-1", "app.service");
    bench.pass(2 * MINUTE);
    bench.fire("app-1", "app.service");
    assert_eq!(bench.incident(2).problem, None);
    // By hand it may.
    let join = ActBody::ProblemJoin { problem: ProblemId(1), incidents: ids(&[2]), note: String::new() };
    assert_eq!(bench.act("alice", join), Ok(()));
    assert_eq!(members(&bench.problem(1)), ["INC-1", "INC-2", "INC-3"]);
    assert_eq!(bench.restored(), bench.desk);
}

#[test]
fn a_merge_is_undone_by_a_split() {
    let mut bench = Bench::new(quiet());
    for number in 1..5 {
        let name = format!("box-{number}");
        bench.host(&name, number);
        bench.fire(&name, "app.service");
    }
    let create =
        |incidents, title: &str| ActBody::ProblemCreate { incidents, title: title.to_owned(), note: String::new() };
    assert_eq!(bench.act("alice", create(ids(&[1, 2]), "the left ones")), Ok(()));
    assert_eq!(bench.act("alice", create(ids(&[3, 4]), "")), Ok(()));
    let refused = bench.act("alice", create(ids(&[4]), "")).expect_err("it stands in one");
    assert_eq!(refused.sentence, "INC-4 stands in PRB-2; merge that problem, or split INC-4 out of it first");
    let (workaround, note) = ("restart it twice".to_owned(), String::new());
    let known = ActBody::ProblemKnownError { problem: ProblemId(2), workaround, note };
    assert_eq!(bench.act("alice", known), Ok(()));
    let before = bench.problem(2);
    let merge = ActBody::ProblemMerge { problem: ProblemId(2), into: ProblemId(1), note: "one cable".to_owned() };
    assert_eq!(bench.act("bob", merge), Ok(()));
    assert_eq!(members(&bench.problem(1)), ["INC-1", "INC-2", "INC-3", "INC-4"]);
    let (state, into) = (bench.problem(2).state, bench.problem(2).merged_into);
    assert_eq!((state, into), (State::Closed, Some(ProblemId(1))));
    // What is known of the one is known of both.
    assert_eq!(bench.problem(1).state, State::KnownError);
    assert_eq!(workarounds(&bench, 1..=4), [Some("restart it twice"); 4].map(|text| text.map(str::to_owned)));
    let told = |sentence: &str| sentence == "PRB-1 is a known error; workaround: restart it twice";
    assert!(bench.incident(1).timeline.iter().any(|line| told(&line.sentence)), "{:#?}", bench.incident(1).timeline);

    let note = "two cables".to_owned();
    let split = ActBody::ProblemSplit { problem: ProblemId(1), incidents: ids(&[3, 4]), note };
    assert_eq!(bench.act("bob", split), Ok(()));
    let (left, right) = (bench.problem(1), bench.problem(2));
    assert_eq!((members(&left), left.state), (vec!["INC-1".to_owned(), "INC-2".to_owned()], State::New));
    assert_eq!((left.title.as_str(), left.workaround, left.parts), ("the left ones", None, vec![]));
    assert_eq!((members(&right), right.state), (vec!["INC-3".to_owned(), "INC-4".to_owned()], State::KnownError));
    assert_eq!((right.merged_into, right.closed_at, right.opened_at), (None, None, before.opened_at));
    assert_eq!((&right.title, &right.workaround, &right.links), (&before.title, &before.workaround, &before.links));
    let last = &right.timeline.last().expect("it tells").sentence;
    assert_eq!(last, "came out of PRB-1 again with INC-3, INC-4: known error as before: two cables");
    assert!(right.timeline.starts_with(&before.timeline), "{:#?}", right.timeline);
    let text = Some("restart it twice".to_owned());
    assert_eq!(workarounds(&bench, 1..=4), [None, None, text.clone(), text]);
    assert_eq!(bench.incident(3).problem, Some(ProblemId(2)));
    assert!(!bench.records.contains_key(&("problem", ProblemId(3).to_string())), "no third one");
    assert_eq!(bench.restored(), bench.desk);
}

fn workarounds(bench: &Bench, numbers: std::ops::RangeInclusive<u64>) -> Vec<Option<String>> {
    numbers.map(|number| bench.incident(number).workaround).collect()
}

fn put_together(bench: &mut Bench, incidents: &[u64]) {
    let (title, note) = (String::new(), String::new());
    let create = ActBody::ProblemCreate { incidents: ids(incidents), title, note };
    assert_eq!(bench.act("alice", create), Ok(()));
}

fn take_out(bench: &mut Bench, incidents: &[u64]) {
    let note = "not that".to_owned();
    let split = ActBody::ProblemSplit { problem: ProblemId(1), incidents: ids(incidents), note };
    assert_eq!(bench.act("alice", split), Ok(()));
}

#[test]
fn what_is_taken_out_of_a_known_error_shows_the_workaround_that_goes_with_it() {
    let mut bench = boxes(4);
    put_together(&mut bench, &[1, 2, 3, 4]);
    let (workaround, note) = ("restart it twice".to_owned(), String::new());
    let known = ActBody::ProblemKnownError { problem: ProblemId(1), workaround, note };
    assert_eq!(bench.act("alice", known), Ok(()));
    take_out(&mut bench, &[3, 4]);
    let text = bench.problem(2).workaround.map(|workaround| workaround.text);
    assert_eq!(text.as_deref(), Some("restart it twice"));
    assert_eq!(workarounds(&bench, 3..=4), [text.clone(), text]);
    assert_eq!(bench.restored(), bench.desk);
}

#[test]
fn what_is_taken_out_before_its_problem_has_paged_is_told_of() {
    for (out, pages) in [(&[3][..], ["opened PRB-1", "opened INC-3"]), (&[3, 4], ["opened PRB-1", "opened PRB-2"])] {
        let mut bench = boxes(4);
        put_together(&mut bench, &[1, 2, 3, 4]);
        bench.pass(5 * SECOND);
        take_out(&mut bench, out);
        assert_eq!(bench.restored(), bench.desk);
        bench.pass(6 * SECOND);
        assert_eq!(bench.pages().into_iter().collect::<BTreeSet<_>>(), pages.map(str::to_owned).into(), "{out:?}");
        bench.pass(MINUTE);
        assert_eq!(bench.pages().len(), 2);
    }
}

#[test]
fn what_is_taken_out_after_its_problem_has_paged_is_told() {
    let mut bench = boxes(4);
    put_together(&mut bench, &[1, 2, 3, 4]);
    bench.pass(MINUTE);
    take_out(&mut bench, &[3]);
    take_out(&mut bench, &[4]);
    bench.pass(MINUTE);
    assert_eq!(bench.pages(), ["opened PRB-1"]);
}

#[test]
fn a_resolved_problem_does_not_close_while_an_incident_of_it_is_open() {
    let mut bench = boxes(2);
    put_together(&mut bench, &[1, 2]);
    let resolve = ActBody::ProblemResolve { problem: ProblemId(1), note: "a new cable".to_owned() };
    assert_eq!(bench.act("alice", resolve), Ok(()));
    bench.clear("box-1", "app.service");
    bench.pass(4 * DAY);
    assert_eq!(bench.problem(1).state, State::Resolved, "INC-2 is open");
    bench.clear("box-2", "app.service");
    bench.pass(MINUTE);
    assert!(!bench.incident(2).state.is_open());
    assert_eq!(bench.problem(1).state, State::Resolved, "it may come back");
    bench.pass(4 * DAY);
    assert_eq!(bench.problem(1).state, State::Closed);
    assert_eq!(bench.restored(), bench.desk);
}

#[test]
fn a_merge_takes_in_only_what_has_room() {
    let mut bench = Bench::new(quiet());
    (0..20).for_each(|number| bench.host(&format!("box-{number}"), number));
    for number in 0..1_005 {
        bench.fire(&format!("box-{}", number % 20), &format!("unit-{number}.service"));
    }
    put_together(&mut bench, &[1]);
    let numbers: Vec<u64> = (2..=995).collect();
    for chunk in numbers.chunks(100) {
        let join = ActBody::ProblemJoin { problem: ProblemId(1), incidents: ids(chunk), note: String::new() };
        assert_eq!(bench.act("alice", join), Ok(()));
    }
    put_together(&mut bench, &(996..=1_005).collect::<Vec<_>>());
    let merge = ActBody::ProblemMerge { problem: ProblemId(2), into: ProblemId(1), note: String::new() };
    assert_eq!(bench.act("bob", merge), Ok(()));
    let problem = bench.problem(1);
    assert_eq!(problem.incidents.len(), 1_000);
    for number in 996..=1_005 {
        let stands_in = (number <= 1_000).then_some(ProblemId(1));
        assert_eq!(bench.incident(number).problem, stands_in, "INC-{number}");
        assert_eq!(problem.incidents.contains(&IncidentId(number)), stands_in.is_some(), "INC-{number}");
    }
    bench.pass(MINUTE);
    let beyond: Vec<String> = (1_001..=1_005).map(|number| format!("opened INC-{number}")).collect();
    assert_eq!(bench.pages().iter().filter(|page| page.contains("INC")).cloned().collect::<Vec<_>>(), beyond);
}

#[test]
fn a_known_error_shows_its_workaround_on_what_joins() {
    let mut bench = shop();
    bench.agent_down("db-1", AlertState::Firing);
    bench.fire("db-1", "db.service");
    let known = |workaround: &str| {
        let (workaround, note) = (workaround.to_owned(), String::new());
        ActBody::ProblemKnownError { problem: ProblemId(1), workaround, note }
    };
    let refused = bench.act("alice", known(" ")).expect_err("it needs one");
    assert_eq!(refused.code, "missing");
    assert_eq!(bench.act("alice", known("use the replica")), Ok(()));
    assert_eq!(bench.incident(1).workaround.as_deref(), Some("use the replica"));
    bench.fire("app-1", "app.service");
    let joined = bench.incident(3);
    assert_eq!(joined.workaround.as_deref(), Some("use the replica"));
    let told =
        |entry: &watchkeep_desk::incidents::TimelineEntry| entry.sentence.contains("workaround: use the replica");
    assert!(joined.timeline.iter().any(told), "{:#?}", joined.timeline);
    bench.pass(MINUTE);
    let page = bench.notices.last().expect("a page");
    assert_eq!(page.content["workaround"], json!("use the replica"));
    // Somebody has taken it up: it does not resolve by itself.
    for (host, unit) in [("db-1", "db.service"), ("app-1", "app.service")] {
        bench.clear(host, unit);
    }
    bench.agent_down("db-1", AlertState::Resolved);
    bench.pass(10 * MINUTE);
    assert_eq!(bench.problem(1).state, State::KnownError);
    assert_eq!(bench.pages(), ["opened PRB-1", "incidents_over PRB-1"]);
    // A key of it that comes back much later joins it, and people are paged again.
    bench.pass(DAY);
    bench.fire("app-1", "app.service");
    assert_eq!(bench.incident(4).problem, Some(ProblemId(1)));
    bench.pass(MINUTE);
    assert_eq!(bench.pages()[2..], ["opened PRB-1"]);
}
