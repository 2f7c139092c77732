//! Temperatures, fans, voltages and the like of the host's sensors, from `/sys/class/hwmon`.
//!
//! A chip's files are listed once, when it comes; after that each of its numbers is one `pread`.
//! [Source: kernel, Documentation/hwmon/sysfs-interface.rst; names as in node_exporter's collector `hwmon`]

use std::path::{Path, PathBuf};

use watchkeep_protocol::MetricKind::{self, Counter, Gauge};

use super::CollectError;
use super::families::{Families, Family, Sparse};
use super::sysfs::{Attribute, Folder};
use crate::root::Root;

/// Numbers of one chip at most; large boards have 200.
const SENSORS_MAX: usize = 512;
const MILLI: f64 = 1e-3;
const MICRO: f64 = 1e-6;

const CHIP_NAMES: Family<'_> =
    Family { name: "node_hwmon_chip_names", kind: Gauge, help: "Annotation metric for human-readable chip names" };
const SENSOR_LABEL: Family<'_> =
    Family { name: "node_hwmon_sensor_label", kind: Gauge, help: "Label for given chip and sensor" };

pub struct Hwmon {
    chips: Folder<Chip>,
}

struct Chip {
    /// Stable over boots, unlike the folder's number: the device's place, else the driver's name.
    label: String,
    name: Option<String>,
    /// Sensor and what it is called.
    labels: Vec<(String, String)>,
    /// By metric, so that families are set one after the other.
    numbers: Vec<Number>,
}

struct Number {
    folder: PathBuf,
    file: String,
    attribute: Attribute,
    sensor: String,
    metric: Named,
}

/// What a file's number is called, and what one of it is in the metric's unit.
#[derive(Debug, PartialEq)]
struct Named {
    name: String,
    kind: MetricKind,
    help: String,
    unit: f64,
}

impl Hwmon {
    pub fn new(root: &Root) -> Self {
        Self { chips: Folder::seldom(root.join("sys/class/hwmon")) }
    }
}

impl Sparse for Hwmon {
    fn name(&self) -> &'static str {
        "hwmon"
    }

    fn read(&mut self, families: &mut Families<'_>) -> Result<(), CollectError> {
        let chips = self.chips.look(|folder, _| Chip::open(folder))?;
        for (_, chip) in chips.iter() {
            if let Some(name) = &chip.name {
                families.set(CHIP_NAMES, &[("chip", &chip.label), ("chip_name", name)], 1.0);
            }
        }
        for (_, chip) in chips.iter() {
            for (sensor, label) in &chip.labels {
                families.set(SENSOR_LABEL, &[("chip", &chip.label), ("label", label), ("sensor", sensor)], 1.0);
            }
        }
        for (_, Chip { label, numbers, .. }) in chips {
            for Number { folder, file, attribute, sensor, metric } in numbers {
                let Some(value) = attribute.number(folder, file) else { continue };
                let family = Family { name: &metric.name, kind: metric.kind, help: &metric.help };
                families.set(family, &[("chip", label), ("sensor", sensor)], value * metric.unit);
            }
        }
        Ok(())
    }
}

impl Chip {
    fn open(folder: &Path) -> Option<Self> {
        if !folder.is_dir() {
            return None;
        }
        let says = |file: &str| {
            let line = Attribute::once(folder, file)?;
            Some(line.text().to_owned()).filter(|text| !text.is_empty())
        };
        let name = says("name").map(|name| cleaned(&name)).filter(|name| !name.is_empty());
        let label = of_device(folder).or_else(|| name.clone()).or_else(|| {
            let real = folder.canonicalize().ok()?;
            Some(cleaned(real.file_name()?.to_str()?))
        })?;
        let mut chip = Self { label, name, labels: Vec::new(), numbers: Vec::new() };
        // Old drivers keep their sensors with the device.
        for folder in [folder.to_owned(), folder.join("device")] {
            chip.list(&folder);
        }
        chip.labels.sort();
        chip.numbers.sort_by(|a, b| (&a.metric.name, &a.sensor).cmp(&(&b.metric.name, &b.sensor)));
        Some(chip)
    }

