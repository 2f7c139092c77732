//! `checks`, as they stand in the agent's file.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use watchkeep_protocol::limits;

use crate::config::{in_words, quoted, span};
use crate::glob;
use crate::http::{Secret, Tls, Url, host_and_port};
use crate::scrape::config as shared;
use crate::scrape::named_by_host;
use crate::yaml::{Faults, Key, Node, Value};

/// Between two readings, unless it is said otherwise or the agent reports more seldom.
const INTERVAL: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(10);
const CHECKS: usize = 200;
const WORDS: usize = 64;

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Unique; the label `job` of its series.
    pub name: String,
    pub interval: Duration,
    pub timeout: Duration,
    /// On its series beside those that it has.
    pub labels: BTreeMap<String, String>,
    pub kind: Kind,
}

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Tcp(Tcp),
    Http(Box<Http>),
    /// Files, folders, or patterns of files.
    Certificates(Vec<String>),
    /// A monitoring plugin and its arguments.
    Plugin(Vec<String>),
    /// A command that prints JSON.
    Json(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tcp {
    pub host: String,
    pub port: u16,
    pub tls: Option<Tls>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    pub url: Url,
    pub method: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
    pub follow_redirects: bool,
    pub expect: Expect,
    pub tls: Tls,
    pub secret: Option<Secret>,
}

/// What a good answer is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expect {
    /// One of these; empty: 200 to 299.
    pub status: Vec<u16>,
    /// Texts that the body holds, all of them.
    pub body: Vec<String>,
    /// Texts that it does not hold, none of them.
    pub not_body: Vec<String>,
}

/// The keys of every check, those that say what kind it is, and those that only some kinds have.
const COMMON: [&str; 4] = ["name", "interval", "timeout", "labels"];
const KINDS: [&str; 5] = ["tcp", "http", "certificates", "plugin", "command"];
const OF_TCP: [&str; 2] = ["tls", "tls_config"];
const OF_HTTP: [&str; 8] =
    ["method", "headers", "body", "follow_redirects", "expect", "tls_config", "authorization", "basic_auth"];

impl Kind {
    /// The label `instance`: what is looked at, named by the host where it is the host's own.
    pub fn instance(&self, agent: &str) -> String {
        match self {
            Self::Tcp(tcp) => named_by_host(&tcp.host, tcp.port, agent),
            Self::Http(http) => {
                let named = named_by_host(&http.url.host, http.url.port, agent);
                let here = host_and_port(&named).map_or(agent, |(host, _)| host).to_owned();
                Url { host: here, ..http.url.clone() }.to_string()
            }
            Self::Certificates(_) | Self::Plugin(_) | Self::Json(_) => agent.to_owned(),
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "tcp",
            Self::Http(_) => "http",
            Self::Certificates(_) => "certificates",
            Self::Plugin(_) => "plugin",
            Self::Json(_) => "command",
        }
    }
}

/// Reads the list; `every` is how often the agent reports.
pub fn read(node: &Node, every: Duration, faults: &mut Faults) -> Vec<Check> {
    let items = node.items("checks", faults);
    if items.len() > CHECKS {
        faults.say(node.at, format!("\"checks\" has {} checks, at most {CHECKS} are taken", items.len()));
    }
    let mut all: Vec<Check> = Vec::new();
    for item in items {
        let Some(check) = one(item, every, faults) else { continue };
        if all.iter().any(|other| other.name == check.name) {
            faults.say(item.at, format!("name \"{}\" is taken by a check above; names are unique", check.name));
        }
        all.push(check);
    }
    all
}

