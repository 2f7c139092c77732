use std::path::{Path, PathBuf};

use super::*;
use crate::model::{Binding, Hook, StepAction};

fn file(name: &str, text: &str) -> (PathBuf, String) {
    (PathBuf::from(name), text.to_owned())
}

/// The example of the rule language's description, with a runbook for each name.
const LINUX: &str = include_str!("../../tests/good/linux.yaml");
const FREE_SPACE: &str = include_str!("../../tests/good/free-disk-space.yaml");
const RESTART: &str = include_str!("../../tests/good/restart-service.yaml");

fn example() -> RuleBook {
    let files = [file("linux.yaml", LINUX), file("free.yaml", FREE_SPACE), file("restart.yaml", RESTART)];
    load(&files).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn an_alert_rule_is_read_whole() {
    let book = example();
    let rule = &book.alert_rules[0];
    assert_eq!((rule.name.as_str(), rule.group.as_str(), rule.hold), ("FilesystemFillingUp", "linux-host", 300_000));
    assert_eq!((rule.keep_firing_for, rule.incident.urgency, rule.incident.resolve_after), (300_000, Some(2), 120_000));
    let ci = rule.incident.ci.as_ref().expect("the rule names a CI");
    assert_eq!(ci.class, "filesystem");
    assert_eq!(ci.attributes["mountpoint"], Binding::Label("mountpoint".to_owned()));
    let runbook = rule.runbook.as_ref().expect("the rule names a runbook");
    assert_eq!(runbook.when.as_deref(), Some("incident.priority >= 3"));
    assert_eq!(runbook.with["mountpoint"], "{{ $labels.mountpoint }}");
    assert_eq!(book.recording_rules[0].name, "instance:node_cpu_utilisation:rate1m");
    assert_eq!((book.groups[0].name.as_str(), book.groups[0].interval), ("linux-host", Some(15_000)));
}

#[test]
fn an_event_rule_is_read_whole() {
    let book = example();
    let rule = &book.event_rules[0];
    assert_eq!((rule.name.as_str(), rule.count, rule.within), ("UnitFailed", 1, 60_000));
    assert_eq!(rule.by, ["instance", "unit"]);
    assert_eq!(rule.matches.to_string(), r#"{kind="unit_failed", unit!~"user@.*"}"#);
    assert_eq!(rule.clear.as_ref().map(ToString::to_string).as_deref(), Some(r#"{kind="unit_recovered"}"#));
    assert_eq!(rule.labels["severity"], "critical");
}

#[test]
fn a_runbook_is_read_whole() {
    let book = example();
    let runbook = &book.runbooks["restart-service"];
    assert_eq!((runbook.owner.as_deref(), runbook.verify_within), (Some("linux"), Some(180_000)));
    assert_eq!((runbook.guard.max_per_host, runbook.guard.concurrency_host), (Some((3, 3_600_000)), Some(1)));
    assert_eq!(runbook.guard.cooldown_after_failure, Some(1_800_000));
    let approval = runbook.guard.approval.as_ref().expect("the guard asks for approval");
    assert_eq!((approval.by.as_str(), approval.within), ("group(linux)", 600_000));
    let [keep, restart, see] = runbook.steps.as_slice() else { panic!("{:?}", runbook.steps) };
    assert_eq!((keep.register.as_deref(), keep.attach.as_deref()), (Some("log"), Some("log.stdout")));
    assert!(restart.idempotent && !keep.idempotent);
    let StepAction::WaitFor { condition, held } = &see.action else { panic!("{:?}", see.action) };
    assert_eq!((*held, see.timeout, condition.bindings()), (20_000, 120_000, vec!["host", "unit"]));
    let hooks = [Hook::Notify { group: "linux".to_owned() }, Hook::IncidentState { state: "in_progress".to_owned() }];
    assert_eq!(runbook.on_failure, hooks);
}

#[test]
fn each_action_is_read() {
    let text = include_str!("../../tests/good/every-action.yaml");
    let book = load(&[file("every-action.yaml", text)]).unwrap_or_else(|faults| panic!("{faults}"));
    let steps = &book.runbooks["every-action"].steps;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        steps[0].action,
        StepAction::Script {
            interpreter: words(&["/bin/sh"]),
            content: "df --portability \"$1\"\n".to_owned(),
            args: words(&["{{ folder }}"]),
        }
    );
    let StepAction::Script { interpreter, .. } = &steps[1].action else { panic!("{:?}", steps[1]) };
    assert_eq!((interpreter, steps[1].timeout), (&words(&["/usr/bin/python3", "-I"]), 60_000));
    let latest = StepAction::Package { names: words(&["{{ package }}"]), state: "latest".to_owned() };
    assert_eq!((&steps[2].action, steps[2].timeout), (&latest, 600_000), "packages take their time");
    let StepAction::Package { names, .. } = &steps[3].action else { panic!("{:?}", steps[3]) };
    assert_eq!((names.len(), steps[3].timeout), (2, 300_000));
    let StepAction::File { state, mode, owner, content, .. } = &steps[4].action else { panic!("{:?}", steps[4]) };
    assert_eq!((state.as_str(), *mode, owner.as_deref(), content.is_some()), ("file", Some(0o640), Some("root"), true));
    let StepAction::File { path, state, mode: None, content: None, .. } = &steps[6].action else {
        panic!("{:?}", steps[6])
    };
    assert_eq!((path.as_str(), state.as_str()), ("/var/log/{{ package }}.old", "absent"));
}

#[test]
fn a_book_survives_being_stored() {
    let book = example();
    let stored = serde_json::to_string(&book).expect("a book is plain data");
    assert_eq!(serde_json::from_str::<RuleBook>(&stored).expect("what was stored reads back"), book);
}

#[test]
fn every_fault_of_every_file_is_told_in_order() {
    let one = "groups:\n  - name: a\n    rules:\n      - event: A\n        math: '{kind=\"a\"}'\n        clear_after: 5\n      - alert: B\n        expr: sum(up\n";
    let two = "runbook: r\nsteps:\n  - run: [ls, \"{{ nobody }}\"]\n";
    let faults = load(&[file("one.yaml", one), file("two.yaml", two)]).expect_err("both files are bad");
    let shown: Vec<String> = faults
        .faults
        .iter()
        .map(|fault| format!("{}:{}:{} {}", fault.file, fault.line, fault.column, fault.message))
        .collect();
    assert_eq!(
        shown,
        [
            "one.yaml:5:9 an event rule has no key 'math'",
            "one.yaml:6:22 \"5\" has no unit; write for example 5s or 5m",
            "one.yaml:8:19 ')' is expected after this, to close '(up'",
            "two.yaml:3:19 unknown name 'nobody'",
        ]
    );
}

#[test]
fn a_runbook_at_fault_does_not_put_its_rules_at_fault() {
    let rules = "groups:\n  - name: a\n    rules:\n      - {event: A, match: '{kind=\"a\"}', clear_after: 5s, runbook: {use: r}}\n";
    let runbook = "runbook: r\nsteps: []\n";
    let faults = load(&[file("rules.yaml", rules), file("r.yaml", runbook)]).expect_err("the runbook is bad");
    assert_eq!(faults.count(), 1, "{faults}");
}

#[test]
fn a_prometheus_rule_file_loads_unmodified() {
    let text = include_str!("../../tests/good/prometheus.yaml");
    let book = load(&[file("prometheus.yaml", text)]).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!((book.alert_rules.len(), book.recording_rules.len()), (4, 2));
    assert_eq!(book.alert_rules[0].labels["team"], "infra", "labels of the group reach its rules");
}

#[test]
fn empty_files_bring_nothing() {
    for text in ["", "groups:\n", "groups: []\n", "# only words\n"] {
        assert_eq!(load(&[file("empty.yaml", text)]), Ok(RuleBook::default()), "{text:?}");
    }
}

#[test]
fn what_is_there_already_may_be_used_and_not_taken_again() {
    let base = example();
    let user = "groups:\n  - name: mine\n    rules:\n      - {event: A, match: '{kind=\"a\"}', clear_after: 5s, runbook: {use: restart-service, with: {unit: a.service}}}\n      - {event: UnitFailed, match: '{kind=\"a\"}', clear_after: 5s}\n";
    let faults = load_with(&[file("mine.yaml", user)], &base).expect_err("a name is taken");
    assert_eq!(faults.count(), 1, "{faults}");
    assert!(faults.faults[0].message.contains("stands in linux.yaml already"), "{faults}");
}

#[test]
fn a_file_that_is_checked_by_itself_may_use_what_ships() {
    let with = |unit: &str| {
        file(
            "mine.yaml",
            &format!(
                "groups:\n  - name: mine\n    rules:\n      - {{event: A, match: '{{kind=\"a\"}}', clear_after: 5s, runbook: {{use: restart-service, with: {{unit: {unit}}}}}}}\n"
            ),
        )
    };
    assert!(load(&[with("a.service")]).is_err(), "nothing ships with what is loaded");
    let book = check(&[with("a.service")]).unwrap_or_else(|faults| panic!("{faults}"));
    assert!(book.runbooks.is_empty(), "what ships is known and not taken up");
    let faults = check(&[with("a.mount")]).expect_err("the shipped runbook's pattern counts");
    assert!(faults.to_string().contains("\"a.mount\" does not match"), "{faults}");
    let own = file("own.yaml", "runbook: restart-service\nparameters: {unit: {}}\nsteps: [{run: [uptime]}]\n");
    assert!(check(&[with("a.mount"), own]).is_ok(), "one's own comes first");
}

#[test]
fn an_override_changes_one_figure() {
    let mut book = example();
    let text = "UnitFailed: {count: 3, within: 5m, resolve_after: 2s, labels: {severity: warning}}\nFilesystemFillingUp: {for: 10s, incident: {urgency: 1}}\n";
    let overrides = Overrides::parse(Path::new("watchkeep.yaml"), text).expect("valid YAML");
    assert_eq!(apply_overrides(&mut book, &overrides), []);
    let rule = &book.event_rules[0];
    assert_eq!((rule.count, rule.within, rule.incident.resolve_after), (3, 300_000, 2_000));
    assert_eq!(rule.labels["severity"], "warning");
    assert_eq!((book.alert_rules[0].hold, book.alert_rules[0].incident.urgency), (10_000, Some(1)));
}

#[test]
fn an_override_of_what_is_not_there_is_a_fault() {
    let text = "data: /var/lib/watchkeep\npacks:\n  - use: systemd\n    overrides:\n      UnitFaild: {count: 2}\n      UnitFailed: {for: 5s, whithin: 3m, count: 0, labels: {team: a}, incident: {key: [unit]}}\n";
    let uses = pack_uses(Path::new("watchkeep.yaml"), text).expect("the list is well formed").expect("there is one");
    let faults = crate::packs::load_packs(&uses).expect_err("every override is bad");
    let shown: Vec<(usize, &str)> = faults.faults.iter().map(|fault| (fault.line, fault.message.as_str())).collect();
    let expected = [
        (5, "this pack has no rule 'UnitFaild'"),
        (6, "an override of an event rule has no key 'for': this is a rule over events; it has count and within"),
        (6, "an override of an event rule has no key 'whithin'"),
        (6, "a whole number from 1 to 1000 is expected here, not \"0\""),
        (6, "the rule sets no label 'team'"),
        (
            6,
            "an override has no key 'key': an override changes figures; what an incident is about stays the pack's word",
        ),
    ];
    assert_eq!(shown, expected);
    assert_eq!(faults.faults[0].hint.as_deref(), Some("did you mean 'UnitFailed'?"));
}

#[test]
fn the_packs_that_are_taken_up_are_named() {
    let read = |text: &str| pack_uses(Path::new("watchkeep.yaml"), text);
    assert!(read("data: here\n").expect("valid").is_none());
    assert!(read("packs: []\n").expect("valid").is_some_and(|uses| uses.is_empty()));
    let faults = read("packs: [{use: sistemd}, {use: systemd}, {use: systemd}]\n").expect_err("two faults");
    assert_eq!(faults.count(), 2, "{faults}");
    assert_eq!(faults.faults[0].hint.as_deref(), Some("did you mean 'systemd'?"));
}

#[test]
fn a_directory_is_read_without_its_tests() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    };
    write("b/linux.yaml", LINUX);
    write("a/free.yml", FREE_SPACE);
    write("restart.yaml", RESTART);
    write("tests/unit-failed.yaml", "tests: []\n");
    write(".hidden.yaml", "no: rules\n");
    write("watchkeep.yaml", "packs: []\n");
    write("notes.txt", "no rules\n");
    let book = read(&[folder.path().to_owned()]).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!((book.alert_rules.len(), book.runbooks.len()), (1, 2));
    let faults = read(&[folder.path().join("nothing.yaml")]).expect_err("there is no such file");
    assert!(faults.to_string().contains("nothing.yaml: this cannot be read: "), "{faults}");
}

#[test]
fn a_file_that_cannot_be_read_is_told_from_one_with_faults() {
    let missing = super::read_files(&["nowhere/at-all.yaml".into()]).expect_err("it is not there");
    assert!(missing.faults.iter().all(crate::fault::Fault::is_unreadable), "{missing}");
    let wrong = super::load(&[("rules.yaml".into(), "groups: 5\n".to_owned())]).expect_err("it has faults");
    assert!(!wrong.faults.iter().any(crate::fault::Fault::is_unreadable), "{wrong}");
}
