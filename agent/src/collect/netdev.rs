//! Bytes, packets and faults of each network interface, from `/proc/net/dev`.

use watchkeep_protocol::MetricKind::Counter;
use watchkeep_protocol::layout::Template;

use super::proc_text::ProcText;
use super::table::Table;
use super::{CollectError, Collector, Given, metric, template};
use crate::root::Root;

/// In the order of the file's columns.
const COLUMNS: [&str; 16] = [
    "receive_bytes",
    "receive_packets",
    "receive_errs",
    "receive_drop",
    "receive_fifo",
    "receive_frame",
    "receive_compressed",
    "receive_multicast",
    "transmit_bytes",
    "transmit_packets",
    "transmit_errs",
    "transmit_drop",
    "transmit_fifo",
    "transmit_colls",
    "transmit_carrier",
    "transmit_compressed",
];

pub struct NetDev {
    dev: ProcText,
}

impl NetDev {
    pub fn new(root: &Root) -> Self {
        Self { dev: ProcText::new(root.join("proc/net/dev")) }
    }
}

impl Collector for NetDev {
    fn template(&self) -> Template {
        let column = |name: &str| {
            let help = format!("Network device statistic {name}.");
            metric(&format!("node_network_{name}_total"), &[], Counter, &help)
        };
        template("netdev", &["device"], COLUMNS.map(column).to_vec())
    }

    fn read(&mut self, _: &Given<'_>, table: &mut Table<'_>) -> Result<(), CollectError> {
        let text = self.dev.read()?;
        // Two lines of heading; an interface's name may stand right before its first number.
        for (device, numbers) in text.lines().skip(2).filter_map(|line| line.rsplit_once(':')) {
            let Some(mut cells) = table.row(&[device.trim()]) else { continue };
            for (column, word) in numbers.split_ascii_whitespace().take(COLUMNS.len()).enumerate() {
                if let Ok(value) = word.parse::<u64>() {
                    cells.set(column, value as f64);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{Stage, fixture_root};

    #[test]
    fn each_interface_has_its_counters() {
        let reading = Stage::of(NetDev::new(&fixture_root("debian12"))).read();
        let of = |device: &str, name: &str| reading.value(&format!("node_network_{name}_total"), &[("device", device)]);
        assert_eq!([of("eth0", "receive_bytes"), of("eth0", "transmit_drop")], [Some(384_480_552.0), Some(6.0)]);
        assert_eq!([of("eth0", "receive_errs"), of("eth0", "transmit_carrier")], [Some(2.0), Some(8.0)]);
        assert_eq!([of("lo", "receive_packets"), of("eth0.7", "receive_bytes")], [Some(2_078_724.0), Some(5.0)]);
        assert!(reading.all_read());
    }
}
