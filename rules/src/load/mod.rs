//! Reading rule files and runbook files into a [`RuleBook`], or every fault of every file at once.
//!
//! A file with `groups:` holds rules, one with `runbook:` holds a runbook. Runbooks are read first, so that a rule's
//! `runbook.use` and `with` are checked against them. [`load`] is pure; [`read`] is the one place that touches files.

mod actions;
mod check;
mod event;
mod groups;
mod guard;
mod incident;
pub(crate) mod keys;
mod overrides;
mod read;
mod remote_write;
mod rules;
mod runbook;
mod settings;
mod steps;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub(crate) use check::{Checker, Fields};
pub use overrides::{Overrides, PackUse, apply_overrides, pack_uses};
pub use read::{read, read_files};
pub use remote_write::{Credentials, QueueConfig, Relabel, RemoteWrite};
pub use settings::{InstallationSettings, Retention, installation_settings};

use crate::fault::{Fault, Faults};
use crate::model::{RuleBook, Runbook};
use crate::near::near;
use crate::yaml::{self, Node, Source};

/// Reads files that were handed in: the path as shown to people, and the text. Either all of them are good, or nothing is
/// loaded and all faults are told.
pub fn load(files: &[(PathBuf, String)]) -> Result<RuleBook, Faults> {
    load_with(files, &RuleBook::default())
}

/// As [`load`], on top of what is there already: its runbooks may be used, and its names are taken.
pub fn load_with(files: &[(PathBuf, String)], base: &RuleBook) -> Result<RuleBook, Faults> {
    load_beside(files, base, BTreeMap::new())
}

/// `known` runbooks may be used; one of the same name in `files` comes before them.
fn load_beside(
    files: &[(PathBuf, String)],
    base: &RuleBook,
    known: BTreeMap<String, Runbook>,
) -> Result<RuleBook, Faults> {
    let sources: Vec<Source> =
        files.iter().map(|(path, text)| Source::new(path.display().to_string(), text.as_str())).collect();
    let mut reading = Reading::new(&sources, base);
    for (name, runbook) in known {
        reading.known.runbooks.entry(name).or_insert(Some(runbook));
    }
    reading.runbooks();
    reading.rules();
    let faults = Faults::of(reading.faults);
    if faults.is_empty() { Ok(reading.book) } else { Err(faults) }
}

/// As [`load`], for who checks files before they join others: runbooks of the shipped packs may be used without being
/// handed in.
pub fn check(files: &[(PathBuf, String)]) -> Result<RuleBook, Faults> {
    let shipped: Vec<(PathBuf, String)> = crate::packs::shipped().iter().flat_map(|pack| pack.sources()).collect();
    let shipped = load(&shipped)?;
    load_beside(files, &RuleBook::default(), shipped.runbooks)
}

/// What a file is, by the key at its top.
#[derive(Clone, Copy, PartialEq)]
enum FileKind {
    Rules,
    Runbook,
    /// Empty, or at fault already.
    Nothing,
}

/// What rules may refer to: every runbook by name. One that is itself at fault is known by name only, so that the rules
/// that use it are not blamed as well.
#[derive(Default)]
pub(crate) struct Known {
    pub runbooks: BTreeMap<String, Option<Runbook>>,
    /// Event rules and where each stands: their alerts are told apart by name.
    pub event_rules: BTreeMap<String, String>,
}

struct Reading<'a> {
    files: Vec<(&'a Source, Option<Node>, FileKind)>,
    /// A list a file.
    faults: Vec<Vec<Fault>>,
    book: RuleBook,
    known: Known,
}

impl<'a> Reading<'a> {
    fn new(sources: &'a [Source], base: &RuleBook) -> Self {
        let mut faults = Vec::new();
        let mut files = Vec::new();
        for source in sources {
            let mut check = Checker::new(source);
            let node = yaml::parse(source)
                .map_err(|error| {
                    check.faults.push(Fault::at(source, error.at, error.at + 1, error.message));
                })
                .ok();
            let kind = node.as_ref().map_or(FileKind::Nothing, |node| kind_of(&mut check, node));
            faults.push(check.faults);
            files.push((source, node, kind));
        }
        let mut known = Known::default();
        for (name, runbook) in &base.runbooks {
            known.runbooks.insert(name.clone(), Some(runbook.clone()));
        }
        for rule in &base.event_rules {
            known.event_rules.insert(rule.name.clone(), rule.file.clone());
        }
        Self { files, faults, book: base.clone(), known }
    }

    fn runbooks(&mut self) {
        let mut places = BTreeMap::new();
        for (name, runbook) in &self.book.runbooks {
            places.insert(name.clone(), runbook.file.clone());
        }
        for (place, (source, node, kind)) in self.files.iter().enumerate() {
            let (Some(node), FileKind::Runbook) = (node, kind) else { continue };
            let mut check = Checker::new(source);
            if let Some((name, runbook)) = runbook::runbook(&mut check, node, &mut places) {
                self.known.runbooks.insert(name.clone(), runbook.clone());
                self.book.runbooks.extend(runbook.map(|runbook| (name, runbook)));
            }
            self.faults[place].append(&mut check.faults);
        }
    }

    fn rules(&mut self) {
        for (place, (source, node, kind)) in self.files.iter().enumerate() {
            let (Some(node), FileKind::Rules) = (node, kind) else { continue };
            let mut check = Checker::new(source);
            groups::groups(&mut check, node, &mut self.known, &mut self.book);
            self.faults[place].append(&mut check.faults);
        }
    }
}

fn kind_of(check: &mut Checker<'_>, node: &Node) -> FileKind {
    const TEST_KEYS: [&str; 3] = ["rule_files", "tests", "evaluation_interval"];
    let yaml::Kind::Map(entries) = &node.kind else {
        if !node.is_null() {
            check.fault(node, format!("a rule file or a runbook is a mapping, not {}", node.what()));
        }
        return FileKind::Nothing;
    };
    let keys: Vec<&str> = entries.iter().filter_map(|(key, _)| key.scalar()).collect();
    if keys.contains(&"groups") {
        return FileKind::Rules;
    }
    if keys.contains(&"runbook") {
        return FileKind::Runbook;
    }
    let Some((first, _)) = entries.first() else { return FileKind::Nothing };
    if keys.iter().any(|key| TEST_KEYS.contains(key)) {
        check.fault(first, "this is a test file; run it by 'watchkeep rules test FILE'");
        return FileKind::Nothing;
    }
    let near = keys.iter().find_map(|key| near(key, ["groups", "runbook"]));
    let fault = check.fault(first, "a rule file has 'groups:' at its top, a runbook 'runbook:'; this has neither");
    if keys.contains(&"overrides") {
        fault.hint("overrides of a pack stand in watchkeep.yaml: packs: [{use: PACK, overrides: {RULE: {for: 10m}}}]");
    } else if keys.iter().any(|key| ["packs", "notify", "retention", "settings"].contains(key)) {
        fault.hint("this looks like watchkeep.yaml, which stands beside the folder rules/");
    } else {
        fault.near(near);
    }
    FileKind::Nothing
}

#[cfg(test)]
mod tests;
