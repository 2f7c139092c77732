//! Installed packages, from dpkg's status file, read as a stream and only when it changed.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read as _};
use std::os::unix::fs::MetadataExt as _;

use watchkeep_protocol::inventory::Item;

use super::item;
use crate::root::Root;

const STATUS: &str = "var/lib/dpkg/status";
/// Longer lines (none is known) end the reading.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// One paragraph of the file, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Package {
    name: String,
    version: String,
    architecture: String,
    source: String,
    /// The third word of `Status:`: `installed`, `half-configured`, `config-files` …
    state: String,
}

/// What tells one version of the file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    bytes: u64,
    changed_ns: (i64, i64),
}

/// The stamp of the host's file; `None` where there is no dpkg.
pub fn stamp(root: &Root) -> Option<Stamp> {
    std::fs::metadata(root.join(STATUS)).ok().map(|found: Metadata| Stamp {
        inode: found.ino(),
        bytes: found.size(),
        changed_ns: (found.mtime(), found.mtime_nsec()),
    })
}

/// Every installed package: key `name/architecture`.
pub fn each_item(root: &Root, take: &mut dyn FnMut(Item)) {
    let read = each_package(root, |package| {
        let state = (package.state != "installed").then_some(package.state.clone());
        let attributes = vec![
            ("state", state),
            ("name", Some(package.name.clone())),
            ("version", Some(package.version.clone())),
            ("architecture", Some(package.architecture.clone())),
            ("source", Some(package.source.clone())),
        ];
        take(item("software_package", key(&package), attributes));
    });
    tell(read);
}

/// The keys of installed packages by name; of several architectures the first.
pub fn keys_by_name(root: &Root) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    tell(each_package(root, |package| {
        let key = key(&package);
        keys.entry(package.name).or_insert(key);
    }));
    keys
}

fn key(package: &Package) -> String {
    format!("{}/{}", package.name, package.architecture)
}

fn tell(read: io::Result<()>) {
    match read {
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%fault, "dpkg's status file is not read to its end");
        }
        _ => {}
    }
}

fn each_package(root: &Root, take: impl FnMut(Package)) -> io::Result<()> {
    packages_of(BufReader::new(File::open(root.join(STATUS))?), take)
}

/// Reads paragraphs of `Field: value`, lines that go on beginning with white space; hands over what is on the disk.
fn packages_of(mut from: impl BufRead, mut take: impl FnMut(Package)) -> io::Result<()> {
    let (mut line, mut package) = (Vec::new(), Package::default());
    loop {
        line.clear();
        let read = from.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if text.is_empty() {
            let package = std::mem::take(&mut package);
            if !package.name.is_empty() && !["not-installed", "config-files", ""].contains(&package.state.as_str()) {
                take(package);
            }
            if read == 0 {
                return Ok(());
            }
            continue;
        }
        let Some((field, value)) = text.split_once(':').filter(|_| !text.starts_with([' ', '\t'])) else { continue };
        let value = value.trim();
        match field {
            "Package" => package.name = value.to_owned(),
            "Version" => package.version = value.to_owned(),
            "Architecture" => package.architecture = value.to_owned(),
            "Source" => package.source = value.split(' ').next().unwrap_or_default().to_owned(),
            "Status" => package.state = value.split_ascii_whitespace().nth(2).unwrap_or_default().to_owned(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::testing::TempFiles;

    fn items(root: &Root) -> Vec<Item> {
        let mut items = Vec::new();
        each_item(root, &mut |item| items.push(item));
        items
    }

    const TEXT: &str = "Package: nginx-light\nStatus: install ok installed\nArchitecture: amd64\n\
        Source: nginx (1.22.1-9)\nVersion: 1.22.1-9+deb12u1\nDescription: small\n Version: not a field\n .\n more\n\n\
        Package: removed\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n\n\
        Package: torn\nStatus: install reinstreq half-configured\nArchitecture: all\nVersion: 2:3-1";

    #[test]
    fn installed_packages_are_items_and_remains_are_not() {
        let files = TempFiles::new();
        files.write(STATUS, TEXT);
        let items = items(&files.root());
        assert_eq!(items.iter().map(|item| item.key.as_str()).collect::<Vec<_>>(), ["nginx-light/amd64", "torn/all"]);
        let nginx = &items[0].attributes;
        assert_eq!((nginx["version"].as_str(), nginx["source"].as_str()), ("1.22.1-9+deb12u1", "nginx"));
        assert!(!nginx.contains_key("state"));
        assert_eq!(items[1].attributes["state"], "half-configured");
        assert_eq!(items[1].attributes["version"], "2:3-1");
    }

    #[test]
    fn a_host_without_dpkg_has_no_packages() {
        let files = TempFiles::new();
        assert!(items(&files.root()).is_empty());
        assert_eq!(stamp(&files.root()), None);
    }

    #[test]
    fn the_stamp_changes_with_the_file() {
        let files = TempFiles::new();
        files.write(STATUS, TEXT);
        let before = stamp(&files.root()).expect("is there");
        assert_eq!(stamp(&files.root()), Some(before));
        files.write(STATUS, "Package: a\n");
        assert_ne!(stamp(&files.root()), Some(before));
    }
}
