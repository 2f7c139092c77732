//! Tests of rules and runbooks, in promtool's format and beyond it: `input_events`, `incident_test`, `runbook_test`.
//!
//! [`run`] reads test files and the rule files that they name; [`run_file`] is its pure part. Times in a test count from 0.
//! Which incidents stand is the desk's to say, and the desk is not known here: an [`IncidentJudge`] is handed in.

mod course;
mod coverage;
mod expr;
mod file;
mod junit;
mod plan;
mod report;
mod run;
mod series;

use std::path::{Path, PathBuf};

pub use coverage::{Asserted, Coverage, RuleCoverage};
pub use junit::junit;
pub use report::{Failure, FileReport, Report, TestReport};
pub use run::run_file;

use crate::events::Transition;
use crate::fault::{Fault, Faults};
use crate::load;
use crate::model::RuleBook;

/// Says which incidents stand. The controller has the desk do it.
pub trait IncidentJudge {
    /// The incidents that are open at `at`, after the transitions (all at or before it, in order). A test begins with a
    /// desk that knows nothing.
    fn open_at(&mut self, book: &RuleBook, transitions: &[Transition], at: i64) -> Vec<IncidentSeen>;
}

/// An open incident, as far as tests compare it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IncidentSeen {
    pub rule: String,
    /// As the desk writes it: `UnitFailed{instance="web-1",unit="nginx.service"}`.
    pub key: String,
    /// 1 to 5.
    pub priority: u8,
    /// The CI in words, where it is known: `service_unit nginx.service on web-1`.
    pub ci: Option<String>,
    pub runbook: Option<String>,
}

/// Runs test files; of a directory every `.yaml` and `.yml` below it that has `tests:` at its top.
pub fn run(paths: &[PathBuf], judge: Option<&mut dyn IncidentJudge>) -> Report {
    let mut report = Report::default();
    let mut judge = judge;
    for path in test_files(paths, &mut report) {
        let judge = judge.as_mut().map(|judge| &mut **judge as &mut dyn IncidentJudge);
        let outcome = match std::fs::read_to_string(&path) {
            Ok(text) => run_with_rules(&path, &text, judge),
            Err(error) => Err(unreadable(&path, &error)),
        };
        match outcome {
            Ok(of_file) => report.files.push(of_file),
            Err(mut faults) => report.faults.faults.append(&mut faults.faults),
        }
    }
    report
}

fn run_with_rules(path: &Path, text: &str, judge: Option<&mut dyn IncidentJudge>) -> Result<FileReport, Faults> {
    let shown = path.display().to_string();
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut rule_files = Vec::new();
    for file in file::rule_files(&shown, text)? {
        rule_files.extend(matching(folder, &file));
    }
    let book = load::read(&rule_files)?;
    run_file(&shown, text, &book, judge)
}

/// A path beside the test file; `*` in its last part stands for anything.
fn matching(folder: &Path, file: &str) -> Vec<PathBuf> {
    let path = folder.join(file);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let Some((before, after)) = name.split_once('*') else { return vec![path] };
    let parent = path.parent().unwrap_or(folder);
    let mut found: Vec<PathBuf> = std::fs::read_dir(parent)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
        })
        .collect();
    found.sort();
    // Nothing found: the pattern itself is then the file that cannot be read.
    if found.is_empty() { vec![path] } else { found }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Faults {
    let fault = Fault::of_file(path.display().to_string(), format!("this cannot be read: {error}"));
    Faults { faults: vec![fault], more: 0 }
}

/// Files as named; of directories those that are tests.
fn test_files(paths: &[PathBuf], report: &mut Report) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in paths {
        if !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let before = found.len();
        walk(path, 0, &mut found);
        if found.len() == before {
            let message = "there is no test file here: a .yaml with 'tests:' at its top";
            report.faults.faults.push(Fault::of_file(path.display().to_string(), message));
        }
    }
    found
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if depth < 8 {
                walk(&path, depth + 1, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
            && std::fs::read_to_string(&path).is_ok_and(|text| file::is_test(&text))
        {
            found.push(path);
        }
    }
}

#[cfg(test)]
mod tests;