/// One check; `None` where it lacks a name or a kind.
fn one(node: &Node, every: Duration, faults: &mut Faults) -> Option<Check> {
    let entries = node.entries("checks", faults);
    let kinds: Vec<&(Key, Node)> = entries.iter().filter(|(key, _)| KINDS.contains(&key.name.as_str())).collect();
    let [(key, value)] = kinds.as_slice() else {
        let found: Vec<&str> = kinds.iter().map(|(key, _)| key.name.as_str()).collect();
        let found = if found.is_empty() { "none".to_owned() } else { found.join(" and ") };
        faults.say(node.at, format!("a check has one of {}; found {found}", KINDS.join(", ")));
        return None;
    };
    let own: &[&str] = match key.name.as_str() {
        "tcp" => &OF_TCP,
        "http" => &OF_HTTP,
        _ => &[],
    };
    for (other, _) in entries {
        let known = [&COMMON[..], &[key.name.as_str()], own].concat();
        if !known.contains(&other.name.as_str()) && !KINDS.contains(&other.name.as_str()) {
            faults.unknown(other, &format!("checks.{}", key.name), &known);
        }
    }
    let of = |name: &str| entries.iter().find(|(key, _)| key.name == name).map(|(_, value)| value);
    let kind = match key.name.as_str() {
        "tcp" => tcp(value, &of, faults).map(Kind::Tcp),
        "http" => http(value, &of, faults).map(|http| Kind::Http(Box::new(http))),
        "certificates" => paths(value, faults).map(Kind::Certificates),
        "plugin" => argv(value, "checks.plugin", faults).map(Kind::Plugin),
        _ => argv(value, "checks.command", faults).map(Kind::Json),
    };
    let Some(name) = of("name") else {
        faults.say(node.at, "a check without \"name\"");
        return None;
    };
    let name = named(name, faults);
    let (interval, timeout) = pace(&of, every, faults);
    let labels = of("labels").map(|labels| shared::labels(labels, "checks.labels", faults)).unwrap_or_default();
    Some(Check { name: name?, interval, timeout, labels, kind: kind? })
}

fn named(node: &Node, faults: &mut Faults) -> Option<String> {
    let text = node.text("checks.name", faults)?;
    if text.is_empty() || text.len() > limits::NAME_BYTES || text.contains('\0') {
        faults.say(node.at, format!("\"checks.name\" is empty or longer than {} bytes", limits::NAME_BYTES));
        return None;
    }
    Some(text.to_owned())
}

/// Interval and time limit.
fn pace<'a>(of: &impl Fn(&str) -> Option<&'a Node>, every: Duration, faults: &mut Faults) -> (Duration, Duration) {
    let mut interval = INTERVAL.max(every);
    if let Some(node) = of("interval") {
        let range = (Duration::from_secs(1), Duration::from_secs(86_400));
        interval = span(node, "checks.interval", range, faults).unwrap_or(interval);
        if interval < every {
            let (found, every) = (in_words(interval), in_words(every));
            faults.say(
                node.at,
                format!("\"checks.interval\" is {found}, shorter than the agent's interval, {every}; results travel with its reports"),
            );
        }
    }
    let mut timeout = TIMEOUT.min(interval);
    if let Some(node) = of("timeout") {
        let range = (Duration::from_millis(10), Duration::from_secs(300));
        timeout = span(node, "checks.timeout", range, faults).unwrap_or(timeout);
        if timeout > interval {
            let (found, interval) = (in_words(timeout), in_words(interval));
            faults.say(node.at, format!("\"checks.timeout\" is {found}, longer than the interval, {interval}"));
        }
    }
    (interval, timeout)
}

fn tcp<'a>(node: &Node, of: &impl Fn(&str) -> Option<&'a Node>, faults: &mut Faults) -> Option<Tcp> {
    let text = node.text("checks.tcp", faults)?;
    let config = of("tls_config").map(|tls| shared::tls(tls, "checks.tls_config", faults));
    let wanted = of("tls").and_then(|tls| shared::yes_or_no(tls, "checks.tls", faults));
    let tls = if wanted == Some(false) { None } else { config.or(wanted.map(|_| Tls::default())) };
    match host_and_port(text) {
        Some((host, Some(port))) if !host.is_empty() && !host.contains([' ', '/']) => {
            Some(Tcp { host: host.to_owned(), port, tls })
        }
        _ => {
            faults.say(node.at, format!("\"checks.tcp\" is \"{text}\", which is no host:port"));
            None
        }
    }
}

