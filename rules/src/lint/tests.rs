use super::*;
use crate::load::load;

/// What is warned of in a file of one group with these rules: `LINE LINT`.
fn found(rules: &str) -> Vec<String> {
    let text = format!("groups:\n- name: g\n  rules:\n{rules}");
    let files = [(PathBuf::from("t.yaml"), text)];
    load(&files).unwrap_or_else(|faults| panic!("{faults}"));
    let warnings = lint(&files, &Settings::default());
    warnings.iter().map(|warning| format!("{} {}", warning.fault.line, warning.lint)).collect()
}

#[test]
fn a_severity_that_gives_no_urgency_is_warned_of() {
    let rule = |more: &str| format!("  - {{alert: A, expr: up == 0, for: 1m, {more}}}\n");
    assert_eq!(found(&rule("labels: {severity: page}")), ["4 unknown-severity"]);
    assert_eq!(found(&rule("labels: {severity: Warning}")), ["4 unknown-severity"]);
    for fine in [
        "labels: {severity: info}",
        "labels: {team: page}",
        "labels: {severity: '{{ $labels.severity }}'}",
        "labels: {severity: page}, incident: {urgency: 1}",
    ] {
        assert_eq!(found(&rule(fine)), [""; 0], "{fine}");
    }
}

#[test]
fn a_comment_with_a_reason_allows_what_it_names() {
    let rule = "  - alert: A\n    expr: up == 0\n    for: 1m\n    labels: {severity: page}";
    let above = |comment: &str| format!("  # {comment}\n{rule}\n");
    assert_eq!(found(&above("watchkeep:allow unknown-severity: ours has four")), [""; 0]);
    assert_eq!(found(&format!("{rule} # watchkeep:allow unknown-severity: ours has four\n")), [""; 0]);
    assert_eq!(found(&above("watchkeep:allow unknown-severity")), ["4 unknown-allowance", "8 unknown-severity"]);
    assert_eq!(found(&above("watchkeep:allow severity: x")), ["4 unknown-allowance", "8 unknown-severity"]);
    // The next rule's comment is not this one's.
    let next = format!("{rule}\n  # watchkeep:allow unknown-severity: ours\n{}\n", rule.replace(": A", ": B"));
    assert_eq!(found(&next), ["7 unknown-severity"]);
}

