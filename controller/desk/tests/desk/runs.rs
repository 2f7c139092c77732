//! A run from its first step to its end.

use std::collections::BTreeMap;

use watchkeep_desk::decision::Action;
use watchkeep_desk::ids::CommandId;
use watchkeep_desk::input::{ActBody, AgentEvent, Outcome};
use watchkeep_desk::runbooks::{PlannedAction, RunFact};
use watchkeep_desk::{Config, FactBody, InputBody};

use crate::bench::{Bench, MINUTE, RESTART, RULES, SECOND, config, ordinary, outcome_of, params};

/// Two agents lived under the host's name, and somebody has enrolled it again.
fn enrol_again(bench: &mut Bench) {
    bench.agent("web-1", AgentEvent::Lost { session: "5e55".to_owned(), reason: "quarantined".to_owned() });
    let (serial, token) = ("02cd".to_owned(), "t2".to_owned());
    bench.agent("web-1", AgentEvent::Enrolled { serial, labels: BTreeMap::new(), token });
}

/// What is fed to a run of [`RESTART`] (`enrolled`, `done`, `failed`, `timed_out`, `unknown`, `refused:WORD`, `clear`, `5m`), then how the
/// run, its change and its incident stand, how often each step was sent, and what was told.
fn check(bench: Bench, steps: &str, expected: &str) {
    let mut bench = bench;
    bench.fire("web-1", "nginx.service");
    for step in steps.split_whitespace() {
        match step {
            "done" => drop(bench.answer(Outcome::Done)),
            "failed" => drop(bench.answer(Outcome::Failed)),
            "timed_out" => drop(bench.answer(Outcome::TimedOut)),
            "unknown" => drop(bench.answer(Outcome::Unknown)),
            "clear" => drop(bench.clear("web-1", "nginx.service")),
            "held" => drop(bench.watched(true)),
            "not_held" => drop(bench.watched(false)),
            "enrolled" => enrol_again(&mut bench),
            refused if refused.starts_with("refused:") => drop(bench.refuse(&refused[8..], "deny line 3")),
            minutes => bench.pass(minutes.trim_end_matches('m').parse::<i64>().expect("minutes") * MINUTE),
        }
    }
    let sent: Vec<String> =
        bench.run(1).journal.iter().map(|step| format!("{}x{}", step.state, step.attempts)).collect();
    let (change, incident) = (bench.change(1).state, bench.incident(1).state);
    let stands = format!("{} {change} {incident}; {}; {}", bench.run_stands(1), sent.join(" "), bench.told().join(","));
    assert_eq!(stands, expected, "after: {steps}\n{}", bench.story());
    assert_eq!(bench.restored(), bench.desk);
}

#[test]
fn a_run_succeeds_when_the_condition_is_false() {
    check(ordinary(), "done done clear", "succeeded closed new; donex1 donex1; opened");
    check(ordinary(), "done clear done", "succeeded closed new; donex1 donex1; opened");
    check(ordinary(), "done done clear 1m", "succeeded closed resolved; donex1 donex1; opened,resolved");
    check(ordinary(), "done done", "verifying implementing new; donex1 donex1; opened");
}

#[test]
fn an_incident_does_not_resolve_under_a_run() {
    check(ordinary(), "clear 1m", "running implementing new; sentx1 pendingx0; opened");
    check(ordinary(), "clear 1m done done", "succeeded closed resolved; donex1 donex1; opened,resolved");
}

#[test]
fn a_condition_that_stays_true_is_a_failure() {
    check(ordinary(), "done done 3m", "failed failed new; donex1 donex1; opened,run_failed");
}

#[test]
fn a_failed_step_ends_the_run_and_is_told() {
    check(ordinary(), "done failed", "failed failed new; donex1 failedx1; opened,run_failed");
    check(ordinary(), "timed_out", "failed failed new; failedx1 pendingx0; opened,run_failed");
}

#[test]
fn a_refusal_fails_the_run_and_names_the_policy_line() {
    check(ordinary(), "done refused:policy", "failed failed new; donex1 failedx1; opened,run_failed");
    let mut bench = ordinary();
    bench.fire("web-1", "nginx.service");
    bench.refuse("policy", "policy.yaml:7: deny service 'nginx*'");
    let outcome = bench.run(1).outcome.expect("it has an outcome");
    assert_eq!(outcome.stage, "policy");
    assert_eq!(
        outcome.sentence,
        "step 1 of 2 \"Keep the evidence\" was refused by the host (policy): policy.yaml:7: deny service 'nginx*'"
    );
}