fn http<'a>(node: &Node, of: &impl Fn(&str) -> Option<&'a Node>, faults: &mut Faults) -> Option<Http> {
    let url = match Url::parse(node.text("checks.http", faults)?) {
        Ok(url) => Some(url),
        Err(fault) => {
            faults.say(node.at, format!("\"checks.http\": {fault}"));
            None
        }
    };
    let method = of("method").and_then(|node| method(node, faults)).unwrap_or_else(|| "GET".to_owned());
    let headers = of("headers").map(|node| headers(node, faults)).unwrap_or_default();
    let body = of("body").and_then(|node| node.text("checks.body", faults)).unwrap_or_default().to_owned();
    let follow = of("follow_redirects").and_then(|node| shared::yes_or_no(node, "checks.follow_redirects", faults));
    let expect = of("expect").map(|node| expect(node, faults)).unwrap_or_default();
    let tls = of("tls_config").map(|node| shared::tls(node, "checks.tls_config", faults)).unwrap_or_default();
    let bearer = of("authorization").and_then(|node| shared::authorization(node, "checks.authorization", faults));
    let secret = bearer.or_else(|| shared::basic_auth(of("basic_auth")?, "checks.basic_auth", faults));
    Some(Http { url: url?, method, headers, body, follow_redirects: follow.unwrap_or(true), expect, tls, secret })
}

fn method(node: &Node, faults: &mut Faults) -> Option<String> {
    let text = node.text("checks.method", faults)?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        faults.say(node.at, format!("\"checks.method\" is \"{text}\"; write GET, HEAD, POST and the like"));
        return None;
    }
    Some(text.to_owned())
}

fn headers(node: &Node, faults: &mut Faults) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (key, value) in node.entries("checks.headers", faults) {
        let Some(text) = value.text(&format!("checks.headers.{}", key.name), faults) else { continue };
        let is_name = key.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if !is_name || key.name.is_empty() || text.bytes().any(|byte| byte.is_ascii_control()) {
            faults.say(key.at, format!("\"{}\" is no header, or its value holds a control character", key.name));
        } else if ["authorization", "cookie"].contains(&key.name.to_ascii_lowercase().as_str()) {
            faults.say(
                key.at,
                format!("\"{}\" is a secret; use authorization or basic_auth, which name a file", key.name),
            );
        } else {
            found.insert(key.name.clone(), text.to_owned());
        }
    }
    found
}

fn expect(node: &Node, faults: &mut Faults) -> Expect {
    let mut expect = Expect::default();
    for (key, value) in node.entries("checks.expect", faults) {
        let path = format!("checks.expect.{}", key.name);
        match key.name.as_str() {
            "status" => {
                for node in one_or_more(value) {
                    let Some(text) = node.text(&path, faults) else { continue };
                    match text.parse().ok().filter(|status| (100..600).contains(status)) {
                        Some(status) => expect.status.push(status),
                        None => faults.say(node.at, format!("\"{path}\" is \"{text}\", not a status from 100 to 599")),
                    }
                }
            }
            "body" => expect.body = texts(value, &path, faults),
            "not_body" => expect.not_body = texts(value, &path, faults),
            _ => faults.unknown(key, "checks.expect", &["status", "body", "not_body"]),
        }
    }
    expect
}

/// A list, or one value in place of it.
fn one_or_more(node: &Node) -> &[Node] {
    if let Value::List(items) = &node.value { items } else { std::slice::from_ref(node) }
}

fn texts(node: &Node, path: &str, faults: &mut Faults) -> Vec<String> {
    one_or_more(node).iter().filter_map(|node| node.text(path, faults)).map(str::to_owned).collect()
}

