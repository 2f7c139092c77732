//! `logs`, as they stand in the agent's file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use regex_lite::{Regex, RegexBuilder};
use watchkeep_protocol::{check, limits};

use super::journal::Journal;
use crate::config::quoted;
use crate::gather::shortened;
use crate::glob;
use crate::scrape::config::yes_or_no;
use crate::yaml::{Faults, Node, Value};

const LOGS: usize = 100;
/// Events that a log may tell in a minute, unless it is said otherwise, and at most.
const EVENTS: (u32, u32) = (60, 6_000);
/// A compiled pattern, bytes.
const PATTERN_BYTES: usize = 256 << 10;
/// Labels that an event has from its log.
const LABELS: usize = 16;
/// Labels that the agent sets.
const OWN: [&str; 4] = ["kind", "count", "instance", "job"];

/// What is looked for in some files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Unique; its place on disk and in the counts. The event's unless it is said otherwise.
    pub name: String,
    pub origin: Origin,
    pub matches: Pattern,
    /// Entries that match this, too, are passed over.
    pub except: Option<Pattern>,
    /// The event's kind.
    pub event: String,
    /// Named groups of `matches` that become labels.
    pub labels: Vec<String>,
    /// Lines that begin an entry; what follows belongs to it.
    pub multiline: Option<Pattern>,
    pub events_per_minute: u32,
}

/// Where a log's entries come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Files, or patterns of files.
    Files(Vec<String>),
    Journal(Journal),
}

/// A regular expression, in time of text and pattern whatever they hold.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl Pattern {
    /// # Errors
    /// What is wrong with the text.
    pub fn new(text: &str) -> Result<Self, String> {
        RegexBuilder::new(text).size_limit(PATTERN_BYTES).build().map(Self).map_err(|error| error.to_string())
    }

    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    fn names(&self) -> Vec<&str> {
        self.0.capture_names().flatten().collect()
    }
}

impl Log {
    /// The labels of the event that this entry makes; `None` where it makes none.
    pub fn labels_of(&self, entry: &str) -> Option<BTreeMap<String, String>> {
        let found = self.matches.0.captures(entry)?;
        if self.except.as_ref().is_some_and(|except| except.is_match(entry)) {
            return None;
        }
        let label = |name: &String| {
            let value = found.name(name).map_or("", |group| group.as_str());
            (name.clone(), shortened(value, limits::VALUE_BYTES).to_owned())
        };
        Some(self.labels.iter().map(label).filter(|(_, value)| !value.is_empty()).collect())
    }
}

const KEYS: [&str; 9] =
    ["name", "file", "journal", "match", "except", "event", "labels", "multiline", "events_per_minute"];

/// Reads the list.
pub fn read(node: &Node, faults: &mut Faults) -> Vec<Log> {
    let items = node.items("logs", faults);
    if items.len() > LOGS {
        faults.say(node.at, format!("\"logs\" has {} logs, at most {LOGS} are taken", items.len()));
    }
    let mut all: Vec<Log> = Vec::new();
    for item in items {
        let Some(log) = one(item, faults) else { continue };
        if all.iter().any(|other| other.name == log.name) {
            faults.say(
                item.at,
                format!("name \"{}\" is taken by a log above; give this one a name of its own", log.name),
            );
        }
        all.push(log);
    }
    all
}

fn one(node: &Node, faults: &mut Faults) -> Option<Log> {
    let entries = node.entries("logs", faults);
    for (key, _) in entries.iter().filter(|(key, _)| !KEYS.contains(&key.name.as_str())) {
        faults.unknown(key, "logs", &KEYS);
    }
    let of = |name: &str| entries.iter().find(|(key, _)| key.name == name).map(|(_, value)| value);
    for (key, what) in [("match", "which entries"), ("event", "which event they make")] {
        if of(key).is_none() {
            faults.say(node.at, format!("a log without \"{key}\", which says {what}"));
        }
    }
    let origin = match (of("file"), of("journal")) {
        (Some(node), None) => Some(Origin::Files(files(node, faults))),
        (None, Some(node)) => Some(Origin::Journal(journal(node, faults))),
        _ => {
            faults.say(node.at, "a log has either \"file\" or \"journal\"");
            None
        }
    };
    let compiled = |key: &str, faults: &mut Faults| pattern(of(key)?, &format!("logs.{key}"), faults);
    let matches = compiled("match", faults);
    let (except, multiline) = (compiled("except", faults), compiled("multiline", faults));
    if let (Some(node), Some(Origin::Journal(_))) = (of("multiline"), &origin) {
        faults.say(node.at, "\"logs.multiline\" is for files; the journal keeps entries whole");
    }
    let event = of("event").and_then(|node| word(node, "logs.event", faults));
    let name = of("name").map_or(event.clone(), |node| word(node, "logs.name", faults));
    let labels = of("labels").map(|node| labels(node, matches.as_ref(), faults)).unwrap_or_default();
    let events_per_minute = of("events_per_minute").and_then(|node| number(node, faults)).unwrap_or(EVENTS.0);
    let (name, origin, matches, event) = (name?, origin?, matches?, event?);
    Some(Log { name, origin, matches, except, event, labels, multiline, events_per_minute })
}

