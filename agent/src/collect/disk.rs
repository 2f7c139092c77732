//! Reads, writes and the time they took, a block device each, from `/proc/diskstats`.

use watchkeep_protocol::MetricKind::{Counter, Gauge};
use watchkeep_protocol::layout::Template;

use super::proc_text::ProcText;
use super::table::Table;
use super::{CollectError, Collector, Given, metric, template};
use crate::root::Root;

/// The kernel's sectors are 512 bytes whatever the device's are.
const SECTOR_BYTES: f64 = 512.0;
const MILLISECOND: f64 = 0.001;

/// Metric, what one unit of the file is, kind and help, in the order of the file's columns after the device's name.
const COLUMNS: [(&str, f64, watchkeep_protocol::MetricKind, &str); 17] = [
    ("node_disk_reads_completed_total", 1.0, Counter, "The total number of reads completed successfully."),
    ("node_disk_reads_merged_total", 1.0, Counter, "The total number of reads merged."),
    ("node_disk_read_bytes_total", SECTOR_BYTES, Counter, "The total number of bytes read successfully."),
    ("node_disk_read_time_seconds_total", MILLISECOND, Counter, "The total number of seconds spent by all reads."),
    ("node_disk_writes_completed_total", 1.0, Counter, "The total number of writes completed successfully."),
    ("node_disk_writes_merged_total", 1.0, Counter, "The number of writes merged."),
    ("node_disk_written_bytes_total", SECTOR_BYTES, Counter, "The total number of bytes written successfully."),
    (
        "node_disk_write_time_seconds_total",
        MILLISECOND,
        Counter,
        "This is the total number of seconds spent by all writes.",
    ),
    ("node_disk_io_now", 1.0, Gauge, "The number of I/Os currently in progress."),
    ("node_disk_io_time_seconds_total", MILLISECOND, Counter, "Total seconds spent doing I/Os."),
    ("node_disk_io_time_weighted_seconds_total", MILLISECOND, Counter, "The weighted # of seconds spent doing I/Os."),
    ("node_disk_discards_completed_total", 1.0, Counter, "The total number of discards completed successfully."),
    ("node_disk_discards_merged_total", 1.0, Counter, "The total number of discards merged."),
    ("node_disk_discarded_sectors_total", 1.0, Counter, "The total number of sectors discarded successfully."),
    (
        "node_disk_discard_time_seconds_total",
        MILLISECOND,
        Counter,
        "This is the total number of seconds spent by all discards.",
    ),
    ("node_disk_flush_requests_total", 1.0, Counter, "The total number of flush requests completed successfully"),
    (
        "node_disk_flush_requests_time_seconds_total",
        MILLISECOND,
        Counter,
        "This is the total number of seconds spent by all flush requests.",
    ),
];

pub struct Disk {
    diskstats: ProcText,
    /// How many of the columns this kernel has: 11, since 4.18 15, since 5.5 17.
    columns: usize,
}

impl Disk {
    pub fn new(root: &Root) -> Self {
        let mut diskstats = ProcText::new(root.join("proc/diskstats"));
        let columns = match diskstats.read() {
            Ok(text) => devices_of(&text).map(|device| device.values.count()).max().unwrap_or(COLUMNS.len()),
            Err(_) => COLUMNS.len(),
        };
        Self { diskstats, columns: columns.min(COLUMNS.len()) }
    }
}

impl Collector for Disk {
    fn template(&self) -> Template {
        let columns = COLUMNS[..self.columns].iter().map(|(name, _, kind, help)| metric(name, &[], *kind, help));
        template("diskstats", &["device"], columns.collect())
    }

    fn read(&mut self, _: &Given<'_>, table: &mut Table<'_>) -> Result<(), CollectError> {
        let text = self.diskstats.read()?;
        for device in devices_of(&text) {
            let Some(mut cells) = table.row(&[device.name]) else { continue };
            for (column, value) in device.values.take(self.columns).enumerate() {
                if let Ok(value) = value.parse::<u64>() {
                    cells.set(column, value as f64 * COLUMNS[column].1);
                }
            }
        }
        Ok(())
    }
}

/// One line of the file.
pub struct Device<'a> {
    pub major: &'a str,
    pub minor: &'a str,
    pub name: &'a str,
    /// The columns behind the name.
    pub values: std::str::SplitAsciiWhitespace<'a>,
}

/// Each whole device.
pub fn devices_of(text: &str) -> impl Iterator<Item = Device<'_>> {
    text.lines().filter_map(|line| {
        let mut values = line.split_ascii_whitespace();
        let (major, minor, name) = (values.next()?, values.next()?, values.next()?);
        (!is_left_out(name)).then_some(Device { major, minor, name, values })
    })
}

/// What node_exporter leaves out by default: ram, loop and floppy devices, and partitions.
fn is_left_out(device: &str) -> bool {
    let base = device.trim_end_matches(|c: char| c.is_ascii_digit());
    if base.len() == device.len() {
        return false;
    }
    let letter_after = |prefix: &str| {
        base.strip_prefix(prefix).is_some_and(|rest| rest.len() == 1 && rest.as_bytes()[0].is_ascii_lowercase())
    };
    let nvme_partition = base.strip_prefix("nvme").and_then(|rest| rest.strip_suffix('p')).is_some_and(|rest| {
        let mut numbers = rest.split('n');
        let number = |word: Option<&str>| word.is_some_and(|w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_digit()));
        number(numbers.next()) && number(numbers.next()) && numbers.next().is_none()
    });
    ["ram", "loop", "fd"].contains(&base) || ["hd", "sd", "vd", "xvd"].into_iter().any(letter_after) || nvme_partition
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{Stage, TempFiles, fixture_root};

    #[test]
    fn each_device_has_its_columns_in_bytes_and_seconds() {
        let reading = Stage::of(Disk::new(&fixture_root("debian12"))).read();
        let sda = [("device", "sda")];
        assert_eq!(reading.value("node_disk_reads_completed_total", &sda), Some(11_820.0));
        assert_eq!(reading.value("node_disk_read_bytes_total", &sda), Some(900_436.0 * 512.0));
        assert_eq!(reading.value("node_disk_write_time_seconds_total", &sda), Some(6.331));
        assert_eq!(reading.value("node_disk_io_now", &sda), Some(2.0));
        assert_eq!(reading.value("node_disk_flush_requests_time_seconds_total", &sda), Some(0.401));
        assert_eq!(reading.value("node_disk_io_now", &[("device", "nvme0n1")]), Some(0.0));
        assert_eq!(reading.instances(), 3, "sda, dm-0 and nvme0n1, without partitions and loops");
    }

    #[test]
    fn partitions_and_memory_devices_are_left_out() {
        for device in ["sda1", "vdb12", "xvda1", "hdc3", "nvme0n1p2", "ram0", "loop7", "fd0"] {
            assert!(is_left_out(device), "{device}");
        }
        for device in ["sda", "vdb", "nvme0n1", "dm-0", "md127", "sr0", "mmcblk0", "mmcblk0p1", "zram0", "nbd1"] {
            assert!(!is_left_out(device), "{device}");
        }
    }

    #[test]
    fn an_older_kernel_gives_fewer_columns_and_no_gaps() {
        let files = TempFiles::new();
        files.write("proc/diskstats", "   8       0 sda 1 2 3 4 5 6 7 8 9 10 11\n");
        let reading = Stage::of(Disk::new(&files.root())).read();
        assert_eq!(reading.metrics().len(), 11);
        assert!(reading.all_read());
    }
}
