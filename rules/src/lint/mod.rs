//! What loads and is probably not meant: `rules check` warns of it.
//!
//! A fault keeps a file from being loaded, a warning does not: every rule file of the Prometheus world loads as it is. Each
//! lint has a name and looks at one thing. An author who means what a lint warns of says so where it stands, by a comment
//! that Prometheus reads over (see [`allow`](self)):
//!
//! ```yaml
//! # watchkeep:allow alert-without-for: one lost write is one too many
//! - alert: WriteLost
//! ```

mod allow;
mod report;
mod severity;

use std::fmt;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use crate::fault::Fault;
use crate::load::Checker;
use crate::yaml::{self, Kind, Node, Source};
use allow::Allowed;
pub use report::{Checked, checked};

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lint {
    UnknownSeverity,
    /// About the comments themselves.
    UnknownAllowance,
}

/// Every lint, in the order in which help lists them: its name, and what it warns of.
pub const LINTS: [(Lint, &str, &str); 2] = [
    (Lint::UnknownSeverity, "unknown-severity", "a severity that gives incidents no urgency"),
    (Lint::UnknownAllowance, "unknown-allowance", "a comment 'watchkeep:allow' that allows nothing"),
];

/// One thing that is probably not meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    pub lint: Lint,
    #[serde(flatten)]
    pub fault: Fault,
}

impl Lint {
    pub fn name(self) -> &'static str {
        LINTS.iter().find(|(lint, ..)| *lint == self).map_or("", |(_, name, _)| *name)
    }

    /// The lint of that name.
    pub fn named(name: &str) -> Option<Self> {
        LINTS.iter().find(|(_, known, _)| *known == name).map(|(lint, ..)| *lint)
    }
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Lint {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = format!("warning: {} [{}]", self.fault.message, self.lint);
        Fault { message, ..self.fault.clone() }.fmt(f)
    }
}

/// Looks at files that were loaded without a fault. Warnings come in the order of files and lines.
pub fn lint(files: &[(PathBuf, String)]) -> Vec<Warning> {
    let sources = files.iter().map(|(path, text)| Source::new(path.display().to_string(), text.as_str()));
    sources.flat_map(|source| Linter::new(&source).file()).collect()
}

/// One file under the lints.
struct Linter<'a> {
    check: Checker<'a>,
    allowed: Allowed,
    found: Vec<Warning>,
}

/// One rule as it stands in its file.
pub(crate) struct RuleNode<'n> {
    /// `record`, `alert` or `event`.
    pub kind: &'static str,
    pub name: &'n str,
    pub node: &'n Node,
    /// Its place among all rules of the file, from 0.
    pub place: usize,
}

/// The rules of a rule file, group by group in the file's order; of any other file none.
pub(crate) fn rules_of(root: &Node) -> Vec<RuleNode<'_>> {
    let mut found = Vec::new();
    for node in items(root.get("groups")).iter().flat_map(|group| items(group.get("rules"))) {
        for kind in ["record", "alert", "event"] {
            if let Some(name) = node.get(kind).and_then(Node::scalar) {
                found.push(RuleNode { kind, name, node, place: found.len() });
            }
        }
    }
    found
}

fn items(node: Option<&Node>) -> &[Node] {
    match node.map(|node| &node.kind) {
        Some(Kind::List(nodes)) => nodes,
        _ => &[],
    }
}

impl<'a> Linter<'a> {
    fn new(source: &'a Source) -> Self {
        Self { check: Checker::new(source), allowed: Allowed::default(), found: Vec::new() }
    }

    fn file(mut self) -> Vec<Warning> {
        let source = self.check.source;
        let Ok(root) = yaml::parse(source) else { return Vec::new() };
        let rules = rules_of(&root);
        self.allowed = Allowed::read(source, &rules);
        for wrong in self.allowed.wrong(source) {
            self.found.push(Warning { lint: Lint::UnknownAllowance, fault: wrong });
        }
        for rule in &rules {
            self.rule(rule);
        }
        self.found.sort_by_key(|warning| (warning.fault.line, warning.fault.column));
        self.found
    }

    fn rule(&mut self, rule: &RuleNode<'_>) {
        if rule.kind != "record" {
            self.look(Lint::UnknownSeverity, rule, |check| severity::unknown(check, rule.node));
        }
    }

    /// Lets one lint look at a rule; what it finds and nobody allows is kept.
    fn look(&mut self, lint: Lint, rule: &RuleNode<'_>, body: impl FnOnce(&mut Checker<'a>)) {
        self.check.within_rule("rule", rule.name, body);
        for fault in std::mem::take(&mut self.check.faults) {
            if !self.allowed.allows(lint, rule) {
                self.found.push(Warning { lint, fault });
            }
        }
    }
}

#[cfg(test)]
mod tests;
