//! Test files to what is to be done and expected.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::expr::{self, ExprTest};
use super::series::{self, InputSeries};
use crate::fault::{Fault, Faults};
use crate::load::{Checker, Fields, keys};
use crate::metric::Installation;
use crate::promql::calendar::Moment;
use crate::yaml::{self, Kind, Node, Source};

/// Events that one test may bring.
const EVENTS_MAX: usize = 100_000;

/// As in promtool: how often rules are evaluated, and how far values stand apart, where a file does not say it.
const INTERVAL_DEFAULT: i64 = 60_000;

pub(super) struct TestFile {
    /// Ms between evaluations.
    pub interval: i64,
    /// Names of groups, in the order of their evaluation.
    pub group_order: Vec<String>,
    /// Whether values that differ in their last bit only are equal.
    pub fuzzy: bool,
    pub tests: Vec<Test>,
}

pub(super) struct Test {
    pub name: String,
    /// Line of the file.
    pub line: usize,
    /// Ms between the values of input series.
    pub interval: i64,
    /// When the first of them is, and the first evaluation; all times of the test are counted from it, but those below
    /// have it added. UTC milliseconds.
    pub start: i64,
    pub series: Vec<InputSeries>,
    pub events: Vec<InputEvent>,
    pub expectations: Vec<Expectation>,
    pub exprs: Vec<ExprTest>,
    /// What templates see of the installation.
    pub installation: Arc<Installation>,
}

pub(super) struct InputEvent {
    pub at: i64,
    pub labels: BTreeMap<String, String>,
    pub text: String,
}

/// What must be so at a time.
pub(super) struct Expectation {
    /// Line of the file.
    pub line: usize,
    pub at: i64,
    pub what: Expected,
}

pub(super) enum Expected {
    Alerts { name: String, alerts: Vec<ExpectedAlert> },
    Incidents(Vec<ExpectedIncident>),
    Runs { of: RunsOf, runs: Vec<ExpectedRun> },
}