#[test]
fn what_the_host_did_not_begin_is_sent_again() {
    check(ordinary(), "refused:nonce done", "running implementing new; donex2 sentx1; opened");
    check(
        ordinary(),
        "refused:nonce refused:epoch refused:expired",
        "failed failed new; failedx3 pendingx0; opened,run_failed",
    );
}

#[test]
fn that_a_copy_was_refused_as_replayed_is_no_news() {
    check(ordinary(), "refused:replayed", "running implementing new; sentx1 pendingx0; opened");
    check(ordinary(), "refused:replayed done", "running implementing new; donex1 sentx1; opened");
}

#[test]
fn an_unknown_outcome_is_sent_again_only_where_that_does_no_harm() {
    check(ordinary(), "unknown", "running implementing new; sentx2 pendingx0; opened");
    check(ordinary(), "unknown unknown unknown", "failed failed new; failedx3 pendingx0; opened,run_failed");
    check(ordinary(), "done unknown", "unknown implementing new; donex1 unknownx1; opened,run_unknown");
    check(ordinary(), "done 3m", "unknown implementing new; donex1 unknownx1; opened,run_unknown");
    check(ordinary(), "2m", "running implementing new; sentx1 pendingx0; opened");
}

#[test]
fn what_a_host_was_sent_is_not_sent_to_the_one_that_is_enrolled_in_its_place() {
    check(ordinary(), "done enrolled", "unknown implementing new; donex1 unknownx1; opened,run_unknown");
    check(ordinary(), "done enrolled done clear", "succeeded closed new; donex1 donex1; opened,run_unknown");
    // Idempotent, and so ordered anew: by another id, once the host is there.
    let mut bench = ordinary();
    bench.fire("web-1", "nginx.service");
    enrol_again(&mut bench);
    assert_eq!(bench.run_stands(1), "running agent", "{}", bench.story());
    assert!(bench.story().contains("was enrolled again after it was sent, and may be another"), "{}", bench.story());
    bench.connect("web-1");
    let ids: Vec<CommandId> = bench.orders.iter().map(|order| order.command).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1], "{ids:?}");
}

#[test]
fn what_stood_against_a_certificate_does_not_stand_against_the_next() {
    let mut bench = ordinary();
    enrol_again(&mut bench);
    let agent = bench.desk.agent("web-1").expect("it is known");
    assert_eq!((agent.lost.as_deref(), agent.serial.as_str()), (None, "02cd"));
}

#[test]
fn a_result_that_comes_after_all_settles_an_unknown_step() {
    check(ordinary(), "done 3m done clear", "succeeded closed new; donex1 donex1; opened,run_unknown");
    check(ordinary(), "done unknown failed", "failed failed new; donex1 failedx1; opened,run_unknown,run_failed");
    check(ordinary(), "done unknown unknown", "unknown implementing new; donex1 unknownx1; opened,run_unknown");
}

/// The runbook with something in it replaced.
fn with(from: &str, to: &str) -> Bench {
    let runbook = RESTART.replace(from, to);
    assert_ne!(runbook, RESTART, "the runbook has no \"{from}\"");
    Bench::with_host(config(RULES, &[&runbook]), "web-1")
}

#[test]
fn retries_are_further_attempts() {
    let retries = || with("    timeout: 60s\n", "    timeout: 60s\n    idempotent: true\n    retries: 2\n");
    check(retries(), "done failed timed_out done clear", "succeeded closed new; donex1 donex3; opened");
    check(retries(), "done failed failed failed", "failed failed new; donex1 failedx3; opened,run_failed");
}

