//! `scrape_configs`, with Prometheus's names and meanings.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use watchkeep_protocol::{check, limits};

use crate::config::{in_words, path_of, quoted, span};
use crate::http::{Secret, Tls, Trust, Url, host_and_port};
use crate::yaml::{Faults, Node};

/// Prometheus's own limit of a scrape where the interval is no shorter.
const TIMEOUT: Duration = Duration::from_secs(10);
/// As many samples as one target may expose unless it is said otherwise, and at most.
const SAMPLES: (usize, usize) = (5_000, 20_000);
/// So large may an answer be unless it is said otherwise, and at most, bytes.
const BODY_BYTES: (u64, u64) = (8 << 20, 64 << 20);
const JOBS: usize = 64;
const TARGETS: usize = 128;

/// One job: targets that are scraped alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrapeConfig {
    pub job_name: String,
    pub interval: Duration,
    pub timeout: Duration,
    pub is_https: bool,
    pub metrics_path: String,
    pub honor_labels: bool,
    pub sample_limit: usize,
    pub body_size_limit: u64,
    pub secret: Option<Secret>,
    pub tls: Tls,
    pub static_configs: Vec<StaticConfig>,
}

/// Targets with the labels that their series get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StaticConfig {
    /// `host:port`, or `host`.
    pub targets: Vec<String>,
    pub labels: BTreeMap<String, String>,
}

const KEYS: [&str; 13] = [
    "job_name",
    "scrape_interval",
    "scrape_timeout",
    "scheme",
    "metrics_path",
    "honor_labels",
    "sample_limit",
    "body_size_limit",
    "authorization",
    "basic_auth",
    "tls_config",
    "static_configs",
    "honor_timestamps",
];

impl ScrapeConfig {
    fn new(every: Duration) -> Self {
        Self {
            job_name: String::new(),
            interval: every,
            timeout: TIMEOUT.min(every),
            is_https: false,
            metrics_path: "/metrics".to_owned(),
            honor_labels: false,
            sample_limit: SAMPLES.0,
            body_size_limit: BODY_BYTES.0,
            secret: None,
            tls: Tls::default(),
            static_configs: Vec::new(),
        }
    }

    /// Where a target is scraped; `None` where it is no `host:port`.
    pub fn url(&self, target: &str) -> Option<Url> {
        let (host, port) = host_and_port(target)?;
        let port = port.unwrap_or(if self.is_https { 443 } else { 80 });
        let fits = !host.is_empty() && !host.bytes().any(|byte| byte <= b' ' || b"/?#@\x7f".contains(&byte));
        let (host, target) = (host.to_owned(), self.metrics_path.clone());
        fits.then_some(Url { is_https: self.is_https, host, port, target })
    }

    /// All targets, each with its group.
    pub fn targets(&self) -> impl Iterator<Item = (&StaticConfig, &String)> {
        self.static_configs.iter().flat_map(|group| group.targets.iter().map(move |target| (group, target)))
    }
}

/// Reads the list; `every` is how often the agent reports.
pub fn read(node: &Node, every: Duration, faults: &mut Faults) -> Vec<ScrapeConfig> {
    let mut all: Vec<ScrapeConfig> = Vec::new();
    let items = node.items("scrape_configs", faults);
    if items.len() > JOBS {
        faults.say(node.at, format!("\"scrape_configs\" has {} jobs, at most {JOBS} are taken", items.len()));
    }
    for item in items {
        let job = job(item, every, faults);
        if !job.job_name.is_empty() && all.iter().any(|other| other.job_name == job.job_name) {
            faults.say(item.at, format!("job_name \"{}\" is taken by a job above; names are unique", job.job_name));
        }
        all.push(job);
    }
    let targets = all.iter().flat_map(ScrapeConfig::targets).count();
    if targets > TARGETS {
        faults.say(node.at, format!("\"scrape_configs\" has {targets} targets, at most {TARGETS} are taken"));
    }
    all
}

