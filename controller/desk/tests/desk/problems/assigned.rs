//! A problem is given to a person or a group.

use watchkeep_desk::ids::ProblemId;
use watchkeep_desk::input::{ActBody, AlertState};
use watchkeep_desk::problems::State;

use super::shop;
use crate::bench::{Bench, DAY, MINUTE};

fn assign(assignee: Option<&str>, group: Option<&str>) -> ActBody {
    let (assignee, group) = (assignee.map(str::to_owned), group.map(str::to_owned));
    ActBody::ProblemAssign { problem: ProblemId(1), assignee, group, note: String::new() }
}

/// A database's host is down, and the application with it.
fn trouble() -> Bench {
    let mut bench = shop();
    bench.agent_down("db-1", AlertState::Firing);
    bench.fire("app-1", "app.service");
    bench
}

fn mend(bench: &mut Bench) {
    bench.agent_down("db-1", AlertState::Resolved);
    bench.clear("app-1", "app.service");
    bench.pass(5 * MINUTE);
}

#[test]
fn it_stays_with_whom_it_was_given_to_and_pages_them() {
    let mut bench = trouble();
    assert_eq!(bench.act("alice", assign(Some("bob"), Some("storage"))), Ok(()));
    // Another incident, and with it all that follows from the incidents, changes nothing of that.
    bench.fire("db-1", "db.service");
    assert_eq!(bench.act("bob", assign(Some("carol"), None)), Ok(()));
    bench.pass(MINUTE);
    let problem = bench.problem(1);
    assert_eq!(problem.incidents.len(), 3);
    let (assignee, group, by) = (problem.assignee.as_deref(), problem.group.as_deref(), problem.assigned_by.as_deref());
    assert_eq!((assignee, group, by), (Some("carol"), Some("storage"), Some("bob")));
    let groups: Vec<Option<&str>> = bench.notices.iter().map(|notice| notice.group.as_deref()).collect();
    assert_eq!(groups, [Some("storage")]);
    let said = |sentence: &str| problem.timeline.iter().any(|line| line.sentence == sentence);
    assert!(said("assigned to bob of group storage") && said("assigned to carol"), "{:#?}", problem.timeline);
    assert_eq!(bench.restored(), bench.desk);
}

#[test]
fn what_was_given_to_somebody_does_not_resolve_by_itself() {
    let (mut theirs, mut nobodys) = (trouble(), trouble());
    assert_eq!(theirs.act("alice", assign(None, Some("storage"))), Ok(()));
    mend(&mut theirs);
    mend(&mut nobodys);
    assert_eq!((theirs.problem(1).state, nobodys.problem(1).state), (State::New, State::Resolved));
    assert_eq!(theirs.pages().last().map(String::as_str), Some("incidents_over PRB-1"));
}

#[test]
fn what_was_given_to_somebody_takes_in_only_what_its_candidates_explain() {
    for (given, joins) in [(false, Some(ProblemId(1))), (true, None)] {
        let mut bench = shop();
        bench.package("app-1", "1.4");
        bench.pass(MINUTE);
        bench.package("app-1", "1.5");
        bench.agent_down("db-1", AlertState::Firing);
        bench.fire("app-1", "app.service");
        if given {
            assert_eq!(bench.act("alice", assign(Some("bob"), None)), Ok(()));
        }
        // It saw the change that the application saw, and does not need the database's host.
        bench.fire("app-1", "cron.service");
        let incident = bench.incident(3);
        assert_eq!(incident.problem, joins);
        let beside = "PRB-1 (Several failures around host db-1) is somebody's";
        assert_eq!(
            incident.timeline.iter().any(|line| line.sentence.contains(beside)),
            given,
            "{:#?}",
            incident.timeline
        );
    }
}

#[test]
fn it_is_given_to_somebody_while_it_is_open() {
    let mut bench = trouble();
    let refused = bench.act("alice", assign(None, Some(" "))).expect_err("to nobody");
    assert_eq!(refused.sentence, "PRB-1: name an assignee or a group");
    mend(&mut bench);
    let refused = bench.act("alice", assign(Some("bob"), None)).expect_err("it is resolved");
    assert_eq!(refused.code, "not_allowed_in_state");
    bench.pass(4 * DAY);
    assert_eq!(bench.act("alice", assign(Some("bob"), None)).expect_err("it is closed").code, "unknown");
}
