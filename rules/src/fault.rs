//! What is wrong with a file, and all of it at once.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::yaml::Source;

/// One thing that is wrong, with its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fault {
    /// As shown to people.
    pub file: String,
    /// From 1; 0 where the file as a whole is meant.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Characters that it covers on its line.
    pub length: usize,
    pub message: String,
    /// What would help: `did you mean 'humanizePercentage'?`
    pub hint: Option<String>,
    /// The line as it stands in the file.
    pub source: String,
    /// The rule or runbook that it is in.
    pub rule: Option<String>,
    /// Where in the file's own words: `rule 'FilesystemFillingUp', annotation 'summary'`.
    pub within: Option<String>,
}

/// Every fault of every file, in the order of files and lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults {
    pub faults: Vec<Fault>,
    /// How many more were found and are not listed.
    pub more: usize,
}

/// Faults that are listed; beyond it they are counted.
pub const FAULTS_MAX: usize = 200;
/// Characters of a source line that are shown.
const LINE_SHOWN_MAX: usize = 160;

/// How the fault of a file that cannot be read begins.
pub(crate) const UNREADABLE: &str = "this cannot be read: ";

impl Fault {
    /// A fault over the bytes `from..to` of a file.
    pub fn at(source: &Source, from: usize, to: usize, message: impl Into<String>) -> Self {
        let (line, column) = source.place(from);
        Self {
            file: source.name.clone(),
            line,
            column,
            length: source.length_on_line(from, to),
            message: message.into(),
            hint: None,
            source: source.line(line).to_owned(),
            rule: None,
            within: None,
        }
    }

    /// A fault of a file as a whole: it cannot be read, it is too large.
    pub fn of_file(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line: 0,
            column: 0,
            length: 0,
            message: message.into(),
            hint: None,
            source: String::new(),
            rule: None,
            within: None,
        }
    }

    /// Whether the file could not be read at all.
    pub fn is_unreadable(&self) -> bool {
        self.line == 0 && self.message.starts_with(UNREADABLE)
    }

    /// `did you mean 'word'?`, where there is a near word.
    pub fn near(&mut self, word: Option<String>) -> &mut Self {
        self.hint = word.map(|word| format!("did you mean '{word}'?")).or(self.hint.take());
        self
    }

    /// What would help.
    pub fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.file, self.message)?;
        } else {
            write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
            self.snippet(f)?;
        }
        match &self.within {
            Some(within) => write!(f, "\nin {within}"),
            None => Ok(()),
        }
    }
}

impl Fault {
    fn snippet(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let gap = " ".repeat(number.len());
        let (shown, column) = shown_part(&self.source, self.column);
        let room = (shown.chars().count() + 1).saturating_sub(column).max(1);
        let carets = "^".repeat(self.length.clamp(1, room));
        let hint = self.hint.as_deref().map(|hint| format!(" {hint}")).unwrap_or_default();
        let before = " ".repeat(column - 1);
        write!(f, "\n{gap} |\n{number} | {shown}\n{gap} | {before}{carets}{hint}")
    }
}

/// The line without control characters, cut around `column` where it is long, and the column within that.
fn shown_part(line: &str, column: usize) -> (String, usize) {
    let clean: Vec<char> = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let column = column.clamp(1, clean.len() + 1);
    if clean.len() <= LINE_SHOWN_MAX {
        return (clean.into_iter().collect(), column);
    }
    let from = column.saturating_sub(LINE_SHOWN_MAX / 2);
    let shown: String = clean.iter().skip(from).take(LINE_SHOWN_MAX).collect();
    match from {
        0 => (shown, column),
        _ => (format!("…{shown}"), column - from + 1),
    }
}

impl Faults {
    /// Sorted by nothing but the order of the files and, within each, of lines; each said once.
    pub fn of(found: impl IntoIterator<Item = Vec<Fault>>) -> Self {
        let mut faults = Vec::new();
        for mut of_file in found {
            of_file.sort_by_key(|fault| (fault.line, fault.column));
            of_file.dedup_by(|a, b| (a.line, a.column, &a.message) == (b.line, b.column, &b.message));
            faults.append(&mut of_file);
        }
        let more = faults.len().saturating_sub(FAULTS_MAX);
        faults.truncate(FAULTS_MAX);
        Self { faults, more }
    }

    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// All of them, those that are not listed included.
    pub fn count(&self) -> usize {
        self.faults.len() + self.more
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, fault) in self.faults.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { "\n\n" })?;
            fault.fmt(f)?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\n\nand {more} more"),
        }
    }
}

impl std::error::Error for Faults {}