fn job(node: &Node, every: Duration, faults: &mut Faults) -> ScrapeConfig {
    let mut job = ScrapeConfig::new(every);
    let mut timeout = None;
    for (key, value) in node.entries("scrape_configs", faults) {
        let path = format!("scrape_configs.{}", key.name);
        match key.name.as_str() {
            "job_name" => job.job_name = name(value, faults).unwrap_or_default(),
            "scrape_interval" => {
                let found = span(value, &path, (Duration::from_secs(1), Duration::from_secs(3600)), faults);
                job.interval = found.unwrap_or(every);
                if job.interval < every {
                    let (found, every) = (in_words(job.interval), in_words(every));
                    faults.say(value.at, format!("\"{path}\" is {found}, shorter than the agent's interval, {every}; samples travel with its reports"));
                }
            }
            "scrape_timeout" => {
                let found = span(value, &path, (Duration::from_millis(10), Duration::from_secs(300)), faults);
                timeout = found.map(|found| (found, value.at));
            }
            "scheme" => job.is_https = scheme(value, &path, faults),
            "metrics_path" => job.metrics_path = metrics_path(value, &path, faults).unwrap_or(job.metrics_path),
            "honor_labels" => job.honor_labels = yes_or_no(value, &path, faults).unwrap_or_default(),
            "honor_timestamps" => {
                if yes_or_no(value, &path, faults) == Some(true) {
                    faults.say(
                        value.at,
                        format!("\"{path}\": an agent's samples have the time of its report; leave it out"),
                    );
                }
            }
            "sample_limit" => job.sample_limit = count(value, &path, SAMPLES.1, faults).unwrap_or(SAMPLES.0),
            "body_size_limit" => job.body_size_limit = size(value, &path, faults).unwrap_or(BODY_BYTES.0),
            "authorization" => job.secret = authorization(value, &path, faults),
            "basic_auth" => job.secret = basic_auth(value, &path, faults),
            "tls_config" => job.tls = tls(value, &path, faults),
            "static_configs" => job.static_configs = static_configs(value, faults),
            _ => faults.unknown(key, "scrape_configs", &KEYS),
        }
    }
    if job.job_name.is_empty()
        && !node.entries("", &mut Faults::default()).iter().any(|(key, _)| key.name == "job_name")
    {
        faults.say(node.at, "a job without \"job_name\"");
    }
    job.timeout = timeout.map_or(TIMEOUT.min(job.interval), |(found, _)| found);
    if let Some((found, at)) = timeout.filter(|(found, _)| *found > job.interval) {
        let interval = in_words(job.interval);
        faults.say(
            at,
            format!("\"scrape_configs.scrape_timeout\" is {}, longer than the interval, {interval}", in_words(found)),
        );
    }
    check_targets(node, &job, faults);
    job
}

fn name(node: &Node, faults: &mut Faults) -> Option<String> {
    let text = node.text("scrape_configs.job_name", faults)?;
    if text.is_empty() || text.len() > limits::NAME_BYTES || text.contains('\0') {
        faults.say(node.at, format!("job_name is empty or longer than {} bytes", limits::NAME_BYTES));
        return None;
    }
    Some(text.to_owned())
}

fn scheme(node: &Node, path: &str, faults: &mut Faults) -> bool {
    match node.text(path, faults) {
        Some("https") => true,
        Some("http") | None => false,
        Some(other) => {
            faults.say(node.at, format!("\"{path}\" is \"{other}\"; write http or https"));
            false
        }
    }
}

fn metrics_path(node: &Node, path: &str, faults: &mut Faults) -> Option<String> {
    let text = node.text(path, faults)?;
    if !text.starts_with('/') || text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        faults.say(node.at, format!("\"{path}\" is \"{text}\"; begin it with / and write blanks as %20"));
        return None;
    }
    Some(text.to_owned())
}

pub(crate) fn yes_or_no(node: &Node, path: &str, faults: &mut Faults) -> Option<bool> {
    match node.text(path, faults)? {
        "true" => Some(true),
        "false" => Some(false),
        other => {
            faults.say(node.at, format!("\"{path}\" is \"{other}\"; write true or false"));
            None
        }
    }
}

fn count(node: &Node, path: &str, most: usize, faults: &mut Faults) -> Option<usize> {
    let text = node.text(path, faults)?;
    let found = text.parse().ok().filter(|found| (1..=most).contains(found));
    if found.is_none() {
        faults.say(node.at, format!("\"{path}\" is \"{text}\", not a number from 1 to {most}"));
    }
    found
}

