//! What holds a run before it begins, and lets it go.

use watchkeep_desk::input::{ActBody, Outcome};

use crate::bench::{Bench, HOUR, MINUTE, RESTART, RULES, SECOND, config, ordinary};

fn stop_switch(bench: &mut Bench, on: bool) {
    let act = ActBody::StopSwitch { on, note: "a bad day".to_owned() };
    assert_eq!(bench.act("alice", act), Ok(()));
}

/// A failure of that unit, mended by its runbook, resolved by itself.
fn mend(bench: &mut Bench, unit: &str) {
    let sent = bench.orders.len();
    bench.fire("web-1", unit);
    assert_eq!(bench.orders.len(), sent + 1, "{unit}: its run begins");
    bench.answer(Outcome::Done);
    bench.answer(Outcome::Done);
    bench.clear("web-1", unit);
    bench.pass(MINUTE);
}

#[test]
fn the_stop_switch_holds_new_runs_and_the_next_step_of_those_that_go() {
    let mut bench = ordinary();
    bench.fire("web-1", "nginx.service");
    stop_switch(&mut bench, true);
    bench.answer(Outcome::Done);
    bench.fire("web-1", "php.service");
    assert_eq!(
        (bench.run_stands(1).as_str(), bench.run_stands(2).as_str()),
        ("running stop_switch", "waiting stop_switch")
    );
    bench.pass(MINUTE);
    assert_eq!(bench.orders.len(), 1, "nothing is sent while it is on");
    stop_switch(&mut bench, false);
    assert_eq!(bench.orders.len(), 2, "the run goes on where it was");
    assert_eq!((bench.run_stands(1).as_str(), bench.run_stands(2).as_str()), ("running", "waiting lock"));
}

#[test]
fn one_run_at_a_time_holds_the_host() {
    let mut bench = ordinary();
    bench.fire("web-1", "nginx.service");
    bench.fire("web-1", "php.service");
    assert_eq!((bench.run_stands(1).as_str(), bench.run_stands(2).as_str()), ("running", "waiting lock"));
    bench.answer(Outcome::Done);
    bench.answer(Outcome::Done);
    bench.clear("web-1", "nginx.service");
    assert_eq!((bench.run_stands(1).as_str(), bench.run_stands(2).as_str()), ("succeeded", "running"));
}

#[test]
fn a_run_waits_for_an_agent_that_is_away() {
    let mut bench = ordinary();
    bench.lose("web-1");
    bench.fire("web-1", "nginx.service");
    assert_eq!((bench.run_stands(1).as_str(), bench.orders.len()), ("waiting agent", 0));
    bench.connect("web-1");
    assert_eq!((bench.run_stands(1).as_str(), bench.orders.len()), ("running", 1));
}

#[test]
fn between_steps_a_run_waits_for_its_agent_too() {
    let mut bench = ordinary();
    bench.fire("web-1", "nginx.service");
    bench.lose("web-1");
    // The result was on its way.
    bench.answer(Outcome::Done);
    assert_eq!((bench.run_stands(1).as_str(), bench.orders.len()), ("running agent", 1));
    bench.connect("web-1");
    assert_eq!((bench.run_stands(1).as_str(), bench.orders.len()), ("running", 2));
}

#[test]
fn what_cleared_while_it_waited_is_not_mended() {
    let mut bench = ordinary();
    bench.lose("web-1");
    bench.fire("web-1", "nginx.service");
    bench.clear("web-1", "nginx.service");
    bench.connect("web-1");
    assert_eq!(bench.run_stands(1), "waiting condition");
    bench.fire("web-1", "nginx.service");
    assert_eq!(bench.run_stands(1), "running");
}

#[test]
fn a_run_that_waits_is_cancelled_when_its_incident_is_over() {
    let mut bench = ordinary();
    bench.lose("web-1");
    bench.fire("web-1", "nginx.service");
    bench.clear("web-1", "nginx.service");
    bench.pass(MINUTE);
    assert_eq!((bench.run_stands(1).as_str(), bench.change(1).state.word()), ("cancelled", "cancelled"));
    assert_eq!(bench.incident(1).resolution.map(|resolution| resolution.code.word()), Some("recovered"));
}