#[test]
fn rollback_undoes_what_was_begun() {
    let rollback = || with("verify_within: 3m", "verify_within: 3m\nrollback:\n  - name: Undo\n    run: [/bin/undo]\n");
    check(rollback(), "done failed", "rolling_back implementing new; donex1 failedx1 sentx1; opened");
    check(rollback(), "done failed done", "failed failed new; donex1 failedx1 donex1; opened,run_failed");
    check(rollback(), "done failed failed", "failed failed new; donex1 failedx1 failedx1; opened,run_failed");
    check(rollback(), "done done 3m done", "failed failed new; donex1 donex1 donex1; opened,run_failed");
    check(rollback(), "done done clear", "succeeded closed new; donex1 donex1 pendingx0; opened");
}

#[test]
fn a_watch_is_open_until_it_holds_or_time_is_up() {
    let watch =
        "  - name: See it\n    wait_for: {expr: 'up{instance=$host, unit=$unit} == 1', held: 20s, timeout: 2m}\n";
    let watching = || with("verify_within: 3m", &format!("{watch}verify_within: 3m"));
    check(watching(), "done done", "running implementing new; donex1 donex1 watchingx1; opened");
    check(watching(), "done done held clear", "succeeded closed new; donex1 donex1 donex1; opened");
    check(watching(), "done done not_held", "failed failed new; donex1 donex1 failedx1; opened,run_failed");
    check(watching(), "done done 3m", "failed failed new; donex1 donex1 failedx1; opened,run_failed");
    let mut bench = watching();
    bench.fire("web-1", "nginx.service");
    bench.answer(Outcome::Done);
    bench.answer(Outcome::Done);
    let watch = bench.desk.watches().pop().expect("it watches");
    let matchers: Vec<(&str, &str)> =
        watch.selector.matchers.iter().map(|matcher| (matcher.label.as_str(), matcher.value.as_str())).collect();
    assert_eq!(
        (matchers, watch.until.0 - bench.at),
        (vec![("instance", "web-1"), ("unit", "nginx.service")], 2 * MINUTE)
    );
    bench.watched(true);
    assert_eq!(bench.desk.watches(), []);
}

#[test]
fn a_step_whose_when_is_false_is_passed_over() {
    let when = |when: &str| with("    timeout: 60s\n", &format!("    timeout: 60s\n    when: \"{when}\"\n"));
    check(when("host.environment != 'production'"), "done clear", "succeeded closed new; donex1 skippedx0; opened");
    check(when("log.exit != 0"), "done clear", "succeeded closed new; donex1 skippedx0; opened");
    check(when("'line two' in log.stdout"), "done", "running implementing new; donex1 sentx1; opened");
}

#[test]
fn hooks_speak_and_move_the_incident() {
    let hooks = "on_failure: [{notify: {group: dba}}, {record: {incident: {state: in_progress}}}]\non_success: [{notify: {group: dba}}]";
    let hooked = || with("verify_within: 3m", &format!("verify_within: 3m\n{hooks}"));
    check(hooked(), "failed", "failed failed in_progress; failedx1 pendingx0; opened,run_failed");
    check(hooked(), "done done clear", "succeeded closed new; donex1 donex1; opened,run_succeeded");
    let mut bench = hooked();
    bench.fire("web-1", "nginx.service");
    bench.answer(Outcome::Failed);
    assert_eq!(bench.notices.last().and_then(|notice| notice.group.as_deref()), Some("dba"));
}

#[test]
fn each_action_is_ordered_with_its_templates_rendered() {
    let restart = "service: {name: \"{{ unit }}\", state: restarted}";
    for (step, ordered) in [
        (
            "script: {content: 'df \"$1\"', interpreter: [sh, -eu], args: [\"{{ unit }}\", \"{{ log.stdout | lines | first }}\"]}",
            serde_json::json!({
                "action": "script", "interpreter": ["sh", "-eu"], "content": "df \"$1\"", "args": ["nginx.service", "line one"]
            }),
        ),
        (
            "package: {name: [\"{{ unit }}\", curl], state: latest}",
            serde_json::json!({"action": "package", "names": ["nginx.service", "curl"], "state": "latest"}),
        ),
        (
            "file: {path: \"/etc/{{ unit }}\", content: \"of {{ host.name }}\", mode: 0640, group: adm}",
            serde_json::json!({
                "action": "file", "path": "/etc/nginx.service", "state": "file", "content": "of web-1", "mode": 0o640,
                "group": "adm"
            }),
        ),
    ] {
        let mut bench = with(restart, step);
        bench.fire("web-1", "nginx.service");
        bench.answer(Outcome::Done);
        let order = bench.orders.last().expect("it is ordered");
        assert_eq!(serde_json::json!(order.action), ordered);
        // What was planned stands in facts, and reads back as it was.
        let planned = PlannedAction::Host(order.action.clone());
        let read: PlannedAction = serde_json::from_value(ordered).expect("a planned action");
        assert_eq!(read, planned);
    }
}

