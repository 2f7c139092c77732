//! What each network interface is and whether it is up, from `/sys/class/net`.
//! [Source: kernel, Documentation/ABI/testing/sysfs-class-net]

use std::path::PathBuf;

use watchkeep_protocol::MetricKind::{self, Counter, Gauge};
use watchkeep_protocol::layout::Template;

use super::sysfs::{Attribute, Folder};
use super::table::Table;
use super::{CollectError, Collector, Given, metric, template};
use crate::root::Root;

const CLASS: &str = "sys/class/net";
/// What hardly ever changes is read once in so many readings.
const SLOW_READINGS: u32 = 20;
/// Every reading for this, once in [`SLOW_READINGS`] for that.
const OFTEN: bool = true;
const SELDOM: bool = false;

/// File, metric, kind, what one of the file is in the metric's unit, and how often it is read.
const COLUMNS: [(&str, &str, MetricKind, f64, bool); 18] = [
    ("mtu", "mtu_bytes", Gauge, 1.0, OFTEN),
    ("carrier", "carrier", Gauge, 1.0, OFTEN),
    ("carrier_changes", "carrier_changes_total", Counter, 1.0, OFTEN),
    // Mbit/s there, bytes a second here.
    ("speed", "speed_bytes", Gauge, 125_000.0, OFTEN),
    ("carrier_up_count", "carrier_up_changes_total", Counter, 1.0, OFTEN),
    ("carrier_down_count", "carrier_down_changes_total", Counter, 1.0, OFTEN),
    ("flags", "flags", Gauge, 1.0, OFTEN),
    ("dormant", "dormant", Gauge, 1.0, OFTEN),
    ("statistics/rx_nohandler", "receive_nohandler_total", Counter, 1.0, OFTEN),
    ("addr_assign_type", "address_assign_type", Gauge, 1.0, SELDOM),
    ("dev_id", "device_id", Gauge, 1.0, SELDOM),
    ("ifindex", "iface_id", Gauge, 1.0, SELDOM),
    ("iflink", "iface_link", Gauge, 1.0, SELDOM),
    ("link_mode", "iface_link_mode", Gauge, 1.0, SELDOM),
    ("name_assign_type", "name_assign_type", Gauge, 1.0, SELDOM),
    ("netdev_group", "net_dev_group", Gauge, 1.0, SELDOM),
    ("tx_queue_len", "transmit_queue_length", Gauge, 1.0, SELDOM),
    ("type", "protocol_type", Gauge, 1.0, SELDOM),
];
/// The words of `node_network_info` that hardly ever change, in the order of its labels but for the device and its state.
const WORDS: [&str; 4] = ["address", "broadcast", "duplex", "ifalias"];

/// The numbers; an interface without a link has no carrier or speed to read, which is a gap.
pub struct NetClass {
    devices: Folder<Numbers>,
    readings: u32,
}

struct Numbers {
    folder: PathBuf,
    state: Attribute,
    files: [Attribute; COLUMNS.len()],
    values: [Option<f64>; COLUMNS.len()],
    fresh: bool,
}

/// `node_network_info`: the words as labels.
pub struct NetInfo {
    devices: Folder<Words>,
    readings: u32,
}

struct Words {
    folder: PathBuf,
    state: Attribute,
    last_state: String,
    words: [String; WORDS.len()],
}

impl NetClass {
    pub fn new(root: &Root) -> Self {
        Self { devices: Folder::new(root.join(CLASS)), readings: 0 }
    }
}

impl NetInfo {
    pub fn new(root: &Root) -> Self {
        Self { devices: Folder::new(root.join(CLASS)), readings: 0 }
    }
}

impl Numbers {
    /// Reads what is due; a speed of -1 is none.
    fn look(&mut self, all: bool) {
        let all = std::mem::take(&mut self.fresh) || all;
        for (column, (file, _, _, unit, often)) in COLUMNS.into_iter().enumerate() {
            if often {
                let number = self.files[column].number(&self.folder, file);
                self.values[column] = number.filter(|value| *value >= 0.0).map(|value| value * unit);
            } else if all {
                // Too seldom to keep a descriptor for it.
                self.values[column] = Attribute::once(&self.folder, file).and_then(|line| line.number());
            }
        }
    }
}

impl Words {
    /// Reads the state, and the words where they are due or the state is another than before.
    fn look(&mut self, all: bool) {
        let state = self.state.line(&self.folder, "operstate");
        let state = state.as_ref().map_or("", |line| line.text());
        if !all && state == self.last_state {
            return;
        }
        state.clone_into(&mut self.last_state);
        for (word, file) in self.words.iter_mut().zip(WORDS) {
            let line = Attribute::once(&self.folder, file);
            line.as_ref().map_or("", |line| line.text()).clone_into(word);
        }
    }
}

impl Collector for NetClass {
    fn template(&self) -> Template {
        let up = metric("node_network_up", &[], Gauge, "Value is 1 if operstate is 'up', 0 otherwise.");
        let columns = COLUMNS.map(|(_, name, kind, ..)| {
            metric(&format!("node_network_{name}"), &[], kind, &format!("Network device property: {name}"))
        });
        template("netclass", &["device"], std::iter::once(up).chain(columns).collect())
    }