    fn list(&mut self, folder: &Path) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        let names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        for file in &names {
            let Some((kind, number, element)) = parts(file) else { continue };
            let sensor = format!("{kind}{number}");
            if element == "label" {
                if let Some(line) = Attribute::once(folder, file).filter(|line| !line.text().is_empty()) {
                    self.labels.push((sensor, line.text().to_owned()));
                }
                continue;
            }
            let has_own_value = names.contains(&sensor);
            let known = self.numbers.iter().any(|number| number.file == *file);
            if self.numbers.len() < SENSORS_MAX && !known {
                let (folder, file, attribute) = (folder.to_owned(), file.clone(), Attribute::default());
                let metric = named(kind, element, has_own_value);
                self.numbers.push(Number { folder, file, attribute, sensor, metric });
            }
        }
    }
}

/// The kinds of sensors, as they begin files' names.
const KINDS: [&str; 13] = [
    "vrm",
    "beep_enable",
    "update_interval",
    "in",
    "cpu",
    "fan",
    "pwm",
    "temp",
    "curr",
    "power",
    "energy",
    "humidity",
    "intrusion",
];

/// `temp1_crit_alarm` is (`temp`, 1, `crit_alarm`); `pwm1` has no element, `beep_enable` no number either, which is 0.
fn parts(file: &str) -> Option<(&'static str, u32, &str)> {
    KINDS.into_iter().find_map(|kind| {
        let rest = file.strip_prefix(kind)?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, rest) = rest.split_at(digits);
        let number = if number.is_empty() { 0 } else { number.parse().ok()? };
        let element = if rest.is_empty() { "" } else { rest.strip_prefix('_').filter(|rest| !rest.is_empty())? };
        Some((kind, number, element))
    })
}

/// `has_own_value` says that the sensor has a file without an element, as `pwm1`, beside `pwm1_input`.
fn named(kind: &str, element: &str, has_own_value: bool) -> Named {
    let whole = |name: &str, help: &str, unit: f64| Named {
        name: format!("node_hwmon_{name}"),
        kind: Gauge,
        help: help.to_owned(),
        unit,
    };
    match kind {
        "beep_enable" => return whole("beep_enabled", "Hardware beep enabled", 1.0),
        "vrm" => return whole("voltage_regulator_version", "Hardware voltage regulator", 1.0),
        "update_interval" => return whole("update_interval_seconds", "Hardware monitor update interval", MILLI),
        _ => {}
    }
    let suffix = match element {
        "" => String::new(),
        "input" if !has_own_value => String::new(),
        element => format!("_{}", cleaned(element)),
    };
    let (unit_name, unit, what) = unit_of(kind, element);
    let help = match element {
        "fault" | "alarm" => format!("Hardware sensor {element} status ({kind})"),
        "beep" => "Hardware monitor sensor has beeping enabled".to_owned(),
        _ if what.is_empty() => format!("Hardware monitor {kind} element {element}"),
        _ => format!("Hardware monitor {what} ({element})"),
    };
    let kind_of_metric = if unit_name == "_joule_total" { Counter } else { Gauge };
    Named { name: format!("node_hwmon_{kind}{suffix}{unit_name}"), kind: kind_of_metric, help, unit }
}

/// The end of the metric's name, what one of the file is, and what is measured.
fn unit_of(kind: &str, element: &str) -> (&'static str, f64, &'static str) {
    match (kind, element) {
        (_, "fault" | "alarm") => ("", 1.0, ""),
        (_, "beep") => ("_enabled", 1.0, ""),
        ("in" | "cpu", _) => ("_volts", MILLI, "for voltage"),
        ("temp", "type") => ("", 1.0, ""),
        ("temp", _) => ("_celsius", MILLI, "for temperature"),
        ("curr", _) => ("_amps", MILLI, "for current"),
        ("energy", _) => ("_joule_total", MICRO, "for joules used so far"),
        ("power", "accuracy") => ("", MICRO, "power meter accuracy, as a ratio"),
        ("power", "average_interval" | "average_interval_min" | "average_interval_max") => {
            ("_seconds", MILLI, "power usage update interval")
        }
        ("power", _) => ("_watt", MICRO, "for power usage in watts"),
        ("humidity", _) => {
            ("", MICRO, "for humidity, as a ratio (multiply with 100.0 to get the humidity as a percentage)")
        }
        ("fan", "input" | "min" | "max" | "target") => ("_rpm", 1.0, "for fan revolutions per minute"),
        _ => ("", 1.0, ""),
    }
}

