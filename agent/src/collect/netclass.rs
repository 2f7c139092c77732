//! What each network interface is and whether it is up, from `/sys/class/net`.

use watchkeep_protocol::MetricKind::{Counter, Gauge};
use watchkeep_protocol::layout::Template;

use super::table::Table;
use super::{CollectError, Collector, Given, metric, template};
use crate::root::Root;

const CLASS: &str = "sys/class/net";
/// File, metric, kind, what one of the file is in the metric's unit.
const COLUMNS: [(&str, &str, watchkeep_protocol::MetricKind, f64); 4] = [
    ("mtu", "mtu_bytes", Gauge, 1.0),
    ("carrier", "carrier", Gauge, 1.0),
    ("carrier_changes", "carrier_changes_total", Counter, 1.0),
    // Mbit/s there, bytes a second here.
    ("speed", "speed_bytes", Gauge, 125_000.0),
];

/// The numbers; an interface without a link has no carrier or speed to read, which is a gap.
pub struct NetClass {
    root: Root,
}

/// `node_network_info`: the words as labels.
pub struct NetInfo {
    root: Root,
}

impl NetClass {
    pub fn new(root: &Root) -> Self {
        Self { root: root.clone() }
    }
}

impl NetInfo {
    pub fn new(root: &Root) -> Self {
        Self { root: root.clone() }
    }
}

impl Collector for NetClass {
    fn template(&self) -> Template {
        let up = metric("node_network_up", &[], Gauge, "Value is 1 if operstate is 'up', 0 otherwise.");
        let columns = COLUMNS.map(|(_, name, kind, _)| {
            metric(&format!("node_network_{name}"), &[], kind, &format!("Network device property: {name}"))
        });
        template("netclass", &["device"], std::iter::once(up).chain(columns).collect())
    }

    fn read(&mut self, _: &Given<'_>, table: &mut Table<'_>) -> Result<(), CollectError> {
        for device in devices(&self.root)? {
            let says = |file: &str| self.root.line(&format!("{CLASS}/{device}/{file}"));
            let Some(mut cells) = table.row(&[&device]) else { continue };
            cells.set(0, f64::from(u8::from(says("operstate").as_deref() == Some("up"))));
            for (column, (file, _, _, unit)) in (1..).zip(COLUMNS) {
                // A speed of -1 is none.
                if let Some(value) = says(file).and_then(|word| word.parse::<u64>().ok()) {
                    cells.set(column, value as f64 * unit);
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
        for device in devices(&self.root)? {
            let says = |file: &str| self.root.line(&format!("{CLASS}/{device}/{file}")).unwrap_or_default();
            let [address, broadcast, duplex, alias, state] =
                ["address", "broadcast", "duplex", "ifalias", "operstate"].map(says);
            if let Some(mut cells) = table.row(&[&address, &broadcast, &device, &duplex, &alias, &state]) {
                cells.set(0, 1.0);
            }
        }
        Ok(())
    }
}

/// The interfaces' names, sorted.
fn devices(root: &Root) -> Result<Vec<String>, CollectError> {
    let path = root.join(CLASS);
    let entries = std::fs::read_dir(&path).map_err(|source| CollectError::Read { path: path.clone(), source })?;
    // A bond's settings (`bonding_masters`) lie beside the interfaces.
    let folders = entries.flatten().filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> = folders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
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
        assert_eq!([of("wg0", "up"), of("wg0", "speed_bytes")], [Some(0.0), None]);
        assert_eq!(reading.instances(), 2, "a file is no interface");
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
