use super::*;
use crate::load::load;

/// What is warned of in a file of one group with these rules: `LINE LINT`.
fn found(rules: &str) -> Vec<String> {
    let text = format!("groups:\n- name: g\n  rules:\n{rules}");
    let files = [(PathBuf::from("t.yaml"), text)];
    load(&files).unwrap_or_else(|faults| panic!("{faults}"));
    let warnings = lint(&files);
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
    let warned = |text: String| lint(&[("t.yaml".into(), text)]).iter().map(ToString::to_string).collect::<Vec<_>>();
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
    let said = |text: &str| checked(&files(text), &load(&files(text)).expect("good rules")).to_string();
    assert_eq!(said(""), "no faults, no warnings: no rules and no runbooks here");
    let rules = "groups:\n- name: g\n  rules:\n  - {record: 'a:b', expr: c}\n  - {record: 'a:c', expr: c}\n  - {alert: A, expr: up == 0, for: 1m}\n";
    assert_eq!(said(rules), "no faults, no warnings: 1 alert rule, 2 recording rules");
    assert!(said(&rules.replace("for: 1m", "for: 1m, labels: {severity: page}")).contains("no faults, 1 warning: "));
}
