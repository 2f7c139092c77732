//! What rules over samples would have done on samples of the past: the engine that judges live, on instants that are over.
//!
//! Samples are handed in span by span, oldest first, and forgotten when no rule looks back to them any more, so that days need
//! no more memory than the longest look back. Alerts begin before the span that is asked for, by as long as they must hold.
//! What rules record is recorded anew and never asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use crate::events::{Transition, What};
use crate::metric::{MetricEngine, MetricRules, Rule, Settings, selectors};
use crate::model::RuleBook;
use crate::promql;
use crate::promql::labels::NAME;
use crate::promql::memory::Memory;
use crate::promql::series::{Point, Series};
use crate::selector::{MatchOp, Selector};

/// Instants of one replay, all groups together.
pub const INSTANTS_MAX: i64 = 1_000_000;
/// Points that are held at once; each takes 16 bytes.
pub const POINTS_MAX: usize = 20_000_000;
/// How long before the span rules are judged at most, ms.
const LEAD_MAX: i64 = 86_400_000;
/// What rules write about alerts, which is theirs to write anew.
const OF_ALERTS: [&str; 2] = ["ALERTS", "ALERTS_FOR_STATE"];

/// Rules on their way through the past.
#[derive(Debug)]
pub struct Replay {
    groups: Vec<Group>,
    /// What must be read, each once.
    reads: Vec<Selector>,
    recorded: BTreeSet<String>,
    /// How far back rules look at most, ms.
    back: i64,
    from: i64,
    /// Instant up to which samples were handed in.
    until: i64,
    memory: Memory,
    transitions: Vec<Transition>,
    /// Rules that could not be evaluated, with how often and why at first.
    failures: BTreeMap<String, (u64, String)>,
    instants: u64,
}

#[derive(Debug)]
struct Group {
    engine: MetricEngine,
    interval: i64,
    next: i64,
}

/// One alert, from when it fired to when it was over.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lived {
    pub rule: String,
    pub labels: BTreeMap<String, String>,
    /// As rendered when it fired.
    pub annotations: BTreeMap<String, String>,
    /// UTC milliseconds.
    pub began: i64,
    /// None: it fires still.
    pub ended: Option<i64>,
}

/// A rule that could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failed {
    pub rule: String,
    pub times: u64,
    /// Why it failed at first.
    pub why: String,
}

impl Replay {
    /// Rules of `book` from `from` on, UTC milliseconds, every `every` ms where their group has no interval of its own.
    ///
    /// # Errors
    /// There is no rule over samples, or one does not parse.
    pub fn new(book: &RuleBook, from: i64, to: i64, every: i64) -> Result<Self, String> {
        let mut replay = Self {
            groups: Vec::new(),
            reads: Vec::new(),
            recorded: OF_ALERTS.map(str::to_owned).into(),
            back: 0,
            from,
            until: 0,
            memory: Memory::default(),
            transitions: Vec::new(),
            failures: BTreeMap::new(),
            instants: 0,
        };
        replay.recorded.extend(book.recording_rules.iter().map(|rule| rule.name.clone()));
        let mut lead = 0;
        for group in &book.groups {
            let rules = Rule::of_group(book, &group.file, &group.name);
            for rule in &rules {
                lead = lead.max(replay.reach(rule, group.query_offset)?);
            }
            let settings = Settings {
                query_offset: group.query_offset,
                limit: usize::try_from(group.limit).unwrap_or(usize::MAX),
                ..Settings::default()
            };
            if !rules.is_empty() {
                let engine = MetricEngine::new(Arc::new(MetricRules::new(rules)?), settings);
                replay.groups.push(Group { engine, interval: group.interval.unwrap_or(every).max(1), next: 0 });
            }
        }
        replay.start(from.saturating_sub(lead.min(LEAD_MAX)), to)?;
        Ok(replay)
    }

    /// Notes what a rule reads; gives how long before the span it must be judged so that its alerts are as they were.
    fn reach(&mut self, rule: &Rule, query_offset: i64) -> Result<i64, String> {
        let expr = promql::parse(rule.expr()).map_err(|faults| {
            let why = faults.first().map(ToString::to_string).unwrap_or_default();
            format!("the expression of rule '{}' does not parse: {why}", rule.name())
        })?;
        let hold = match rule {
            Rule::Alert(alert) => alert.hold.saturating_add(alert.keep_firing_for),
            Rule::Record(_) => 0,
        };
        let mut lead = 0;
        for read in selectors(&expr) {
            let back = read.back(Settings::default().evaluation.lookback).saturating_add(query_offset);
            self.back = self.back.max(back);
            if self.is_recorded(&read.selector.matchers) {
                lead = lead.max(back);
            } else if !self.reads.contains(&read.selector.matchers) {
                self.reads.push(read.selector.matchers.clone());
            }
        }
        Ok(lead.saturating_add(hold))
    }