fn paths(node: &Node, faults: &mut Faults) -> Option<Vec<String>> {
    let path = "checks.certificates";
    let all = texts(node, path, faults);
    for text in &all {
        if !text.starts_with('/') {
            faults.say(node.at, format!("\"{path}\" is \"{text}\", which is no absolute path; begin it with /"));
        } else if glob::is_deep(text) {
            faults.say(node.at, format!("\"{path}\" is \"{text}\"; * and ? may stand in the last part of a path only"));
        }
    }
    (!all.is_empty()).then_some(all)
}

fn argv(node: &Node, path: &str, faults: &mut Faults) -> Option<Vec<String>> {
    let all: Vec<String> =
        node.items(path, faults).iter().filter_map(|item| item.text(path, faults)).map(str::to_owned).collect();
    match all.first() {
        Some(program)
            if program.starts_with('/') && all.len() <= WORDS && all.iter().all(|word| !word.contains('\0')) =>
        {
            Some(all)
        }
        Some(program) if !program.starts_with('/') => {
            faults.say(node.at, format!("\"{path}\" begins with \"{program}\"; name the program by its whole path"));
            None
        }
        Some(_) => {
            faults.say(node.at, format!("\"{path}\" has more than {WORDS} words, or one with a NUL"));
            None
        }
        None => {
            faults.say(node.at, format!("\"{path}\" is empty; write the program and its arguments as a list"));
            None
        }
    }
}

/// The list as it could be read again.
pub fn to_yaml(checks: &[Check]) -> String {
    if checks.is_empty() {
        return "checks: []\n".to_owned();
    }
    let mut out = "checks:\n".to_owned();
    for check in checks {
        let (name, word) = (quoted(&check.name), check.kind.word());
        let _ = writeln!(out, "  - name: {name}\n    {word}: {}", what(&check.kind));
        let (interval, timeout) = (in_words(check.interval), in_words(check.timeout));
        let _ = writeln!(out, "    interval: {interval}\n    timeout: {timeout}");
        let _ = writeln!(out, "    labels: {}", shared::labels_yaml(&check.labels));
        match &check.kind {
            Kind::Tcp(Tcp { tls: Some(tls), .. }) => {
                let _ = writeln!(out, "    tls: true\n    tls_config: {}", shared::tls_yaml(tls));
            }
            Kind::Http(http) => out.push_str(&http_yaml(http)),
            _ => {}
        }
    }
    out
}

fn what(kind: &Kind) -> String {
    match kind {
        Kind::Tcp(tcp) if tcp.host.contains(':') => quoted(&format!("[{}]:{}", tcp.host, tcp.port)),
        Kind::Tcp(tcp) => quoted(&format!("{}:{}", tcp.host, tcp.port)),
        Kind::Http(http) => quoted(&http.url.to_string()),
        Kind::Certificates(words) | Kind::Plugin(words) | Kind::Json(words) => list(words),
    }
}

fn list(words: &[String]) -> String {
    format!("[{}]", words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(", "))
}