#[test]
fn a_file_needs_an_absolute_path() {
    let mut bench =
        with("service: {name: \"{{ unit }}\", state: restarted}", "file: {path: \"{{ unit }}\", state: absent}");
    bench.fire("web-1", "nginx.service");
    assert!(bench.orders.is_empty(), "there is no plan, so nothing is begun: {:?}", bench.orders);
}

#[test]
fn results_of_earlier_steps_are_in_later_ones_and_placeholders_in_the_plan() {
    let mut bench = with("name: \"{{ unit }}\"", "name: \"{{ log.stdout | lines | first }}.service\"");
    bench.fire("web-1", "nginx.service");
    let planned = bench.run(1).plan.steps[1].action.clone();
    assert_eq!(
        planned,
        PlannedAction::Host(Action::Service {
            name: "⟨log.stdout⟩.service".to_owned(), state: "restarted".to_owned()
        })
    );
    bench.answer(Outcome::Done);
    let sent = serde_json::json!(bench.orders.last().map(|order| &order.action));
    assert_eq!(sent, serde_json::json!({"action": "service", "name": "line one.service", "state": "restarted"}));
}

#[test]
fn output_is_attached_to_the_incident() {
    let mut bench = ordinary();
    bench.fire("web-1", "nginx.service");
    bench.answer(Outcome::Done);
    let attachments = bench.incident(1).attachments;
    assert_eq!(attachments.len(), 1);
    assert_eq!((attachments[0].name.as_str(), attachments[0].text.as_str()), ("log.stdout", "line one\nline two\n"));
}

#[test]
fn a_plan_that_is_not_what_it_was_stops_the_run() {
    let mut bench = ordinary();
    bench.fire("web-1", "nginx.service");
    let changed: Config = config(RULES, &[&RESTART.replace("state: restarted", "state: stopped")]);
    bench.config = changed;
    bench.answer(Outcome::Done);
    assert_eq!((bench.run_stands(1).as_str(), bench.orders.len()), ("failed", 1));
    let why = bench.run(1).outcome.expect("it has an outcome").sentence;
    assert!(why.contains("step \"Restart it\" is not what it was"), "{why}");
}

#[test]
fn a_runbook_that_is_gone_stops_the_run() {
    let mut bench = ordinary();
    bench.fire("web-1", "nginx.service");
    bench.config.rules.runbooks.clear();
    bench.answer(Outcome::Done);
    let why = bench.run(1).outcome.expect("it has an outcome").sentence;
    assert_eq!(
        (bench.run_stands(1).as_str(), why.as_str()),
        ("failed", "runbook \"restart-service\" is no longer loaded")
    );
}

#[test]
fn a_runbook_that_cannot_be_planned_is_said_on_the_incident() {
    let mut bench = ordinary();
    bench.fire("web-1", "nginx");
    assert_eq!((bench.desk.runs().count(), bench.orders.len()), (0, 0));
    let story = bench.incident(1).timeline.into_iter().map(|entry| entry.sentence).collect::<Vec<_>>().join("\n");
    assert!(story.contains("runbook restart-service was not started: "), "{story}");
    assert!(story.contains("parameter \"unit\": \"nginx\" does not match"), "{story}");
    assert!(bench.notices[0].content["latest"].to_string().contains("was not started"));
}

#[test]
fn a_person_stops_a_run_and_its_late_result_is_kept() {
    let mut bench = ordinary();
    bench.fire("web-1", "nginx.service");
    let stop = ActBody::RunStop { run: bench.run(1).id, note: "wrong host".to_owned() };
    assert_eq!(bench.act("alice", stop), Ok(()));
    assert_eq!((bench.run_stands(1).as_str(), bench.change(1).state.word()), ("stopped", "failed"));
    let late = bench.answer(Outcome::Done);
    assert!(late.facts.iter().any(|fact| matches!(&fact.body, FactBody::Run(RunFact::LateResult { .. }))));
    assert_eq!((bench.run_stands(1).as_str(), bench.orders.len()), ("stopped", 1));
}

