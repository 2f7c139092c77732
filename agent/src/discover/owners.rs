//! Which package a unit file or a program belongs to, from the file lists that dpkg keeps.
//!
//! All lists are read once after each change of dpkg's status, and again when a program is asked for that nobody has asked
//! for before. Only what was asked for is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use super::package::{self, Stamp};
use crate::root::Root;

const LISTS: &str = "var/lib/dpkg/info";

#[derive(Default)]
pub struct Owners {
    read_at: Option<Stamp>,
    /// Unit file (`nginx.service`, `getty@.service`) → package key.
    units: BTreeMap<String, String>,
    /// Program → package key; `None` for one that no package has.
    programs: BTreeMap<String, Option<String>>,
}

impl Owners {
    /// Makes sure that the owners of units and of these programs are known.
    pub fn refresh(&mut self, root: &Root, programs: &BTreeSet<String>) {
        let Some(now) = package::stamp(root) else { return };
        if self.read_at != Some(now) {
            self.programs.clear();
        }
        let asked_before = programs.iter().all(|program| self.programs.contains_key(program));
        if self.read_at == Some(now) && asked_before {
            return;
        }
        self.programs = programs.iter().map(|program| (program.clone(), None)).collect();
        self.units.clear();
        let keys = package::keys_by_name(root);
        for entry in std::fs::read_dir(root.join(LISTS)).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(package) = name.to_str().and_then(|name| name.strip_suffix(".list")) else { continue };
            let key = match package.split_once(':') {
                Some((name, architecture)) => Some(format!("{name}/{architecture}")),
                None => keys.get(package).cloned(),
            };
            if let Some(key) = key {
                self.take_list(&entry.path(), &key);
            }
        }
        self.read_at = Some(now);
    }

    /// The package of a unit, by the unit's own file or its template's.
    pub fn of_unit(&self, unit: &str) -> Option<&str> {
        let template =
            unit.split_once('@').and_then(|(name, rest)| Some(format!("{name}@.{}", rest.rsplit('.').next()?)));
        let known = self.units.get(unit).or_else(|| self.units.get(&template?));
        known.map(String::as_str)
    }

    /// The package of a program by its path.
    pub fn of_program(&self, program: &str) -> Option<&str> {
        self.programs.get(program)?.as_deref()
    }

    fn take_list(&mut self, list: &Path, key: &str) {
        let Ok(file) = File::open(list) else { return };
        for line in BufReader::new(file).lines().map_while(Result::ok) {
            // Packages name `/lib/…` and `/sbin/…` as they please; the host has one `/usr`.
            let below_usr = line.strip_prefix("/usr").unwrap_or(&line);
            let unit = below_usr.strip_prefix("/lib/systemd/system/").filter(|unit| !unit.contains('/'));
            if let Some(unit) = unit.filter(|unit| unit.ends_with(".service")) {
                self.units.insert(unit.to_owned(), key.to_owned());
            }
            let with_usr = format!("/usr{below_usr}");
            for path in [below_usr, &with_usr] {
                if let Some(owner) = self.programs.get_mut(path) {
                    *owner = Some(key.to_owned());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::testing::TempFiles;

    #[test]
    fn units_and_programs_belong_to_packages() {
        let files = TempFiles::new();
        let paragraph = |name: &str| format!("Package: {name}\nStatus: install ok installed\nArchitecture: all\n\n");
        files.write(
            "var/lib/dpkg/status",
            &(paragraph("nginx-common") + &paragraph("nginx-light") + &paragraph("systemd")),
        );
        files.write(
            "var/lib/dpkg/info/nginx-common.list",
            "/.\n/lib/systemd/system\n/lib/systemd/system/nginx.service\n",
        );
        files.write("var/lib/dpkg/info/nginx-light.list", "/usr/sbin/nginx\n");
        files
            .write("var/lib/dpkg/info/systemd:amd64.list", "/usr/lib/systemd/system/getty@.service\n/bin/journalctl\n");
        let mut owners = Owners::default();
        let asked = ["/usr/sbin/nginx", "/usr/bin/journalctl", "/opt/own"].map(str::to_owned).into();
        owners.refresh(&files.root(), &asked);
        assert_eq!(owners.of_unit("nginx.service"), Some("nginx-common/all"));
        assert_eq!(owners.of_unit("getty@tty1.service"), Some("systemd/amd64"));
        assert_eq!(owners.of_unit("own.service"), None);
        assert_eq!(owners.of_program("/usr/sbin/nginx"), Some("nginx-light/all"));
        assert_eq!(owners.of_program("/usr/bin/journalctl"), Some("systemd/amd64"), "listed below /bin");
        assert_eq!(owners.of_program("/opt/own"), None);
    }

    #[test]
    fn an_upgrade_is_noticed() {
        let files = TempFiles::new();
        files.write("var/lib/dpkg/status", "Package: a\nStatus: install ok installed\nArchitecture: all\n\n");
        files.write("var/lib/dpkg/info/a.list", "/usr/bin/a\n");
        let (mut owners, asked) =
            (Owners::default(), BTreeSet::from(["/usr/bin/a".to_owned(), "/usr/bin/b".to_owned()]));
        owners.refresh(&files.root(), &asked);
        assert_eq!(owners.of_program("/usr/bin/b"), None);
        files.write("var/lib/dpkg/info/a.list", "/usr/bin/b\n");
        files.write(
            "var/lib/dpkg/status",
            "Package: a\nStatus: install ok installed\nArchitecture: all\nVersion: 2\n\n",
        );
        owners.refresh(&files.root(), &asked);
        assert_eq!((owners.of_program("/usr/bin/a"), owners.of_program("/usr/bin/b")), (None, Some("a/all")));
    }
}
