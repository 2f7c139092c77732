//! What tests have looked at: rules that nothing was asserted of, transitions nobody asked for, alternatives never met.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::course::Course;
use super::file::{Expectation, Expected, RunsOf, Test};
use crate::events::{Transition, What};
use crate::metric::selectors;
use crate::model::RuleBook;
use crate::promql::ast::{BinaryOp, Expr, ExprKind};
use crate::promql::labels::NAME;
use crate::promql::{self, eval};
use crate::selector::MatchOp;

/// All rules that test files name, and what was seen of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    pub rules: Vec<RuleCoverage>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleCoverage {
    pub file: String,
    pub group: String,
    pub name: String,
    pub kind: Kind,
    /// Labels without templates, which tell rules of one name apart.
    pub labels: BTreeMap<String, String>,
    /// What tests asked of it.
    pub asserted: BTreeSet<Asserted>,
    /// Of `a or b` each side, as written anew, and whether it ever gave anything; empty where there is no `or`.
    pub branches: Vec<(String, bool)>,
    /// The metrics that it reads.
    #[serde(skip)]
    reads: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Alert,
    Record,
    Event,
}

/// What a test can ask of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asserted {
    /// That it fires.
    Fires,
    /// That it does not, where it has not fired.
    StaysQuiet,
    /// That it does not any more.
    Resolves,
    /// Of a recording rule: its values, or an alert that reads them.
    Values,
}

impl Kind {
    /// What there is to ask of such a rule.
    fn all(self) -> &'static [Asserted] {
        match self {
            Self::Alert | Self::Event => &[Asserted::Fires, Asserted::StaysQuiet, Asserted::Resolves],
            Self::Record => &[Asserted::Values],
        }
    }
}

impl fmt::Display for Asserted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fires => "fires",
            Self::StaysQuiet => "stays quiet",
            Self::Resolves => "resolves",
            Self::Values => "its values",
        })
    }
}

impl RuleCoverage {
    /// What no test asked of it.
    pub fn missing(&self) -> impl Iterator<Item = Asserted> + '_ {
        self.kind.all().iter().copied().filter(|what| !self.asserted.contains(what))
    }

    /// Whether an alert with these labels may be this rule's.
    fn is_of(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        self.name == name && self.labels.iter().all(|(label, value)| labels.get(label) == Some(value))
    }
}

impl Coverage {
    /// The rules of a book, of which nothing was asked yet.
    pub(super) fn of(book: &RuleBook) -> Self {
        let alerts = book
            .alert_rules
            .iter()
            .map(|rule| (Kind::Alert, &rule.file, &rule.group, &rule.name, &rule.labels, Some(&rule.expr)));
        let records = book
            .recording_rules
            .iter()
            .map(|rule| (Kind::Record, &rule.file, &rule.group, &rule.name, &rule.labels, Some(&rule.expr)));
        let events =
            book.event_rules.iter().map(|rule| (Kind::Event, &rule.file, &rule.group, &rule.name, &rule.labels, None));
        let rules = alerts.chain(records).chain(events).map(|(kind, file, group, name, labels, expr)| {
            let expr = expr.and_then(|text| promql::parse(text).ok());
            let literal = labels.iter().filter(|(_, value)| !value.contains("{{"));
            RuleCoverage {
                file: file.clone(),
                group: group.clone(),
                name: name.clone(),
                kind,
                labels: literal.map(|(label, value)| (label.clone(), value.clone())).collect(),
                asserted: BTreeSet::new(),
                branches: expr.iter().flat_map(branches).map(|branch| (branch.to_string(), false)).collect(),
                reads: expr.iter().flat_map(metrics).collect(),
            }
        });
        Self { rules: rules.collect() }
    }

    /// Notes what an expectation asks, as of its time.
    pub(super) fn asked(&mut self, expectation: &Expectation, course: &Course<'_>) {
        match &expectation.what {
            Expected::Alerts { name, alerts } => {
                for rule in self.rules.iter_mut().filter(|rule| rule.kind != Kind::Record && rule.name == *name) {
                    let fires = alerts.iter().any(|alert| rule.is_of(name, &alert.labels));
                    let fired = has_fired(rule, &course.happened);
                    rule.asserted.insert(match (fires, fired) {
                        (true, _) => Asserted::Fires,
                        (false, true) => Asserted::Resolves,
                        (false, false) => Asserted::StaysQuiet,
                    });
                }
            }
            Expected::Incidents(incidents) => {
                incidents
                    .iter()
                    .filter_map(|incident| incident.rule.as_ref())
                    .for_each(|name| self.fires(name, course));
            }
            Expected::Runs { of: RunsOf::Alert(name), .. } => self.fires(name, course),
            Expected::Runs { of: RunsOf::Runbook { .. }, .. } => {}
        }
    }

