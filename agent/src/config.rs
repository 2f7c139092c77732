//! `/etc/watchkeep/agent.yaml`, checked. Checking reads no other file, opens nothing and asks nobody.
//!
//! The commented default file is part of the program and is the manual: `watchkeep-agent check-config --default`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use watchkeep_protocol::limits;

use crate::checks::{self, Check};
use crate::logs::{self, Log};
use crate::scrape::{self, ScrapeConfig};
use crate::usage::{self, UsageConfig};
use crate::yaml::{Faults, Node};

/// The default file, with every key and what it means.
pub const DEFAULT_FILE: &str = include_str!("../../packaging/agent.yaml");

/// Where the file is unless `--config` names another.
pub const DEFAULT_PATH: &str = "/etc/watchkeep/agent.yaml";

/// What is in force: every key has a default, an empty file gives them all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentConfig {
    /// How often metrics are read and reported; 1 s to 1 h.
    pub interval: Duration,
    /// Labels that the host gives itself: claims, shown as such.
    pub labels: BTreeMap<String, String>,
    pub collect: CollectConfig,
    /// Exporters that are scraped.
    pub scrape_configs: Vec<ScrapeConfig>,
    pub checks: Vec<Check>,
    pub logs: Vec<Log>,
    pub usage: UsageConfig,
    pub paths: PathsConfig,
    pub events: EventsConfig,
    pub act: ActConfig,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectConfig {
    pub filesystem: FilesystemConfig,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesystemConfig {
    /// Filesystem types that are not looked at, by the names of `/proc/filesystems`.
    pub exclude_types: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathsConfig {
    /// The agent's own directory: identity, spool, what was observed.
    pub state: PathBuf,
}

/// Where `watchkeep-agent event send` hands events to the running agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsConfig {
    pub socket: PathBuf,
}

/// Where the privileged helper listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActConfig {
    pub socket: PathBuf,
}

/// The types that node_exporter leaves out by default.
const EXCLUDED_TYPES: [&str; 24] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "procfs",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
];

