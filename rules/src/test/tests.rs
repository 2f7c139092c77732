use super::*;

const RULES: &str = r#"groups:
  - name: test
    rules:
      - event: Failed
        match: '{kind="failed"}'
        by: [unit]
        clear: '{kind="recovered"}'
        annotations: {summary: "{{ $labels.unit }} failed"}
        runbook: {use: restart, with: {unit: "{{ $labels.unit }}"}}
      - alert: Samples
        expr: up == 0
"#;

const RUNBOOK: &str = r#"runbook: restart
parameters:
  unit: {pattern: '\.service$', required: true}
  lines: {type: integer, default: 20}
steps:
  - run: [journalctl, --unit, "{{ unit }}", --lines, "{{ lines }}"]
    register: log
  - name: Never
    when: lines > 100
    run: ["true"]
  - service: {name: "{{ unit }}", state: restarted}
  - wait_for: {expr: 'state{instance=$host,  name=$unit} == 1', held: 1s}
"#;

fn book() -> RuleBook {
    let files = [("rules.yaml".into(), RULES.to_owned()), ("restart.yaml".into(), RUNBOOK.to_owned())];
    load::load(&files).unwrap_or_else(|faults| panic!("{faults}"))
}

/// Runs one test over two events and shows what failed.
fn failures(expectations: &str) -> Vec<String> {
    let text = format!(
        "tests:\n  - name: t\n    input_events:\n      - {{at: 10s, labels: {{kind: failed, instance: web-1, unit: a.service}}}}\n      - {{at: 1m, labels: {{kind: recovered, instance: web-1, unit: a.service}}}}\n{expectations}"
    );
    let report = run_file("t.yaml", &text, &book(), None).unwrap_or_else(|faults| panic!("{faults}"));
    let failures = &report.tests[0].failures;
    let side = |lines: &[String]| lines.join(" | ");
    failures.iter().map(|f| format!("{} {} >> {}", f.line, side(&f.expected), side(&f.found))).collect()
}

#[test]
fn alerts_are_compared_at_their_times() {
    let met = r#"    alert_rule_test:
      - {eval_time: 9s, alertname: Failed}
      - {eval_time: 10s, alertname: Failed, exp_alerts: [{exp_labels: {instance: web-1, unit: a.service}, exp_annotations: {summary: a.service failed}}]}
      - {eval_time: 1m, alertname: Failed, exp_alerts: []}
"#;
    assert_eq!(failures(met), [""; 0]);
    let unmet = r#"    alert_rule_test:
      - {eval_time: 20s, alertname: Failed}
      - {eval_time: 5s, alertname: Failed, exp_alerts: [{exp_labels: {instance: web-1}}]}
      - {eval_time: 5s, alertname: Faild}
      - {eval_time: 5s, alertname: Samples}
"#;
    assert_eq!(
        failures(unmet),
        [
            r#"7  >> {alertname="Failed", instance="web-1", unit="a.service"} annotations {summary="a.service failed"}"#,
            r#"8 {alertname="Failed", instance="web-1"} >> "#,
            "9  >> the rule files have no rule 'Faild'; did you mean 'Failed'?",
            "10  >> 'Samples' is a rule over samples, which are not evaluated yet",
        ]
    );
}

