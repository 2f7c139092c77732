//! Neighbours that the kernel knows of each network interface, from `/proc/net/arp`.

use std::collections::BTreeMap;

use watchkeep_protocol::MetricKind::Gauge;
use watchkeep_protocol::layout::Template;

use super::proc_text::ProcText;
use super::table::Table;
use super::{CollectError, Collector, Given, metric, template};
use crate::root::Root;

/// The last word of an entry's line.
const DEVICE: usize = 5;

pub struct Arp {
    arp: ProcText,
}

impl Arp {
    pub fn new(root: &Root) -> Self {
        Self { arp: ProcText::new(root.join("proc/net/arp")) }
    }
}

impl Collector for Arp {
    fn template(&self) -> Template {
        template("arp", &["device"], vec![metric("node_arp_entries", &[], Gauge, "ARP entries by device")])
    }

    fn read(&mut self, _: &Given<'_>, table: &mut Table<'_>) -> Result<(), CollectError> {
        let text = self.arp.read_if_there()?;
        let mut entries: BTreeMap<&str, u32> = BTreeMap::new();
        for device in text.lines().skip(1).filter_map(|line| line.split_ascii_whitespace().nth(DEVICE)) {
            *entries.entry(device).or_default() += 1;
        }
        for (device, count) in entries {
            table.row(&[device]).into_iter().for_each(|mut cells| cells.set(0, f64::from(count)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{Stage, TempFiles};

    #[test]
    fn entries_are_counted_by_interface() {
        let files = TempFiles::new();
        let line = |ip: &str, device: &str| format!("{ip} 0x1 0x2 02:fc:00:00:00:05 * {device}\n");
        let heading = "IP address HW type Flags HW address Mask Device\n";
        let text = [heading, &line("192.0.2.1", "eth0"), &line("192.0.2.2", "eth0"), &line("198.51.100.1", "eth1")];
        files.write("proc/net/arp", &text.concat());
        let reading = Stage::of(Arp::new(&files.root())).read();
        let value = |device: &str| reading.value("node_arp_entries", &[("device", device)]);
        assert_eq!((value("eth0"), value("eth1")), (Some(2.0), Some(1.0)));
    }
}