impl Default for FilesystemConfig {
    fn default() -> Self {
        Self { exclude_types: EXCLUDED_TYPES.map(str::to_owned).to_vec() }
    }
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(15),
            labels: BTreeMap::new(),
            collect: CollectConfig::default(),
            scrape_configs: Vec::new(),
            checks: Vec::new(),
            logs: Vec::new(),
            usage: UsageConfig::default(),
            paths: PathsConfig { state: "/var/lib/watchkeep-agent".into() },
            events: EventsConfig { socket: "/run/watchkeep-agent/events.sock".into() },
            act: ActConfig { socket: "/run/watchkeep/act.sock".into() },
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("read configuration \"{}\"", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Faults(#[from] Faults),
}

impl AgentConfig {
    /// Reads and checks `path`. A file that is not there counts as empty only where `may_be_absent` (nobody named it).
    pub fn load(path: &Path, may_be_absent: bool) -> Result<Self, ConfigError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self::parse(&path.display().to_string(), &text)?),
            Err(cause) if may_be_absent && cause.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(ConfigError::Unreadable { path: path.to_owned(), source }),
        }
    }

    /// Checks `text`; `file` is named in the faults, all of which come back at once.
    pub fn parse(file: &str, text: &str) -> Result<Self, Faults> {
        let mut config = Self::default();
        let mut faults = Faults::of(file);
        let root = Node::read(file, text)?;
        let known =
            ["interval", "labels", "collect", "scrape_configs", "checks", "logs", "usage", "paths", "events", "act"];
        // What comes from elsewhere travels with reports, and so must know how often those go.
        let (mut scrape_configs, mut checks, mut usage) = (None, None, None);
        for (key, value) in root.entries("", &mut faults) {
            match key.name.as_str() {
                "interval" => set(&mut config.interval, interval(value, &mut faults)),
                "labels" => config.labels = labels(value, &mut faults),
                "collect" => collect(value, &mut config.collect, &mut faults),
                "scrape_configs" => scrape_configs = Some(value),
                "checks" => checks = Some(value),
                "logs" => config.logs = logs::config::read(value, &mut faults),
                "usage" => usage = Some(value),
                "paths" => only_path(value, "paths", "state", &mut config.paths.state, &mut faults),
                "events" => only_path(value, "events", "socket", &mut config.events.socket, &mut faults),
                "act" => only_path(value, "act", "socket", &mut config.act.socket, &mut faults),
                _ => faults.unknown(key, "", &known),
            }
        }
        if let Some(value) = scrape_configs {
            config.scrape_configs = scrape::config::read(value, config.interval, &mut faults);
        }
        if let Some(value) = checks {
            config.checks = checks::config::read(value, config.interval, &mut faults);
        }
        if let Some(value) = usage {
            config.usage = usage::config::read(value, config.interval, &mut faults);
        }
        faults.finish().map(|()| config)
    }

    /// What is in force, as a file that could be read again.
    pub fn to_yaml(&self) -> String {
        let mut out = format!("interval: {}\n", in_words(self.interval));
        if self.labels.is_empty() {
            out.push_str("labels: {}\n");
        } else {
            out.push_str("labels:\n");
            for (name, value) in &self.labels {
                let _ = writeln!(out, "  {name}: {}", quoted(value));
            }
        }
        let types: Vec<String> = self.collect.filesystem.exclude_types.iter().map(|name| quoted(name)).collect();
        let _ = writeln!(out, "collect:\n  filesystem:\n    exclude_types: [{}]", types.join(", "));
        out.push_str(&scrape::config::to_yaml(&self.scrape_configs));
        out.push_str(&checks::config::to_yaml(&self.checks));
        out.push_str(&logs::config::to_yaml(&self.logs));
        out.push_str(&usage::config::to_yaml(&self.usage));
        let _ = writeln!(out, "paths:\n  state: {}", quoted(&self.paths.state.to_string_lossy()));
        let _ = writeln!(out, "events:\n  socket: {}", quoted(&self.events.socket.to_string_lossy()));
        let _ = writeln!(out, "act:\n  socket: {}", quoted(&self.act.socket.to_string_lossy()));
        out
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn interval(node: &Node, faults: &mut Faults) -> Option<Duration> {
    span(node, "interval", (Duration::from_secs(1), Duration::from_secs(3600)), faults)
}

/// A duration between the two ends of `range`.
pub(crate) fn span(node: &Node, path: &str, range: (Duration, Duration), faults: &mut Faults) -> Option<Duration> {
    let text = node.text(path, faults)?;
    let Some(length) = duration(text) else {
        faults.say(node.at, format!("{path} \"{text}\" is no duration; write for example 15s, 500ms, 1m or 1m30s"));
        return None;
    };
    if length < range.0 || length > range.1 {
        let range = (in_words(range.0), in_words(range.1));
        faults.say(node.at, format!("{path} \"{text}\" is not between {} and {}", range.0, range.1));
        return None;
    }
    Some(length)
}

/// An absolute path.
pub(crate) fn path_of(node: &Node, path: &str, faults: &mut Faults) -> Option<PathBuf> {
    let text = node.text(path, faults)?;
    if !text.starts_with('/') {
        faults.say(node.at, format!("\"{path}\" is \"{text}\", which is no absolute path; begin it with /"));
        return None;
    }
    Some(PathBuf::from(text))
}

fn labels(node: &Node, faults: &mut Faults) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let entries = node.entries("labels", faults);
    if entries.len() > limits::LABELS {
        faults.say(node.at, format!("\"labels\" has {} labels, at most {} are taken", entries.len(), limits::LABELS));
    }
    for (key, value) in entries {
        if let Some(fault) = label_name_fault(&key.name) {
            faults.say(key.at, fault);
        }
        let Some(text) = value.text(&format!("labels.{}", key.name), faults) else { continue };
        if text.len() > limits::VALUE_BYTES {
            let most = limits::VALUE_BYTES;
            faults.say(
                value.at,
                format!("label \"{}\" is {} bytes long, at most {most} are taken", key.name, text.len()),
            );
        }
        found.insert(key.name.clone(), text.to_owned());
    }
    found
}

/// Why a word is no label name that a host may give itself; `None` where it is one.
fn label_name_fault(name: &str) -> Option<String> {
    let shaped = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.as_bytes().first().is_some_and(|first| !first.is_ascii_digit());
    if !shaped {
        Some(format!("\"{name}\" is no label name; letters, digits and _ are, not beginning with a digit"))
    } else if name.starts_with("__") || ["instance", "job", "alertname"].contains(&name) {
        Some(format!("label \"{name}\" is set by the controller; choose another name"))
    } else if name.len() > limits::NAME_BYTES {
        Some(format!("a label name of {} bytes; at most {} are taken", name.len(), limits::NAME_BYTES))
    } else {
        None
    }
}

fn collect(node: &Node, config: &mut CollectConfig, faults: &mut Faults) {
    for (key, value) in node.entries("collect", faults) {
        match key.name.as_str() {
            "filesystem" => filesystem(value, &mut config.filesystem, faults),
            _ => faults.unknown(key, "collect", &["filesystem"]),
        }
    }
}

fn filesystem(node: &Node, config: &mut FilesystemConfig, faults: &mut Faults) {
    let path = "collect.filesystem";
    for (key, value) in node.entries(path, faults) {
        match key.name.as_str() {
            "exclude_types" => {
                let path = "collect.filesystem.exclude_types";
                let items = value.items(path, faults);
                config.exclude_types =
                    items.iter().filter_map(|item| item.text(path, faults)).map(str::to_owned).collect();
            }
            _ => faults.unknown(key, path, &["exclude_types"]),
        }
    }
}

