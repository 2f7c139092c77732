//! What is on the host: sections of items with attributes and relations, sent when they change.
//!
//! Each section is a file with its readers and tests, and [`SECTIONS`] is the one list. [`Discoverer::look`] reads them
//! all; what is news against what was last made durable (nothing, the difference, or the whole) is then taken message by
//! message. It reads files and may take a second on a large host, so it is called on a thread of its own.

mod disk;
mod filesystem;
mod hardware;
mod host;
mod interface;
mod netlink;
mod os;
mod owners;
mod package;
mod packed;
mod sent;
mod service;
mod sockets;
mod table;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use watchkeep_protocol::Inventory;
use watchkeep_protocol::inventory::{Item, ItemRef, Relation};

use crate::config::CollectConfig;
use crate::observe::Units;
use crate::root::Root;
use owners::Owners;
use package::Stamp;
use packed::Packed;
use sent::Sent;
use sockets::{Recent, Sockets};

pub use os::{field as os_field, release as os_release};
pub use table::table;

/// The sections, in the order in which they are told.
const SECTIONS: [&str; 9] =
    ["host", "os", "package", "service", "listener", "connection", "interface", "disk", "filesystem"];

/// Reads what is on the host, and remembers what was sent of it.
pub struct Discoverer {
    root: Root,
    /// Types of filesystems that the settings leave out.
    exclude_types: Vec<String>,
    units: Arc<Mutex<Units>>,
    owners: Owners,
    connections: Recent,
    sent: Sent,
    /// dpkg's status file as the last look found it, and as it was when what was found became durable.
    packages_seen: Option<Stamp>,
    packages_kept: Option<Stamp>,
}

impl Discoverer {
    /// Remembers in `state` (the agent's own directory) across restarts what was sent.
    pub fn new(root: Root, state: &Path, settings: &CollectConfig, units: Arc<Mutex<Units>>) -> Self {
        let (owners, connections, sent) = (Owners::default(), Recent::default(), Sent::open(state));
        let exclude_types = settings.filesystem.exclude_types.clone();
        Self { root, exclude_types, units, owners, connections, sent, packages_seen: None, packages_kept: None }
    }

    /// Everything as it is now: (section, items). A section of which nothing is known is left out.
    pub fn sections(&mut self) -> Vec<(&'static str, Vec<Item>)> {
        let sockets = self.refresh();
        let mut all = Vec::new();
        for section in SECTIONS {
            let mut items = Vec::new();
            if self.describe(section, &sockets, &mut |item| items.push(item)) {
                all.push((section, items));
            }
        }
        all
    }

    /// Looks at everything; [`Self::next_news`] then says what is news. Packages are looked at where dpkg's file is not the
    /// one that was kept.
    pub fn look(&mut self) {
        self.sent.begin();
        let sockets = self.refresh();
        let packages_news = self.packages_seen.is_none() || self.packages_seen != self.packages_kept;
        for section in SECTIONS.into_iter().filter(|section| *section != "package" || packages_news) {
            let mut packed = Packed::default();
            if self.describe(section, &sockets, &mut |item| packed.add(item)) {
                self.sent.take(section, packed);
            }
        }
    }

    /// The next message of what the last look found that is news; each is one matter. After the last, once all of them are
    /// durable, call [`Self::kept`]; otherwise the next look brings them again.
    pub fn next_news(&mut self) -> Option<Inventory> {
        self.sent.next_news()
    }

    /// What the last look brought is durable.
    pub fn kept(&mut self) {
        self.packages_kept = self.packages_seen;
        self.sent.kept();
    }

    /// What several sections are made from.
    fn refresh(&mut self) -> Sockets {
        let sockets = Sockets::find(&self.root, &mut self.connections);
        self.owners.refresh(&self.root, &sockets.programs());
        self.packages_seen = package::stamp(&self.root);
        sockets
    }

    /// Hands over the section's items one by one; false where nothing is known of it.
    fn describe(&self, section: &str, sockets: &Sockets, take: &mut dyn FnMut(Item)) -> bool {
        let items = match section {
            "host" => Some(host::items(&self.root)),
            "os" => Some(os::items(&self.root)),
            "package" => {
                package::each_item(&self.root, take);
                Some(Vec::new())
            }
            "service" => {
                let units = self.units.lock().unwrap_or_else(PoisonError::into_inner);
                service::items(&units, &self.owners, &sockets.by_unit())
            }
            "listener" => Some(sockets.listeners(&self.owners)),
            "connection" => Some(sockets.connections()),
            "interface" => interface::items(&self.root),
            "disk" => Some(disk::items(&self.root)),
            "filesystem" => filesystem::items(&self.root, &self.exclude_types),
            _ => None,
        };
        let is_known = items.is_some();
        items.into_iter().flatten().for_each(take);
        is_known
    }

    /// The controller asks for these sections whole (`*`: for all): the next look brings them.
    pub fn forget(&mut self, sections: &[String]) {
        if sections.iter().any(|section| section == "package" || section == "*") {
            (self.packages_kept, self.packages_seen) = (None, None);
        }
        self.sent.forget(sections);
    }
}

/// An item without relations; attributes without a value are left out.
fn item(class: &str, key: impl Into<String>, attributes: Vec<(&str, Option<String>)>) -> Item {
    let said = attributes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let said = said.filter(|(_, value)| !value.is_empty());
    Item { class: class.to_owned(), key: key.into(), attributes: said.collect(), relations: Vec::new() }
}

/// An edge to another item of this host.
fn relation(kind: &str, class: &str, key: &str) -> Relation {
    Relation { kind: kind.to_owned(), to: ItemRef { class: class.to_owned(), key: key.to_owned() } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::testing::TempFiles;

    #[test]
    fn packages_are_read_again_only_when_dpkg_or_the_controller_says_so() {
        let (files, state) = (TempFiles::new(), tempfile::tempdir().expect("a temporary directory"));
        let paragraph = |name: &str| format!("Package: {name}\nStatus: install ok installed\nArchitecture: all\n\n");
        files.write("var/lib/dpkg/status", &paragraph("a"));
        let mut discoverer = Discoverer::new(files.root(), state.path(), &CollectConfig::default(), Arc::default());
        let brings_packages = |discoverer: &mut Discoverer| {
            discoverer.look();
            let news: Vec<Inventory> = std::iter::from_fn(|| discoverer.next_news()).collect();
            news.iter().any(|message| message.section == "package")
        };
        assert!(brings_packages(&mut discoverer));
        assert!(brings_packages(&mut discoverer), "it was not kept");
        discoverer.kept();
        assert!(!brings_packages(&mut discoverer));
        discoverer.kept();
        files.write("var/lib/dpkg/status", &(paragraph("a") + &paragraph("b")));
        assert!(brings_packages(&mut discoverer));
        discoverer.kept();
        discoverer.forget(&["*".to_owned()]);
        assert!(brings_packages(&mut discoverer));
    }

    #[test]
    fn services_are_not_gone_while_systemd_is_not_heard() {
        let (files, state) = (TempFiles::new(), tempfile::tempdir().expect("a temporary directory"));
        let mut discoverer = Discoverer::new(files.root(), state.path(), &CollectConfig::default(), Arc::default());
        assert!(!discoverer.sections().iter().any(|(section, _)| *section == "service"));
    }
}