pub(super) struct ExpectedAlert {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

/// Only what is named is compared.
pub(super) struct ExpectedIncident {
    pub rule: Option<String>,
    pub key: Option<String>,
    pub priority: Option<u8>,
    pub ci: Option<String>,
    pub runbook: Option<String>,
}

/// Which runs are planned.
pub(super) enum RunsOf {
    /// Those of the rule's firing alerts.
    Alert(String),
    /// One, as a person would start it.
    Runbook { name: String, host: String, with: BTreeMap<String, String> },
}

pub(super) struct ExpectedRun {
    pub runbook: Option<String>,
    pub host: Option<String>,
    /// As [`super::plan`] shows steps.
    pub steps: Vec<String>,
}

/// Whether a text has `tests:` at its top.
pub(super) fn is_test(text: &str) -> bool {
    let node = yaml::parse(&Source::new("", text));
    node.is_ok_and(
        |node| matches!(&node.kind, Kind::Map(entries) if entries.iter().any(|(key, _)| key.scalar() == Some("tests"))),
    )
}

/// The `rule_files` of a test file, as written.
pub(super) fn rule_files(file: &str, text: &str) -> Result<Vec<String>, Faults> {
    let source = Source::new(file, text);
    let node = parsed(&source)?;
    let mut check = Checker::new(&source);
    let files = node.get("rule_files").map(|node| check.texts(node)).unwrap_or_default();
    finish(check, files)
}

pub(super) fn read(file: &str, text: &str) -> Result<TestFile, Faults> {
    let source = Source::new(file, text);
    let node = parsed(&source)?;
    let mut check = Checker::new(&source);
    let fields = check.fields(&node, "a test file", &keys::TEST_FILE);
    let interval = fields.get("evaluation_interval").and_then(|node| check.duration(node)).filter(|ms| *ms > 0);
    let interval = interval.unwrap_or(INTERVAL_DEFAULT);
    let group_order = fields.get("group_eval_order").map(|node| check.texts(node)).unwrap_or_default();
    let fuzzy = fields.get("fuzzy_compare").and_then(|node| check.boolean(node)).unwrap_or(false);
    let tests = fields.required(&mut check, "tests", "a test file").map(|node| tests(&mut check, node, interval));
    finish(check, TestFile { interval, group_order, fuzzy, tests: tests.unwrap_or_default() })
}

fn parsed(source: &Source) -> Result<Node, Faults> {
    yaml::parse(source).map_err(|error| Faults::of([vec![Fault::at(source, error.at, error.at + 1, error.message)]]))
}

fn finish<T>(check: Checker<'_>, value: T) -> Result<T, Faults> {
    let faults = Faults::of([check.faults]);
    if faults.is_empty() { Ok(value) } else { Err(faults) }
}

fn tests(check: &mut Checker<'_>, node: &Node, interval: i64) -> Vec<Test> {
    let mut found = Vec::new();
    for (place, node) in check.list(node).iter().enumerate() {
        let named = node.get("name").and_then(Node::scalar).unwrap_or_default();
        let name = if named.is_empty() { format!("test {}", place + 1) } else { named.to_owned() };
        found.push(check.within(format!("test '{name}'"), |check| test(check, node, name.clone(), interval)));
    }
    found
}

fn test(check: &mut Checker<'_>, node: &Node, name: String, interval: i64) -> Test {
    let fields = check.fields(node, "a test", &keys::TEST);
    let interval = fields.get("interval").and_then(|node| check.positive_duration(node)).unwrap_or(interval);
    let start = fields.get("start_timestamp").and_then(|node| instant(check, node)).unwrap_or(0);
    let mut series: Vec<InputSeries> = Vec::new();
    for node in list(check, &fields, "input_series") {
        let Some(read) = input_series(check, node) else { continue };
        // Of a series that is given twice the last stands, as in promtool.
        series.retain(|known| known.labels != read.labels);
        series.push(read);
    }
    let exprs = list(check, &fields, "promql_expr_test").iter().filter_map(|node| expr::read(check, node)).collect();
    let mut events: Vec<InputEvent> = Vec::new();
    for node in list(check, &fields, "input_events") {
        if events.len() == EVENTS_MAX {
            check.fault(node, format!("more than {EVENTS_MAX} events in one test"));
            break;
        }
        events.extend(event(check, node));
    }
    events.sort_by_key(|event| event.at);
    let mut expectations = Vec::new();
    for node in list(check, &fields, "alert_rule_test") {
        expectations.extend(expectation(check, node, "alert_rule_test", &["alertname", "exp_alerts"], alerts));
    }
    for node in list(check, &fields, "incident_test") {
        expectations.extend(expectation(check, node, "incident_test", &["exp_incidents"], incidents));
    }
    for node in list(check, &fields, "runbook_test") {
        let keys = ["alertname", "runbook", "host", "with", "exp_runs", "exp_steps"];
        expectations.extend(expectation(check, node, "runbook_test", &keys, runs));
    }
    let asks = ["alert_rule_test", "incident_test", "runbook_test", "promql_expr_test", "input_series"];
    if expectations.is_empty() && asks.iter().all(|key| fields.get(key).is_none()) {
        check.fault(node, "this test expects nothing, so it could not fail").hint("add alert_rule_test");
    }
    let installation = Arc::new(Installation {
        external_labels: texts(check, &fields, "external_labels"),
        external_url: fields.get("external_url").and_then(|node| check.text(node)).unwrap_or_default(),
    });
    let (line, _) = check.source.place(node.start);
    let mut test = Test { name, line, interval, start, series, events, expectations, exprs, installation };
    test.exprs.iter_mut().for_each(|expr| expr.at = expr.at.saturating_add(start));
    test.events.iter_mut().for_each(|event| event.at = event.at.saturating_add(start));
    test.expectations.iter_mut().for_each(|expectation| expectation.at = expectation.at.saturating_add(start));
    test
}

/// Seconds since 1970, or a date as RFC 3339 has it.
fn instant(check: &mut Checker<'_>, node: &Node) -> Option<i64> {
    let text = check.text(node)?;
    let seconds = text.trim().parse::<f64>().ok().filter(|seconds| seconds.abs() < 1e12);
    let ms = seconds.map(|seconds| (seconds * 1000.0).round() as i64);
    let found = ms.or_else(|| Moment::rfc3339(text.trim()).map(|second| second * 1000));
    if found.is_none() {
        let wrong = format!("\"{text}\" is no instant; write seconds since 1970 or for example 2021-01-01T00:00:00Z");
        check.fault(node, wrong);
    }
    found
}

fn input_series(check: &mut Checker<'_>, node: &Node) -> Option<InputSeries> {
    check.within("input_series", |check| {
        let fields = check.fields(node, "a series", &["series", "values"]);
        let labels =
            fields.required(check, "series", "a series").and_then(|node| read_text(check, node, series::labels));
        let values =
            fields.required(check, "values", "a series").and_then(|node| read_text(check, node, series::values));
        Some(InputSeries { labels: labels?, values: values? })
    })
}

/// Reads a scalar's text; faults point into it.
pub(super) fn read_text<T>(
    check: &mut Checker<'_>,
    node: &Node,
    read: impl FnOnce(&str) -> Result<T, series::Wrong>,
) -> Option<T> {
    let text = check.text(node)?;
    read(&text).map_err(|wrong| check.fault_in(node, wrong.at, wrong.length, wrong.message).length).ok()
}

pub(super) fn list<'n>(check: &mut Checker<'_>, fields: &Fields<'n>, key: &str) -> &'n [Node] {
    fields.get(key).map(|node| check.list(node)).unwrap_or_default()
}

fn texts(check: &mut Checker<'_>, fields: &Fields<'_>, key: &str) -> BTreeMap<String, String> {
    let entries = fields.get(key).map(|node| check.text_map(node)).unwrap_or_default();
    entries.into_iter().map(|(_, name, _, text)| (name, text)).collect()
}

fn event(check: &mut Checker<'_>, node: &Node) -> Option<InputEvent> {
    check.within("input_events", |check| {
        let fields = check.fields(node, "an event", &["at", "labels", "text"]);
        let at = fields.get("at").map_or(Some(0), |node| check.duration(node));
        let labels = texts(check, &fields, "labels");
        if let (true, Some(node)) = (!labels.contains_key("kind"), fields.required(check, "labels", "an event")) {
            check.fault(node, "every event has the label 'kind'");
        }
        let text = fields.get("text").and_then(|node| check.text(node)).unwrap_or_default();
        Some(InputEvent { at: at?, labels, text })
    })
}

fn expectation(
    check: &mut Checker<'_>,
    node: &Node,
    what: &str,
    keys: &[&str],
    read: fn(&mut Checker<'_>, &Fields<'_>) -> Option<Expected>,
) -> Option<Expectation> {
    check.within(what, |check| {
        let known: Vec<&str> = std::iter::once("eval_time").chain(keys.iter().copied()).collect();
        let fields = check.fields(node, what, &known);
        let at = fields.required(check, "eval_time", what).and_then(|node| check.duration(node));
        let what = read(check, &fields)?;
        let (line, _) = check.source.place(node.start);
        Some(Expectation { line, at: at?, what })
    })
}

fn alerts(check: &mut Checker<'_>, fields: &Fields<'_>) -> Option<Expected> {
    let name = fields.required(check, "alertname", "alert_rule_test").and_then(|node| check.name(node))?;
    let mut found = Vec::new();
    for node in list(check, fields, "exp_alerts") {
        let fields = check.fields(node, "an expected alert", &["exp_labels", "exp_annotations"]);
        let mut labels = texts(check, &fields, "exp_labels");
        labels.insert("alertname".to_owned(), name.clone());
        found.push(ExpectedAlert { labels, annotations: texts(check, &fields, "exp_annotations") });
    }
    Some(Expected::Alerts { name, alerts: found })
}

fn incidents(check: &mut Checker<'_>, fields: &Fields<'_>) -> Option<Expected> {
    let mut found = Vec::new();
    for node in list(check, fields, "exp_incidents") {
        let fields = check.fields(node, "an expected incident", &["rule", "key", "priority", "ci", "runbook"]);
        let priority = fields.get("priority").and_then(|node| check.whole(node, 1, 5));
        found.push(ExpectedIncident {
            rule: fields.get("rule").and_then(|node| check.name(node)),
            key: fields.get("key").and_then(|node| check.name(node)),
            priority: priority.and_then(|priority| u8::try_from(priority).ok()),
            ci: fields.get("ci").and_then(|node| check.name(node)),
            runbook: fields.get("runbook").and_then(|node| check.name(node)),
        });
    }
    Some(Expected::Incidents(found))
}

fn runs(check: &mut Checker<'_>, fields: &Fields<'_>) -> Option<Expected> {
    let alert = fields.get("alertname").and_then(|node| check.name(node));
    let runbook = fields.get("runbook").and_then(|node| check.name(node));
    let of = match (alert, runbook) {
        (Some(alert), None) => RunsOf::Alert(alert),
        (None, Some(name)) => {
            let host = fields.get("host").and_then(|node| check.name(node)).unwrap_or_else(|| "localhost".to_owned());
            RunsOf::Runbook { name, host, with: texts(check, fields, "with") }
        }
        _ => {
            check.fault(fields.node, "a runbook_test names an 'alertname', whose runs it expects, or a 'runbook'");
            return None;
        }
    };
    let mut found = Vec::new();
    for node in list(check, fields, "exp_runs") {
        let fields = check.fields(node, "an expected run", &["runbook", "host", "exp_steps"]);
        found.push(run(check, &fields));
    }
    if fields.get("exp_steps").is_some() {
        found.push(ExpectedRun { runbook: None, host: None, steps: steps(check, fields) });
    }
    Some(Expected::Runs { of, runs: found })
}

fn run(check: &mut Checker<'_>, fields: &Fields<'_>) -> ExpectedRun {
    ExpectedRun {
        runbook: fields.get("runbook").and_then(|node| check.name(node)),
        host: fields.get("host").and_then(|node| check.name(node)),
        steps: steps(check, fields),
    }
}

/// Actions that bring something to a state, and what names it.
const KEPT: [(&str, &str); 3] = [("service", "name"), ("package", "name"), ("file", "path")];

fn kept(check: &mut Checker<'_>, node: &Node, action: &str, of: &str) -> String {
    let fields = check.fields(node, action, &[of, "state"]);
    let name = fields.required(check, of, action).map(|node| match &node.kind {
        Kind::List(_) => check.texts(node).join(" "),
        _ => check.text(node).unwrap_or_default(),
    });
    let state = fields.required(check, "state", action).and_then(|node| check.text(node));
    super::plan::shown_kept(action, &name.unwrap_or_default(), &state.unwrap_or_default())
}

fn steps(check: &mut Checker<'_>, fields: &Fields<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for node in list(check, fields, "exp_steps") {
        let known = ["run", "script", "service", "package", "file", "wait_for"];
        let fields = check.fields(node, "an expected step", &known);
        if let Some(node) = fields.get("run") {
            found.push(super::plan::shown_run(&check.texts(node)));
        } else if let Some(node) = fields.get("script") {
            let args = check.fields(node, "a script", &["args"]).get("args").map(|node| check.texts(node));
            found.push(super::plan::shown_script(&args.unwrap_or_default()));
        } else if let Some(node) = fields.get("wait_for") {
            found.push(super::plan::shown_wait(&check.text(node).unwrap_or_default()));
        } else if let Some((action, of)) = KEPT.into_iter().find(|(action, _)| fields.get(action).is_some()) {
            found.extend(fields.get(action).map(|node| kept(check, node, action, of)));
        } else if matches!(node.kind, Kind::Map(_)) {
            check.fault(node, "an expected step is one of run, script, service, package, file and wait_for");
        }
    }
    found
}
