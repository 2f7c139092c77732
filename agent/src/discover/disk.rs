//! Disks, from sysfs: block devices with hardware (or a hypervisor) below them and something in them.

use std::path::Path;

use watchkeep_protocol::inventory::Item;

use super::item;
use crate::root::Root;

const BLOCK: &str = "sys/block";
/// sysfs counts sectors of 512 bytes whatever the device's are.
const SECTOR_BYTES: u64 = 512;
/// The page of a SCSI device that holds its serial number begins with a head of 4 bytes.
const SERIAL_PAGE_HEAD: usize = 4;
/// The kernel's marks for drives of discs and for what has no medium of its own.
const NO_DISKS: [&str; 3] = ["sr", "fd", "loop"];

/// Section `disk`, keyed by the kernel's name.
pub fn items(root: &Root) -> Vec<Item> {
    let names = std::fs::read_dir(root.join(BLOCK)).into_iter().flatten().flatten();
    let mut names: Vec<String> = names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names.iter().filter_map(|name| disk(root, name)).collect()
}

fn disk(root: &Root, name: &str) -> Option<Item> {
    let folder = format!("{BLOCK}/{name}");
    let is_disk = root.join(format!("{folder}/device")).exists() && !NO_DISKS.iter().any(|mark| name.starts_with(mark));
    let says = |file: &str| root.line(&format!("{folder}/{file}"));
    let sectors: u64 = says("size")?.parse().ok().filter(|sectors| is_disk && *sectors > 0)?;
    let rotational = says("queue/rotational").map(|flag| (flag == "1").to_string());
    let attributes = vec![
        ("model", says("device/model")),
        // NVMe has the number of a PCI vendor here, which is no name.
        ("vendor", says("device/vendor").filter(|vendor| !vendor.starts_with("0x"))),
        ("serial", says("device/serial").or_else(|| says("serial")).or_else(|| serial_page(&root.join(&folder)))),
        ("wwn", says("wwid").or_else(|| says("device/wwid"))),
        ("size_bytes", sectors.checked_mul(SECTOR_BYTES).map(|bytes| bytes.to_string())),
        ("rotational", rotational),
    ];
    Some(item("disk", name, attributes))
}

/// The serial number of a SCSI or SATA disk, as it says it itself (vital product data, page 0x80).
fn serial_page(folder: &Path) -> Option<String> {
    let page = std::fs::read(folder.join("device/vpd_pg80")).ok()?;
    let serial = std::str::from_utf8(page.get(SERIAL_PAGE_HEAD..)?).ok()?.trim_matches(['\0', ' ']);
    (!serial.is_empty()).then(|| serial.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::testing::TempFiles;

    #[test]
    fn disks_say_what_they_are_and_other_block_devices_are_none() {
        let files = TempFiles::new();
        for (path, text) in [
            ("nvme0n1/size", "2000409264\n"),
            ("nvme0n1/wwid", "eui.0025388b01234567\n"),
            ("nvme0n1/queue/rotational", "0\n"),
            ("nvme0n1/device/model", "Samsung SSD 970 EVO 1TB                 \n"),
            ("nvme0n1/device/serial", "S5H9NS0N123456      \n"),
            ("nvme0n1/device/vendor", "0x144d\n"),
            ("sda/size", "3907029168\n"),
            ("sda/queue/rotational", "1\n"),
            ("sda/device/model", "WDC WD20EFRX-68E\n"),
            ("sda/device/vendor", "ATA     \n"),
            ("sda/device/wwid", "naa.50014ee2b1234567\n"),
            ("sda/device/vpd_pg80", "\0\u{7f}\0\u{14}     WD-WCC4M1234567"),
            ("vda/size", "1000\n"),
            ("vda/serial", "volume-1\n"),
            ("vda/device/uevent", ""),
            ("sdb/size", "0\n"),
            ("sdb/device/model", "Card Reader\n"),
            ("sr0/size", "2097151\n"),
            ("sr0/device/model", "QEMU DVD-ROM\n"),
            ("dm-0/size", "5000\n"),
            ("loop0/size", "5000\n"),
        ] {
            files.write(&format!("sys/block/{path}"), text);
        }
        let items = items(&files.root());
        assert_eq!(items.iter().map(|item| item.key.as_str()).collect::<Vec<_>>(), ["nvme0n1", "sda", "vda"]);
        let [nvme, sata, virtual_one] = &items[..] else { panic!("three disks") };
        let said = |item: &Item, names: &[&str]| {
            names.iter().map(|name| item.attributes.get(*name).cloned().unwrap_or_default()).collect::<Vec<_>>()
        };
        let identity = ["model", "vendor", "serial", "wwn"];
        assert_eq!(said(nvme, &identity), ["Samsung SSD 970 EVO 1TB", "", "S5H9NS0N123456", "eui.0025388b01234567"]);
        assert_eq!(said(sata, &identity), ["WDC WD20EFRX-68E", "ATA", "WD-WCC4M1234567", "naa.50014ee2b1234567"]);
        assert_eq!(said(nvme, &["size_bytes", "rotational"]), ["1024209543168", "false"]);
        assert_eq!(said(sata, &["rotational"]), ["true"]);
        assert_eq!(said(virtual_one, &["serial", "size_bytes", "rotational"]), ["volume-1", "512000", ""]);
    }
}
