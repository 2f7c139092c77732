//! What Btrfs has given out and used of each of its filesystems, from `/sys/fs/btrfs/<uuid>`.
//! [Source: kernel, fs/btrfs/sysfs.c; btrfs(5), "PROFILES" for how much of the disk a byte of data takes]

use std::path::{Path, PathBuf};

use watchkeep_protocol::MetricKind::Gauge;

use super::CollectError;
use super::families::{Families, Family, Sparse};
use super::sysfs::{Attribute, Folder};
use crate::root::Root;

/// The kernel's sectors are 512 bytes whatever the device's are.
const SECTOR_BYTES: f64 = 512.0;

const fn gauge(name: &'static str, help: &'static str) -> Family<'static> {
    Family { name, kind: Gauge, help }
}
const INFO: Family<'_> = gauge("node_btrfs_info", "Filesystem information");
const RESERVE: Family<'_> = gauge("node_btrfs_global_rsv_size_bytes", "Size of global reserve.");
const DEVICE: Family<'_> = gauge("node_btrfs_device_size_bytes", "Size of a device that is part of the filesystem.");
const RESERVED: Family<'_> = gauge("node_btrfs_reserved_bytes", "Amount of space reserved for a data type");
const USED: Family<'_> = gauge("node_btrfs_used_bytes", "Amount of used space by a layout/data type");
const SIZE: Family<'_> = gauge("node_btrfs_size_bytes", "Amount of space allocated for a layout/data type");
const RATIO: Family<'_> = gauge("node_btrfs_allocation_ratio", "Data allocation ratio for a layout/data type");

const GROUPS: [&str; 4] = ["data", "metadata", "mixed", "system"];

pub struct Btrfs {
    filesystems: Folder<Filesystem>,
}

struct Filesystem {
    folder: PathBuf,
    devices: Folder<PathBuf>,
    groups: [Folder<PathBuf>; GROUPS.len()],
}

impl Btrfs {
    pub fn new(root: &Root) -> Self {
        Self { filesystems: Folder::seldom(root.join("sys/fs/btrfs")) }
    }
}

fn number(folder: &Path, file: &str) -> Option<f64> {
    Attribute::once(folder, file).and_then(|line| line.number())
}

impl Sparse for Btrfs {
    fn name(&self) -> &'static str {
        "btrfs"
    }

    fn read(&mut self, families: &mut Families<'_>) -> Result<(), CollectError> {
        let filesystems = self.filesystems.look(|folder, _| {
            // Beside the filesystems lies `features`, of the module.
            folder.join("allocation").is_dir().then(|| Filesystem {
                folder: folder.to_owned(),
                devices: Folder::new(folder.join("devices")),
                groups: GROUPS.map(|group| Folder::new(folder.join("allocation").join(group))),
            })
        })?;
        for (uuid, filesystem) in filesystems {
            filesystem.read(uuid, families);
        }
        Ok(())
    }
}

impl Filesystem {
    fn read(&mut self, uuid: &str, families: &mut Families<'_>) {
        let label = Attribute::once(&self.folder, "label");
        let label = label.as_ref().map_or("", |line| line.text());
        families.set(INFO, &[("label", label), ("uuid", uuid)], 1.0);
        if let Some(bytes) = number(&self.folder, "allocation/global_rsv_size") {
            families.set(RESERVE, &[("uuid", uuid)], bytes);
        }
        let devices = self.devices.look(|folder, _| Some(folder.to_owned())).map_or(0, |devices| {
            for (device, folder) in devices.iter() {
                if let Some(sectors) = number(folder, "size") {
                    families.set(DEVICE, &[("device", device), ("uuid", uuid)], sectors * SECTOR_BYTES);
                }
            }
            devices.len()
        });
        for (group, folder) in GROUPS.into_iter().zip(&mut self.groups) {
            // A filesystem has mixed groups, or data and metadata.
            let Ok(profiles) = folder.look(|folder, _| folder.is_dir().then(|| folder.to_owned())) else { continue };
            if let Some(bytes) = number(&self.folder, &format!("allocation/{group}/bytes_reserved")) {
                families.set(RESERVED, &[("block_group_type", group), ("uuid", uuid)], bytes);
            }
            for (profile, folder) in profiles {
                let labels = [("block_group_type", group), ("mode", profile.as_str()), ("uuid", uuid)];
                let numbers = [(USED, number(folder, "used_bytes")), (SIZE, number(folder, "total_bytes"))];
                let ratio = (RATIO, ratio(profile, devices as f64));
                for (family, value) in numbers.into_iter().chain([ratio]) {
                    if let Some(value) = value {
                        families.set(family, &labels, value);
                    }
                }
            }
        }
    }
}

/// Bytes of disk that a byte takes; `None` for a profile that is not known, or with too few devices for it.
fn ratio(profile: &str, devices: f64) -> Option<f64> {
    match profile {
        "single" | "raid0" => Some(1.0),
        "dup" | "raid1" | "raid10" => Some(2.0),
        "raid1c3" => Some(3.0),
        "raid1c4" => Some(4.0),
        "raid5" => (devices > 1.0).then(|| devices / (devices - 1.0)),
        "raid6" => (devices > 2.0).then(|| devices / (devices - 2.0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{SparseStage, TempFiles};

    #[test]
    fn a_profile_takes_its_part_of_the_disks() {
        for (profile, devices, expected) in [
            ("single", 1.0, Some(1.0)),
            ("dup", 1.0, Some(2.0)),
            ("raid1c4", 4.0, Some(4.0)),
            ("raid5", 4.0, Some(4.0 / 3.0)),
            ("raid5", 1.0, None),
            ("raid6", 2.0, None),
            ("raid99", 5.0, None),
        ] {
            assert_eq!(ratio(profile, devices), expected, "{profile} {devices}");
        }
    }

    #[test]
    fn a_filesystem_of_mixed_groups_has_no_others() {
        let files = TempFiles::new();
        for (path, text) in [
            ("u1/label", "\n"),
            ("u1/devices/sdb/size", "8\n"),
            ("u1/allocation/mixed/bytes_reserved", "7\n"),
            ("u1/allocation/mixed/single/used_bytes", "5\n"),
            ("u1/allocation/mixed/single/total_bytes", "torn\n"),
            ("features/raid56", "0\n"),
        ] {
            files.write(&format!("sys/fs/btrfs/{path}"), text);
        }
        assert_eq!(
            SparseStage::of(Btrfs::new(&files.root())).read().lines(),
            [
                "node_btrfs_allocation_ratio{block_group_type=\"mixed\",mode=\"single\",uuid=\"u1\"} 1",
                "node_btrfs_device_size_bytes{device=\"sdb\",uuid=\"u1\"} 4096",
                "node_btrfs_info{label=\"\",uuid=\"u1\"} 1",
                "node_btrfs_reserved_bytes{block_group_type=\"mixed\",uuid=\"u1\"} 7",
                "node_btrfs_used_bytes{block_group_type=\"mixed\",mode=\"single\",uuid=\"u1\"} 5",
            ]
        );
    }
}
