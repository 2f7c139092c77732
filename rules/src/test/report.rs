//! What came of tests.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::coverage::Coverage;
use crate::fault::Faults;

/// All test files of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub files: Vec<FileReport>,
    /// What could not even be run: test files and rule files at fault.
    pub faults: Faults,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReport {
    pub file: String,
    pub tests: Vec<TestReport>,
    /// What its tests have looked at.
    #[serde(skip)]
    pub coverage: Coverage,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestReport {
    pub name: String,
    pub failures: Vec<Failure>,
}

/// One expectation that was not met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Where the expectation stands.
    pub line: usize,
    /// `alert_rule_test at 10s, alert 'UnitFailed'`
    pub what: String,
    /// One line each, sorted; what is on both sides is left out.
    pub expected: Vec<String>,
    pub found: Vec<String>,
}

impl Report {
    pub fn passed(&self) -> bool {
        self.faults.is_empty() && self.tests().all(|test| test.failures.is_empty())
    }

    /// What all test files together have looked at.
    pub fn coverage(&self) -> Coverage {
        let mut all = Coverage::default();
        self.files.iter().for_each(|file| all.add(&file.coverage));
        all
    }

    pub fn tests(&self) -> impl Iterator<Item = &TestReport> {
        self.files.iter().flat_map(|file| &file.tests)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            file.fmt(f)?;
        }
        if !self.faults.is_empty() {
            writeln!(f, "{}\n", self.faults)?;
        }
        let failed = self.tests().filter(|test| !test.failures.is_empty()).count();
        let all = self.tests().count();
        match (failed, self.faults.count()) {
            (0, 0) => write!(f, "{} passed", counted(all, "test")),
            (failed, 0) => write!(f, "{failed} of {} failed", counted(all, "test")),
            (failed, faults) => {
                write!(
                    f,
                    "{failed} of {} failed; {} kept tests from running",
                    counted(all, "test"),
                    counted(faults, "fault")
                )
            }
        }
    }
}

impl fmt::Display for FileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for test in &self.tests {
            let mark = if test.failures.is_empty() { "ok    " } else { "FAILED" };
            writeln!(f, "{mark} {}: {}", self.file, test.name)?;
            for failure in &test.failures {
                writeln!(f, "  {}:{}: {}", self.file, failure.line, failure.what)?;
                side(f, "expected", &failure.expected)?;
                side(f, "found", &failure.found)?;
            }
        }
        Ok(())
    }
}

fn side(f: &mut fmt::Formatter<'_>, name: &str, lines: &[String]) -> fmt::Result {
    if lines.is_empty() {
        return writeln!(f, "    {name:8}  nothing else");
    }
    for (place, line) in lines.iter().enumerate() {
        writeln!(f, "    {:8}  {line}", if place == 0 { name } else { "" })?;
    }
    Ok(())
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
