//! Running tests: events and samples go through the same engines as live ones.

use std::collections::BTreeMap;

use super::course::{Course, FiringAlert, ReadyRules};
use super::coverage::Coverage;
use super::expr;
use super::file::{self, Expectation, Expected, ExpectedIncident, RunsOf, Test, TestFile};
use super::plan::{self, Planned};
use super::report::{Failure, FileReport, TestReport};
use super::{IncidentJudge, IncidentSeen};
use crate::duration;
use crate::fault::{Fault, Faults};
use crate::model::RuleBook;

/// Runs the tests of one file against rules that are loaded already.
pub fn run_file(
    file: &str,
    text: &str,
    book: &RuleBook,
    judge: Option<&mut dyn IncidentJudge>,
) -> Result<FileReport, Faults> {
    let read = file::read(file, text)?;
    let rules = ReadyRules::new(book, read.interval, &read.group_order)
        .map_err(|message| Faults { faults: vec![Fault::of_file(file, message)], more: 0 })?;
    let mut judge = judge;
    let mut coverage = Coverage::of(book);
    let mut reports = Vec::with_capacity(read.tests.len());
    for test in &read.tests {
        let judge = judge.as_mut().map(|judge| &mut **judge as &mut dyn IncidentJudge);
        reports.push(run_test(test, &read, book, &rules, judge, &mut coverage));
    }
    Ok(FileReport { file: file.to_owned(), tests: reports, coverage })
}

/// Expectations are looked at as their times come; expressions at the end, when all samples are loaded.
fn run_test(
    test: &Test,
    file: &TestFile,
    book: &RuleBook,
    rules: &ReadyRules,
    mut judge: Option<&mut dyn IncidentJudge>,
    coverage: &mut Coverage,
) -> TestReport {
    let mut course = Course::new(test, rules);
    let mut in_order: Vec<&Expectation> = test.expectations.iter().collect();
    in_order.sort_by_key(|expectation| expectation.at);
    let mut failures = Vec::new();
    for expectation in in_order {
        course.go_to(expectation.at, coverage);
        if !course.failures.is_empty() {
            break;
        }
        coverage.asked(expectation, &course);
        let judge = judge.as_mut().map(|judge| &mut **judge as &mut dyn IncidentJudge);
        failures.extend(judged(expectation, test, book, &course, judge));
    }
    course.go_to(test.exprs.iter().map(|expr| expr.at).max().unwrap_or(test.start), coverage);
    coverage.read(test);
    if course.failures.is_empty() {
        let settings = rules.evaluation();
        failures.extend(
            test.exprs.iter().filter_map(|expr| expr::judged(expr, test.start, &course, &settings, file.fuzzy)),
        );
    }
    failures.append(&mut course.failures);
    failures.sort_by_key(|failure| failure.line);
    TestReport { name: test.name.clone(), failures }
}

fn judged(
    expectation: &Expectation,
    test: &Test,
    book: &RuleBook,
    course: &Course<'_>,
    judge: Option<&mut dyn IncidentJudge>,
) -> Option<Failure> {
    let at = duration::format(expectation.at - test.start);
    let (what, expected, found) = match &expectation.what {
        Expected::Alerts { name, alerts } => {
            let expected = alerts.iter().map(|alert| shown_alert(&alert.labels, &alert.annotations)).collect();
            let found = match is_rule(book, test, name) {
                Ok(()) => course.firing(name).iter().map(|a| shown_alert(&a.labels, &a.annotations)).collect(),
                Err(sentence) => vec![sentence],
            };
            (format!("alert_rule_test at {at}, alert '{name}'"), expected, found)
        }
        Expected::Incidents(expected) => {
            let (expected, found) = incidents(expected, book, course, expectation.at, judge);
            (format!("incident_test at {at}"), expected, found)
        }
        Expected::Runs { of, runs } => {
            let planned = planned(of, test, book, course);
            let expected: Vec<String> = runs
                .iter()
                .enumerate()
                .map(|(place, run)| {
                    // What is not named is taken as it is.
                    let like = planned.get(place);
                    let runbook = run.runbook.as_deref().or(like.map(|run| run.runbook.as_str())).unwrap_or("?");
                    let host = run.host.as_deref().or(like.map(|run| run.host.as_str())).unwrap_or("?");
                    shown_run(runbook, host, &Ok(run.steps.clone()))
                })
                .collect();
            let found = planned.iter().map(|run| shown_run(&run.runbook, &run.host, &run.steps)).collect();
            (format!("runbook_test at {at}"), expected, found)
        }
    };
    let (expected, found) = differing(expected, found);
    (!expected.is_empty() || !found.is_empty()).then_some(Failure { line: expectation.line, what, expected, found })
}

/// What is on one side only, sorted.
fn differing(mut expected: Vec<String>, mut found: Vec<String>) -> (Vec<String>, Vec<String>) {
    expected.retain(|line| match found.iter().position(|other| other == line) {
        Some(place) => {
            found.remove(place);
            false
        }
        None => true,
    });
    expected.sort();
    found.sort();
    (expected, found)
}