#[test]
fn a_run_by_hand_needs_no_incident() {
    let mut bench = ordinary();
    let (runbook, agent) = ("restart-service".to_owned(), Some("web-1".to_owned()));
    let params = params(&[("unit", "nginx.service")]);
    assert_eq!(bench.act("alice", ActBody::RunStart { runbook, incident: None, agent, params }), Ok(()));
    bench.answer(Outcome::Done);
    bench.answer(Outcome::Done);
    assert_eq!(
        (bench.run_stands(1).as_str(), bench.change(1).state.word(), bench.notices.len()),
        ("succeeded", "closed", 0)
    );
}

#[test]
fn what_nobody_ordered_is_kept_as_a_stray() {
    let mut bench = ordinary();
    bench.fire("web-1", "nginx.service");
    let ordered = bench.orders[0].command;
    for (command, agent) in [(CommandId([7; 16]), "web-1"), (ordered, "web-2")] {
        let decision = bench.feed(InputBody::Result(outcome_of(command, agent, Outcome::Done, bench.at)));
        assert!(
            matches!(decision.facts[..], [ref fact] if matches!(fact.body, FactBody::StrayResult(_))),
            "{decision:?}"
        );
    }
    assert_eq!(bench.run_stands(1), "running");
}

#[test]
fn commands_are_bound_to_run_step_attempt_and_agent() {
    let mut bench = ordinary();
    bench.fire("web-1", "nginx.service");
    bench.answer(Outcome::Unknown);
    let [first, second] = &bench.orders[..] else { panic!("two were sent") };
    assert_eq!((first.run, first.step, first.attempt, second.attempt), (second.run, second.step, 1, 2));
    assert_ne!(first.command, second.command);
    assert_eq!((first.plan_hash.as_str(), first.timeout_ms > 0), (bench.run(1).plan_hash.as_str(), true));
    // A controller that begins anew with RUN-1 does not order by the same id.
    let mut again = ordinary();
    again.at += SECOND;
    again.fire("web-1", "nginx.service");
    assert_ne!(again.orders[0].command, first.command);
}

#[test]
fn the_end_of_an_older_session_does_not_take_the_agent_away() {
    let mut bench = ordinary();
    bench.agent("web-1", AgentEvent::Lost { session: "0000".to_owned(), reason: "link_down".to_owned() });
    bench.fire("web-1", "nginx.service");
    assert_eq!(bench.run_stands(1), "running");
}

#[test]
fn a_dry_run_shows_the_same_plan_and_changes_nothing() {
    let mut bench = ordinary();
    let given = params(&[("unit", "nginx.service")]);
    let shown =
        bench.desk.plan(&bench.config, "restart-service", None, Some("web-1"), &given).expect("it can be planned");
    bench.fire("web-1", "nginx.service");
    assert_eq!(bench.run(1).plan, shown);
    insta::assert_json_snapshot!(shown);
}

#[test]
fn a_step_for_a_host_where_nobody_carries_out_commands_fails_at_once() {
    let mut bench = ordinary();
    bench.agent("web-1", AgentEvent::Acts { able: false });
    check(bench.clone(), "", "failed failed new; pendingx0 pendingx0; run_failed,opened");
    bench.fire("web-1", "nginx.service");
    assert!(bench.orders.is_empty(), "{:?}", bench.orders);
    let why = bench.run(1).outcome.expect("it has an outcome");
    assert_eq!(why.stage, "act");
    assert!(why.sentence.starts_with("nobody on web-1 carries out commands: watchkeep-act "), "{}", why.sentence);
    let sent = bench.facts.iter().any(|(_, fact)| matches!(&fact.body, FactBody::Run(RunFact::StepSent { .. })));
    assert!(!sent, "the ledger tells of a command that was never made\n{}", bench.story());

    let mut bench = ordinary();
    bench.agent("web-1", AgentEvent::Acts { able: false });
    bench.agent("web-1", AgentEvent::Acts { able: true });
    check(bench, "done done clear", "succeeded closed new; donex1 donex1; opened");
}
