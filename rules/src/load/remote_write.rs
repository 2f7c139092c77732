//! `remote_write` of `watchkeep.yaml`: which stores are told all samples. Keys are those of Prometheus's `remote_write`, as far
//! as they are of use here; secrets come by file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::settings::address;
use super::{Checker, Fields, keys};
use crate::yaml::Node;

/// The longest name of a store, bytes.
const NAME_BYTES: usize = 64;
const KIB: u64 = 1 << 10;
/// Less would not hold what comes in a moment.
const DISK_BYTES_LEAST: u64 = KIB << 10;

/// A store, by remote write 1.0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteWrite {
    /// Unique in the file, and the name of its queue's folder: letters, digits, `.`, `_` and `-`.
    pub name: String,
    pub url: String,
    /// How long one request may take, ms.
    pub timeout: i64,
    /// Sent with each request.
    pub headers: BTreeMap<String, String>,
    pub credentials: Option<Credentials>,
    /// The CA of the store's certificate, PEM, where it is not one of the system's.
    pub ca_file: Option<PathBuf>,
    pub relabel: Vec<Relabel>,
    pub queue: QueueConfig,
}

/// Who writes; files are relative to the configuration directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// `Authorization: KIND SECRET`
    Authorization {
        kind: String,
        file: PathBuf,
    },
    Basic {
        username: String,
        file: PathBuf,
    },
}

/// Series that are sent, or not, by the values of some labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relabel {
    pub source_labels: Vec<String>,
    pub separator: String,
    /// Of all of the joined values; it compiles.
    pub regex: String,
    /// Those that it matches are kept and no others; else they are dropped.
    pub keep: bool,
}

/// How samples wait; times in ms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    pub max_samples_per_send: u32,
    /// A request waits so long for more samples.
    pub batch_send_deadline: i64,
    /// The pause after the first failure; it doubles with each more …
    pub min_backoff: i64,
    /// … up to this.
    pub max_backoff: i64,
    /// Bytes that may wait on disk; past them the oldest are dropped.
    pub disk_bytes_max: u64,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            max_samples_per_send: 2_000,
            batch_send_deadline: 1_000,
            min_backoff: 30,
            max_backoff: 5_000,
            disk_bytes_max: 4 << 30,
        }
    }
}

/// All stores; each fault is noted.
pub(super) fn stores(check: &mut Checker<'_>, node: &Node) -> Vec<RemoteWrite> {
    let mut names = BTreeSet::new();
    let mut found = Vec::new();
    for node in check.list(node) {
        let Some(store) = store(check, node) else { continue };
        if !names.insert(store.name.clone()) {
            let said =
                format!("two stores under 'remote_write' are called \"{}\"; give one of them a 'name'", store.name);
            check.fault(node, said);
        }
        found.push(store);
    }
    found
}

/// Keys of Prometheus's that are not here, and why.
const ELSEWHERE: [(&str, &str); 7] = [
    ("bearer_token", "write authorization: {credentials_file: …}"),
    ("bearer_token_file", "write authorization: {credentials_file: …}"),
    ("send_native_histograms", "native histograms are not kept here, so none are sent"),
    ("send_exemplars", "exemplars are not kept here, so none are sent"),
    ("metadata_config", "what metrics mean is not sent"),
    ("oauth2", "authorization and basic_auth are what is known here"),
    ("sigv4", "authorization and basic_auth are what is known here"),
];

