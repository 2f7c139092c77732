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
"#;
    assert_eq!(
        failures(unmet),
        [
            r#"7  >> {alertname="Failed", instance="web-1", unit="a.service"} annotations {summary="a.service failed"}"#,
            r#"8 {alertname="Failed", instance="web-1"} >> "#,
            "9  >> the rule files have no rule 'Faild'; did you mean 'Failed'?",
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
        let of = |t: &Transition| t.labels.get("unit").or(t.labels.get("instance")).cloned().unwrap_or_default();
        let key = |t: &Transition| format!("{}{{{}}}", t.rule, of(t));
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

const SAMPLES: &str = r#"groups:
  - name: second
    rules:
      - alert: Busy
        expr: 'host:load:sum > 5'
        for: 2m
        keep_firing_for: 1m
        labels: {severity: "{{ if gt $value 10.0 }}critical{{ else }}warning{{ end }}"}
        annotations: {summary: "{{ $labels.instance }} has {{ $value }}"}
        runbook: {use: restart, with: {unit: "{{ $labels.instance }}.service"}}
      - alert: Any
        expr: count(ALERTS{alertname="Busy", alertstate="firing"}) > 0
  - name: first
    rules:
      - {record: 'host:load:sum', expr: sum by (instance) (load), labels: {level: host}}
"#;

const SERIES: &str = r#"evaluation_interval: 1m
group_eval_order: [first, second]
tests:
  - name: t
    interval: 30s
    input_series:
      - {series: 'load{instance="a", cpu="0"}', values: 0 3 3 3 3 3 3 3 3 0x20}
      - {series: 'load{instance="a", cpu="1"}', values: 0+1x3 4x5 _ stale}
"#;

/// What fails of a test over samples.
fn sample_failures(expectations: &str) -> Vec<String> {
    let files = [("rules.yaml".into(), SAMPLES.to_owned()), ("restart.yaml".into(), RUNBOOK.to_owned())];
    let book = load::load(&files).unwrap_or_else(|faults| panic!("{faults}"));
    let text = format!("{SERIES}{expectations}");
    let report = run_file("t.yaml", &text, &book, None).unwrap_or_else(|faults| panic!("{faults}"));
    let side = |lines: &[String]| lines.join(" | ");
    let failures = report.tests[0].failures.iter();
    failures.map(|f| format!("{} >> {}", side(&f.expected), side(&f.found))).collect()
}

#[test]
fn alerts_over_samples_are_those_of_the_last_evaluation() {
    let met = r#"    alert_rule_test:
      - {eval_time: 3m59s, alertname: Busy}
      - {eval_time: 4m, alertname: Busy, exp_alerts: [{exp_labels: {instance: a, level: host, severity: warning}, exp_annotations: {summary: a has 7}}]}
      - {eval_time: 4m30s, alertname: Any, exp_alerts: [{}]}
      - {eval_time: 5m, alertname: Busy, exp_alerts: [{exp_labels: {instance: a, level: host, severity: warning}, exp_annotations: {summary: a has 7}}]}
      - {eval_time: 6m, alertname: Busy}
      - {eval_time: 6m, alertname: Nobody}
    runbook_test:
      - eval_time: 4m
        alertname: Busy
        exp_steps:
          - run: [journalctl, --unit, a.service, --lines, "20"]
          - service: {name: a.service, state: restarted}
          - wait_for: state{instance="a", name="a.service"} == 1
"#;
    assert_eq!(sample_failures(met), [""; 0]);
    let unmet = r#"    alert_rule_test:
      - {eval_time: 2m, alertname: Busy, exp_alerts: [{}]}
      - {eval_time: 4m, alertname: Busy, exp_alerts: [{exp_labels: {instance: a, level: host, severity: warning}}]}
"#;
    let failures = sample_failures(unmet);
    assert_eq!(failures.len(), 2, "{failures:?}");
    assert!(
        failures[1].contains("annotations {summary=\"a has 7\"}"),
        "an annotation that is not listed: {failures:?}"
    );
}

#[test]
fn incidents_are_made_of_alerts_over_samples_too() {
    let files = [("rules.yaml".into(), SAMPLES.to_owned()), ("restart.yaml".into(), RUNBOOK.to_owned())];
    let book = load::load(&files).unwrap_or_else(|faults| panic!("{faults}"));
    let text = format!(
        "{SERIES}    incident_test:\n      - {{eval_time: 3m}}\n      - {{eval_time: 4m, exp_incidents: [{{rule: Busy, key: 'Busy{{a}}'}}, {{rule: Any}}]}}\n"
    );
    let report = run_file("t.yaml", &text, &book, Some(&mut EachAlert)).unwrap_or_else(|faults| panic!("{faults}"));
    assert!(report.tests[0].failures.is_empty(), "{report:?}");
}

#[test]
fn expressions_see_all_samples_up_to_the_last_evaluation() {
    let met = r#"    promql_expr_test:
      - {expr: 'load{cpu="1"}', eval_time: 1m, exp_samples: [{labels: 'load{instance="a", cpu="1"}', value: 2}]}
      - expr: host:load:sum
        eval_time: 2m30s
        exp_samples: [{labels: 'host:load:sum{instance="a", level="host"}', value: 7}]
      - {expr: 'count_over_time(load{cpu="1"}[10m])', eval_time: 10m, exp_samples: [{labels: '{cpu="1", instance="a"}', value: 9}]}
      - {expr: 'load{cpu="1"}', eval_time: 6m}
      - {expr: time() / 2, eval_time: 10, exp_samples: [{labels: {}, value: 5}]}
      - {expr: 'ALERTS_FOR_STATE', eval_time: 3m, exp_samples: [{labels: 'ALERTS_FOR_STATE{alertname="Busy", instance="a", level="host", severity="warning"}', value: 120}]}
      - {expr: -load / 0 < 0, eval_time: 1m, exp_samples: [{labels: '{cpu="0", instance="a"}', value: -.inf}, {labels: '{cpu="1", instance="a"}', value: -Inf}]}
"#;
    let failures = sample_failures(&met.replace("eval_time: 10,", "eval_time: 10s,"));
    assert_eq!(failures, [""; 0]);
    let unmet = r#"    promql_expr_test:
      - {expr: sum(load), eval_time: 1m, exp_samples: [{labels: '{}', value: 5.5}]}
      - {expr: 'load[5m]', eval_time: 1m}
      - {expr: load * on () load, eval_time: 1m}
      - {expr: 0 * load / 0, eval_time: 0m, exp_samples: [{labels: '{cpu="0", instance="a"}', value: NaN}, {labels: '{cpu="1", instance="a"}', value: NaN}]}
"#;
    let failures = sample_failures(unmet);
    assert_eq!(failures.len(), 4, "{failures:?}");
    assert_eq!(failures[0], "{} 5.5 >> {} 5");
    assert!(failures[1].ends_with("a range vector, which is neither a vector nor a scalar"), "{failures:?}");
    assert!(failures[3].contains("NaN"), "nothing equals NaN: {failures:?}");
}

#[test]
fn a_rule_that_cannot_be_evaluated_fails_the_test() {
    let rules = "groups:\n  - name: g\n    rules:\n      - {alert: Same, expr: load, labels: {cpu: x}}\n";
    let book = load::load(&[("r.yaml".into(), rules.to_owned())]).unwrap_or_else(|faults| panic!("{faults}"));
    let text = format!("{SERIES}    alert_rule_test:\n      - {{eval_time: 1m, alertname: Other}}\n");
    let report = run_file("t.yaml", &text, &book, None).unwrap_or_else(|faults| panic!("{faults}"));
    assert!(report.to_string().contains("rule 'Same': two results have the same labels"), "{report}");
}

#[test]
fn faults_in_series_and_expressions_point_at_the_character() {
    let text = "tests:\n  - input_series:\n      - {series: 'up{a=~\"b\"}', values: '1 2 three'}\n      - {series: up, values: {}}\n    promql_expr_test:\n      - {expr: rat(x), eval_time: 1m}\n      - {expr: up, eval_time: 1m, exp_samples: [{labels: up, value: much}]}\n";
    let faults = run_file("t.yaml", text, &book(), None).expect_err("a bad file");
    let shown: Vec<(usize, usize)> = faults.faults.iter().map(|fault| (fault.line, fault.column)).collect();
    assert_eq!(shown, [(3, 19), (3, 45), (4, 30), (6, 16), (7, 69)], "{faults}");
    assert_eq!(faults.faults[3].hint.as_deref(), Some("did you mean 'rate'?"));
}

#[test]
fn texts_of_alerts_see_samples_and_the_installation() {
    let rules = r#"
groups:
  - name: g
    rules:
      - alert: Busy
        expr: load > 1
        labels: {most: '{{ query "max(load)" | first | value }}'}
        annotations:
          cores: '{{ with query (printf "count(load{instance=%q})" $labels.instance) }}{{ . | first | value | humanize }}{{ end }}'
          seen: '{{ range query "sort_desc(load)" }}{{ .Labels.cpu }}={{ .Value }} {{ end }}'
          where: '{{ $externalLabels.site }} {{ $externalURL }}'
          broken: '{{ query "rat(load)" }}'
          value: '{{ if gt $value 1 }}high{{ end }}'
"#;
    let text = r#"
tests:
  - external_labels: {site: eu}
    external_url: https://watch.lan
    input_series:
      - {series: 'load{cpu="0", instance="a"}', values: 1 1}
      - {series: 'load{cpu="1", instance="a"}', values: 1 4}
    alert_rule_test:
      - eval_time: 1m
        alertname: Busy
        exp_alerts:
          - exp_labels: {cpu: "1", instance: a, most: "4"}
            exp_annotations:
              cores: "2"
              seen: "1=4 0=1 "
              where: eu https://watch.lan
              broken: >-
                <error expanding template: error executing template __alert_Busy: template: __alert_Busy:1:115:
                executing "__alert_Busy" at <query "rat(load)">: error calling query: unknown function 'rat'>
              value: >-
                <error expanding template: error executing template __alert_Busy: template: __alert_Busy:1:118:
                executing "__alert_Busy" at <gt $value 1>: error calling gt: incompatible types for comparison>
"#;
    let events = r#"
groups:
  - name: e
    rules:
      - event: Failed
        match: '{kind="unit_failed"}'
        clear_after: 10m
        labels: {site: '{{ $externalLabels.site }}'}
        annotations: {see: '{{ $externalURL }}/x'}
"#;
    let of_events = r#"
      - eval_time: 1m
        alertname: Failed
        exp_alerts:
          - exp_labels: {instance: a, site: eu}
            exp_annotations: {see: https://watch.lan/x}
    input_events:
      - {at: 30s, labels: {kind: unit_failed, instance: a}}
"#;
    let text = &format!("{}\n{}", text.trim_end(), of_events.trim_start_matches('\n'));
    let sources = [("r.yaml".into(), rules.to_owned()), ("e.yaml".into(), events.to_owned())];
    let book = load::load(&sources).unwrap_or_else(|faults| panic!("{faults}"));
    let report = run_file("t.yaml", text, &book, None).unwrap_or_else(|faults| panic!("{faults}"));
    assert!(report.tests[0].failures.is_empty(), "{report}");
    let other = text.replace("site: eu", "site: us");
    let report = run_file("t.yaml", &other, &book, None).unwrap_or_else(|faults| panic!("{faults}"));
    assert!(report.to_string().contains("us https://watch.lan"), "{report}");
}

#[test]
fn a_test_may_start_at_any_time() {
    let rules = r#"groups:
  - name: g
    rules:
      - {record: "at:seconds", expr: time()}
      - {alert: Up, expr: up == 1 and on () hour() == 12, for: 1m, annotations: {at: "{{ $value }}"}}
"#;
    let book = load::load(&[("r.yaml".into(), rules.to_owned())]).unwrap_or_else(|faults| panic!("{faults}"));
    let text = |start: &str| {
        format!(
            r#"evaluation_interval: 1m
tests:
  - start_timestamp: {start}
    input_series: [{{series: up, values: 1 1 1 0}}]
    alert_rule_test:
      - {{eval_time: 1m, alertname: Up, exp_alerts: [{{exp_annotations: {{at: "1"}}}}]}}
      - {{eval_time: 3m, alertname: Up, exp_alerts: []}}
    promql_expr_test:
      - {{expr: "at:seconds", eval_time: 2m, exp_samples: [{{labels: "at:seconds", value: 1609502520}}]}}
      - {{expr: timestamp(up), eval_time: 90s, exp_samples: [{{labels: "{{}}", value: 1609502460}}]}}
      - {{expr: up @ 1609502580, eval_time: 3m, exp_samples: [{{labels: up, value: 0}}]}}
"#
        )
    };
    for start in ["1609502400", "2021-01-01T12:00:00Z", "'2021-01-01T13:00:00+01:00'"] {
        let report = run_file("t.yaml", &text(start), &book, None).unwrap_or_else(|faults| panic!("{faults}"));
        assert!(report.tests[0].failures.is_empty(), "{start}: {report}");
    }
    let report = run_file("t.yaml", &text("0"), &book, None).unwrap_or_else(|faults| panic!("{faults}"));
    assert!(report.to_string().contains("alert_rule_test at 1m"), "{report}");
    let faults = run_file("t.yaml", &text("noon"), &book, None).expect_err("no instant");
    assert!(faults.to_string().contains("\"noon\" is no instant"), "{faults}");
}

const BRANCHES: &str = r#"groups:
- name: g
  rules:
  - {record: 'job:up:sum', expr: sum by (job) (up)}
  - {record: 'job:up:max', expr: max by (job) (up)}
  - {alert: Down, expr: 'job:up:sum == 0 or (absent(never) == 2)', labels: {severity: critical}}
  - {alert: Down, expr: up == 0, for: 5m, labels: {severity: warning}}
  - {alert: Forgotten, expr: up > 1}
  - {event: Failed, match: '{kind="failed"}', clear: '{kind="ok"}'}
"#;

#[test]
fn coverage_names_what_no_test_asked_for() {
    let book = crate::load::load(&[("rules.yaml".into(), BRANCHES.to_owned())]).expect("good rules");
    let tests = r#"rule_files: [rules.yaml]
tests:
- interval: 1m
  input_series: [{series: 'up{job="a"}', values: '1 0 0 1'}]
  alert_rule_test:
  - {eval_time: 0m, alertname: Down}
  - {eval_time: 1m, alertname: Down, exp_alerts: [{exp_labels: {job: a, severity: critical}}]}
  - {eval_time: 3m, alertname: Down}
"#;
    let events = r#"rule_files: [rules.yaml]
tests:
- interval: 1m
  input_events: [{at: 10s, labels: {instance: h, kind: failed}}]
  alert_rule_test:
  - {eval_time: 20s, alertname: Failed, exp_alerts: [{exp_labels: {instance: h}}]}
"#;
    let mut report = Report::default();
    for (name, text) in [("one.yaml", tests), ("two.yaml", events)] {
        report.files.push(run_file(name, text, &book, None).unwrap_or_else(|faults| panic!("{faults}")));
    }
    assert!(report.passed(), "{report}");
    insta::assert_snapshot!(report.coverage(), @r#"
    coverage: 4 of 6 rules, 6 of 14 of what can be asked of them
      rules.yaml: Down{severity="critical"}: this side of 'or' never gave anything: (absent(never) == 2)
      rules.yaml: Down{severity="warning"}: never asserted: fires, resolves
      rules.yaml: Forgotten: no test asks anything of it
      rules.yaml: job:up:max: no test asks anything of it
      rules.yaml: Failed: never asserted: stays quiet, resolves
    "#);
}

#[test]
fn a_report_is_junit_s_xml() {
    let book = crate::load::load(&[("rules.yaml".into(), BRANCHES.to_owned())]).expect("good rules");
    let tests = r#"rule_files: [rules.yaml]
tests:
- name: 'down & "out"'
  input_series: [{series: 'up{job="<a>"}', values: '0'}]
  alert_rule_test:
  - {eval_time: 0m, alertname: Down}
- name: fine
  alert_rule_test:
  - {eval_time: 0m, alertname: Down}
"#;
    let faults = crate::load::load(&[("broken.yaml".into(), "groups: [{}]".to_owned())]).expect_err("no name");
    let report = Report { files: vec![run_file("one.yaml", tests, &book, None).expect("good tests")], faults };
    insta::assert_snapshot!(junit(&report), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites tests="3" failures="1" errors="1">
      <testsuite name="one.yaml" tests="2" failures="1" errors="0">
        <testcase classname="one.yaml" file="one.yaml" name="down &amp; &quot;out&quot;">
          <failure message="alert_rule_test at 0s, alert 'Down'">one.yaml:6
    expected: nothing else
    found: {alertname=&quot;Down&quot;, job=&quot;&lt;a&gt;&quot;, severity=&quot;critical&quot;}
    </failure>
        </testcase>
        <testcase classname="one.yaml" file="one.yaml" name="fine"/>
      </testsuite>
      <testsuite name="faults" tests="1" failures="0" errors="1">
        <testcase classname="faults" file="broken.yaml" name="broken.yaml:1">
          <error message="a group needs 'name'">broken.yaml:1:10: a group needs 'name'
      |
    1 | groups: [{}]
      |          ^^</error>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
}
