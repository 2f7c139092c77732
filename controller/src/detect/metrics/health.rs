//! Which rules fail: evaluation gave an error instead of a result. What an author sees of it is counted, and told once.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use watchkeep_rules::metric::RuleError;

use super::rules::group_of;
use super::streamed::Judged;

/// A rule: the key of the engine that evaluates it, and its name.
type Key = (String, String);

/// Rules that fail, and how often: of one worker's hosts, or of the rules across hosts. Plain data, as large as there are rules.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleHealth {
    /// By group and name.
    failing: BTreeMap<(String, String), FailingRule>,
    /// Failed evaluations by group since [`RuleHealth::take_if_changed`] was last asked.
    failures: BTreeMap<String, u64>,
    changed: bool,
    judged: Judged,
}

/// A rule whose newest evaluation failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailingRule {
    /// `file;name`
    pub group: String,
    pub rule: String,
    /// Why, as of the first that it failed for.
    pub message: String,
    /// The host that it first failed for; none for a rule across hosts.
    pub agent: Option<String>,
    /// For how many hosts it fails; 1 for a rule across hosts.
    pub hosts: u64,
}

impl FailingRule {
    /// Whether both are about the same rule.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.group, &self.rule) == (&other.group, &other.rule)
    }
}

/// Which rules of one host, or of those across hosts, failed when they were last evaluated.
#[derive(Clone, Debug, Default)]
pub struct Failing(BTreeSet<Key>);

impl Failing {
    /// The engine of that key evaluated its rules, of which `errors` failed. `agent`: for whom; none across hosts.
    pub fn evaluated(&mut self, agent: Option<&str>, engine: &str, errors: &[RuleError], health: &mut RuleHealth) {
        if errors.is_empty() && self.0.is_empty() {
            return;
        }
        for error in errors {
            let first = self.0.insert((engine.to_owned(), error.rule.clone()));
            health.failed(agent, group_of(engine), error, first);
        }
        let works = |(of, rule): &Key| of == engine && !errors.iter().any(|error| error.rule == *rule);
        self.forget(works, health);
    }

    /// Other rules are in force: what is failed of those is not known yet.
    pub fn reloaded(&mut self, health: &mut RuleHealth) {
        self.forget(|_| true, health);
    }

    fn forget(&mut self, works: impl Fn(&Key) -> bool, health: &mut RuleHealth) {
        for (engine, rule) in self.0.extract_if(.., |key| works(key)) {
            health.works((group_of(&engine).to_owned(), rule));
        }
    }
}

impl RuleHealth {
    fn failed(&mut self, agent: Option<&str>, group: &str, error: &RuleError, first: bool) {
        self.changed = true;
        *self.failures.entry(group.to_owned()).or_default() += 1;
        if !first {
            return;
        }
        let new = || FailingRule {
            group: group.to_owned(),
            rule: error.rule.clone(),
            message: error.message.clone(),
            agent: agent.map(str::to_owned),
            hosts: 0,
        };
        self.failing.entry((group.to_owned(), error.rule.clone())).or_insert_with(new).hosts += 1;
    }

    fn works(&mut self, key: (String, String)) {
        self.changed = true;
        let Some(known) = self.failing.get_mut(&key) else { return };
        known.hosts = known.hosts.saturating_sub(1);
        if known.hosts == 0 {
            self.failing.remove(&key);
        }
    }

    /// As it stands, where that changed since this was last asked; its failures are those since then.
    pub fn take_if_changed(&mut self) -> Option<Self> {
        std::mem::take(&mut self.changed).then(|| {
            let failures = std::mem::take(&mut self.failures);
            Self { failing: self.failing.clone(), failures, ..Self::default() }
        })
    }

    /// So many rules of a host were judged with a report, of which as many as `streamed` by the stream alone.
    pub fn judged(&mut self, rules: usize, streamed: usize) {
        self.judged.streamed += streamed as u64;
        self.judged.plain += rules.saturating_sub(streamed) as u64;
    }

    /// Evaluations of single hosts' rules since this was last asked.
    pub fn take_judged(&mut self) -> Judged {
        std::mem::take(&mut self.judged)
    }

    /// The rules that fail, by group and name.
    pub fn failing(&self) -> impl Iterator<Item = &FailingRule> {
        self.failing.values()
    }

    /// Failed evaluations by group, since they were taken before.
    pub fn failures(&self) -> &BTreeMap<String, u64> {
        &self.failures
    }
}