#[test]
fn no_more_than_so_many_an_hour() {
    let mut bench = ordinary();
    for unit in ["a.service", "b.service", "c.service"] {
        mend(&mut bench, unit);
    }
    bench.fire("web-1", "d.service");
    assert_eq!(bench.run_stands(4), "waiting rate");
    bench.pass(HOUR - 5 * MINUTE);
    assert_eq!(bench.run_stands(4), "waiting rate");
    bench.pass(5 * MINUTE);
    assert_eq!(bench.run_stands(4), "running", "the oldest has left the window");
}

#[test]
fn a_failure_is_followed_by_a_cooldown() {
    let mut bench = ordinary();
    bench.fire("web-1", "nginx.service");
    bench.answer(Outcome::Failed);
    assert_eq!(bench.run_stands(1), "failed");
    bench.fire("web-1", "php.service");
    assert_eq!(bench.run_stands(2), "waiting cooldown");
    bench.pass(29 * MINUTE);
    assert_eq!(bench.run_stands(2), "waiting cooldown");
    bench.pass(MINUTE + SECOND);
    assert_eq!(bench.run_stands(2), "running");
}

#[test]
fn what_succeeded_but_came_back_goes_to_a_person() {
    let mut bench = ordinary();
    mend(&mut bench, "nginx.service");
    assert_eq!(bench.incident(1).state.word(), "resolved");
    bench.pass(10 * MINUTE);
    bench.fire("web-1", "nginx.service");
    assert_eq!((bench.incident(1).state.word(), bench.orders.len()), ("new", 2), "no second run by itself");
    assert!(bench.run(1).came_back);
    assert_eq!(bench.change(1).success.map(|success| success.good), Some(false));
    let handed = bench.incident(1).timeline.into_iter().find(|entry| entry.sentence.starts_with("handed over"));
    insta::assert_snapshot!(handed.expect("it is handed over").sentence);
    assert_eq!(bench.told(), ["opened", "resolved", "reopened"]);
}

#[test]
fn what_comes_back_within_the_incident_counts_too() {
    let mut bench = ordinary();
    bench.fire("web-1", "nginx.service");
    bench.answer(Outcome::Done);
    bench.answer(Outcome::Done);
    bench.clear("web-1", "nginx.service");
    bench.pass(10 * SECOND);
    bench.fire("web-1", "nginx.service");
    assert_eq!((bench.run(1).came_back, bench.orders.len()), (true, 2));
    bench.clear("web-1", "nginx.service");
    bench.pass(MINUTE);
    assert_eq!(
        bench.incident(1).resolution.map(|resolution| resolution.code.word()),
        Some("recovered"),
        "not by that run"
    );
}

#[test]
fn after_the_breakers_hour_the_runbook_may_try_again() {
    let mut bench = ordinary();
    mend(&mut bench, "nginx.service");
    bench.pass(2 * HOUR);
    bench.fire("web-1", "nginx.service");
    assert_eq!((bench.run(1).came_back, bench.orders.len()), (false, 3));
}

#[test]
fn waiting_runs_of_a_host_are_bounded() {
    let mut bench = ordinary();
    bench.config.settings.runs_waiting_max = 2;
    bench.lose("web-1");
    for unit in ["a.service", "b.service", "c.service"] {
        bench.fire("web-1", unit);
    }
    assert_eq!(bench.desk.runs().count(), 2);
    let last = bench.incident(3).timeline;
    assert!(last.iter().any(|entry| entry.sentence.contains("2 runs wait on host \"web-1\" already")), "{last:?}");
}

