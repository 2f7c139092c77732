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
}

macro_rules! texts {
    ($pack:literal: $($path:literal),*) => {
        &[$(($path, include_str!(concat!("../packs/", $pack, "/", $path)))),*]
    };
}

static SHIPPED: [Pack; 9] = [
    Pack {
        name: "certificates",
        files: texts!("certificates": "rules.yaml"),
        tests: texts!("certificates": "tests/expiry.yaml"),
    },
    Pack { name: "checks", files: texts!("checks": "rules.yaml"), tests: texts!("checks": "tests/probes.yaml") },
    Pack {
        name: "containers",
        files: texts!("containers": "rules.yaml"),
        tests: texts!("containers": "tests/containers.yaml"),
    },
    Pack {
        name: "demonstration",
        files: texts!("demonstration": "rules.yaml", "runbooks/look-around.yaml"),
        tests: texts!("demonstration": "tests/demonstration.yaml"),
    },
    Pack {
        name: "linux-host",
        files: texts!("linux-host": "rules.yaml", "runbooks/free-disk-space.yaml"),
        tests: texts!("linux-host": "tests/events.yaml", "tests/filesystems.yaml", "tests/free-disk-space.yaml", "tests/host.yaml"),
    },
    Pack { name: "nginx", files: texts!("nginx": "rules.yaml"), tests: texts!("nginx": "tests/server.yaml") },
    Pack {
        name: "postgresql",
        files: texts!("postgresql": "rules.yaml"),
        tests: texts!("postgresql": "tests/server.yaml"),
    },
    Pack {
        name: "systemd",
        files: texts!("systemd": "rules.yaml", "runbooks/restart-service.yaml"),
        tests: texts!("systemd": "tests/restart-service.yaml", "tests/unit-failed.yaml"),
    },
    Pack {
        name: "watchkeep",
        files: texts!("watchkeep": "rules.yaml"),
        tests: texts!("watchkeep": "tests/controller.yaml"),
    },
];

/// Every pack that ships, sorted by name.
pub fn shipped() -> &'static [Pack] {
    &SHIPPED
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
