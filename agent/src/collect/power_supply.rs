//! Batteries and chargers, from `/sys/class/power_supply`: what they have, and what they are as labels.
//! [Source: kernel, Documentation/ABI/testing/sysfs-class-power]

use std::path::{Path, PathBuf};

use watchkeep_protocol::MetricKind::Gauge;

use super::CollectError;
use super::families::{Families, Family, Sparse};
use super::sysfs::{Attribute, Folder};
use crate::root::Root;

const ONE: f64 = 1.0;
const MICRO: f64 = 1e-6;
/// Temperatures are tenths of a degree.
const TENTH: f64 = 0.1;

/// File, the metric's name behind `node_power_supply_`, and what one of the file is: volts, amperes, watts and their hours
/// are millionths there.
const NUMBERS: [(&str, &str, f64); 52] = [
    ("authentic", "authentic", ONE),
    ("calibrate", "calibrate", ONE),
    ("capacity", "capacity", ONE),
    ("capacity_alert_max", "capacity_alert_max", ONE),
    ("capacity_alert_min", "capacity_alert_min", ONE),
    ("charge_control_limit", "charge_control_limit", MICRO),
    ("charge_control_limit_max", "charge_control_limit_max", MICRO),
    ("charge_counter", "charge_counter", MICRO),
    ("charge_empty", "charge_empty", MICRO),
    ("charge_empty_design", "charge_empty_design", MICRO),
    ("charge_full", "charge_full", MICRO),
    ("charge_full_design", "charge_full_design", MICRO),
    ("charge_now", "charge_ampere", MICRO),
    ("charge_term_current", "charge_term_current", MICRO),
    ("constant_charge_current", "constant_charge_current", MICRO),
    ("constant_charge_current_max", "constant_charge_current_max", MICRO),
    ("constant_charge_voltage", "constant_charge_voltage", MICRO),
    ("constant_charge_voltage_max", "constant_charge_voltage_max", MICRO),
    ("current_boot", "current_boot", MICRO),
    ("current_max", "current_max", MICRO),
    ("current_now", "current_ampere", MICRO),
    ("cycle_count", "cyclecount", ONE),
    ("energy_empty", "energy_empty", MICRO),
    ("energy_empty_design", "energy_empty_design", MICRO),
    ("energy_full", "energy_full", MICRO),
    ("energy_full_design", "energy_full_design", MICRO),
    ("energy_now", "energy_watthour", MICRO),
    ("input_current_limit", "input_current_limit", MICRO),
    ("online", "online", ONE),
    ("power_now", "power_watt", MICRO),
    ("precharge_current", "precharge_current", MICRO),
    ("present", "present", ONE),
    ("temp", "temp_celsius", TENTH),
    ("temp_alert_max", "temp_alert_max_celsius", TENTH),
    ("temp_alert_min", "temp_alert_min_celsius", TENTH),
    ("temp_ambient", "temp_ambient_celsius", TENTH),
    ("temp_ambient_max", "temp_ambient_max_celsius", TENTH),
    ("temp_ambient_min", "temp_ambient_min_celsius", TENTH),
    ("temp_max", "temp_max_celsius", TENTH),
    ("temp_min", "temp_min_celsius", TENTH),
    ("time_to_empty_now", "time_to_empty_seconds", ONE),
    ("time_to_full_now", "time_to_full_seconds", ONE),
    ("voltage_boot", "voltage_boot", MICRO),
    ("voltage_max", "voltage_max", MICRO),
    ("voltage_max_design", "voltage_max_design", MICRO),
    ("voltage_min", "voltage_min", MICRO),
    ("voltage_min_design", "voltage_min_design", MICRO),
    ("voltage_now", "voltage_volt", MICRO),
    ("voltage_ocv", "voltage_ocv", MICRO),
    // Two that only some chargers have, under the names that newer node_exporters give them.
    ("charge_control_start_threshold", "charge_control_start_threshold", ONE),
    ("charge_control_end_threshold", "charge_control_end_threshold", ONE),
    ("input_power_limit", "input_power_limit", MICRO),
];

