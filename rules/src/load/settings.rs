//! What `watchkeep.yaml` says of the installation beside packs, notices and the practices' figures: where people reach it,
//! which labels it carries, how long each kind of record is kept, and who else is told of samples.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::groups::check_label_name;
use super::remote_write::{self, RemoteWrite};
use super::{Checker, keys};
use crate::fault::{Fault, Faults};
use crate::metric::Installation;
use crate::yaml::{self, Node, Source};

const DAY: i64 = 86_400_000;
/// Nothing is kept for less: what is younger is still worked on.
const SHORTEST: i64 = 3_600_000;

/// `external_url`, `external_labels`, `retention` and `remote_write`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstallationSettings {
    pub installation: Installation,
    pub retention: Retention,
    pub remote_write: Vec<RemoteWrite>,
}

/// How long each kind of record is kept, milliseconds; an hour at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Block files of what was measured.
    pub samples: i64,
    /// The same, down-sampled to five minutes …
    pub samples_5m: i64,
    /// … and to an hour.
    pub samples_1h: i64,
    /// Events as agents told them.
    pub events: i64,
    /// The input log, from which decisions are replayed.
    pub inputs: i64,
    /// What commands printed: in runs that are over, attachments of incidents that are closed, and the facts that tell of it.
    pub output: i64,
    /// Notices and commands that were carried out.
    pub notices: i64,
    /// Bodies of facts; their headers stay for ever.
    pub facts: i64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            samples: 15 * DAY,
            samples_5m: 60 * DAY,
            samples_1h: 365 * DAY,
            events: 30 * DAY,
            inputs: 30 * DAY,
            output: 90 * DAY,
            notices: 90 * DAY,
            facts: 3 * 365 * DAY,
        }
    }
}

/// The named parts of a settings file; `packs`, `notify` and `settings` are read by others.
///
/// # Errors
/// Every fault with line and column: no YAML, an unknown key, a text that is no duration, URL or label name.
pub fn installation_settings(file: &Path, text: &str) -> Result<InstallationSettings, Faults> {
    let source = Source::new(file.display().to_string(), text);
    let mut check = Checker::new(&source);
    let node = match yaml::parse(&source) {
        Ok(node) => node,
        Err(error) => return Err(Faults::of([vec![Fault::at(&source, error.at, error.at + 1, error.message)]])),
    };
    let mut found = InstallationSettings::default();
    if !node.is_null() {
        let fields = check.fields(&node, "the settings file", &keys::SETTINGS);
        let url = fields.get("external_url").and_then(|node| url(&mut check, node));
        found.installation.external_url = url.unwrap_or_default();
        let labels = fields.get("external_labels").map(|node| labels(&mut check, node));
        found.installation.external_labels = labels.unwrap_or_default();
        let retention = fields.get("retention").map(|node| retention(&mut check, node));
        found.retention = retention.unwrap_or_default();
        let stores = fields.get("remote_write").map(|node| remote_write::stores(&mut check, node));
        found.remote_write = stores.unwrap_or_default();
    }
    let faults = Faults::of([check.faults]);
    if faults.is_empty() { Ok(found) } else { Err(faults) }
}

/// Without a `/` at its end, so that templates may write `{{ $externalURL }}/incidents`.
fn url(check: &mut Checker<'_>, node: &Node) -> Option<String> {
    let text = address(check, node, "https://watch.example.com")?;
    Some(text.trim_end_matches('/').to_owned())
}

/// Of HTTP or HTTPS, with a host.
pub(super) fn address(check: &mut Checker<'_>, node: &Node, example: &str) -> Option<String> {
    let text = check.text(node)?;
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    if host.is_none_or(|host| host.is_empty() || host.starts_with('/')) || text.contains(char::is_whitespace) {
        check.fault(node, format!("\"{text}\" is no address; write for example {example}"));
        return None;
    }
    Some(text)
}

fn labels(check: &mut Checker<'_>, node: &Node) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (key, name, _, text) in check.text_map(node) {
        if check_label_name(check, key, &name) {
            found.insert(name, text);
        }
    }
    found
}

fn retention(check: &mut Checker<'_>, node: &Node) -> Retention {
    let mut terms = Retention::default();
    let fields = check.fields(node, "retention", &keys::RETENTION);
    let kinds: [(&str, &mut i64); 8] = [
        ("samples", &mut terms.samples),
        ("samples_5m", &mut terms.samples_5m),
        ("samples_1h", &mut terms.samples_1h),
        ("events", &mut terms.events),
        ("inputs", &mut terms.inputs),
        ("output", &mut terms.output),
        ("notices", &mut terms.notices),
        ("facts", &mut terms.facts),
    ];
    for (kind, term) in kinds {
        let Some(node) = fields.get(kind) else { continue };
        match check.duration(node) {
            Some(ms) if ms < SHORTEST => {
                check.fault(node, format!("{kind} are kept for an hour at least; write for example 15d"));
            }
            Some(ms) => *term = ms,
            None => {}
        }
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<InstallationSettings, String> {
        installation_settings(Path::new("watchkeep.yaml"), text).map_err(|faults| faults.to_string())
    }

    #[test]
    fn what_is_not_said_is_as_it_ships() {
        for text in ["", "# nothing\n", "packs: []\nnotify: []\nsettings: {}\n", "retention: {}\n"] {
            assert_eq!(read(text), Ok(InstallationSettings::default()), "{text}");
        }
    }

    #[test]
    fn address_labels_and_terms_are_read() {
        let text = "external_url: https://watch.example.com/keep/\nexternal_labels: {site: fra1, tier: 2}\n\
            retention: {samples: 1w, inputs: 12h, facts: 10y}\n";
        let found = read(text).expect("they are good");
        assert_eq!(found.installation.external_url, "https://watch.example.com/keep");
        let labels = [("site", "fra1"), ("tier", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(found.installation.external_labels, BTreeMap::from(labels));
        let expected = Retention { samples: 7 * DAY, inputs: DAY / 2, facts: 3_650 * DAY, ..Retention::default() };
        assert_eq!(found.retention, expected);
    }

    #[test]
    fn every_fault_comes_with_its_place() {
        let text = "\
external_ulr: https://x
external_url: watch.example
external_labels:
  0site: fra1
retention:
  sampels: 15d
  events: 30
  inputs: 5m
";
        let found = read(text).expect_err("faults");
        let expected = [
            "watchkeep.yaml:1:1: the settings file has no key 'external_ulr'",
            "watchkeep.yaml:2:15: \"watch.example\" is no address; write for example https://watch.example.com",
            "watchkeep.yaml:4:3: '0site' is no label name",
            "watchkeep.yaml:6:3: retention has no key 'sampels'",
            "watchkeep.yaml:7:11: \"30\" has no unit; write for example 30s or 30m",
            "watchkeep.yaml:8:11: inputs are kept for an hour at least; write for example 15d",
        ];
        for fault in expected {
            assert!(found.contains(fault), "not told: {fault}\n{found}");
        }
        assert_eq!(found.lines().filter(|line| line.starts_with("watchkeep.yaml:")).count(), expected.len(), "{found}");
    }
}
