//! Whether SELinux is there and what it does with what a policy forbids, from `/sys/fs/selinux` and
//! `/etc/selinux/config`.

use watchkeep_protocol::MetricKind::Gauge;

use super::CollectError;
use super::families::{Families, Family, Sparse};
use crate::root::Root;

const ENABLED: Family<'_> =
    Family { name: "node_selinux_enabled", kind: Gauge, help: "SELinux is enabled, 1 is true, 0 is false" };
const CONFIG_MODE: Family<'_> =
    Family { name: "node_selinux_config_mode", kind: Gauge, help: "Configured SELinux enforcement mode" };
const CURRENT_MODE: Family<'_> =
    Family { name: "node_selinux_current_mode", kind: Gauge, help: "Current SELinux enforcement mode" };

pub struct Selinux {
    root: Root,
}

impl Selinux {
    pub fn new(root: &Root) -> Self {
        Self { root: root.clone() }
    }
}

impl Sparse for Selinux {
    fn name(&self) -> &'static str {
        "selinux"
    }

    fn read(&mut self, families: &mut Families<'_>) -> Result<(), CollectError> {
        let enforce = self.root.line("sys/fs/selinux/enforce").and_then(|line| line.parse::<f64>().ok());
        families.set(ENABLED, &[], f64::from(u8::from(enforce.is_some())));
        if let Some(enforce) = enforce {
            families.set(CONFIG_MODE, &[], configured(&self.root.text("etc/selinux/config")));
            families.set(CURRENT_MODE, &[], enforce);
        }
        Ok(())
    }
}

/// 1 enforcing, 0 permissive, -1 disabled or nothing said. [Source: selinux_config(5)]
fn configured(text: &str) -> f64 {
    let said = text.lines().rev().find_map(|line| line.trim().strip_prefix("SELINUX=")).map(str::trim);
    match said {
        Some("enforcing") => 1.0,
        Some("permissive") => 0.0,
        _ => -1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{SparseStage, TempFiles};

    #[test]
    fn a_host_without_it_says_only_that() {
        let seen = SparseStage::of(Selinux::new(&TempFiles::new().root())).read();
        assert_eq!(seen.lines(), ["node_selinux_enabled 0"]);
    }

    #[test]
    fn what_is_configured_may_differ_from_what_is() {
        let files = TempFiles::new();
        files.write("sys/fs/selinux/enforce", "0");
        files.write(
            "etc/selinux/config",
            "# SELINUX=disabled\nSELINUX=permissive\n SELINUX=enforcing \nSELINUXTYPE=targeted\n",
        );
        assert_eq!(
            SparseStage::of(Selinux::new(&files.root())).read().lines(),
            ["node_selinux_config_mode 1", "node_selinux_current_mode 0", "node_selinux_enabled 1"]
        );
        assert_eq!(
            [configured(""), configured("SELINUX=disabled"), configured("SELINUX=permissive")],
            [-1.0, -1.0, 0.0]
        );
    }
}