fn http_yaml(http: &Http) -> String {
    let status: Vec<String> = http.expect.status.iter().map(u16::to_string).collect();
    let mut out = format!("    method: {}\n    headers: {}\n", http.method, shared::labels_yaml(&http.headers));
    let _ = writeln!(out, "    body: {}\n    follow_redirects: {}", quoted(&http.body), http.follow_redirects);
    let (body, not_body) = (list(&http.expect.body), list(&http.expect.not_body));
    let _ = writeln!(out, "    expect: {{status: [{}], body: {body}, not_body: {not_body}}}", status.join(", "));
    if http.tls != Tls::default() {
        let _ = writeln!(out, "    tls_config: {}", shared::tls_yaml(&http.tls));
    }
    out + &http.secret.as_ref().map(|secret| format!("    {}\n", shared::secret_yaml(secret))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::config::AgentConfig;

    #[test]
    fn checks_are_read_and_can_be_read_again() {
        let text = "interval: 15s\nchecks:\n  - {name: shop, http: \"https://shop.example/health\", expect: {status: [200, 204], \
                    body: ok, not_body: [error, fault]}, interval: 30s, method: POST, headers: {X-Who: me}, body: hi, \
                    basic_auth: {username: u, password_file: /p}, tls_config: {insecure_skip_verify: true}}\n  \
                    - {name: db, tcp: \"[::1]:5432\", tls: true, timeout: 2s, labels: {tier: data}}\n  \
                    - {name: certs, certificates: [/etc/ssl/private, \"/srv/*.pem\"], interval: 1h}\n  \
                    - {name: raid, plugin: [/usr/lib/nagios/plugins/check_raid, -w, \"1\"], interval: 5m}\n  \
                    - {name: queue, command: [/usr/local/bin/queue]}\n";
        let config = AgentConfig::parse("agent.yaml", text).expect("is fine");
        assert_eq!(config.checks.len(), 5);
        assert_eq!((config.checks[4].interval.as_secs(), config.checks[1].timeout.as_secs()), (60, 2));
        assert_eq!(AgentConfig::parse("again.yaml", &config.to_yaml()).expect("is fine"), config);
    }

    #[test]
    fn all_faults_of_checks_come_with_their_places() {
        for (check, fault) in [
            ("{name: a}", "5:3: a check has one of tcp, http, certificates, plugin, command; found none"),
            (
                "{name: a, tcp: \"b:1\", plugin: [/c]}",
                "5:3: a check has one of tcp, http, certificates, plugin, command; found tcp and plugin",
            ),
            ("{tcp: \"b:1\"}", "5:3: a check without \"name\""),
            ("{name: a, tcp: b}", "5:18: \"checks.tcp\" is \"b\", which is no host:port"),
            ("{name: a, http: ftp://b}", "5:19: \"checks.http\": \"ftp://b\" begins with neither http:// nor https://"),
            (
                "{name: a, http: http://b, expct: {}}",
                "5:29: unknown key \"expct\" in \"checks.http\"; did you mean \"expect\"?",
            ),
            (
                "{name: a, http: http://b, expect: {status: ok}}",
                "5:46: \"checks.expect.status\" is \"ok\", not a status from 100 to 599",
            ),
            (
                "{name: a, http: http://b, headers: {Cookie: x}}",
                "5:39: \"Cookie\" is a secret; use authorization or basic_auth, which name a file",
            ),
            (
                "{name: a, plugin: [check_disk]}",
                "5:21: \"checks.plugin\" begins with \"check_disk\"; name the program by its whole path",
            ),
            (
                "{name: a, command: []}",
                "5:22: \"checks.command\" is empty; write the program and its arguments as a list",
            ),
            (
                "{name: a, certificates: etc}",
                "5:27: \"checks.certificates\" is \"etc\", which is no absolute path; begin it with /",
            ),
            (
                "{name: a, certificates: \"/e*/x.pem\"}",
                "5:27: \"checks.certificates\" is \"/e*/x.pem\"; * and ? may stand in the last part of a path only",
            ),
            (
                "{name: a, tcp: \"b:1\", interval: 5s}",
                "5:35: \"checks.interval\" is 5s, shorter than the agent's interval, 15s; results travel with its reports",
            ),
            ("{name: a, tcp: \"b:1\", timeout: 2m}", "5:34: \"checks.timeout\" is 120s, longer than the interval, 60s"),
            ("{name: b, tcp: \"b:1\"}", "5:3: name \"b\" is taken by a check above; names are unique"),
            (
                "{name: a, tcp: \"b:1\", method: GET}",
                "5:25: unknown key \"method\" in \"checks.tcp\"; known here: name, interval, timeout, labels, tcp, tls, tls_config",
            ),
        ] {
            let text = format!("# one\n# two\nchecks:\n- {{name: b, tcp: \"b:2\"}}\n- {check}\n");
            let faults = AgentConfig::parse("agent.yaml", &text).expect_err(check);
            assert_eq!(faults.to_string(), format!("agent.yaml:{fault}"), "{check}");
        }
    }
}