#[test]
fn a_comment_above_the_first_key_is_for_the_file() {
    let rule = "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up, for: 1m, labels: {severity: page}}\n";
    let warned = |text: String| {
        lint(&[("t.yaml".into(), text)], &Settings::default()).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(warned(format!("# ours\n# watchkeep:allow unknown-severity: ours has four\n\n{rule}")), [""; 0]);
    let nowhere = warned(rule.replace("groups:", "groups:\n# watchkeep:allow unknown-severity: ours"));
    insta::assert_snapshot!(nowhere.join("\n\n"), @r#"
    t.yaml:2:19: warning: this comment stands at no rule, so it allows nothing [unknown-allowance]
      |
    2 | # watchkeep:allow unknown-severity: ours
      |                   ^^^^^^^^^^^^^^^^^^^^^^ write it above the rule, or above the file's first key for all of them

    t.yaml:5:54: warning: severity 'page' gives no urgency: incidents of it have urgency 2 [unknown-severity]
      |
    5 |   - {alert: A, expr: up, for: 1m, labels: {severity: page}}
      |                                                      ^^^^ critical, warning and info give one; or write incident: {urgency: 1}
    in rule 'A'
    "#);
}

#[test]
fn what_was_found_is_counted_in_words() {
    let files = |text: &str| [(PathBuf::from("t.yaml"), text.to_owned())];
    let said =
        |text: &str| checked(&files(text), &load(&files(text)).expect("good rules"), &Settings::default()).to_string();
    assert_eq!(said(""), "no faults, no warnings: no rules and no runbooks here");
    let rules = "groups:\n- name: g\n  rules:\n  - {record: 'a:b', expr: c}\n  - {record: 'a:c', expr: c}\n  - {alert: A, expr: up == 0, for: 1m}\n";
    assert_eq!(said(rules), "no faults, no warnings: 1 alert rule, 2 recording rules");
    assert!(said(&rules.replace("for: 1m", "for: 1m, labels: {severity: page}")).contains("no faults, 1 warning: "));
}

/// Rules with what is warned of in them, and beside each its like that is fine.
#[test]
fn each_lint_finds_what_it_is_for_and_nothing_else() {
    let table = [
        ("alert: A, expr: up == 0", "alert-without-for"),
        ("alert: A, expr: up == 0, for: 0s", ""),
        ("record: 'a:b', expr: up == 0", ""),
        (
            "alert: A, expr: 'sum by (job) (x) > 1', for: 1m, annotations: {a: '{{ $labels.instance }}'}",
            "label-never-set",
        ),
        (
            "alert: A, expr: 'sum by (job) (x) > 1', for: 1m, annotations: {a: '{{ .Labels.instance }}'}",
            "label-never-set",
        ),
        ("alert: A, expr: 'sum by (job) (x) > 1', for: 1m, annotations: {a: '{{ $labels.job }}'}", ""),
        ("alert: A, expr: 'sum by (job) (x) > 1', for: 1m, labels: {a: '{{ $labels.zone }}'}", "label-never-set"),
        ("alert: A, expr: 'sum by (job) (x) > 1', for: 1m, incident: {key: [alertname, zone]}", "label-never-set"),
        ("alert: A, expr: 'sum by (job) (x) > 1', for: 1m, labels: {zone: b}, incident: {key: [alertname, zone]}", ""),
        (
            "alert: A, expr: 'sum by (job) (x) > 1', for: 1m, incident: {ci: {class: host, instance: $labels.instance}}",
            "label-never-set",
        ),
        ("alert: A, expr: 'x > 1', for: 1m, annotations: {a: '{{ $labels.anything }}'}", ""),
        ("record: 'a:b', expr: 'rate(x_total[20s])'", "short-range"),
        ("record: 'a:b', expr: 'rate(x_total[45s] offset 1h)'", "short-range"),
        ("record: 'a:b', expr: 'rate(x_total[1m])'", ""),
        ("record: 'a:b', expr: 'max_over_time(x[20s])'", ""),
        ("record: 'a:b', expr: node_memory_MemAvailible_bytes", "unknown-metric"),
        ("record: 'a:b', expr: node_memory_MemAvailable_bytes", ""),
        ("record: 'a:b', expr: pg_stat_activity_count", ""),
        ("alert: A, expr: up == 0, for: 1m, labels: {load: '{{ $value }}'}", "value-in-label"),
        ("alert: A, expr: up == 0, for: 1m, annotations: {load: '{{ $value }}'}", ""),
        ("alert: A, expr: up == 0, for: 1m}\n  - {alert: A, expr: up == 1, for: 1m", "duplicate-rule"),
        ("alert: A, expr: up == 0, for: 1m}\n  - {alert: A, expr: up == 1, for: 1m, labels: {severity: info}", ""),
        ("event: E, match: '{kind=\"a\"}', clear_after: 1m, labels: {severity: page}", "unknown-severity"),
    ];
    for (rule, expected) in table {
        let found = found(&format!("  - {{{rule}}}\n"));
        let names: Vec<&str> = found.iter().filter_map(|line| line.split(' ').nth(1)).collect();
        assert_eq!(names.join(" "), expected, "{rule}");
    }
}

#[test]
fn lints_are_chosen_by_name_and_told_what_is_reported() {
    let text = "groups:\n- name: g\n  rules:\n  - {alert: A, expr: 'rate(node_load1[1m]) > a:b or upp'}\n  - {record: 'a:b', expr: up}\n";
    let files = [(PathBuf::from("t.yaml"), text.to_owned())];
    let found = |settings: &Settings| -> Vec<String> {
        lint(&files, settings).iter().map(|warning| format!("{} {:?}", warning.lint, warning.fault.hint)).collect()
    };
    let only = |names: &str| Settings { lints: Settings::named(names).expect("known lints"), ..Settings::default() };
    assert_eq!(found(&only("none")), [""; 0]);
    assert_eq!(found(&only("alert-without-for,duplicate-rules")).len(), 1);
    let slow = Settings { interval: 30_000, ..only("short-range") };
    assert_eq!(found(&slow).len(), 1);
    let metrics = Metrics::Reported(["up".to_owned()].into());
    let reported = found(&Settings { metrics, ..only("unknown-metric") });
    assert_eq!(reported, ["unknown-metric None", "unknown-metric Some(\"did you mean 'up'?\")"]);
    assert!(
        Settings::named("short-rang").expect_err("no such lint").contains("there are all, none, alert-without-for")
    );
}

#[test]
fn what_lints_say_points_at_its_place() {
    let text = r#"groups:
  - name: shop
    rules:
      - alert: ShopSlow
        expr: |
          histogram_quantile(0.9, sum by (job, le) (
            rate(shop_seconds_bucket[30s])
          )) > node_memory_MemFre_bytes
        labels: {severity: page}
        annotations:
          summary: "{{ $labels.jobs }} is slow for {{ $value }} on {{ $labels.instance }}"
"#;
    let said: Vec<String> =
        lint(&[("shop.yaml".into(), text.to_owned())], &Settings::default()).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(said.join("\n\n"), @r#"
    shop.yaml:4:16: warning: this fires at the first result, however short: nothing asks for how long [alert-without-for]
      |
    4 |       - alert: ShopSlow
      |                ^^^^^^^^ add for: 5m; or for: 0s where one result is enough
    in rule 'ShopSlow'

    shop.yaml:7:18: warning: [30s] is short for samples every 15s: a few lost ones leave rate() nothing [short-range]
      |
    7 |             rate(shop_seconds_bucket[30s])
      |                  ^^^^^^^^^^^^^^^^^^^^^^^^ take [1m] or more; --interval says how far samples are apart
    in rule 'ShopSlow'

    shop.yaml:8:16: warning: the agent has no metric 'node_memory_MemFre_bytes' [unknown-metric]
      |
    8 |           )) > node_memory_MemFre_bytes
      |                ^^^^^^^^^^^^^^^^^^^^^^^^ did you mean 'node_memory_MemFree_bytes'?
    in rule 'ShopSlow'

    shop.yaml:9:28: warning: severity 'page' gives no urgency: incidents of it have urgency 2 [unknown-severity]
      |
    9 |         labels: {severity: page}
      |                            ^^^^ critical, warning and info give one; or write incident: {urgency: 1}
    in rule 'ShopSlow'

    shop.yaml:11:32: warning: no result of 'expr' has the label 'jobs': it is empty here [label-never-set]
       |
    11 |           summary: "{{ $labels.jobs }} is slow for {{ $value }} on {{ $labels.instance }}"
       |                                ^^^^ did you mean 'job'?
    in rule 'ShopSlow', summary

    shop.yaml:11:79: warning: no result of 'expr' has the label 'instance': it is empty here [label-never-set]
       |
    11 |           summary: "{{ $labels.jobs }} is slow for {{ $value }} on {{ $labels.instance }}"
       |                                                                               ^^^^^^^^ the expression leaves job
    in rule 'ShopSlow', summary
    "#);
}

#[test]
fn no_pack_that_ships_is_warned_of() {
    let files: Vec<(PathBuf, String)> = crate::packs::shipped().iter().flat_map(|pack| pack.sources()).collect();
    let warnings: Vec<String> = lint(&files, &Settings::default()).iter().map(ToString::to_string).collect();
    assert!(warnings.is_empty(), "{}", warnings.join("\n\n"));
}
