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

mod alerts;
mod allow;
mod duplicates;
mod expressions;
mod labels;
mod report;
mod severity;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use crate::fault::Fault;
use crate::load::Checker;
use crate::promql::{self, ast::Expr};
use crate::yaml::{self, Kind, Node, Source};
use allow::Allowed;
pub use expressions::{Metrics, of_agent};
pub use report::{Checked, checked};

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lint {
    AlertWithoutFor,
    DuplicateRule,
    LabelNeverSet,
    ShortRange,
    UnknownMetric,
    UnknownSeverity,
    ValueInLabel,
    /// About the comments themselves.
    UnknownAllowance,
}

/// Every lint, in the order in which help lists them: its name, and what it warns of.
pub const LINTS: [(Lint, &str, &str); 8] = [
    (Lint::AlertWithoutFor, "alert-without-for", "an alert that fires at the first result"),
    (Lint::DuplicateRule, "duplicate-rule", "two rules of a file with the same name and labels"),
    (Lint::LabelNeverSet, "label-never-set", "a label that the expression's results cannot have"),
    (Lint::ShortRange, "short-range", "a rate over fewer samples than it needs"),
    (Lint::UnknownMetric, "unknown-metric", "a metric that nobody reports"),
    (Lint::UnknownSeverity, "unknown-severity", "a severity that gives incidents no urgency"),
    (Lint::ValueInLabel, "value-in-label", "a label that changes with the alert's value"),
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

/// What lints are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How far samples are apart, ms.
    pub interval: i64,
    pub metrics: Metrics,
    /// The lints that look.
    pub lints: BTreeSet<Lint>,
}

impl Default for Settings {
    /// Every lint, for what our agent reports every 15 s.
    fn default() -> Self {
        let lints = LINTS.iter().map(|(lint, ..)| *lint).collect();
        Self { interval: 15_000, metrics: Metrics::OfAgent, lints }
    }
}

impl Settings {
    /// As `--lint` names them: names with commas between, `all` or `none`. promtool's name of a lint is taken, too.
    ///
    /// # Errors
    /// There is no such lint; the sentence names those that there are.
    pub fn named(names: &str) -> Result<BTreeSet<Lint>, String> {
        let mut found = BTreeSet::new();
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match (name, Lint::named(name)) {
                (_, Some(lint)) => found.extend([lint]),
                ("all", _) => found.extend(LINTS.iter().map(|(lint, ..)| *lint)),
                ("none", _) => {}
                ("duplicate-rules", _) => found.extend([Lint::DuplicateRule]),
                _ => {
                    let known: Vec<&str> = LINTS.iter().map(|(_, name, _)| *name).collect();
                    return Err(format!("there is no lint \"{name}\"; there are all, none, {}", known.join(", ")));
                }
            }
        }
        Ok(found)
    }
}

/// Looks at files that were loaded without a fault. Warnings come in the order of files and lines.
pub fn lint(files: &[(PathBuf, String)], settings: &Settings) -> Vec<Warning> {
    let sources: Vec<Source> =
        files.iter().map(|(path, text)| Source::new(path.display().to_string(), text.as_str())).collect();
    let trees: Vec<Option<Node>> = sources.iter().map(|source| yaml::parse(source).ok()).collect();
    let rules = trees.iter().flatten().flat_map(rules_of);
    let recorded = rules.filter(|rule| rule.kind == "record").map(|rule| rule.name.to_owned()).collect();
    let mut found = Vec::new();
    for (source, root) in sources.iter().zip(&trees) {
        let Some(root) = root else { continue };
        found.extend(Linter::new(source, settings, &recorded).file(root));
    }
    found
}

/// One file under the lints.
struct Linter<'a> {
    check: Checker<'a>,
    settings: &'a Settings,
    /// What all files record.
    recorded: &'a BTreeSet<String>,
    allowed: Allowed,
    found: Vec<Warning>,
}

/// One rule as it stands in its file.
pub(crate) struct RuleNode<'n> {
    /// `record`, `alert` or `event`.
    pub kind: &'static str,
    pub name: &'n str,
    pub node: &'n Node,
    /// The labels that its group gives it.
    pub group_labels: Option<&'n Node>,
    /// Its place among all rules of the file, from 0.
    pub place: usize,
}

/// The rules of a rule file, group by group in the file's order; of any other file none.
pub(crate) fn rules_of(root: &Node) -> Vec<RuleNode<'_>> {
    let mut found = Vec::new();
    for group in items(root.get("groups")) {
        let group_labels = group.get("labels");
        for node in items(group.get("rules")) {
            for kind in ["record", "alert", "event"] {
                if let Some(name) = node.get(kind).and_then(Node::scalar) {
                    found.push(RuleNode { kind, name, node, group_labels, place: found.len() });
                }
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
    fn new(source: &'a Source, settings: &'a Settings, recorded: &'a BTreeSet<String>) -> Self {
        Self { check: Checker::new(source), settings, recorded, allowed: Allowed::default(), found: Vec::new() }
    }

    fn file(mut self, root: &Node) -> Vec<Warning> {
        let source = self.check.source;
        let rules = rules_of(root);
        self.allowed = Allowed::read(source, &rules);
        for fault in self.allowed.wrong(source) {
            self.keep(Lint::UnknownAllowance, None, fault);
        }
        for (place, fault) in duplicates::duplicates(source, &rules) {
            self.keep(Lint::DuplicateRule, Some(place), fault);
        }
        for rule in &rules {
            self.rule(rule);
        }
        self.found.sort_by_key(|warning| (warning.fault.line, warning.fault.column));
        self.found
    }

    fn rule(&mut self, rule: &RuleNode<'_>) {
        let node = rule.node;
        if rule.kind != "record" {
            self.look(Lint::UnknownSeverity, rule, |check| severity::unknown(check, node));
        }
        let expr = node.get("expr").and_then(|text| Some((text, promql::parse(text.scalar()?).ok()?)));
        if let Some((text, expr)) = &expr {
            self.expression(rule, text, expr);
        }
        if rule.kind == "alert" {
            self.look(Lint::AlertWithoutFor, rule, |check| alerts::without_for(check, node));
            self.look(Lint::ValueInLabel, rule, |check| alerts::value_in_label(check, node));
        }
    }

    fn expression(&mut self, rule: &RuleNode<'_>, text: &Node, expr: &Expr) {
        let (settings, recorded) = (self.settings, self.recorded);
        self.look(Lint::ShortRange, rule, |check| expressions::short_range(check, text, expr, settings.interval));
        let metrics = &settings.metrics;
        self.look(Lint::UnknownMetric, rule, |check| {
            expressions::unknown_metric(check, text, expr, metrics, recorded);
        });
        if rule.kind == "alert" {
            let group = rule.group_labels;
            self.look(Lint::LabelNeverSet, rule, |check| labels::never_set(check, rule.node, expr, group));
        }
    }

    /// Lets one lint look at a rule; what it finds and nobody allows is kept.
    fn look(&mut self, lint: Lint, rule: &RuleNode<'_>, body: impl FnOnce(&mut Checker<'a>)) {
        self.check.within_rule("rule", rule.name, body);
        for fault in std::mem::take(&mut self.check.faults) {
            self.keep(lint, Some(rule.place), fault);
        }
    }

    fn keep(&mut self, lint: Lint, rule: Option<usize>, fault: Fault) {
        if self.settings.lints.contains(&lint) && !self.allowed.allows(lint, rule) {
            self.found.push(Warning { lint, fault });
        }
    }
}

#[cfg(test)]
mod tests;
