//! One test as it runs: events and samples come in, rules over both are judged, and what fires is known at any time.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::coverage::Coverage;
use super::file::{InputEvent, Test};
use super::report::Failure;
use super::series::Given;
use crate::duration;
use crate::events::{Event, EventEngine, EventRules, Transition, What};
use crate::metric::{MetricEngine, MetricRules, Rule, Settings};
use crate::model::RuleBook;
use crate::promql::eval;
use crate::promql::memory::Memory;
use crate::promql::series::Point;

/// Evaluations of all groups that one test may ask for.
const EVALUATIONS_MAX: i64 = 1_000_000;

/// The rules of a test file, made ready once for all its tests.
pub(super) struct ReadyRules {
    pub events: Arc<EventRules>,
    /// A group each, in the order of evaluation.
    groups: Vec<(Arc<MetricRules>, Settings)>,
    /// Ms between evaluations.
    interval: i64,
}

impl ReadyRules {
    /// Groups in `order` come first, in it; the others after them, in the order of the files. The interval of a group is not
    /// looked at, as in promtool.
    pub fn new(book: &RuleBook, interval: i64, order: &[String]) -> Result<Self, String> {
        let events = EventRules::new(&book.event_rules).map_err(|error| error.message)?;
        let mut named: Vec<_> = book.groups.iter().collect();
        named.sort_by_key(|group| order.iter().position(|name| *name == group.name).unwrap_or(order.len()));
        let mut groups = Vec::new();
        for group in named {
            let rules = MetricRules::new(Rule::of_group(book, &group.file, &group.name))?;
            let settings = Settings {
                evaluation: evaluation(interval),
                query_offset: group.query_offset,
                limit: usize::try_from(group.limit).unwrap_or(usize::MAX),
                hold_missing: false,
                asks_later: false,
            };
            if !rules.is_empty() {
                groups.push((Arc::new(rules), settings));
            }
        }
        Ok(Self { events: Arc::new(events), groups, interval })
    }

    pub fn evaluation(&self) -> eval::Settings {
        evaluation(self.interval)
    }
}

fn evaluation(interval: i64) -> eval::Settings {
    eval::Settings { subquery_step: interval, ..eval::Settings::default() }
}

/// An alert that fires.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FiringAlert {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// NaN for an alert over events.
    pub value: f64,
}

pub(super) struct Course<'a> {
    test: &'a Test,
    rules: &'a ReadyRules,
    events: Arc<EventRules>,
    hosts: BTreeMap<String, EventEngine>,
    groups: Vec<MetricEngine>,
    memory: Memory,
    /// Of each input series the next value.
    next_value: Vec<usize>,
    next_event: usize,
    /// When the groups are evaluated next.
    next_evaluation: i64,
    /// All transitions so far, as they happened.
    pub happened: Vec<Transition>,
    /// Rules that could not be evaluated: the test ends there.
    pub failures: Vec<Failure>,
}

