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
