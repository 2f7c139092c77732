//! Bonded links: how many each has and how many of them work, from `/sys/class/net`.
//! [Source: kernel, Documentation/networking/bonding.rst]

use std::path::PathBuf;

use watchkeep_protocol::MetricKind::Gauge;

use super::CollectError;
use super::families::{Families, Family, Sparse};
use super::sysfs::Attribute;
use crate::root::Root;

const SLAVES: Family<'_> =
    Family { name: "node_bonding_slaves", kind: Gauge, help: "Number of configured slaves per bonding interface." };
const ACTIVE: Family<'_> =
    Family { name: "node_bonding_active", kind: Gauge, help: "Number of active slaves per bonding interface." };

pub struct Bonding {
    class: PathBuf,
    masters: Attribute,
}

impl Bonding {
    pub fn new(root: &Root) -> Self {
        Self { class: root.join("sys/class/net"), masters: Attribute::default() }
    }

    /// How many links of a bond there are, and how many of them the bond finds up.
    fn count(&self, master: &str) -> (f64, f64) {
        let folder = self.class.join(master);
        let says = |file: &str| Attribute::once(&folder, file);
        let Some(slaves) = says("bonding/slaves") else { return (0.0, 0.0) };
        let slaves: Vec<&str> = slaves.text().split_ascii_whitespace().collect();
        // Older kernels call a link of the bond `slave_eth0`, newer ones `lower_eth0`.
        let is_up = |slave: &&&str| {
            let mut states = ["lower", "slave"].into_iter();
            let state = states.find_map(|prefix| says(&format!("{prefix}_{slave}/bonding_slave/mii_status")));
            state.is_some_and(|line| line.text() == "up")
        };
        (slaves.len() as f64, slaves.iter().filter(is_up).count() as f64)
    }
}

impl Sparse for Bonding {
    fn name(&self) -> &'static str {
        "bonding"
    }

    fn read(&mut self, families: &mut Families<'_>) -> Result<(), CollectError> {
        let Some(masters) = self.masters.line(&self.class, "bonding_masters") else {
            return Err(CollectError::Unavailable("this host bonds no links".to_owned()));
        };
        let counts = masters.text().split_ascii_whitespace().map(|master| (master, self.count(master)));
        let counts: Vec<(&str, (f64, f64))> = counts.collect();
        for (master, (slaves, _)) in &counts {
            families.set(SLAVES, &[("master", master)], *slaves);
        }
        for (master, (_, active)) in &counts {
            families.set(ACTIVE, &[("master", master)], *active);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{SparseStage, TempFiles};

    #[test]
    fn links_that_the_bond_finds_down_are_not_active() {
        let files = TempFiles::new();
        for (path, text) in [
            ("bonding_masters", "bond0 gone\n"),
            ("bond0/bonding/slaves", "eth0 eth1 eth2\n"),
            ("bond0/lower_eth0/bonding_slave/mii_status", "up\n"),
            ("bond0/slave_eth1/bonding_slave/mii_status", "going down\n"),
        ] {
            files.write(&format!("sys/class/net/{path}"), text);
        }
        assert_eq!(
            SparseStage::of(Bonding::new(&files.root())).read().lines(),
            [
                "node_bonding_active{master=\"bond0\"} 1",
                "node_bonding_active{master=\"gone\"} 0",
                "node_bonding_slaves{master=\"bond0\"} 3",
                "node_bonding_slaves{master=\"gone\"} 0",
            ]
        );
        assert_eq!(SparseStage::of(Bonding::new(&TempFiles::new().root())).fault(), "this host bonds no links");
    }
}