fn store(check: &mut Checker<'_>, node: &Node) -> Option<RemoteWrite> {
    let what = "a store under 'remote_write'";
    let fields = check.fields_among(node, what, &keys::REMOTE_WRITE, &ELSEWHERE);
    let url = fields.required(check, "url", what).and_then(|node| url(check, node));
    let name = match fields.get("name") {
        Some(node) => name(check, node),
        None => url.as_deref().map(name_of),
    };
    let headers = fields.get("headers").map(|node| headers(check, node)).unwrap_or_default();
    let credentials = credentials(check, &fields);
    let ca_file = fields.get("tls_config").and_then(|node| {
        let fields = check.fields(node, "tls_config", &keys::REMOTE_WRITE_TLS);
        fields.required(check, "ca_file", "tls_config").and_then(|node| check.name(node))
    });
    let relabel = fields.get("write_relabel_configs").map(|node| {
        let steps = check.list(node);
        steps.iter().filter_map(|node| relabel(check, node)).collect()
    });
    let queue = fields.get("queue_config").map(|node| queue(check, node)).unwrap_or_default();
    let timeout = fields.get("remote_timeout").and_then(|node| check.positive_duration(node)).unwrap_or(30_000);
    Some(RemoteWrite {
        name: name?,
        url: url?,
        timeout,
        headers,
        credentials,
        ca_file: ca_file.map(PathBuf::from),
        relabel: relabel.unwrap_or_default(),
        queue,
    })
}

fn url(check: &mut Checker<'_>, node: &Node) -> Option<String> {
    let text = address(check, node, "https://metrics.example.com/api/v1/write")?;
    let authority = text.split("://").nth(1).unwrap_or_default().split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        check.fault(node, "a secret does not belong in an address; write basic_auth: {username: …, password_file: …}");
        return None;
    }
    Some(text)
}

fn name(check: &mut Checker<'_>, node: &Node) -> Option<String> {
    let text = check.text(node)?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if text.is_empty() || text.len() > NAME_BYTES || text.starts_with('.') || !text.bytes().all(is_name) {
        let said =
            format!("1 to {NAME_BYTES} letters, digits, '.', '_' and '-' make a name, no '.' first; not \"{text}\"");
        check.fault(node, said);
        return None;
    }
    Some(text)
}

/// Host and port, as far as they are of a name.
fn name_of(url: &str) -> String {
    let authority = url.split("://").nth(1).unwrap_or_default().split(['/', '?']).next().unwrap_or_default();
    let name = authority.chars().take(NAME_BYTES).map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' });
    let name: String = name.collect();
    name.trim_start_matches('.').to_owned()
}

fn headers(check: &mut Checker<'_>, node: &Node) -> BTreeMap<String, String> {
    /// What the sender sets itself.
    const OWN: [&str; 6] = [
        "authorization",
        "content-encoding",
        "content-type",
        "content-length",
        "host",
        "x-prometheus-remote-write-version",
    ];
    let mut found = BTreeMap::new();
    for (key, name, value, text) in check.text_map(node) {
        let is_token =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if OWN.contains(&name.to_ascii_lowercase().as_str()) {
            check.fault(key, format!("the header '{name}' is set by Watchkeep itself"));
        } else if !is_token {
            check.fault(key, format!("'{name}' is no name of a header"));
        } else if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            check.fault(value, "a header's value is of printable ASCII");
        } else {
            found.insert(name, text);
        }
    }
    found
}

fn credentials(check: &mut Checker<'_>, fields: &Fields<'_>) -> Option<Credentials> {
    const SECRET: &str = "secrets come by file, so that none stands in the history of settings; write";
    if let (Some(_), Some(second)) = (fields.get("authorization"), fields.key("basic_auth")) {
        check.fault(second, "there is 'authorization' already; a request carries one of the two");
    }
    if let Some(node) = fields.get("authorization") {
        let said = format!("{SECRET} credentials_file");
        let known = &keys::REMOTE_WRITE_AUTHORIZATION;
        let fields = check.fields_among(node, "authorization", known, &[("credentials", &said)]);
        let kind = fields.get("type").and_then(|node| check.name(node));
        let file = fields.required(check, "credentials_file", "authorization").and_then(|node| check.name(node))?;
        let kind = kind.unwrap_or_else(|| "Bearer".to_owned());
        return Some(Credentials::Authorization { kind, file: file.into() });
    }
    let node = fields.get("basic_auth")?;
    let said = format!("{SECRET} password_file");
    let fields = check.fields_among(node, "basic_auth", &keys::REMOTE_WRITE_BASIC, &[("password", &said)]);
    let username = fields.required(check, "username", "basic_auth").and_then(|node| check.text(node));
    let file = fields.required(check, "password_file", "basic_auth").and_then(|node| check.name(node));
    Some(Credentials::Basic { username: username?, file: file?.into() })
}