fn files(node: &Node, faults: &mut Faults) -> Vec<String> {
    let all = if let Value::List(items) = &node.value { items.as_slice() } else { std::slice::from_ref(node) };
    let mut found = Vec::new();
    for node in all {
        let Some(text) = node.text("logs.file", faults) else { continue };
        if !text.starts_with('/') {
            faults.say(node.at, format!("\"logs.file\" is \"{text}\", which is no absolute path; begin it with /"));
        } else if glob::is_deep(text) {
            faults.say(
                node.at,
                format!("\"logs.file\" is \"{text}\"; * and ? may stand in the last part of a path only"),
            );
        }
        found.push(text.to_owned());
    }
    found
}

const OF_JOURNAL: [&str; 5] = ["unit", "identifier", "priority", "kernel", "namespace"];
const PRIORITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

fn journal(node: &Node, faults: &mut Faults) -> Journal {
    let mut journal = Journal::default();
    for (key, value) in node.entries("logs.journal", faults) {
        let path = format!("logs.journal.{}", key.name);
        match key.name.as_str() {
            "unit" => journal.unit = value.text(&path, faults).map(str::to_owned),
            "identifier" => journal.identifier = value.text(&path, faults).map(str::to_owned),
            "priority" => {
                let Some(text) = value.text(&path, faults) else { continue };
                if !PRIORITIES.contains(&text) {
                    faults.say(value.at, format!("\"{path}\" is \"{text}\", not one of {}", PRIORITIES.join(", ")));
                }
                journal.priority = Some(text.to_owned());
            }
            "kernel" => journal.kernel = yes_or_no(value, &path, faults).unwrap_or_default(),
            "namespace" => journal.namespace = word(value, &path, faults),
            _ => faults.unknown(key, "logs.journal", &OF_JOURNAL),
        }
    }
    journal
}

fn pattern(node: &Node, path: &str, faults: &mut Faults) -> Option<Pattern> {
    match Pattern::new(node.text(path, faults)?) {
        Ok(pattern) => Some(pattern),
        Err(fault) => {
            faults.say(node.at, format!("\"{path}\" is no regular expression: {fault}"));
            None
        }
    }
}

/// A word that can be a file's name and an event's kind.
fn word(node: &Node, path: &str, faults: &mut Faults) -> Option<String> {
    let text = node.text(path, faults)?;
    let shaped = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte));
    if text.is_empty() || !shaped || text.len() > limits::NAME_BYTES {
        faults.say(node.at, format!("\"{path}\" is \"{text}\"; write a word of a-z, 0-9, _ and -"));
        return None;
    }
    Some(text.to_owned())
}

fn labels(node: &Node, matches: Option<&Pattern>, faults: &mut Faults) -> Vec<String> {
    let items = node.items("logs.labels", faults);
    if items.len() > LABELS {
        faults.say(node.at, format!("\"logs.labels\" has {} labels, at most {LABELS} are taken", items.len()));
    }
    let mut found = Vec::new();
    for item in items {
        let Some(name) = item.text("logs.labels", faults) else { continue };
        if OWN.contains(&name) || !check::is_label_name(name) {
            faults.say(
                item.at,
                format!("\"{name}\" is no label that a log may set; {} are set by others", OWN.join(", ")),
            );
        } else if matches.is_some_and(|matches| !matches.names().contains(&name)) {
            faults.say(item.at, format!("label \"{name}\" is no group of \"match\"; write (?P<{name}>…) there"));
        }
        found.push(name.to_owned());
    }
    found
}

fn number(node: &Node, faults: &mut Faults) -> Option<u32> {
    let text = node.text("logs.events_per_minute", faults)?;
    let found = text.parse().ok().filter(|found| (1..=EVENTS.1).contains(found));
    if found.is_none() {
        faults.say(node.at, format!("\"logs.events_per_minute\" is \"{text}\", not a number from 1 to {}", EVENTS.1));
    }
    found
}

/// The list as it could be read again.
pub fn to_yaml(logs: &[Log]) -> String {
    if logs.is_empty() {
        return "logs: []\n".to_owned();
    }
    let mut out = "logs:\n".to_owned();
    for log in logs {
        let _ = writeln!(out, "  - name: {}\n    {}", quoted(&log.name), origin_yaml(&log.origin));
        let _ = writeln!(out, "    match: {}\n    event: {}", quoted(log.matches.0.as_str()), quoted(&log.event));
        let patterns = [("except", &log.except), ("multiline", &log.multiline)];
        for (key, pattern) in patterns.into_iter().filter_map(|(key, pattern)| Some((key, pattern.as_ref()?))) {
            let _ = writeln!(out, "    {key}: {}", quoted(pattern.0.as_str()));
        }
        let _ =
            writeln!(out, "    labels: [{}]\n    events_per_minute: {}", log.labels.join(", "), log.events_per_minute);
    }
    out
}