/// Prometheus's sizes: `512KB`, `10MB`, powers of 1024.
fn size(node: &Node, path: &str, faults: &mut Faults) -> Option<u64> {
    const UNITS: [(&str, u64); 6] =
        [("KiB", 1 << 10), ("MiB", 1 << 20), ("KB", 1 << 10), ("MB", 1 << 20), ("B", 1), ("", 1)];
    let text = node.text(path, faults)?;
    let bytes =
        UNITS.iter().find_map(|(unit, factor)| text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(*factor));
    let found = bytes.filter(|bytes| (1..=BODY_BYTES.1).contains(bytes));
    if found.is_none() {
        faults.say(node.at, format!("\"{path}\" is \"{text}\"; write for example 512KB or 8MB, at most 64MB"));
    }
    found
}

pub(crate) fn authorization(node: &Node, path: &str, faults: &mut Faults) -> Option<Secret> {
    let (mut kind, mut file) = ("Bearer".to_owned(), None);
    for (key, value) in node.entries(path, faults) {
        match key.name.as_str() {
            "type" => kind = word(value, &format!("{path}.type"), faults).unwrap_or(kind),
            "credentials_file" => file = path_of(value, &format!("{path}.credentials_file"), faults),
            "credentials" => faults.say(key.at, secret_in_file(path, "credentials_file")),
            _ => faults.unknown(key, path, &["type", "credentials_file"]),
        }
    }
    file.map(|credentials_file| Secret::Authorization { kind, credentials_file })
}

pub(crate) fn basic_auth(node: &Node, path: &str, faults: &mut Faults) -> Option<Secret> {
    let (mut username, mut file) = (String::new(), None);
    for (key, value) in node.entries(path, faults) {
        match key.name.as_str() {
            "username" => username = word(value, &format!("{path}.username"), faults).unwrap_or_default(),
            "password_file" => file = path_of(value, &format!("{path}.password_file"), faults),
            "password" => faults.say(key.at, secret_in_file(path, "password_file")),
            _ => faults.unknown(key, path, &["username", "password_file"]),
        }
    }
    file.map(|password_file| Secret::Basic { username, password_file })
}

fn secret_in_file(path: &str, instead: &str) -> String {
    format!("\"{path}\" holds a secret; put it in a file that only the agent reads, and name it as {instead}")
}

fn word(node: &Node, path: &str, faults: &mut Faults) -> Option<String> {
    let text = node.text(path, faults)?;
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        faults.say(node.at, format!("\"{path}\" holds a control character"));
        return None;
    }
    Some(text.to_owned())
}

/// `{ca_file, insecure_skip_verify, server_name}`.
pub(crate) fn tls(node: &Node, path: &str, faults: &mut Faults) -> Tls {
    let mut tls = Tls::default();
    for (key, value) in node.entries(path, faults) {
        let full = format!("{path}.{}", key.name);
        match key.name.as_str() {
            "ca_file" => tls.trust = path_of(value, &full, faults).map_or(Trust::System, Trust::File),
            "insecure_skip_verify" => {
                if yes_or_no(value, &full, faults) == Some(true) {
                    tls.trust = Trust::Anybody;
                }
            }
            "server_name" => tls.server_name = word(value, &full, faults),
            _ => faults.unknown(key, path, &["ca_file", "insecure_skip_verify", "server_name"]),
        }
    }
    tls
}

fn static_configs(node: &Node, faults: &mut Faults) -> Vec<StaticConfig> {
    let path = "scrape_configs.static_configs";
    let mut all = Vec::new();
    for item in node.items(path, faults) {
        let mut group = StaticConfig::default();
        for (key, value) in item.entries(path, faults) {
            match key.name.as_str() {
                "targets" => {
                    let path = "scrape_configs.static_configs.targets";
                    let targets = value.items(path, faults);
                    group.targets =
                        targets.iter().filter_map(|target| target.text(path, faults)).map(str::to_owned).collect();
                }
                "labels" => group.labels = labels(value, "scrape_configs.static_configs.labels", faults),
                _ => faults.unknown(key, path, &["targets", "labels"]),
            }
        }
        all.push(group);
    }
    all
}