/// A test of a rule that is not there must not pass because nothing fires. In files that promtool runs too it does, as there.
fn is_rule(book: &RuleBook, test: &Test, name: &str) -> Result<(), String> {
    let events = book.event_rules.iter().map(|rule| rule.name.as_str());
    let names: Vec<&str> = events.chain(book.alert_rules.iter().map(|rule| rule.name.as_str())).collect();
    if names.contains(&name) || test.events.is_empty() {
        return Ok(());
    }
    let hint = crate::near::near(name, names).map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
    Err(format!("the rule files have no rule '{name}'{hint}"))
}

fn shown_alert(labels: &BTreeMap<String, String>, annotations: &BTreeMap<String, String>) -> String {
    let pairs = |map: &BTreeMap<String, String>| {
        map.iter().map(|(name, value)| format!("{name}={value:?}")).collect::<Vec<_>>().join(", ")
    };
    match annotations.is_empty() {
        true => format!("{{{}}}", pairs(labels)),
        false => format!("{{{}}} annotations {{{}}}", pairs(labels), pairs(annotations)),
    }
}

fn incidents(
    expected: &[ExpectedIncident],
    book: &RuleBook,
    course: &Course<'_>,
    at: i64,
    judge: Option<&mut dyn IncidentJudge>,
) -> (Vec<String>, Vec<String>) {
    let Some(judge) = judge else {
        let sentence = "nobody here judges incidents; run this file by 'watchkeep rules test'".to_owned();
        return (expected.iter().map(|incident| shown_incident(&named(incident))).collect(), vec![sentence]);
    };
    let mut found = judge.open_at(book, &course.happened, at);
    let mut missing = Vec::new();
    for incident in expected {
        match found.iter().position(|seen| fits(incident, seen)) {
            Some(place) => {
                found.remove(place);
            }
            None => missing.push(shown_incident(&named(incident))),
        }
    }
    let found = found.iter().map(|seen| {
        let mut shown = format!("rule={} key={} priority={}", seen.rule, seen.key, seen.priority);
        shown.push_str(&seen.ci.iter().map(|ci| format!(" ci={ci}")).collect::<String>());
        shown.push_str(&seen.runbook.iter().map(|name| format!(" runbook={name}")).collect::<String>());
        shown
    });
    (missing, found.collect())
}

fn fits(expected: &ExpectedIncident, seen: &IncidentSeen) -> bool {
    expected.rule.as_ref().is_none_or(|rule| *rule == seen.rule)
        && expected.key.as_ref().is_none_or(|key| *key == seen.key)
        && expected.priority.is_none_or(|priority| priority == seen.priority)
        && expected.ci.as_ref().is_none_or(|ci| Some(ci) == seen.ci.as_ref())
        && expected.runbook.as_ref().is_none_or(|runbook| Some(runbook) == seen.runbook.as_ref())
}

fn named(incident: &ExpectedIncident) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    found.extend(incident.rule.iter().map(|rule| ("rule", rule.clone())));
    found.extend(incident.key.iter().map(|key| ("key", key.clone())));
    found.extend(incident.priority.iter().map(|priority| ("priority", priority.to_string())));
    found.extend(incident.ci.iter().map(|ci| ("ci", ci.clone())));
    found.extend(incident.runbook.iter().map(|runbook| ("runbook", runbook.clone())));
    found
}

fn shown_incident(named: &[(&str, String)]) -> String {
    let pairs: Vec<String> = named.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if pairs.is_empty() { "any incident".to_owned() } else { pairs.join(" ") }
}

fn planned(of: &RunsOf, test: &Test, book: &RuleBook, course: &Course<'_>) -> Vec<Planned> {
    let unknown =
        |sentence: String| vec![Planned { runbook: "none".to_owned(), host: String::new(), steps: Err(sentence) }];
    match of {
        RunsOf::Runbook { name, host, with } => match book.runbooks.get(name) {
            Some(runbook) => vec![plan::by_hand(runbook, with, host)],
            None => unknown(format!("the rule files have no runbook '{name}'")),
        },
        RunsOf::Alert(rule) => {
            if let Err(sentence) = is_rule(book, test, rule) {
                return unknown(sentence);
            }
            let over_events = book.event_rules.iter().map(|known| (&known.name, &known.runbook));
            let over_samples = book.alert_rules.iter().map(|known| (&known.name, &known.runbook));
            let mut all = over_events.chain(over_samples);
            let using = all.find(|(name, _)| *name == rule).and_then(|(_, runbook)| runbook.as_ref());
            let Some((using, runbook)) = using.and_then(|using| Some((using, book.runbooks.get(&using.name)?))) else {
                return Vec::new();
            };
            course.firing(rule).iter().map(|alert: &FiringAlert| plan::of_alert(runbook, using, alert)).collect()
        }
    }
}

fn shown_run(runbook: &str, host: &str, steps: &Result<Vec<String>, String>) -> String {
    match steps {
        Ok(steps) => format!("{runbook} on {host}: {}", steps.join("; ")),
        Err(sentence) => format!("{runbook} on {host}: no plan: {sentence}"),
    }
}
