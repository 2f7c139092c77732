//! Rules made ready: expressions parsed, templates read.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Installation;
use super::render::Texts;
use super::scope::{Scope, scopes};
use crate::alert::Holds;
use crate::model::{AlertRule, RecordingRule, RuleBook};
use crate::promql::ast::Expr;
use crate::promql::{self};
use crate::stream::Asked;

/// One rule over samples.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    Alert(Box<AlertRule>),
    Record(RecordingRule),
}

/// Rules in the order in which they are evaluated.
#[derive(Clone, Debug, Default)]
pub struct MetricRules {
    pub(super) ready: Vec<Ready>,
    pub(super) installation: Arc<Installation>,
}

#[derive(Clone, Debug)]
pub(super) struct Ready {
    pub rule: Rule,
    pub expr: Expr,
    /// What tells it apart from the others, and is the same in the next generation where name and labels are.
    pub key: String,
    /// Of a recording rule as they are; of an alert rule templates.
    pub labels: Texts,
    pub annotations: Texts,
}

impl Rule {
    /// The alert's name, or the metric that is recorded.
    pub fn name(&self) -> &str {
        match self {
            Self::Alert(rule) => &rule.name,
            Self::Record(rule) => &rule.name,
        }
    }

    pub fn expr(&self) -> &str {
        match self {
            Self::Alert(rule) => &rule.expr,
            Self::Record(rule) => &rule.expr,
        }
    }

    pub fn labels(&self) -> &BTreeMap<String, String> {
        match self {
            Self::Alert(rule) => &rule.labels,
            Self::Record(rule) => &rule.labels,
        }
    }

    /// What tells it apart from the others of its group, and is the same in the next generation where name and labels are.
    pub fn identity(&self) -> String {
        let kind = if matches!(self, Self::Alert(_)) { "alert" } else { "record" };
        let labels = serde_json::to_string(self.labels()).expect("a map of texts is JSON");
        format!("{kind} {}{labels}", self.name())
    }

    /// The rules of one group of a file, in their order; empty where there is no such group.
    pub fn of_group(book: &RuleBook, file: &str, group: &str) -> Vec<Self> {
        let alerts = book.alert_rules.iter().filter(|rule| (rule.file.as_str(), rule.group.as_str()) == (file, group));
        let records =
            book.recording_rules.iter().filter(|rule| (rule.file.as_str(), rule.group.as_str()) == (file, group));
        let mut found: Vec<(usize, Self)> =
            alerts.map(|rule| (rule.place, Self::Alert(Box::new(rule.clone())))).collect();
        found.extend(records.map(|rule| (rule.place, Self::Record(rule.clone()))));
        found.sort_by_key(|(place, _)| *place);
        found.into_iter().map(|(_, rule)| rule).collect()
    }
}

impl MetricRules {
    /// # Errors
    /// An expression does not parse, which loading would have refused.
    pub fn new(rules: Vec<Rule>) -> Result<Self, String> {
        let mut ready = Vec::with_capacity(rules.len());
        let mut met: BTreeMap<String, usize> = BTreeMap::new();
        for rule in rules {
            let expr = promql::parse(rule.expr()).map_err(|faults| {
                let first = faults.first().map(ToString::to_string).unwrap_or_default();
                format!("the expression of rule '{}' does not parse: {first}", rule.name())
            })?;
            let same = rule.identity();
            let count = met.entry(same.clone()).or_default();
            let key = if *count == 0 { same.clone() } else { format!("{same}#{count}") };
            *count += 1;
            let annotations = match &rule {
                Rule::Alert(alert) => Texts::new(&alert.annotations),
                Rule::Record(_) => Texts::default(),
            };
            ready.push(Ready { expr, key, labels: Texts::new(rule.labels()), annotations, rule });
        }
        Ok(Self { ready, installation: Arc::default() })
    }

    /// What templates know of where they run; nothing unless it is told.
    #[must_use]
    pub fn installed(self, installation: Arc<Installation>) -> Self {
        Self { installation, ..self }
    }

    pub fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    pub fn len(&self) -> usize {
        self.ready.len()
    }

    /// Those of the rules that record, in their order.
    #[must_use]
    pub fn recording(&self) -> Self {
        let records = |ready: &&Ready| matches!(ready.rule, Rule::Record(_));
        let ready = self.ready.iter().filter(records).cloned().collect();
        Self { ready, installation: Arc::clone(&self.installation) }
    }

    /// The rules with their parsed expressions, in order.
    pub fn rules(&self) -> impl Iterator<Item = (&Rule, &Expr)> {
        self.ready.iter().map(|ready| (&ready.rule, &ready.expr))
    }

    /// The rules as a stream is asked for them, in order.
    pub fn asked(&self) -> impl Iterator<Item = Asked<'_>> {
        self.ready.iter().map(|ready| {
            let records = match &ready.rule {
                Rule::Alert(_) => None,
                Rule::Record(rule) => Some((rule.name.as_str(), &rule.labels)),
            };
            Asked { expr: &ready.expr, records }
        })
    }

    /// Of each rule whether one host's series suffice for it. A rule that reads what a rule across hosts records is one
    /// across hosts itself.
    pub fn scopes(&self) -> Vec<Scope> {
        scopes(&self.ready)
    }
}

impl Ready {
    pub fn holds(&self) -> Holds {
        match &self.rule {
            Rule::Alert(rule) => Holds { hold: rule.hold, keep_firing_for: rule.keep_firing_for },
            Rule::Record(_) => Holds::default(),
        }
    }
}
