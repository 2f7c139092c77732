//! Size and room of each mounted filesystem.
//!
//! Mounts are those of process 1, as the agent's own view may be hardened (read-only binds are no news to anybody).
//! `statvfs` of a dead network filesystem never returns; it is therefore called by [`probe`]'s threads, and a mount that
//! does not answer is a gap with `node_filesystem_device_error` 1.

pub(crate) mod mounts;
mod probe;

use watchkeep_protocol::MetricKind::Gauge;
use watchkeep_protocol::layout::Template;

use super::proc_text::ProcText;
use super::table::Table;
use super::{CollectError, Collector, Given, metric, template};
use crate::config::FilesystemConfig;
use crate::root::Root;
use mounts::{is_own_business, mounts_of};
use probe::Prober;

const COLUMNS: [(&str, &str); 7] = [
    ("node_filesystem_size_bytes", "Filesystem size in bytes."),
    ("node_filesystem_free_bytes", "Filesystem free space in bytes."),
    ("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes."),
    ("node_filesystem_files", "Filesystem total file nodes."),
    ("node_filesystem_files_free", "Filesystem total free file nodes."),
    ("node_filesystem_readonly", "Filesystem read-only status."),
    ("node_filesystem_device_error", "Whether an error occurred while getting statistics for the given device."),
];
const READONLY: usize = 5;
const DEVICE_ERROR: usize = 6;

pub struct Filesystem {
    of_init: ProcText,
    of_self: ProcText,
    exclude_types: Vec<String>,
    prober: Prober,
}

impl Filesystem {
    pub fn new(root: &Root, config: &FilesystemConfig) -> Self {
        Self {
            of_init: ProcText::new(root.join("proc/1/mounts")),
            of_self: ProcText::new(root.join("proc/self/mounts")),
            exclude_types: config.exclude_types.clone(),
            prober: Prober::default(),
        }
    }
}

impl Collector for Filesystem {
    fn template(&self) -> Template {
        let columns = COLUMNS.map(|(name, help)| metric(name, &[], Gauge, help));
        template("filesystem", &["device", "fstype", "mountpoint"], columns.to_vec())
    }

    fn read(&mut self, _: &Given<'_>, table: &mut Table<'_>) -> Result<(), CollectError> {
        let text = match self.of_init.read() {
            Ok(text) if !text.is_empty() => text,
            _ => self.of_self.read()?,
        };
        self.prober.begin();
        for mount in mounts_of(&text) {
            if self.exclude_types.iter().any(|excluded| excluded == mount.fstype) || is_own_business(&mount.mountpoint)
            {
                continue;
            }
            let Some(mut cells) = table.row(&[&mount.device, mount.fstype, &mount.mountpoint]) else { continue };
            cells.set(READONLY, f64::from(u8::from(mount.readonly)));
            match self.prober.ask(&mount.mountpoint) {
                Some(room) => {
                    let values = [room.size_bytes, room.free_bytes, room.avail_bytes, room.files, room.files_free];
                    values.into_iter().enumerate().for_each(|(column, value)| cells.set(column, value));
                    cells.set(DEVICE_ERROR, 0.0);
                }
                None => cells.set(DEVICE_ERROR, 1.0),
            }
        }
        Ok(())
    }

    fn stuck_threads(&self) -> usize {
        self.prober.stuck()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{Stage, TempFiles};

    fn stage(files: &TempFiles) -> Stage {
        Stage::of(Filesystem::new(&files.root(), &FilesystemConfig { exclude_types: vec!["proc".to_owned()] }))
    }

    #[test]
    fn a_mount_has_its_room_and_an_unreadable_one_is_a_gap() {
        let files = TempFiles::new();
        files.write(
            "proc/1/mounts",
            "proc /proc proc rw 0 0\n/dev/sda1 / ext4 rw 0 0\n/dev/sdb1 /no/such\\040place ext4 ro 0 0\n",
        );
        let reading = stage(&files).read();
        let root = [("device", "/dev/sda1"), ("fstype", "ext4"), ("mountpoint", "/")];
        let size = reading.value("node_filesystem_size_bytes", &root).expect("/ has a size");
        let avail = reading.value("node_filesystem_avail_bytes", &root).expect("/ has room");
        assert!(size > 0.0 && (0.0..=size).contains(&avail));
        assert_eq!(reading.value("node_filesystem_readonly", &root), Some(0.0));
        let lost = [("device", "/dev/sdb1"), ("fstype", "ext4"), ("mountpoint", "/no/such place")];
        assert_eq!(reading.value("node_filesystem_size_bytes", &lost), None);
        assert_eq!(reading.value("node_filesystem_device_error", &lost), Some(1.0));
        assert_eq!(reading.value("node_filesystem_readonly", &lost), Some(1.0));
        assert_eq!(reading.instances(), 2);
    }

    #[test]
    fn an_unmounted_filesystem_is_ended() {
        let files = TempFiles::new();
        files.write("proc/1/mounts", "/dev/sda1 / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n");
        let mut stage = stage(&files);
        stage.read();
        files.write("proc/1/mounts", "/dev/sda1 / ext4 rw 0 0\n");
        assert_eq!(stage.read().ended(), ["/dev/sda1 ext4 /", "tmpfs tmpfs /tmp"][1..]);
        assert_eq!(stage.read().instances(), 1);
    }

    #[test]
    fn without_process_1_its_own_mounts_are_read() {
        let files = TempFiles::new();
        files.write("proc/self/mounts", "/dev/sda1 / ext4 rw 0 0\n");
        assert_eq!(stage(&files).read().instances(), 1);
    }
}