/// The labels of `node_power_supply_info` beside the supply's name, which are files' names; those that are empty are left
/// out.
const WORDS: [&str; 11] = [
    "capacity_level",
    "charge_type",
    "health",
    "manufacturer",
    "model_name",
    "scope",
    "serial_number",
    "status",
    "technology",
    "type",
    "usb_type",
];
const HELP: &str = "of /sys/class/power_supply/<power_supply>.";

pub struct PowerSupply {
    supplies: Folder<Supply>,
}

struct Supply {
    folder: PathBuf,
    numbers: Vec<Number>,
    words: Vec<(&'static str, Attribute)>,
}

struct Number {
    file: &'static str,
    attribute: Attribute,
    name: String,
    help: String,
    unit: f64,
}

impl PowerSupply {
    pub fn new(root: &Root) -> Self {
        Self { supplies: Folder::seldom(root.join("sys/class/power_supply")) }
    }
}

impl Supply {
    fn open(folder: &Path) -> Option<Self> {
        if !folder.is_dir() {
            return None;
        }
        let there = |file: &str| folder.join(file).exists();
        let number = |(file, name, unit): (&'static str, &str, f64)| Number {
            file,
            attribute: Attribute::default(),
            name: format!("node_power_supply_{name}"),
            help: format!("{name} value {HELP}"),
            unit,
        };
        let numbers = NUMBERS.into_iter().filter(|(file, ..)| there(file)).map(number).collect();
        let words = WORDS.into_iter().filter(|file| there(file)).map(|file| (file, Attribute::default())).collect();
        Some(Self { folder: folder.to_owned(), numbers, words })
    }
}

impl Sparse for PowerSupply {
    fn name(&self) -> &'static str {
        "powersupplyclass"
    }

    fn read(&mut self, families: &mut Families<'_>) -> Result<(), CollectError> {
        let supplies = self.supplies.look(|folder, _| Supply::open(folder))?;
        let info = Family { name: "node_power_supply_info", kind: Gauge, help: &format!("info {HELP}") };
        for (supply, Supply { folder, numbers, words }) in supplies {
            for Number { file, attribute, name, help, unit } in numbers {
                if let Some(value) = attribute.number(folder, file) {
                    families.set(Family { name, kind: Gauge, help }, &[("power_supply", supply)], value * *unit);
                }
            }
            let lines: Vec<_> = words.iter_mut().map(|(file, word)| (*file, word.line(folder, file))).collect();
            let said = lines.iter().filter_map(|(file, line)| Some((*file, line.as_ref()?.text())));
            let mut labels: Vec<(&str, &str)> = said.filter(|(_, text)| !text.is_empty()).collect();
            labels.push(("power_supply", supply));
            labels.sort_unstable();
            families.set(info, &labels, 1.0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{SparseStage, TempFiles};

    #[test]
    fn a_battery_has_volts_and_watts_and_degrees() {
        let files = TempFiles::new();
        for (path, text) in [
            ("BAT1/energy_now", "26380000\n"),
            ("BAT1/voltage_now", "12011000\n"),
            ("BAT1/temp", "-35\n"),
            ("BAT1/capacity", "damaged\n"),
            ("BAT1/status", "Not charging\n"),
            ("BAT1/health", "\n"),
            ("BAT1/type", "Battery\n"),
        ] {
            files.write(&format!("sys/class/power_supply/{path}"), text);
        }
        let mut stage = SparseStage::of(PowerSupply::new(&files.root()));
        let lines = [
            "node_power_supply_energy_watthour{power_supply=\"BAT1\"} 26.38",
            "node_power_supply_info{power_supply=\"BAT1\",status=\"Not charging\",type=\"Battery\"} 1",
            "node_power_supply_temp_celsius{power_supply=\"BAT1\"} -3.5",
            "node_power_supply_voltage_volt{power_supply=\"BAT1\"} 12.011",
        ];
        assert_eq!(stage.read().lines(), lines, "what is no number or nothing is left out");
        files.write("sys/class/power_supply/BAT1/status", "Full\n");
        let full = [("power_supply", "BAT1"), ("status", "Full"), ("type", "Battery")];
        assert_eq!(stage.read().value("node_power_supply_info", &full), Some(1.0));
    }
}