impl<'a> Course<'a> {
    pub fn new(test: &'a Test, rules: &'a ReadyRules) -> Self {
        let groups = rules.groups.iter().map(|(rules, settings)| {
            let rules = MetricRules::clone(rules).installed(Arc::clone(&test.installation));
            MetricEngine::new(Arc::new(rules), *settings)
        });
        let events = EventRules::clone(&rules.events).installed(&test.installation);
        Self {
            test,
            rules,
            events: Arc::new(events),
            hosts: BTreeMap::new(),
            groups: groups.collect(),
            memory: Memory::default(),
            next_value: vec![0; test.series.len()],
            next_event: 0,
            next_evaluation: test.start,
            happened: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Lets everything up to and at `at` happen.
    pub fn go_to(&mut self, at: i64, coverage: &mut Coverage) {
        if (at - self.test.start) / self.rules.interval > EVALUATIONS_MAX {
            let at = duration::format(at - self.test.start);
            let every = duration::format(self.rules.interval);
            self.fail(format!("{at} of evaluations every {every} are more than {EVALUATIONS_MAX}"));
        }
        while self.next_evaluation <= at && self.failures.is_empty() {
            let now = self.next_evaluation;
            self.events_until(now);
            self.evaluate(now);
            coverage.met(now, &self.memory, &self.rules.evaluation());
            self.next_evaluation += self.rules.interval;
        }
        self.events_until(at);
    }

    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    fn fail(&mut self, found: String) {
        let what = "rules are evaluated".to_owned();
        self.failures.push(Failure { line: self.test.line, what, expected: Vec::new(), found: vec![found] });
    }

    fn events_until(&mut self, at: i64) {
        let test = self.test;
        while let Some(event) = test.events.get(self.next_event).filter(|event| event.at <= at) {
            self.next_event += 1;
            self.tick(event.at);
            self.event(event);
        }
        self.tick(at);
    }

    fn event(&mut self, event: &InputEvent) {
        let host = event.labels.get("instance").cloned().unwrap_or_else(|| "localhost".to_owned());
        let rules = &self.events;
        let engine = self.hosts.entry(host.clone()).or_insert_with(|| EventEngine::new(host, Arc::clone(rules)));
        self.happened.extend(engine.event(&Event { labels: &event.labels, text: &event.text, at: event.at }));
    }

    fn tick(&mut self, at: i64) {
        let mut due: Vec<Transition> = self.hosts.values_mut().flat_map(|engine| engine.tick(at)).collect();
        due.sort_by_key(|transition| transition.at);
        self.happened.append(&mut due);
    }

    /// Loads the samples of up to `now`, and evaluates every group: a later one sees what an earlier one wrote.
    fn evaluate(&mut self, now: i64) {
        if let Err(message) = self.load(now) {
            self.fail(message);
            return;
        }
        for place in 0..self.groups.len() {
            let output = self.groups[place].eval(now, &self.memory);
            self.happened.extend(output.transitions);
            for error in output.errors {
                self.fail(format!("{error} (at {})", duration::format(now - self.test.start)));
            }
            for written in output.series {
                let point = Point { at: written.at, value: written.value };
                if let Err(message) = self.memory.append(&written.labels, point) {
                    self.fail(message);
                }
            }
        }
    }

    fn load(&mut self, now: i64) -> Result<(), String> {
        for (series, next) in self.test.series.iter().zip(&mut self.next_value) {
            while let Some(value) = series.values.get(*next) {
                let since = i64::try_from(*next).unwrap_or(i64::MAX).saturating_mul(self.test.interval);
                let at = since.saturating_add(self.test.start);
                if at > now {
                    break;
                }
                *next += 1;
                match value {
                    None => {}
                    Some(Given::Number(value)) => self.memory.append(&series.labels, Point { at, value: *value })?,
                    Some(Given::Histogram(held)) => {
                        self.memory.append_histogram(&series.labels, at, Arc::clone(held))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Every alert of a rule that fires: of rules over samples as of the last evaluation.
    pub fn firing(&self, rule: &str) -> Vec<FiringAlert> {
        let mut alerts: BTreeMap<&BTreeMap<String, String>, &Transition> = BTreeMap::new();
        let over_events = |transition: &&Transition| transition.rule == rule && self.is_event_rule(rule);
        for transition in self.happened.iter().filter(over_events) {
            match transition.what {
                What::Firing | What::FiringAgain | What::Stale => alerts.insert(&transition.labels, transition),
                What::Resolved => alerts.remove(&transition.labels),
            };
        }
        let alert = |t: &Transition| FiringAlert {
            labels: t.labels.clone(),
            annotations: t.annotations.clone(),
            value: f64::NAN,
        };
        let mut found: Vec<FiringAlert> = alerts.into_values().map(alert).collect();
        let states = self.groups.iter().flat_map(|group| group.state().alerts());
        let firing = states.filter(|(name, alert)| *name == rule && alert.is_firing());
        found.extend(firing.map(|(_, alert)| FiringAlert {
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            value: alert.value,
        }));
        found
    }

    fn is_event_rule(&self, name: &str) -> bool {
        self.rules.events.names().any(|known| known == name)
    }
}