/// A map whose only key is an absolute path.
fn only_path(node: &Node, path: &str, only: &str, place: &mut PathBuf, faults: &mut Faults) {
    for (key, value) in node.entries(path, faults) {
        if key.name != only {
            faults.unknown(key, path, &[only]);
            continue;
        }
        let full = format!("{path}.{only}");
        set(place, path_of(value, &full, faults));
    }
}

/// Prometheus's durations: `1h30m`, `15s`, `500ms`; units fall, each at most once.
pub fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let (mut rest, mut total, mut next_unit) = (text, 0_u64, 0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0)?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = UNITS.iter().position(|(name, _)| *name == &rest[..letters]).filter(|unit| *unit >= next_unit)?;
        total = total.checked_add(number.checked_mul(UNITS[unit].1)?)?;
        next_unit = unit + 1;
        rest = &rest[letters..];
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

/// The shortest way to write a duration that [`duration`] reads.
pub(crate) fn in_words(length: Duration) -> String {
    let ms = length.as_millis();
    if ms.is_multiple_of(1000) { format!("{}s", ms / 1000) } else { format!("{}s{}ms", ms / 1000, ms % 1000) }
}

/// A value as a YAML string in double quotes (JSON's are YAML's).
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_and_the_default_file_give_the_defaults() {
        assert_eq!(AgentConfig::parse("a.yaml", "").expect("is fine"), AgentConfig::default());
        assert_eq!(AgentConfig::parse("agent.yaml", DEFAULT_FILE).expect("is fine"), AgentConfig::default());
    }

    #[test]
    fn every_key_of_the_default_file_is_taken_once_its_comment_sign_goes() {
        let uncommented: String = DEFAULT_FILE
            .lines()
            .filter_map(|line| line.strip_prefix("#: "))
            .fold(String::new(), |all, line| all + line + "\n");
        let config = AgentConfig::parse("agent.yaml", &uncommented).expect("the manual shows what is taken");
        assert_eq!(config.labels["environment"], "production");
        for key in [
            "interval:",
            "labels:",
            "collect:",
            "scrape_configs:",
            "checks:",
            "logs:",
            "usage:",
            "paths:",
            "events:",
            "act:",
        ] {
            assert!(uncommented.contains(key), "the manual lacks {key}");
        }
    }

    #[test]
    fn what_is_in_force_can_be_read_again() {
        let text = "interval: 1m\nlabels: {environment: \"a \\\"b\\\"\"}\npaths: {state: /srv/wk}\n";
        let config = AgentConfig::parse("a.yaml", text).expect("is fine");
        assert_eq!(AgentConfig::parse("b.yaml", &config.to_yaml()).expect("is fine"), config);
    }

    #[test]
    fn all_faults_come_at_once_with_their_places_and_a_near_word() {
        let text = "intervall: 15s\ninterval: 15\nlabels: {instance: x, 9a: y}\ncollect:\n  filesystem: {exclude_typ: []}\n\
                    paths: {state: var/lib}\nact: 7\ninterval: 20s\n";
        let faults = AgentConfig::parse("agent.yaml", text).expect_err("is full of faults");
        let expected = [
            "agent.yaml:1:1: unknown key \"intervall\"; did you mean \"interval\"?",
            "agent.yaml:2:11: interval \"15\" is no duration; write for example 15s, 500ms, 1m or 1m30s",
            "agent.yaml:3:10: label \"instance\" is set by the controller; choose another name",
            "agent.yaml:3:23: \"9a\" is no label name; letters, digits and _ are, not beginning with a digit",
            "agent.yaml:5:16: unknown key \"exclude_typ\" in \"collect.filesystem\"; did you mean \"exclude_types\"?",
            "agent.yaml:6:16: \"paths.state\" is \"var/lib\", which is no absolute path; begin it with /",
            "agent.yaml:7:6: \"act\" is a single value, not keys with values",
            "agent.yaml:8:1: key \"interval\" stands here a second time; first in line 2",
        ];
        assert_eq!(faults.to_string(), expected.join("\n"));
    }

    #[test]
    fn durations_are_prometheus_s() {
        let cases = [("15s", Some(15_000)), ("1m30s", Some(90_000)), ("500ms", Some(500)), ("1h", Some(3_600_000))];
        for (text, ms) in cases {
            assert_eq!(duration(text).map(|length| length.as_millis() as u64), ms, "{text}");
        }
        for bad in ["", "s", "15", "15 s", "1s1m", "1s1s", "-1s", "99999999999999999999s"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
