//! Mounted filesystems, from the table of mounts of process 1 and sysfs; none is asked itself, as a dead one never answers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use watchkeep_protocol::inventory::Item;

use super::{item, relation};
use crate::collect::filesystem::mounts::{Mount, is_own_business, mounts_of};
use crate::root::Root;

/// sysfs counts sectors of 512 bytes whatever the device's are.
const SECTOR_BYTES: u64 = 512;
/// Mounts told; a host with more has a program that leaks them.
const FILESYSTEMS_MAX: usize = 1_024;

/// Section `filesystem`, keyed by mount point, of all types but those that the settings leave out of collecting, so that what
/// is measured is also known; `None` while the table of mounts cannot be read, so that none is taken for gone.
pub fn items(root: &Root, exclude_types: &[String]) -> Option<Vec<Item>> {
    let table = std::fs::read_to_string(root.join("proc/1/mounts")).or_else(|_| {
        // Another user's process 1 may be hidden (hidepid): then what the agent sees.
        std::fs::read_to_string(root.join("proc/self/mounts"))
    });
    let table = table.inspect_err(|fault| tracing::debug!(%fault, "the table of mounts cannot be read")).ok()?;
    let told = mounts_of(&table).filter(|mount| !exclude_types.iter().any(|fstype| fstype == mount.fstype));
    let told = told.filter(|mount| !is_own_business(&mount.mountpoint));
    // Of several at one mount point the last is on top.
    let told: BTreeMap<String, Mount<'_>> = told.map(|mount| (mount.mountpoint.to_string(), mount)).collect();
    Some(told.values().take(FILESYSTEMS_MAX).map(|mount| described(root, mount)).collect())
}

fn described(root: &Root, mount: &Mount<'_>) -> Item {
    let block = block_of(root, &mount.device);
    let size = block.as_ref().and_then(|block| size_bytes(root, block));
    let attributes = vec![
        ("mountpoint", Some(mount.mountpoint.to_string())),
        ("device", Some(mount.device.to_string())),
        ("fstype", Some(mount.fstype.to_owned())),
        ("read_only", Some(mount.readonly.to_string())),
        // The device's: what a filesystem makes of it, the samples say.
        ("size_bytes", size.map(|bytes| bytes.to_string())),
    ];
    let mut found = item("filesystem", mount.mountpoint.as_ref(), attributes);
    let disk = block.and_then(|block| disk_of(root, &block));
    found.relations.extend(disk.map(|disk| relation("uses", "disk", &disk)));
    found
}

/// The kernel's name of a block device: `sda1`, `dm-0` for `/dev/mapper/data`.
fn block_of(root: &Root, device: &str) -> Option<String> {
    let path = root.join(device.strip_prefix('/').filter(|path| path.starts_with("dev/"))?);
    let real: PathBuf = std::fs::canonicalize(&path).unwrap_or(path);
    real.file_name()?.to_str().map(str::to_owned)
}

fn size_bytes(root: &Root, block: &str) -> Option<u64> {
    let sectors: u64 = root.line(&format!("sys/class/block/{block}/size"))?.parse().ok()?;
    sectors.checked_mul(SECTOR_BYTES).filter(|bytes| *bytes > 0)
}

/// The disk that a partition is on, or that has none; what is made of several (RAID, LVM) names none.
fn disk_of(root: &Root, block: &str) -> Option<String> {
    let folder = std::fs::canonicalize(root.join(format!("sys/class/block/{block}"))).ok()?;
    let disk = if folder.join("partition").exists() { folder.parent()? } else { folder.as_path() };
    disk.join("device").exists().then(|| disk.file_name()?.to_str().map(str::to_owned)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FilesystemConfig;
    use crate::root::testing::TempFiles;

    fn by_default(files: &TempFiles) -> Option<Vec<Item>> {
        items(&files.root(), &FilesystemConfig::default().exclude_types)
    }

    fn said<'a>(item: &'a Item, name: &str) -> &'a str {
        item.attributes.get(name).map_or("", String::as_str)
    }

    #[test]
    fn mounts_are_told_with_device_type_size_and_disk() {
        let files = TempFiles::new();
        files.write(
            "proc/1/mounts",
            "proc /proc proc rw 0 0\n/dev/sda1 / ext4 rw 0 0\n/dev/mapper/data /srv/my\\040data xfs rw 0 0\n\
             nas:/export /mnt/nas nfs4 ro 0 0\n/dev/sda2 /mnt/nas2 ext4 rw 0 0\n/dev/loop0 /mnt/nas2 ext4 rw 0 0\n",
        );
        for (path, text) in [
            ("devices/sda/size", "3907029168\n"),
            ("devices/sda/device/model", "WDC\n"),
            ("devices/sda/sda1/size", "2048\n"),
            ("devices/sda/sda1/partition", "1\n"),
            ("devices/dm-0/size", "4096\n"),
            ("devices/loop0/size", "100\n"),
        ] {
            files.write(&format!("sys/{path}"), text);
        }
        files.write("dev/dm-0", "");
        files.write("dev/mapper/control", "");
        files.write("sys/class/block/.keep", "");
        let link = |to: &str, from: &str| std::os::unix::fs::symlink(to, files.root().join(from)).expect("is linked");
        link("../dm-0", "dev/mapper/data");
        link("../../devices/sda/sda1", "sys/class/block/sda1");
        link("../../devices/dm-0", "sys/class/block/dm-0");
        link("../../devices/loop0", "sys/class/block/loop0");
        let items = by_default(&files).expect("there is a table");
        let told: Vec<_> =
            items.iter().map(|item| ["device", "fstype", "size_bytes"].map(|name| said(item, name))).collect();
        assert_eq!(
            told,
            [
                ["/dev/sda1", "ext4", "1048576"],
                ["nas:/export", "nfs4", ""],
                ["/dev/loop0", "ext4", "51200"],
                ["/dev/mapper/data", "xfs", "2097152"],
            ]
        );
        let keys: Vec<_> = items.iter().map(|item| item.key.as_str()).collect();
        assert_eq!(keys, ["/", "/mnt/nas", "/mnt/nas2", "/srv/my data"]);
        assert_eq!(items[0].relations, [relation("uses", "disk", "sda")]);
        assert!(items[1..].iter().all(|item| item.relations.is_empty()), "no disk of their own");
        assert_eq!((said(&items[0], "read_only"), said(&items[1], "read_only")), ("false", "true"));
    }

    #[test]
    fn without_a_table_nothing_is_said_to_be_gone() {
        assert_eq!(by_default(&TempFiles::new()), None);
        let files = TempFiles::new();
        files.write("proc/self/mounts", "/dev/sda1 / ext4 rw 0 0\n");
        assert_eq!(by_default(&files).map(|items| items.len()), Some(1));
    }

    #[test]
    fn the_operators_list_of_types_replaces_the_one_that_is_built_in() {
        let files = TempFiles::new();
        files.write("proc/1/mounts", "/dev/sda1 / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\nnas:/e /mnt/nas nfs4 rw 0 0\n");
        let told = |excluded: &[&str]| -> Vec<String> {
            let excluded: Vec<String> = excluded.iter().map(|&fstype| fstype.to_owned()).collect();
            items(&files.root(), &excluded).expect("there is a table").into_iter().map(|item| item.key).collect()
        };
        assert_eq!(told(&["nfs4"]), ["/", "/tmp"]);
        assert_eq!(told(&["ext4", "tmpfs"]), ["/mnt/nas"]);
        assert_eq!(told(&[]), ["/", "/mnt/nas", "/tmp"]);
    }
}