/// Labels that series get.
pub(crate) fn labels(node: &Node, path: &str, faults: &mut Faults) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (key, value) in node.entries(path, faults) {
        if !check::is_label_name(&key.name) || key.name.starts_with("__") {
            faults.say(
                key.at,
                format!(
                    "\"{}\" is no label name; letters, digits and _ are, not beginning with a digit or __",
                    key.name
                ),
            );
        }
        let Some(text) = value.text(&format!("{path}.{}", key.name), faults) else { continue };
        if text.len() > limits::VALUE_BYTES || text.contains('\0') {
            faults.say(
                value.at,
                format!("label \"{}\" is longer than {} bytes, or holds a NUL", key.name, limits::VALUE_BYTES),
            );
        }
        found.insert(key.name.clone(), text.to_owned());
    }
    if found.len() > limits::LABELS / 2 {
        faults.say(node.at, format!("\"{path}\" has {} labels, at most {} are taken", found.len(), limits::LABELS / 2));
    }
    found
}

/// Each target is one that can be asked, and none stands there twice.
fn check_targets(node: &Node, job: &ScrapeConfig, faults: &mut Faults) {
    let mut seen = std::collections::BTreeSet::new();
    for (group, target) in job.targets() {
        if job.url(target).is_none() {
            faults.say(node.at, format!("target \"{target}\" of job \"{}\" is no host:port", job.job_name));
        }
        if !seen.insert((target, &group.labels)) {
            faults.say(node.at, format!("target \"{target}\" of job \"{}\" stands there twice", job.job_name));
        }
    }
    if seen.is_empty() {
        faults.say(node.at, format!("job \"{}\" has no targets; name them under static_configs", job.job_name));
    }
}

/// The list as it could be read again.
pub fn to_yaml(jobs: &[ScrapeConfig]) -> String {
    if jobs.is_empty() {
        return "scrape_configs: []\n".to_owned();
    }
    let mut out = "scrape_configs:\n".to_owned();
    for job in jobs {
        let scheme = if job.is_https { "https" } else { "http" };
        let _ = writeln!(out, "  - job_name: {}", quoted(&job.job_name));
        let _ = writeln!(out, "    scrape_interval: {}", in_words(job.interval));
        let _ = writeln!(out, "    scrape_timeout: {}", in_words(job.timeout));
        let _ = writeln!(out, "    scheme: {scheme}\n    metrics_path: {}", quoted(&job.metrics_path));
        let _ = writeln!(out, "    honor_labels: {}\n    sample_limit: {}", job.honor_labels, job.sample_limit);
        let _ = writeln!(out, "    body_size_limit: {}B", job.body_size_limit);
        if let Some(secret) = &job.secret {
            let _ = writeln!(out, "    {}", secret_yaml(secret));
        }
        if job.tls != Tls::default() {
            let _ = writeln!(out, "    tls_config: {}", tls_yaml(&job.tls));
        }
        out.push_str("    static_configs:\n");
        for group in &job.static_configs {
            let targets: Vec<String> = group.targets.iter().map(|target| quoted(target)).collect();
            let _ =
                writeln!(out, "      - {{targets: [{}], labels: {}}}", targets.join(", "), labels_yaml(&group.labels));
        }
    }
    out
}

pub(crate) fn secret_yaml(secret: &Secret) -> String {
    match secret {
        Secret::Authorization { kind, credentials_file } => {
            let file = quoted(&credentials_file.to_string_lossy());
            format!("authorization: {{type: {}, credentials_file: {file}}}", quoted(kind))
        }
        Secret::Basic { username, password_file } => {
            let file = quoted(&password_file.to_string_lossy());
            format!("basic_auth: {{username: {}, password_file: {file}}}", quoted(username))
        }
    }
}

pub(crate) fn tls_yaml(tls: &Tls) -> String {
    let mut keys: Vec<String> = Vec::new();
    match &tls.trust {
        Trust::File(path) => keys.push(format!("ca_file: {}", quoted(&path.to_string_lossy()))),
        Trust::Anybody => keys.push("insecure_skip_verify: true".to_owned()),
        Trust::System => {}
    }
    keys.extend(tls.server_name.iter().map(|name| format!("server_name: {}", quoted(name))));
    format!("{{{}}}", keys.join(", "))
}

pub(crate) fn labels_yaml(labels: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}: {}", quoted(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}
