//! The host's memory, from `/proc/meminfo`: `node_memory_<Field>_bytes`, KiB there and bytes here.

use watchkeep_protocol::MetricKind;
use watchkeep_protocol::layout::Template;

use super::proc_text::ProcText;
use super::table::Table;
use super::{CollectError, Collector, Given, metric, template};
use crate::root::Root;

/// Fields that are reported at most; kernels of 2026 have 57.
const FIELDS_MAX: usize = 128;

/// What is reported where the file cannot be read at the start.
const FIELDS_OF_EVERY_KERNEL: [&str; 5] = ["MemTotal", "MemFree", "Buffers", "Cached", "SwapTotal"];

pub struct Memory {
    meminfo: ProcText,
    /// The fields that this kernel has, in its order: what it lacks is not in the layout, rather than failed for ever.
    columns: Vec<String>,
}

impl Memory {
    pub fn new(root: &Root) -> Self {
        let mut meminfo = ProcText::new(root.join("proc/meminfo"));
        let columns = match meminfo.read() {
            Ok(text) => fields_of(&text).map(|(name, _)| name.to_owned()).filter(|name| is_name(name)).collect(),
            Err(_) => FIELDS_OF_EVERY_KERNEL.map(str::to_owned).to_vec(),
        };
        let mut memory = Self { meminfo, columns };
        memory.columns.truncate(FIELDS_MAX);
        memory
    }
}

/// Whether the name makes a metric's: letters, digits and `_`, with a part in parentheses at most.
fn is_name(field: &str) -> bool {
    let name = metric_name(field);
    name.len() <= watchkeep_protocol::limits::NAME_BYTES && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
}

impl Collector for Memory {
    fn template(&self) -> Template {
        let columns = self.columns.iter().map(|field| {
            let name = metric_name(field);
            metric(&name, &[], MetricKind::Gauge, &format!("Memory information field {field}."))
        });
        template("meminfo", &[], columns.collect())
    }

    fn read(&mut self, _: &Given<'_>, table: &mut Table<'_>) -> Result<(), CollectError> {
        let text = self.meminfo.read()?;
        let Some(mut cells) = table.row(&[]) else { return Ok(()) };
        let mut read = 0;
        for (name, value) in fields_of(&text) {
            // The file's order is the columns' order, so that the search ends at once.
            let ahead = self.columns[read..].iter().position(|column| *column == name).map(|ahead| read + ahead);
            if let Some(column) = ahead {
                cells.set(column, value);
                read = column + 1;
            }
        }
        drop(text);
        if read == 0 { Err(self.meminfo.unexpected(1, "none of the fields that every kernel has")) } else { Ok(()) }
    }
}

/// `HugePages_*` count pages and carry no unit: `Active(anon)` → `node_memory_Active_anon_bytes`; `HugePages_Total` → `node_memory_HugePages_Total`.
fn metric_name(field: &str) -> String {
    let name = field.replace('(', "_").replace(')', "");
    if field.starts_with("HugePages_") { format!("node_memory_{name}") } else { format!("node_memory_{name}_bytes") }
}

/// Each field with its value: in bytes where it is given in kB.
fn fields_of(text: &str) -> impl Iterator<Item = (&str, f64)> {
    text.lines().filter_map(|line| {
        let (name, rest) = line.split_once(':').filter(|(name, _)| !name.is_empty())?;
        let mut words = rest.split_ascii_whitespace();
        let number: f64 = words.next()?.parse().ok()?;
        Some((name, if words.next() == Some("kB") { number * 1024.0 } else { number }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{Stage, TempFiles, fixture_root};

    #[test]
    fn fields_are_bytes_and_pages_are_counts() {
        let reading = Stage::of(Memory::new(&fixture_root("debian12"))).read();
        assert_eq!(reading.value("node_memory_MemTotal_bytes", &[]), Some(4_018_696.0 * 1024.0));
        assert_eq!(reading.value("node_memory_Active_anon_bytes", &[]), Some(1_228.0 * 1024.0));
        assert_eq!(reading.value("node_memory_Committed_AS_bytes", &[]), Some(1_245_720.0 * 1024.0));
        assert_eq!(reading.value("node_memory_HugePages_Total", &[]), Some(4.0));
    }

    #[test]
    fn a_field_that_the_kernel_lacks_is_not_in_the_layout() {
        let files = TempFiles::new();
        files.write("proc/meminfo", "MemTotal: 10 kB\nMemFree: 5 kB\nShmem: 1 kB\n");
        let reading = Stage::of(Memory::new(&files.root())).read();
        assert_eq!(
            reading.metrics(),
            ["node_memory_MemTotal_bytes", "node_memory_MemFree_bytes", "node_memory_Shmem_bytes"]
        );
        assert!(reading.all_read());
    }

    #[test]
    fn every_field_of_this_kernel_is_reported_and_what_makes_no_name_is_not() {
        let files = TempFiles::new();
        files.write("proc/meminfo", "MemTotal: 10 kB\nNewInLinux9: 3 kB\nodd name{}: 1 kB\n: 2 kB\nMemFree 5\n");
        let reading = Stage::of(Memory::new(&files.root())).read();
        assert_eq!(reading.metrics(), ["node_memory_MemTotal_bytes", "node_memory_NewInLinux9_bytes"]);
        assert_eq!(reading.value("node_memory_NewInLinux9_bytes", &[]), Some(3072.0));
        assert!(reading.all_read());
    }

    #[test]
    fn a_field_that_vanishes_is_a_gap_and_not_zero() {
        let files = TempFiles::new();
        files.write("proc/meminfo", "MemTotal: 10 kB\nMemFree: 5 kB\nShmem: 1 kB\n");
        let mut stage = Stage::of(Memory::new(&files.root()));
        files.write("proc/meminfo", "MemTotal: 10 kB\nShmem: 1 kB\n");
        let reading = stage.read();
        assert_eq!(reading.value("node_memory_MemFree_bytes", &[]), None);
        assert_eq!(reading.value("node_memory_Shmem_bytes", &[]), Some(1024.0));
    }
}
