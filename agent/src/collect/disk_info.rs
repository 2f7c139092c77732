//! Which disk a block device is, from udev's database: model, serial number, what lies on it, and which logical volume it is.
//!
//! A host without udev (a container) has the device's numbers alone. What is said of a device changes when it is changed or
//! formatted, so the database is looked at once in [`SLOW_READINGS`].
//! [Source: udev's `/run/udev/data/b<major>:<minor>`, lines `E:NAME=value`]

use watchkeep_protocol::MetricKind::Gauge;

use super::CollectError;
use super::disk::{Device, devices_of};
use super::families::{Families, Family, Sparse};
use super::proc_text::ProcText;
use crate::root::Root;

const SLOW_READINGS: u32 = 4;

const INFO: Family<'_> = Family { name: "node_disk_info", kind: Gauge, help: "Info of /sys/block/<block_device>." };
const FILESYSTEM: Family<'_> =
    Family { name: "node_disk_filesystem_info", kind: Gauge, help: "Info about disk filesystem." };
const MAPPER: Family<'_> =
    Family { name: "node_disk_device_mapper_info", kind: Gauge, help: "Info about disk device mapper." };

pub struct DiskInfo {
    root: Root,
    diskstats: ProcText,
    disks: Vec<Disk>,
    readings: u32,
}

/// One device and its labels' values, by family.
#[derive(Debug, Default, PartialEq)]
struct Disk {
    /// device, major, minor
    name: [String; 3],
    /// path, wwn, model, serial, revision
    hardware: [String; 5],
    /// type, usage, uuid, version; none where the device holds no filesystem
    filesystem: Option<[String; 4]>,
    /// name, uuid, vg_name, lv_name, lv_layer; none where it is no mapped device
    mapper: Option<[String; 5]>,
}

impl DiskInfo {
    pub fn new(root: &Root) -> Self {
        let diskstats = ProcText::new(root.join("proc/diskstats"));
        Self { root: root.clone(), diskstats, disks: Vec::new(), readings: 0 }
    }

    fn look(&mut self) -> Result<(), CollectError> {
        let text = self.diskstats.read()?;
        let disk = |device: Device<'_>| {
            let said = self.root.text(&format!("run/udev/data/b{}:{}", device.major, device.minor));
            Disk { name: [device.name, device.major, device.minor].map(str::to_owned), ..of_udev(&said) }
        };
        self.disks = devices_of(&text).map(disk).collect();
        Ok(())
    }
}

impl Sparse for DiskInfo {
    fn name(&self) -> &'static str {
        "disk_info"
    }

    fn read(&mut self, families: &mut Families<'_>) -> Result<(), CollectError> {
        if self.readings.is_multiple_of(SLOW_READINGS) {
            self.look()?;
        }
        self.readings = self.readings.wrapping_add(1);
        for Disk { name: [device, major, minor], hardware: [path, wwn, model, serial, revision], .. } in &self.disks {
            let labels: [(&str, &str); 8] = [
                ("device", device),
                ("major", major),
                ("minor", minor),
                ("model", model),
                ("path", path),
                ("revision", revision),
                ("serial", serial),
                ("wwn", wwn),
            ];
            families.set(INFO, &labels, 1.0);
        }
        for Disk { name: [device, ..], filesystem, .. } in &self.disks {
            let Some([kind, usage, uuid, version]) = filesystem else { continue };
            let labels: [(&str, &str); 5] =
                [("device", device), ("type", kind), ("usage", usage), ("uuid", uuid), ("version", version)];
            families.set(FILESYSTEM, &labels, 1.0);
        }
        for Disk { name: [device, ..], mapper, .. } in &self.disks {
            let Some([name, uuid, group, volume, layer]) = mapper else { continue };
            let labels: [(&str, &str); 6] = [
                ("device", device),
                ("lv_layer", layer),
                ("lv_name", volume),
                ("name", name),
                ("uuid", uuid),
                ("vg_name", group),
            ];
            families.set(MAPPER, &labels, 1.0);
        }
        Ok(())
    }
}