    fn is_recorded(&self, matchers: &Selector) -> bool {
        let names = |m: &crate::selector::Matcher| m.label == NAME && m.op == MatchOp::Equal;
        matchers.matchers.iter().any(|matcher| names(matcher) && self.recorded.contains(&matcher.value))
    }

    fn start(&mut self, start: i64, to: i64) -> Result<(), String> {
        if self.groups.is_empty() {
            return Err("there is no rule over samples here; rules over events are not replayed".to_owned());
        }
        let instants: i64 = self.groups.iter().map(|group| to.saturating_sub(start).max(0) / group.interval + 1).sum();
        if instants > INSTANTS_MAX {
            return Err(format!(
                "{instants} instants to judge are more than {INSTANTS_MAX}: take a shorter span or judge less often"
            ));
        }
        for group in &mut self.groups {
            group.next = start.div_euclid(group.interval) * group.interval;
        }
        self.until = start.saturating_sub(self.back);
        Ok(())
    }

    /// What must be handed in: every series of these selectors.
    pub fn reads(&self) -> &[Selector] {
        &self.reads
    }

    /// The instant after which samples are handed in next.
    pub fn until(&self) -> i64 {
        self.until
    }

    /// Takes the samples of `(until, to]` of everything in [`Self::reads`], and judges every instant in it.
    ///
    /// # Errors
    /// They are more than are held at once.
    pub fn go_on(&mut self, series: &[Series], to: i64) -> Result<(), String> {
        for one in series {
            if one.labels.get(NAME).is_none_or(|name| !self.recorded.contains(name)) {
                self.append(one)?;
            }
        }
        let points: usize = self.memory.series().map(|(_, points)| points.len()).sum();
        if points > POINTS_MAX {
            return Err(format!("{points} samples are more than the {POINTS_MAX} that are held at once"));
        }
        while let Some(place) = self.due(to) {
            self.judge(place);
        }
        self.until = to;
        self.memory.forget_before(to.saturating_sub(self.back));
        Ok(())
    }

    /// Two selectors may bring the same series: what is there already is left out.
    fn append(&mut self, one: &Series) -> Result<(), String> {
        let last = self.memory.last(&one.labels).map_or(i64::MIN, |point| point.at);
        one.points.iter().filter(|point| point.at > last).try_for_each(|point| self.memory.append(&one.labels, *point))
    }

    /// The group that is judged next, up to `to`: in the order of time, then of the files.
    fn due(&self, to: i64) -> Option<usize> {
        let due = self.groups.iter().enumerate().filter(|(_, group)| group.next <= to);
        due.min_by_key(|(place, group)| (group.next, *place)).map(|(place, _)| place)
    }

    fn judge(&mut self, place: usize) {
        let group = &mut self.groups[place];
        let output = group.engine.eval(group.next, &self.memory);
        group.next += group.interval;
        self.instants += 1;
        self.transitions.extend(output.transitions);
        for error in output.errors {
            self.failures.entry(error.rule).or_insert((0, error.message)).0 += 1;
        }
        for written in output.series {
            let point = Point { at: written.at, value: written.value };
            if let Err(message) = self.memory.append(&written.labels, point) {
                let name = written.labels.get(NAME).unwrap_or_default().to_owned();
                self.failures.entry(name).or_insert((0, message)).0 += 1;
            }
        }
    }

    /// All transitions so far, as they happened, those before the span included.
    pub fn transitions(&self) -> &[Transition] {
        &self.transitions
    }

    /// How often groups were judged.
    pub fn instants(&self) -> u64 {
        self.instants
    }

    pub fn failures(&self) -> Vec<Failed> {
        let failed = |(rule, (times, why)): (&String, &(u64, String))| Failed {
            rule: rule.clone(),
            times: *times,
            why: why.clone(),
        };
        self.failures.iter().map(failed).collect()
    }

