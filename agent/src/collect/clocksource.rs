//! Which hardware the kernel takes its time from, and which it could: `/sys/devices/system/clocksource`.
//! Names as in node_exporter's collector `time`.

use std::path::PathBuf;

use watchkeep_protocol::MetricKind::Gauge;

use super::CollectError;
use super::families::{Families, Family, Sparse};
use super::sysfs::{Attribute, Folder};
use crate::root::Root;

const AVAILABLE: Family<'_> = Family {
    name: "node_time_clocksource_available_info",
    kind: Gauge,
    help: "Available clocksources read from '/sys/devices/system/clocksource'.",
};
const CURRENT: Family<'_> = Family {
    name: "node_time_clocksource_current_info",
    kind: Gauge,
    help: "Current clocksource read from '/sys/devices/system/clocksource'.",
};

pub struct Clocksource {
    devices: Folder<Device>,
}

struct Device {
    folder: PathBuf,
    number: String,
    available: Attribute,
    current: Attribute,
}

impl Clocksource {
    pub fn new(root: &Root) -> Self {
        Self { devices: Folder::seldom(root.join("sys/devices/system/clocksource")) }
    }
}

impl Sparse for Clocksource {
    fn name(&self) -> &'static str {
        "clocksource"
    }

    fn read(&mut self, families: &mut Families<'_>) -> Result<(), CollectError> {
        let devices = self.devices.look(|folder, name| {
            let number = name.strip_prefix("clocksource")?.to_owned();
            let (available, current) = (Attribute::default(), Attribute::default());
            Some(Device { folder: folder.to_owned(), number, available, current })
        })?;
        for (_, device) in devices.iter_mut() {
            let Some(line) = device.available.line(&device.folder, "available_clocksource") else { continue };
            for source in line.text().split_ascii_whitespace() {
                families.set(AVAILABLE, &[("clocksource", source), ("device", &device.number)], 1.0);
            }
        }
        for (_, device) in devices {
            let Some(line) = device.current.line(&device.folder, "current_clocksource") else { continue };
            families.set(CURRENT, &[("clocksource", line.text()), ("device", &device.number)], 1.0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{SparseStage, TempFiles};

    #[test]
    fn sources_are_told_and_one_of_them_is_in_use() {
        let files = TempFiles::new();
        let folder = "sys/devices/system/clocksource/clocksource0";
        files.write(&format!("{folder}/available_clocksource"), "tsc hpet acpi_pm \n");
        files.write(&format!("{folder}/current_clocksource"), "tsc\n");
        files.write("sys/devices/system/clocksource/uevent", "");
        let mut stage = SparseStage::of(Clocksource::new(&files.root()));
        let available = ["acpi_pm", "hpet", "tsc"];
        let seen = stage.read();
        for source in available {
            assert_eq!(seen.value(AVAILABLE.name, &[("clocksource", source), ("device", "0")]), Some(1.0), "{source}");
        }
        assert_eq!(seen.lines().len(), 4);
        files.write(&format!("{folder}/current_clocksource"), "hpet\n");
        let seen = stage.read();
        assert_eq!(seen.value(CURRENT.name, &[("clocksource", "hpet"), ("device", "0")]), Some(1.0));
        assert_eq!(seen.value(CURRENT.name, &[("clocksource", "tsc"), ("device", "0")]), None);
    }
}
