//! The packs that ship, embedded, so that a binary needs no files beside it.

use std::path::PathBuf;

use crate::fault::Faults;
use crate::load::{PackUse, apply_overrides, load};
use crate::model::RuleBook;

/// Rules and runbooks for one thing, with their tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pack {
    pub name: &'static str,
    /// (path within the pack, text), sorted by path: rules and runbooks.
    pub files: &'static [(&'static str, &'static str)],
    /// The same for its tests.
    pub tests: &'static [(&'static str, &'static str)],
    pub knowledge: &'static [Page],
}

/// What people should know when an alert fires, in Markdown: what it means, what to look at first, what mends it, and when
/// there is no need to worry. Rules name it under `incident: {knowledge: […]}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// As rules name it; no two packs have a page of one name.
    pub name: &'static str,
    pub text: &'static str,
}

macro_rules! texts {
    ($pack:literal: $($path:literal),*) => {
        &[$(($path, include_str!(concat!("../packs/", $pack, "/", $path)))),*]
    };
}

macro_rules! pages {
    ($pack:literal: $($name:literal),*) => {
        &[$(Page { name: $name, text: include_str!(concat!("../packs/", $pack, "/knowledge/", $name, ".md")) }),*]
    };
}

static SHIPPED: [Pack; 9] = [
    Pack {
        name: "certificates",
        files: texts!("certificates": "rules.yaml"),
        tests: texts!("certificates": "tests/expiry.yaml"),
        knowledge: pages!("certificates": "certificate-runs-out"),
    },
    Pack {
        name: "checks",
        files: texts!("checks": "rules.yaml"),
        tests: texts!("checks": "tests/probes.yaml"),
        knowledge: pages!("checks": "check-fails", "check-slow"),
    },
    Pack {
        name: "containers",
        files: texts!("containers": "rules.yaml"),
        tests: texts!("containers": "tests/containers.yaml"),
        knowledge: pages!("containers": "container-memory", "container-restarts", "container-throttled"),
    },
    Pack {
        name: "demonstration",
        files: texts!("demonstration": "rules.yaml", "runbooks/look-around.yaml"),
        tests: texts!("demonstration": "tests/demonstration.yaml"),
        knowledge: &[],
    },
    Pack {
        name: "linux-host",
        files: texts!("linux-host": "rules.yaml", "runbooks/free-disk-space.yaml"),
        tests: texts!("linux-host": "tests/events.yaml", "tests/filesystems.yaml", "tests/free-disk-space.yaml", "tests/host.yaml"),
        knowledge: pages!("linux-host": "clock-skew", "connection-tracking", "disk-full", "disk-slow", "file-descriptors", "filesystem-not-answering", "filesystem-read-only", "host-busy", "host-rebooted", "inodes-used-up", "memory-short", "network-errors"),
    },
    Pack {
        name: "nginx",
        files: texts!("nginx": "rules.yaml"),
        tests: texts!("nginx": "tests/server.yaml"),
        knowledge: pages!("nginx": "nginx-connections", "nginx-down", "nginx-no-traffic"),
    },
    Pack {
        name: "postgresql",
        files: texts!("postgresql": "rules.yaml"),
        tests: texts!("postgresql": "tests/server.yaml"),
        knowledge: pages!("postgresql": "postgresql-connections", "postgresql-down", "postgresql-long-transaction", "postgresql-replica", "postgresql-transactions"),
    },
    Pack {
        name: "systemd",
        files: texts!("systemd": "rules.yaml", "runbooks/restart-service.yaml"),
        tests: texts!("systemd": "tests/restart-service.yaml", "tests/unit-failed.yaml"),
        knowledge: pages!("systemd": "unit-failed"),
    },
    Pack {
        name: "watchkeep",
        files: texts!("watchkeep": "rules.yaml"),
        tests: texts!("watchkeep": "tests/controller.yaml"),
        knowledge: pages!("watchkeep": "watchkeep-input-set-aside", "watchkeep-messages-forged", "watchkeep-reports-lost", "watchkeep-rule-fails", "watchkeep-samples-not-kept", "watchkeep-too-slow"),
    },
];