    /// The alerts that fired in the span, in the order in which they began.
    pub fn alerts(&self) -> Vec<Lived> {
        let mut lived: Vec<Lived> = Vec::new();
        let mut open: BTreeMap<(&str, &BTreeMap<String, String>), usize> = BTreeMap::new();
        for transition in &self.transitions {
            let key = (transition.rule.as_str(), &transition.labels);
            match transition.what {
                What::Firing => {
                    open.insert(key, lived.len());
                    lived.push(Lived {
                        rule: transition.rule.clone(),
                        labels: transition.labels.clone(),
                        annotations: transition.annotations.clone(),
                        began: transition.at,
                        ended: None,
                    });
                }
                What::Resolved => {
                    if let Some(place) = open.remove(&key) {
                        lived[place].ended = Some(transition.at);
                    }
                }
                What::FiringAgain | What::Stale => {}
            }
        }
        lived.retain(|alert| alert.ended.is_none_or(|ended| ended >= self.from));
        lived
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::load;
    use crate::promql::labels::Labels;
    use crate::promql::series::Samples;

    const RULES: &str = r#"groups:
- name: g
  interval: 1m
  rules:
  - {record: 'job:up:min', expr: min by (job) (up)}
  - {alert: Down, expr: 'min_over_time(job:up:min[2m]) == 0', for: 2m, annotations: {summary: '{{ $labels.job }} is down'}}
  - {alert: Broken, expr: 'up * on (job) group_left (nothing) two', for: 1m}
"#;
    const MINUTE: i64 = 60_000;

    /// A store of the past: `up` of a job that is 0 in these minutes, of 4 hours.
    fn past(down: std::ops::Range<i64>) -> Memory {
        let mut memory = Memory::default();
        for minute in 0..240 {
            let value = if down.contains(&minute) { 0.0 } else { 1.0 };
            let point = Point { at: minute * MINUTE, value };
            memory.append(&Labels::new([(NAME, "up"), ("job", "a")]), point).expect("in order");
            for two in ["x", "y"] {
                memory.append(&Labels::new([(NAME, "two"), ("job", "a"), ("z", two)]), point).expect("in order");
            }
        }
        memory
    }

    fn replayed(from: i64, to: i64, span: i64, past: &Memory) -> Replay {
        let book = load(&[("r.yaml".into(), RULES.to_owned())]).unwrap_or_else(|faults| panic!("{faults}"));
        let mut replay = Replay::new(&book, from * MINUTE, to * MINUTE, MINUTE).expect("rules over samples");
        while replay.until() < to * MINUTE {
            let after = replay.until();
            let until = (after + span * MINUTE).min(to * MINUTE);
            let series: Vec<Series> = replay
                .reads()
                .iter()
                .flat_map(|read| past.select(read, after, until).expect("it is in memory"))
                .collect();
            replay.go_on(&series, until).expect("it fits");
        }
        replay
    }

    #[test]
    fn an_alert_of_the_past_has_its_beginning_and_end() {
        let past = past(100..110);
        for span in [1, 7, 60, 500] {
            let replay = replayed(60, 200, span, &past);
            let alerts = replay.alerts();
            let spans: Vec<(i64, Option<i64>)> =
                alerts.iter().map(|alert| (alert.began / MINUTE, alert.ended.map(|ended| ended / MINUTE))).collect();
            // The range keeps the last 0 for one instant more.
            assert_eq!(spans, [(102, Some(111))], "handed in by {span} minutes");
            assert_eq!(alerts[0].annotations["summary"], "a is down");
        }
    }

    #[test]
    fn one_that_began_before_the_span_is_in_it_and_one_that_was_over_is_not() {
        let past = past(100..110);
        assert_eq!(replayed(105, 108, 60, &past).alerts()[0].ended, None);
        assert_eq!(replayed(112, 200, 60, &past).alerts(), []);
    }

    #[test]
    fn a_rule_that_fails_is_told_with_its_reason() {
        let failures = replayed(60, 70, 60, &past(0..0)).failures();
        assert_eq!(failures.len(), 1, "{failures:?}");
        assert!(
            failures[0].rule == "Broken" && failures[0].times >= 10 && failures[0].why.contains("many"),
            "{failures:?}"
        );
    }

    #[test]
    fn what_cannot_be_replayed_is_refused() {
        let book = |text: &str| load(&[("r.yaml".into(), text.to_owned())]).expect("good rules");
        let events = book("groups: [{name: g, rules: [{event: E, match: '{kind=\"a\"}', clear_after: 1m}]}]");
        assert!(Replay::new(&events, 0, MINUTE, 1).expect_err("no samples").contains("events are not replayed"));
        let wrong = Replay::new(&book(RULES), 0, 2_000_000 * MINUTE, MINUTE).expect_err("too long");
        assert!(wrong.contains("a shorter span"), "{wrong}");
    }
}