    fn fires(&mut self, name: &str, course: &Course<'_>) {
        for rule in self.rules.iter_mut().filter(|rule| rule.kind != Kind::Record) {
            if has_fired(rule, &course.happened) && rule.name == name {
                rule.asserted.insert(Asserted::Fires);
            }
        }
    }

    /// Notes which recorded metrics expressions look at, and which are read by a rule of which something was asked.
    pub(super) fn read(&mut self, test: &Test) {
        let mut looked_at: BTreeSet<String> = test.exprs.iter().flat_map(|asked| metrics(&asked.expr)).collect();
        loop {
            let asked = self.rules.iter().filter(|rule| !rule.asserted.is_empty());
            looked_at.extend(asked.flat_map(|rule| rule.reads.iter().cloned()));
            let mut found = false;
            for rule in self.rules.iter_mut().filter(|rule| rule.kind == Kind::Record) {
                found |= looked_at.contains(&rule.name) && rule.asserted.insert(Asserted::Values);
            }
            if !found {
                return;
            }
        }
    }

    /// Notes which sides of `or` give something at an instant.
    pub(super) fn met(&mut self, at: i64, samples: &promql::memory::Memory, settings: &eval::Settings) {
        for (branch, met) in self.rules.iter_mut().flat_map(|rule| &mut rule.branches).filter(|(_, met)| !met) {
            let Ok(expr) = promql::parse(branch) else { continue };
            let value = eval::instant(&expr, samples, at, settings).map(|evaluated| evaluated.value);
            *met = matches!(value, Ok(eval::Value::Vector(samples)) if !samples.is_empty());
        }
    }

    /// Adds what other tests of the same rules, or of others, have asked.
    pub fn add(&mut self, other: &Self) {
        for rule in &other.rules {
            let same = |known: &&mut RuleCoverage| {
                (&known.file, &known.group, &known.name, &known.labels, known.kind)
                    == (&rule.file, &rule.group, &rule.name, &rule.labels, rule.kind)
            };
            let Some(known) = self.rules.iter_mut().find(same) else {
                self.rules.push(rule.clone());
                continue;
            };
            known.asserted.extend(&rule.asserted);
            for ((_, met), (_, also)) in known.branches.iter_mut().zip(&rule.branches) {
                *met |= also;
            }
        }
    }
}

fn has_fired(rule: &RuleCoverage, happened: &[Transition]) -> bool {
    happened
        .iter()
        .any(|transition| transition.what == What::Firing && rule.is_of(&transition.rule, &transition.labels))
}

/// The sides of the outermost `or`s; none where there is none.
fn branches(expr: &Expr) -> Vec<&Expr> {
    match &expr.kind {
        ExprKind::Paren(inner) => branches(inner),
        ExprKind::Binary(binary) if binary.op == BinaryOp::Or => {
            let of = |side| {
                let inner = branches(side);
                if inner.is_empty() { vec![side] } else { inner }
            };
            [of(&binary.lhs), of(&binary.rhs)].concat()
        }
        _ => Vec::new(),
    }
}

/// The metrics that an expression names.
fn metrics(expr: &Expr) -> Vec<String> {
    let reads = selectors(expr);
    let matchers = reads.iter().flat_map(|read| &read.selector.matchers.matchers);
    matchers.filter(|m| m.label == NAME && m.op == MatchOp::Equal).map(|m| m.value.clone()).collect()
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.rules.len();
        let tested = self.rules.iter().filter(|rule| !rule.asserted.is_empty()).count();
        let asked: usize = self.rules.iter().map(|rule| rule.asserted.len()).sum();
        let to_ask: usize = self.rules.iter().map(|rule| rule.kind.all().len()).sum();
        writeln!(f, "coverage: {tested} of {all} rules, {asked} of {to_ask} of what can be asked of them")?;
        for rule in &self.rules {
            rule.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for RuleCoverage {
    /// Nothing where nothing is missing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing: Vec<String> = self.missing().map(|what| what.to_string()).collect();
        let labels = match self.labels.is_empty() {
            true => String::new(),
            false => {
                let pairs = self.labels.iter().map(|(label, value)| format!("{label}={value:?}"));
                format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
            }
        };
        let place = format!("{}: {}{labels}", self.file, self.name);
        match missing.is_empty() {
            true => {}
            false if self.asserted.is_empty() => writeln!(f, "  {place}: no test asks anything of it")?,
            false => writeln!(f, "  {place}: never asserted: {}", missing.join(", "))?,
        }
        for (branch, _) in self.branches.iter().filter(|(_, met)| !met) {
            writeln!(f, "  {place}: this side of 'or' never gave anything: {branch}")?;
        }
        Ok(())
    }
}