/// `platform_coretemp_0`: the device that the chip is, by the last two names of its place.
fn of_device(folder: &Path) -> Option<String> {
    let device = folder.join("device").canonicalize().ok()?;
    let name = |path: &Path| Some(cleaned(path.file_name()?.to_str()?)).filter(|name| !name.is_empty());
    let own = name(&device)?;
    Some(device.parent().and_then(name).map_or_else(|| own.clone(), |bus| format!("{bus}_{own}")))
}

/// In lower case, with `_` for what a metric's name cannot have.
fn cleaned(text: &str) -> String {
    let clean = |c: char| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9' | ':' | '_') => c,
        _ => '_',
    };
    text.chars().map(clean).collect::<String>().trim_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{SparseStage, TempFiles};

    #[test]
    fn a_file_s_name_is_its_sensor_and_what_of_it() {
        for (file, expected) in [
            ("temp1_input", Some(("temp", 1, "input"))),
            ("temp12_crit_alarm", Some(("temp", 12, "crit_alarm"))),
            ("pwm1", Some(("pwm", 1, ""))),
            ("in0_input", Some(("in", 0, "input"))),
            ("intrusion0_alarm", Some(("intrusion", 0, "alarm"))),
            ("beep_enable", Some(("beep_enable", 0, ""))),
            ("temperature", None),
            ("temp1_", None),
            ("temp99999999999_input", None),
            ("name", None),
            ("", None),
        ] {
            assert_eq!(parts(file), expected, "{file}");
        }
    }

    #[test]
    fn numbers_have_the_unit_that_their_name_says() {
        for (kind, element, own, name, unit) in [
            ("temp", "input", false, "node_hwmon_temp_celsius", MILLI),
            ("temp", "crit_alarm", false, "node_hwmon_temp_crit_alarm_celsius", MILLI),
            ("temp", "type", false, "node_hwmon_temp_type", 1.0),
            ("pwm", "input", true, "node_hwmon_pwm_input", 1.0),
            ("fan", "input", false, "node_hwmon_fan_rpm", 1.0),
            ("fan", "beep", false, "node_hwmon_fan_beep_enabled", 1.0),
            ("power", "accuracy", false, "node_hwmon_power_accuracy", MICRO),
            ("energy", "input", false, "node_hwmon_energy_joule_total", MICRO),
        ] {
            let Named { name: got, unit: of, .. } = named(kind, element, own);
            assert_eq!((got.as_str(), of), (name, unit), "{kind} {element}");
        }
    }

    #[test]
    fn a_sensor_that_cannot_be_read_ends_and_comes_back() {
        let files = TempFiles::new();
        files.write("sys/class/hwmon/hwmon3/name", "k10temp\n");
        files.write("sys/class/hwmon/hwmon3/temp1_input", "40125\n");
        files.write("sys/class/hwmon/hwmon3/temp1_label", "Tctl\n");
        files.write("sys/class/hwmon/README", "no chip");
        let mut stage = SparseStage::of(Hwmon::new(&files.root()));
        let heat = [("chip", "k10temp"), ("sensor", "temp1")];
        assert_eq!(stage.read().value("node_hwmon_temp_celsius", &heat), Some(40.125));
        files.write("sys/class/hwmon/hwmon3/temp1_input", "");
        assert_eq!(stage.read().lines().len(), 2, "the chip's and the sensor's names");
        files.write("sys/class/hwmon/hwmon3/temp1_input", "41000");
        assert_eq!(stage.read().value("node_hwmon_temp_celsius", &heat), Some(41.0));
        assert!(SparseStage::of(Hwmon::new(&TempFiles::new().root())).fault().starts_with("this host has no"));
    }
}