/// Every pack that ships, sorted by name.
pub fn shipped() -> &'static [Pack] {
    &SHIPPED
}

/// The page of this name, whichever pack has it.
pub fn page(name: &str) -> Option<&'static Page> {
    SHIPPED.iter().flat_map(|pack| pack.knowledge).find(|page| page.name == name)
}

impl Page {
    /// What it is about: the first line, without its mark.
    pub fn title(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches('#').trim()
    }
}

impl Pack {
    /// Its files as [`load`] takes them, under `packs/NAME/`.
    pub fn sources(&self) -> Vec<(PathBuf, String)> {
        let path = |file: &str| PathBuf::from(format!("packs/{}/{file}", self.name));
        self.files.iter().map(|(file, text)| (path(file), (*text).to_owned())).collect()
    }
}

/// Loads packs with their overrides into one book.
///
/// Faults come from overrides: the packs themselves are loaded by the tests of this crate.
pub fn load_packs(uses: &[PackUse]) -> Result<RuleBook, Faults> {
    let mut book = RuleBook::default();
    let mut faults = Vec::new();
    for chosen in uses {
        let Some(pack) = SHIPPED.iter().find(|pack| pack.name == chosen.name) else {
            faults.push(vec![crate::Fault::of_file(&chosen.name, "there is no pack of this name")]);
            continue;
        };
        let mut of_pack = load(&pack.sources())?;
        faults.push(apply_overrides(&mut of_pack, &chosen.overrides));
        book.extend(of_pack);
    }
    let faults = Faults::of(faults);
    if faults.is_empty() { Ok(book) } else { Err(faults) }
}

impl RuleBook {
    /// Takes in another book whose names do not meet those of this one.
    pub fn extend(&mut self, other: Self) {
        self.event_rules.extend(other.event_rules);
        self.alert_rules.extend(other.alert_rules);
        self.recording_rules.extend(other.recording_rules);
        self.groups.extend(other.groups);
        self.runbooks.extend(other.runbooks);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PARTS: [&str; 4] = ["What it means", "Look first at", "Mend", "When not to worry"];

    #[test]
    fn every_page_says_what_people_need_to_know() {
        let mut names = BTreeSet::new();
        for page in SHIPPED.iter().flat_map(|pack| pack.knowledge) {
            assert!(names.insert(page.name), "two pages are named {}", page.name);
            assert_eq!(self::page(page.name), Some(page));
            assert!(page.title().len() > 5, "{} has no title", page.name);
            let mut parts = page.text.split("\n## ").skip(1).map(|part| part.split_once('\n').unwrap_or((part, "")));
            for expected in PARTS {
                let (title, text) = parts.next().unwrap_or_default();
                assert_eq!(title, expected, "in {}", page.name);
                assert!(text.trim().len() > 30, "{} says nothing under '{title}'", page.name);
            }
            assert_eq!(parts.next(), None, "{} says more", page.name);
        }
        assert_eq!(page("nobody-wrote-it"), None);
    }

    #[test]
    fn every_shipped_rule_names_a_page_or_a_runbook_and_every_page_is_named() {
        let mut named = BTreeSet::new();
        for pack in &SHIPPED {
            let book = load(&pack.sources()).unwrap_or_else(|faults| panic!("{faults}"));
            let alerts = book.alert_rules.iter().map(|rule| (&rule.name, &rule.incident, rule.runbook.is_some()));
            let events = book.event_rules.iter().map(|rule| (&rule.name, &rule.incident, rule.runbook.is_some()));
            for (rule, incident, has_runbook) in alerts.chain(events) {
                assert!(has_runbook || !incident.knowledge.is_empty(), "{rule} of {} leaves people alone", pack.name);
                for name in &incident.knowledge {
                    let page = page(name).unwrap_or_else(|| panic!("{rule} names {name}, which nobody wrote"));
                    named.insert(page.name);
                }
            }
        }
        for page in SHIPPED.iter().flat_map(|pack| pack.knowledge) {
            assert!(named.contains(page.name), "no rule names {}", page.name);
        }
    }
}