/// What udev's database says of a device.
fn of_udev(text: &str) -> Disk {
    let says = |field: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix("E:")?.strip_prefix(field)?.strip_prefix('='));
        value.unwrap_or_default().trim().to_owned()
    };
    let first = |fields: [&str; 2]| fields.map(says).into_iter().find(|said| !said.is_empty()).unwrap_or_default();
    let some = |field: &str| !says(field).is_empty();
    let filesystem = ["ID_FS_TYPE", "ID_FS_USAGE", "ID_FS_UUID", "ID_FS_VERSION"];
    let mapper = ["DM_NAME", "DM_UUID", "DM_VG_NAME", "DM_LV_NAME", "DM_LV_LAYER"];
    Disk {
        name: Default::default(),
        hardware: [
            says("ID_PATH"),
            says("ID_WWN"),
            says("ID_MODEL"),
            // Newer rules of udev give the disk's own number for SCSI, rather than that of its transport.
            first(["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT"]),
            says("ID_REVISION"),
        ],
        filesystem: some("ID_FS_TYPE").then(|| filesystem.map(says)),
        mapper: some("DM_NAME").then(|| mapper.map(says)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{SparseStage, TempFiles};

    const SDA: &str = "S:disk/by-id/ata-X\nI:1\nE:ID_MODEL=Samsung_SSD_870\nE:ID_SERIAL_SHORT=S6P\nE:ID_REVISION=SVT02\n\
                       E:ID_WWN=0x5002\nE:ID_PATH=pci-0000:00:1f.2-ata-1\nG:systemd\n";
    const DM: &str = "E:DM_NAME=vg-root\nE:DM_UUID=LVM-x\nE:DM_VG_NAME=vg\nE:DM_LV_NAME=root\nE:ID_FS_TYPE=ext4\n\
                      E:ID_FS_USAGE=filesystem\nE:ID_FS_UUID=5b3a\nE:ID_FS_VERSION=1.0\n";

    #[test]
    fn a_disk_is_told_by_what_udev_knows() {
        let files = TempFiles::new();
        files.write("proc/diskstats", " 8 0 sda 1 2 3\n 8 1 sda1 1 2 3\n 253 0 dm-0 1 2 3\n");
        files.write("run/udev/data/b8:0", SDA);
        files.write("run/udev/data/b253:0", DM);
        let seen = SparseStage::of(DiskInfo::new(&files.root())).read();
        assert_eq!(
            seen.lines(),
            [
                "node_disk_device_mapper_info{device=\"dm-0\",lv_layer=\"\",lv_name=\"root\",name=\"vg-root\",\
                 uuid=\"LVM-x\",vg_name=\"vg\"} 1",
                "node_disk_filesystem_info{device=\"dm-0\",type=\"ext4\",usage=\"filesystem\",uuid=\"5b3a\",version=\"1.0\"} 1",
                "node_disk_info{device=\"sda\",major=\"8\",minor=\"0\",model=\"Samsung_SSD_870\",\
                 path=\"pci-0000:00:1f.2-ata-1\",revision=\"SVT02\",serial=\"S6P\",wwn=\"0x5002\"} 1",
                "node_disk_info{device=\"dm-0\",major=\"253\",minor=\"0\",model=\"\",path=\"\",revision=\"\",serial=\"\",\
                 wwn=\"\"} 1",
            ]
        );
    }

    #[test]
    fn a_disk_that_comes_is_told_after_a_while() {
        let files = TempFiles::new();
        files.write("proc/diskstats", " 8 0 sda 1 2 3\n");
        let mut stage = SparseStage::of(DiskInfo::new(&files.root()));
        assert_eq!(stage.read().lines().len(), 1);
        files.write("proc/diskstats", " 8 0 sda 1 2 3\n 8 16 sdb 1 2 3\n");
        let told: Vec<usize> = (0..SLOW_READINGS).map(|_| stage.read().lines().len()).collect();
        assert_eq!((told[0], told[SLOW_READINGS as usize - 1]), (1, 2));
    }

    #[test]
    fn the_disk_s_own_serial_number_goes_first() {
        assert_eq!(of_udev("E:ID_SERIAL_SHORT=a\nE:SCSI_IDENT_SERIAL=b\n").hardware[3], "b");
        assert_eq!(of_udev("E:ID_SERIAL_SHORT=a\nE:SCSI_IDENT_SERIAL=\n").hardware[3], "a");
        assert_eq!(of_udev("E:ID_MODELX=a\nE:ID_MODEL\nI:5\n"), Disk::default());
    }
}