fn relabel(check: &mut Checker<'_>, node: &Node) -> Option<Relabel> {
    let what = "a step of 'write_relabel_configs'";
    let only = "series are kept or dropped here, their labels stay as they are";
    let elsewhere = [("target_label", only), ("replacement", only), ("modulus", only)];
    let fields = check.fields_among(node, what, &keys::REMOTE_WRITE_RELABEL, &elsewhere);
    let action = fields.required(check, "action", what).and_then(|node| {
        let word = check.word(node, "action", &["keep", "drop"]);
        word.map(|word| word == "keep")
    });
    let source_labels = fields.required(check, "source_labels", what).map(|node| check.texts(node));
    let separator = fields.get("separator").and_then(|node| check.text(node)).unwrap_or_else(|| ";".to_owned());
    let regex = match fields.get("regex") {
        Some(node) => regex(check, node),
        None => Some(".*".to_owned()),
    };
    Some(Relabel { source_labels: source_labels?, separator, regex: regex?, keep: action? })
}

fn regex(check: &mut Checker<'_>, node: &Node) -> Option<String> {
    let text = check.text(node)?;
    match regex::Regex::new(&format!("^(?s:{text})$")) {
        Ok(_) => Some(text),
        Err(error) => {
            let said = error.to_string();
            let why = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
            check.fault(node, format!("\"{text}\" is no regular expression: {why}"));
            None
        }
    }
}

fn queue(check: &mut Checker<'_>, node: &Node) -> QueueConfig {
    let serial = "one request after the other is sent, so that no sample overtakes another";
    let elsewhere = [
        ("capacity", "samples wait on disk; write disk_bytes_max"),
        ("max_shards", serial),
        ("min_shards", serial),
        ("retry_on_http_429", "429 is always tried again"),
        ("sample_age_limit", "old samples are dropped by bytes; write disk_bytes_max"),
    ];
    let fields = check.fields_among(node, "queue_config", &keys::REMOTE_WRITE_QUEUE, &elsewhere);
    let mut queue = QueueConfig::default();
    if let Some(node) = fields.get("max_samples_per_send") {
        queue.max_samples_per_send = check.whole(node, 1, 100_000).unwrap_or(queue.max_samples_per_send);
    }
    let times = [
        ("batch_send_deadline", &mut queue.batch_send_deadline),
        ("min_backoff", &mut queue.min_backoff),
        ("max_backoff", &mut queue.max_backoff),
    ];
    for (key, time) in times {
        *time = fields.get(key).and_then(|node| check.positive_duration(node)).unwrap_or(*time);
    }
    if let Some(node) = fields.get("max_backoff").filter(|_| queue.max_backoff < queue.min_backoff) {
        check.fault(node, format!("this is shorter than min_backoff, {} ms", queue.min_backoff));
    }
    if let Some(node) = fields.get("disk_bytes_max") {
        queue.disk_bytes_max = bytes(check, node).unwrap_or(queue.disk_bytes_max);
    }
    queue
}

/// As in Prometheus: `512MB`, `4GB`, powers of 1024.
fn bytes(check: &mut Checker<'_>, node: &Node) -> Option<u64> {
    let text = check.text(node)?;
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let of_unit = match unit {
        "KB" | "KiB" => Some(KIB),
        "MB" | "MiB" => Some(KIB << 10),
        "GB" | "GiB" => Some(KIB << 20),
        "TB" | "TiB" => Some(KIB << 30),
        _ => None,
    };
    let found = number.parse::<u64>().ok().zip(of_unit).and_then(|(number, unit)| number.checked_mul(unit));
    match found {
        Some(bytes) if bytes >= DISK_BYTES_LEAST => Some(bytes),
        Some(_) => {
            check.fault(node, "1MB at least, to hold what comes in a moment");
            None
        }
        None => {
            check.fault(node, format!("\"{text}\" is no size; write for example 512MB or 4GB"));
            None
        }
    }
}

#[cfg(test)]
mod tests;
