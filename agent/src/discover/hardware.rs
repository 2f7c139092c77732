//! What the host is made of, as far as anybody may read it: processor, memory and its modules, network hardware.
//!
//! The kernel keeps the DMI's table for root. udev reads it at boot and leaves what it says of memory modules in
//! `/run/udev/data/+dmi:id` (since systemd 248), where anybody may read it.

use std::collections::BTreeMap;

use super::interface;
use crate::root::Root;

const UDEV_DMI: &str = "run/udev/data/+dmi:id";

/// Attributes of the host.
pub fn attributes(root: &Root) -> Vec<(&'static str, Option<String>)> {
    let cpuinfo = root.text("proc/cpuinfo");
    let field =
        |line: &str, name: &str| Some(line.split_once(':')?.1.trim().to_owned()).filter(|_| line.starts_with(name));
    let cpus = cpuinfo.lines().filter(|line| field(line, "processor").is_some()).count();
    let macs: Vec<String> = interface::hardware_addresses(root).into_iter().collect();
    vec![
        ("cpu_model", cpuinfo.lines().find_map(|line| field(line, "model name"))),
        ("cpus", (cpus > 0).then(|| cpus.to_string())),
        ("memory_bytes", memory_bytes(&root.text("proc/meminfo")).map(|bytes| bytes.to_string())),
        ("memory_modules", memory_modules(&root.text(UDEV_DMI))),
        ("mac_addresses", Some(macs.join(" "))),
    ]
}

fn memory_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The modules that are plugged in, each by size, type and maker's part; equal ones are counted:
/// `2 × 16 GiB DDR4 Samsung M471A2K43DB1`.
fn memory_modules(udev: &str) -> Option<String> {
    let mut modules: BTreeMap<u32, BTreeMap<&str, &str>> = BTreeMap::new();
    for line in udev.lines() {
        let said = line.strip_prefix("E:MEMORY_DEVICE_").and_then(|rest| rest.split_once('='));
        let Some((name, value)) = said else { continue };
        let Some((number, field)) = name.split_once('_') else { continue };
        if let Ok(number) = number.parse() {
            modules.entry(number).or_default().insert(field, value.trim());
        }
    }
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for module in modules.values().filter_map(module) {
        *counts.entry(module).or_default() += 1;
    }
    let words: Vec<String> = counts.into_iter().map(|(module, count)| format!("{count} × {module}")).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// `None` for an empty slot.
fn module(fields: &BTreeMap<&str, &str>) -> Option<String> {
    let bytes: u64 = fields.get("SIZE")?.parse().ok().filter(|bytes| *bytes > 0)?;
    let told = ["TYPE", "MANUFACTURER", "PART_NUMBER"].into_iter().filter_map(|name| fields.get(name).copied());
    let told = told.filter(|value| !value.is_empty() && !["Unknown", "Not Specified"].contains(value));
    let words: Vec<String> = std::iter::once(in_words(bytes)).chain(told.map(str::to_owned)).collect();
    Some(words.join(" "))
}

fn in_words(bytes: u64) -> String {
    if bytes.is_multiple_of(1 << 30) { format!("{} GiB", bytes >> 30) } else { format!("{} MiB", bytes >> 20) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::testing::TempFiles;

    #[test]
    fn a_host_says_its_processor_its_memory_and_its_modules() {
        let files = TempFiles::new();
        files.write(
            "proc/cpuinfo",
            "processor\t: 0\nmodel name\t: AMD EPYC 7763\n\nprocessor\t: 1\nmodel name\t: AMD EPYC 7763\n",
        );
        files.write("proc/meminfo", "MemTotal:        4018696 kB\nMemFree: 1 kB\n");
        let module = |number: u32, size: &str| {
            format!(
                "E:MEMORY_DEVICE_{number}_SIZE={size}\nE:MEMORY_DEVICE_{number}_TYPE=DDR4\n\
                 E:MEMORY_DEVICE_{number}_MANUFACTURER=Samsung\nE:MEMORY_DEVICE_{number}_PART_NUMBER=M471A2K43DB1    \n"
            )
        };
        let empty = "E:MEMORY_DEVICE_2_PRESENT=0\nE:MEMORY_DEVICE_2_TYPE=Unknown\n";
        let slots = module(0, "17179869184") + &module(1, "17179869184") + empty + &module(3, "536870912");
        files.write(UDEV_DMI, &format!("I:1234\nE:MEMORY_ARRAY_NUM_DEVICES=4\n{slots}"));
        let found: BTreeMap<_, _> = attributes(&files.root()).into_iter().collect();
        let word = |name: &str| found[name].clone().unwrap_or_default();
        assert_eq!((word("cpu_model"), word("cpus")), ("AMD EPYC 7763".to_owned(), "2".to_owned()));
        assert_eq!(word("memory_bytes"), (4_018_696_u64 * 1024).to_string());
        assert_eq!(
            word("memory_modules"),
            "2 × 16 GiB DDR4 Samsung M471A2K43DB1, 1 × 512 MiB DDR4 Samsung M471A2K43DB1"
        );
    }

    #[test]
    fn what_a_host_does_not_say_is_not_there() {
        let found = attributes(&TempFiles::new().root());
        assert!(found.iter().all(|(_, value)| value.as_deref().unwrap_or_default().is_empty()), "{found:?}");
    }
}