    fn read(&mut self, _: &Given<'_>, table: &mut Table<'_>) -> Result<(), CollectError> {
        let all = self.readings.is_multiple_of(SLOW_READINGS);
        self.readings = self.readings.wrapping_add(1);
        let devices = self.devices.look(|folder, _| {
            // A bond's settings (`bonding_masters`) lie beside the interfaces.
            folder.is_dir().then(|| Numbers {
                folder: folder.to_owned(),
                state: Attribute::default(),
                files: Default::default(),
                values: [None; COLUMNS.len()],
                fresh: true,
            })
        })?;
        for (device, numbers) in devices {
            let Some(mut cells) = table.row(&[device]) else { continue };
            numbers.look(all);
            let state = numbers.state.line(&numbers.folder, "operstate");
            cells.set(0, f64::from(u8::from(state.is_some_and(|line| line.text() == "up"))));
            for (column, value) in (1..).zip(numbers.values) {
                if let Some(value) = value {
                    cells.set(column, value);
                }
            }
        }
        Ok(())
    }
}

impl Collector for NetInfo {
    fn template(&self) -> Template {
        let help = "Non-numeric data from /sys/class/net/<iface>, value is always 1.";
        let labels = ["address", "broadcast", "device", "duplex", "ifalias", "operstate"];
        template("netinfo", &labels, vec![metric("node_network_info", &[], Gauge, help)])
    }

    fn read(&mut self, _: &Given<'_>, table: &mut Table<'_>) -> Result<(), CollectError> {
        let all = self.readings.is_multiple_of(SLOW_READINGS);
        self.readings = self.readings.wrapping_add(1);
        let devices = self.devices.look(|folder, _| {
            folder.is_dir().then(|| Words {
                folder: folder.to_owned(),
                state: Attribute::default(),
                // No state is like this, so that the words are read.
                last_state: "?".to_owned(),
                words: Default::default(),
            })
        })?;
        for (device, kept) in devices {
            kept.look(all);
            let [address, broadcast, duplex, alias] = &kept.words;
            if let Some(mut cells) = table.row(&[address, broadcast, device, duplex, alias, &kept.last_state]) {
                cells.set(0, 1.0);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{Stage, TempFiles};

    fn files() -> TempFiles {
        let files = TempFiles::new();
        for (path, text) in [
            ("eth0/operstate", "up\n"),
            ("eth0/address", "52:54:00:12:34:56\n"),
            ("eth0/broadcast", "ff:ff:ff:ff:ff:ff\n"),
            ("eth0/duplex", "full\n"),
            ("eth0/mtu", "1500\n"),
            ("eth0/carrier", "1\n"),
            ("eth0/carrier_changes", "2\n"),
            ("eth0/speed", "1000\n"),
            ("eth0/flags", "0x1003\n"),
            ("eth0/statistics/rx_nohandler", "9\n"),
            ("eth0/netdev_group", "4\n"),
            ("wg0/operstate", "unknown\n"),
            ("wg0/speed", "-1\n"),
            ("bonding_masters", "bond0\n"),
        ] {
            files.write(&format!("sys/class/net/{path}"), text);
        }
        files
    }

    #[test]
    fn an_interface_is_up_by_its_state_and_has_a_speed_where_it_has_a_link() {
        let reading = Stage::of(NetClass::new(&files().root())).read();
        let of = |device: &str, name: &str| reading.value(&format!("node_network_{name}"), &[("device", device)]);
        assert_eq!([of("eth0", "up"), of("eth0", "speed_bytes")], [Some(1.0), Some(125_000_000.0)]);
        assert_eq!([of("eth0", "mtu_bytes"), of("eth0", "carrier_changes_total")], [Some(1500.0), Some(2.0)]);
        assert_eq!([of("eth0", "flags"), of("eth0", "receive_nohandler_total")], [Some(4099.0), Some(9.0)]);
        assert_eq!([of("wg0", "up"), of("wg0", "speed_bytes")], [Some(0.0), None]);
        assert_eq!(reading.instances(), 2, "a file is no interface");
    }

    #[test]
    fn what_hardly_changes_is_read_again_after_a_while() {
        let files = files();
        let mut stage = Stage::of(NetClass::new(&files.root()));
        let mut group = || stage.read().value("node_network_net_dev_group", &[("device", "eth0")]);
        assert_eq!(group(), Some(4.0));
        files.write("sys/class/net/eth0/netdev_group", "5\n");
        let seen: Vec<Option<f64>> = (0..SLOW_READINGS).map(|_| group()).collect();
        assert_eq!((seen[0], seen[SLOW_READINGS as usize - 1]), (Some(4.0), Some(5.0)));
    }

    #[test]
    fn an_interface_that_comes_is_read_whole_at_once() {
        let files = files();
        let mut stage = Stage::of(NetClass::new(&files.root()));
        stage.read();
        files.write("sys/class/net/eth1/type", "1\n");
        assert_eq!(stage.read().value("node_network_protocol_type", &[("device", "eth1")]), Some(1.0));
    }

    #[test]
    fn a_state_that_changes_ends_the_old_series() {
        let files = files();
        let mut stage = Stage::of(NetInfo::new(&files.root()));
        let labels = |state| {
            let (address, broadcast) = ("52:54:00:12:34:56", "ff:ff:ff:ff:ff:ff");
            [
                ("address", address),
                ("broadcast", broadcast),
                ("device", "eth0"),
                ("duplex", "full"),
                ("ifalias", ""),
                ("operstate", state),
            ]
        };
        assert_eq!(stage.read().value("node_network_info", &labels("up")), Some(1.0));
        files.write("sys/class/net/eth0/operstate", "down\n");
        let reading = stage.read();
        assert_eq!(reading.value("node_network_info", &labels("down")), Some(1.0));
        assert_eq!(reading.ended(), ["52:54:00:12:34:56 ff:ff:ff:ff:ff:ff eth0 full  up"]);
    }
}
