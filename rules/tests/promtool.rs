//! The same test files by Prometheus's own promtool and by us: the verdicts are the same.
//!
//! Files under `promtool/passes` pass with both, those under `promtool/fails` fail with both, each for the one reason that it
//! is named after. Debian's promtool is of Prometheus 2, so the files keep to what has not changed since. What ships is
//! checked too, wherever it uses nothing of ours.

use std::path::{Path, PathBuf};
use std::process::Command;

use watchkeep_rules::test;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promtool").join(name)
}

fn files(name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder(name)).expect("the folder is there");
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    found.sort();
    found
}

/// Whether it is content, and what it says.
fn promtool(args: &[&str], file: &Path) -> (bool, String) {
    let output = Command::new("promtool").args(args).arg(file).output().unwrap_or_else(|error| {
        panic!("promtool cannot be run ({error}); install Debian's package 'prometheus', as tests/debian-packages says")
    });
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn compare(name: &str, passes: bool) {
    let files = files(name);
    assert!(files.len() >= 3, "{} files in {name}", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let (theirs, said) = promtool(&["test", "rules"], &file);
        let report = test::run(std::slice::from_ref(&file), None);
        if theirs != passes {
            wrong.push(format!("{}: promtool says {theirs}:\n{said}", file.display()));
        }
        if report.passed() != passes {
            wrong.push(format!("{}: we say {}:\n{report}", file.display(), report.passed()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_passes_with_promtool_passes_here() {
    compare("passes", true);
}

#[test]
fn what_fails_with_promtool_fails_here() {
    compare("fails", false);
}

#[test]
fn rule_files_that_promtool_takes_load() {
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/good/prometheus.yaml");
    for file in [folder("rules.yaml"), folder("same.yaml"), good] {
        // Group labels and query_offset are of Prometheus 3: promtool 2.42 knows neither.
        let text = std::fs::read_to_string(&file).expect("a readable file");
        if !text.contains("query_offset") {
            let (theirs, said) = promtool(&["check", "rules"], &file);
            assert!(theirs, "{}: {said}", file.display());
        }
        watchkeep_rules::load::read_files(std::slice::from_ref(&file))
            .and_then(|files| watchkeep_rules::load::load(&files))
            .unwrap_or_else(|faults| panic!("{faults}"));
    }
}

/// Keys that we add to Prometheus's, of rules and of tests.
const OURS_OF_RULES: [&str; 2] = ["incident", "runbook"];
const OURS_OF_TESTS: [&str; 3] = ["input_events", "incident_test", "runbook_test"];

/// The packs' own tests, wherever they use nothing of ours, pass with promtool over the packs' rules without our keys.
#[test]
fn shipped_tests_over_samples_pass_with_promtool() {
    let mut checked = Vec::new();
    for pack in watchkeep_rules::packs::shipped() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text = |path: &str| {
            let files = pack.files.iter().chain(pack.tests);
            files.into_iter().find(|(file, _)| *file == path).map(|(_, text)| *text).expect("the pack has it")
        };
        let write = |path: &str, value: &serde_json::Value| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("is made");
            std::fs::write(&path, value.to_string()).expect("is written"); // JSON is YAML
            path
        };
        let rules = write("rules.yaml", &without_ours(text("rules.yaml")));
        for (path, test) in pack.tests.iter().filter(|(_, test)| !OURS_OF_TESTS.iter().any(|key| test.contains(key))) {
            let (checks, said) = promtool(&["check", "rules"], &rules);
            assert!(checks, "{}: {said}", pack.name);
            let (passes, said) = promtool(&["test", "rules"], &write(path, &read(test)));
            assert!(passes, "{} {path}: {said}", pack.name);
            checked.push(format!("{} {path}", pack.name));
        }
    }
    assert!(checked.len() >= 2, "{checked:?}");
}

/// A rule file as Prometheus would have it: no event rules, and of the others no key of ours.
fn without_ours(text: &str) -> serde_json::Value {
    let mut file = read(text);
    let groups = file["groups"].as_array_mut().expect("a rule file has groups");
    for rules in groups.iter_mut().filter_map(|group| group["rules"].as_array_mut()) {
        rules.retain(|rule| rule.get("event").is_none());
        for rule in rules.iter_mut().filter_map(|rule| rule.as_object_mut()) {
            rule.retain(|key, _| !OURS_OF_RULES.contains(&key.as_str()));
        }
    }
    file
}

fn read(text: &str) -> serde_json::Value {
    serde_yaml::from_str(text).expect("what ships is YAML")
}
