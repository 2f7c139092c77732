//! What is on a simulated host: sections of inventory in the agent's own form.

use watchkeep_protocol::inventory::{ItemRef, section_hash};
use watchkeep_protocol::{Inventory, Item, Relation};

/// Of each ten hosts the last is the database of the others.
const GROUP: usize = 10;
const PACKAGES: usize = 60;
/// The package that every host but a database has, and may be upgraded.
pub const APPLICATION: &str = "shop";
const DATABASE: &str = "postgresql-15";

/// What is on one host.
#[derive(Clone, Debug)]
pub struct Estate {
    name: String,
    index: usize,
    units: Vec<String>,
    /// Name and version.
    packages: Vec<(String, String)>,
}

impl Estate {
    /// The host with this number from 0, and so many units.
    pub fn new(name: &str, index: usize, units: usize) -> Self {
        let own = if is_database(index) { DATABASE } else { APPLICATION };
        let named = [own.to_owned(), "cron".to_owned(), "ssh".to_owned()].into_iter();
        let filled = (named.len()..units).map(|number| format!("job-{number}"));
        let packages = (0..PACKAGES).map(|number| (format!("lib{number}"), "1.0-1".to_owned()));
        Self {
            name: name.to_owned(),
            index,
            units: named.chain(filled).take(units).map(|unit| format!("{unit}.service")).collect(),
            packages: packages.chain([(own.to_owned(), "1.0-1".to_owned())]).collect(),
        }
    }

    pub fn units(&self) -> &[String] {
        &self.units
    }

    /// Another version of a package is there now; one that was not there comes.
    pub fn upgrade(&mut self, package: &str, version: &str) {
        match self.packages.iter_mut().find(|(name, _)| name == package) {
            Some((_, known)) => version.clone_into(known),
            None => self.packages.push((package.to_owned(), version.to_owned())),
        }
    }

    /// Every section, whole.
    pub fn sections(&self) -> Vec<Inventory> {
        let sections = [
            ("host", vec![self.host()]),
            ("package", self.packages()),
            ("service", self.services()),
            ("listener", self.listeners()),
            ("connection", self.connections()),
            ("interface", vec![self.interface()]),
        ];
        sections.into_iter().map(|(section, items)| whole(section, items)).collect()
    }

    /// The packages alone, after an upgrade.
    pub fn package_section(&self) -> Inventory {
        whole("package", self.packages())
    }

    fn host(&self) -> Item {
        let machine = format!("{:032x}", self.index + 1);
        item("host", &self.name, &[("hostname", &self.name), ("machine_id", &machine), ("architecture", "x86_64")])
    }

    fn packages(&self) -> Vec<Item> {
        let of = |(name, version): &(String, String)| {
            let more = [("name", name.as_str()), ("version", version), ("architecture", "amd64"), ("source", name)];
            item("software_package", &format!("{name}/amd64"), &more)
        };
        self.packages.iter().map(of).collect()
    }

    fn services(&self) -> Vec<Item> {
        let service = |unit: &String| {
            let package = format!("{}/amd64", unit.trim_end_matches(".service"));
            let mut found = item("service_unit", unit, &[("active_state", "active"), ("sub_state", "running")]);
            let has = self.packages.iter().any(|(name, _)| package.starts_with(&format!("{name}/")));
            found.relations.extend(has.then(|| relation("uses", "software_package", &package)));
            found
        };
        self.units.iter().map(service).collect()
    }

    fn listeners(&self) -> Vec<Item> {
        let (port, address) = (if is_database(self.index) { 5432 } else { 8080 }, address(self.index));
        let endpoint = format!("tcp/{address}:{port}");
        let more = [("protocol", "tcp"), ("address", address.as_str()), ("port", &port.to_string())];
        let mut process =
            item("process", &self.process(), &[("executable", &self.program()), ("unit", &self.units[0])]);
        process.relations.push(relation("listens_on", "listening_endpoint", &endpoint));
        vec![item("listening_endpoint", &endpoint, &more), process]
    }

    fn connections(&self) -> Vec<Item> {
        if is_database(self.index) {
            return Vec::new();
        }
        let remote = format!("{}:5432", address(self.index / GROUP * GROUP + GROUP - 1));
        let process = self.process();
        let more = [("process", process.as_str()), ("remote", &remote), ("protocol", "tcp")];
        vec![item("connection", &format!("{process}>tcp/{remote}"), &more)]
    }

    fn interface(&self) -> Item {
        let address = address(self.index);
        item("network_interface", "eth0", &[("name", "eth0"), ("addresses", &address), ("operstate", "up")])
    }

    fn program(&self) -> String {
        format!("/usr/bin/{}", self.units[0].trim_end_matches(".service"))
    }

    fn process(&self) -> String {
        format!("{}@{}", self.program(), self.units[0])
    }
}

fn is_database(index: usize) -> bool {
    index % GROUP == GROUP - 1
}

fn address(index: usize) -> String {
    format!("10.{}.{}.{}", index / 62_500, index / 250 % 250, index % 250 + 1)
}

fn whole(section: &str, items: Vec<Item>) -> Inventory {
    Inventory { section: section.to_owned(), hash: section_hash(&items).to_vec(), items, ..Inventory::default() }
}

fn item(class: &str, key: &str, attributes: &[(&str, &str)]) -> Item {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Item { class: class.to_owned(), key: key.to_owned(), attributes, relations: Vec::new() }
}

fn relation(kind: &str, class: &str, key: &str) -> Relation {
    Relation { kind: kind.to_owned(), to: ItemRef { class: class.to_owned(), key: key.to_owned() } }
}

#[cfg(test)]
mod tests {
    use watchkeep_protocol::Check as _;

    use super::*;

    #[test]
    fn every_section_is_one_that_a_controller_takes_and_an_upgrade_changes_one() {
        for index in [0, 9] {
            let mut estate = Estate::new("sim-1", index, 38);
            let before = estate.sections();
            assert!(before.iter().all(|section| section.check().is_ok()));
            estate.upgrade("lib1", "1.0-2");
            let after = estate.sections();
            let changed: Vec<_> =
                before.iter().zip(&after).filter(|(before, after)| before.hash != after.hash).collect();
            assert_eq!(changed.iter().map(|(_, after)| after.section.as_str()).collect::<Vec<_>>(), ["package"]);
        }
    }
}