#[test]
fn a_burst_becomes_incidents_and_a_bounded_number_of_runs() {
    let mut bench = ordinary();
    for unit in 0..2_000 {
        bench.fire("web-1", &format!("unit-{unit}.service"));
    }
    assert_eq!((bench.desk.incidents().count(), bench.told().len()), (2_000, 2_000));
    let waiting = bench.desk.runs().filter(|run| run.state.word() == "waiting").count();
    assert_eq!((bench.desk.runs().count(), waiting, bench.orders.len()), (101, 100, 1));
}

fn guarded(approval: &str) -> Bench {
    let runbook = RESTART.replace("guard:\n", &format!("guard:\n  approval: {approval}\n"));
    Bench::with_host(config(RULES, &[&runbook]), "web-1")
}

#[test]
fn approval_is_of_a_hash_and_by_somebody_else() {
    let mut bench = guarded("{when: ci.environment == \"production\", by: group(linux), within: 10m}");
    bench.fire("web-1", "nginx.service");
    assert_eq!(
        (bench.run_stands(1).as_str(), bench.change(1).state.word()),
        ("awaiting_approval", "awaiting_approval")
    );
    assert_eq!(bench.told(), ["opened"], "the page says it already");
    assert_eq!(bench.notices[0].content["tried"][0]["approval_by"], "group(linux)");
    let run = bench.run(1);
    let stale = ActBody::RunApprove { run: run.id, plan_hash: "0".repeat(64) };
    assert_eq!(bench.act("alice", stale).map_err(|refusal| refusal.code), Err("stale_plan".to_owned()));
    let good = ActBody::RunApprove { run: run.id, plan_hash: run.plan_hash };
    assert_eq!(bench.act("alice", good), Ok(()));
    assert_eq!((bench.run_stands(1).as_str(), bench.orders.len()), ("running", 1));
    assert_eq!(bench.run(1).approved_by.as_deref(), Some("alice"));
}

#[test]
fn nobody_approves_what_they_asked_for() {
    let mut bench = guarded("{when: \"true\", by: group(linux), within: 10m}");
    let (runbook, agent) = ("restart-service".to_owned(), Some("web-1".to_owned()));
    let params = crate::bench::params(&[("unit", "nginx.service")]);
    assert_eq!(bench.act("alice", ActBody::RunStart { runbook, incident: None, agent, params }), Ok(()));
    let run = bench.run(1);
    let approve = ActBody::RunApprove { run: run.id, plan_hash: run.plan_hash };
    assert_eq!(bench.act("alice", approve.clone()).map_err(|refusal| refusal.code), Err("guard".to_owned()));
    assert_eq!(bench.act("bob", approve), Ok(()));
    assert_eq!(bench.run_stands(1), "running");
}

#[test]
fn an_approval_that_nobody_gives_or_somebody_refuses_ends_the_run() {
    let mut bench = guarded("{when: \"true\", by: group(linux), within: 10m}");
    bench.fire("web-1", "nginx.service");
    bench.pass(11 * MINUTE);
    assert_eq!((bench.run_stands(1).as_str(), bench.change(1).state.word()), ("expired", "cancelled"));
    bench.fire("web-1", "php.service");
    let reject = ActBody::RunReject { run: bench.run(2).id, note: "not now".to_owned() };
    assert_eq!(bench.act("alice", reject), Ok(()));
    assert_eq!((bench.run_stands(2).as_str(), bench.change(2).state.word()), ("rejected", "rejected"));
    assert_eq!(bench.orders.len(), 0);
}

#[test]
fn a_rule_whose_when_is_false_asks_for_approval() {
    for (when, expected) in [
        ("incident.priority >= 3", "running"),
        ("incident.priority >= 4", "awaiting_approval"),
        ("incident.urgency in [1, 2] and ci.name == 'nginx.service'", "running"),
    ] {
        let rules = RULES.replace("use: restart-service", &format!("use: restart-service\n          when: \"{when}\""));
        let mut bench = Bench::with_host(config(&rules, &[RESTART]), "web-1");
        bench.fire("web-1", "nginx.service");
        assert_eq!(bench.run_stands(1), expected, "{when}");
    }
}