fn origin_yaml(origin: &Origin) -> String {
    match origin {
        Origin::Files(files) => {
            let files: Vec<String> = files.iter().map(|file| quoted(file)).collect();
            format!("file: [{}]", files.join(", "))
        }
        Origin::Journal(journal) => {
            let words = [
                ("unit", &journal.unit),
                ("identifier", &journal.identifier),
                ("priority", &journal.priority),
                ("namespace", &journal.namespace),
            ];
            let mut keys: Vec<String> =
                words.iter().filter_map(|(key, word)| Some(format!("{key}: {}", quoted(word.as_ref()?)))).collect();
            keys.extend(journal.kernel.then(|| "kernel: true".to_owned()));
            format!("journal: {{{}}}", keys.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::AgentConfig;

    #[test]
    fn logs_are_read_and_can_be_read_again() {
        let text = "logs:\n  - {file: /var/log/app/*.log, match: '(?P<level>ERROR|FATAL) (?P<what>.*)', event: app_error, labels: [level]}\n  \
                    - {name: other, file: [/a, /b], match: x, event: app_error, except: 'y \"z\"', multiline: '^\\S', events_per_minute: 5}\n  \
                    - {journal: {unit: nginx.service, identifier: n, priority: err, kernel: true, namespace: n}, match: x, event: j}\n  \
                    - {journal: {}, match: x, event: k}\n";
        let config = AgentConfig::parse("agent.yaml", text).expect("is fine");
        assert_eq!((config.logs[0].name.as_str(), config.logs.len()), ("app_error", 4));
        assert_eq!(AgentConfig::parse("again.yaml", &config.to_yaml()).expect("is fine"), config);
    }

    #[test]
    fn all_faults_of_logs_come_with_their_places() {
        for (log, fault) in [
            ("{match: x, event: e}", "2:3: a log has either \"file\" or \"journal\""),
            (
                "{journal: {unti: x}, match: x, event: e}",
                "2:14: unknown key \"unti\" in \"logs.journal\"; did you mean \"unit\"?",
            ),
            (
                "{journal: {priority: high}, match: x, event: e}",
                "2:24: \"logs.journal.priority\" is \"high\", not one of emerg",
            ),
            ("{journal: {}, match: x, event: e, multiline: x}", "2:48: \"logs.multiline\" is for files"),
            ("{file: /a, match: x}", "2:3: a log without \"event\", which says which event they make"),
            (
                "{file: a.log, match: x, event: e}",
                "2:10: \"logs.file\" is \"a.log\", which is no absolute path; begin it with /",
            ),
            (
                "{file: /*/a, match: x, event: e}",
                "2:10: \"logs.file\" is \"/*/a\"; * and ? may stand in the last part of a path only",
            ),
            ("{file: /a, match: '(x', event: e}", "2:21: \"logs.match\" is no regular expression: "),
            ("{file: /a, match: 'x{9}{9}{9}{9}{9}{9}', event: e}", "2:21: \"logs.match\" is no regular expression: "),
            (
                "{file: /a, match: x, event: 'No!'}",
                "2:31: \"logs.event\" is \"No!\"; write a word of a-z, 0-9, _ and -",
            ),
            (
                "{file: /a, match: x, event: e, name: ../e}",
                "2:40: \"logs.name\" is \"../e\"; write a word of a-z, 0-9, _ and -",
            ),
            (
                "{file: /a, match: x, event: e, labels: [level]}",
                "2:43: label \"level\" is no group of \"match\"; write (?P<level>…) there",
            ),
            (
                "{file: /a, match: x, event: e, labels: [kind]}",
                "2:43: \"kind\" is no label that a log may set; kind, count, instance, job are set by others",
            ),
            (
                "{file: /a, match: x, event: e, events_per_minute: 0}",
                "2:53: \"logs.events_per_minute\" is \"0\", not a number from 1 to 6000",
            ),
            (
                "{file: /a, match: x, event: e, lables: []}",
                "2:34: unknown key \"lables\" in \"logs\"; did you mean \"labels\"?",
            ),
        ] {
            let faults = AgentConfig::parse("agent.yaml", &format!("logs:\n- {log}\n")).expect_err(log);
            assert!(faults.to_string().starts_with(&format!("agent.yaml:{fault}")), "{log}: {faults}");
        }
        let twice = "logs:\n- {file: /a, match: x, event: e}\n- {file: /b, match: y, event: e}\n";
        let faults = AgentConfig::parse("agent.yaml", twice).expect_err("one name twice");
        assert!(faults.to_string().contains("3:3: name \"e\" is taken by a log above"), "{faults}");
    }
}
