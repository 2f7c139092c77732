//! What people do, and what they are told when they may not.

use watchkeep_desk::input::ActBody;

use crate::bench::{Bench, labels, ordinary};

fn id<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("an id")
}

fn refused(bench: &mut Bench, who: &str, act: ActBody) -> (String, String) {
    let before = bench.desk.clone();
    let refusal = bench.act(who, act).expect_err("it is refused");
    assert_eq!(bench.desk, before, "a refused act changes nothing");
    (refusal.code, refusal.sentence)
}

#[test]
fn refusals_say_what_stands_against_it_and_what_would_help() {
    let mut bench = ordinary();
    bench.fire("web-1", "nginx.service");
    let (incident, note) = (id("INC-1"), String::new());
    let mut said = Vec::new();
    for act in [
        ActBody::IncidentAcknowledge { incident: id("INC-9"), note: note.clone() },
        ActBody::IncidentClose { incident, note: note.clone() },
        ActBody::IncidentCancel { incident, note: note.clone() },
        ActBody::IncidentHold { incident, awaiting: "lunch".to_owned(), note: note.clone() },
        ActBody::IncidentResolve { incident, code: String::new(), note: "done".to_owned() },
        ActBody::IncidentResolve { incident, code: "fixed".to_owned(), note: "done".to_owned() },
        ActBody::IncidentResolve { incident, code: "fixed_by_person".to_owned(), note: note.clone() },
        ActBody::IncidentAssign { incident, assignee: None, group: None, note: note.clone() },
        ActBody::IncidentPriority { incident, priority: 0, note: "why".to_owned() },
        ActBody::RunStart {
            runbook: "restart".to_owned(),
            incident: None,
            agent: Some("web-1".to_owned()),
            params: [].into(),
        },
        ActBody::RunStart { runbook: "restart-service".to_owned(), incident: None, agent: None, params: [].into() },
        ActBody::RunStart {
            runbook: "restart-service".to_owned(),
            incident: None,
            agent: Some("web-9".to_owned()),
            params: crate::bench::params(&[("unit", "nginx.service")]),
        },
        ActBody::RunStart {
            runbook: "restart-service".to_owned(),
            incident: Some(incident),
            agent: None,
            params: crate::bench::params(&[("unit", "nginx; reboot"), ("unti", "x")]),
        },
        ActBody::RunApprove { run: id("RUN-1"), plan_hash: "00".to_owned() },
        ActBody::RunReject { run: id("RUN-7"), note: note.clone() },
        ActBody::StopSwitch { on: false, note: "why".to_owned() },
        ActBody::StopSwitch { on: true, note: note.clone() },
        ActBody::AgentRevoke { agent: "web-9".to_owned(), note: note.clone() },
    ] {
        let (code, sentence) = refused(&mut bench, "alice", act);
        said.push(format!("{code}: {sentence}"));
    }
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn the_same_request_twice_is_done_once() {
    let mut bench = ordinary();
    bench.fire("web-1", "nginx.service");
    let note = || ActBody::IncidentNote { incident: id("INC-1"), note: "looking".to_owned() };
    assert_eq!(bench.act_as("alice", "r1", note()), Ok(()));
    let facts = bench.facts.len();
    assert_eq!(bench.act_as("alice", "r1", note()), Ok(()));
    assert_eq!(bench.facts.len(), facts, "nothing more is done");
    assert_eq!(bench.act_as("bob", "r1", note()), Ok(()));
    assert_eq!(bench.facts.len(), facts + 1, "another person's request is another");
}

#[test]
fn a_person_takes_an_incident_through_its_flow() {
    let mut bench = ordinary();
    bench.fire("web-1", "nginx.service");
    let (incident, note) = (id("INC-1"), "because".to_owned());
    let (code, awaiting) = ("fixed_by_person".to_owned(), "vendor".to_owned());
    for (act, state) in [
        (ActBody::IncidentAcknowledge { incident, note: note.clone() }, "acknowledged"),
        (ActBody::IncidentHold { incident, awaiting, note: note.clone() }, "on_hold"),
        (ActBody::IncidentProgress { incident, note: note.clone() }, "in_progress"),
        (ActBody::IncidentResolve { incident, code, note: note.clone() }, "resolved"),
        (ActBody::IncidentReopen { incident, note: note.clone() }, "new"),
        (ActBody::IncidentCancel { incident, note: note.clone() }, "cancelled"),
    ] {
        assert_eq!(bench.act("alice", act), Ok(()));
        assert_eq!(bench.incident(1).state.word(), state);
    }
    assert_eq!(bench.desk.incidents().count(), 0);
}

#[test]
fn a_revoked_agent_is_noted_and_gets_no_run() {
    let mut bench = ordinary();
    let act = ActBody::AgentRevoke { agent: "web-1".to_owned(), note: "stolen".to_owned() };
    assert_eq!(bench.act("alice", act.clone()), Ok(()));
    assert_eq!(bench.desk.agent("web-1").map(|agent| agent.revoked), Some(true));
    assert_eq!(refused(&mut bench, "alice", act).0, "not_allowed_in_state");
    bench.fire("web-1", "nginx.service");
    assert_eq!((bench.run_stands(1).as_str(), bench.orders.len()), ("waiting agent", 0));
    assert_eq!(
        bench.desk.agent("web-1").map(|agent| &agent.labels),
        Some(&labels(&[("environment", "production"), ("service", "shop")]))
    );
}
