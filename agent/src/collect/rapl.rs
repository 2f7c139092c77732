//! Energy that processors and memory have used, from `/sys/class/powercap`. Only root may read it on most kernels: an agent
//! that may not says nothing of it.
//! [Source: kernel, Documentation/power/powercap/powercap.rst; CVE-2020-8694 for who may read]

use std::collections::BTreeMap;
use std::path::PathBuf;

use watchkeep_protocol::MetricKind::Counter;

use super::CollectError;
use super::families::{Families, Family, Sparse};
use super::sysfs::{Attribute, Folder};
use crate::root::Root;

const MICRO: f64 = 1e-6;
const CLASS: &str = "sys/class/powercap";

pub struct Rapl {
    zones: Folder<Zone>,
}

struct Zone {
    folder: PathBuf,
    energy: Attribute,
    /// `package-0`
    name: String,
    path: String,
}

impl Rapl {
    pub fn new(root: &Root) -> Self {
        Self { zones: Folder::seldom(root.join(CLASS)) }
    }
}

impl Sparse for Rapl {
    fn name(&self) -> &'static str {
        "rapl"
    }

    fn read(&mut self, families: &mut Families<'_>) -> Result<(), CollectError> {
        let zones = self.zones.look(|folder, name| {
            // `intel-rapl` alone is the control type; AMD's processors are under Intel's name as well.
            name.starts_with("intel-rapl:").then_some(())?;
            let name_of_zone = Attribute::once(folder, "name")?.text().to_owned();
            let (energy, path) = (Attribute::default(), format!("/{CLASS}/{name}"));
            Some(Zone { folder: folder.to_owned(), energy, name: name_of_zone, path })
        })?;
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for (_, Zone { folder, energy, name, path }) in zones {
            let (kind, own) = parts(name);
            let count = counts.entry(kind).or_default();
            let index = own.map_or_else(|| count.to_string(), str::to_owned);
            *count += 1;
            let Some(micro) = energy.number(folder, "energy_uj") else { continue };
            let kind = kind.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_', "_");
            let (name, help) =
                (format!("node_rapl_{kind}_joules_total"), format!("Current RAPL {kind} value in joules"));
            let family = Family { name: &name, kind: Counter, help: &help };
            families.set(family, &[("index", &index), ("path", path)], micro * MICRO);
        }
        Ok(())
    }
}

/// `package-1` is the package 1; a zone without a number (`core`, `dram`) is counted among those of its name.
fn parts(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once('-') {
        Some((kind, number)) if number.parse::<u32>().is_ok() => (kind, Some(number)),
        _ => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{SparseStage, TempFiles};

    #[test]
    fn zones_without_a_number_are_counted() {
        let files = TempFiles::new();
        for (zone, name, energy) in [
            ("intel-rapl:0", "package-0", "2500000"),
            ("intel-rapl:0:0", "dram", "1000000"),
            ("intel-rapl:1:0", "dram", "500000"),
        ] {
            files.write(&format!("{CLASS}/{zone}/name"), name);
            files.write(&format!("{CLASS}/{zone}/energy_uj"), energy);
        }
        files.write(&format!("{CLASS}/intel-rapl/enabled"), "1");
        assert_eq!(
            SparseStage::of(Rapl::new(&files.root())).read().lines(),
            [
                "node_rapl_dram_joules_total{index=\"0\",path=\"/sys/class/powercap/intel-rapl:0:0\"} 1",
                "node_rapl_dram_joules_total{index=\"1\",path=\"/sys/class/powercap/intel-rapl:1:0\"} 0.5",
                "node_rapl_package_joules_total{index=\"0\",path=\"/sys/class/powercap/intel-rapl:0\"} 2.5",
            ]
        );
    }
}
