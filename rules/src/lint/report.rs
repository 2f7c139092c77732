//! What `rules check` says of files without a fault.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::{Settings, Warning, lint};
use crate::model::RuleBook;

/// How much was found, and what of it is probably not meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    pub alert_rules: usize,
    pub recording_rules: usize,
    pub event_rules: usize,
    pub runbooks: usize,
    pub warnings: Vec<Warning>,
}

/// Counts what `book` was loaded from `files`, and lints them.
pub fn checked(files: &[(PathBuf, String)], book: &RuleBook, settings: &Settings) -> Checked {
    Checked {
        alert_rules: book.alert_rules.len(),
        recording_rules: book.recording_rules.len(),
        event_rules: book.event_rules.len(),
        runbooks: book.runbooks.len(),
        warnings: lint(files, settings),
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for warning in &self.warnings {
            write!(f, "{warning}\n\n")?;
        }
        let found = [
            counted(self.alert_rules, "alert rule"),
            counted(self.recording_rules, "recording rule"),
            counted(self.event_rules, "event rule"),
            counted(self.runbooks, "runbook"),
        ];
        let found: Vec<String> = found.into_iter().flatten().collect();
        let found = if found.is_empty() { "no rules and no runbooks here".to_owned() } else { found.join(", ") };
        let warnings = counted_always(self.warnings.len(), "warning");
        write!(f, "no faults, {warnings}: {found}")
    }
}

fn counted(number: usize, what: &str) -> Option<String> {
    (number > 0).then(|| counted_always(number, what))
}

fn counted_always(number: usize, what: &str) -> String {
    match number {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}