#[test]
fn planned_steps_are_compared() {
    let met = r#"    runbook_test:
      - eval_time: 10s
        alertname: Failed
        exp_runs:
          - runbook: restart
            host: web-1
            exp_steps:
              - run: [journalctl, --unit, a.service, --lines, "20"]
              - service: {name: a.service, state: restarted}
              - wait_for: 'state{instance="web-1", name="a.service"} == 1'
      - {eval_time: 2m, alertname: Failed}
"#;
    assert_eq!(failures(met), [""; 0]);
    let unmet = r#"    runbook_test:
      - {eval_time: 10s, alertname: Failed}
      - {eval_time: 0s, runbook: restart, with: {unit: sh}, exp_steps: []}
      - {eval_time: 0s, runbook: restert}
"#;
    let found = failures(unmet);
    assert!(found[0].contains(r#">> restart on web-1: run ["journalctl","--unit""#), "{found:?}");
    assert!(found[1].contains("no plan: parameter 'unit': \"sh\" does not match"), "{found:?}");
    assert!(found[2].contains("the rule files have no runbook 'restert'"), "{found:?}");
}

/// Every firing alert is an incident.
struct EachAlert;

impl IncidentJudge for EachAlert {
    fn open_at(&mut self, _: &RuleBook, transitions: &[Transition], _: i64) -> Vec<IncidentSeen> {
        let open = transitions.iter().filter(|transition| transition.what == crate::events::What::Firing);
        let key = |t: &Transition| format!("Failed{{{}}}", t.labels["unit"]);
        open.map(|t| IncidentSeen { rule: t.rule.clone(), key: key(t), priority: 3, ci: None, runbook: None }).collect()
    }
}

#[test]
fn incidents_are_asked_of_the_judge() {
    let text = "tests:\n  - input_events: [{at: 1s, labels: {kind: failed, unit: a.service}}]\n    incident_test:\n      - {eval_time: 0s}\n      - {eval_time: 1s, exp_incidents: [{rule: Failed, key: 'Failed{a.service}'}]}\n      - {eval_time: 1s, exp_incidents: [{priority: 1}]}\n";
    let report = run_file("t.yaml", text, &book(), Some(&mut EachAlert)).expect("a good file");
    let failures = &report.tests[0].failures;
    assert_eq!(failures.len(), 1, "{report}");
    assert_eq!((failures[0].line, failures[0].expected.as_slice()), (6, &["priority=1".to_owned()][..]));
    let without = run_file("t.yaml", text, &book(), None).expect("a good file");
    assert!(without.to_string().contains("nobody here judges incidents"), "{without}");
}

#[test]
fn a_test_file_at_fault_says_where() {
    let text = "rule_files: [a.yaml]\ntests:\n  - input_series: [{series: up, values: '1 2'}]\n    alert_rule_tests: []\n  - input_events: [{labels: {unit: a}}]\n    alert_rule_test: [{alertname: A}]\n  - name: empty\n";
    let faults = run_file("t.yaml", text, &book(), None).expect_err("a bad file");
    let shown: Vec<(usize, &str)> = faults.faults.iter().map(|fault| (fault.line, fault.message.as_str())).collect();
    let expected = [
        (3, "'input_series' needs rules over samples to be evaluated, which is not done yet"),
        (4, "a test has no key 'alert_rule_tests'"),
        (5, "every event has the label 'kind'"),
        (6, "alert_rule_test needs 'eval_time'"),
        (7, "this test expects nothing, so it could not fail"),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn a_report_reads_like_a_page() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
    write("rules.yaml", RULES);
    write("restart.yaml", RUNBOOK);
    write(
        "good_test.yaml",
        "rule_files: ['r*.yaml']\ntests:\n  - name: quiet\n    alert_rule_test: [{eval_time: 1m, alertname: Failed}]\n",
    );
    write(
        "bad_test.yaml",
        "rule_files: [rules.yaml, restart.yaml]\ntests:\n  - name: loud\n    alert_rule_test:\n      - {eval_time: 1m, alertname: Failed, exp_alerts: [{exp_labels: {unit: a}}]}\n",
    );
    let report = run(&[folder.path().to_owned()], None);
    assert!(!report.passed());
    let shown = report.to_string().replace(&format!("{}/", folder.path().display()), "");
    insta::assert_snapshot!(shown, @r#"
    FAILED bad_test.yaml: loud
      bad_test.yaml:5: alert_rule_test at 1m, alert 'Failed'
        expected  {alertname="Failed", unit="a"}
        found     nothing else
    ok     good_test.yaml: quiet
    1 of 2 tests failed
    "#);
    let good = run(&[folder.path().join("good_test.yaml")], None);
    assert!(good.passed(), "{good}");
    assert!(good.to_string().ends_with("1 test passed"), "{good}");
    let missing = run(&[folder.path().join("nothing.yaml")], None);
    assert!(!missing.passed());
}

/// The shipped packs keep their own tests, with this crate's engine.
#[test]
fn every_shipped_pack_passes_its_tests() {
    let packs = Path::new(env!("CARGO_MANIFEST_DIR")).join("packs");
    for pack in crate::packs::shipped() {
        let report = run(&[packs.join(pack.name).join("tests")], None);
        assert!(report.passed(), "{}:\n{report}", pack.name);
    }
}
