//! What machine this is, by its firmware, as labels: `/sys/class/dmi/id`. Serial numbers are for root alone, and left out
//! where the agent may not read them.
//! [Source: kernel, drivers/firmware/dmi-id.c]

use std::path::PathBuf;

use watchkeep_protocol::MetricKind::Gauge;

use super::CollectError;
use super::families::{Families, Family, Sparse};
use super::sysfs::Attribute;
use crate::root::Root;

const INFO: Family<'_> = Family {
    name: "node_dmi_info",
    kind: Gauge,
    help: "A metric with a constant '1' value labeled by what DMI says of firmware, board, chassis and product.",
};

/// Files, which are labels as well but for `sys_vendor`.
const FILES: [&str; 20] = [
    "bios_date",
    "bios_release",
    "bios_vendor",
    "bios_version",
    "board_asset_tag",
    "board_name",
    "board_serial",
    "board_vendor",
    "board_version",
    "chassis_asset_tag",
    "chassis_serial",
    "chassis_vendor",
    "chassis_version",
    "product_family",
    "product_name",
    "product_serial",
    "product_sku",
    "product_uuid",
    "product_version",
    "sys_vendor",
];

pub struct Dmi {
    folder: PathBuf,
    /// Read once: firmware changes with a boot.
    words: Option<Vec<(&'static str, String)>>,
}

impl Dmi {
    pub fn new(root: &Root) -> Self {
        Self { folder: root.join("sys/class/dmi/id"), words: None }
    }
}

impl Sparse for Dmi {
    fn name(&self) -> &'static str {
        "dmi"
    }

    fn read(&mut self, families: &mut Families<'_>) -> Result<(), CollectError> {
        let folder = &self.folder;
        let words = self.words.get_or_insert_with(|| {
            let says = |file: &'static str| {
                let label = if file == "sys_vendor" { "system_vendor" } else { file };
                Some((label, Attribute::once(folder, file)?.text().to_owned()))
            };
            FILES.into_iter().filter_map(says).collect()
        });
        if words.is_empty() {
            return Err(CollectError::Unavailable(format!("this host has no \"{}\"", folder.display())));
        }
        let labels: Vec<(&str, &str)> = words.iter().map(|(label, text)| (*label, text.as_str())).collect();
        families.set(INFO, &labels, 1.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{SparseStage, TempFiles};

    #[test]
    fn what_firmware_says_is_labels() {
        let files = TempFiles::new();
        files.write("sys/class/dmi/id/sys_vendor", "QEMU \n");
        files.write("sys/class/dmi/id/product_name", "Standard PC\n");
        let lines = SparseStage::of(Dmi::new(&files.root())).read().lines();
        assert_eq!(lines, ["node_dmi_info{product_name=\"Standard PC\",system_vendor=\"QEMU\"} 1"]);
        assert!(SparseStage::of(Dmi::new(&TempFiles::new().root())).fault().starts_with("this host has no"));
    }
}
