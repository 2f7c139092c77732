//! How hot the zones of the host are and how far its cooling is turned up, from `/sys/class/thermal`.
//! [Source: kernel, Documentation/driver-api/thermal/sysfs-api.rst]

use std::path::PathBuf;

use watchkeep_protocol::MetricKind::Gauge;

use super::CollectError;
use super::families::{Families, Family, Sparse};
use super::sysfs::{Attribute, Folder};
use crate::root::Root;

const TEMPERATURE: Family<'_> =
    Family { name: "node_thermal_zone_temp", kind: Gauge, help: "Zone temperature in Celsius" };
/// File of a cooling device, and its family.
const COOLING: [(&str, Family<'_>); 2] = [
    (
        "cur_state",
        Family {
            name: "node_cooling_device_cur_state",
            kind: Gauge,
            help: "Current throttle state of the cooling device",
        },
    ),
    (
        "max_state",
        Family {
            name: "node_cooling_device_max_state",
            kind: Gauge,
            help: "Maximum throttle state of the cooling device",
        },
    ),
];

pub struct Thermal {
    devices: Folder<Device>,
}

struct Device {
    folder: PathBuf,
    is_zone: bool,
    number: String,
    kind: String,
    /// The temperature, or the two states.
    files: [Attribute; 2],
}

impl Thermal {
    pub fn new(root: &Root) -> Self {
        Self { devices: Folder::seldom(root.join("sys/class/thermal")) }
    }
}

impl Sparse for Thermal {
    fn name(&self) -> &'static str {
        "thermal_zone"
    }

    fn read(&mut self, families: &mut Families<'_>) -> Result<(), CollectError> {
        let devices = self.devices.look(|folder, name| {
            let zone = name.strip_prefix("thermal_zone");
            let number = zone.or_else(|| name.strip_prefix("cooling_device"))?.to_owned();
            let kind = Attribute::once(folder, "type")?.text().to_owned();
            let files = Default::default();
            Some(Device { folder: folder.to_owned(), is_zone: zone.is_some(), number, kind, files })
        })?;
        for (_, Device { folder, number, kind, files: [temperature, _], .. }) in
            devices.iter_mut().filter(|(_, device)| device.is_zone)
        {
            if let Some(milli) = temperature.number(folder, "temp") {
                families.set(TEMPERATURE, &[("type", kind), ("zone", number)], milli / 1_000.0);
            }
        }
        for (place, (file, family)) in COOLING.into_iter().enumerate() {
            for (_, Device { folder, number, kind, files, .. }) in
                devices.iter_mut().filter(|(_, device)| !device.is_zone)
            {
                if let Some(state) = files[place].number(folder, file) {
                    families.set(family, &[("name", number), ("type", kind)], state);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{SparseStage, TempFiles};

    #[test]
    fn zones_have_degrees_and_cooling_has_states() {
        let files = TempFiles::new();
        for (path, text) in [
            ("thermal_zone0/type", "acpitz\n"),
            ("thermal_zone0/temp", "27800\n"),
            ("thermal_zone1/type", "iwlwifi_1\n"),
            ("cooling_device0/type", "Fan\n"),
            ("cooling_device0/cur_state", "2\n"),
            ("cooling_device0/max_state", "10\n"),
            ("other/type", "x"),
        ] {
            files.write(&format!("sys/class/thermal/{path}"), text);
        }
        assert_eq!(
            SparseStage::of(Thermal::new(&files.root())).read().lines(),
            [
                "node_cooling_device_cur_state{name=\"0\",type=\"Fan\"} 2",
                "node_cooling_device_max_state{name=\"0\",type=\"Fan\"} 10",
                "node_thermal_zone_temp{type=\"acpitz\",zone=\"0\"} 27.8",
            ],
            "a radio that is off has no temperature to read"
        );
    }
}
